//! A TLS handshake with an address, for the sake of the certificates that it shows.
//!
//! The hello is not go's own: what an address does to go's hello is another experiment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::tls::{client, failure};
use crate::certificate::Certificate;
use crate::observation::probe::{Failure, PresentedChain};
use crate::types::Timestamp;

/// How long go waits for a handshake (Go: src/net/http/transport.go, `TLSHandshakeTimeout`).
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Of go's 30 seconds for a connection, what an honest far end needs three times over.
const CONNECT: Duration = Duration::from_secs(7);
/// Bytes of a proxy's answer to CONNECT.
const MOST_HEAD: usize = 8 << 10;

/// Connects, and makes a handshake for a name.
pub(super) async fn chain(address: SocketAddr, name: &str, clock: fn() -> Timestamp) -> PresentedChain {
    let mut chain = empty(address, name);
    let began = clock();
    match connect(address).await {
        Ok(stream) => {
            chain.connected = Some(clock().since(began));
            handshake(stream, &mut chain).await;
        }
        Err(why) => chain.failure = Some(why),
    }
    chain
}

/// The same through an HTTP proxy at an address. Credentials are not sent.
pub(super) async fn chain_via(
    (proxy, proxy_name): (SocketAddr, String),
    (name, port): (&str, u16),
    clock: fn() -> Timestamp,
) -> PresentedChain {
    let mut chain = PresentedChain { via: Some(proxy_name), ..empty(proxy, name) };
    let began = clock();
    match connect(proxy).await {
        Ok(mut stream) => {
            chain.connected = Some(clock().since(began));
            match timeout(HANDSHAKE, tunnel(&mut stream, name, port)).await.unwrap_or(Err(Failure::Timeout)) {
                Ok(()) => handshake(stream, &mut chain).await,
                Err(why) => chain.failure = Some(why),
            }
        }
        Err(why) => chain.failure = Some(why),
    }
    chain
}

fn empty(address: SocketAddr, name: &str) -> PresentedChain {
    PresentedChain {
        address,
        name: name.to_owned(),
        via: None,
        connected: None,
        certificates: Vec::new(),
        holds_key: false,
        alpn: None,
        failure: None,
    }
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(stream) => stream.map_err(|error| failure(&error)),
        Err(_) => Err(Failure::Timeout),
    }
}

/// Asks a proxy for a tunnel (RFC 9110 §9.3.6).
pub(super) async fn tunnel(stream: &mut TcpStream, name: &str, port: u16) -> Result<(), Failure> {
    let request = format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| failure(&error))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MOST_HEAD {
            return Err(Failure::Malformed("the proxy's answer has no end".to_owned()));
        }
        head.push(stream.read_u8().await.map_err(|error| failure(&error))?);
    }
    let line = head.split(|byte| *byte == b'\r').next().map(String::from_utf8_lossy).unwrap_or_default();
    let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(Failure::ProxyStatus(status)),
        None => Err(Failure::Malformed("the proxy's answer is not HTTP".to_owned())),
    }
}

async fn handshake(stream: TcpStream, chain: &mut PresentedChain) {
    let prepared = ServerName::try_from(chain.name.clone())
        .map_err(|_| Failure::Other("not a name that TLS can ask for".to_owned()))
        .and_then(|name| Ok((name, client(&["h2", "http/1.1"], None)?)));
    let (name, (config, shown)) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            chain.failure = Some(why);
            return;
        }
    };
    match timeout(HANDSHAKE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(mut stream)) => {
            chain.holds_key = true;
            let alpn = stream.get_ref().1.alpn_protocol();
            chain.alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
            // Nothing is asked; who leaves says so.
            let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
        }
        Ok(Err(error)) => chain.failure = Some(failure(&error)),
        Err(_) => chain.failure = Some(Failure::Timeout),
    }
    let shown = shown.lock().map(|shown| shown.clone()).unwrap_or_default();
    chain.certificates = shown.iter().map(|der| Certificate::parse(der)).collect();
}
