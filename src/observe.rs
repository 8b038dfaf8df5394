//! Protocol events become observations: a question meets its answers, an alert its handshake, a reset its connection.

pub(crate) mod certificates;
pub(crate) mod connection;
pub(crate) mod conversation;
pub(crate) mod dns;
