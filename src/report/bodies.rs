//! The list of the bodies that were written to disk, one JSON document a line.

use serde::Serialize;

use super::clean::{NAME, line};
use super::observations::ExchangeRecord;
use crate::observation::Exchange;

/// A body that was written to disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BodyRecord {
    /// Its file, below the folder that holds the list, with slashes.
    pub path: String,
    /// The exchange, as it stands in the observations.
    #[serde(flatten)]
    pub exchange: ExchangeRecord,
    /// Content coding of the answer: the file is as it was sent.
    pub content_encoding: Option<String>,
    /// Index of the recording that holds the request.
    pub request_file: Option<u16>,
    /// Index of the recording that holds the answer's head.
    pub response_file: Option<u16>,
    /// What of it the recording lacks, in order.
    pub holes: Vec<Hole>,
}

/// Bytes that a file lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Where they begin.
    pub offset: u64,
    /// How many; null where that is not known, and the file ends there.
    pub length: Option<u64>,
}

impl BodyRecord {
    /// The body of an answer that lies at `path`.
    #[must_use]
    pub fn new(path: String, holes: Vec<Hole>, exchange: &Exchange) -> Self {
        Self {
            path,
            exchange: exchange.into(),
            content_encoding: exchange.header("content-encoding").map(|value| line(value, NAME)),
            request_file: exchange.request.map(|at| at.frame.file),
            response_file: exchange.response.map(|at| at.frame.file),
            holes,
        }
    }

    /// It as a line, with its end.
    ///
    /// # Errors
    /// None in practice: no part of it can fail to be written.
    pub fn json_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|line| line + "\n")
    }
}
