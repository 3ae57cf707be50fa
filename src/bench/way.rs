//! The way of a tick, as its stamps tell it: each hop and the whole, round by round.

use serde::Serialize;

use super::series::Series;
use crate::runtime::clock::StampClock;

/// Hops of a tick that ends in a decision not to trade.
pub const TO_DECISION: &[&str] = &["decode", "greeks", "decision"];
/// Hops of a tick that ends in the bytes of an order.
pub const TO_ORDER: &[&str] = &["decode", "greeks", "decision", "encode"];
/// Hops of a tick that ends in bytes taken by the kernel.
pub const TO_WIRE: &[&str] = &["decode", "greeks", "decision", "encode", "write"];

/// Latencies of every hop, and of all together.
#[derive(Clone, Debug)]
pub struct Way {
    /// From the packet to the last stamp.
    pub total: Series,
    /// Each hop, in order.
    pub hops: Vec<(&'static str, Series)>,
    /// Ticks that ended otherwise than they should.
    pub otherwise: u64,
    nanos_per_tick: f64,
}

impl Way {
    /// Nothing yet, of these hops, stamped by this clock.
    pub fn new(hops: &[&'static str], clock: &StampClock) -> Self {
        let hops = hops.iter().map(|&name| (name, Series::default())).collect();
        Self { total: Series::default(), hops, otherwise: 0, nanos_per_tick: clock.nanos_per_tick() }
    }

    /// Stamps of one tick, counter steps since it was received or due, one a hop.
    #[inline]
    pub fn record(&mut self, stamps: &[u32]) {
        let mut from = 0;
        for ((_, series), &to) in self.hops.iter_mut().zip(stamps) {
            series.record(nanos(to.saturating_sub(from), self.nanos_per_tick));
            from = to;
        }
        self.record_whole(stamps.last().copied().unwrap_or_default());
    }

    /// The last stamp of one tick, whose hops were not stamped.
    #[inline]
    pub fn record_whole(&mut self, steps: u32) {
        self.total.record(nanos(steps, self.nanos_per_tick));
    }

    /// One of the same hops, with nothing in it.
    pub fn emptied(&self) -> Self {
        let hops = self.hops.iter().map(|&(name, _)| (name, Series::default())).collect();
        Self { total: Series::default(), hops, otherwise: 0, nanos_per_tick: self.nanos_per_tick }
    }

    /// Takes what another recorded of the same hops as a round of its own.
    pub fn absorb(&mut self, other: &Self) {
        for ((_, series), (_, theirs)) in self.hops.iter_mut().zip(&other.hops) {
            series.absorb(theirs);
        }
        self.total.absorb(&other.total);
        self.otherwise += other.otherwise;
    }

    /// Ends the round of every series.
    pub fn end_round(&mut self) {
        self.hops.iter_mut().for_each(|(_, series)| series.end_round());
        self.total.end_round();
    }
}

fn nanos(ticks: u32, nanos_per_tick: f64) -> u64 {
    (f64::from(ticks) * nanos_per_tick) as u64
}

/// When ticks of an open loop are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// Ticks a second, over any longer time.
    pub rate: u64,
    /// Of those, how many come at once.
    pub burst: u64,
}

impl Arrivals {
    /// One at a time.
    pub const fn evenly(rate: u64) -> Self {
        Self { rate, burst: 1 }
    }

    /// When tick number `at` is due, counter steps after the first.
    #[inline]
    pub(super) fn due(self, at: u64, clock: &StampClock) -> u64 {
        let burst = self.burst.max(1);
        let seconds = (at / burst * burst) as f64 / self.rate as f64;
        (1e9 * seconds / clock.nanos_per_tick()) as u64
    }
}

/// What a rate came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Ticks offered.
    pub offered: u64,
    /// Of those, how many found the receive buffer full, or still waited in it when time was up.
    pub lost: u64,
    /// Prices that a later one replaced before it was passed on.
    pub conflated: u64,
    /// Orders decided on.
    pub orders: u64,
    /// Of those, how many were never encoded.
    pub dropped: u64,
}

impl Load {
    /// Counts another round.
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.lost += other.lost;
        self.conflated += other.conflated;
        self.orders += other.orders;
        self.dropped += other.dropped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Source;

    #[test]
    fn a_burst_is_due_at_once_and_keeps_the_rate() {
        let clock = StampClock::with_source(Source::Monotonic);
        let due = |burst| (0..5).map(|at| Arrivals { rate: 1_000_000, burst }.due(at, &clock)).collect::<Vec<_>>();
        assert_eq!((due(1), due(2)), (vec![0, 1_000, 2_000, 3_000, 4_000], vec![0, 0, 2_000, 2_000, 4_000]));
    }

    #[test]
    fn hops_are_differences_and_the_whole_is_the_last_stamp() {
        let mut way = Way::new(TO_ORDER, &StampClock::with_source(Source::Monotonic));
        way.record(&[10, 30, 60, 100]);
        way.end_round();
        let p50: Vec<u64> = way.hops.iter().map(|(_, series)| series.percentiles().p50).collect();
        assert_eq!((p50, way.total.percentiles().p50), (vec![10, 20, 30, 40], 100));
        let mut whole = Way::new(&[], &StampClock::with_source(Source::Monotonic));
        whole.record(&[10, 30, 60, 100]);
        whole.end_round();
        assert_eq!(whole.total.percentiles().p50, 100, "hops that are not kept are part of it all the same");
    }
}
