//! The command's standard error, passed on as it comes and kept for the analysis.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};

/// Bytes that are kept from the start, and as many from the end.
const KEPT: usize = 1 << 20;

/// Both ends of what stands in for standard error. Where that is a terminal, the command gets a terminal.
pub(super) struct Mirror {
    ours: File,
}

/// What the command printed.
#[derive(Debug, Default)]
pub(super) struct Printed {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Mirror {
    /// A mirror, and the end that the command gets.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let stderr = io::stderr();
        if !stderr.is_terminal() {
            let (ours, theirs) = io::pipe()?;
            return Ok((Self { ours: OwnedFd::from(ours).into() }, theirs.into()));
        }
        let pair = openpty(window_size().as_ref(), None)?;
        let mut settings = tcgetattr(&pair.slave)?;
        // The real terminal does what there is to do to the output.
        settings.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
        Ok((Self { ours: pair.master.into() }, pair.slave))
    }

    /// Passes everything on until nobody can write any more, or `ended` can be read and nothing is left.
    pub(super) fn pass_on(mut self, ended: &OwnedFd) -> Printed {
        let mut printed = Printed::default();
        let mut buffer = vec![0; 64 << 10];
        let mut over = false;
        loop {
            let (readable, command_ended) = {
                let mut watched =
                    [PollFd::new(self.ours.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
                let timeout = if over { PollTimeout::ZERO } else { PollTimeout::NONE };
                let _ = poll(&mut watched, timeout);
                let [ours, ended] = watched;
                (ours.any().unwrap_or(false), ended.any().unwrap_or(false))
            };
            if readable {
                match self.ours.read(&mut buffer) {
                    // A terminal whose other end is closed gives an error instead of an end.
                    Ok(0) | Err(_) => return printed,
                    Ok(length) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        let _ = io::stderr().write_all(bytes);
                        printed.add(bytes);
                    }
                }
            } else if over {
                return printed;
            }
            over |= command_ended;
        }
    }
}

/// The window of the terminal that standard error is.
fn window_size() -> Option<nix::pty::Winsize> {
    nix::ioctl_read_bad!(get_window_size, libc::TIOCGWINSZ, nix::pty::Winsize);
    let mut size = nix::pty::Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    #[expect(unsafe_code, reason = "the window's size has no safe call")]
    // SAFETY: the request writes one Winsize.
    let result = unsafe { get_window_size(2, &raw mut size) };
    result.is_ok().then_some(size)
}

impl Printed {
    fn add(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.head.len());
        let (head, tail) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(tail);
        if self.tail.len() > 2 * KEPT {
            self.tail.drain(..self.tail.len() - KEPT);
        }
    }

    /// What was kept of it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        [self.head, self.tail].concat()
    }
}
