//! The environment of the go command: text of `env`, `go env` or `go env -json`.

mod parse;

use std::collections::BTreeMap;
use std::fmt;

use super::advice::GoVersion;
use super::pattern;
use super::proxy::ProxyUrl;
use super::text::{host_of_url, redacted};

/// The GOPROXY of a go command that has none set (cmd/go/internal/cfg, $GOROOT/go.env).
pub const DEFAULT_GOPROXY: &str = "https://proxy.golang.org,direct";
/// The GOSUMDB of a go command that has none set.
pub const DEFAULT_GOSUMDB: &str = "sum.golang.org";

/// The variables of one run. Values are shown without user information of URLs; those of variables that are named like
/// secrets are not kept at all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GoEnv {
    variables: BTreeMap<String, Variable>,
    /// Windows knows no case in names.
    windows: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Variable {
    line: u32,
    raw: String,
    shown: String,
}

/// One entry of GOPROXY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GoProxyEntry {
    /// Where modules are asked.
    pub source: ModuleSource,
    /// When the next entry is asked.
    pub fallback: Fallback,
}

/// Where an entry of GOPROXY sends the go command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModuleSource {
    /// A module proxy, by its URL without user information; `https://` is put in front of values without scheme.
    Proxy(String),
    /// `direct`: the version control system.
    Direct,
    /// `off`: nowhere.
    Off,
    /// What Go refuses: a scheme other than https, http and file, or a word without meaning.
    Invalid(String),
}

/// When the go command goes on to the next entry of GOPROXY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// After a comma: only when the module is not there, 404 or 410.
    NotFound,
    /// After a pipe: after any error.
    AnyError,
    /// It is the last one, or what follows has no meaning (`off` and `direct` end the list).
    End,
}

/// What GOSUMDB says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SumDb {
    /// `off`: no checksum database, except for toolchains.
    Off,
    /// A database.
    On {
        /// Its name; of a verifier key the part before the first `+`.
        name: String,
        /// Its verifier key, where one is given.
        key: Option<String>,
        /// Its URL, where one is given or known by the name; proxies are not asked then.
        url: Option<String>,
    },
}

impl GoEnv {
    /// Reads `KEY=value` lines (`env`, `export` and `declare -x`, NUL-separated too), `KEY='value'` and
    /// `set KEY=value` (`go env`), or a JSON object (`go env -json`). Lines that are none of these are passed over;
    /// of a variable that appears twice, the last value counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let parsed = parse::variables(text);
        let mut env = Self { windows: parsed.windows, ..Self::default() };
        for (key, value, line) in parsed.variables {
            let key = if env.windows { key.to_ascii_uppercase() } else { key };
            let raw = if is_secret(&key) { "***".to_owned() } else { value };
            let shown = if is_proxy_variable(&key) { without_userinfo(&raw) } else { redacted(&raw) };
            env.variables.insert(key, Variable { line, raw, shown });
        }
        env
    }

    /// The value, secrets in it replaced by `***`; `None` when the variable is not in the text. Empty values are kept.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.variable(key).map(|variable| variable.shown.as_str())
    }

    /// The line, from 1, that sets the variable.
    #[must_use]
    pub fn line_of(&self, key: &str) -> Option<u32> {
        self.variable(key).map(|variable| variable.line)
    }

    /// The names of all variables, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// Whether no variable was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    fn variable(&self, key: &str) -> Option<&Variable> {
        if self.windows { self.variables.get(&key.to_ascii_uppercase()) } else { self.variables.get(key) }
    }

    /// The first of the variables that is set and not empty, with its unredacted value.
    pub(super) fn first_raw<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &str)> {
        keys.iter().find_map(|key| {
            let raw = self.variable(key)?.raw.as_str();
            (!raw.is_empty()).then_some((*key, raw))
        })
    }

    /// The value when it is set and not empty: an empty variable is an unset one to Go.
    fn set(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// The entries of GOPROXY, that of the default when it is unset (cmd/go/internal/modfetch `proxyList`).
    #[must_use]
    pub fn goproxy(&self) -> Vec<GoProxyEntry> {
        let mut entries = Vec::new();
        let mut rest = self.set("GOPROXY").unwrap_or(DEFAULT_GOPROXY);
        while !rest.is_empty() {
            let end = rest.find([',', '|']).unwrap_or(rest.len());
            let (entry, after) = rest.split_at(end);
            let fallback = match after.chars().next() {
                Some('|') => Fallback::AnyError,
                Some(_) => Fallback::NotFound,
                None => Fallback::End,
            };
            rest = after.get(1..).unwrap_or_default();
            let source = match entry.trim() {
                "" => continue,
                "direct" => ModuleSource::Direct,
                "off" => ModuleSource::Off,
                url => module_proxy(url),
            };
            let last = matches!(source, ModuleSource::Direct | ModuleSource::Off);
            entries.push(GoProxyEntry { source, fallback: if last { Fallback::End } else { fallback } });
            if last {
                break;
            }
        }
        if let Some(last) = entries.last_mut() {
            last.fallback = Fallback::End;
        }
        entries
    }

    /// The hosts of the module proxies, lower case, in the order of GOPROXY.
    #[must_use]
    pub fn module_proxy_hosts(&self) -> Vec<String> {
        let urls = self.goproxy().into_iter().filter_map(|entry| match entry.source {
            ModuleSource::Proxy(url) => host_of_url(&url),
            _ => None,
        });
        let mut hosts: Vec<String> = Vec::new();
        for host in urls {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// GOPRIVATE, empty when unset.
    #[must_use]
    pub fn goprivate(&self) -> &str {
        self.set("GOPRIVATE").unwrap_or_default()
    }

    /// GONOPROXY, or GOPRIVATE in its place.
    #[must_use]
    pub fn gonoproxy(&self) -> &str {
        self.set("GONOPROXY").unwrap_or_else(|| self.goprivate())
    }

    /// GONOSUMDB, or GOPRIVATE in its place.
    #[must_use]
    pub fn gonosumdb(&self) -> &str {
        self.set("GONOSUMDB").unwrap_or_else(|| self.goprivate())
    }

    /// GOINSECURE, empty when unset.
    #[must_use]
    pub fn goinsecure(&self) -> &str {
        self.set("GOINSECURE").unwrap_or_default()
    }

    /// Whether the module is fetched from its version control system whatever GOPROXY says.
    #[must_use]
    pub fn bypasses_module_proxy(&self, module: &str) -> bool {
        pattern::matches_prefix(self.gonoproxy(), module)
    }

    /// Whether the checksum database is asked about the module. It always is about toolchains.
    #[must_use]
    pub fn uses_sumdb(&self, module: &str) -> bool {
        module == "golang.org/toolchain"
            || (self.gosumdb() != SumDb::Off && !pattern::matches_prefix(self.gonosumdb(), module))
    }

    /// GOSUMDB, that of the default when it is unset (cmd/go/internal/modfetch `dbDial`).
    #[must_use]
    pub fn gosumdb(&self) -> SumDb {
        let value = self.set("GOSUMDB").unwrap_or(DEFAULT_GOSUMDB);
        if value == "off" {
            return SumDb::Off;
        }
        if value == "sum.golang.google.cn" {
            let url = Some("https://sum.golang.google.cn".to_owned());
            return SumDb::On { name: DEFAULT_GOSUMDB.to_owned(), key: None, url };
        }
        let mut fields = value.split_whitespace();
        let first = fields.next().unwrap_or_default();
        let (name, key) = match first.split_once('+') {
            Some((name, _)) => (name, Some(first.to_owned())),
            None => (first, None),
        };
        SumDb::On { name: name.to_owned(), key, url: fields.next().map(str::to_owned) }
    }

    /// The host that the go command asks when it asks the checksum database itself.
    #[must_use]
    pub fn sumdb_host(&self) -> Option<String> {
        match self.gosumdb() {
            SumDb::Off => None,
            SumDb::On { url: Some(url), .. } => host_of_url(&url),
            SumDb::On { name, .. } => host_of_url(&format!("https://{name}")),
        }
    }

    /// The flags of GOFLAGS.
    #[must_use]
    pub fn goflags(&self) -> Vec<&str> {
        self.set("GOFLAGS").unwrap_or_default().split_whitespace().collect()
    }

    /// GODEBUG as keys and values; the last of equal keys counts.
    #[must_use]
    pub fn godebug(&self) -> BTreeMap<&str, &str> {
        self.set("GODEBUG").unwrap_or_default().split(',').filter_map(|pair| pair.trim().split_once('=')).collect()
    }

    /// GOTOOLCHAIN, `None` when unset (`auto` then, unless the distribution changed it).
    #[must_use]
    pub fn gotoolchain(&self) -> Option<&str> {
        self.set("GOTOOLCHAIN")
    }

    /// GOVERSION, which only `go env` prints.
    #[must_use]
    pub fn go_version(&self) -> Option<GoVersion> {
        GoVersion::parse(self.set("GOVERSION")?)
    }

    /// The proxy of http requests, and the variable that names it.
    #[must_use]
    pub fn http_proxy(&self) -> Option<(&'static str, ProxyUrl)> {
        self.proxy_variable(["HTTP_PROXY", "http_proxy"])
    }

    /// The proxy of https requests, and the variable that names it.
    #[must_use]
    pub fn https_proxy(&self) -> Option<(&'static str, ProxyUrl)> {
        self.proxy_variable(["HTTPS_PROXY", "https_proxy"])
    }

    fn proxy_variable(&self, keys: [&'static str; 2]) -> Option<(&'static str, ProxyUrl)> {
        let (key, value) = self.first_raw(&keys)?;
        Some((key, ProxyUrl::for_version(value, self.go_version())?))
    }

    /// `NO_PROXY` and the variable that sets it.
    #[must_use]
    pub fn no_proxy(&self) -> Option<(&'static str, &str)> {
        ["NO_PROXY", "no_proxy"].into_iter().find_map(|key| Some((key, self.set(key)?)))
    }

    /// `SSL_CERT_FILE`: replaces Go's list of bundle files.
    #[must_use]
    pub fn ssl_cert_file(&self) -> Option<&str> {
        self.set("SSL_CERT_FILE")
    }

    /// `SSL_CERT_DIR`, split at colons: replaces Go's list of directories.
    #[must_use]
    pub fn ssl_cert_dirs(&self) -> Vec<&str> {
        self.set("SSL_CERT_DIR").map(|dirs| dirs.split(':').collect()).unwrap_or_default()
    }
}

/// Names and redacted values.
impl fmt::Debug for GoEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.variables.iter().map(|(key, variable)| (key, &variable.shown))).finish()
    }
}

/// A GOPROXY entry that is neither `direct` nor `off`.
fn module_proxy(entry: &str) -> ModuleSource {
    let url = if entry.contains(['.', ':', '/']) && !entry.contains(":/") && !entry.starts_with('/') {
        format!("https://{entry}")
    } else {
        entry.to_owned()
    };
    match url.split_once(':') {
        Some((scheme, _)) if matches!(scheme.to_ascii_lowercase().as_str(), "https" | "http" | "file") => {
            ModuleSource::Proxy(url)
        }
        _ => ModuleSource::Invalid(url),
    }
}

fn is_proxy_variable(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    key.ends_with("_PROXY") && key != "NO_PROXY"
}

/// Variables whose very name says that the value is a secret.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    const WORDS: [&str; 7] = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "APIKEY", "_KEY"];
    WORDS.iter().any(|word| key.contains(word)) || key == "NETRC"
}

/// A proxy's address without what stands before its last `@`.
fn without_userinfo(value: &str) -> String {
    let Some((before, host)) = value.rsplit_once('@') else { return value.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://***@{host}"),
        None => format!("***@{host}"),
    }
}

#[cfg(test)]
mod tests;
