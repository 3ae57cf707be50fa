//! A book of options, what may hedge it, and what the market shows of both in one step.
//!
//! What may hedge: the perpetual and, of each expiry, the listed strike nearest the spot. Strikes are listed every five
//! dollars; what was traded at a strike stays held when the spot has moved on to another.

use super::market::{Market, State};
use crate::cli::evaluate::lab::Random;
use crate::event::{JUMP_SIZES, JUMPS};
use crate::hedge::program::Estimator;
use crate::instrument::OptionKind;
use crate::portfolio::OUT_OF_THE_MONEY;
use crate::pricing::black76::{Greeks, price};
use crate::pricing::elementary::exp;

pub(super) const SPOT: f64 = 100.0;
const OPTIONS: usize = 50;
/// Days to the expiries of the book.
const EXPIRIES_DAYS: [f64; 4] = [10.0, 17.0, 31.0, 59.0];
pub(super) const EXPIRIES: usize = EXPIRIES_DAYS.len();
pub(super) const DAY: f64 = 1.0 / 365.0;
/// A week in steps of five minutes.
pub(super) const STEPS: usize = 7 * 288;
pub(super) const STEP_YEARS: f64 = DAY / 288.0;
const HORIZON_YEARS: f64 = 7.0 * DAY;

/// Proportional cost of the perpetual.
pub(super) const PERPETUAL_COST: f64 = 5e-4;
/// Half-spread of options in volatility; their fee on the spot, at most this share of the premium.
const OPTION_HALF_SPREAD: f64 = 0.005;
const OPTION_FEE: f64 = 3e-4;
const OPTION_FEE_SHARE_MAX: f64 = 0.125;

/// Strikes listed: this many times [`STRIKE_STEP`] at most.
pub(super) const STRIKES: usize = 64;
const STRIKE_STEP: f64 = 5.0;

/// Delta, vega by expiry, gamma, and the gain in each jump beyond what delta gains.
pub(super) const FACTORS: usize = GAMMA + 1 + JUMPS;
pub(super) const GAMMA: usize = EXPIRIES + 1;
/// Those that move: the spot, and the volatility of each expiry.
pub(super) const RISKS: usize = 1 + EXPIRIES;
/// How long it is remembered how factors moved.
pub(super) const MEMORY_YEARS: f64 = 2.0 * DAY;

/// One option line.
#[derive(Clone, Copy, Debug)]
struct Line {
    kind: OptionKind,
    expiry: usize,
    strike: f64,
    /// Coins, positive long.
    position: f64,
}

/// A book of options.
#[derive(Clone, Debug)]
pub(super) struct Book {
    lines: Vec<Line>,
}

/// What is shown of one coin of an instrument.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quote {
    pub(super) exposure: [f64; FACTORS],
    pub(super) price: f64,
    /// Of trading it.
    pub(super) cost: f64,
}

/// What the market shows in one step, the same for every policy.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) state: State,
    pub(super) years_left: f64,
    pub(super) expiries: [f64; EXPIRIES],
    /// The book to be hedged: exposures, and value.
    pub(super) book: [f64; FACTORS],
    pub(super) value: f64,
    pub(super) perpetual: Quote,
    /// By expiry, the strikes of the put and of the call that may be traded.
    pub(super) strikes: [[usize; 2]; EXPIRIES],
    /// Those puts.
    pub(super) puts: [Quote; EXPIRIES],
    /// The lowest strike that could ever be traded.
    pub(super) lowest: usize,
    /// Calls of every strike from there to the highest that could, by expiry.
    pub(super) calls: Vec<[Quote; EXPIRIES]>,
    /// What was seen of how spot and volatilities move.
    pub(super) seen: Estimator,
}

/// An option at a moment.
struct View {
    spot: f64,
    sigmas: [f64; EXPIRIES],
    expiries: [f64; EXPIRIES],
}

impl Book {
    /// A book drawn at random: strikes within a standard deviation and a half, up to ten coins long or short.
    pub(super) fn draw(random: &mut Random, sigma: f64) -> Self {
        let lines = (0..OPTIONS)
            .map(|i| {
                let expiry = i % EXPIRIES;
                let width = sigma * (EXPIRIES_DAYS[expiry] * DAY).sqrt();
                let strike = SPOT * exp(1.5 * (2.0 * random.uniform() - 1.0) * width);
                let kind = if strike > SPOT { OptionKind::Call } else { OptionKind::Put };
                Line { kind, expiry, strike, position: 20.0 * random.uniform() - 10.0 }
            })
            .collect();
        Self { lines }
    }

    /// What is shown after `step` steps in which strikes from `range.0` to `range.1` could be traded.
    pub(super) fn tick(&self, market: &Market, state: State, step: usize, range: &mut (usize, usize)) -> Tick {
        let expiries = expiries(step);
        let sigmas = expiries.map(|years| market.sigma(&state, years));
        let view = View { spot: state.spot, sigmas, expiries };
        let (mut book, mut value) = ([0.0; FACTORS], 0.0);
        for line in &self.lines {
            let quote = view.quote(line);
            for (x, e) in book.iter_mut().zip(&quote.exposure) {
                *x += line.position * e;
            }
            value += line.position * quote.price;
        }
        let strikes = std::array::from_fn(|expiry| {
            let aside = OUT_OF_THE_MONEY * sigmas[expiry] * expiries[expiry].max(0.0).sqrt();
            [-aside, aside].map(|aside| nearest_strike(state.spot * exp(aside)))
        });
        for strike in strikes.iter().flatten() {
            *range = (range.0.min(*strike), range.1.max(*strike));
        }
        let one =
            |kind, strike, expiry| view.quote(&Line { kind, expiry, strike: strike_price(strike), position: 1.0 });
        let puts = std::array::from_fn(|expiry| one(OptionKind::Put, strikes[expiry][0], expiry));
        let calls = (range.0..=range.1)
            .map(|strike| std::array::from_fn(|expiry| one(OptionKind::Call, strike, expiry)))
            .collect();
        let mut perpetual = Quote { price: state.spot, cost: PERPETUAL_COST * state.spot, ..Quote::default() };
        perpetual.exposure[0] = 1.0;
        let years_left = HORIZON_YEARS - step as f64 * STEP_YEARS;
        Tick {
            state,
            years_left,
            expiries,
            book,
            value,
            perpetual,
            strikes,
            puts,
            lowest: range.0,
            calls,
            seen: Estimator::new(RISKS, MEMORY_YEARS),
        }
    }
}

impl View {
    fn quote(&self, line: &Line) -> Quote {
        let (sigma, years) = (self.sigmas[line.expiry], self.expiries[line.expiry]);
        let g = Greeks::new(line.kind, self.spot, line.strike, sigma, years);
        let mut exposure = [0.0; FACTORS];
        exposure[0] = g.delta;
        exposure[1 + line.expiry] = g.vega;
        exposure[GAMMA] = g.gamma;
        for (gain, jump) in exposure[GAMMA + 1..].iter_mut().zip(JUMP_SIZES) {
            let after = price(line.kind, self.spot * (1.0 + jump), line.strike, sigma, years);
            *gain = after - g.price - g.delta * self.spot * jump;
        }
        let fee = (OPTION_FEE * self.spot).min(OPTION_FEE_SHARE_MAX * g.price);
        Quote { exposure, price: g.price, cost: OPTION_HALF_SPREAD * g.vega + fee }
    }
}

/// The strike of this number.
pub(super) fn strike_price(number: usize) -> f64 {
    number as f64 * STRIKE_STEP
}

/// The number of the listed strike nearest to `spot`.
pub(super) fn nearest_strike(spot: f64) -> usize {
    ((spot / STRIKE_STEP).round() as usize).clamp(1, STRIKES - 1)
}

/// Years to the expiries after `step` steps.
pub(super) fn expiries(step: usize) -> [f64; EXPIRIES] {
    EXPIRIES_DAYS.map(|days| days * DAY - step as f64 * STEP_YEARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::evaluate::book::market::Model;

    #[test]
    fn a_put_is_a_call_less_the_coin_and_both_gain_alike_in_jumps() {
        let view = View { spot: 100.0, sigmas: [0.6; EXPIRIES], expiries: expiries(0) };
        let quote = |kind| view.quote(&Line { kind, expiry: 1, strike: 95.0, position: 1.0 });
        let (put, call) = (quote(OptionKind::Put), quote(OptionKind::Call));
        assert!((call.price - put.price - 5.0).abs() < 1e-9 && (call.exposure[0] - put.exposure[0] - 1.0).abs() < 1e-9);
        for k in 1..FACTORS {
            assert!((put.exposure[k] - call.exposure[k]).abs() < 1e-9, "{k}: {put:?} {call:?}");
        }
        assert!(put.exposure[GAMMA + 1..].iter().all(|gain| *gain > 0.0), "what is long gains on both sides: {put:?}");
    }

    #[test]
    fn every_strike_that_could_be_traded_stays_quoted() {
        let (market, mut range) = (Model::Gbm.market(), (20, 20));
        let book = Book::draw(&mut Random::new(1, 0), 0.6);
        for spot in [100.0, 111.0, 93.0] {
            let tick = book.tick(&market, State { spot, ..market.start(SPOT) }, 0, &mut range);
            assert_eq!((tick.lowest, tick.lowest + tick.calls.len() - 1), range);
            for (expiry, [_, call]) in tick.strikes.into_iter().enumerate() {
                let (put, call) = (tick.puts[expiry].exposure[0], tick.calls[call - tick.lowest][expiry].exposure[0]);
                assert!(put > -0.45 && put < -0.15 && call > 0.15 && call < 0.45, "{put} {call}");
            }
        }
        assert_eq!(range, (16, 25));
    }
}
