//! The proxies that go uses, as its environment or its own words name them.

use std::net::{IpAddr, SocketAddr};

use crate::finding::{Evidence, Subject};
use crate::go::GoErrorKind;
use crate::go::log::GoError;
use crate::observation::{Case, Connection, Handshake, Outcome};

/// A proxy, with the connections to it.
pub(super) struct Proxy<'c> {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// The scheme that is set for it; unknown without the environment.
    pub(super) scheme: Option<String>,
    /// The variable that names it, or the one that most often does.
    pub(super) variable: &'static str,
    pub(super) connections: Vec<&'c Connection>,
    /// What names it: a variable or a line of go's output.
    pub(super) named_by: Evidence,
}

/// The proxies of the environment; without an environment those that go's errors are about.
pub(super) fn proxies(case: &Case) -> Vec<Proxy<'_>> {
    let Some(env) = &case.go.env else { return from_words(case) };
    let function = crate::go::proxy::ProxyFunc::for_version(env, case.go.version);
    let mut proxies: Vec<Proxy<'_>> = Vec::new();
    for (variable, url) in function.proxies() {
        let (host, port) = (url.host().to_ascii_lowercase(), Some(url.port()));
        if proxies.iter().any(|known| known.host == host && known.port == port) {
            continue;
        }
        let connections = connections(case, &host, port);
        let scheme = Some(url.scheme().to_owned());
        let named_by = Evidence::variable(variable, format!("{}://{host}:{}", url.scheme(), url.port()));
        proxies.push(Proxy { host, port, scheme, variable, connections, named_by });
    }
    proxies
}

fn from_words(case: &Case) -> Vec<Proxy<'_>> {
    let mut proxies: Vec<Proxy<'_>> = Vec::new();
    for error in case.go.errors().iter().filter(|error| error.is_about_proxy()) {
        let named = error.proxy.as_deref().and_then(|proxy| proxy.rsplit_once(':'));
        let spoken = || {
            // "proxyconnect tcp: tls: first record does not look like a TLS handshake" names nobody.
            matches!(error.kind.innermost(), GoErrorKind::NotTlsRecord | GoErrorKind::HttpResponseToHttpsClient)
                .then(|| far_end_without_tls(case))
                .flatten()
        };
        let (host, port) = match (named, &error.lookup, error.address.or_else(spoken)) {
            (Some((host, port)), ..) => (host.to_ascii_lowercase(), port.parse().ok()),
            (None, Some(name), address) => (name.clone(), address.map(|address| address.port())),
            (None, None, Some(address)) => (address.ip().to_string(), Some(address.port())),
            (None, None, None) => continue,
        };
        if proxies.iter().any(|known| known.host == host && known.port == port) {
            continue;
        }
        let connections = connections(case, &host, port);
        let named_by = Evidence::log(error.line, error.text.clone());
        proxies.push(Proxy { host, port, scheme: None, variable: "HTTPS_PROXY", connections, named_by });
    }
    proxies
}

fn far_end_without_tls(case: &Case) -> Option<SocketAddr> {
    let spoken = |handshake: &&Handshake| handshake.outcome == Outcome::NotTls && handshake.tunnel.is_none();
    let handshake = case.handshakes.iter().find(spoken)?;
    case.connection(handshake.flow).map(|connection| connection.server)
}

fn connections<'c>(case: &'c Case, host: &str, port: Option<u16>) -> Vec<&'c Connection> {
    let Some(port) = port else { return Vec::new() };
    let literal: Option<IpAddr> = host.parse().ok();
    case.connections
        .iter()
        .filter(|connection| connection.server.port() == port)
        .filter(|connection| {
            connection.names.iter().any(|name| name == host)
                || literal.is_some_and(|address| address == connection.server.ip())
        })
        .collect()
}

impl Proxy<'_> {
    /// Whether an error of go's is about this proxy, as far as its text says.
    pub(super) fn is_meant_by(&self, error: &GoError) -> bool {
        if !error.is_about_proxy() {
            return false;
        }
        match (error.proxy.as_deref(), error.address) {
            (Some(named), _) => named.eq_ignore_ascii_case(&self.called()),
            // A name's address is not known here; the port tells.
            (None, Some(address)) => {
                self.port == Some(address.port())
                    && self.host.parse::<IpAddr>().map_or(true, |known| known == address.ip())
            }
            (None, None) => false,
        }
    }

    pub(super) fn subject(&self) -> Subject {
        Subject {
            host: Some(self.host.clone()).filter(|host| host.parse::<IpAddr>().is_err()),
            address: self
                .connections
                .first()
                .map(|connection| connection.server.ip())
                .or_else(|| self.host.parse().ok()),
            port: self.port,
            module: None,
        }
    }

    /// Host and port, as one writes them.
    pub(super) fn called(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}
