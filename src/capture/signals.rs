//! Signals while the command runs: goprobe outlives them, and the command gets those that were meant for goprobe alone.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::ptrace::Tid;

const HELD: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];

/// Signals that are held back as long as this exists.
pub(super) struct Held {
    before: SigSet,
}

impl Held {
    /// Holds them back in this thread and those that it starts.
    pub(super) fn new() -> nix::Result<Self> {
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&held()), Some(&mut before))?;
        Ok(Self { before })
    }

    /// The signal mask as it was.
    pub(super) const fn before(&self) -> &SigSet {
        &self.before
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

fn held() -> SigSet {
    HELD.into_iter().collect()
}

/// Passes signals on to the command until `ended` can be read. What the terminal sends, the command gets without us.
pub(super) fn pass_on(command: Tid, ended: &OwnedFd) {
    let Ok(signals) = SignalFd::with_flags(&held(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC) else { return };
    loop {
        let mut watched =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut watched, PollTimeout::NONE);
        let [_, ended] = watched;
        if ended.any().unwrap_or(false) {
            return;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            let by_kernel = signal.ssi_code > 0;
            let number = i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if let Some(number) = number.filter(|_| !by_kernel) {
                let _ = kill(Pid::from_raw(command), number);
            }
        }
    }
}
