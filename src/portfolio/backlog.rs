//! What the next stage had no room for.
//!
//! Reports and reference data wait in order and are never dropped; of each book only the latest
//! top waits, and of clocks only the latest. Everything is taken at construction.

use crate::event::Event;
use crate::units::InstrumentId;

/// Reports and reference data that can wait.
pub const BACKLOG_MAX: usize = 8_192;

/// Events waiting for room in the outbox.
#[derive(Debug)]
pub(super) struct Backlog {
    kept: Box<[Option<Event>]>,
    head: usize,
    len: usize,
    /// Latest waiting top by instrument.
    tops: Box<[Option<Event>]>,
    /// Instruments with a waiting top, first come first.
    queue: Box<[InstrumentId]>,
    queue_head: usize,
    queue_len: usize,
    clock: Option<Event>,
}

impl Backlog {
    pub(super) fn new(instruments: usize) -> Self {
        Self {
            kept: vec![None; BACKLOG_MAX].into_boxed_slice(),
            head: 0,
            len: 0,
            tops: vec![None; instruments].into_boxed_slice(),
            queue: vec![InstrumentId(0); instruments].into_boxed_slice(),
            queue_head: 0,
            queue_len: 0,
            clock: None,
        }
    }

    /// Reports and reference data waiting.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits that must keep its order.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a report or reference data; false, and not kept, at the end of the room.
    pub(super) fn keep(&mut self, event: Event) -> bool {
        if self.len == BACKLOG_MAX {
            return false;
        }
        self.kept[(self.head + self.len) % BACKLOG_MAX] = Some(event);
        self.len += 1;
        true
    }

    /// The report or reference data that waits longest.
    pub(super) fn front(&self) -> Option<Event> {
        if self.len == 0 { None } else { self.kept[self.head] }
    }

    /// Lets go of [`front`](Self::front).
    pub(super) fn pop(&mut self) {
        debug_assert!(self.len > 0);
        self.kept[self.head] = None;
        self.head = (self.head + 1) % BACKLOG_MAX;
        self.len -= 1;
    }

    /// Keeps a top in place of an older one of the same instrument.
    pub(super) fn keep_top(&mut self, instrument: InstrumentId, event: Event) {
        if self.tops[instrument.index()].replace(event).is_none() {
            self.queue[(self.queue_head + self.queue_len) % self.queue.len()] = instrument;
            self.queue_len += 1;
        }
    }

    /// The instrument whose top waits longest, with its latest top.
    pub(super) fn front_top(&self) -> Option<Event> {
        if self.queue_len == 0 { None } else { self.tops[self.queue[self.queue_head].index()] }
    }

    /// Lets go of [`front_top`](Self::front_top).
    pub(super) fn pop_top(&mut self) {
        debug_assert!(self.queue_len > 0);
        self.tops[self.queue[self.queue_head].index()] = None;
        self.queue_head = (self.queue_head + 1) % self.queue.len();
        self.queue_len -= 1;
    }

    /// Keeps the latest clock.
    pub(super) fn keep_clock(&mut self, event: Event) {
        self.clock = Some(event);
    }

    /// The clock that waits.
    pub(super) fn clock(&self) -> Option<Event> {
        self.clock
    }

    /// Lets go of [`clock`](Self::clock).
    pub(super) fn pop_clock(&mut self) {
        self.clock = None;
    }
}
