//! Which requests of Go go through a proxy: golang.org/x/net/http/httpproxy, rule by rule.
//!
//! Up to Go 1.22 only http, https and socks5 were known schemes; up to 1.23.6 and 1.24.0 domain rules of `NO_PROXY` also
//! matched the text of IP addresses with zones (CVE-2025-22870). Without a known version the newer rules hold.

pub mod idna;
pub mod misread;
pub mod no_proxy;
pub mod url;

use super::advice::GoVersion;
use super::env::GoEnv;
use no_proxy::{NoProxy, NoProxyRule, Target};
pub use url::ProxyUrl;

/// Go's choice for one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The target is dialled itself.
    Direct {
        /// Why no proxy is used.
        because: DirectBecause,
    },
    /// The request goes to a proxy.
    Via {
        /// Which.
        url: ProxyUrl,
        /// The variable that says so, in the spelling that is set.
        variable: &'static str,
    },
    /// Go refuses the request: `HTTP_PROXY` in a CGI environment (`REQUEST_METHOD` is set).
    Refused {
        /// The variable that is refused.
        variable: &'static str,
    },
}

/// Why a request goes direct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectBecause {
    /// No proxy variable is set for this scheme.
    NotSet,
    /// The variable's value is no URL even with `http://` in front; Go ignores it without a word.
    Unreadable {
        /// The variable.
        variable: &'static str,
    },
    /// `localhost` and loopback addresses are never proxied.
    Loopback,
    /// A rule of `NO_PROXY`.
    Rule(NoProxyRule),
}

/// One proxy variable as it was understood.
#[derive(Clone, Debug)]
struct Setting {
    variable: &'static str,
    url: Option<ProxyUrl>,
}

/// Go's proxy decision for one environment.
#[derive(Clone, Debug)]
pub struct ProxyFunc {
    http: Option<Setting>,
    https: Option<Setting>,
    no_proxy: NoProxy,
    cgi: bool,
    version: Option<GoVersion>,
}

impl ProxyFunc {
    /// From `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, their lower-case twins, `REQUEST_METHOD`, and GOVERSION where the
    /// environment names one.
    #[must_use]
    pub fn from_env(env: &GoEnv) -> Self {
        Self::for_version(env, env.go_version())
    }

    /// The same for a version of Go that is known from elsewhere.
    #[must_use]
    pub fn for_version(env: &GoEnv, version: Option<GoVersion>) -> Self {
        let setting = |upper: &'static str, lower: &'static str| {
            let (variable, value) = env.first_raw(&[upper, lower])?;
            Some(Setting { variable, url: ProxyUrl::for_version(value, version) })
        };
        Self {
            http: setting("HTTP_PROXY", "http_proxy"),
            https: setting("HTTPS_PROXY", "https_proxy"),
            no_proxy: NoProxy::parse(env.no_proxy().map_or("", |(_, value)| value)),
            cgi: env.first_raw(&["REQUEST_METHOD"]).is_some(),
            version,
        }
    }

    /// Whether a request to `scheme://host:port` is proxied. `host` is a name or an address, with or without brackets;
    /// port 0 stands for the scheme's own.
    #[must_use]
    pub fn proxy_for(&self, scheme: &str, host: &str, port: u16) -> Decision {
        let (setting, default_port) = match scheme {
            "https" => (&self.https, 443),
            "http" => (&self.http, 80),
            _ => (&None, 0),
        };
        let Some(setting) = setting else {
            return Decision::Direct { because: DirectBecause::NotSet };
        };
        let variable = setting.variable;
        let Some(url) = &setting.url else {
            return Decision::Direct { because: DirectBecause::Unreadable { variable } };
        };
        if scheme == "http" && self.cgi {
            return Decision::Refused { variable };
        }
        let target = Target::new(host, if port == 0 { default_port } else { port }, self.version);
        if target.is_loopback() {
            return Decision::Direct { because: DirectBecause::Loopback };
        }
        match self.no_proxy.matching(&target) {
            Some(rule) => Decision::Direct { because: DirectBecause::Rule(rule.clone()) },
            None => Decision::Via { url: url.clone(), variable },
        }
    }

    /// The rules of `NO_PROXY` as Go understands them.
    #[must_use]
    pub const fn no_proxy(&self) -> &NoProxy {
        &self.no_proxy
    }

    /// The proxies that the variables name, that of https first, each with its variable.
    pub fn proxies(&self) -> impl Iterator<Item = (&'static str, &ProxyUrl)> {
        [&self.https, &self.http]
            .into_iter()
            .flatten()
            .filter_map(|setting| Some((setting.variable, setting.url.as_ref()?)))
    }

    /// The variables whose value is set and unreadable.
    pub fn unreadable(&self) -> impl Iterator<Item = &'static str> {
        [&self.https, &self.http]
            .into_iter()
            .flatten()
            .filter(|setting| setting.url.is_none())
            .map(|setting| setting.variable)
    }
}

#[cfg(test)]
mod tests;
