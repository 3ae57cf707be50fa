//! Packets held back: one pool of slots for all streams, and each stream's slots in the order of their sequences.

use super::Envelope;
use crate::feed::Packet;
use crate::units::Nanos;

/// Longest packet that is held, bytes.
const PACKET_BYTES: usize = 1_536;

/// What became of a packet that was to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    Held,
    /// One of the same sequence is.
    Already,
    NoRoom,
}

#[derive(Clone, Debug)]
struct Slot {
    envelope: Envelope,
    sequence: u64,
    end: u64,
    len: usize,
    bytes: [u8; PACKET_BYTES],
}

/// All slots.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Box<[Slot]>,
    free: Box<[u16]>,
    free_len: usize,
}

impl Pool {
    pub(super) fn new(slots: usize) -> Self {
        let blank = Slot { envelope: Envelope::default(), sequence: 0, end: 0, len: 0, bytes: [0; PACKET_BYTES] };
        Self { slots: vec![blank; slots].into(), free: (0..slots as u16).collect(), free_len: slots }
    }

    pub(super) fn end(&self, slot: u16) -> u64 {
        self.slots[usize::from(slot)].end
    }

    pub(super) fn packet(&self, slot: u16) -> Packet<'_> {
        let Slot { envelope, len, bytes, .. } = &self.slots[usize::from(slot)];
        let Envelope { time, received, port, line } = *envelope;
        Packet { time, received, port, line, bytes: &bytes[..*len] }
    }

    pub(super) fn release(&mut self, slot: u16) {
        self.free[self.free_len] = slot;
        self.free_len += 1;
    }

    fn take(&mut self, (sequence, end): (u64, u64), packet: &Packet<'_>) -> Option<u16> {
        if packet.bytes.len() > PACKET_BYTES || self.free_len == 0 {
            return None;
        }
        self.free_len -= 1;
        let slot = self.free[self.free_len];
        let kept = &mut self.slots[usize::from(slot)];
        let &Packet { time, received, port, line, bytes } = packet;
        kept.envelope = Envelope { time, received, port, line };
        (kept.sequence, kept.end, kept.len) = (sequence, end, bytes.len());
        kept.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(slot)
    }
}

/// One stream's slots, highest sequence first, so that the next to leave is the last.
#[derive(Debug)]
pub(super) struct Held {
    slots: Box<[u16]>,
    len: usize,
}

impl Held {
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: vec![0; capacity].into_boxed_slice(), len: 0 }
    }

    /// The lowest sequence held.
    pub(super) fn first(&self, pool: &Pool) -> Option<u64> {
        self.slots[..self.len].last().map(|&slot| pool.slots[usize::from(slot)].sequence)
    }

    /// When the packet of the lowest sequence was received.
    pub(super) fn since(&self, pool: &Pool) -> Option<Nanos> {
        self.slots[..self.len].last().map(|&slot| pool.slots[usize::from(slot)].envelope.time)
    }

    /// Keeps a copy of a packet. A second one of the same sequence is kept only if it reaches further.
    pub(super) fn insert(&mut self, pool: &mut Pool, (sequence, end): (u64, u64), packet: &Packet<'_>) -> Inserted {
        let at = self.slots[..self.len].partition_point(|&slot| pool.slots[usize::from(slot)].sequence > sequence);
        let same = self.slots[..self.len].get(at).map(|&slot| &pool.slots[usize::from(slot)]);
        if same.is_some_and(|slot| slot.sequence == sequence && slot.end >= end) {
            return Inserted::Already;
        }
        if self.len == self.slots.len() {
            return Inserted::NoRoom;
        }
        let Some(slot) = pool.take((sequence, end), packet) else { return Inserted::NoRoom };
        self.slots.copy_within(at..self.len, at + 1);
        self.slots[at] = slot;
        self.len += 1;
        Inserted::Held
    }

    /// Takes the lowest slot if it begins at `next` or below. The caller releases it.
    pub(super) fn pop_if(&mut self, pool: &Pool, next: u64) -> Option<u16> {
        let slot = *self.slots[..self.len].last()?;
        (pool.slots[usize::from(slot)].sequence <= next).then(|| {
            self.len -= 1;
            slot
        })
    }
}
