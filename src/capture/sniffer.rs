//! Packets from the network, through libpcap. Opening takes privileges; reading takes none, and gets none.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Linktype, Precision};

use super::pcapng::{Interface, Writer};
use super::{Error, witness};
use crate::packet::Decoder;
use crate::source::Frame;
use crate::types::{Ends, FrameNo, Timestamp};

/// The longest packet that is recorded: the largest that segmentation offload makes, and more.
const SNAP_LENGTH: i32 = 262_144;
/// The kernel's buffer. With 64 MiB nothing was lost at 400,000 packets a second.
const BUFFER: i32 = 64 << 20;
/// No packet that opens a connection is longer, headers of tunnels included.
const LONGEST_SYN: usize = 256;
/// How long the kernel may hold packets back to hand over several at once, in milliseconds.
const HOLD: i32 = 5;
const HOLD_TWICE: u16 = 10;
/// Packets that are taken before looking whether the command has ended.
const BATCH: u32 = 1_024;
/// After the command has ended: silence that ends the recording, in milliseconds. After a failure late resets and answers
/// tell something.
const QUIET: u16 = 250;
const QUIET_AFTER_SUCCESS: u16 = 4 * HOLD_TWICE;
/// The longest that packets are waited for after the command has ended, in nanoseconds: others' traffic may never be silent.
const AFTER: u64 = 2_000_000_000;

/// All that may matter: TCP, DNS, ICMP, and fragments, which carry no ports.
pub const DEFAULT_FILTER: &str = "tcp or udp port 53 or icmp or icmp6 or ip[6:2] & 0x3fff != 0 or ip6 proto 44";

/// A device that packets are taken from already. Privileges are still held.
pub(super) struct Opened {
    capture: Capture<Active>,
    interface: Interface,
    /// What a unit of the packets' microsecond field is, in nanoseconds.
    unit: u64,
}

/// Sees the packets that open connections.
struct Spotter {
    decoder: Decoder,
    openings: Sender<Ends>,
}

impl Spotter {
    fn see(&mut self, link: u16, bytes: &[u8]) {
        if bytes.len() > LONGEST_SYN {
            return;
        }
        let original_length = u32::try_from(bytes.len()).unwrap_or_default();
        let no = FrameNo { file: 0, number: 1 };
        let frame = Frame { no, time: Timestamp::from_seconds(0), link, bytes, original_length };
        if let Some(ends) = self.decoder.decode(&frame).as_ref().and_then(witness::opened) {
            let _ = self.openings.send(ends);
        }
    }
}

/// What the recording came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) packets: u64,
    /// Packets that the kernel had no room for.
    pub(super) dropped: u64,
    /// Why nothing more was written.
    pub(super) failure: Option<io::Error>,
}

impl Opened {
    /// Opens a device, `any` for all, and begins to take what the filter lets through.
    pub(super) fn new(device: &str, filter: &str) -> Result<Self, Error> {
        let failed = |error: pcap::Error| Error::open(device, &error);
        let inactive = || {
            Ok::<_, pcap::Error>(
                Capture::from_device(device)?.snaplen(SNAP_LENGTH).buffer_size(BUFFER).timeout(HOLD).promisc(false),
            )
        };
        // Not every device can count nanoseconds.
        let (capture, unit) = match inactive().map_err(failed)?.precision(Precision::Nano).open() {
            Ok(capture) => (capture, 1),
            Err(_) => (inactive().map_err(failed)?.open().map_err(failed)?, 1_000),
        };
        let mut capture = capture.setnonblock().map_err(failed)?;
        // The newer form of what all devices at once give says which device it was.
        if capture.get_datalink() == Linktype::LINUX_SLL {
            let _ = capture.set_datalink(Linktype::LINUX_SLL2);
        }
        capture.filter(filter, true).map_err(|error| Error::Filter(filter.to_owned(), error.to_string()))?;
        let link_type = u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX);
        let snap_length = u32::try_from(SNAP_LENGTH).unwrap_or_default();
        let (name, filter) = (device.to_owned(), filter.to_owned());
        Ok(Self { capture, interface: Interface { link_type, snap_length, name, filter }, unit })
    }

    /// What is said of the interface in the recording.
    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Writes packets until `stop` can be read, and then until it has been silent for a while: a shorter one where the command
    /// `succeeded`.
    pub(super) fn record(
        mut self,
        mut writer: Writer<BufWriter<File>>,
        openings: Sender<Ends>,
        stop: BorrowedFd<'_>,
        succeeded: &AtomicBool,
    ) -> Tally {
        let mut spotter = Spotter { decoder: Decoder::new(), openings };
        let mut tally = Tally::default();
        let mut last = 0;
        // Whether the command has ended, and until when its late packets are waited for.
        let mut ended = false;
        let mut deadline = u64::MAX;
        loop {
            let mut idle = false;
            for _ in 0..BATCH {
                match self.next(&mut writer, &mut tally, &mut spotter) {
                    Ok(Some(time)) => {
                        // The first packet after the command's end, and no earlier one, says when that was.
                        if ended && deadline == u64::MAX {
                            deadline = time.saturating_add(AFTER);
                        }
                        last = time;
                    }
                    Ok(None) => {
                        idle = true;
                        break;
                    }
                    Err(error) => {
                        tally.failure.get_or_insert(error);
                        ended = true;
                        deadline = 0;
                        break;
                    }
                }
            }
            if ended {
                // Where nothing was said, nothing comes late.
                let quiet = match last {
                    0 => HOLD_TWICE,
                    _ if succeeded.load(Ordering::Acquire) => QUIET_AFTER_SUCCESS,
                    _ => QUIET,
                };
                if last >= deadline || (idle && !self.has_packets_within(quiet)) {
                    break;
                }
            } else {
                if idle && tally.failure.is_none() {
                    tally.failure = writer.flush().err(); // a killed goprobe leaves what was recorded
                }
                ended = self.is_stopped(stop, idle);
            }
        }
        if let Ok(stat) = self.capture.stats() {
            tally.dropped = u64::from(stat.dropped) + u64::from(stat.if_dropped);
            if tally.failure.is_none() {
                let end = writer.statistics(last, stat.received.into(), tally.dropped).and_then(|()| writer.flush());
                tally.failure = end.err();
            }
        }
        tally
    }

    /// Takes the next packet, if there is one, and says when it was recorded.
    fn next(
        &mut self,
        writer: &mut Writer<BufWriter<File>>,
        tally: &mut Tally,
        spotter: &mut Spotter,
    ) -> io::Result<Option<u64>> {
        match self.capture.next_packet() {
            Ok(packet) => {
                let seconds = u64::try_from(packet.header.ts.tv_sec).unwrap_or_default();
                let fraction = u64::try_from(packet.header.ts.tv_usec).unwrap_or_default();
                let time = seconds.saturating_mul(1_000_000_000).saturating_add(fraction.saturating_mul(self.unit));
                tally.packets += 1;
                if tally.failure.is_none() {
                    // A full disk ends the recording, not the command.
                    tally.failure = writer.packet(time, packet.header.len, packet.data, &[]).err();
                }
                spotter.see(self.interface.link_type, packet.data);
                Ok(Some(time))
            }
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => Ok(None),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// Waits for packets or for the end of the command, or only looks.
    fn is_stopped(&self, stop: BorrowedFd<'_>, wait: bool) -> bool {
        let mut watched = [PollFd::new(stop, PollFlags::POLLIN), PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        let timeout = if wait { PollTimeout::NONE } else { PollTimeout::ZERO };
        // An interrupted wait is repeated by the caller.
        let _ = poll(&mut watched, timeout);
        let [stop, _] = watched;
        stop.any().unwrap_or(false)
    }

    fn has_packets_within(&self, milliseconds: u16) -> bool {
        let mut watched = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::from(milliseconds)) != Ok(0)
    }
}
