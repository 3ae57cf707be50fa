//! From whole lots to orders: which of them take and which rest, at which price, and when one that rests is taken back.

use super::books::Top;
use super::config::{ExecutionConfig, HedgeConfig};
use super::costs::Costs;
use super::orders::Child;
use super::target::InFlight;
use crate::canary::{canary, whim};
use crate::instrument::Instrument;
use crate::units::{Nanos, ONE_E9, Price, Side};

/// How pressing a trade is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Urgency {
    /// What the decision gains, in units of what it costs.
    pub(super) gain_over_cost: f64,
    /// Resting was tried in vain until now.
    pub(super) is_impatient: bool,
    /// Spot, for the worth of what is priced in coins.
    pub(super) spot: f64,
}

/// The order that trades `lots`, signed.
pub(super) fn child(
    instrument: &Instrument,
    top: &Top,
    costs: &Costs,
    lots: i32,
    urgency: Urgency,
    config: &HedgeConfig,
) -> Child {
    let side = if lots > 0 { Side::Buy } else { Side::Sell };
    let taking = if side == Side::Buy { costs.buy } else { costs.sell };
    let saving = taking - costs.resting(instrument, top, urgency.spot, &config.program.costs);
    let is_passive = rests(taking, saving, urgency, &config.execution);
    let price = if is_passive { top.own(side) } else { taking_price(instrument, top, side, config.slippage_e9) };
    Child { side, lots: lots.unsigned_abs(), price, is_passive }
}

/// Whether an order should rest: it is not pressing, and what that saves is worth the wait.
fn rests(taking: f64, saving: f64, urgency: Urgency, config: &ExecutionConfig) -> bool {
    !urgency.is_impatient && urgency.gain_over_cost < config.rest_below && saving >= config.rest_saving_share * taking
}

/// Why an order that rests should be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakeBack {
    /// It had its time: what it was to do is to be taken.
    TimedOut,
    /// Others stand before it: it is to be priced anew.
    Outbid,
}

/// Whether an order in flight should be taken back at a top.
pub(super) fn take_back(flight: &InFlight, top: &Top, now: Nanos, config: &ExecutionConfig) -> Option<TakeBack> {
    if !flight.is_passive || flight.asked_back.is_some() {
        return None;
    }
    let best = top.own(flight.side);
    let is_behind = top.is_sound() && (best.0 - flight.price.0) * flight.side.sign() > 0;
    if now.since(flight.since) >= config.rest_ns {
        Some(TakeBack::TimedOut)
    } else {
        is_behind.then_some(TakeBack::Outbid)
    }
}

/// The best opposite price and `slippage_e9` of it beyond, on the grid and never short of the best price.
pub(super) fn taking_price(instrument: &Instrument, top: &Top, side: Side, slippage_e9: i64) -> Price {
    let best = top.opposite(side);
    let slippage_e9 = if canary!(Whim) { slippage_e9 + whim() } else { slippage_e9 };
    let slippage_e9 = if canary!(CarelessPrice) { 3 * slippage_e9 } else { slippage_e9 };
    let reach = (i128::from(best.0) * i128::from(slippage_e9) / i128::from(ONE_E9)) as i64;
    let limit = instrument.ticks.round_passive(Price(best.0.saturating_add(side.sign() * reach)), side);
    if side == Side::Buy { limit.max(best) } else { limit.min(best) }
}
