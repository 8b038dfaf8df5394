//! One question to one server over one transport. UDP is read here, since hickory's sockets close at the first answer and an
//! injector's victim comes second; TCP, TLS and HTTPS are hickory's.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::h2::HttpsClientStream;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::tls::tls_exchange;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use super::tls::{client, failure};
use super::wire::{Asked, reply};
use crate::certificate::Roots;
use crate::observation::RecordType;
use crate::observation::probe::{Failure, Reply, Transport};
use crate::types::{Span, Timestamp};

/// How long the socket stays open after an answer: who was overtaken by a forger is seldom later.
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

/// Asks.
pub(super) async fn ask(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Heard {
    match server.transport {
        Transport::Udp => udp(server.address, name, record_type, manner).await,
        Transport::Tcp | Transport::Tls | Transport::Https => {
            match timeout(manner.timeout, stream(server, name, record_type, manner)).await {
                Ok(Ok(reply)) => (vec![reply], None),
                Ok(Err(why)) => (Vec::new(), Some(why)),
                Err(_) => (Vec::new(), Some(Failure::Timeout)),
            }
        }
    }
}

async fn udp(server: SocketAddr, name: &str, record_type: RecordType, manner: &Manner) -> Heard {
    let mut last = Failure::Timeout;
    for _ in 0..manner.attempts {
        let Some(asked) = Asked::new(name, record_type, manner.recursion) else {
            return (Vec::new(), Some(Failure::Other("not a name".to_owned())));
        };
        match attempt(server, &asked, manner).await {
            Ok(replies) if replies.is_empty() => last = Failure::Timeout,
            Ok(replies) => return (replies, None),
            Err(error) => last = failure(&error),
        }
    }
    (Vec::new(), Some(last))
}

/// As go: a socket of its own for each attempt, bound to the server's address.
async fn attempt(server: SocketAddr, asked: &Asked, manner: &Manner) -> std::io::Result<Vec<Reply>> {
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
    Ok(replies)
}

async fn stream(server: &Server, name: &str, record_type: RecordType, manner: &Manner) -> Result<Reply, Failure> {
    let Some(asked) = Asked::new(name, record_type, manner.recursion) else {
        return Err(Failure::Other("not a name".to_owned()));
    };
    let provider = TokioRuntimeProvider::new();
    let began = (manner.clock)();
    let wrong_name = || Failure::Other(format!("{:?} is no server name", server.name));
    let exchange: DnsExchange<TokioRuntimeProvider> = match server.transport {
        Transport::Tls => {
            let name = ServerName::try_from(server.name.clone()).map_err(|_| wrong_name())?;
            let (config, _) = client(&[], Some(manner.roots.clone()))?;
            read(tls_exchange(server.address, name, config, manner.timeout, None, provider.clone())).await?
        }
        Transport::Https => {
            let (config, _) = client(&["h2"], Some(manner.roots.clone()))?;
            let builder = HttpsClientStream::builder(Arc::new(config), provider.clone());
            let (host, path) = (Arc::from(server.name.as_str()), Arc::from(server.path.as_str()));
            read(builder.exchange(server.address, host, path)).await?
        }
        Transport::Tcp | Transport::Udp => {
            let connecting = TcpClientStream::<<TokioRuntimeProvider as RuntimeProvider>::Tcp>::exchange(
                server.address,
                None,
                manner.timeout,
                None,
                provider.clone(),
            );
            read(connecting).await?
        }
    };
    let response = read(exchange.send(asked.request.clone()).first_answer()).await?;
    let bytes = response.as_buffer();
    let message = asked.read(bytes).ok_or_else(|| Failure::Malformed("an answer to another question".to_owned()))?;
    Ok(reply(message, bytes, server.address, (manner.clock)().since(began)))
}

async fn read<T>(what: impl Future<Output = Result<T, NetError>>) -> Result<T, Failure> {
    what.await.map_err(|error| match error {
        NetError::Timeout => Failure::Timeout,
        NetError::Io(error) => failure(&error),
        other => Failure::Other(other.to_string()),
    })
}

/// For how long a resolver is waited for.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))
}
