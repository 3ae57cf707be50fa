//! The snapshot in progress on a channel: one instrument at a time, from its header to its trailer.

use super::orders::Resting;
use crate::units::Side;

/// Orders of one snapshot at most; one with more is given up.
const ORDERS_MAX: usize = 8_192;

/// A snapshot of which a part was missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// One channel's snapshot.
#[derive(Debug)]
pub(super) struct Staged {
    /// The venue's number of the instrument, and the incremental sequence the snapshot is as of; `None` between snapshots.
    of: Option<(i64, u64)>,
    /// A part of it could not be used.
    is_spoiled: bool,
    orders: Box<[(Side, Resting)]>,
    len: usize,
}

impl Staged {
    pub(super) fn new() -> Self {
        let blank = (Side::Buy, Resting::default());
        Self { of: None, is_spoiled: false, orders: vec![blank; ORDERS_MAX].into_boxed_slice(), len: 0 }
    }

    /// A header. False when a snapshot was in progress, which is given up.
    pub(super) fn begin(&mut self, instrument: i64, as_of: u64) -> bool {
        let was_idle = self.of.is_none();
        (self.of, self.is_spoiled, self.len) = (Some((instrument, as_of)), false, 0);
        was_idle
    }

    /// An order. Outside of a snapshot, or of another instrument, it says nothing.
    pub(super) fn put(&mut self, instrument: i64, side: Side, order: Resting) {
        match self.of {
            Some((own, _)) if own == instrument && self.len < self.orders.len() => {
                self.orders[self.len] = (side, order);
                self.len += 1;
            }
            Some(_) => self.is_spoiled = true,
            None => {}
        }
    }

    /// The rest of it is of no use.
    pub(super) fn spoil(&mut self) {
        self.is_spoiled = true;
    }

    /// A trailer. The orders, when all of the snapshot could be used; `Err` when there was one and it could not.
    pub(super) fn finish(&mut self, instrument: i64, as_of: u64) -> Result<Option<&[(Side, Resting)]>, Broken> {
        match self.of.take() {
            None => Ok(None),
            Some(own) if own == (instrument, as_of) && !self.is_spoiled => Ok(Some(self.orders())),
            Some(_) => Err(Broken),
        }
    }

    /// The orders of the snapshot that was finished last.
    pub(super) fn orders(&self) -> &[(Side, Resting)] {
        &self.orders[..self.len]
    }

    /// A packet is missing. True when a snapshot was in progress.
    pub(super) fn abandon(&mut self) -> bool {
        self.of.take().is_some()
    }
}
