//! The repeated-execution throttle: the same order over and over is a defect until a person says otherwise.
//!
//! Orders on one side of one instrument, each soon after the one before, are counted; one on the other side, or a pause
//! longer than the window, begins anew. Past the limit trading pauses, and only a person re-enables it.

use crate::instrument::INSTRUMENTS_MAX;
use crate::units::{InstrumentId, Nanos, Side};

/// One instrument's run.
#[derive(Clone, Copy, Debug)]
struct Run {
    side: Side,
    orders: u32,
    last: Nanos,
}

/// Runs by instrument.
#[derive(Clone, Debug)]
pub(super) struct Repeats {
    runs: Box<[Run]>,
    max: u32,
    window_ns: u64,
}

impl Repeats {
    /// At most `max` orders in a run. Allocates all it will ever use.
    pub(super) fn new(max: u32, window_ns: u64) -> Self {
        let none = Run { side: Side::Buy, orders: 0, last: Nanos(0) };
        Self { runs: vec![none; INSTRUMENTS_MAX].into_boxed_slice(), max, window_ns }
    }

    /// Whether one more order would still be within the limit.
    #[inline(always)]
    pub(super) fn admits(&self, instrument: InstrumentId, side: Side, now: Nanos) -> bool {
        self.runs.get(instrument.index()).is_some_and(|run| self.length(run, side, now) <= self.max)
    }

    /// One more order leaves.
    #[inline(always)]
    pub(super) fn take(&mut self, instrument: InstrumentId, side: Side, now: Nanos) {
        let Some(run) = self.runs.get(instrument.index()) else { return };
        let run = Run { side, orders: self.length(run, side, now), last: now };
        self.runs[instrument.index()] = run;
    }

    /// A person has looked: every run begins anew. Touches every instrument.
    pub(super) fn forgive(&mut self) {
        self.runs.iter_mut().for_each(|run| run.orders = 0);
    }

    #[inline(always)]
    fn length(&self, run: &Run, side: Side, now: Nanos) -> u32 {
        if run.side == side && now.since(run.last) <= self.window_ns { run.orders.saturating_add(1) } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTRUMENT: InstrumentId = InstrumentId(3);

    #[test]
    fn a_run_ends_at_its_limit_and_a_person_begins_it_anew() {
        let mut repeats = Repeats::new(3, 100);
        for at in [10, 20, 30] {
            assert!(repeats.admits(INSTRUMENT, Side::Buy, Nanos(at)));
            repeats.take(INSTRUMENT, Side::Buy, Nanos(at));
        }
        assert!(!repeats.admits(INSTRUMENT, Side::Buy, Nanos(40)));
        assert!(
            repeats.admits(INSTRUMENT, Side::Sell, Nanos(40)) && repeats.admits(InstrumentId(4), Side::Buy, Nanos(40))
        );
        assert!(repeats.admits(INSTRUMENT, Side::Buy, Nanos(131)), "a pause begins anew");
        repeats.forgive();
        assert!(repeats.admits(INSTRUMENT, Side::Buy, Nanos(40)));
    }

    #[test]
    fn the_other_side_begins_anew() {
        let mut repeats = Repeats::new(2, 100);
        for at in 0..50 {
            let side = if at % 2 == 0 { Side::Buy } else { Side::Sell };
            assert!(repeats.admits(INSTRUMENT, side, Nanos(at)));
            repeats.take(INSTRUMENT, side, Nanos(at));
        }
    }
}
