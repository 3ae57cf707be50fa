//! Latencies of one thing over several rounds: a histogram of all of them, and each round's own percentiles, from which a
//! comparison of two runs draws its confidence.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::telemetry::Percentiles;

/// Longest latency told apart, nanoseconds; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits kept.
const DIGITS: u8 = 3;

/// Median and 99th percentile of one round, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
}

/// What was measured of one thing, nanoseconds.
#[derive(Clone, Debug)]
pub struct Series {
    all: Histogram<u64>,
    now: Histogram<u64>,
    rounds: Vec<Round>,
}

impl Default for Series {
    fn default() -> Self {
        let empty =
            || Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("the bounds are constant and valid");
        Self { all: empty(), now: empty(), rounds: Vec::new() }
    }
}

impl Series {
    /// One more sample of the round under way.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.now.saturating_record(nanos);
    }

    /// Ends the round; one without samples does not count.
    pub fn end_round(&mut self) {
        if !self.now.is_empty() {
            let at = |quantile| self.now.value_at_quantile(quantile);
            self.rounds.push(Round { p50: at(0.5), p99: at(0.99) });
            self.all.add(&self.now).expect("both have the same bounds");
            self.now.reset();
        }
    }

    /// A round that was measured elsewhere, as a histogram of nanoseconds.
    pub fn round_of(&mut self, measured: &Histogram<u64>) {
        for step in measured.iter_recorded() {
            self.now.saturating_record_n(step.value_iterated_to(), step.count_at_value());
        }
        self.end_round();
    }

    /// Takes over what another measured.
    pub fn absorb(&mut self, other: &Self) {
        self.all.add(&other.all).expect("both have the same bounds");
        self.rounds.extend_from_slice(&other.rounds);
    }

    /// Everything of all rounds ended.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.all
    }

    /// Percentiles of all rounds.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles::of(&self.all)
    }

    /// Each round's own.
    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_kept_apart_and_together() {
        let mut series = Series::default();
        (1..=100).for_each(|nanos| series.record(nanos));
        series.end_round();
        (1..=100).for_each(|nanos| series.record(10 * nanos));
        series.end_round();
        series.end_round();
        assert_eq!(series.rounds(), [Round { p50: 50, p99: 99 }, Round { p50: 500, p99: 990 }]);
        assert_eq!((series.percentiles().count, series.percentiles().max), (200, 1_000));
    }
}
