//! The market-data network between the venue and the feed: packets are lost, doubled, held back, damaged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::dice::Dice;
use super::faults::Fault;
use crate::sim::venue::Channel;
use crate::units::Nanos;

/// How long a packet takes when nothing is wrong, nanoseconds.
const FLIGHT_NS: u64 = 50_000;
/// Old snapshots that may come again.
const KEPT: usize = 8;

/// A packet under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Datagram {
    pub(super) due: Nanos,
    order: u64,
    pub(super) port: u16,
    pub(super) bytes: Vec<u8>,
}

/// What is under way, soonest first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    flying: BinaryHeap<Reverse<Datagram>>,
    sent: u64,
    silent_until: Nanos,
    old_snapshots: Vec<Vec<u8>>,
    /// What is taken off a channel's sequence numbers since it began anew, and its last number.
    rebased: Vec<(u16, u32, u32)>,
}

impl Lines {
    /// The port of a channel.
    fn port(channel: Channel) -> u16 {
        match channel {
            Channel::Incremental => 1,
            Channel::Snapshot => 2,
        }
    }

    /// Everything falls silent for a while.
    pub(super) fn silence(&mut self, until: Nanos) {
        self.silent_until = self.silent_until.max(until);
    }

    /// A packet of the venue.
    pub(super) fn publish(&mut self, now: Nanos, channel: Channel, bytes: &[u8], dice: &mut Dice) {
        let port = Self::port(channel);
        let mut bytes = bytes.to_vec();
        self.renumber(port, &mut bytes);
        if now < self.silent_until || dice.strikes(Fault::Loss) {
            return;
        }
        if channel == Channel::Snapshot {
            if dice.strikes(Fault::SnapshotLoss) {
                return;
            }
            if !self.old_snapshots.is_empty() && dice.strikes(Fault::SnapshotStale) {
                let at = dice.random.below(self.old_snapshots.len() as u64) as usize;
                let old = self.old_snapshots.swap_remove(at);
                self.send(now, port, old);
            }
            if self.old_snapshots.len() < KEPT {
                self.old_snapshots.push(bytes.clone());
            }
        }
        if dice.strikes(Fault::Duplicate) {
            let later = Nanos(now.0 + dice.wait_ns(0, 20));
            self.send(later, port, bytes.clone());
        }
        if dice.strikes(Fault::CorruptLength) {
            bytes[0] ^= 1 + dice.random.below(255) as u8;
        }
        if dice.strikes(Fault::Truncate) {
            bytes.truncate(dice.random.below(bytes.len() as u64) as usize);
        }
        let held = if dice.strikes(Fault::Reorder) { dice.wait_ns(1, 50) } else { 0 };
        self.send(Nanos(now.0 + held), port, bytes);
    }

    /// Bytes that nobody meant.
    pub(super) fn noise(&mut self, now: Nanos, dice: &mut Dice) {
        let length = dice.random.below(200) as usize;
        let bytes = (0..length).map(|_| dice.random.bits() as u8).collect();
        self.send(now, 1 + dice.random.below(2) as u16, bytes);
    }

    /// The next packet that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Nanos) -> Option<Datagram> {
        let due = self.flying.peek().is_some_and(|Reverse(next)| next.due <= now);
        if due { self.flying.pop().map(|Reverse(datagram)| datagram) } else { None }
    }

    /// Nobody listens: what has arrived by `now` is gone, and so is what could come again. A snapshot from before a process
    /// joined the lines is beyond what it could tell from a new one.
    pub(super) fn discard(&mut self, now: Nanos) {
        while self.arrived(now).is_some() {}
        self.old_snapshots.clear();
    }

    /// Faults that last end.
    pub(super) fn heal(&mut self, now: Nanos) {
        self.silent_until = self.silent_until.min(now);
    }

    fn send(&mut self, now: Nanos, port: u16, bytes: Vec<u8>) {
        self.sent += 1;
        self.flying.push(Reverse(Datagram { due: Nanos(now.0 + FLIGHT_NS), order: self.sent, port, bytes }));
    }

    /// Lets a channel's sequence numbers begin again at 1, from a packet of chance on.
    fn renumber(&mut self, port: u16, bytes: &mut [u8]) {
        let Some(&[c0, c1, s0, s1, s2, s3]) = bytes.get(2..8).and_then(|head| head.first_chunk::<6>()) else { return };
        let key = u16::from_le_bytes([c0, c1]) ^ (port << 12);
        let sequence = u32::from_le_bytes([s0, s1, s2, s3]);
        let at = self.rebased.iter().position(|(channel, ..)| *channel == key).unwrap_or_else(|| {
            self.rebased.push((key, 0, 0));
            self.rebased.len() - 1
        });
        let (_, base, reset_due) = &mut self.rebased[at];
        if *reset_due == 1 {
            (*base, *reset_due) = (sequence.wrapping_sub(1), 0);
        }
        bytes[4..8].copy_from_slice(&sequence.wrapping_sub(*base).to_le_bytes());
    }

    /// The next packet of some channel is numbered 1; false when no channel was heard yet.
    pub(super) fn reset_a_sequence(&mut self, dice: &mut Dice) -> bool {
        let any = !self.rebased.is_empty();
        if any {
            let at = dice.random.below(self.rebased.len() as u64) as usize;
            self.rebased[at].2 = 1;
        }
        any
    }

    /// The next packet of every channel is numbered 1.
    pub(super) fn reset_every_sequence(&mut self) {
        self.rebased.iter_mut().for_each(|(.., reset_due)| *reset_due = 1);
    }
}
