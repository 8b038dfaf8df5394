//! What an ordinary socket can be made to do and to tell beyond tokio's: none of it needs a privilege.
//!
//! Where a system lacks one of these, the attempt goes on without it and its observation says so.

use std::net::IpAddr;
use std::time::Duration;

use socket2::SockRef;

/// What the system knows of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TcpState {
    /// Bytes that the far end acknowledged; some kernels count the SYN.
    pub(super) acknowledged: u64,
    /// Segments sent again.
    pub(super) repeated: u32,
}

/// Makes the system reset the connection when it is dropped: nothing of it is sent again and again behind our back.
pub(super) fn forget_at_close(socket: &SockRef<'_>) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

#[cfg(target_os = "linux")]
pub(super) use linux::{expired_at, hide_ends, in_progress, report_icmp, tcp_state};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{expired_at, hide_ends, in_progress, report_icmp, tcp_state};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Error, IoSliceMut, Result};
    use std::net::Ipv4Addr;
    use std::os::fd::{AsFd, AsRawFd as _};

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
    use socket2::{SockFilter, SockRef};

    use super::{IpAddr, TcpState};

    /// Drops segments that end the connection before TCP sees them (Linux: `tcp_filter` in `tcp_v4_rcv` runs ahead of the
    /// state machine, and its packet begins with the TCP header).
    pub(in crate::probe) fn hide_ends(socket: &SockRef<'_>) -> Result<()> {
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_SET: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const RST_OR_FIN: u32 = 0x05;
        socket.attach_filter(&[
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(JUMP_IF_SET, 0, 1, RST_OR_FIN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ])
    }

    /// Has ICMP errors reported at once: of a connection that is open as an error of the next call, of a SYN with their sender.
    pub(in crate::probe) fn report_icmp(socket: &impl AsFd) {
        let _ = setsockopt(socket, sockopt::Ipv4RecvErr, &true);
    }

    /// Who said that the hops of a SYN ran out (Linux 6.8 and later tell of TCP, too).
    pub(in crate::probe) fn expired_at(socket: &impl AsFd) -> Option<IpAddr> {
        const TIME_EXCEEDED: u8 = 11;
        let mut quoted = [0; 128];
        let mut parts = [IoSliceMut::new(&mut quoted)];
        let mut control = nix::cmsg_space!([u8; 128]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let socket = socket.as_fd().as_raw_fd();
        let message = recvmsg::<SockaddrIn>(socket, &mut parts, Some(&mut control), flags).ok()?;
        message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, Some(from)) if error.ee_type == TIME_EXCEEDED => {
                Some(IpAddr::V4(Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes())))
            }
            _ => None,
        })
    }

    /// Whether a connection is on its way and no error.
    pub(in crate::probe) fn in_progress(error: &Error) -> bool {
        error.raw_os_error() == Some(libc::EINPROGRESS)
    }

    /// `TCP_INFO`. Only its beginning is read, which every kernel since 4.1 has.
    pub(in crate::probe) fn tcp_state(socket: &impl AsFd) -> Option<TcpState> {
        const REPEATED: usize = 100;
        const ACKNOWLEDGED: usize = 120;
        let mut info = [0_u8; 128];
        let length = read_tcp_info(socket, &mut info)?;
        let info = info.get(..length)?;
        Some(TcpState {
            acknowledged: u64::from_ne_bytes(*info.get(ACKNOWLEDGED..)?.first_chunk()?),
            repeated: u32::from_ne_bytes(*info.get(REPEATED..)?.first_chunk()?),
        })
    }

    /// How many bytes of `TCP_INFO` were written into `info`. Neither std, socket2 nor nix wraps that option.
    #[expect(unsafe_code, reason = "no wrapper has TCP_INFO in a size that every kernel fills")]
    fn read_tcp_info(socket: &impl AsFd, info: &mut [u8; 128]) -> Option<usize> {
        let mut length = libc::socklen_t::try_from(info.len()).ok()?;
        // SAFETY: the descriptor is borrowed and so open; `info` is valid for writes of `length` bytes, and any bytes make a
        // valid array; `length` is valid for reads and writes. The kernel writes no more than `length` bytes.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (result == 0).then_some(usize::try_from(length).ok()?)
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io::{Error, ErrorKind, Result};

    use socket2::SockRef;

    use super::{IpAddr, TcpState};

    pub(in crate::probe) fn hide_ends(_: &SockRef<'_>) -> Result<()> {
        Err(Error::from(ErrorKind::Unsupported))
    }

    pub(in crate::probe) const fn report_icmp<S>(_: &S) {}

    pub(in crate::probe) const fn expired_at<S>(_: &S) -> Option<IpAddr> {
        None
    }

    /// EINPROGRESS of the BSDs and macOS, WSAEWOULDBLOCK of Windows.
    pub(in crate::probe) fn in_progress(error: &Error) -> bool {
        error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(36)
    }

    pub(in crate::probe) const fn tcp_state<S>(_: &S) -> Option<TcpState> {
        None
    }
}
