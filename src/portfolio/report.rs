//! What is held of each expiry, greek by greek, with bounds. Computed afresh: for reports, not for ticks.

use super::aggregate::COEFFICIENT_ERROR;
use super::book::Book;
use super::holding::ByGreek;
use crate::instrument::BookQuality;
use crate::units::{Nanos, UnderlyingId};

/// Relative error of the kernel's log-gamma, vega, theta, vanna and volga.
const GREEK_ERROR: f64 = 1e-12;

/// What is held of one expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpiryExposure {
    /// Seconds since the epoch; 0 for what never expires.
    pub expiry_s: u32,
    /// Forward it was valued at.
    pub forward: f64,
    /// Instruments held.
    pub held: u16,
    /// Whether all of it could be valued from fresh calibration.
    pub quality: BookQuality,
    /// Its greeks.
    pub greeks: ByGreek,
    /// Bounds on their errors; of delta, on the error of what is shown on ticks.
    pub bounds: ByGreek,
}

impl Book {
    /// What is held of each expiry of an underlying, soonest first.
    pub(super) fn report(&self, underlying: UnderlyingId, now: Nanos) -> impl Iterator<Item = ExpiryExposure> {
        let held = self.chain.slices_of(underlying).filter(|&at| self.chain.slices()[at].data.held > 0);
        held.map(move |at| {
            let (slice, market) = (&self.chain.slices()[at], self.market(at, now));
            let (mut greeks, mut bounds) = (ByGreek::default(), ByGreek::default());
            let mut is_known = true;
            let mut delta_bound = slice.data.engine.map_or(0.0, |engine| self.engine_error(engine, now));
            for row in self.chain.rows()[slice.range()].iter().filter(|row| row.data.lots != 0) {
                let one = row.data.report(&market);
                is_known &= one.is_some();
                let one = one.unwrap_or_default();
                greeks.add(&one, |value| value);
                bounds.add(&one, |value| value.abs() * GREEK_ERROR);
                if !row.data.is_anchored {
                    let lots = row.data.lots.unsigned_abs() as f64;
                    delta_bound += lots * (row.data.error_a_lot(&market) + COEFFICIENT_ERROR);
                }
            }
            bounds.delta = delta_bound;
            let is_fresh = now <= slice.data.fresh_until(slice.expiry_s, self.ages);
            let quality = match (is_known, is_fresh) {
                (true, true) => BookQuality::Good,
                (true, false) => BookQuality::Stale,
                (false, _) => BookQuality::Unknown,
            };
            let (expiry_s, held) = (slice.expiry_s, slice.data.held);
            ExpiryExposure { expiry_s, forward: market.forward, held, quality, greeks, bounds }
        })
    }
}
