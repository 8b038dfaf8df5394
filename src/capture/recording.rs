//! The kept file: secrets before the packets that they open, and words at the packets that prove something.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::pcapng::{Interface, Writer};
use crate::source::{Input, Reader, Record};

/// A file that only its owner can read: it holds secrets. It is begun anew if it exists.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a recording anew: with the key log's secrets first, and comments at frames, by number.
///
/// The file is replaced as a whole or not at all.
pub(super) fn complete(
    path: &Path,
    interface: Option<&Interface>,
    about: &[String],
    key_log: &[u8],
    comments: &BTreeMap<u32, Vec<String>>,
    (received, dropped): (u64, u64),
) -> io::Result<()> {
    let inputs = Input::open_all(&[path.to_owned()]).map_err(io::Error::other)?;
    let beside = beside(path);
    let written = write(&beside, &inputs, interface, about, key_log, comments, (received, dropped));
    written.and_then(|()| std::fs::rename(&beside, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

fn write(
    path: &Path,
    inputs: &[Input],
    interface: Option<&Interface>,
    about: &[String],
    key_log: &[u8],
    comments: &BTreeMap<u32, Vec<String>>,
    (received, dropped): (u64, u64),
) -> io::Result<()> {
    let mut writer = Writer::new(BufWriter::new(private_file(path)?), about)?;
    if !key_log.is_empty() {
        writer.secrets(key_log)?;
    }
    if let Some(interface) = interface {
        writer.interface(interface)?;
    }
    let mut reader = Reader::new(inputs);
    let mut last = 0;
    while let Some(record) = reader.next() {
        if let Record::Frame(frame) = record {
            let words = comments.get(&frame.no.number).map(Vec::as_slice).unwrap_or_default();
            last = u64::try_from(frame.time.nanos()).unwrap_or_default();
            writer.packet(last, frame.original_length, frame.bytes, words)?;
        }
    }
    if interface.is_some() {
        writer.statistics(last, received, dropped)?;
    }
    // Nobody waits for the disk: what a power cut could take is the command's run as well.
    writer.flush()
}

/// A name in the same folder for what is not finished.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    path.with_file_name(name)
}
