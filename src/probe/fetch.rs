//! Files asked of a mirror over HTTP/1.1: a few connections that are kept, one request after the other on each.
//!
//! As go does, proxies are taken from the environment, and as everywhere in goprobe certificates are judged by its own rules.
//! Redirections are not followed, since nobody but the host that was named is to be asked; credentials are not sent.

mod connection;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use connection::{Connection, Stream};

use super::chain::{connect, tunnel};
use super::run::ProbeError;
use super::tls::{client, failure};
use crate::certificate::Roots;
use crate::go::env::GoEnv;
use crate::go::proxy::{Decision, ProxyFunc};
use crate::observation::probe::Failure;

/// Connections that are open at the same time.
const AT_ONCE: usize = 6;
/// So many failures in a row say what further questions would.
const ENOUGH: usize = 6;
/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 3;

/// What a mirror may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes of one answer's body.
    pub bytes: usize,
    /// Time for one answer, with all that it takes to reach the server.
    pub answer: Duration,
    /// Time for all of them.
    pub all: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 20_000, bytes: 1 << 20, answer: Duration::from_secs(15), all: Duration::from_secs(300) }
    }
}

/// Why a URL cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// It is none of these.
    #[error("not a URL that can be asked: https://HOST/PATH or http://HOST/PATH is")]
    Url,
    /// Credentials belong on no command line.
    #[error("a URL with user name or password, which goprobe does not send")]
    Credentials,
}

/// Why a file did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfetched {
    /// 404 or 410: the server knows of no such file.
    #[error("the server has no such file (it answers {0})")]
    NotThere(u16),
    /// Any other status.
    #[error("the server answers {0}")]
    Status(u16),
    /// A redirection, with where it leads.
    #[error("the server answers {0} and sends to {1}, which is not followed")]
    Redirected(u16, String),
    /// A page for people in the place of the file.
    #[error("an HTML page came in its place")]
    Page,
    /// More bytes than a file may have.
    #[error("the answer is longer than it may be")]
    Long,
    /// It is not HTTP, or not to be read.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// The server, or the proxy before it, could not be reached, or fell silent.
    #[error("the server could not be asked: {0}")]
    Failed(Failure),
    /// A proxy of a kind that is not spoken to.
    #[error("not asked: goprobe does not speak to the proxy {0}")]
    Proxy(String),
    /// The server left the questions before without an answer.
    #[error("not asked: the server did not answer what was asked before")]
    Silent,
    /// The limits are reached.
    #[error("not asked: the limit of time or requests is reached")]
    Limit,
}

/// A server that has files.
#[derive(Debug)]
pub struct Mirror {
    shared: Arc<Shared>,
    until: Option<Instant>,
    /// How many requests were sent.
    pub requests: usize,
    /// How many bytes of bodies came.
    pub received: usize,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    https: bool,
    host: String,
    port: Option<u16>,
    /// Without its last slash.
    path: String,
    way: Decision,
    roots: Roots,
    limits: Limits,
    state: Mutex<State>,
}

/// How far it is.
#[derive(Debug, Default)]
struct State {
    wanted: VecDeque<(usize, String)>,
    done: Vec<(usize, Result<Vec<u8>, Unfetched>)>,
    /// Since the last answer.
    failures: usize,
}

impl Mirror {
    /// Takes a URL beneath which the files lie. Nothing is asked yet.
    ///
    /// # Errors
    /// [`MirrorError`].
    pub fn new(url: &str, env: &GoEnv, roots: Roots, limits: Limits) -> Result<Self, MirrorError> {
        let (scheme, rest) = url.split_once("://").ok_or(MirrorError::Url)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(MirrorError::Url),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(MirrorError::Credentials);
        }
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| MirrorError::Url)?)),
            None => (authority, None),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = address.unwrap_or(host).to_ascii_lowercase();
        let is_name = address.is_none()
            && !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let path = path.trim_end_matches('/');
        if !(is_name || host.parse::<IpAddr>().is_ok()) || !is_path(path) {
            return Err(MirrorError::Url);
        }
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let way = ProxyFunc::from_env(env).proxy_for(if https { "https" } else { "http" }, &host, port.unwrap_or(0));
        let state = Mutex::default();
        let shared = Shared { https, host, port, path, way, roots, limits, state };
        Ok(Self { shared: Arc::new(shared), until: None, requests: 0, received: 0 })
    }

    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The proxy in between, if the environment names one for this host.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        match &self.shared.way {
            Decision::Via { url, .. } => Some(url.to_string()),
            _ => None,
        }
    }

    /// Asks for files by their paths beneath the URL, without a slash in front, and gives what came in the same order.
    ///
    /// # Errors
    /// When nothing can be asked at all. That nobody answers is an answer.
    pub fn fetch(&mut self, paths: &[String]) -> Result<Vec<Result<Vec<u8>, Unfetched>>, ProbeError> {
        let left = self.shared.limits.requests.saturating_sub(self.requests);
        {
            let mut state = self.shared.state();
            state.wanted = paths.iter().take(left).cloned().enumerate().collect();
            state.done.clear();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ProbeError::Start)?;
        runtime.block_on(async {
            let now = Instant::now();
            let until = *self.until.get_or_insert(now.checked_add(self.shared.limits.all).unwrap_or(now));
            let mut workers = JoinSet::new();
            for _ in 0..AT_ONCE.min(paths.len()) {
                workers.spawn(work(Arc::clone(&self.shared)));
            }
            let _ = timeout_at(until, async { while workers.join_next().await.is_some() {} }).await;
        });
        // The system's resolver cannot be told to stop.
        runtime.shutdown_background();
        let mut state = self.shared.state();
        self.requests = self.requests.saturating_add(state.done.len());
        let silent = state.failures >= ENOUGH;
        let mut results: Vec<Result<Vec<u8>, Unfetched>> =
            paths.iter().map(|_| Err(if silent { Unfetched::Silent } else { Unfetched::Limit })).collect();
        for (index, result) in state.done.drain(..) {
            self.received = self.received.saturating_add(result.as_ref().map_or(0, Vec::len));
            if let Some(place) = results.get_mut(index) {
                *place = result;
            }
        }
        Ok(results)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Host and port as a URL and a request have them.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// A connection that requests can be sent on.
    async fn connect(&self) -> Result<Connection, Unfetched> {
        let stream = match &self.way {
            Decision::Direct { .. } => dial(&self.host, self.port()).await?,
            Decision::Via { url, .. } if url.scheme() == "http" => {
                let mut stream = dial(url.host(), url.port()).await?;
                if self.https {
                    let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
                    tunnel(&mut stream, &host, self.port()).await.map_err(Unfetched::Failed)?;
                }
                stream
            }
            Decision::Via { url, .. } => return Err(Unfetched::Proxy(url.to_string())),
            Decision::Refused { variable } => return Err(Unfetched::Proxy(format!("of {variable}, as go does not"))),
        };
        let stream: Box<dyn Stream> = if self.https { self.secured(stream).await? } else { Box::new(stream) };
        Ok(Connection::new(stream))
    }

    async fn secured(&self, stream: TcpStream) -> Result<Box<dyn Stream>, Unfetched> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Unfetched::Failed(Failure::Other("not a name that TLS can ask for".to_owned())))?;
        let (config, _) = client(&["http/1.1"], Some(self.roots.clone())).map_err(Unfetched::Failed)?;
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Unfetched::Failed(match failure(&error) {
                Failure::WrongServer(_) => Failure::WrongServer(
                    "its certificate is not for this host, or of no authority that is known (--ca adds one)".to_owned(),
                ),
                other => other,
            })),
        }
    }

    fn request(&self, path: &str) -> String {
        let authority = self.authority();
        // A proxy is told the whole URL (RFC 9112 §3.2.2).
        let absolute = !self.https && matches!(self.way, Decision::Via { .. });
        let origin = if absolute { format!("http://{authority}") } else { String::new() };
        format!(
            "GET {origin}{}/{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: goprobe/{}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n",
            self.path,
            env!("CARGO_PKG_VERSION")
        )
    }

    /// One file. The connection stays for the next one if it can.
    async fn one(&self, kept: &mut Option<Connection>, path: &str) -> Result<Vec<u8>, Unfetched> {
        if !is_path(path) {
            return Err(Unfetched::Malformed("not a path that can be asked for"));
        }
        let request = self.request(path);
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let again = connection.used();
            match connection.exchange(&request, self.limits.bytes).await {
                Ok((answer, reusable)) => {
                    *kept = reusable.then_some(connection);
                    return answer;
                }
                // A kept connection may have been closed meanwhile.
                Err(Unfetched::Failed(Failure::Closed | Failure::Reset)) if again => {}
                Err(why) => return Err(why),
            }
        }
    }
}

/// Asks for one file after the other, until none is wanted.
async fn work(shared: Arc<Shared>) {
    let mut connection = None;
    loop {
        let next = {
            let mut state = shared.state();
            if state.failures >= ENOUGH { None } else { state.wanted.pop_front() }
        };
        let Some((index, path)) = next else { return };
        let result = timeout(shared.limits.answer, shared.one(&mut connection, &path)).await;
        let result = result.unwrap_or_else(|_| {
            connection = None;
            Err(Unfetched::Failed(Failure::Timeout))
        });
        let mut state = shared.state();
        let failed = match &result {
            Err(Unfetched::Status(status)) => *status >= 500 || *status == 429,
            Err(Unfetched::Failed(_) | Unfetched::Proxy(_) | Unfetched::Long) => true,
            _ => false,
        };
        state.failures = if failed { state.failures.saturating_add(1) } else { 0 };
        state.done.push((index, result));
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, Unfetched> {
    let addresses = lookup_host((host, port));
    let addresses = addresses.await.map_err(|_| Failure::Other(format!("the name {host} is not found")));
    let mut last = Failure::Other(format!("the name {host} has no address"));
    for address in addresses.map_err(Unfetched::Failed)?.take(MOST_ADDRESSES) {
        match connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(why) => last = why,
        }
    }
    Err(Unfetched::Failed(last))
}

/// Whether it can stand in a request as it is.
fn is_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte))
}
