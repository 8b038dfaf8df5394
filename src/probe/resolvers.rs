//! One question to one server over one transport. UDP is read here, since hickory's sockets close at the first answer and an
//! injector's victim comes second; TCP, TLS and HTTPS are hickory's.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::h2::HttpsClientStream;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::tls::tls_exchange;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _};
use hickory_resolver::proto::dnssec::Proof;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use super::tls::{client, failure};
use super::wire::{Asked, reply};
use crate::certificate::Roots;
use crate::observation::RecordType;
use crate::observation::probe::{Failure, Reply, Transport};
use crate::types::{Span, Timestamp};

/// How long a question waits for a second answer: who was overtaken by a forger is seldom later. The socket stays open beyond
/// that ([`Listening`]).
const LINGER: Duration = Duration::from_millis(1_200);
/// Replies to one question that are kept.
const MOST_REPLIES: usize = 8;
const DATAGRAM: usize = 4_096;

/// Where and how a question is put.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    /// Its name, for TLS and HTTPS.
    pub(super) name: String,
    /// The path of its URL, for HTTPS.
    pub(super) path: String,
}

/// How a question is put.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) recursion: bool,
    /// For resolvers that are asked over TLS and HTTPS.
    pub(super) roots: Roots,
    pub(super) clock: fn() -> Timestamp,
}

/// What came.
pub(super) type Heard = (Vec<Reply>, Option<Failure>);

/// A socket that stays open behind an answer, for as long as this lives: what comes later is kept.
#[derive(Debug)]
pub(super) struct Listening {
    heard: Arc<Mutex<Vec<Reply>>>,
    task: AbortHandle,
}

impl Listening {
    /// What came since the last look.
    pub(super) fn take(&self) -> Vec<Reply> {
        self.heard.lock().map(|mut heard| std::mem::take(&mut *heard)).unwrap_or_default()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Asks.
pub(super) async fn ask(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Heard {
    ask_and_listen(server, name, record_type, manner).await.0
}

/// Asks, and leaves a socket of datagrams open behind the answer.
pub(super) async fn ask_and_listen(
    server: &Server,
    name: &str,
    record_type: RecordType,
    manner: &Manner,
) -> (Heard, Option<Listening>) {
    match server.transport {
        Transport::Udp => udp(server.address, name, record_type, manner).await,
        Transport::Tcp | Transport::Tls | Transport::Https => {
            let heard = match timeout(manner.timeout, stream(server, name, record_type, manner)).await {
                Ok(Ok(reply)) => (vec![reply], None),
                Ok(Err(why)) => (Vec::new(), Some(why)),
                Err(_) => (Vec::new(), Some(Failure::Timeout)),
            };
            (heard, None)
        }
    }
}

async fn udp(server: SocketAddr, name: &str, record_type: RecordType, manner: &Manner) -> (Heard, Option<Listening>) {
    let mut last = Failure::Timeout;
    for _ in 0..manner.attempts {
        let Some(asked) = Asked::new(name, record_type, manner.recursion) else {
            return ((Vec::new(), Some(Failure::Other("not a name".to_owned()))), None);
        };
        match attempt(server, asked, manner).await {
            Ok((replies, _)) if replies.is_empty() => last = Failure::Timeout,
            Ok((replies, listening)) => return ((replies, None), listening),
            Err(error) => last = failure(&error),
        }
    }
    ((Vec::new(), Some(last)), None)
}

/// As go: a socket of its own for each attempt, bound to the server's address.
async fn attempt(
    server: SocketAddr,
    asked: Asked,
    manner: &Manner,
) -> std::io::Result<(Vec<Reply>, Option<Listening>)> {
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(server).await?;
    let began = (manner.clock)();
    socket.send(&asked.bytes).await?;
    let mut until = Instant::now() + manner.timeout;
    let mut replies: Vec<Reply> = Vec::new();
    let mut datagram = vec![0; DATAGRAM];
    while replies.len() < MOST_REPLIES {
        let length = match timeout_at(until, socket.recv(&mut datagram)).await {
            Ok(Ok(length)) => length,
            Ok(Err(error)) if replies.is_empty() => return Err(error),
            Ok(Err(_)) | Err(_) => break,
        };
        let bytes = datagram.get(..length).unwrap_or_default();
        if let Some(message) = asked.answered_by(bytes) {
            if replies.is_empty() {
                until = Instant::now() + LINGER;
            }
            replies.push(reply(message, bytes, server, (manner.clock)().since(began)));
        }
    }
    let left = MOST_REPLIES.saturating_sub(replies.len());
    let listening =
        (!replies.is_empty() && left > 0).then(|| listen(socket, asked, server, left, (began, manner.clock)));
    Ok((replies, listening))
}

fn listen(
    socket: UdpSocket,
    asked: Asked,
    server: SocketAddr,
    mut left: usize,
    (began, clock): (Timestamp, fn() -> Timestamp),
) -> Listening {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let task = tokio::spawn(async move {
        let mut datagram = vec![0; DATAGRAM];
        while left > 0 {
            let Ok(length) = socket.recv(&mut datagram).await else { break };
            let bytes = datagram.get(..length).unwrap_or_default();
            if let Some(message) = asked.answered_by(bytes) {
                left -= 1;
                let late = reply(message, bytes, server, clock().since(began));
                kept.lock().iter_mut().for_each(|kept| kept.push(late.clone()));
            }
        }
    });
    Listening { heard, task: task.abort_handle() }
}

async fn stream(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Result<Reply, Failure> {
    let Some(asked) = Asked::new(name, record_type, manner.recursion) else {
        return Err(Failure::Other("not a name".to_owned()));
    };
    let began = (manner.clock)();
    let (exchange, _tasks) = exchange(server, manner).await?;
    let response = read(exchange.send(asked.request.clone()).first_answer()).await?;
    let bytes = response.as_buffer();
    let message = asked.read(bytes).ok_or_else(|| Failure::Malformed("an answer to another question".to_owned()))?;
    Ok(reply(message, bytes, server.address, (manner.clock)().since(began)))
}

/// Asks for records with their signatures, and verifies these from the root's key on. An answer that is not signed, or whose
/// signatures cannot be verified, is none: it tells nothing, least of all that somebody lies.
pub(super) async fn ask_signed(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Heard {
    match timeout(manner.timeout, signed(server, name, record_type, manner)).await {
        Ok(Ok(reply)) => (vec![reply], None),
        Ok(Err(why)) => (Vec::new(), Some(why)),
        Err(_) => (Vec::new(), Some(Failure::Timeout)),
    }
}

async fn signed(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Result<Reply, Failure> {
    let Some(asked) = Asked::new(name, record_type, manner.recursion) else {
        return Err(Failure::Other("not a name".to_owned()));
    };
    let began = (manner.clock)();
    let (exchange, _tasks) = exchange(server, manner).await?;
    let mut request = asked.request.clone();
    request.options_mut().edns_set_dnssec_ok = true;
    let response = read(DnssecDnsHandle::new(exchange).send(request).first_answer()).await?;
    let wanted: Vec<Proof> = response
        .answers
        .iter()
        .filter(|record| u16::from(record.record_type()) == record_type.0)
        .map(|record| record.proof)
        .collect();
    if wanted.is_empty() || wanted.contains(&Proof::Insecure) {
        return Err(Failure::Other("the answer is not signed".to_owned()));
    }
    // An alias on the way must be proven like what it leads to.
    if !response.answers.iter().all(|record| record.proof == Proof::Secure) {
        return Err(Failure::Other("the signatures could not be verified".to_owned()));
    }
    let bytes = response.as_buffer();
    let message = asked.read(bytes).ok_or_else(|| Failure::Malformed("an answer to another question".to_owned()))?;
    Ok(reply(message, bytes, server.address, (manner.clock)().since(began)))
}

/// A connection to a resolver, and what its tasks run on: they end when that is dropped.
async fn exchange(
    server: &Server,
    manner: &Manner,
) -> Result<(DnsExchange<TokioRuntimeProvider>, TokioRuntimeProvider), Failure> {
    let provider = TokioRuntimeProvider::new();
    let wrong_name = || Failure::Other(format!("{:?} is no server name", server.name));
    let exchange = match server.transport {
        Transport::Tls => {
            let name = ServerName::try_from(server.name.clone()).map_err(|_| wrong_name())?;
            let (config, _) = client(&[], Some(manner.roots.clone()))?;
            read(tls_exchange(server.address, name, config, manner.timeout, None, provider.clone())).await
        }
        Transport::Https => {
            let (config, _) = client(&["h2"], Some(manner.roots.clone()))?;
            let builder = HttpsClientStream::builder(Arc::new(config), provider.clone());
            let (host, path) = (Arc::from(server.name.as_str()), Arc::from(server.path.as_str()));
            read(builder.exchange(server.address, host, path)).await
        }
        Transport::Tcp | Transport::Udp => {
            let connecting = TcpClientStream::<<TokioRuntimeProvider as RuntimeProvider>::Tcp>::exchange(
                server.address,
                None,
                manner.timeout,
                None,
                provider.clone(),
            );
            read(connecting).await
        }
    };
    Ok((exchange?, provider))
}

async fn read<T>(what: impl Future<Output = Result<T, NetError>>) -> Result<T, Failure> {
    what.await.map_err(|error| match error {
        NetError::Timeout => Failure::Timeout,
        NetError::Io(error) => failure(&error),
        other => Failure::Other(other.to_string()),
    })
}

/// Whether this machine has a way for IPv6, and none for IPv4. Connecting a socket of datagrams looks for a way, and sends nothing.
#[must_use]
pub fn is_ipv6_only() -> bool {
    let is_way = |own: &str, to: &str| std::net::UdpSocket::bind(own).and_then(|socket| socket.connect(to)).is_ok();
    // Documentation prefixes have no routes of their own: it is the default route that counts (RFC 5737, RFC 3849).
    !is_way("0.0.0.0:0", "192.0.2.53:53") && is_way("[::]:0", "[2001:db8::53]:53")
}

/// For how long a resolver is waited for.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Roots;

    fn manner(timeout_ms: u64) -> Manner {
        Manner {
            timeout: Duration::from_millis(timeout_ms),
            attempts: 2,
            recursion: true,
            roots: Roots::mozilla(),
            clock: || Timestamp::from_seconds(0),
        }
    }

    /// Asks a server at the loopback that answers each question with these messages, made of the question's bytes.
    fn asked(timeout_ms: u64, answers: fn(&[u8]) -> Vec<Vec<u8>>) -> Heard {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 512];
            while let Ok((length, from)) = server.recv_from(&mut bytes) {
                answers(&bytes[..length]).iter().for_each(|answer| drop(server.send_to(answer, from)));
            }
        });
        let server = Server { address, transport: Transport::Udp, name: String::new(), path: String::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(&server, "a.example", RecordType::A, &manner(timeout_ms)))
    }

    /// The question as its own answer, with a code.
    fn answer(question: &[u8], code: u8) -> Vec<u8> {
        let mut bytes = question.to_vec();
        bytes[2] |= 0x80;
        bytes[3] |= code;
        bytes
    }

    #[test]
    fn the_victim_of_a_forger_is_waited_for() {
        let (replies, failure) = asked(2_000, |question| vec![answer(question, 3), answer(question, 0)]);
        assert_eq!(replies.iter().map(|reply| reply.rcode).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(failure, None);
    }

    #[test]
    fn answers_that_go_would_pass_over_are_passed_over() {
        let (replies, failure) = asked(100, |question| {
            let mut other = answer(question, 0);
            other[0] ^= 1;
            vec![other, vec![0; 3], Vec::new()]
        });
        assert_eq!((replies, failure), (Vec::new(), Some(Failure::Timeout)));
    }

    #[test]
    fn a_closed_port_is_a_refusal() {
        let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https] {
            let server = Server { address, transport, name: "dns.example".to_owned(), path: "/dns-query".to_owned() };
            let (replies, failure) = runtime.block_on(ask(&server, "a.example", RecordType::A, &manner(2_000)));
            assert_eq!((replies, failure), (Vec::new(), Some(Failure::Refused)), "{transport}");
        }
    }
}
