//! The policies at work: desks that decide with the live band and program.

use super::market::{Market, State};
use super::tick::{
    Book, DAY, EXPIRIES, FACTORS, GAMMA, MEMORY_YEARS, PERPETUAL_COST, Quote, RISKS, SPOT, STEP_YEARS, STEPS, STRIKES,
    Tick, expiries, nearest_strike, strike_price,
};
use crate::cli::evaluate::lab::{Random, trade_to_edge};
use crate::event::JUMPS;
use crate::hedge::program::{
    Candidate, Covariance, Estimator, FACTORS_MAX, MarketView, NotConvex, ObjectiveConfig, Waiting,
};
use crate::hedge::{BandConfig, CovarianceConfig, JumpConfig, Plan, Planner};

/// Perpetual, then a put and a call an expiry.
const HEDGES: usize = 1 + 2 * EXPIRIES;
const PERPETUAL_LOT: f64 = 1e-3;
const OPTION_LOT: f64 = 0.1;
const HEDGE_LIMIT: f64 = 1_000.0;
/// For how long the estimate has watched the market before the week.
const WATCHED_STEPS: usize = 2 * 288;

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
        beliefs: Beliefs,
    },
}

/// Where a desk has its covariance from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Beliefs {
    /// From a model.
    Model(Market),
    /// From a model that gives way to what the market did, as what is configured does live.
    Corrected(Market),
    /// From what the market did: the live estimator.
    Estimated,
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

/// A policy at work: what it holds and has spent.
pub(super) struct Desk {
    policy: Policy,
    risk_aversion: f64,
    /// Coins of the perpetual, and of the calls by strike and expiry. A put is held as a call less a coin.
    perpetual: f64,
    calls: Box<[[f64; EXPIRIES]; STRIKES]>,
    cash: f64,
    result: Result,
    planner: Planner,
    waiting: Waiting,
    /// How often a year each jump comes that the program insures against.
    jumps: [f64; JUMPS],
    /// Samples that a belief counts as.
    prior_samples: u32,
}

impl Desk {
    /// A desk without hedges.
    pub(super) fn new(policy: Policy, risk_aversion: f64) -> Self {
        Self {
            policy,
            risk_aversion,
            perpetual: 0.0,
            calls: Box::new([[0.0; EXPIRIES]; STRIKES]),
            cash: 0.0,
            result: Result::default(),
            planner: Planner::new(FACTORS),
            waiting: Waiting::new(FACTORS, MEMORY_YEARS),
            jumps: JumpConfig::default().rates(),
            prior_samples: CovarianceConfig::default().prior_samples,
        }
    }

    fn band(&self) -> BandConfig {
        BandConfig { risk_aversion: self.risk_aversion, half_width_min: 1e-3, half_width_max: 1e6 }
    }

    /// Every hedge that was ever to be had: coins held, and what is shown of one.
    fn held<'a>(&self, tick: &'a Tick) -> impl Iterator<Item = (f64, &'a Quote)> {
        let calls = self.calls[tick.lowest..].iter().zip(&tick.calls);
        let calls = calls.flat_map(|(held, quotes)| held.iter().copied().zip(quotes));
        std::iter::once((self.perpetual, &tick.perpetual)).chain(calls)
    }

    /// Exposures of book and hedges together.
    fn exposure(&self, tick: &Tick) -> [f64; FACTORS] {
        let mut exposure = tick.book;
        for (held, quote) in self.held(tick).filter(|(held, _)| *held != 0.0) {
            for (x, h) in exposure.iter_mut().zip(&quote.exposure) {
                *x += held * h;
            }
        }
        exposure
    }

    fn decide(&mut self, tick: &Tick) {
        let exposure = self.exposure(tick);
        match self.policy {
            Policy::Band => self.follow_delta(tick, exposure[0], exposure[GAMMA]),
            Policy::FloatingBand { assumed } => {
                let slopes = spot_slopes(&assumed, tick);
                let floating: f64 = (0..EXPIRIES).map(|k| slopes[k] * exposure[1 + k]).sum();
                self.follow_delta(tick, exposure[0] + floating, exposure[GAMMA]);
            }
            Policy::Program { beliefs } => self.solve(tick, beliefs, &exposure),
        }
    }

    fn follow_delta(&mut self, tick: &Tick, delta: f64, gamma: f64) {
        let half_width = self.band().half_width(PERPETUAL_COST, tick.state.spot * gamma, tick.state.spot);
        self.trade(tick, 0, trade_to_edge(delta, half_width, PERPETUAL_LOT));
    }

    fn solve(&mut self, tick: &Tick, beliefs: Beliefs, exposure: &[f64; FACTORS]) {
        self.waiting.observe(exposure, STEP_YEARS);
        if self.pose(tick, beliefs, exposure).is_err() {
            self.result.unsolved += 1;
            return self.follow_delta(tick, exposure[0], exposure[GAMMA]);
        }
        match self.planner.decide(exposure, 0.0) {
            Plan::StandStill | Plan::NotWorthwhile => {}
            Plan::Trade(trade) => {
                for (i, lots) in trade.rounded.lots.into_iter().enumerate().filter(|(_, lots)| *lots != 0) {
                    self.trade(tick, i, f64::from(lots) * lot(i));
                }
            }
            Plan::Unsolved => {
                self.result.unsolved += 1;
                self.follow_delta(tick, exposure[0], exposure[GAMMA]);
            }
        }
    }

    /// Puts the decision to be made as a problem.
    fn pose(&mut self, tick: &Tick, beliefs: Beliefs, exposure: &[f64; FACTORS]) -> std::result::Result<(), NotConvex> {
        let spot = tick.state.spot;
        let covariance = match beliefs {
            Beliefs::Model(assumed) => covariance(&assumed, tick)?,
            Beliefs::Corrected(assumed) => tick.seen.corrected(covariance(&assumed, tick)?, self.prior_samples)?,
            Beliefs::Estimated => tick.seen.covariance().ok_or(NotConvex)?,
        };
        let horizon_years = tick.years_left.max(DAY / 4.0);
        let config = ObjectiveConfig { band: self.band(), horizon_years, gamma_min: 1e-3, jumps: self.jumps };
        let sigma = covariance.at(0, 0).sqrt() / spot;
        let view = MarketView { spot, delta_cost: PERPETUAL_COST, sigma, gamma: exposure[GAMMA] };
        // Correlations as they are believed: what a wrong belief costs is another desk's to show.
        self.planner.begin(&config, &view, &covariance, 0.0, exposure)?;
        for i in 0..HEDGES {
            let (held, quote, lot) = (self.held_of(tick, i), quote_of(tick, i), lot(i));
            let mut loading = [0.0; FACTORS_MAX];
            for (l, exposure) in loading.iter_mut().zip(&quote.exposure) {
                *l = lot * exposure;
            }
            let patience = self.waiting.patience(self.planner.problem().curvature(), &loading, horizon_years);
            let cost = patience.worth(lot * quote.cost);
            let (lower, upper) = ((-HEDGE_LIMIT - held).min(0.0) / lot, (HEDGE_LIMIT - held).max(0.0) / lot);
            let candidate = Candidate { loading, buy: cost, sell: cost, impact: 0.0, lower, upper };
            self.planner.offer(&candidate).ok_or(NotConvex)?;
        }
        Ok(())
    }

    /// What is held of hedge `i`.
    fn held_of(&self, tick: &Tick, i: usize) -> f64 {
        option(i).map_or(self.perpetual, |(expiry, side)| self.calls[tick.strikes[expiry][side]][expiry])
    }

    fn trade(&mut self, tick: &Tick, i: usize, coins: f64) {
        let quote = quote_of(tick, i);
        let cost = coins.abs() * quote.cost;
        match option(i) {
            None => self.perpetual += coins,
            Some((expiry, side)) => {
                let strike = tick.strikes[expiry][side];
                self.calls[strike][expiry] += coins;
                if side == PUT {
                    self.perpetual -= coins;
                    self.cash += coins * strike_price(strike);
                }
            }
        }
        self.cash -= coins * quote.price + cost;
        self.result.cost += cost;
        self.waiting.traded(&quote.exposure, coins);
    }
}

/// Of the two options an expiry.
const PUT: usize = 0;

/// Expiry and side of hedge `i`; `None` for the perpetual.
fn option(i: usize) -> Option<(usize, usize)> {
    i.checked_sub(1).map(|k| (k / 2, k % 2))
}

fn lot(i: usize) -> f64 {
    option(i).map_or(PERPETUAL_LOT, |_| OPTION_LOT)
}

/// What is shown of hedge `i`.
fn quote_of(tick: &Tick, i: usize) -> &Quote {
    match option(i) {
        None => &tick.perpetual,
        Some((expiry, PUT)) => &tick.puts[expiry],
        Some((expiry, side)) => &tick.calls[tick.strikes[expiry][side] - tick.lowest][expiry],
    }
}

/// ∂sigma/∂spot of each expiry: how volatility moves with the spot.
fn spot_slopes(assumed: &Market, tick: &Tick) -> [f64; EXPIRIES] {
    let variance = tick.state.variance.max(1e-4);
    let share = variance / (variance + assumed.jump_variance());
    std::array::from_fn(|k| {
        assumed.rho * assumed.xi * assumed.sigma_slope(&tick.state, tick.expiries[k]) / tick.state.spot * share
    })
}

/// Covariance a year of spot and volatilities, as `assumed` has it.
fn covariance(assumed: &Market, tick: &Tick) -> std::result::Result<Covariance, NotConvex> {
    let variance = tick.state.variance.max(1e-4);
    let spot_sd = tick.state.spot * (variance + assumed.jump_variance()).sqrt();
    let share = (variance / (variance + assumed.jump_variance())).sqrt();
    let mut matrix = [[0.0; RISKS]; RISKS];
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
    let mut estimator = Estimator::new(RISKS, MEMORY_YEARS);
    let mut watched = market.start(SPOT);
    for _ in 0..WATCHED_STEPS {
        let before = factors(market, &watched, 0);
        market.step(&mut watched, STEP_YEARS, random);
        estimator.observe(&moves(&before, &factors(market, &watched, 0)), STEP_YEARS);
    }
    let (mut state, mut range) = (market.start(SPOT), (nearest_strike(SPOT), nearest_strike(SPOT)));
    let mut tick = book.tick(market, state, 0, &mut range);
    let opening = tick.value;
    for step in 0..STEPS {
        tick.seen.clone_from(&estimator);
        for desk in desks.iter_mut() {
            desk.decide(&tick);
        }
        let before = factors(market, &state, step);
        market.step(&mut state, STEP_YEARS, random);
        estimator.observe(&moves(&before, &factors(market, &state, step + 1)), STEP_YEARS);
        tick = book.tick(market, state, step + 1, &mut range);
    }
    desks
        .iter_mut()
        .map(|desk| {
            let held: f64 = desk.held(&tick).map(|(held, quote)| held * quote.price).sum();
            Result { gain: tick.value - opening + desk.cash + held, ..desk.result }
        })
        .collect()
}

/// What the estimate watches: spot and the volatility of each expiry.
fn factors(market: &Market, state: &State, step: usize) -> [f64; RISKS] {
    let expiries = expiries(step);
    std::array::from_fn(|k| if k == 0 { state.spot } else { market.sigma(state, expiries[k - 1]) })
}

fn moves(from: &[f64; RISKS], to: &[f64; RISKS]) -> [f64; RISKS] {
    std::array::from_fn(|k| to[k] - from[k])
}
