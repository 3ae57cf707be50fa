//! A book of options, what may hedge it, and what the market shows of both in one step.
//!
//! What may hedge: the perpetual and, of each expiry, the listed strike nearest the spot. Strikes are listed every five
//! dollars; what was traded at a strike stays held when the spot has moved on to another.

use super::market::{Market, State};
use crate::cli::evaluate::lab::Random;
use crate::hedge::program::Covariance;
use crate::instrument::OptionKind;
use crate::pricing::black76::Greeks;
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

/// Delta, vega by expiry, gamma.
pub(super) const FACTORS: usize = GAMMA + 1;
pub(super) const GAMMA: usize = EXPIRIES + 1;

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
    /// The strike nearest the spot, and the lowest that it has been.
    pub(super) strike: usize,
    pub(super) lowest: usize,
    /// Calls of every strike from the lowest to the highest that it has been, by expiry.
    pub(super) calls: Vec<[Quote; EXPIRIES]>,
    /// Covariance a year of spot and volatilities as it was estimated.
    pub(super) estimate: Option<Covariance>,
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

    /// What is shown after `step` steps in which the nearest strike went from `strikes.0` to `strikes.1`.
    pub(super) fn tick(&self, market: &Market, state: State, step: usize, strikes: &mut (usize, usize)) -> Tick {
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
        let strike = nearest_strike(state.spot);
        *strikes = (strikes.0.min(strike), strikes.1.max(strike));
        let call = |strike: usize, expiry| Line {
            kind: OptionKind::Call,
            expiry,
            strike: strike as f64 * STRIKE_STEP,
            position: 1.0,
        };
        let calls = (strikes.0..=strikes.1)
            .map(|strike| std::array::from_fn(|expiry| view.quote(&call(strike, expiry))))
            .collect();
        let mut perpetual = Quote { price: state.spot, cost: PERPETUAL_COST * state.spot, ..Quote::default() };
        perpetual.exposure[0] = 1.0;
        let years_left = HORIZON_YEARS - step as f64 * STEP_YEARS;
        Tick { state, years_left, expiries, book, value, perpetual, strike, lowest: strikes.0, calls, estimate: None }
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
        let fee = (OPTION_FEE * self.spot).min(OPTION_FEE_SHARE_MAX * g.price);
        Quote { exposure, price: g.price, cost: OPTION_HALF_SPREAD * g.vega + fee }
    }
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
    fn every_strike_that_was_nearest_stays_quoted() {
        let (market, mut strikes) = (Model::Gbm.market(), (20, 20));
        let book = Book::draw(&mut Random::new(1, 0), 0.6);
        for spot in [100.0, 111.0, 93.0] {
            let tick = book.tick(&market, State { spot, ..market.start(SPOT) }, 0, &mut strikes);
            assert_eq!(tick.lowest + tick.calls.len() - 1, strikes.1);
            let nearest = &tick.calls[tick.strike - tick.lowest][0];
            assert!((nearest.exposure[0] - 0.5).abs() < 0.1, "at the money: {nearest:?}");
        }
        assert_eq!(strikes, (19, 22));
    }
}
