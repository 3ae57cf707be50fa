//! What the venue lists: two underlyings, their futures, and a grid of options over twelve expiries.
//!
//! `BTC_USD` is inverse (perpetual, dated futures and options all pay coins); `ETH_USDC` is linear (perpetual and
//! options pay dollars). Expiries stand at 08:00 UTC: three days, four Fridays, two month ends, three quarter ends.
//! Strikes spread around the initial price by steps that grow with the square root of the time to expiry.

use crate::instrument::{InstrumentKind, OptionKind, Payoff, TickTable};
use crate::units::{Nanos, Price, Quantity, VenueInstrumentId};

/// Seconds in a day.
const DAY_S: u64 = 86_400;
/// The hour at which everything expires, in seconds from midnight UTC.
const EXPIRY_S: u64 = 8 * 3_600;
/// The first expiry lies at least this far ahead of the start.
const FIRST_EXPIRY_AFTER_S: u64 = 2 * 3_600;
/// Expiries an underlying has.
pub const EXPIRIES: usize = 12;

/// How large the universe is, and where it begins.
#[derive(Clone, Debug)]
pub struct UniverseConfig {
    /// Strikes in each expiry; each carries a call and a put.
    pub strikes: usize,
    /// How many of the twelve expiries have options, the nearest first.
    pub expiries: usize,
    /// First price of each underlying, in dollars.
    pub spots: [f64; 2],
}

impl Default for UniverseConfig {
    fn default() -> Self {
        Self { strikes: 13, expiries: EXPIRIES, spots: [96_400.0, 3_280.0] }
    }
}

/// Something options and futures are written on: a price index and a settlement.
#[derive(Clone, Debug)]
pub struct UnderlyingSpec {
    /// The coin.
    pub base: &'static str,
    /// What its index is quoted in.
    pub counter: &'static str,
    /// The index's name on the wire.
    pub index: &'static str,
    /// How contracts on it pay.
    pub payoff: Payoff,
    /// First price.
    pub spot: f64,
}

/// One listed contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The venue's number: the position in [`Universe::contracts`], plus one.
    pub venue: VenueInstrumentId,
    /// As the venue names it.
    pub name: String,
    /// Position of its underlying in [`Universe::underlyings`].
    pub underlying: usize,
    /// What kind.
    pub kind: InstrumentKind,
    /// How it pays.
    pub payoff: Payoff,
    /// Call or put; `None` unless an option.
    pub option: Option<OptionKind>,
    /// When it expires; `None` for perpetuals.
    pub expiry: Option<Nanos>,
    /// Strike in dollars; zero unless an option.
    pub strike: f64,
    /// Smallest tradable amount.
    pub lot: Quantity,
    /// Amount of one contract.
    pub size: Quantity,
    /// Price steps.
    pub ticks: TickTable,
    /// Maker fee as a fraction of notional.
    pub maker_fee: f64,
    /// Taker fee as a fraction of notional.
    pub taker_fee: f64,
    /// The feed channel that carries it.
    pub channel: u16,
}

/// Everything the venue lists, by dense index.
#[derive(Clone, Debug)]
pub struct Universe {
    /// When trading began.
    pub start: Nanos,
    /// What contracts are written on.
    pub underlyings: Vec<UnderlyingSpec>,
    /// Every contract; number `n` is at `n - 1`.
    pub contracts: Vec<Contract>,
}

impl Universe {
    /// The universe listed at `start`.
    pub fn new(config: &UniverseConfig, start: Nanos) -> Self {
        let [btc, eth] = config.spots;
        let underlyings = vec![
            UnderlyingSpec { base: "BTC", counter: "USD", index: "btc_usd", payoff: Payoff::Inverse, spot: btc },
            UnderlyingSpec { base: "ETH", counter: "USDC", index: "eth_usdc", payoff: Payoff::Linear, spot: eth },
        ];
        let mut universe = Self { start, underlyings, contracts: Vec::new() };
        let expiries = expiries(start);
        for underlying in 0..universe.underlyings.len() {
            universe.list_futures(underlying, &expiries);
            for &expiry in expiries.iter().take(config.expiries) {
                universe.list_options(underlying, expiry, config.strikes);
            }
        }
        universe
    }

    /// The contract with the venue's number.
    pub fn find(&self, venue: VenueInstrumentId) -> Option<(usize, &Contract)> {
        let index = (venue.0 as usize).checked_sub(1)?;
        Some((index, self.contracts.get(index)?))
    }

    fn list_futures(&mut self, underlying: usize, expiries: &[Nanos; EXPIRIES]) {
        let spec = &self.underlyings[underlying];
        let (prefix, payoff) = (prefix(spec), spec.payoff);
        let (lot, ticks, channel) = match payoff {
            Payoff::Inverse => (quantity(10.0), TickTable::new(price(0.5)), 1),
            Payoff::Linear => (quantity(0.01), TickTable::new(price(0.05)), 10),
        };
        let contract = |name: String, kind, expiry, ticks, channel| Contract {
            venue: VenueInstrumentId(0),
            name,
            underlying,
            kind,
            payoff,
            option: None,
            expiry,
            strike: 0.0,
            lot,
            size: lot,
            ticks,
            maker_fee: 0.0,
            taker_fee: 0.0005,
            channel,
        };
        let perpetual = contract(format!("{prefix}-PERPETUAL"), InstrumentKind::Perpetual, None, ticks, channel);
        // Dated futures stand at month ends, and on inverse underlyings only.
        let dated = expiries.iter().filter(|&&expiry| payoff == Payoff::Inverse && is_last_friday(expiry));
        let dated = dated.map(|&expiry| {
            let name = format!("{prefix}-{}", date(expiry));
            contract(name, InstrumentKind::Future, Some(expiry), TickTable::new(price(2.5)), 3)
        });
        let listed: Vec<_> = std::iter::once(perpetual).chain(dated).collect();
        listed.into_iter().for_each(|contract| self.list(contract));
    }

    fn list_options(&mut self, underlying: usize, expiry: Nanos, strikes: usize) {
        let spec = &self.underlyings[underlying];
        let (prefix, payoff, spot) = (prefix(spec), spec.payoff, spec.spot);
        let (steps, channel) = match payoff {
            Payoff::Inverse => ([(0.0, 0.0001), (0.005, 0.0005)], 2),
            Payoff::Linear => ([(0.0, 0.1), (10.0, 0.5)], 11),
        };
        let ticks: TickTable = steps.into_iter().map(|(above, tick)| (price(above), price(tick))).collect();
        for strike in strike_grid(spot, self.start.years_until(expiry), strikes) {
            for (option, letter) in [(OptionKind::Call, 'C'), (OptionKind::Put, 'P')] {
                self.list(Contract {
                    venue: VenueInstrumentId(0),
                    name: format!("{prefix}-{}-{strike}-{letter}", date(expiry)),
                    underlying,
                    kind: InstrumentKind::Option,
                    payoff,
                    option: Some(option),
                    expiry: Some(expiry),
                    strike,
                    lot: quantity(0.1),
                    size: quantity(1.0),
                    ticks,
                    maker_fee: 0.0003,
                    taker_fee: 0.0003,
                    channel,
                });
            }
        }
    }

    fn list(&mut self, contract: Contract) {
        let venue = VenueInstrumentId(self.contracts.len() as u32 + 1);
        self.contracts.push(Contract { venue, ..contract });
    }
}

/// `BTC`, or `ETH_USDC` where contracts settle in dollars.
fn prefix(spec: &UnderlyingSpec) -> String {
    match spec.payoff {
        Payoff::Inverse => spec.base.to_owned(),
        Payoff::Linear => format!("{}_{}", spec.base, spec.counter),
    }
}

/// The literals of this module are within range; a zero would be refused by the tick and lot checks.
fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap_or_default()
}

fn quantity(value: f64) -> Quantity {
    Quantity::from_f64(value).unwrap_or_default()
}

/// The twelve expiries listed at `start`, ascending.
fn expiries(start: Nanos) -> [Nanos; EXPIRIES] {
    let start_s = start.0 / Nanos::PER_SECOND + FIRST_EXPIRY_AFTER_S;
    let first = start_s.saturating_sub(EXPIRY_S).div_ceil(DAY_S);
    let mut days: Vec<u64> = (first..first + 3).collect();
    let fridays = |after: u64| (after + 1..).filter(|day| weekday(*day) == FRIDAY);
    days.extend(fridays(first + 2).take(4));
    let last_weekly = days[6];
    days.extend(fridays(last_weekly).filter(|day| is_last_of_month(*day)).take(2));
    let last_monthly = days[8];
    days.extend(fridays(last_monthly).filter(|day| is_last_of_month(*day) && utc(*day).month() % 3 == 0).take(3));
    std::array::from_fn(|i| Nanos((days[i] * DAY_S + EXPIRY_S) * Nanos::PER_SECOND))
}

/// `count` strikes around `spot`, about 0.4 standard deviations apart at 60% volatility, on a round grid.
fn strike_grid(spot: f64, years: f64, count: usize) -> Vec<f64> {
    let target = spot * 0.6 * years.sqrt() * 0.4;
    // Never so wide that the lowest strike would lose half of spot more than once.
    let step = round_step(target.min(spot * 0.75 / (count as f64 / 2.0).max(1.0)).max(spot * 0.0025));
    let centre = (spot / step).round();
    let lowest = (centre - (count / 2) as f64).max(1.0);
    (0..count).map(|i| (lowest + i as f64) * step).collect()
}

/// The largest of 1, 2, 2.5 and 5 times a power of ten that is not above `target`, and not below 1.
fn round_step(target: f64) -> f64 {
    let decade = 10_f64.powi(target.max(1.0).log10().floor() as i32);
    [5.0, 2.5, 2.0, 1.0].map(|m| m * decade).into_iter().find(|s| *s <= target && s.fract() == 0.0).unwrap_or(1.0)
}

/// The epoch fell on a Thursday.
const FRIDAY: u64 = 1;

/// Days after Thursday.
fn weekday(day: u64) -> u64 {
    day % 7
}

fn is_last_of_month(day: u64) -> bool {
    utc(day).month() != utc(day + 7).month()
}

fn is_last_friday(expiry: Nanos) -> bool {
    let day = expiry.0 / Nanos::PER_SECOND / DAY_S;
    weekday(day) == FRIDAY && is_last_of_month(day)
}

/// As in `27DEC26` or `3JAN27`.
fn date(expiry: Nanos) -> String {
    utc(expiry.0 / Nanos::PER_SECOND / DAY_S).strftime("%-d%b%y").to_string().to_uppercase()
}

/// The date of a day since the epoch.
fn utc(day: u64) -> jiff::civil::Date {
    let seconds = i64::try_from(day * DAY_S).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// 2026-11-22 12:00 UTC, a Sunday.
    const START: Nanos = Nanos::from_secs(1_795_348_800);

    #[test]
    fn expiries_are_named_and_placed_as_the_calendar_has_them() {
        let names: Vec<_> = expiries(START).iter().map(|e| date(*e)).collect();
        let expected = [
            "23NOV26", "24NOV26", "25NOV26", "27NOV26", "4DEC26", "11DEC26", "18DEC26", "25DEC26", "29JAN27",
            "26MAR27", "25JUN27", "24SEP27",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn lists_at_least_500_options_over_12_expiries_and_2_underlyings() {
        let universe = Universe::new(&UniverseConfig::default(), START);
        let options: Vec<_> = universe.contracts.iter().filter(|c| c.kind == InstrumentKind::Option).collect();
        assert!(options.len() >= 500, "{}", options.len());
        for underlying in 0..2 {
            let expiries: BTreeSet<_> =
                options.iter().filter(|c| c.underlying == underlying).map(|c| c.expiry).collect();
            assert_eq!(expiries.len(), EXPIRIES);
        }
        let names: BTreeSet<_> = universe.contracts.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), universe.contracts.len());
        assert!(names.contains("BTC-PERPETUAL") && names.contains("ETH_USDC-PERPETUAL"));
        let dated = universe.contracts.iter().filter(|c| c.kind == InstrumentKind::Future).count();
        assert!(dated >= 3, "{dated}");
        for (index, contract) in universe.contracts.iter().enumerate() {
            assert_eq!(universe.find(contract.venue).map(|(i, _)| i), Some(index));
        }
    }

    #[test]
    fn the_first_expiry_is_never_minutes_away() {
        for hour in 0..24 {
            let start = Nanos(START.0 + hour * 3_600 * Nanos::PER_SECOND);
            let ahead_s = expiries(start)[0].since(start) / Nanos::PER_SECOND;
            assert!((FIRST_EXPIRY_AFTER_S..=FIRST_EXPIRY_AFTER_S + DAY_S).contains(&ahead_s), "{ahead_s}");
        }
    }

    #[test]
    fn strikes_are_round_positive_and_surround_the_spot() {
        for (spot, years) in [(96_400.0, 0.0005), (96_400.0, 1.0), (3_280.0, 0.002), (3_280.0, 0.8), (2.5, 0.5)] {
            let strikes = strike_grid(spot, years, 13);
            assert_eq!(strikes.len(), 13);
            assert!(strikes.iter().all(|k| *k > 0.0 && k.fract() == 0.0), "{strikes:?}");
            assert!(strikes[0] < spot && strikes[12] > spot, "{strikes:?}");
        }
    }
}
