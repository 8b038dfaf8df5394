//! What the streams and datagrams say: DNS, TLS, HTTP, and the proxies' CONNECT and SOCKS.
pub(crate) mod tls;
