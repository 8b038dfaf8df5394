//! What `capture` knows of the run beside its packets, kept in the recording itself: whoever analyses the file later has it.
//!
//! It stands as JSON in comments of the file's section, in pieces, as a comment holds 64 KiB at most.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::go::GoRun;
use crate::go::env::GoEnv;
use crate::go::log::GoLog;
use crate::scope::Owners;
use crate::source::{Input, Reader, Record};
use crate::types::{Ends, Timestamp};

/// What a comment with a piece begins with.
const MARK: &str = "goprobe run ";
/// Bytes of a piece.
const PIECE: usize = 48 << 10;
/// Bytes of what was printed that are kept, from its start.
const PRINTED: usize = 1 << 20;
/// Comments that are looked at.
const MOST_COMMENTS: usize = 1_024;

/// A run of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// The command and its arguments.
    pub(super) command: Vec<String>,
    /// How it ended, as a shell tells it.
    pub(super) exit_status: i32,
    /// Lines `KEY=value` of what has a say in how go reaches the network. No secrets.
    pub(super) environment: String,
    /// What the command printed to standard error.
    pub(super) printed: String,
    /// When recording stopped, in nanoseconds after 1970. `None` where it stopped before the command did.
    #[serde(default)]
    pub(super) stopped: Option<i64>,
    /// Connections of the command and its descendants.
    own: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Client randoms of its TLS sessions, in hex.
    #[serde(default)]
    randoms: BTreeSet<String>,
    /// Connections of other programs.
    foreign: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl RunRecord {
    /// Puts together what is known.
    pub(super) fn new(
        command: Vec<String>,
        exit_status: i32,
        environment: String,
        mut printed: String,
        owners: &Owners,
    ) -> Self {
        printed.truncate(boundary(&printed, PRINTED));
        let pairs = |ends: &BTreeSet<Ends>| ends.iter().map(|ends| (ends.client, ends.server)).collect();
        let (own, foreign) = (pairs(&owners.own), pairs(&owners.foreign));
        let hex = |random: &[u8; 32]| random.iter().map(|byte| format!("{byte:02x}")).collect();
        let randoms = owners.randoms.iter().map(hex).collect();
        Self { command, exit_status, environment, printed, stopped: None, own, randoms, foreign }
    }

    /// As comments of a section.
    pub(super) fn comments(&self) -> serde_json::Result<Vec<String>> {
        let text = serde_json::to_string(self)?;
        let mut rest = text.as_str();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(boundary(rest, PIECE));
            pieces.push(piece);
            rest = after;
        }
        let count = pieces.len();
        Ok(pieces.iter().enumerate().map(|(at, piece)| format!("{MARK}{}/{count} {piece}", at + 1)).collect())
    }

    /// The one that a recording holds. Of several recordings that are analysed as one, none speaks for all.
    pub(super) fn of(inputs: &[Input]) -> Option<Self> {
        let [_] = inputs else { return None };
        let mut pieces: Vec<String> = Vec::new();
        let mut reader = Reader::new(inputs);
        let mut looked = 0;
        while let Some(record) = reader.next() {
            match record {
                Record::Note(note) if note.frame.is_none() => {
                    looked += 1;
                    pieces.extend(note.text.strip_prefix(MARK).map(str::to_owned));
                }
                Record::Frame(_) => break,
                Record::Note(_) | Record::Secret(_) => {}
            }
            if looked > MOST_COMMENTS {
                break;
            }
        }
        Self::from_pieces(&pieces)
    }

    fn from_pieces(pieces: &[String]) -> Option<Self> {
        let count = pieces.len();
        let text = pieces.iter().enumerate().map(|(at, piece)| piece.strip_prefix(&format!("{}/{count} ", at + 1)));
        serde_json::from_str(&text.collect::<Option<Vec<_>>>()?.concat()).ok()
    }

    /// Adds to what is known of go's run what nobody else said.
    pub(super) fn complete(&self, run: &mut GoRun) {
        run.log.get_or_insert_with(|| GoLog::parse(&self.printed));
        run.env.get_or_insert_with(|| GoEnv::parse(&self.environment));
        run.exit.get_or_insert(self.exit_status);
        run.version = run.version.or_else(|| run.env.as_ref()?.go_version());
    }

    /// When recording stopped, where that was after the command's end.
    pub(super) fn stopped(&self) -> Option<Timestamp> {
        self.stopped.map(Timestamp::from_nanos)
    }

    /// Whose connections are whose.
    pub(super) fn owners(&self) -> Owners {
        let ends = |pairs: &BTreeSet<(SocketAddr, SocketAddr)>| {
            pairs.iter().map(|(client, server)| Ends { client: *client, server: *server }).collect()
        };
        let randoms = self.randoms.iter().filter_map(|hex| random(hex)).collect();
        Owners { own: ends(&self.own), randoms, foreign: ends(&self.foreign) }
    }
}

/// The client randoms of a key log's lines.
pub(super) fn randoms(key_log: &[u8]) -> BTreeSet<[u8; 32]> {
    let second = |line: &[u8]| random(std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?);
    key_log.split(|byte| *byte == b'\n').filter_map(second).collect()
}

/// 32 bytes in hex.
fn random(hex: &str) -> Option<[u8; 32]> {
    let mut random = [0; 32];
    for (at, byte) in random.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    (hex.len() == 64).then_some(random)
}

/// The last place up to `most` where a text may be cut.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(printed: &str) -> RunRecord {
        let ends = Ends { client: "10.0.0.2:40000".parse().unwrap(), server: "[2001:db8::1]:443".parse().unwrap() };
        let owners =
            Owners { own: BTreeSet::from([ends]), randoms: BTreeSet::from([[0xa7; 32]]), foreign: BTreeSet::new() };
        RunRecord::new(vec!["go".into(), "get".into()], 1, "GOPROXY=off\n".into(), printed.into(), &owners)
    }

    fn back(comments: &[String]) -> Option<RunRecord> {
        let pieces: Vec<String> = comments.iter().map(|text| text.strip_prefix(MARK).unwrap().to_owned()).collect();
        RunRecord::from_pieces(&pieces)
    }

    #[test]
    fn it_comes_back_as_it_was_in_one_piece_and_in_many() {
        for printed in ["go: no \"such\" \u{1f40d}\n".to_owned(), "ü".repeat(200_000)] {
            let record = record(&printed);
            let comments = record.comments().unwrap();
            assert!(comments.iter().all(|text| text.len() <= 60_000));
            assert_eq!(back(&comments), Some(record));
        }
    }

    #[test]
    fn half_of_it_is_nothing() {
        let comments = record(&"x".repeat(200_000)).comments().unwrap();
        assert!(comments.len() > 2);
        assert_eq!(back(&comments[1..]), None);
        assert_eq!(back(&[comments[0].clone(), comments[2].clone(), comments[1].clone()]), None);
        assert_eq!(back(&[]), None);
        assert_eq!(back(&[format!("{MARK}1/1 {{}}")]), None);
    }

    #[test]
    fn what_was_printed_is_cut_between_characters() {
        assert!(record(&"ü".repeat(PRINTED)).printed.len() <= PRINTED);
    }
}
