//! The channels heard, by number and port: when, and what they carry.

use crate::feed::directory::Directory;
use crate::units::Nanos;

/// Channel and port pairs at most.
pub(super) const CHANNELS_MAX: usize = 256;

/// A channel, by order of first appearance.
pub(super) type ChannelIndex = u16;

/// One channel on one port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channel {
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

    /// The channel of a packet, and whether it is new. `None` when the table is full: it cannot be followed, so it cannot
    /// be used.
    #[inline]
    pub(super) fn hear(&mut self, port: u16, channel: u16, time: Nanos) -> Option<(ChannelIndex, bool)> {
        let number = u32::from(port) << 16 | u32::from(channel);
        let known = self.directory.find(number);
        let index = match known {
            Some(index) => index,
            None => {
                let index = self.len as u16;
                if self.len == CHANNELS_MAX || !self.directory.insert(number, index) {
                    return None;
                }
                self.len += 1;
                index
            }
        };
        let channel = &mut self.channels[usize::from(index)];
        channel.heard = channel.heard.max(time);
        Some((index, known.is_none()))
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

    #[test]
    fn ports_count_apart_and_a_full_table_refuses() {
        let mut channels = Channels::new();
        assert_eq!(channels.hear(6100, 1, Nanos(1)), Some((0, true)));
        assert_eq!(channels.hear(6101, 1, Nanos(1)), Some((1, true)));
        for channel in 2..CHANNELS_MAX as u16 {
            assert!(channels.hear(1, channel, Nanos(1)).is_some());
        }
        assert_eq!(channels.hear(1, 9_999, Nanos(1)), None);
        assert_eq!(channels.hear(6101, 1, Nanos(1)), Some((1, false)));
    }
}
