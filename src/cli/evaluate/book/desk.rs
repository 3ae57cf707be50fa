//! A book of options, what may hedge it, and the policies, which decide with the live band and program.

use super::market::{Market, State};
use crate::cli::evaluate::lab::{Random, trade_to_edge};
use crate::hedge::BandConfig;
use crate::hedge::program::objective::{self, MarketView, ObjectiveConfig};
use crate::hedge::program::{Candidate, Covariance, FACTORS_MAX, Outcome, Problem, Solver};
use crate::instrument::OptionKind;
use crate::pricing::black76::Greeks;
use crate::pricing::elementary::exp;

pub(super) const SPOT: f64 = 100.0;
const OPTIONS: usize = 50;
/// Days to the expiries of the book.
const EXPIRIES_DAYS: [f64; 4] = [10.0, 17.0, 31.0, 59.0];
const EXPIRIES: usize = EXPIRIES_DAYS.len();
const DAY: f64 = 1.0 / 365.0;
/// A week in steps of five minutes.
pub(super) const STEPS: usize = 7 * 288;
const STEP_YEARS: f64 = DAY / 288.0;
const HORIZON_YEARS: f64 = 7.0 * DAY;

/// Proportional cost of the perpetual.
const PERPETUAL_COST: f64 = 5e-4;
/// Half-spread of options in volatility; their fee on the spot, at most this share of the premium.
const OPTION_HALF_SPREAD: f64 = 0.005;
const OPTION_FEE: f64 = 3e-4;
const OPTION_FEE_SHARE_MAX: f64 = 0.125;
/// Perpetual, then one option an expiry.
const HEDGES: usize = 1 + EXPIRIES;
const PERPETUAL_LOT: f64 = 1e-3;
const LOTS: [f64; HEDGES] = [PERPETUAL_LOT, 0.1, 0.1, 0.1, 0.1];
const HEDGE_LIMIT: f64 = 1_000.0;
/// Delta, vega by expiry, gamma.
const FACTORS: usize = EXPIRIES + 2;

/// One option line.
#[derive(Clone, Copy, Debug)]
struct Line {
    kind: OptionKind,
    expiry: usize,
    strike: f64,
    /// Coins, positive long.
    position: f64,
}

/// A book, and the options that may hedge it.
#[derive(Clone, Debug)]
pub(super) struct Book {
    lines: Vec<Line>,
    hedges: [Line; EXPIRIES],
}

/// How the book is hedged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Policy {
    /// Whalley and Wilmott's band on Black's delta.
    Band,
    /// The same on the delta that moves volatility with the spot as `assumed` does.
    FloatingBand {
        /// What is believed of the market.
        assumed: Market,
    },
    /// The quadratic program over perpetual and options.
    Program {
        /// What is believed of the market.
        assumed: Market,
    },
}

/// What came of one path under one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Result {
    /// Gain, trading costs taken off.
    pub(super) gain: f64,
    /// Trading costs.
    pub(super) cost: f64,
    /// Decisions that were not certified.
    pub(super) unsolved: u64,
}

/// What the market shows in one step, the same for every policy.
struct Tick {
    state: State,
    years_left: f64,
    /// Of the book to be hedged: delta, vega by expiry, gamma; value.
    book: [f64; FACTORS],
    value: f64,
    /// The same a coin of each hedge.
    hedges: [[f64; FACTORS]; HEDGES],
    prices: [f64; HEDGES],
    costs: [f64; HEDGES],
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
        let hedge = |expiry| Line { kind: OptionKind::Call, expiry, strike: SPOT, position: 1.0 };
        Self { lines, hedges: std::array::from_fn(hedge) }
    }

    fn tick(&self, market: &Market, state: State, step: usize) -> Tick {
        let elapsed = step as f64 * STEP_YEARS;
        let expiries = EXPIRIES_DAYS.map(|days| days * DAY - elapsed);
        let sigmas = expiries.map(|years| market.sigma(&state, years));
        let greeks =
            |line: &Line| Greeks::new(line.kind, state.spot, line.strike, sigmas[line.expiry], expiries[line.expiry]);
        let (mut book, mut value) = ([0.0; FACTORS], 0.0);
        for line in &self.lines {
            let g = greeks(line);
            book[0] += line.position * g.delta;
            book[1 + line.expiry] += line.position * g.vega;
            book[FACTORS - 1] += line.position * g.gamma;
            value += line.position * g.price;
        }
        let (mut hedges, mut prices, mut costs) = ([[0.0; FACTORS]; HEDGES], [0.0; HEDGES], [0.0; HEDGES]);
        hedges[0][0] = 1.0;
        prices[0] = state.spot;
        costs[0] = PERPETUAL_COST * state.spot;
        for (i, line) in (1..).zip(&self.hedges) {
            let g = greeks(line);
            hedges[i][0] = g.delta;
            hedges[i][1 + line.expiry] = g.vega;
            hedges[i][FACTORS - 1] = g.gamma;
            prices[i] = g.price;
            let fee = (OPTION_FEE * state.spot).min(OPTION_FEE_SHARE_MAX * g.price);
            costs[i] = OPTION_HALF_SPREAD * g.vega + fee;
        }
        let years_left = HORIZON_YEARS - elapsed;
        Tick { state, years_left, book, value, hedges, prices, costs, expiries }
    }
}

/// A policy at work: what it holds and has spent.
pub(super) struct Desk {
    policy: Policy,
    risk_aversion: f64,
    holds: [f64; HEDGES],
    cash: f64,
    result: Result,
    problem: Problem,
    solver: Solver,
}

impl Desk {
    /// A desk without hedges.
    pub(super) fn new(policy: Policy, risk_aversion: f64) -> Self {
        Self {
            policy,
            risk_aversion,
            holds: [0.0; HEDGES],
            cash: 0.0,
            result: Result::default(),
            problem: Problem::new(FACTORS),
            solver: Solver::new(),
        }
    }

    fn band(&self) -> BandConfig {
        BandConfig { risk_aversion: self.risk_aversion, half_width_min: 1e-3, half_width_max: 1e6 }
    }

    /// Exposures of book and hedges together.
    fn exposure(&self, tick: &Tick) -> [f64; FACTORS] {
        let mut exposure = tick.book;
        for (held, hedge) in self.holds.iter().zip(&tick.hedges) {
            for (x, h) in exposure.iter_mut().zip(hedge) {
                *x += held * h;
            }
        }
        exposure
    }

    fn decide(&mut self, tick: &Tick) {
        let exposure = self.exposure(tick);
        match self.policy {
            Policy::Band => self.follow_delta(tick, exposure[0], exposure[FACTORS - 1]),
            Policy::FloatingBand { assumed } => {
                let slopes = spot_slopes(&assumed, tick);
                let floating: f64 = (0..EXPIRIES).map(|k| slopes[k] * exposure[1 + k]).sum();
                self.follow_delta(tick, exposure[0] + floating, exposure[FACTORS - 1]);
            }
            Policy::Program { assumed } => self.solve(tick, &assumed, &exposure),
        }
    }

    fn follow_delta(&mut self, tick: &Tick, delta: f64, gamma: f64) {
        let half_width = self.band().half_width(PERPETUAL_COST, tick.state.spot * gamma, tick.state.spot);
        self.trade(tick, 0, trade_to_edge(delta, half_width, PERPETUAL_LOT));
    }

    fn solve(&mut self, tick: &Tick, assumed: &Market, exposure: &[f64; FACTORS]) {
        let spot = tick.state.spot;
        let config = ObjectiveConfig {
            band: self.band(),
            horizon_years: tick.years_left.max(DAY / 4.0),
            gamma_min: 1e-3,
            jump_fourth: assumed.jump_moments().1,
        };
        let (variance, gamma) = (tick.state.variance.max(1e-4) + assumed.jump_moments().0, exposure[FACTORS - 1]);
        let view = MarketView { spot, delta_cost: PERPETUAL_COST, sigma: variance.sqrt(), gamma };
        self.problem.reset();
        let written = covariance(assumed, tick)
            .and_then(|covariance| objective::write(self.problem.curvature_mut(), &config, &view, &covariance));
        if written.is_err() {
            self.result.unsolved += 1;
            return self.follow_delta(tick, exposure[0], gamma);
        }
        self.problem.exposure_mut().copy_from_slice(exposure);
        for i in 0..HEDGES {
            let mut loading = [0.0; FACTORS_MAX];
            loading[..FACTORS].copy_from_slice(&tick.hedges[i]);
            let (buy, sell) = (tick.costs[i], tick.costs[i]);
            let (lower, upper) = ((-HEDGE_LIMIT - self.holds[i]).min(0.0), (HEDGE_LIMIT - self.holds[i]).max(0.0));
            let candidate = Candidate { loading, buy, sell, impact: 0.0, lower, upper };
            if self.problem.push(&candidate).is_err() {
                self.result.unsolved += 1;
                return self.follow_delta(tick, exposure[0], gamma);
            }
        }
        match self.solver.solve(&self.problem) {
            Outcome::StandStill => {}
            Outcome::Trade(_) => {
                if let Some(rounded) = self.solver.to_lots(&self.problem, &LOTS, 0.0) {
                    for (i, (lots, lot)) in rounded.lots.iter().zip(&LOTS).enumerate() {
                        self.trade(tick, i, f64::from(*lots) * lot);
                    }
                }
            }
            Outcome::Unsolved(_) => {
                self.result.unsolved += 1;
                self.follow_delta(tick, exposure[0], gamma);
            }
        }
    }

    fn trade(&mut self, tick: &Tick, hedge: usize, coins: f64) {
        let cost = coins.abs() * tick.costs[hedge];
        self.holds[hedge] += coins;
        self.cash -= coins * tick.prices[hedge] + cost;
        self.result.cost += cost;
    }
}

/// ∂sigma/∂spot of each expiry: how volatility moves with the spot.
fn spot_slopes(assumed: &Market, tick: &Tick) -> [f64; EXPIRIES] {
    let variance = tick.state.variance.max(1e-4);
    let share = variance / (variance + assumed.jump_moments().0);
    std::array::from_fn(|k| {
        assumed.rho * assumed.xi * assumed.sigma_slope(&tick.state, tick.expiries[k]) / tick.state.spot * share
    })
}

/// Covariance a year of spot and volatilities, as `assumed` has it.
fn covariance(assumed: &Market, tick: &Tick) -> std::result::Result<Covariance, crate::hedge::program::NotConvex> {
    let variance = tick.state.variance.max(1e-4);
    let spot_sd = tick.state.spot * (variance + assumed.jump_moments().0).sqrt();
    let share = (variance / (variance + assumed.jump_moments().0)).sqrt();
    let mut matrix = [[0.0; 1 + EXPIRIES]; 1 + EXPIRIES];
    let sds: [f64; EXPIRIES] =
        std::array::from_fn(|k| assumed.xi * variance.sqrt() * assumed.sigma_slope(&tick.state, tick.expiries[k]));
    matrix[0][0] = spot_sd * spot_sd;
    for a in 0..EXPIRIES {
        matrix[1 + a][0] = assumed.rho * share * spot_sd * sds[a];
        for b in 0..=a {
            matrix[1 + a][1 + b] = sds[a] * sds[b];
        }
    }
    Covariance::new(&[&matrix[0][..], &matrix[1][..], &matrix[2][..], &matrix[3][..], &matrix[4][..]])
}

/// One path of the market, hedged by every desk; gains net of costs.
pub(super) fn run_path(book: &Book, market: &Market, desks: &mut [Desk], random: &mut Random) -> Vec<Result> {
    let mut state = market.start(SPOT);
    let mut tick = book.tick(market, state, 0);
    let opening = tick.value;
    for step in 0..STEPS {
        for desk in desks.iter_mut() {
            desk.decide(&tick);
        }
        market.step(&mut state, STEP_YEARS, random);
        tick = book.tick(market, state, step + 1);
    }
    desks
        .iter_mut()
        .map(|desk| {
            let held: f64 = desk.holds.iter().zip(&tick.prices).map(|(held, price)| held * price).sum();
            Result { gain: tick.value - opening + desk.cash + held, ..desk.result }
        })
        .collect()
}
