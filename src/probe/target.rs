//! From what the user names to the hosts that go would contact for it, under go's present settings.

use std::fmt;
use std::net::IpAddr;

use crate::go::env::{DEFAULT_GOSUMDB, Fallback, GoEnv, ModuleSource, SumDb};
use crate::go::pattern::matching_pattern;
use crate::go::proxy::{Decision, DirectBecause, ProxyFunc, ProxyUrl};
use crate::go::resolv::{ResolvConf, in_hosts_file};
use crate::reference::Reference;

/// The machine's settings, as go reads them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its environment and what `go env` says.
    pub env: GoEnv,
    /// resolv.conf.
    pub resolv: ResolvConf,
    /// Text of the hosts file.
    pub hosts: String,
    /// There is a way for IPv6 from this machine, and none for IPv4: others are asked over IPv6.
    pub ipv6_only: bool,
}

/// What the user wants to know about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A module, by its path; its version says nothing about hosts.
    Module(String),
    /// A URL, of a module proxy for one.
    Url {
        /// `https` or `http`.
        secure: bool,
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A host.
    Host {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// It is neither a module path, nor a URL, nor a host.
    #[error("{0:?} is no module path, no http or https URL and no host name")]
    Unreadable(String),
}

/// What a host is to the download.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Role {
    /// It was named itself.
    Named,
    /// A module proxy of GOPROXY.
    ModuleProxy,
    /// Where a module proxy is known to redirect downloads to.
    Storage,
    /// The checksum database.
    ChecksumDatabase,
    /// The module's own host, for `direct`.
    Origin,
    /// Where Go's own releases come from.
    Toolchain,
    /// The proxy of `HTTPS_PROXY` or `HTTP_PROXY`.
    HttpProxy,
}

/// A host that go would contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its name, lower-case, without trailing dot; or an address.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// TLS is spoken there.
    pub secure: bool,
    /// What it is to the download; the first reason, where there are several.
    pub role: Role,
    /// The HTTP proxy through which it is reached, as host and port: then its name is not resolved here.
    pub via: Option<(String, u16)>,
    /// That proxy takes requests for tunnels in clear, not over TLS or SOCKS.
    pub in_clear: bool,
    /// The HTTP proxy that NO_PROXY keeps the host from, as host and port.
    pub passed_by: Option<(String, u16)>,
    /// Why strangers must not be told of it.
    pub private: Option<Private>,
    /// Addresses that are known without asking: its own, or a recording's.
    pub addresses: Vec<IpAddr>,
    /// Addresses of the hosts file, which go before all others.
    pub overridden: Vec<IpAddr>,
}

/// Why a name is not put before public resolvers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Private {
    /// It is an address.
    Address,
    /// It has one label: a name of the local network.
    SingleLabel,
    /// A pattern in a variable of go's covers it.
    Pattern {
        /// `GOPRIVATE`, for one.
        variable: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// It lies below a search domain of resolv.conf.
    SearchDomain(String),
    /// It ends as names outside of the public DNS do (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
    SpecialUse(&'static str),
    /// A setting names it, nobody asked for it, and the rules do not know it.
    Unknown,
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("it is an address"),
            Self::SingleLabel => f.write_str("it has one label only"),
            Self::Pattern { variable, pattern } => write!(f, "{variable} covers it with {pattern:?}"),
            Self::SearchDomain(domain) => write!(f, "it lies below the search domain {domain}"),
            Self::SpecialUse(suffix) => write!(f, "names below {suffix:?} are never public"),
            Self::Unknown => f.write_str("the rules do not know it"),
        }
    }
}

/// Ends of names that the public DNS does not have; the last few are not reserved, but custom.
const SPECIAL_USE: &[&str] = &[
    "local",
    "localhost",
    "home.arpa",
    "internal",
    "invalid",
    "onion",
    "alt",
    "lan",
    "corp",
    "home",
    "intranet",
    "private",
    "localdomain",
];

impl Private {
    /// Whether there is a reason not to tell strangers of a name. `asked_for` says that the user gave the name itself, so
    /// that nobody need know it from the rules.
    #[must_use]
    pub fn of(name: &str, settings: &Settings, reference: &Reference, asked_for: bool) -> Option<Self> {
        if name.parse::<IpAddr>().is_ok() {
            return Some(Self::Address);
        }
        if !name.contains('.') {
            return Some(Self::SingleLabel);
        }
        let env = &settings.env;
        let lists = ["GOPRIVATE", "GONOPROXY", "GONOSUMDB"];
        for (variable, list) in lists.into_iter().filter_map(|variable| Some((variable, env.get(variable)?))) {
            // A pattern with a path is about modules of that host, and names the host.
            let covers = |pattern: &&str| {
                let host = pattern.trim().split('/').next().unwrap_or_default();
                matching_pattern(host, name).is_some()
            };
            if let Some(pattern) = list.split(',').find(covers) {
                // One organisation at a public host does not make the host's own name a secret.
                if pattern.contains('/') && reference.host(name).is_some() {
                    continue;
                }
                return Some(Self::Pattern { variable, pattern: pattern.to_owned() });
            }
        }
        let below = |suffix: &str| name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
        if reference.host(name).is_some() {
            return None;
        }
        if let Some(suffix) = SPECIAL_USE.iter().find(|suffix| below(suffix)) {
            return Some(Self::SpecialUse(suffix));
        }
        if let Some(domain) = settings.resolv.search.iter().find(|domain| below(domain)) {
            return Some(Self::SearchDomain(domain.clone()));
        }
        (!asked_for).then_some(Self::Unknown)
    }
}

impl Target {
    /// Reads what stands on the command line: `https://…`, `module/path`, `module/path@version`, `host`, `host:port`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        let wrong = || TargetError::Unreadable(without_credentials(text).chars().take(200).collect());
        if let Some((scheme, rest)) = text.split_once("://") {
            let secure = match scheme.to_ascii_lowercase().as_str() {
                "https" => true,
                "http" => false,
                _ => return Err(wrong()),
            };
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let (host, port) = host_and_port(authority).ok_or_else(wrong)?;
            return Ok(Self::Url { secure, host, port: port.unwrap_or(if secure { 443 } else { 80 }) });
        }
        let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
        if path.contains('/') || version.is_some() {
            let host = path.split('/').next().unwrap_or_default();
            // A first element without a dot is of the standard library's kind (cmd/go, `search.IsStandardImportPath`).
            let is_path = path.split('/').all(|element| !element.is_empty()) && is_name(host) && host.contains('.');
            return if is_path { Ok(Self::Module(path.to_owned())) } else { Err(wrong()) };
        }
        let (host, port) = host_and_port(text).ok_or_else(wrong)?;
        Ok(Self::Host { host, port: port.unwrap_or(443) })
    }

    /// The hosts that go would contact for it, each once, in the order in which go would.
    #[must_use]
    pub fn hosts(&self, settings: &Settings, reference: &Reference) -> Vec<Host> {
        let mut hosts = Hosts { settings, reference, list: Vec::new() };
        match self {
            Self::Url { secure, host, port } => hosts.add(host, *port, *secure, Role::Named, true),
            Self::Host { host, port } => hosts.add(host, *port, *port != 80, Role::Named, true),
            Self::Module(path) => hosts.of_module(path),
        }
        hosts.list
    }
}

/// The hosts of a recording that are asked about, each with the addresses at which go met it. Nobody named them here: what
/// the rules do not know is private.
#[must_use]
pub fn of_recording(
    hosts: impl IntoIterator<Item = (String, u16, Vec<IpAddr>)>,
    settings: &Settings,
    reference: &Reference,
) -> Vec<Host> {
    let mut found = Hosts { settings, reference, list: Vec::new() };
    for (name, port, addresses) in hosts {
        found.add(&name, port, port != 80, Role::Named, false);
        for host in found.list.iter_mut().filter(|host| host.name == name) {
            host.addresses.extend(addresses.iter().copied());
        }
    }
    found.list
}

/// Hosts as they are found.
struct Hosts<'a> {
    settings: &'a Settings,
    reference: &'a Reference,
    list: Vec<Host>,
}

impl Hosts<'_> {
    fn add(&mut self, name: &str, port: u16, secure: bool, role: Role, asked_for: bool) {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if self.list.iter().any(|known| known.name == name && known.port == port) {
            return;
        }
        let private = Private::of(&name, self.settings, self.reference, asked_for);
        let scheme = if secure { "https" } else { "http" };
        let proxies = ProxyFunc::from_env(&self.settings.env);
        let place = |url: &ProxyUrl| (url.host().to_ascii_lowercase(), url.port());
        let (mut via, mut passed_by, mut proxy) = (None, None, None);
        if role != Role::HttpProxy {
            match proxies.proxy_for(scheme, &name, port) {
                Decision::Via { url, .. } => {
                    via = Some(place(&url));
                    proxy = Some(url);
                }
                Decision::Direct { because: DirectBecause::Rule(_) } => {
                    let wanted = |variable: &str| variable.eq_ignore_ascii_case(&format!("{scheme}_proxy"));
                    let set = proxies.proxies().find(|(variable, url)| wanted(variable) && url.scheme() == "http");
                    proxy = set.map(|(_, url)| url.clone());
                    passed_by = proxy.as_ref().map(place);
                }
                _ => {}
            }
        }
        self.list.push(Host {
            addresses: name.parse().ok().into_iter().collect(),
            overridden: in_hosts_file(&self.settings.hosts, &name),
            in_clear: proxy.as_ref().is_some_and(|url| url.scheme() == "http"),
            name,
            port,
            secure,
            role,
            via,
            passed_by,
            private,
        });
        if let Some(url) = proxy {
            let (host, port) = place(&url);
            self.add(&host, port, url.scheme() == "https", Role::HttpProxy, false);
        }
    }

    /// cmd/go: the module proxies in their order, the checksum database, and for `direct` the module's own host.
    fn of_module(&mut self, path: &str) {
        let env = self.settings.env.clone();
        let origin = path.split('/').next().unwrap_or_default();
        let direct_only = env.bypasses_module_proxy(path);
        let mut direct = direct_only;
        if !direct_only {
            for entry in env.goproxy() {
                match entry.source {
                    ModuleSource::Proxy(url) => self.module_proxy(&url),
                    ModuleSource::Direct => direct = true,
                    ModuleSource::Off | ModuleSource::Invalid(_) => break,
                }
                if entry.fallback == Fallback::End {
                    break;
                }
            }
        }
        // Under GOPROXY=off nothing comes that would have to be verified.
        let off = !direct && self.list.is_empty();
        if env.uses_sumdb(path) && !off {
            match env.gosumdb() {
                SumDb::On { name, url, .. } => self.sumdb(&name, url),
                // cmd/go: what toolchains are is verified whatever GOSUMDB says.
                SumDb::Off => self.sumdb(DEFAULT_GOSUMDB, None),
            }
        }
        if direct {
            // What stands in a module path goes to public resolvers only where go would tell a public proxy of it, too.
            self.add(origin, 443, true, Role::Origin, !direct_only);
        }
        if path == "golang.org/toolchain" && direct {
            self.add("go.dev", 443, true, Role::Toolchain, false);
            self.add("dl.google.com", 443, true, Role::Toolchain, false);
        }
    }

    fn module_proxy(&mut self, url: &str) {
        if let Ok(Target::Url { secure, host, port }) = Target::parse(url) {
            self.add(&host, port, secure, Role::ModuleProxy, false);
            // golang/go#68412: zips come by redirect.
            if host == "proxy.golang.org" {
                self.add("storage.googleapis.com", 443, true, Role::Storage, false);
            }
        }
    }

    fn sumdb(&mut self, name: &str, url: Option<String>) {
        let url = url.unwrap_or_else(|| format!("https://{name}"));
        if let Ok(Target::Url { secure, host, port }) = Target::parse(&url) {
            self.add(&host, port, secure, Role::ChecksumDatabase, false);
        }
    }
}

/// What may be shown of a text that may be a URL: what stands before `@` may hold a password.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, _)| text.split_at(scheme.len() + 3));
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') || !scheme.is_empty() => format!("{scheme}…@{host}"),
        _ => text.to_owned(),
    }
}

/// `host`, `host:port`, `[address]:port`, or an address.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address: std::net::Ipv6Addr = address.parse().ok()?;
            (address.to_string(), if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (is_name(host).then(|| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())?, port)
        }
    };
    let port = port.map(str::parse::<u16>).transpose().ok()?;
    (port != Some(0)).then_some((host, port))
}

/// A host name of letters, digits, hyphens and underscores (RFC 1123 §2.1, and what is found in use).
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(env: &str) -> Settings {
        Settings {
            env: GoEnv::parse(env),
            resolv: ResolvConf::parse("search corp.example\n"),
            hosts: String::new(),
            ipv6_only: false,
        }
    }

    fn hosts(target: &str, env: &str) -> Vec<String> {
        let reference = Reference::builtin().unwrap();
        let hosts = Target::parse(target).unwrap().hosts(&settings(env), &reference);
        hosts
            .iter()
            .map(|host| {
                let via = host.via.as_ref().map(|(host, port)| format!(" via {host}:{port}")).unwrap_or_default();
                let private = if host.private.is_some() { " private" } else { "" };
                format!("{}:{} {:?}{via}{private}", host.name, host.port, host.role)
            })
            .collect()
    }

    #[test]
    fn a_module_needs_its_proxies_the_checksum_database_and_its_own_host() {
        assert_eq!(
            hosts("rsc.io/quote@v1.5.2", ""),
            [
                "proxy.golang.org:443 ModuleProxy",
                "storage.googleapis.com:443 Storage",
                "sum.golang.org:443 ChecksumDatabase",
                "rsc.io:443 Origin"
            ]
        );
    }

    #[test]
    fn what_never_comes_to_direct_does_not_ask_the_modules_host() {
        assert_eq!(hosts("rsc.io/quote", "GOPROXY=https://goproxy.cn\nGOSUMDB=off\n"), ["goproxy.cn:443 ModuleProxy"]);
        assert_eq!(
            hosts("rsc.io/quote", "GOPROXY=http://mirror.corp.example:8081/go,off\nGOSUMDB=off\n"),
            ["mirror.corp.example:8081 ModuleProxy private"]
        );
    }

    #[test]
    fn a_private_module_goes_to_its_own_host_alone() {
        let env = "GOPRIVATE=git.example.net/team,*.secret.example\n";
        assert_eq!(hosts("git.example.net/team/mod", env), ["git.example.net:443 Origin private"]);
        assert_eq!(hosts("a.secret.example/mod", env), ["a.secret.example:443 Origin private"]);
        // One organisation is private, its host is as public as ever.
        assert_eq!(hosts("github.com/corp/mod", "GOPRIVATE=github.com/corp\n"), ["github.com:443 Origin"]);
    }

    #[test]
    fn a_proxy_stands_before_the_hosts_and_is_none_of_strangers_business() {
        assert_eq!(
            hosts("rsc.io/quote", "HTTPS_PROXY=http://u:p@squid.corp:3128\nNO_PROXY=.golang.org\nGOSUMDB=off\n"),
            [
                "proxy.golang.org:443 ModuleProxy",
                "squid.corp:3128 HttpProxy private",
                "storage.googleapis.com:443 Storage via squid.corp:3128",
                "rsc.io:443 Origin via squid.corp:3128"
            ]
        );
    }

    #[test]
    fn what_the_user_names_need_not_be_known_but_may_be_private() {
        assert_eq!(hosts("https://goproxy.example.net:8443/x?y", ""), ["goproxy.example.net:8443 Named"]);
        for private in ["nexus", "mirror.corp.example", "nas.local", "10.0.0.9", "[2001:db8::1]:8443"] {
            assert!(hosts(private, "")[0].ends_with("private"), "{private}");
        }
        assert!(hosts("goproxy.example.net", "GONOPROXY=goproxy.example.net")[0].ends_with("private"));
    }

    #[test]
    fn the_toolchain_has_hosts_of_its_own() {
        assert_eq!(
            hosts("golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64", "GOPROXY=direct\nGOSUMDB=off\n"),
            [
                "sum.golang.org:443 ChecksumDatabase",
                "golang.org:443 Origin",
                "go.dev:443 Toolchain",
                "dl.google.com:443 Toolchain"
            ]
        );
    }

    #[test]
    fn passwords_are_not_repeated() {
        for text in ["user:s3cret@goproxy.io", "ftp://user:s3cret@goproxy.io/x", "https://user:s3/cret@goproxy.io"] {
            let said = Target::parse(text).unwrap_err().to_string();
            assert!(!said.contains("cret") && said.contains("goproxy.io"), "{said}");
        }
        assert!(Target::parse("a b@v1").unwrap_err().to_string().contains("a b@v1"));
    }

    #[test]
    fn go_that_may_ask_nobody_asks_nobody() {
        assert_eq!(hosts("rsc.io/quote", "GOPROXY=off\n"), Vec::<String>::new());
        assert_eq!(hosts("rsc.io/quote", "GOPROXY=off\nGOPRIVATE=rsc.io\n").len(), 1);
    }

    #[test]
    fn the_proxy_that_no_proxy_keeps_a_host_from_is_remembered() {
        let reference = Reference::builtin().unwrap();
        let of = |env| Target::parse("proxy.golang.org").unwrap().hosts(&settings(env), &reference);
        let kept = of("HTTPS_PROXY=http://squid:3128\nNO_PROXY=golang.org\n");
        assert_eq!((kept[0].via.clone(), kept[0].passed_by.clone()), (None, Some(("squid".to_owned(), 3128))));
        assert!(kept.iter().any(|host| host.role == Role::HttpProxy));
        let socks = of("HTTPS_PROXY=socks5://squid:1080\n");
        assert!(socks[0].via.is_some() && !socks[0].in_clear);
        assert_eq!(of("NO_PROXY=golang.org\n")[0].passed_by, None);
    }

    #[test]
    fn what_is_nothing_is_refused() {
        for wrong in [
            "-x",
            "x-.example",
            "",
            "ftp://x.example",
            "https://",
            "a//b",
            "./local",
            "fmt/x",
            "host:0",
            "host:99999",
            "x y",
            "a@",
            "[::1",
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            Target::parse("Proxy.Golang.org.").unwrap(),
            Target::Host { host: "proxy.golang.org".into(), port: 443 }
        );
    }
}
