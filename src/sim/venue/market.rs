//! The world behind the books: spots, volatility, basis and smiles, all drawn from one seed.
//!
//! Time moves in equal steps. Each underlying has a log-normal spot whose volatility wanders, with jumps; a perpetual
//! premium and a carry that revert to their means; and a smile whose level and skew do. The second underlying's shocks
//! correlate with the first's. Long-run realised volatility, jumps included, equals
//! [`annual_volatility`](MarketConfig::annual_volatility) at a `speed` of 1.

use super::smile::{Smile, black76};
use super::spec::{Contract, Universe};
use crate::instrument::{InstrumentKind, Payoff};
use crate::sim::random::Random;
use crate::units::Nanos;

/// How the market moves and how busy it is.
#[derive(Clone, Debug)]
pub struct MarketConfig {
    /// Nanoseconds between two steps of the market.
    pub step_ns: u64,
    /// Realised volatility of each underlying, a year, as a fraction.
    pub annual_volatility: [f64; 2],
    /// Correlation of the two spots.
    pub correlation: f64,
    /// Seconds of market movement packed into a second. Realised variance grows with it; implied volatility, expiry and
    /// the pace of messages do not.
    pub speed: f64,
    /// Jumps a minute at speed 1, for each underlying.
    pub jumps_per_minute: f64,
    /// Share of the variance that jumps carry.
    pub jump_share: f64,
    /// Multiplies every rate below.
    pub activity: f64,
    /// Times a second each perpetual is considered for new quotes.
    pub perpetual_quotes_per_second: f64,
    /// Times a second each dated future is.
    pub future_quotes_per_second: f64,
    /// Options re-marked a second, over all of them.
    pub option_marks_per_second: f64,
    /// Aggressive orders a second on each perpetual.
    pub perpetual_trades_per_second: f64,
    /// Aggressive orders a second over all options.
    pub option_trades_per_second: f64,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            step_ns: Nanos::PER_MILLI,
            annual_volatility: [0.60, 0.70],
            correlation: 0.8,
            speed: 1.0,
            jumps_per_minute: 6.0,
            jump_share: 0.2,
            activity: 1.0,
            perpetual_quotes_per_second: 400.0,
            future_quotes_per_second: 100.0,
            option_marks_per_second: 4_000.0,
            perpetual_trades_per_second: 8.0,
            option_trades_per_second: 4.0,
        }
    }
}

/// A contract's fair value at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mark {
    /// In the contract's quote unit.
    pub price: f64,
    /// Implied volatility; NaN unless an option.
    pub volatility: f64,
    /// Change of `price` per 1.00 of volatility; zero unless an option.
    pub vega: f64,
}

/// Where one underlying stands.
#[derive(Clone, Debug)]
struct Factor {
    spot: f64,
    /// Log of realised volatility relative to its mean.
    heat: f64,
    /// Log of the implied level relative to its mean.
    level: f64,
    skew: f64,
    /// Perpetual over index, less one.
    premium: f64,
    /// Annual carry of dated futures.
    carry: f64,
}

/// The state of the world.
#[derive(Debug)]
pub struct Market {
    config: MarketConfig,
    random: Random,
    factors: Vec<Factor>,
}

/// A mean-reverting quantity: where to, how fast, how far it strays.
struct Reversion {
    mean: f64,
    half_life_s: f64,
    deviation: f64,
}

/// Realised volatility strays by a fifth within a minute.
const HEAT: Reversion = Reversion { mean: 0.0, half_life_s: 60.0, deviation: 0.2 };
/// The implied level moves by two to three points a day, as the venue's volatility index does.
const LEVEL: Reversion = Reversion { mean: 0.0, half_life_s: 43_200.0, deviation: 0.03 };
/// Long expiries follow the level by this much.
const LONG_SHARE: f64 = 0.5;
/// Puts are dear, more or less.
const SKEW: Reversion = Reversion { mean: -0.15, half_life_s: 43_200.0, deviation: 0.05 };
/// The perpetual trades within a couple of basis points of the index.
const PREMIUM: Reversion = Reversion { mean: 0.000_1, half_life_s: 300.0, deviation: 0.000_1 };
/// Dated futures carry about 6% a year, moving by half a percent a day.
const CARRY: Reversion = Reversion { mean: 0.06, half_life_s: 43_200.0, deviation: 0.004 };
/// Part of the implied level's shock that comes from spot: it rises as spot falls.
const LEVERAGE: f64 = -0.4;

impl Reversion {
    /// One step of `dt_s` seconds with a standard normal shock.
    fn step(&self, value: f64, dt_s: f64, shock: f64) -> f64 {
        let kept = (-std::f64::consts::LN_2 * dt_s / self.half_life_s).exp();
        self.mean + (value - self.mean) * kept + self.deviation * (1.0 - kept * kept).sqrt() * shock
    }
}

impl Market {
    /// The world as it stands when the universe is listed.
    pub fn new(config: MarketConfig, universe: &Universe, seed: u64) -> Self {
        let factor = |spot| Factor {
            spot,
            heat: HEAT.mean,
            level: LEVEL.mean,
            skew: SKEW.mean,
            premium: PREMIUM.mean,
            carry: CARRY.mean,
        };
        let factors = universe.underlyings.iter().map(|u| factor(u.spot)).collect();
        Self { config, random: Random::new(seed), factors }
    }

    /// Moves everything by one step.
    pub fn step(&mut self) {
        let dt_s = self.config.step_ns as f64 / Nanos::PER_SECOND as f64;
        let moved_s = dt_s * self.config.speed;
        let moved_years = moved_s * Nanos::PER_SECOND as f64 / Nanos::PER_YEAR as f64;
        let jump_chance = self.config.jumps_per_minute * moved_s / 60.0;
        let correlation = self.config.correlation;
        let mut common = 0.0;
        for (at, factor) in self.factors.iter_mut().enumerate() {
            let own = self.random.normal();
            let shock =
                if at == 0 { own } else { correlation * common + (1.0 - correlation * correlation).sqrt() * own };
            common = if at == 0 { own } else { common };
            // The variance of `heat` makes the mean of its exponential's square 1.
            let heat = (factor.heat - HEAT.deviation * HEAT.deviation).exp();
            let variance = self.config.annual_volatility[at].powi(2) * moved_years;
            let mut log_move = (variance * (1.0 - self.config.jump_share)).sqrt() * heat * shock;
            if jump_chance > 0.0 && self.random.chance(jump_chance) {
                log_move += (variance * self.config.jump_share / jump_chance).sqrt() * self.random.normal();
            }
            factor.spot *= (log_move - 0.5 * variance).exp();
            factor.heat = HEAT.step(factor.heat, dt_s, self.random.normal());
            let level_shock = LEVERAGE * shock + (1.0 - LEVERAGE * LEVERAGE).sqrt() * self.random.normal();
            factor.level = LEVEL.step(factor.level, dt_s, level_shock);
            factor.skew = SKEW.step(factor.skew, dt_s, self.random.normal());
            factor.premium = PREMIUM.step(factor.premium, dt_s, self.random.normal());
            factor.carry = CARRY.step(factor.carry, dt_s, self.random.normal());
        }
    }

    /// The price index.
    pub fn index(&self, underlying: usize) -> f64 {
        self.factors[underlying].spot
    }

    /// Forward price for delivery at `expiry`.
    pub fn forward(&self, underlying: usize, expiry: Nanos, now: Nanos) -> f64 {
        let factor = &self.factors[underlying];
        factor.spot * (factor.carry * now.years_until(expiry)).exp()
    }

    /// The smile of an underlying.
    pub fn smile(&self, underlying: usize) -> Smile {
        let factor = &self.factors[underlying];
        let mean = self.config.annual_volatility[underlying];
        let long = 0.95 * mean * (LONG_SHARE * factor.level).exp();
        Smile { short: mean * factor.level.exp(), long, skew: factor.skew }
    }

    /// Fair value of a contract.
    pub fn mark(&self, contract: &Contract, now: Nanos) -> Mark {
        let factor = &self.factors[contract.underlying];
        let plain = |price| Mark { price, volatility: f64::NAN, vega: 0.0 };
        match (contract.kind, contract.option, contract.expiry) {
            (InstrumentKind::Option, Some(option), Some(expiry)) => {
                let (forward, years) = (self.forward(contract.underlying, expiry, now), now.years_until(expiry));
                let log_moneyness = (contract.strike / forward).ln();
                let volatility = self.smile(contract.underlying).volatility(log_moneyness, years);
                let (value, vega) = black76(option, forward, contract.strike, volatility, years);
                let unit = if contract.payoff == Payoff::Inverse { forward } else { 1.0 };
                Mark { price: value / unit, volatility, vega: vega / unit }
            }
            (_, _, Some(expiry)) => plain(self.forward(contract.underlying, expiry, now)),
            _ => plain(factor.spot * (1.0 + factor.premium)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::venue::spec::UniverseConfig;

    const START: Nanos = Nanos::from_secs(1_795_348_800);

    fn market(config: MarketConfig, seed: u64) -> (Universe, Market) {
        let universe = Universe::new(&UniverseConfig::default(), START);
        let market = Market::new(config, &universe, seed);
        (universe, market)
    }

    /// Realised volatility a year and the correlation, from moves of `every` steps.
    fn realised(market: &mut Market, steps: u32, every: u32) -> ([f64; 2], f64) {
        let (mut sums, mut product) = ([0.0; 2], 0.0);
        let mut last = [market.index(0), market.index(1)];
        for step in 1..=steps {
            market.step();
            if step % every == 0 {
                let now = [market.index(0), market.index(1)];
                let moves = [(now[0] / last[0]).ln(), (now[1] / last[1]).ln()];
                (0..2).for_each(|u| sums[u] += moves[u] * moves[u]);
                product += moves[0] * moves[1];
                last = now;
            }
        }
        let years = f64::from(steps) * market.config.step_ns as f64 / Nanos::PER_YEAR as f64;
        (sums.map(|sum| (sum / years).sqrt()), product / (sums[0] * sums[1]).sqrt())
    }

    #[test]
    fn realised_volatility_and_correlation_are_as_configured() {
        // An hour in steps of 10 ms: long enough for volatility to return to its mean many times.
        let config = MarketConfig { step_ns: 10 * Nanos::PER_MILLI, ..MarketConfig::default() };
        let (_, mut market) = market(config, 3);
        let ([btc, eth], correlation) = realised(&mut market, 360_000, 100);
        assert!((btc / 0.60 - 1.0).abs() < 0.08, "{btc}");
        assert!((eth / 0.70 - 1.0).abs() < 0.08, "{eth}");
        // Jumps are each underlying's own, so they dilute the correlation.
        assert!((correlation - 0.8 * 0.8).abs() < 0.05, "{correlation}");
    }

    #[test]
    fn speed_multiplies_the_variance() {
        let config = MarketConfig { step_ns: 10 * Nanos::PER_MILLI, speed: 25.0, ..MarketConfig::default() };
        let ([btc, _], _) = realised(&mut market(config, 5).1, 180_000, 100);
        assert!((btc / (5.0 * 0.60) - 1.0).abs() < 0.08, "{btc}");
    }

    #[test]
    fn marks_on_the_listed_grid_are_free_of_static_arbitrage() {
        let (universe, mut market) = market(MarketConfig { speed: 400.0, ..MarketConfig::default() }, 11);
        for round in 0..20_u64 {
            (0..500).for_each(|_| market.step());
            let now = Nanos(START.0 + round * 500 * Nanos::PER_MILLI);
            // Calls of one slice stand two apart in the list, by ascending strike.
            let calls: Vec<_> = universe.contracts.iter().filter(|c| c.name.ends_with("-C")).collect();
            for w in calls.windows(3).filter(|w| w[0].expiry == w[2].expiry && w[0].underlying == w[2].underlying) {
                let unit = |c: &Contract| match c.payoff {
                    Payoff::Inverse => market.forward(c.underlying, c.expiry.unwrap(), now),
                    Payoff::Linear => 1.0,
                };
                let value = |c: &Contract| market.mark(c, now).price * unit(c);
                let (low, mid, high) = (value(w[0]), value(w[1]), value(w[2]));
                let even = (w[2].strike - w[1].strike) / (w[2].strike - w[0].strike);
                assert!(even * low + (1.0 - even) * high - mid > -1e-7, "{}: {low} {mid} {high}", w[1].name);
                assert!(low >= mid && mid >= high, "{}", w[1].name);
            }
        }
    }

    #[test]
    fn implied_volatility_moves_far_less_than_spot() {
        let (_, mut market) = market(MarketConfig::default(), 6);
        let (mut moves, mut last) = (0.0, market.smile(0).short);
        for _ in 0..600 {
            (0..1_000).for_each(|_| market.step());
            let now = market.smile(0).short;
            moves += (now - last).powi(2);
            last = now;
        }
        // Points a day, from moves of a second.
        let points = 100.0 * (moves / 600.0 * 86_400.0).sqrt();
        assert!((1.5..4.0).contains(&points), "{points}");
    }

    #[test]
    fn the_perpetual_and_the_futures_stay_near_the_index() {
        let (universe, mut market) = market(MarketConfig::default(), 1);
        (0..60_000).for_each(|_| market.step());
        for contract in universe.contracts.iter().filter(|c| c.kind != InstrumentKind::Option) {
            let ratio = market.mark(contract, START).price / market.index(contract.underlying);
            let bound = if contract.kind == InstrumentKind::Perpetual { 0.001 } else { 0.08 };
            assert!((ratio - 1.0).abs() < bound, "{}: {ratio}", contract.name);
        }
    }

    #[test]
    fn a_seed_fixes_the_path() {
        let path = |seed| {
            let (_, mut market) = market(MarketConfig::default(), seed);
            (0..1_000).for_each(|_| market.step());
            (market.index(0).to_bits(), market.index(1).to_bits())
        };
        assert_eq!(path(9), path(9));
        assert_ne!(path(9), path(10));
    }
}
