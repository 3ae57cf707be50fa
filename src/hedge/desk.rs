//! The program at work on one underlying: what may hedge it, how it moves, and the decision that was begun last.
//!
//! Standing still is certified on every tick at the costs of a moment ago; a decision to trade is begun anew, at present
//! costs, limits and greeks, before it is made. Whatever cannot be certified is left to the band, with the reason.

use arrayvec::ArrayVec;

use super::attribution::{Attribution, Fallback};
use super::books::Books;
use super::choices::{Choices, Excluded, Room};
use super::config::HedgeConfig;
use super::costs::{Costs, Surroundings};
use super::factors::{BUCKETS, FACTORS, GAMMA, SKEW, Unit, bucket_of};
use super::market::Market;
use super::orders::Orders;
use super::planner::{Plan, Planner, candidate};
use super::policy::{taker_fee, taking_cost};
use super::program::objective::{MarketView, ObjectiveConfig};
use super::program::{Covariance, HEDGES_MAX, Waiting};
use super::target::Target;
use crate::event::JUMPS;
use crate::instrument::{BookQuality, Catalogue};
use crate::units::{InstrumentId, Nanos, Side};

/// Relative move of the spot at which a decision is begun anew.
const SPOT_MOVE_MAX: f64 = 2e-4;
/// How old a covariance may be.
const COVARIANCE_AGE_MAX_NS: u64 = Nanos::PER_SECOND;

/// What a decision is made from, besides the target and the desk.
pub(super) struct Scene<'a> {
    pub(super) config: &'a HedgeConfig,
    pub(super) catalogue: &'a Catalogue,
    pub(super) books: &'a Books,
    pub(super) orders: &'a Orders,
    pub(super) now: Nanos,
}

/// A hedge in the decision that was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered {
    pub(super) instrument: InstrumentId,
    pub(super) unit: Unit,
    pub(super) costs: Costs,
    pub(super) room: Room,
}

/// One underlying's program.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) choices: Choices,
    pub(super) attribution: Attribution,
    /// In the order in which the planner was offered them.
    pub(super) offered: ArrayVec<Offered, HEDGES_MAX>,
    /// Risk that the last decision left.
    pub(super) left: f64,
    pub(super) planner: Planner,
    market: Market,
    covariance: Option<(Covariance, f64, Nanos)>,
    waiting: Waiting,
    watched: Nanos,
    begun: Nanos,
    begun_spot: f64,
    /// How often a year each jump comes.
    jumps: [f64; JUMPS],
}

impl Desk {
    pub(super) fn new(config: &HedgeConfig) -> Self {
        Self {
            choices: Choices::default(),
            attribution: Attribution::default(),
            offered: ArrayVec::new(),
            left: 0.0,
            planner: Planner::new(FACTORS),
            market: Market::new(config.program.covariance),
            covariance: None,
            waiting: Waiting::new(FACTORS, config.program.waiting_memory_ns as f64 / Nanos::PER_YEAR as f64),
            watched: Nanos::default(),
            begun: Nanos::default(),
            begun_spot: 0.0,
            jumps: config.program.jumps.rates(),
        }
    }

    /// Looks at how the market moves; for clocks.
    pub(super) fn observe(&mut self, target: &Target, now: Nanos) {
        let spot = target.spot.to_f64();
        if self.market.sample(now, spot, target.volatility.levels(now)) {
            self.covariance = None;
        }
    }

    /// Looks at how the exposures move, our trades taken out; for clocks. Whatever is not known of them ends a series.
    pub(super) fn watch(&mut self, target: &Target, sample_ns: u64, now: Nanos) {
        let passed = now.since(self.watched);
        if passed < sample_ns || target.fill_pending {
            return;
        }
        match held(target, now) {
            Ok(exposure) if target.quality == BookQuality::Good => {
                self.waiting.observe(&exposure, passed as f64 / Nanos::PER_YEAR as f64);
                self.watched = now;
            }
            _ => self.waiting.interrupt(),
        }
    }

    /// Takes in a trade of ours: `lots` that add `loading` each, if that is known.
    pub(super) fn traded(&mut self, loading: Option<&[f64]>, lots: f64) {
        match loading {
            Some(loading) => self.waiting.traded(loading, lots),
            None => self.waiting.interrupt(),
        }
    }

    /// Exposures to every factor with what is working netted in.
    pub(super) fn exposure(
        &self,
        target: &Target,
        scene: &Scene<'_>,
        with_passive: bool,
    ) -> Result<[f64; FACTORS], Fallback> {
        let mut exposure = held(target, scene.now)?;
        exposure[0] += target.abroad;
        if !target.in_flight.is_empty() {
            let working = target.working(&scene.orders.store, with_passive, scene.now);
            for (x, more) in exposure.iter_mut().zip(&working) {
                *x += more;
            }
        }
        Ok(exposure)
    }

    /// What to do at an exposure.
    pub(super) fn plan(
        &mut self,
        target: &mut Target,
        scene: &Scene<'_>,
        exposure: &[f64; FACTORS],
    ) -> Result<Plan, Fallback> {
        if self.is_due(target, scene) {
            self.begin(target, scene, exposure)?;
        }
        let batch = scene.config.program.costs.batch;
        let mut plan = self.planner.decide(exposure, batch);
        if matches!(plan, Plan::Trade(_)) && self.begun != scene.now {
            self.begin(target, scene, exposure)?;
            plan = self.planner.decide(exposure, batch);
        }
        if plan == Plan::Unsolved {
            self.planner.end();
            return Err(Fallback::Unsolved);
        }
        Ok(plan)
    }

    fn is_due(&self, target: &Target, scene: &Scene<'_>) -> bool {
        let moved = (target.spot.to_f64() / self.begun_spot - 1.0).abs();
        let is_recent = scene.now.since(self.begun) < scene.config.program.refresh_ns && moved < SPOT_MOVE_MAX;
        !(self.planner.is_begun() && is_recent)
    }

    /// Begins a decision: what exposures cost, and what every hedge costs and may do.
    fn begin(&mut self, target: &mut Target, scene: &Scene<'_>, exposure: &[f64; FACTORS]) -> Result<(), Fallback> {
        let (config, now, spot) = (scene.config, scene.now, target.spot.to_f64());
        self.planner.end();
        (self.begun, self.begun_spot) = (now, spot);
        let sigma = self.market.sigma(&target.volatility.levels(now).0);
        let is_fresh = |at: Nanos, of: f64| now.since(at) < COVARIANCE_AGE_MAX_NS && (spot / of - 1.0).abs() < 0.01;
        if !self.covariance.as_ref().is_some_and(|(_, of, at)| is_fresh(*at, *of)) {
            let fresh = self.market.covariance(sigma, spot).map_err(|_| Fallback::Covariance)?;
            self.covariance = Some((fresh, spot, now));
        }
        let Some((covariance, ..)) = &self.covariance else { return Err(Fallback::Covariance) };

        let delta_cost = delta_cost(target, scene);
        let log_gamma = target.log_gamma.to_f64();
        target.width = config.band.width(delta_cost, log_gamma, spot);
        target.stiffness = delta_cost * spot / target.half_width();
        let objective = ObjectiveConfig {
            band: config.band,
            horizon_years: config.program.horizon_years(),
            gamma_min: config.program.log_gamma_min / spot,
            jumps: self.jumps,
        };
        let view = MarketView { spot, delta_cost, sigma, gamma: log_gamma / spot };
        let stress = config.program.covariance.stress;
        self.planner.begin(&objective, &view, covariance, stress, exposure).map_err(|_| Fallback::Covariance)?;

        let index = target.index.to_f64();
        let around = Surroundings { spot, index, sigma, horizon_years: config.program.horizon_years() };
        self.offer_all(target, scene, &around);
        if self.offered.is_empty() {
            // With nothing to trade, standing still would be certified.
            self.planner.end();
            return Err(Fallback::NoHedge);
        }
        Ok(())
    }

    fn offer_all(&mut self, target: &Target, scene: &Scene<'_>, around: &Surroundings) {
        self.offered.clear();
        for choice in self.choices.iter() {
            let Some(instrument) = scene.catalogue.find(choice.instrument) else { continue };
            let top = scene.books.top(choice.instrument);
            let priced = choice.unit(instrument, &top, around.spot, scene.now).and_then(|unit| {
                let costs = Costs::taking(instrument, &top, &unit, around, &scene.config.program.costs);
                let costs = costs.filter(|_| !top.is_spent).ok_or(Excluded::NoDepth)?;
                Ok((unit, costs))
            });
            let (unit, mut costs) = match priced {
                Ok(priced) => priced,
                Err(reason) => {
                    self.attribution.excluded[reason as usize] += 1;
                    continue;
                }
            };
            let dearer = 1.0 + scene.config.execution.reversal_share;
            match choice.traded {
                Some((side, at)) if scene.now.since(at) < scene.config.execution.reversal_ns => {
                    let against = if side == Side::Buy { &mut costs.sell } else { &mut costs.buy };
                    *against = (*against * dearer).max(*against);
                }
                _ => {}
            }
            let room = Room::of(instrument, &top, scene.config.slippage_e9, target.spot, scene.orders);
            let loading = unit.loading(bucket_of(choice.expiry_s, scene.now), around.spot);
            let patience = self.waiting.patience(self.planner.problem().curvature(), &loading, around.horizon_years);
            let worth = Costs { buy: patience.worth(costs.buy), sell: patience.worth(costs.sell), ..costs };
            let offer = candidate(loading, &worth, (room.lower, room.upper));
            if self.planner.offer(&offer).is_some() {
                // The planner takes no more than the table holds.
                let _ = self.offered.try_push(Offered { instrument: choice.instrument, unit, costs, room });
            } else {
                self.attribution.excluded[Excluded::NoDepth as usize] += 1;
            }
        }
    }
}

/// Exposures of what is held.
fn held(target: &Target, now: Nanos) -> Result<[f64; FACTORS], Fallback> {
    let held = target.volatility.held(target.expiries, now).ok_or(Fallback::Volatility)?;
    let spot = target.spot.to_f64();
    let mut exposure = [0.0; FACTORS];
    exposure[0] = target.net_delta.to_f64();
    for bucket in 0..BUCKETS {
        exposure[1 + bucket] = held.vega[bucket] * spot;
    }
    exposure[SKEW] = held.skew * spot;
    exposure[GAMMA] = target.log_gamma.to_f64() / spot;
    for (x, gain) in exposure[GAMMA + 1..].iter_mut().zip(&held.jumps) {
        *x = gain * spot;
    }
    Ok(exposure)
}

/// Proportional cost of trading delta: with the perpetual, or its fee alone while its book says nothing.
fn delta_cost(target: &Target, scene: &Scene<'_>) -> f64 {
    let Some(instrument) = target.instrument.and_then(|id| scene.catalogue.find(id)) else { return f64::NAN };
    let top = scene.books.top(instrument.id);
    if top.is_sound() { taking_cost(instrument, top.bid.to_f64(), top.ask.to_f64()) } else { taker_fee(instrument) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Body;
    use crate::units::{Coins, ONE_E9, Price, UnderlyingId};

    #[test]
    fn every_greek_that_is_held_is_in_the_place_of_its_factor() {
        let (underlying, now) = (UnderlyingId(0), Nanos::from_secs(1_000_000));
        let mut target = Target::default();
        target.see_exposure(&Body::Exposure {
            underlying,
            quality: BookQuality::Good,
            net_delta: Coins::from_f64(0.5).unwrap(),
            log_gamma: Coins::from_f64(-2.0).unwrap(),
            spot: Price(100 * ONE_E9),
            delta_bound: 0.0,
            expiries: 2,
        });
        let gains: [f32; JUMPS] = std::array::from_fn(|jump| jump as f32 + 1.0);
        for (days, vega, skew) in [(1, 3.0, 0.25), (30, -4.0, 0.5)] {
            let expiry_s = 1_000_000 + days * 86_400;
            let (log_gamma, vanna, sigma, slope) = (-1.0, 0.0, 0.6, 0.0);
            let is_held = true;
            let survey = Body::Smile { underlying, expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope };
            target.volatility.see(&survey, now);
            target.volatility.see(&Body::Jumps { underlying, expiry_s, gains }, now);
        }
        let mut expected = [0.0; FACTORS];
        (expected[0], expected[1], expected[4]) = (0.5, 300.0, -400.0);
        (expected[SKEW], expected[GAMMA]) = (75.0, -0.02);
        for (jump, gain) in expected[GAMMA + 1..].iter_mut().enumerate() {
            *gain = 200.0 * (jump as f64 + 1.0);
        }
        assert_eq!(held(&target, now), Ok(expected));
    }
}
