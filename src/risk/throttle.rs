//! The message throttle: a token bucket in integers, with a part of it that only cancels may use.

use crate::units::Nanos;

/// Allows a number of messages in a second, refilled evenly. Constant time; never runs backwards with the clock.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Nanoseconds of refill that one message costs.
    cost_ns: u64,
    /// Nanoseconds of refill the bucket holds.
    capacity_ns: u64,
    /// What there must be for a new order: its cost, and what it must leave untouched.
    floor_ns: u64,
    level_ns: u64,
    last: Nanos,
}

impl Throttle {
    /// `per_second` messages, the last `reserve` of which only cancels may use. A rate of zero lets nothing pass.
    pub fn new(per_second: u32, reserve: u32) -> Self {
        let capacity_ns = if per_second == 0 { 0 } else { Nanos::PER_SECOND };
        let cost_ns = Nanos::PER_SECOND.checked_div(u64::from(per_second)).unwrap_or(u64::MAX).max(1);
        let reserve_ns = cost_ns.saturating_mul(u64::from(reserve.min(per_second)));
        let floor_ns = reserve_ns.saturating_add(cost_ns);
        Self { cost_ns, capacity_ns, floor_ns, level_ns: capacity_ns, last: Nanos::default() }
    }

    /// Takes room for one message, or says that there is none.
    #[inline(always)]
    pub fn take(&mut self, now: Nanos, cancel: bool) -> bool {
        self.level_ns = self.level_ns.saturating_add(now.since(self.last)).min(self.capacity_ns);
        self.last = self.last.max(now);
        let allowed = self.level_ns >= if cancel { self.cost_ns } else { self.floor_ns };
        if allowed {
            self.level_ns -= self.cost_ns;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_stop_at_the_reserve_and_cancels_go_on() {
        let mut throttle = Throttle::new(10, 3);
        let now = Nanos::from_secs(1_000);
        assert_eq!((0..20).filter(|_| throttle.take(now, false)).count(), 7);
        assert_eq!((0..20).filter(|_| throttle.take(now, true)).count(), 3);
        let later = Nanos(now.0 + Nanos::PER_SECOND / 2);
        assert_eq!((0..20).filter(|_| throttle.take(later, false)).count(), 2);
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing() {
        let mut throttle = Throttle::new(1, 0);
        assert!(throttle.take(Nanos::from_secs(10), false));
        assert!(!throttle.take(Nanos::from_secs(5), false));
        assert!(!throttle.take(Nanos::from_secs(10), false));
        assert!(throttle.take(Nanos::from_secs(11), false));
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        let mut throttle = Throttle::new(0, 0);
        assert!(!throttle.take(Nanos::from_secs(10), true));
    }
}
