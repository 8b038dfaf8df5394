//! What a URL asks for: the GOPROXY protocol, the checksum database's, import path discovery, SDK archives.

use super::text::host_of_url;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum RequestKind {
    /// `/@v/list`: the versions.
    List,
    /// `/@v/V.info`.
    Info,
    /// `/@v/V.mod`.
    Mod,
    /// `/@v/V.zip`.
    Zip,
    /// `/@latest`.
    Latest,
    /// `/sumdb/NAME/supported`: whether the proxy relays the checksum database.
    SumdbSupported,
    /// `/lookup/M@V` of a checksum database.
    SumdbLookup,
    /// `/tile/H/L/N` of a checksum database.
    SumdbTile,
    /// `/latest` of a checksum database: the signed tree head.
    SumdbLatest,
    /// `?go-get=1`: import path discovery.
    GoGet,
    /// The zip of golang.org/toolchain.
    ToolchainZip,
    /// An archive of go.dev/dl, dl.google.com/go or a mirror of them.
    SdkArchive,
    /// The signature or the checksum that lies beside such an archive.
    SdkProof,
    /// `go.dev/dl/?mode=json`, `go.dev/VERSION?m=text`: which versions of Go there are.
    SdkIndex,
    /// git's smart or dumb HTTP: `info/refs`, `git-upload-pack` (git, `gitprotocol-http`).
    Git,
}

impl RequestKind {
    /// Whether it is the checksum database that is asked, itself or through a proxy.
    #[must_use]
    pub const fn is_sumdb(self) -> bool {
        matches!(self, Self::SumdbSupported | Self::SumdbLookup | Self::SumdbTile | Self::SumdbLatest)
    }

    /// Whether programs alone are served there, in a format of their own: the protocols of module proxies and checksum
    /// databases, and files of Go itself. Import path discovery reads pages that are written for people.
    #[must_use]
    pub const fn is_for_programs(self) -> bool {
        !matches!(self, Self::GoGet)
    }
}

/// A request of the go command, as its URL tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModuleRequest {
    /// What is asked for.
    pub kind: RequestKind,
    /// The module or import path, upper case restored; of an SDK archive its file name; of git the repository; `None` for
    /// tiles, tree heads and lists of versions of Go.
    pub path: Option<String>,
    /// The version or query, upper case restored, where one is named.
    pub version: Option<String>,
    /// The checksum database's name, where the URL has one.
    pub sumdb: Option<String>,
    /// The host that is asked, lower case.
    pub host: String,
}

impl ModuleRequest {
    /// Reads an absolute URL; `None` when it is none that the go command would ask.
    ///
    /// Where a proxy has a path of its own (`https://mirrors.example/goproxy/`), the module path begins behind what is known
    /// of artifact repositories, else at the first element with a dot, and is the whole path when no element has one.
    #[must_use]
    pub fn from_url(url: &str) -> Option<Self> {
        let host = host_of_url(url)?;
        let (_, rest) = url.split_once("://")?;
        let rest = rest.split('#').next()?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = percent_decoded(rest.split_once('/').map_or("", |(_, path)| path));
        let asks = |pair: &str| query.split('&').any(|known| known == pair);
        let request = |kind, path: Option<String>, version: Option<String>| Self {
            kind,
            path,
            version,
            sumdb: None,
            host: host.clone(),
        };
        if asks("go-get=1") {
            let path = format!("{host}/{path}");
            return Some(request(RequestKind::GoGet, Some(path.trim_end_matches('/').to_owned()), None));
        }
        if let Some(repository) = git_repository(&path, query) {
            return Some(request(RequestKind::Git, Some(format!("{host}/{repository}")), None));
        }
        // A module path may have an element called sumdb; what follows there is not the database's protocol.
        let relayed = split_element(&path, "sumdb").and_then(|(_, after)| relayed_request(after));
        if let Some((name, (kind, path, version))) = relayed {
            return Some(Self { sumdb: Some(name.to_ascii_lowercase()), ..request(kind, path, version) });
        }
        if let Some(module) = path.strip_suffix("/@latest") {
            return Some(request(RequestKind::Latest, Some(unescaped(module_of(module))), None));
        }
        if let Some((module, file)) = path.rsplit_once("/@v/") {
            let module = unescaped(module_of(module));
            if file == "list" {
                return Some(request(RequestKind::List, Some(module), None));
            }
            let (version, suffix) = file.rsplit_once('.')?;
            let kind = match suffix {
                "info" => RequestKind::Info,
                "mod" => RequestKind::Mod,
                "zip" if module == "golang.org/toolchain" => RequestKind::ToolchainZip,
                "zip" => RequestKind::Zip,
                _ => return None,
            };
            return Some(request(kind, Some(module), Some(unescaped(version))));
        }
        // A database may lie below a path of its own.
        let direct = sumdb_request(&path).or_else(|| {
            let below = [("/lookup/", "lookup/"), ("/tile/", "tile/")];
            below.iter().find_map(|(mark, kind)| {
                let (_, rest) = path.split_once(mark)?;
                sumdb_request(&format!("{kind}{rest}")).filter(|(.., version)| *kind == "tile/" || version.is_some())
            })
        });
        if let Some((kind, path, version)) = direct {
            return Some(Self { sumdb: Some(host.clone()), ..request(kind, path, version) });
        }
        if (matches!(path.as_str(), "dl" | "dl/") && asks("mode=json")) || (path == "VERSION" && asks("m=text")) {
            return Some(request(RequestKind::SdkIndex, None, None));
        }
        let file = path.rsplit('/').next()?;
        let (archive, kind) = match file.strip_suffix(".asc").or_else(|| file.strip_suffix(".sha256")) {
            Some(archive) => (archive, RequestKind::SdkProof),
            None => (file, RequestKind::SdkArchive),
        };
        let version = archive.strip_prefix("go").and_then(sdk_version)?;
        Some(request(kind, Some(file.to_owned()), Some(version)))
    }

    /// `path@version` when both are known and the path is a module's.
    #[must_use]
    pub fn module_version(&self) -> Option<String> {
        if matches!(self.kind, RequestKind::SdkArchive | RequestKind::SdkProof) {
            return None;
        }
        Some(format!("{}@{}", self.path.as_ref()?, self.version.as_ref()?))
    }
}

/// `1.27.3` of `1.27.3.linux-amd64.tar.gz`.
fn sdk_version(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').take_while(|part| part.starts_with(|c: char| c.is_ascii_digit())).collect();
    let archive = [".tar.gz", ".zip", ".msi", ".pkg"].iter().any(|suffix| name.ends_with(suffix));
    (archive && parts.len() >= 2).then(|| format!("go{}", parts.join(".")))
}

/// The path split around its first element with that name.
fn split_element<'a>(path: &'a str, element: &str) -> Option<(&'a str, &'a str)> {
    if let Some(rest) = path.strip_prefix(element).and_then(|rest| rest.strip_prefix('/')) {
        return Some(("", rest));
    }
    path.split_once(&format!("/{element}/"))
}

type SumdbRequest = (RequestKind, Option<String>, Option<String>);

/// Elements of a database's name, which may have a path (cmd/go/internal/modfetch `dbDial`), that are looked at.
const NAME_ELEMENTS: usize = 8;

/// A database's name, and the path beneath it.
fn relayed_request(path: &str) -> Option<(&str, SumdbRequest)> {
    path.match_indices('/').take(NAME_ELEMENTS).find_map(|(at, _)| {
        let (name, more) = path.split_at_checked(at)?;
        Some((name, sumdb_request(more.strip_prefix('/')?)?))
    })
}

/// The path beneath a checksum database's URL (golang.org/x/mod/sumdb).
fn sumdb_request(path: &str) -> Option<SumdbRequest> {
    match path {
        "supported" => return Some((RequestKind::SumdbSupported, None, None)),
        "latest" => return Some((RequestKind::SumdbLatest, None, None)),
        _ => {}
    }
    if let Some(lookup) = path.strip_prefix("lookup/") {
        let (module, version) = lookup.rsplit_once('@')?;
        return Some((RequestKind::SumdbLookup, Some(unescaped(module)), Some(unescaped(version))));
    }
    let tile = path.strip_prefix("tile/")?;
    tile.starts_with(|c: char| c.is_ascii_digit()).then_some((RequestKind::SumdbTile, None, None))
}

/// The repository that git asks for, without `.git`.
fn git_repository<'a>(path: &'a str, query: &str) -> Option<&'a str> {
    let refs = || path.strip_suffix("/info/refs").filter(|_| query.is_empty() || query.starts_with("service=git-"));
    let pack = || path.strip_suffix("/git-upload-pack");
    // The dumb protocol reads files of the repository itself.
    let dumb =
        || ["/HEAD", "/objects/info/packs"].iter().find_map(|file| path.strip_suffix(file)?.strip_suffix(".git"));
    let repository = refs().or_else(pack).or_else(dumb)?;
    Some(repository.strip_suffix(".git").unwrap_or(repository)).filter(|repository| !repository.is_empty())
}

/// Without the elements of the proxy's own path.
fn module_of(path: &str) -> &str {
    // JFrog Artifactory, GitLab, Sonatype Nexus: the name of a repository, which may have a dot, follows.
    let behind = |mark: &str| path.split_once(mark).map(|(_, rest)| rest);
    let named = behind("api/go/").or_else(|| path.strip_prefix("repository/")).and_then(|rest| rest.split_once('/'));
    let path =
        match named.map(|(_, module)| module).or_else(|| behind("/packages/go/")).or_else(|| behind("/-/proxy/go/")) {
            Some(module) if !module.is_empty() => module,
            _ => path,
        };
    let mut start = 0_usize;
    for element in path.split('/') {
        if element.contains('.') && !element.starts_with('.') {
            return path.get(start..).unwrap_or(path);
        }
        start = start.saturating_add(element.len()).saturating_add(1);
    }
    path
}

/// `github.com/!azure` to `github.com/Azure` (golang.org/x/mod/module `UnescapePath`); what is not validly escaped stays as it is.
#[must_use]
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '!' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(lower) if lower.is_ascii_lowercase() => out.push(lower.to_ascii_uppercase()),
            other => {
                out.push('!');
                out.extend(other);
            }
        }
    }
    out
}

/// RFC 3986 §2.1; what is no valid escape stays as it is.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        if byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Option<(RequestKind, Option<String>, Option<String>)> {
        ModuleRequest::from_url(url).map(|r| (r.kind, r.path, r.version))
    }

    #[test]
    fn goproxy_protocol() {
        use RequestKind::*;
        for (url, kind, path, version) in [
            ("https://proxy.golang.org/github.com/pkg/errors/@v/list", List, "github.com/pkg/errors", None),
            (
                "https://proxy.golang.org/github.com/pkg/errors/@v/v0.9.1.info",
                Info,
                "github.com/pkg/errors",
                Some("v0.9.1"),
            ),
            ("https://proxy.golang.org/github.com/@v/v1.6.0.info", Info, "github.com", Some("v1.6.0")),
            ("https://h/github.com/!azure/x/@v/v1.0.0-!r!c1.mod", Mod, "github.com/Azure/x", Some("v1.0.0-RC1")),
            (
                "https://mirrors.aliyun.com/goproxy/golang.org/x/net/@v/v0.1.0.zip",
                Zip,
                "golang.org/x/net",
                Some("v0.1.0"),
            ),
            ("https://h:8443/github.com/x/y/@latest", Latest, "github.com/x/y", None),
            ("https://h/kit/@v/main.info", Info, "kit", Some("main")),
            (
                "https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.27.3.linux-amd64.zip",
                ToolchainZip,
                "golang.org/toolchain",
                Some("v0.0.1-go1.27.3.linux-amd64"),
            ),
            ("https://go.vanity.example/kit?go-get=1", GoGet, "go.vanity.example/kit", None),
            ("https://go.vanity.example?go-get=1", GoGet, "go.vanity.example", None),
            (
                "https://dl.google.com/go/go1.27.3.linux-amd64.tar.gz",
                SdkArchive,
                "go1.27.3.linux-amd64.tar.gz",
                Some("go1.27.3"),
            ),
            (
                "https://go.dev/dl/go1.27rc1.windows-amd64.msi",
                SdkArchive,
                "go1.27rc1.windows-amd64.msi",
                Some("go1.27rc1"),
            ),
            ("https://h/a%2eb/c/@v/v1.info", Info, "a.b/c", Some("v1")),
            ("https://h/a.b/c/@v/v2.0.0%2Bincompatible.zip", Zip, "a.b/c", Some("v2.0.0+incompatible")),
            ("https://h/a.b/c/v3/@v/v3.0.0.mod", Mod, "a.b/c/v3", Some("v3.0.0")),
            (
                "https://h/golang.org/x/net/@v/v0.0.0-20210405180319-a5a99cb37ef4.info",
                Info,
                "golang.org/x/net",
                Some("v0.0.0-20210405180319-a5a99cb37ef4"),
            ),
            ("https://h/gopkg.in/yaml.v3/@v/list", List, "gopkg.in/yaml.v3", None),
            ("https://h/artifactory/api/go/go.remote/a.b/c/@v/list", List, "a.b/c", None),
            ("https://h/repository/go-proxy/a.b/c/@v/list", List, "a.b/c", None),
            ("https://h/repository/go.group/kit/@v/list", List, "kit", None),
            ("https://gitlab.example/api/v4/projects/7/packages/go/a.b/c/@v/v1.0.0.zip", Zip, "a.b/c", Some("v1.0.0")),
            ("https://gitlab.example/group/-/proxy/go/a.b/c/@v/v1.0.0.zip", Zip, "a.b/c", Some("v1.0.0")),
            (
                "https://go.dev/dl/mod/golang.org/toolchain/@v/v0.0.1-go1.27.3.linux-amd64.zip",
                ToolchainZip,
                "golang.org/toolchain",
                Some("v0.0.1-go1.27.3.linux-amd64"),
            ),
            (
                "https://mirrors.aliyun.com/golang/go1.27.3.linux-arm64.tar.gz",
                SdkArchive,
                "go1.27.3.linux-arm64.tar.gz",
                Some("go1.27.3"),
            ),
            ("https://go.dev/dl/go1.27.3.src.tar.gz.asc", SdkProof, "go1.27.3.src.tar.gz.asc", Some("go1.27.3")),
            ("https://github.com/a/b.git/info/refs?service=git-upload-pack", Git, "github.com/a/b", None),
            ("https://github.com/a/b/git-upload-pack", Git, "github.com/a/b", None),
            ("https://git.example/a/b.git/HEAD", Git, "git.example/a/b", None),
        ] {
            assert_eq!(read(url), Some((kind, Some(path.to_owned()), version.map(str::to_owned))), "{url}");
        }
    }

    #[test]
    fn checksum_database() {
        let relayed = "https://proxy.golang.org/sumdb/sum.golang.org/lookup/github.com/!burnt!sushi/toml@v0.3.1";
        let request = ModuleRequest::from_url(relayed).unwrap();
        assert_eq!(request.kind, RequestKind::SumdbLookup);
        assert_eq!(request.module_version().as_deref(), Some("github.com/BurntSushi/toml@v0.3.1"));
        assert_eq!(request.sumdb.as_deref(), Some("sum.golang.org"));
        assert_eq!(request.host, "proxy.golang.org");
        let direct = ModuleRequest::from_url("https://sum.golang.org/lookup/a.b/c@v1.0.0").unwrap();
        assert_eq!((direct.kind, direct.sumdb.as_deref()), (RequestKind::SumdbLookup, Some("sum.golang.org")));
        for (url, kind) in [
            ("https://p.example/go/sumdb/sum.golang.org/supported", RequestKind::SumdbSupported),
            ("https://p.example/sumdb/corp.example/go/sums/tile/8/0/000.p/6", RequestKind::SumdbTile),
            ("https://sum.golang.org/tile/8/0/x001/234.p/7", RequestKind::SumdbTile),
            ("https://sum.golang.google.cn/latest", RequestKind::SumdbLatest),
            ("https://sum.golang.org/tile/8/data/x001/234", RequestKind::SumdbTile),
            ("https://p.example/mirror/sum/lookup/a.b/c@v1.0.0", RequestKind::SumdbLookup),
            ("https://p.example/mirror/sum/tile/8/1/000", RequestKind::SumdbTile),
        ] {
            assert_eq!(ModuleRequest::from_url(url).map(|r| r.kind), Some(kind), "{url}");
            assert!(kind.is_sumdb());
        }
    }

    #[test]
    fn other_urls_are_not_requests() {
        for url in [
            "",
            "x",
            "https://",
            "https://h",
            "https://h/",
            "https://h/index.html",
            "https://h/a/@v/",
            "https://h/a/@v/x.exe",
            "https://h/lookup/x",
            "https://h/sumdb/",
            "https://h/docs/lookup/terms",
            "https://h/dl/",
            "https://h/VERSION",
            "https://h/info/refs",
            "https://h/HEAD",
            "https://h/x/go1.27.tar.gz.html",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
        let module = |url: &str| ModuleRequest::from_url(url).and_then(|request| request.module_version());
        assert_eq!(module("https://go.dev/dl/go1.27.3.src.tar.gz"), None, "an archive is no module");
        assert_eq!(module("https://h/a.b/c/@v/list"), None);
        for url in ["https://go.dev/dl/?mode=json", "https://go.dev/VERSION?m=text"] {
            assert_eq!(read(url), Some((RequestKind::SdkIndex, None, None)), "{url}");
        }
        assert_eq!(unescaped("a!!b!"), "a!!b!");
        assert_eq!(percent_decoded("%4"), "%4");
    }
}
