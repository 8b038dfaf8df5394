//! Starts the command, held at a gate until everything is ready to see its first packet.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::unistd::{ForkResult, execvpe, fork};

use super::Error;
use super::ptrace::Tid;

/// A process that has not become the command yet.
pub(super) struct Held {
    pub(super) process: Tid,
    gate: PipeWriter,
    failure: PipeReader,
}

/// A process that became the command, or failed to.
pub(super) struct Started {
    failure: PipeReader,
}

/// What to start.
pub(super) struct Launch {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Launch {
    /// A command with its whole environment.
    pub(super) fn new(
        command: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Error> {
        let c_string = |text: OsString| {
            let shown = text.to_string_lossy().into_owned();
            CString::new(text.into_vec()).map_err(|error| Error::Start(shown, error.into()))
        };
        let arguments = command.iter().cloned().map(c_string).collect::<Result<Vec<_>, _>>()?;
        let program =
            arguments.first().cloned().ok_or_else(|| Error::Start(String::new(), io::ErrorKind::NotFound.into()))?;
        let environment = environment
            .into_iter()
            .map(|(key, value)| c_string([key, value].join("=".as_ref())))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { program, arguments, environment })
    }

    /// Makes the process. `mask` is what it is to have for a signal mask, `stderr` its standard error.
    ///
    /// There must be one thread: the child allocates.
    pub(super) fn hold(&self, mask: &SigSet, stderr: Option<&OwnedFd>) -> Result<Held, Error> {
        let failed = |error| Error::Start("a process".to_owned(), error);
        let (waits, gate) = io::pipe().map_err(failed)?;
        let (failure, tells) = io::pipe().map_err(failed)?;
        #[expect(unsafe_code, reason = "between fork and exec runs code of ours")]
        // SAFETY: there is one thread, so that no lock is held by another that the child does not have.
        match unsafe { fork() }.map_err(|error| failed(error.into()))? {
            ForkResult::Parent { child } => Ok(Held { process: child.as_raw(), gate, failure }),
            ForkResult::Child => {
                drop((gate, failure));
                let Err(error) = self.become_command(mask, stderr, waits);
                let _ = (&tells).write_all(&(error as i32).to_ne_bytes());
                #[expect(unsafe_code, reason = "nothing of the parent may be run at the child's end")]
                // SAFETY: it does not return and runs no handlers.
                unsafe {
                    libc::_exit(127)
                }
            }
        }
    }

    fn become_command(
        &self,
        mask: &SigSet,
        stderr: Option<&OwnedFd>,
        mut gate: PipeReader,
    ) -> Result<Infallible, nix::Error> {
        let mut go = [0];
        // Nobody opens it: goprobe is gone.
        gate.read_exact(&mut go).map_err(|_| nix::Error::ECANCELED)?;
        if let Some(stderr) = stderr {
            #[expect(unsafe_code, reason = "the number of standard error is fixed")]
            // SAFETY: both are open.
            nix::Error::result(unsafe { libc::dup2(stderr.as_raw_fd(), libc::STDERR_FILENO) })?;
        }
        #[expect(unsafe_code, reason = "Rust ignores SIGPIPE, programs do not expect it to be ignored")]
        // SAFETY: it sets no handler.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
        execvpe(&self.program, &self.arguments, &self.environment)
    }
}

impl Held {
    /// Opens the gate.
    pub(super) fn release(mut self) -> Started {
        // If the process is gone, its end tells more.
        let _ = self.gate.write_all(&[1]);
        Started { failure: self.failure }
    }
}

impl Started {
    /// Why the process, which has ended, did not become the command: an errno.
    pub(super) fn failure(mut self) -> Option<i32> {
        let mut number = [0; 4];
        self.failure.read_exact(&mut number).ok()?;
        Some(i32::from_ne_bytes(number))
    }
}
