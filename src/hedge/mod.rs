//! The hedge: from exposures, prices and what is already working to the next order.
//!
//! What enters, all through the greeks and in one order: reference data, tops of the delta-one contracts, exposures,
//! execution reports, the clock. What leaves: [`Instruction`]s that passed risk.
//!
//! A [`Policy`] decides. By a band, an underlying's exposure is left alone inside a no-trade [`band`](BandConfig) and is taken
//! back to the nearest edge by one immediate-or-cancel order with its perpetual once it leaves. By the [`program`], it is
//! hedged with perpetual, futures and options at once, and by the band where that cannot be certified. The invariants:
//!
//! - What is working or unacknowledged is netted in at its full size, an order whose fate is unknown included; at most
//!   [`IN_FLIGHT_MAX`] orders are in flight an underlying.
//! - A fill that was seen is never traded on twice: from a fill until the exposure that includes it, nothing is decided.
//! - A book that had less than an order asked for is not asked again before it has been told anew.
//! - Nothing is decided on an exposure or a book that is not good, while the session is down, or after a kill.
//! - An order is entered in the store before it leaves; without room on the way out, it is not made at all.
//!
//! Cost: constant a step, a few hundred nanoseconds at most when an order is made; no allocation after construction.
//! When it holds back it counts why ([`Hold`]).

mod attribution;
mod books;
mod choices;
mod config;
mod costs;
mod counters;
mod decide;
mod desk;
mod execution;
pub mod factors;
mod market;
mod orders;
mod planner;
mod policy;
pub mod program;
mod target;
mod volatility;

pub use attribution::{Attribution, Decision, Fallback, RECENT_MAX};
pub use choices::{Binding, Excluded};
pub use config::{ExecutionConfig, HedgeConfig, JumpConfig, ProgramConfig};
pub use costs::{CostConfig, Costs, Surroundings};
pub use counters::{HedgeCounters, Hold, HoldCounts};
pub use market::CovarianceConfig;
pub use planner::{Plan, Planner, Trade, candidate};
pub use policy::{
    BandConfig, Policy, Size, UnknownPolicy, Width, Zakamouline, delta_per_lot, leland_sigma, taker_fee, taking_cost,
    to_nearest_edge,
};
pub use target::{IN_FLIGHT_MAX, Target};

use attribution::Recent;
use books::{Books, Top};
use desk::Desk;
use factors::Unit;
use market::Together;
use orders::Orders;

use crate::event::{Body, Event, JUMPS};
use crate::instrument::{Catalogue, InstrumentKind, Symbol, UNDERLYINGS_MAX};
use crate::order::OrderStore;
use crate::risk::{Gate, Instruction, Latch};
use crate::stage::{Outbox, Stage};
use crate::units::{InstrumentId, Lots, Nanos, UnderlyingId};

/// Orders of the band in flight an underlying at most.
const BAND_IN_FLIGHT_MAX: usize = 4;

/// The hedge stage.
#[derive(Debug)]
pub struct Hedge {
    config: HedgeConfig,
    catalogue: Catalogue,
    books: Books,
    targets: Box<[Target]>,
    /// One an underlying when the program decides, else none.
    desks: Box<[Desk]>,
    together: Together,
    orders: Orders,
    counters: HedgeCounters,
    recent: Recent,
}

impl Stage for Hedge {
    type Out = Instruction;

    // A call: the event stays where its sender wrote it.
    #[inline(never)]
    fn step(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        self.orders.see(event);
        match event.body {
            Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } => {
                self.books.set(instrument, Top { bid, ask, bid_lots, ask_lots, quality, is_spent: false });
            }
            Body::Exposure { underlying, .. } => {
                if let Some(target) = self.targets.get_mut(underlying.index()) {
                    target.see_exposure(&event.body);
                    self.decide(underlying, event, out);
                }
            }
            Body::Clock => self.on_clock(event, out),
            Body::Kill { level, cause, by } => self.orders.kill(Latch { level, cause, by, since: event.time }, out),
            Body::Thaw { .. } => self.orders.thaw(event.time, out),
            Body::Session { up } => self.orders.session(event, up),
            Body::Sent { .. }
            | Body::Accepted { .. }
            | Body::Filled { .. }
            | Body::Cancelled { .. }
            | Body::Rejected { .. }
            | Body::CancelRejected { .. }
            | Body::Amended { .. }
            | Body::AmendRejected { .. }
            | Body::Busted { .. }
            | Body::Protection { .. } => self.see_report(event, out),
            Body::Underlying { .. }
            | Body::Listed { .. }
            | Body::Terms { .. }
            | Body::TickStep { .. }
            | Body::Named { .. }
            | Body::Status { .. } => self.see_reference(&event.body, out),
            Body::Index { underlying, price } => {
                if let Some(target) = self.targets.get_mut(underlying.index()) {
                    target.index = price;
                }
            }
            Body::Smile { underlying, .. } | Body::Jumps { underlying, .. } => {
                if let Some(target) = self.targets.get_mut(underlying.index()) {
                    target.volatility.see(&event.body, event.time);
                }
            }
            Body::Unit { instrument, .. } => self.see_unit(instrument, event),
            Body::UnitJumps { instrument, gains } => self.see_jumps(instrument, gains),
            Body::Position { .. }
            | Body::Mark { .. }
            | Body::Diverged { .. }
            | Body::Trade { .. }
            | Body::Forward { .. }
            | Body::Volatility { .. }
            | Body::Rebuilt { .. } => {}
        }
    }
}

impl Hedge {
    /// A hedge that knows nothing yet; all memory it will ever use is taken here.
    pub fn new(config: HedgeConfig) -> Self {
        let desks = if config.policy == Policy::Program { UNDERLYINGS_MAX } else { 0 };
        Self {
            catalogue: Catalogue::with_capacity(config.instruments),
            books: Books::new(config.instruments),
            targets: vec![Target::default(); UNDERLYINGS_MAX].into_boxed_slice(),
            desks: (0..desks).map(|_| Desk::new(&config)).collect(),
            together: Together::new(config.program.covariance),
            orders: Orders::new(config.limits, config.started_s, config.rejects_in_a_row_max),
            counters: HedgeCounters::default(),
            recent: Recent::new(),
            config,
        }
    }

    /// What the hedge did so far.
    pub fn counters(&self) -> &HedgeCounters {
        &self.counters
    }

    /// Whether the gateway has had no room yet for what follows from the kill switch.
    pub fn owes(&self, now: Nanos) -> bool {
        self.orders.owes(now)
    }

    /// The gate in front of the order session.
    pub fn gate(&self) -> &Gate {
        &self.orders.gate
    }

    /// Every order known and its state.
    pub fn store(&self) -> &OrderStore {
        &self.orders.store
    }

    /// The name of each underlying with its target.
    pub fn targets(&self) -> impl Iterator<Item = (&str, &Target)> {
        self.catalogue.underlyings().map(|(id, underlying)| (underlying.name(), &self.targets[id.index()]))
    }

    /// Position in a contract, from its opening and every fill applied.
    pub fn position(&self, instrument: InstrumentId) -> Lots {
        self.orders.position(instrument)
    }

    /// The name of each underlying with what the program did for it; none when another policy decides.
    pub fn attributions(&self) -> impl Iterator<Item = (&str, &Attribution)> {
        self.catalogue.underlyings().zip(&self.desks).map(|((_, u), desk)| (u.name(), &desk.attribution))
    }

    /// What the venue calls an instrument; empty until it is told.
    pub fn symbol(&self, id: InstrumentId) -> Symbol {
        self.catalogue.symbol(id)
    }

    /// The last decisions of the program, oldest first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.recent.iter()
    }

    fn see_reference(&mut self, body: &Body, out: &mut impl Outbox<Instruction>) {
        if self.catalogue.apply(body).is_err() {
            self.counters.strange_reports += 1;
            return;
        }
        if let Body::Listed { instrument, underlying, kind: InstrumentKind::Perpetual, .. } = *body {
            self.targets[underlying.index()].instrument.get_or_insert(instrument);
        }
        // The name comes last, when lot and contract are known too.
        if let Body::Listed { instrument, .. } | Body::Named { instrument, .. } = *body {
            self.orders.listed(instrument);
            self.list_choice(instrument);
            let known = self.catalogue.find(instrument).map(|instrument| instrument.underlying);
            if let Some(underlying) = known.filter(|id| self.targets[id.index()].instrument == Some(instrument)) {
                self.name_hedge(underlying, out);
            }
        }
    }

    /// Tells the gateway how the venue names the hedge of `underlying`; repeated by the clock until it fits.
    fn name_hedge(&mut self, underlying: UnderlyingId, out: &mut impl Outbox<Instruction>) {
        let instrument = self.targets[underlying.index()].instrument.and_then(|id| self.catalogue.find(id));
        if let Some(instrument) = instrument {
            self.orders.name(instrument, self.catalogue.symbol(instrument.id), out);
        }
    }

    fn see_report(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        let heard = self.orders.hear(event);
        self.counters.strange_reports += u64::from(heard.is_strange);
        if let Some((fill, instrument)) = heard.fill.and_then(|f| Some((f, self.catalogue.find(f.instrument)?))) {
            let at = instrument.underlying.index();
            let target = &mut self.targets[at];
            target.fill_pending = true;
            let unit = target.in_flight.iter().find(|flight| flight.instrument == instrument.id).map(|f| f.unit);
            if let Some(desk) = self.desks.get_mut(at) {
                let (bucket, spot) = (factors::bucket_of(instrument.expiry_s, event.time), target.spot.to_f64());
                let loading = unit.map(|unit| unit.loading(bucket, spot));
                desk.traded(loading.as_ref().map(|loading| &loading[..]), fill.signed_lots() as f64);
            }
            if instrument.kind == InstrumentKind::Option {
                target.volatility.fill(instrument.expiry_s, fill.signed_lots() as f64, unit.as_ref());
            }
        }
        match event.body {
            Body::Rejected { order, instrument, .. } => {
                self.counters.rejects += 1;
                if self.orders.rests(order) {
                    self.lose_patience(instrument, event.time);
                }
            }
            Body::Cancelled { order, instrument, .. } if !self.orders.rests(order) => self.books.spend(instrument),
            _ => {}
        }
        if let Some((level, cause)) = heard.kill {
            self.orders.kill(Latch::by_the_program(level, cause, event.time), out);
        }
        for target in self.targets.iter_mut() {
            target.release_terminal(&self.orders.store);
        }
    }

    fn see_unit(&mut self, instrument: InstrumentId, event: &Event) {
        let Body::Unit { delta, log_gamma, vega, skew, .. } = event.body else { return };
        let Some(instrument) = self.catalogue.find(instrument) else { return };
        let spot = self.targets[instrument.underlying.index()].spot.to_f64();
        if let Some(desk) = self.desks.get_mut(instrument.underlying.index()).filter(|_| spot > 0.0) {
            let (log_gamma, vega, skew) = (log_gamma.into(), vega.into(), skew.into());
            let unit = Unit { delta, log_gamma, vega, skew, ..Unit::default() };
            desk.choices.see_unit(instrument, unit, spot, event.time);
        }
    }

    /// Completes the greeks of an option, which came just before.
    fn see_jumps(&mut self, instrument: InstrumentId, gains: [f32; JUMPS]) {
        let Some(underlying) = self.catalogue.find(instrument).map(|instrument| instrument.underlying) else { return };
        let desk = self.desks.get_mut(underlying.index());
        if let Some(choice) = desk.and_then(|desk| desk.choices.find_mut(instrument)) {
            choice.see_jumps(gains.map(f64::from));
        }
    }

    /// For a while, what this instrument is to do is taken from its book.
    fn lose_patience(&mut self, instrument: InstrumentId, now: Nanos) {
        let Some(underlying) = self.catalogue.find(instrument).map(|instrument| instrument.underlying) else { return };
        let desk = self.desks.get_mut(underlying.index());
        if let Some(choice) = desk.and_then(|desk| desk.choices.find_mut(instrument)) {
            choice.impatient_until = Nanos(now.0.saturating_add(4 * self.config.execution.rest_ns));
        }
    }

    fn list_choice(&mut self, instrument: InstrumentId) {
        let Some(instrument) = self.catalogue.find(instrument) else { return };
        if let Some(desk) = self.desks.get_mut(instrument.underlying.index()) {
            desk.choices.list(instrument);
        }
    }

    fn on_clock(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        self.orders.follow(event.time, out);
        let underlyings = self.catalogue.underlyings().len();
        if !self.desks.is_empty() {
            self.look_around(underlyings, event.time);
        }
        for index in 0..underlyings {
            let underlying = UnderlyingId(index as u8);
            self.name_hedge(underlying, out);
            self.tend(underlying, event.time, out);
            self.decide(underlying, event, out);
        }
        self.orders.name_some(&self.catalogue, out);
    }

    /// Samples the market, and tells each underlying what the others' exposures are worth in coins of its own.
    fn look_around(&mut self, underlyings: usize, now: Nanos) {
        let mut spots = [0.0; UNDERLYINGS_MAX];
        for (spot, (target, desk)) in spots.iter_mut().zip(self.targets.iter().zip(self.desks.iter_mut())) {
            *spot = target.spot.to_f64();
            desk.observe(target, now);
            desk.watch(target, self.config.program.waiting_sample_ns, now);
        }
        self.together.sample(now, &spots);
        for own in 0..underlyings {
            self.targets[own].abroad = self.abroad(own, underlyings);
        }
    }

    /// What other underlyings leave standing, in coins of `own`: each exposure as far as its own band leaves it alone, by the
    /// root of both stiffnesses, at the correlation that lies in the middle of both stresses, where the worse of them is least.
    /// The worse one itself would change with the order that answers it, and that order be taken back, without end.
    fn abroad(&self, own: usize, underlyings: usize) -> f64 {
        let certain = 1.0 - self.config.program.covariance.stress;
        let others = self.targets.iter().enumerate().take(underlyings).filter(|(at, _)| *at != own);
        let shifts = others.filter_map(|(at, other)| {
            let ratio = other.stiffness / self.targets[own].stiffness;
            let half_width = other.half_width();
            let left = other.net_delta.to_f64().max(-half_width).min(half_width);
            let is_known = ratio > 0.0 && ratio.is_finite();
            is_known.then(|| certain * self.together.correlation(own, at) * ratio.sqrt() * left)
        });
        shifts.sum()
    }
}

#[cfg(test)]
mod tests;
