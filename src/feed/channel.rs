//! Sequence tracking: every packet is the next of its channel and port, or something is said about it.

use super::directory::Directory;
use crate::units::Nanos;

/// Channel and port pairs at most.
pub(super) const CHANNELS_MAX: usize = 256;

/// Late packets in one unbroken run, without any packet on time between them, from which a channel counts as restarted.
const RESTART_RUN: u32 = 16;

/// A channel, by order of first appearance.
pub(super) type ChannelIndex = u16;

/// How a packet stands to its channel's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first one, or the one expected.
    InOrder,
    /// This many are missing before it.
    Gap(u32),
    /// A duplicate, or one that comes after its successor.
    Late,
    /// The venue began to count anew.
    Restart,
}

/// One channel on one port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channel {
    next: u32,
    late_next: u32,
    late_run: u32,
    /// When it was last heard.
    pub(super) heard: Nanos,
    /// Whether it was silent for too long at the last look.
    pub(super) silent: bool,
    /// Whether it carries book changes.
    pub(super) carries_changes: bool,
    /// Whether it carries snapshots.
    pub(super) carries_snapshots: bool,
    /// Whether the next snapshot message is sure to begin a book.
    pub(super) aligned: bool,
}

impl Channel {
    /// Whether a packet lost here may have held a book change.
    pub(super) fn may_carry_changes(&self) -> bool {
        self.carries_changes || !self.carries_snapshots
    }

    fn arrive(&mut self, sequence: u32) -> Arrival {
        let ahead = sequence.wrapping_sub(self.next);
        let arrival = if ahead == 0 {
            Arrival::InOrder
        } else if ahead < 1 << 31 {
            Arrival::Gap(ahead)
        } else {
            self.late_run = if sequence == self.late_next { self.late_run + 1 } else { 1 };
            self.late_next = sequence.wrapping_add(1);
            if self.late_run < RESTART_RUN {
                return Arrival::Late;
            }
            Arrival::Restart
        };
        self.next = sequence.wrapping_add(1);
        self.late_run = 0;
        arrival
    }
}

/// All channels.
#[derive(Debug)]
pub(super) struct Channels {
    directory: Directory,
    channels: Box<[Channel]>,
    len: usize,
}

impl Channels {
    pub(super) fn new() -> Self {
        Self {
            directory: Directory::new(CHANNELS_MAX),
            channels: vec![Channel::default(); CHANNELS_MAX].into_boxed_slice(),
            len: 0,
        }
    }

    /// Notes a packet. `None` when the table is full: its channel cannot be followed, so it cannot be used.
    #[inline]
    pub(super) fn arrive(
        &mut self,
        port: u16,
        channel: u16,
        sequence: u32,
        time: Nanos,
    ) -> Option<(ChannelIndex, Arrival)> {
        let number = u32::from(port) << 16 | u32::from(channel);
        let index = match self.directory.find(number) {
            Some(index) => index,
            None => {
                let index = self.len as u16;
                if self.len == CHANNELS_MAX || !self.directory.insert(number, index) {
                    return None;
                }
                self.channels[self.len].next = sequence;
                self.len += 1;
                index
            }
        };
        let channel = &mut self.channels[usize::from(index)];
        channel.heard = channel.heard.max(time);
        Some((index, channel.arrive(sequence)))
    }

    pub(super) fn at(&mut self, index: ChannelIndex) -> &mut Channel {
        &mut self.channels[usize::from(index)]
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(sequences: impl IntoIterator<Item = u32>) -> Vec<Arrival> {
        let mut channels = Channels::new();
        sequences.into_iter().map(|s| channels.arrive(6100, 2, s, Nanos(1)).unwrap().1).collect()
    }

    #[test]
    fn a_hole_is_measured_and_what_comes_late_is_known() {
        use Arrival::{Gap, InOrder, Late};
        assert_eq!(arrivals([7, 8, 11, 9, 10, 11, 12]), [InOrder, InOrder, Gap(2), Late, Late, Late, InOrder]);
    }

    #[test]
    fn the_sequence_wraps() {
        use Arrival::{Gap, InOrder};
        assert_eq!(arrivals([u32::MAX - 1, u32::MAX, 0, 2]), [InOrder, InOrder, InOrder, Gap(1)]);
    }

    #[test]
    fn a_venue_that_counts_anew_is_followed_after_a_run_and_not_before() {
        let seen = arrivals([1_000_000].into_iter().chain(1..40));
        assert_eq!(seen.iter().filter(|&&a| a == Arrival::Late).count(), RESTART_RUN as usize - 1);
        assert_eq!(seen[RESTART_RUN as usize], Arrival::Restart);
        assert!(seen[RESTART_RUN as usize + 1..].iter().all(|&a| a == Arrival::InOrder));
    }

    #[test]
    fn a_duplicated_line_never_looks_like_a_restart() {
        let seen = arrivals((0..200).flat_map(|n| [n + 50, n]));
        assert!(!seen.contains(&Arrival::Restart));
    }

    #[test]
    fn ports_count_apart_and_a_full_table_refuses() {
        let mut channels = Channels::new();
        assert_eq!(channels.arrive(6100, 1, 5, Nanos(1)), Some((0, Arrival::InOrder)));
        assert_eq!(channels.arrive(6101, 1, 9, Nanos(1)), Some((1, Arrival::InOrder)));
        for channel in 2..CHANNELS_MAX as u16 {
            assert!(channels.arrive(1, channel, 0, Nanos(1)).is_some());
        }
        assert_eq!(channels.arrive(1, 9_999, 0, Nanos(1)), None);
        assert_eq!(channels.arrive(6101, 1, 10, Nanos(1)), Some((1, Arrival::InOrder)));
    }
}
