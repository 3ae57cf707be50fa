//! The repeated-execution throttle: the same order over and over is a defect until a person says otherwise.
//!
//! Orders on one side of one instrument, each soon after the one before, are counted; one on the other side, or a pause
//! longer than the window, begins anew. Past the limit trading pauses, and only a person re-enables it.

use crate::instrument::INSTRUMENTS_MAX;
use crate::table::table;
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
    runs: Box<[Run; INSTRUMENTS_MAX]>,
    max: u32,
    window_ns: u64,
}

impl Repeats {
    /// At most `max` orders in a run. Allocates all it will ever use.
    pub(super) fn new(max: u32, window_ns: u64) -> Self {
        let none = Run { side: Side::Buy, orders: 0, last: Nanos(0) };
        Self { runs: table(none), max, window_ns }
    }

    /// How long the run would be with one more order. An instrument beyond the table is beyond every limit.
    #[inline(always)]
    pub(super) fn with_one_more(&self, instrument: InstrumentId, side: Side, now: Nanos) -> u32 {
        match self.runs.get(instrument.index()) {
            Some(run) if run.side == side && now.since(run.last) <= self.window_ns => run.orders.saturating_add(1),
            Some(_) => 1,
            None => u32::MAX,
        }
    }

    /// Whether a run may be so long.
    #[inline(always)]
    pub(super) fn admits(&self, orders: u32) -> bool {
        orders <= self.max
    }

    /// One more order leaves, which makes the run so long.
    #[inline(always)]
    pub(super) fn take(&mut self, instrument: InstrumentId, side: Side, orders: u32, now: Nanos) {
        if let Some(run) = self.runs.get_mut(instrument.index()) {
            *run = Run { side, orders, last: now };
        }
    }

    /// A person has looked: every run begins anew. Touches every instrument.
    pub(super) fn forgive(&mut self) {
        self.runs.iter_mut().for_each(|run| run.orders = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTRUMENT: InstrumentId = InstrumentId(3);

    impl Repeats {
        fn would_admit(&self, instrument: InstrumentId, side: Side, at: u64) -> bool {
            self.admits(self.with_one_more(instrument, side, Nanos(at)))
        }

        fn send(&mut self, side: Side, at: u64) {
            self.take(INSTRUMENT, side, self.with_one_more(INSTRUMENT, side, Nanos(at)), Nanos(at));
        }
    }

    #[test]
    fn a_run_ends_at_its_limit_and_a_person_begins_it_anew() {
        let mut repeats = Repeats::new(3, 100);
        for at in [10, 20, 30] {
            assert!(repeats.would_admit(INSTRUMENT, Side::Buy, at));
            repeats.send(Side::Buy, at);
        }
        assert!(!repeats.would_admit(INSTRUMENT, Side::Buy, 40));
        assert!(repeats.would_admit(INSTRUMENT, Side::Sell, 40) && repeats.would_admit(InstrumentId(4), Side::Buy, 40));
        assert!(!repeats.would_admit(InstrumentId(u16::MAX), Side::Buy, 40));
        assert!(repeats.would_admit(INSTRUMENT, Side::Buy, 131), "a pause begins anew");
        repeats.forgive();
        assert!(repeats.would_admit(INSTRUMENT, Side::Buy, 40));
    }

    #[test]
    fn the_other_side_begins_anew() {
        let mut repeats = Repeats::new(2, 100);
        for at in 0..50 {
            let side = if at % 2 == 0 { Side::Buy } else { Side::Sell };
            assert!(repeats.would_admit(INSTRUMENT, side, at));
            repeats.send(side, at);
        }
    }
}
