//! Records a command: its packets, the TLS secrets of the Go programs among its processes, and what it printed.
//!
//! The recording is analysed afterwards like any other: there is no live analyzer. Privileges are held to open the network
//! device and, as root, to trace; packets are read without.

mod breakpoint;
mod launch;
mod mirror;
mod pcapng;
mod pclntab;
mod privilege;
mod program;
mod ptrace;
mod recording;
mod secrets;
mod signals;
mod sniffer;
mod sockets;
mod witness;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

pub use privilege::Identity;
pub use secrets::Ended;
pub use sniffer::DEFAULT_FILTER;

use self::launch::Launch;
use self::mirror::Mirror;
use self::pcapng::{Interface, Writer};
use self::secrets::Tracer;
use self::sniffer::{Opened, Tally};
use crate::scope::Owners;

/// Why a command could not be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network device may not be opened.
    #[error("packets may not be recorded: {0}")]
    Forbidden(String),
    /// There is no such device, or it cannot be recorded from.
    #[error("cannot record from {0}: {1}")]
    Device(String, String),
    /// What is given as a filter is none.
    #[error("cannot use the filter `{0}`: {1}")]
    Filter(String, String),
    /// The command cannot run as that user.
    #[error("cannot become the user {0}: {1}")]
    User(String, String),
    /// A file that the recording needs.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The command was not started.
    #[error("cannot start {0}")]
    Start(String, #[source] io::Error),
    /// Processes could not be waited for.
    #[error("lost the command")]
    Lost(#[source] io::Error),
}

impl Error {
    fn open(device: &str, error: &::pcap::Error) -> Self {
        let text = error.to_string();
        let lower = text.to_ascii_lowercase();
        if lower.contains("permi") { Self::Forbidden(text) } else { Self::Device(device.to_owned(), text) }
    }
}

/// What to run, and what to keep of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The command with its arguments.
    pub command: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Read TLS secrets.
    pub keys: bool,
    /// The file to record into.
    pub file: PathBuf,
    /// Lines that say in the file what was recorded.
    pub about: Vec<String>,
}

/// A recorded command.
#[derive(Debug)]
pub struct Recorded {
    /// How the command ended.
    pub ended: Ended,
    /// What it printed to standard error.
    pub printed: Vec<u8>,
    /// The secrets that were read, as a key log.
    pub key_log: Vec<u8>,
    /// Whose the recorded connections are.
    pub owners: Owners,
    /// Packets were recorded until after the command's end.
    pub to_its_end: bool,
    /// What is missing in the recording, in words.
    pub shortcomings: Vec<String>,
    file: PathBuf,
    interface: Option<Interface>,
    about: Vec<String>,
    packets: u64,
    dropped: u64,
}

/// A device that is open, if packets are wanted, and privileges that are needed no more given up.
pub struct Armed {
    sniffer: Option<Opened>,
}

impl Armed {
    /// Opens the device, if packets are wanted, which takes privileges, and then becomes the user whom the command is to run
    /// as. The filter is in the words of pcap-filter(7).
    ///
    /// # Errors
    /// Where the device cannot be opened, or the user cannot be become.
    pub fn new(device: Option<&str>, filter: &str, identity: Option<&Identity>) -> Result<Self, Error> {
        let sniffer = device.map(|device| Opened::new(device, filter)).transpose()?;
        if let Some(identity) = identity {
            identity.become_for_good()?;
        }
        Ok(Self { sniffer })
    }

    /// Runs the command to its end and records it.
    ///
    /// It must be called by the only thread of the process.
    ///
    /// # Errors
    /// Where the command cannot be started or the file cannot be written. What the recording lacks for other reasons is
    /// told in [`Recorded::shortcomings`].
    pub fn run(self, plan: Plan) -> Result<Recorded, Error> {
        let Self { sniffer } = self;
        let at_file = |error| Error::File { path: plan.file.clone(), error };
        let lost = |error: nix::Error| Error::Lost(error.into());
        let mut shortcomings = Vec::new();

        let mut writer =
            Writer::new(BufWriter::new(recording::private_file(&plan.file).map_err(at_file)?), &plan.about)
                .map_err(at_file)?;
        let interface = sniffer.as_ref().map(|opened| opened.interface().clone());
        if let Some(interface) = &interface {
            writer.interface(interface).map_err(at_file)?;
        }
        writer.flush().map_err(at_file)?;

        let signals = signals::Held::new().map_err(lost)?;
        let (mirror, theirs) = Mirror::new().map_err(Error::Lost)?;
        let held = Launch::new(&plan.command, plan.environment)?.hold(signals.before(), Some(&theirs))?;
        drop(theirs);
        let process = held.process;

        let mut tracer = Tracer::default();
        if plan.keys
            && let Err(error) = tracer.attach(process)
        {
            shortcomings.push(format!(
                "no TLS secrets of Go programs: the system forbids to trace them ({error}); {}",
                ptrace::how_to_allow()
            ));
        }
        privilege::keep_tracing();

        let (ended, end) = io::pipe().map_err(Error::Lost)?;
        let ended = OwnedFd::from(ended);
        let mut key_log = Vec::new();
        let succeeded = AtomicBool::new(false);
        let (how, printed, tally) = thread::scope(|scope| {
            let sniffing = sniffer.map(|sniffer| {
                let (openings, opened) = mpsc::channel();
                // Root's processes can be looked into with what tracing needs.
                let watching = scope.spawn(move || witness::watch(process, &opened));
                let sniffing = scope.spawn(|| {
                    privilege::keep_nothing();
                    sniffer.record(writer, openings, ended.as_fd(), &succeeded)
                });
                (sniffing, watching)
            });
            let printing = scope.spawn(|| {
                privilege::keep_nothing();
                mirror.pass_on(&ended)
            });
            scope.spawn(|| signals::pass_on(process, &ended));
            let started = held.release();
            let how = tracer.run(process, |secret| key_log.extend_from_slice(secret.line().as_bytes()));
            succeeded.store(matches!(how, Ok(Some(Ended::Exited(0)))), Ordering::Release);
            drop(end);
            let failure = started.failure();
            (
                how.map(|how| (how, failure)),
                printing.join().unwrap_or_default(),
                sniffing.map(|(sniffing, watching)| {
                    (sniffing.join().unwrap_or_default(), watching.join().unwrap_or_default())
                }),
            )
        });
        privilege::keep_nothing();
        drop(signals);
        let (how, failure) = how.map_err(Error::Lost)?;
        if let Some(number) = failure {
            let program = plan.command.first().map(|program| program.to_string_lossy().into_owned());
            return Err(Error::Start(program.unwrap_or_default(), io::Error::from_raw_os_error(number)));
        }
        let ended = how.ok_or_else(|| Error::Lost(io::Error::other("its end was not reported")))?;
        let recorded = tally.is_some();
        let (Tally { packets, dropped, failure }, owners) = tally.unwrap_or_default();
        let to_its_end = recorded && failure.is_none();
        if let Some(program) = tracer.unread.take() {
            shortcomings.push(format!(
                "no TLS secrets of {}: its code is none that is known; a key log of its own (--keylog) does as well",
                program.display()
            ));
        }
        if let Some(program) = tracer.weakened.take() {
            shortcomings.push(format!(
                "{} ran without the privileges of its owner, as all that is traced; if it failed for that, give --no-keys",
                program.display()
            ));
        }
        if let Some(error) = failure {
            shortcomings.push(format!("the recording is not whole: {error}"));
        }
        if dropped > 0 {
            shortcomings.push(format!("the kernel lost {dropped} packets"));
        }
        Ok(Recorded {
            ended,
            printed: printed.into_bytes(),
            key_log,
            owners,
            to_its_end,
            shortcomings,
            file: plan.file,
            interface,
            about: plan.about,
            packets,
            dropped,
        })
    }
}

impl Recorded {
    /// Where the recording is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the recording anew: with more lines about the run, the secrets before the packets, and words at frames, by their
    /// number.
    ///
    /// # Errors
    /// Where the file cannot be written; the recording is then as it was.
    pub fn complete(&self, about: &[String], comments: &BTreeMap<u32, Vec<String>>) -> Result<(), Error> {
        recording::complete(
            &self.file,
            self.interface.as_ref(),
            &[self.about.as_slice(), about].concat(),
            &self.key_log,
            comments,
            (self.packets, self.dropped),
        )
        .map_err(|error| Error::File { path: self.file.clone(), error })
    }
}
