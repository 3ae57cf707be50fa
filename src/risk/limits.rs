//! The figures a request is held against.

use serde::{Deserialize, Serialize};

use crate::units::{Nanos, ONE_E9, VenueInstrumentId};

/// Instruments that can be restricted.
pub const RESTRICTED_MAX: usize = 16;

/// Pre-trade limits. Money is quote currency, 1e-9; the defaults suit the embedded venue, a desk sets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Lots in one order.
    pub order_lots_max: u32,
    /// Notional of one order.
    pub order_notional_max_e9: i64,
    /// Notional of position plus everything working on one side, an instrument.
    pub position_notional_max_e9: i64,
    /// Notional of all positions and everything working, an underlying.
    pub gross_notional_max_e9: i64,
    /// Net delta at its worst, an underlying, either way.
    pub delta_notional_max_e9: i64,
    /// Change of that for a move of the spot by 1%.
    pub gamma_notional_max_e9: i64,
    /// Change of value for one point of volatility, an underlying, either way.
    pub vega_max_e9: i64,
    /// What futures held and working may ask for as margin, an underlying.
    pub credit_max_e9: i64,
    /// Margin, 1e-9 of notional.
    pub margin_rate_e9: i64,
    /// What may be lost, before only reducing orders pass.
    pub loss_max_e9: i64,
    /// How far beyond the opposite best price an order may reach, 1e-9 of that price.
    pub collar_e9: i64,
    /// How far from the price of a while ago it may lie, 1e-9 of that price.
    pub drift_e9: i64,
    /// How long ago that is, nanoseconds: between once and twice as long.
    pub drift_window_ns: u64,
    /// Orders that may be open at once.
    pub open_orders_max: u32,
    /// Messages in any second.
    pub messages_per_second: u32,
    /// Of those, how many only cancels may use.
    pub cancel_reserve: u32,
    /// Orders on one side of one instrument in a run, before trading pauses for a person to look.
    pub repeats_max: u32,
    /// How long after another an order still belongs to its run, nanoseconds.
    pub repeats_window_ns: u64,
    /// How long orders have to end after the kill switch was thrown, before they are alarmed as unknown, nanoseconds.
    pub settle_ns: u64,
    /// Instruments that may not be traded.
    pub restricted: Restricted,
}

/// The venue's numbers of instruments that may not be traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restricted {
    numbers: [u32; RESTRICTED_MAX],
    len: u8,
}

impl Restricted {
    /// One more; false when the list is full.
    pub fn add(&mut self, instrument: VenueInstrumentId) -> bool {
        let slot = self.numbers.get_mut(usize::from(self.len));
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = instrument.0;
            self.len += 1;
        }
        fits
    }

    /// Whether an instrument is on the list.
    #[inline(always)]
    pub fn holds(&self, instrument: VenueInstrumentId) -> bool {
        self.len > 0 && self.lists(instrument)
    }

    #[inline(never)]
    fn lists(&self, instrument: VenueInstrumentId) -> bool {
        self.numbers[..usize::from(self.len).min(RESTRICTED_MAX)].contains(&instrument.0)
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MILLION_E9: i64 = 1_000_000 * ONE_E9;
        Self {
            order_lots_max: 1_000_000,
            order_notional_max_e9: 5 * MILLION_E9,
            position_notional_max_e9: 50 * MILLION_E9,
            gross_notional_max_e9: 1_000 * MILLION_E9,
            delta_notional_max_e9: 50 * MILLION_E9,
            gamma_notional_max_e9: 10 * MILLION_E9,
            vega_max_e9: 5 * MILLION_E9,
            credit_max_e9: 10 * MILLION_E9,
            margin_rate_e9: ONE_E9 / 20,
            loss_max_e9: MILLION_E9,
            collar_e9: ONE_E9 / 200,
            drift_e9: ONE_E9 / 20,
            drift_window_ns: 10 * Nanos::PER_SECOND,
            open_orders_max: 64,
            messages_per_second: 1_000,
            cancel_reserve: 200,
            repeats_max: 500,
            repeats_window_ns: Nanos::PER_SECOND,
            settle_ns: Nanos::PER_SECOND,
            restricted: Restricted::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_of_restricted_instruments_takes_no_more() {
        let mut restricted = Restricted::default();
        assert!(!restricted.holds(VenueInstrumentId(0)), "an empty slot is no instrument");
        for number in 0..RESTRICTED_MAX as u32 {
            assert!(restricted.add(VenueInstrumentId(number)));
            assert!(restricted.holds(VenueInstrumentId(number)));
        }
        assert!(!restricted.add(VenueInstrumentId(99)) && !restricted.holds(VenueInstrumentId(99)));
    }
}
