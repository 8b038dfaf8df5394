//! An interface of a section: its link type, its clock and what it lost.

use super::options::Options;
use crate::source::Summary;
use crate::types::Timestamp;

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const EPB_DROPCOUNT: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;
const ISB_OSDROP: u16 = 7;

pub(super) struct Interface {
    pub(super) link: u16,
    /// 0 means no limit.
    pub(super) snap_length: u32,
    unit: Unit,
    /// Seconds to add to every time.
    offset: i64,
    lost_by_statistics: u64,
    lost_by_packets: u64,
    accepted: u64,
}

/// The unit of an interface's clock (`if_tsresol`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    /// This many nanoseconds.
    Nanoseconds(u64),
    /// One of this many parts of a nanosecond; None when there are more than can be counted.
    Parts(Option<u64>),
    /// This negative power of two of a second.
    PowerOfTwo(u32),
}

impl Unit {
    fn of(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::PowerOfTwo(exponent);
        }
        match 9_u32.checked_sub(exponent) {
            Some(finer) => Self::Nanoseconds(10_u64.pow(finer)),
            None => Self::Parts(10_u64.checked_pow(exponent.saturating_sub(9))),
        }
    }

    #[inline]
    fn nanos(self, count: u64) -> i64 {
        let nanos = match self {
            Self::Nanoseconds(unit) => count.saturating_mul(unit),
            Self::Parts(parts) => parts.map_or(0, |parts| count / parts),
            Self::PowerOfTwo(exponent) => {
                let nanos = u128::from(count) * 1_000_000_000;
                u64::try_from(nanos.checked_shr(exponent).unwrap_or(0)).unwrap_or(u64::MAX)
            }
        };
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

impl Interface {
    pub(super) fn new(link: u16, snap_length: u32, mut options: Options, block: &[u8]) -> Self {
        let (mut unit, mut offset) = (Unit::of(6), 0);
        while let Some(option) = options.next(block) {
            match option.code {
                IF_TSRESOL if option.length >= 1 => {
                    unit = block.get(option.at).map_or(unit, |&resolution| Unit::of(resolution));
                }
                IF_TSOFFSET if option.length >= 8 => {
                    offset = options.endian().u64(block, option.at).unwrap_or_default().cast_signed();
                }
                _ => {}
            }
        }
        Self { link, snap_length, unit, offset, lost_by_statistics: 0, lost_by_packets: 0, accepted: 0 }
    }

    #[inline]
    pub(super) fn time(&self, count: u64) -> Timestamp {
        let nanos = self.unit.nanos(count);
        Timestamp::from_nanos(nanos.saturating_add(self.offset.saturating_mul(1_000_000_000)))
    }

    /// `epb_dropcount`: packets lost since the preceding one of this interface.
    pub(super) fn read_packet_options(&mut self, options: &mut Options, block: &[u8], dropped: &mut Option<u64>) {
        while let Some(option) = options.next(block) {
            if option.code == EPB_DROPCOUNT
                && option.length >= 8
                && let Some(lost) = options.endian().u64(block, option.at)
            {
                self.lost_before_packet(lost, dropped);
            }
        }
    }

    pub(super) fn lost_before_packet(&mut self, lost: u64, dropped: &mut Option<u64>) {
        let packets = self.lost_by_packets.saturating_add(lost);
        self.tell_lost(self.lost_by_statistics, packets, dropped);
    }

    /// The counts of an Interface Statistics Block, all since the beginning of the recording.
    pub(super) fn read_statistics(&mut self, options: &mut Options, block: &[u8], summary: &mut Summary) {
        let mut lost: Option<u64> = None;
        while let Some(option) = options.next(block) {
            if option.length < 8 {
                continue;
            }
            let value = options.endian().u64(block, option.at).unwrap_or_default();
            match option.code {
                ISB_IFDROP | ISB_OSDROP => lost = Some(lost.unwrap_or(0).saturating_add(value)),
                ISB_FILTERACCEPT => {
                    let more = value.saturating_sub(self.accepted);
                    self.accepted = self.accepted.max(value);
                    summary.filter_accepted = Some(summary.filter_accepted.unwrap_or(0).saturating_add(more));
                }
                _ => {}
            }
        }
        if let Some(lost) = lost {
            self.tell_lost(lost.max(self.lost_by_statistics), self.lost_by_packets, &mut summary.dropped);
        }
    }

    /// Both ways of counting count the same losses: the larger figure holds.
    fn tell_lost(&mut self, by_statistics: u64, by_packets: u64, dropped: &mut Option<u64>) {
        let before = self.lost_by_statistics.max(self.lost_by_packets);
        (self.lost_by_statistics, self.lost_by_packets) = (by_statistics, by_packets);
        let more = by_statistics.max(by_packets).saturating_sub(before);
        *dropped = Some(dropped.unwrap_or(0).saturating_add(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_tsresol_is_a_power_of_ten_or_of_two() {
        assert_eq!(Unit::of(6).nanos(1_500_000), 1_500_000_000);
        assert_eq!(Unit::of(9).nanos(7), 7);
        assert_eq!(Unit::of(0).nanos(3), 3_000_000_000);
        assert_eq!(Unit::of(12).nanos(5_999), 5);
        assert_eq!(Unit::of(0x80 | 10).nanos(1536), 1_500_000_000);
        assert_eq!(Unit::of(0x80 | 32).nanos(u64::MAX), 4_294_967_295_999_999_999);
        assert_eq!(Unit::of(0x7f).nanos(u64::MAX), 0);
        assert_eq!(Unit::of(0xff).nanos(u64::MAX), 0);
        assert_eq!(Unit::of(0).nanos(u64::MAX), i64::MAX);
    }
}
