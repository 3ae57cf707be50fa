//! What trading one lot costs, in quote currency, from the live book and the venue's terms.
//!
//! Taking costs half the spread, the fee, and what the price moves against an order while the venue holds it back (its speed
//! bump); size beyond the best level costs its depth. A perpetual's funding over the time it will be held is a cost to
//! one side and a gain to the other, which makes a trade free at most: what is paid for holding is no reason to trade, or the
//! perpetual would be held against futures for its own sake. An option's fee is capped by its premium.

use super::books::Top;
use super::factors::Unit;
use crate::instrument::{Instrument, InstrumentKind, Payoff};
use crate::units::{Nanos, ONE_E9};

/// Settings of the cost model; the defaults are the venue's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CostConfig {
    /// How long the venue holds an order that takes on an inverse future or perpetual back, nanoseconds.
    pub inverse_wait_ns: u64,
    /// On a linear one.
    pub linear_wait_ns: u64,
    /// On an option.
    pub option_wait_ns: u64,
    /// Largest fee on an option as a share of its premium.
    pub option_fee_share_max: f64,
    /// Premium of the perpetual over the index below which no funding is paid, as a fraction.
    pub funding_dead_band: f64,
    /// What sending anything at all costs, quote currency: gas where a venue settles on a chain, and elsewhere what a message
    /// has to be worth.
    pub batch: f64,
}

impl Default for CostConfig {
    fn default() -> Self {
        Self {
            inverse_wait_ns: 0,
            linear_wait_ns: 10 * Nanos::PER_MILLI,
            option_wait_ns: 5 * Nanos::PER_MILLI,
            option_fee_share_max: 0.125,
            funding_dead_band: 0.0005,
            batch: 0.05,
        }
    }
}

/// What one lot costs, quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// To buy.
    pub buy: f64,
    /// To sell.
    pub sell: f64,
    /// By how much the cost of the next lot grows with each.
    pub impact: f64,
    /// Half the spread: what resting saves.
    pub half_spread: f64,
}

/// What the costs of all instruments of an underlying depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Spot.
    pub spot: f64,
    /// Index; zero while unknown.
    pub index: f64,
    /// Volatility of the spot a year.
    pub sigma: f64,
    /// How long what is traded will be held, years.
    pub horizon_years: f64,
}

/// Hours between two fundings are eight; so many a year.
const FUNDINGS_PER_YEAR: f64 = 3.0 * 365.0;
/// Mean of the positive part of a standard normal, 1/√2π: what a wait costs per standard deviation.
const MEAN_POSITIVE_PART: f64 = 0.398_942_280_401_432_7;

/// Quote currency that one unit of a lot's price is worth.
fn value_per_price(instrument: &Instrument, mid: f64, spot: f64) -> f64 {
    let amount = instrument.lot.to_f64();
    match (instrument.kind, instrument.payoff) {
        (InstrumentKind::Option, Payoff::Inverse) => amount * spot,
        (_, Payoff::Inverse) => amount / mid,
        (_, Payoff::Linear) => amount,
    }
}

impl Costs {
    /// From a sound book; `None` where it has no depth or a figure is not usable.
    pub(super) fn taking(
        instrument: &Instrument,
        top: &Top,
        unit: &Unit,
        around: &Surroundings,
        config: &CostConfig,
    ) -> Option<Self> {
        let depth = f64::from(top.bid_lots.min(top.ask_lots));
        let (mid, spread) = (top.mid(), top.ask.to_f64() - top.bid.to_f64());
        let per_price = value_per_price(instrument, mid, around.spot);
        let half_spread = 0.5 * spread * per_price;
        let fee = fee(instrument, mid * per_price, instrument.taker_fee_e9, around.spot, config);
        let seconds = wait_ns(instrument, config) as f64 / Nanos::PER_YEAR as f64;
        let wait = MEAN_POSITIVE_PART * around.sigma * around.spot * seconds.sqrt() * unit.delta.abs();
        let funding = funding(instrument, mid, around, config) * mid * per_price;
        // The next level stands a tick or half a spread behind, and what the best one holds is what reaches it.
        let tick = instrument.ticks.at(top.ask).to_f64() * per_price;
        let impact = half_spread.max(tick) / depth;
        let crossing = half_spread + fee + wait;
        let is_usable = (crossing + funding + impact).is_finite() && depth > 0.0 && crossing >= 0.0;
        let (buy, sell) = ((crossing + funding).max(0.0), (crossing - funding).max(0.0));
        is_usable.then_some(Self { buy, sell, impact, half_spread })
    }

    /// What trading so many lots costs.
    pub(super) fn of(&self, lots: i32) -> f64 {
        let z = f64::from(lots);
        0.5 * self.impact * z * z + if z > 0.0 { self.buy * z } else { -self.sell * z }
    }

    /// What resting at the best price would cost instead, once filled.
    pub(super) fn resting(&self, instrument: &Instrument, top: &Top, spot: f64, config: &CostConfig) -> f64 {
        let value = top.mid() * value_per_price(instrument, top.mid(), spot);
        fee(instrument, value, instrument.maker_fee_e9, spot, config) - self.half_spread
    }
}

/// The fee on one lot that is worth `value`.
fn fee(instrument: &Instrument, value: f64, fee_e9: i32, spot: f64, config: &CostConfig) -> f64 {
    let rate = f64::from(fee_e9) / ONE_E9 as f64;
    if instrument.kind == InstrumentKind::Option {
        (rate * instrument.lot.to_f64() * spot).min(config.option_fee_share_max * value)
    } else {
        rate * value
    }
}

fn wait_ns(instrument: &Instrument, config: &CostConfig) -> u64 {
    match (instrument.kind, instrument.payoff) {
        (InstrumentKind::Option, _) => config.option_wait_ns,
        (_, Payoff::Inverse) => config.inverse_wait_ns,
        (_, Payoff::Linear) => config.linear_wait_ns,
    }
}

/// What holding a perpetual long for the horizon will cost, as a fraction of its value.
fn funding(instrument: &Instrument, mid: f64, around: &Surroundings, config: &CostConfig) -> f64 {
    if instrument.kind != InstrumentKind::Perpetual || around.index <= 0.0 {
        return 0.0;
    }
    let premium = mid / around.index - 1.0;
    let paid = premium - premium.max(-config.funding_dead_band).min(config.funding_dead_band);
    paid * FUNDINGS_PER_YEAR * around.horizon_years
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::{BookQuality, InstrumentState, OptionKind, TickTable};
    use crate::units::{InstrumentId, Price, Quantity, UnderlyingId, VenueInstrumentId};

    fn price(value: f64) -> Price {
        Price::from_f64(value).unwrap()
    }

    fn instrument(kind: InstrumentKind, payoff: Payoff, lot: f64, tick: f64, taker_fee_e9: i32) -> Instrument {
        Instrument {
            id: InstrumentId(0),
            venue: VenueInstrumentId(1),
            underlying: UnderlyingId(0),
            kind,
            payoff,
            option: (kind == InstrumentKind::Option).then_some(OptionKind::Call),
            expiry_s: 0,
            strike: Price::ZERO,
            lot: Quantity::from_f64(lot).unwrap(),
            contract: Quantity(ONE_E9),
            maker_fee_e9: 0,
            taker_fee_e9,
            ticks: TickTable::new(price(tick)),
            state: InstrumentState::Open,
        }
    }

    fn top(bid: f64, ask: f64, lots: u32) -> Top {
        Top {
            bid: price(bid),
            ask: price(ask),
            bid_lots: lots,
            ask_lots: lots,
            quality: BookQuality::Good,
            is_spent: false,
        }
    }

    const AROUND: Surroundings = Surroundings { spot: 100_000.0, index: 0.0, sigma: 0.6, horizon_years: 0.01 };

    #[test]
    fn taking_costs_half_the_spread_the_fee_and_the_wait() {
        let config = CostConfig::default();
        let inverse = instrument(InstrumentKind::Perpetual, Payoff::Inverse, 10.0, 0.5, 500_000);
        let unit = Unit::of_future(&inverse, 100_000.0);
        let costs = Costs::taking(&inverse, &top(99_999.5, 100_000.5, 100), &unit, &AROUND, &config).unwrap();
        assert!((costs.buy - (0.5 * 1e-4 + 0.005)).abs() < 1e-9 && costs.buy == costs.sell, "{costs:?}");
        assert!((costs.impact - 0.5 * 1e-4 / 100.0).abs() < 1e-12, "{costs:?}");

        let linear = instrument(InstrumentKind::Perpetual, Payoff::Linear, 0.01, 0.05, 500_000);
        let unit = Unit::of_future(&linear, 100_000.0);
        let costs = Costs::taking(&linear, &top(99_999.5, 100_000.5, 100), &unit, &AROUND, &config).unwrap();
        let wait = 0.3989 * 0.6 * 1e5 * (0.01f64 / (365.0 * 86_400.0)).sqrt() * 0.01;
        assert!((costs.buy - (0.005 + 0.5 + wait)).abs() < 1e-4, "{costs:?} {wait}");
    }

    #[test]
    fn the_fee_of_a_cheap_option_is_a_share_of_its_premium() {
        let config = CostConfig { option_wait_ns: 0, ..CostConfig::default() };
        let option = instrument(InstrumentKind::Option, Payoff::Inverse, 0.1, 0.0001, 300_000);
        let unit = Unit { delta: 0.01, ..Unit::default() };
        let costs = |bid, ask| Costs::taking(&option, &top(bid, ask, 10), &unit, &AROUND, &config).unwrap();
        let dear = costs(0.05, 0.051);
        assert!((dear.buy - (0.0005 * 1e4 + 3.0)).abs() < 1e-6, "{dear:?}");
        let cheap = costs(0.001, 0.0012);
        assert!((cheap.buy - (0.0001 * 1e4 + 0.125 * 0.0011 * 1e4)).abs() < 1e-6, "{cheap:?}");
        let resting = cheap.resting(&option, &top(0.001, 0.0012, 10), 100_000.0, &config);
        assert!((resting + 0.0001 * 1e4).abs() < 1e-9, "nothing but the spread, which it earns: {resting}");
    }

    #[test]
    fn funding_is_paid_by_one_side_to_the_other_beyond_the_dead_band() {
        let config = CostConfig::default();
        let perpetual = instrument(InstrumentKind::Perpetual, Payoff::Inverse, 10.0, 0.5, 500_000);
        let unit = Unit::of_future(&perpetual, 100_000.0);
        let book = top(99_999.5, 100_000.5, 100);
        let with = |index| Costs::taking(&perpetual, &book, &unit, &Surroundings { index, ..AROUND }, &config).unwrap();
        assert_eq!(with(100_000.0).buy, with(100_000.0).sell);
        let dear = with(99_947.0);
        let paid = (100_000.0 / 99_947.0 - 1.0 - 0.0005) * FUNDINGS_PER_YEAR * 0.01 * 10.0;
        assert!((dear.buy - dear.sell - 2.0 * paid).abs() < 1e-9, "{dear:?} {paid}");
    }

    #[test]
    fn funding_makes_a_trade_free_and_never_pays_for_it() {
        let config = CostConfig::default();
        let perpetual = instrument(InstrumentKind::Perpetual, Payoff::Inverse, 10.0, 0.5, 500_000);
        let unit = Unit::of_future(&perpetual, 100_000.0);
        let book = top(99_999.5, 100_000.5, 100);
        let with = |index| Costs::taking(&perpetual, &book, &unit, &Surroundings { index, ..AROUND }, &config).unwrap();
        let (dear, cheap) = (with(99_000.0), with(101_000.0));
        assert!(dear.sell == 0.0 && dear.buy > 0.5, "{dear:?}");
        assert!(cheap.buy == 0.0 && cheap.sell > 0.5, "{cheap:?}");
    }

    #[test]
    fn without_depth_there_is_no_cost_to_go_by() {
        let perpetual = instrument(InstrumentKind::Perpetual, Payoff::Inverse, 10.0, 0.5, 500_000);
        let unit = Unit::of_future(&perpetual, 100_000.0);
        let config = CostConfig::default();
        assert_eq!(Costs::taking(&perpetual, &top(99_999.5, 100_000.5, 0), &unit, &AROUND, &config), None);
        let nan = Unit { delta: f64::NAN, ..unit };
        assert_eq!(Costs::taking(&perpetual, &top(99_999.5, 100_000.5, 9), &nan, &AROUND, &config), None);
    }
}
