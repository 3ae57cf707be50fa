//! One frame may hold more reports than the outbox has room for, or one on an instrument that is not listed yet.
//! [`Delivery`] counts those delivered, so that the frame can be offered again and goes on where it stopped: each report
//! leaves once.

use super::counters::GatewayCounters;
use super::listing::Listing;
use crate::event::{Body, Event, Trail};
use crate::stage::{Full, Outbox};
use crate::units::Nanos;

/// For so long after the first connection a report waits for its instrument to be listed: what an earlier run traded may be
/// reported before the feed has said what there is.
const LISTING_PATIENCE_NS: u64 = 10 * Nanos::PER_SECOND;

/// Delivers the reports of one frame from the one after the last delivered.
pub(super) struct Delivery<'a, O> {
    pub(super) out: &'a mut O,
    pub(super) listing: &'a Listing,
    pub(super) counters: &'a mut GatewayCounters,
    /// When the first connection stood.
    pub(super) first_connected: Option<Nanos>,
    /// Reports of this frame that are behind us.
    pub(super) delivered: &'a mut usize,
    /// Reports of this frame met in this pass.
    pub(super) met: usize,
    pub(super) time: Nanos,
}

impl<O: Outbox<Event>> Delivery<'_, O> {
    /// One report.
    pub(super) fn deliver(&mut self, body: Body) -> Result<(), Full> {
        if self.is_new() {
            self.out.send(Event { trail: Trail::default(), time: self.time, body })?;
            self.done();
        }
        Ok(())
    }

    /// Counts as one report, so that a frame offered again is not counted again.
    pub(super) fn count(&mut self, add: impl FnOnce(&mut GatewayCounters)) {
        if self.is_new() {
            add(self.counters);
            self.done();
        }
    }

    /// A report on an instrument that we were never told of. It could be of a fill: the frame waits while that may change, and
    /// is counted once it may not.
    pub(super) fn unlisted(&mut self) -> Result<(), Full> {
        if self.first_connected.is_some_and(|first| self.time.since(first) < LISTING_PATIENCE_NS) {
            return Err(Full);
        }
        self.count(|counters| counters.unknown_instruments += 1);
        Ok(())
    }

    fn is_new(&mut self) -> bool {
        self.met += 1;
        self.met > *self.delivered
    }

    fn done(&mut self) {
        *self.delivered = self.met;
    }
}
