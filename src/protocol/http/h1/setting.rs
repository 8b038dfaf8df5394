//! What a reader of HTTP must be told of the connection that it reads.

use std::net::SocketAddr;

use crate::observation::{Exchange, HttpProtocol};
use crate::types::FlowId;

/// What a session must be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The connection.
    pub(crate) flow: FlowId,
    /// Who was called: stands in for a missing `Host`.
    pub(crate) server: SocketAddr,
    /// It runs inside TLS: URLs begin with `https`.
    pub(crate) secure: bool,
    /// Whether bodies are hashed.
    pub(crate) digest: bool,
}

impl Setting {
    /// An exchange of which nothing is known yet.
    pub(in super::super) const fn exchange(&self, protocol: HttpProtocol) -> Exchange {
        Exchange {
            flow: self.flow,
            protocol,
            method: String::new(),
            url: String::new(),
            request: None,
            response: None,
            completed: None,
            credentials_sent: false,
            user_agent: None,
            status: None,
            reason: String::new(),
            headers: Vec::new(),
            body_bytes: 0,
            body_head: Vec::new(),
            body_is_coded: false,
            body_sha256: None,
            complete: false,
            error: None,
        }
    }
}
