//! TLS as far as it is visible, or can be made so with the secrets of a key log: records, handshake messages, hellos,
//! certificates, alerts, and the bytes that it carries.

mod cipher;
mod decrypt;
mod hello;
mod keylog;
mod record;
mod schedule;
mod session;
#[cfg(test)]
pub(crate) mod testing;

pub use keylog::KeyLog;
pub(crate) use session::{CertificateSink, Plain, Session};

/// Whether a client's first bytes begin a TLS record with a `ClientHello`.
pub(crate) fn starts_client_hello(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, 0..=4, _, _, kind, ..] => *kind == 1,
        [22, 3, 0..=4, ..] | [22, 3] => bytes.len() <= 5,
        _ => false,
    }
}

/// Whether a server's bytes begin a TLS handshake record or an alert.
pub(crate) fn starts_server_flight(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, 0..=4, _, _, kind, ..] => matches!(kind, 2 | 11),
        [21, 3, 0..=4, 0, 2, level, ..] => matches!(level, 1 | 2),
        _ => false,
    }
}
