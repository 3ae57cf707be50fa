//! The venue's market-maker protection: how much may trade within a window before everything under it is taken back.

use std::collections::VecDeque;

use crate::units::{Nanos, Quantity};

/// What one protection allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtectionConfig {
    /// The venue's number of the group of quotes under it.
    pub group: i64,
    /// Amount that may trade within the window.
    pub quantity_max: Quantity,
    /// How long a trade counts.
    pub window_ns: u64,
    /// How long a freeze lasts; 0 until the client asks for its end.
    pub frozen_ns: u64,
}

/// One protection at work.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) config: ProtectionConfig,
    trades: VecDeque<(Nanos, i64)>,
    /// When the freeze ends; the furthest time there is when it waits to be asked.
    frozen_until: Option<Nanos>,
}

impl Guard {
    pub(super) fn new(config: ProtectionConfig) -> Self {
        Self { config, trades: VecDeque::new(), frozen_until: None }
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen_until.is_some()
    }

    /// The end of the freeze as the wire has it: 0 when it waits to be asked, `None` when there is none.
    pub(super) fn frozen_until(&self) -> Option<i64> {
        self.frozen_until.map(|until| if until == Nanos(u64::MAX) { 0 } else { until.0 as i64 })
    }

    /// Counts a trade; true when the protection triggers on it, with what had traded by then.
    pub(super) fn trade(&mut self, now: Nanos, amount: Quantity) -> Option<Quantity> {
        let window_ns = self.config.window_ns;
        self.trades.push_back((now, amount.0));
        while self.trades.front().is_some_and(|(time, _)| now.since(*time) > window_ns) {
            self.trades.pop_front();
        }
        let traded = Quantity(self.trades.iter().map(|(_, amount)| amount).sum());
        if self.is_frozen() || traded <= self.config.quantity_max {
            return None;
        }
        let lasts = self.config.frozen_ns;
        self.frozen_until = Some(if lasts == 0 { Nanos(u64::MAX) } else { Nanos(now.0 + lasts) });
        Some(traded)
    }

    /// Ends the freeze and forgets what traded; true when there was one.
    pub(super) fn thaw(&mut self) -> bool {
        self.trades.clear();
        self.frozen_until.take().is_some()
    }

    /// Whether the freeze has just run out.
    pub(super) fn runs_out(&mut self, now: Nanos) -> bool {
        self.frozen_until.is_some_and(|until| until <= now) && self.thaw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(frozen_ns: u64) -> Guard {
        Guard::new(ProtectionConfig { group: 1, quantity_max: Quantity(10), window_ns: 100, frozen_ns })
    }

    #[test]
    fn what_trades_within_the_window_counts_together() {
        let mut guard = guard(50);
        assert_eq!(guard.trade(Nanos(0), Quantity(6)), None);
        assert_eq!(guard.trade(Nanos(101), Quantity(6)), None, "the first has left the window");
        assert_eq!(guard.trade(Nanos(150), Quantity(5)), Some(Quantity(11)));
        assert_eq!((guard.is_frozen(), guard.frozen_until()), (true, Some(200)));
        assert!(!guard.runs_out(Nanos(199)));
        assert!(guard.runs_out(Nanos(200)));
        assert_eq!(guard.trade(Nanos(201), Quantity(6)), None, "it begins anew");
    }

    #[test]
    fn a_freeze_without_an_end_waits_to_be_asked() {
        let mut guard = guard(0);
        assert_eq!(guard.trade(Nanos(0), Quantity(11)), Some(Quantity(11)));
        assert!(!guard.runs_out(Nanos(u64::MAX - 1)));
        assert_eq!(guard.frozen_until(), Some(0));
        assert!(guard.thaw() && !guard.thaw());
    }
}
