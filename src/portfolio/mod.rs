//! The greeks stage: what the whole book is exposed to, after every tick and every fill.
//!
//! **In**: reference data, tops, indices, forwards, volatilities, execution reports, clocks. **Out**, to the hedge:
//! reference data, tops, clocks and execution reports, as they came and after they were applied; an `Exposure` for each
//! underlying whose spot, calibration, position or quality changed; and, a little at each clock, a `Smile` for each expiry
//! with a `Unit` for each option that may hedge it (see `survey`).
//!
//! - **A spot change** (the perpetual's mid while its book is good, else the index) revalues that underlying: one
//!   polynomial for every expiry, however many options it holds, inside the window where that is certified; else every
//!   held option exactly. Forwards of expiries follow the spot by their ratio to it.
//! - **Calibration is conflated**: a forward revalues its expiry and a volatility its option at once, but the exposure
//!   goes out with the next event that is not calibration. A burst from the surface becomes one exposure.
//! - **Time** revalues too: an underlying not valued for `revalue_ns` is valued at the next event, and expiries vanish
//!   at the first event at or after their hour, positions and all, once.
//! - **A fill** is applied when it is handed on, right before the exposure that contains it. An exposure therefore never
//!   includes a fill that the hedge has not seen, nor lacks one that it has.
//!
//! - **The last half hour** settles on the average of the index: what the average already holds no longer moves with the
//!   forward, and its delta leaves the book as the window passes.
//!
//! **Quality** is good only if the spot source is good and every held instrument has a fresh forward and volatility.
//! It is stale when they are too old and unknown while one is missing.
//!
//! **Full**: exposures and tops wait as their latest value, reports and reference data in a backlog of [`BACKLOG_MAX`],
//! in order. When that ends, or when a fill cannot be booked (an instrument never listed, a position beyond
//! [`LOTS_MAX`]), the book is no longer known: [`Greeks::is_broken`] latches and every exposure from then on is of
//! unknown quality, on which nothing may be hedged. A runtime that stops feeding while [`Greeks::has_room`] is false never
//! gets there.

mod aggregate;
mod anchored;
mod backlog;
mod book;
mod certainty;
mod convention;
mod engine;
mod generation;
mod holding;
pub mod rebuild;
mod report;
mod settings;
mod survey;

pub use aggregate::{COEFFICIENT_ERROR, Coefficient, LOTS_MAX, Sum};
pub use anchored::{ENGINES_MAX, RebuildCounters};
pub use backlog::BACKLOG_MAX;
pub use convention::Neutrality;
pub use holding::ByGreek;
pub use rebuild::Rebuilds;
pub use report::ExpiryExposure;
pub use settings::{Capacity, GreeksConfig, OpeningBook};
pub use survey::OUT_OF_THE_MONEY;

use backlog::Backlog;
use book::{Book, NotApplied, Total};
use survey::{FINDINGS_MAX, Survey};

use crate::canary::canary;
use crate::event::{Body, Event};
use crate::instrument::{BookQuality, Catalogue, InstrumentKind, UNDERLYINGS_MAX, Underlying};
use crate::order::Executions;
use crate::stage::{Full, Outbox, Stage};
use crate::surface::spot::Spots;
use crate::units::{Coins, ExecutionId, InstrumentId, Lots, Nanos, Price, UnderlyingId, VenueInstrumentId};

/// Backlogged events beyond which a runtime should stop feeding the stage.
const BACKLOG_HIGH: usize = BACKLOG_MAX / 2;

/// What happened besides the ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Underlyings revalued.
    pub revaluations: u64,
    /// Exposures sent.
    pub exposures: u64,
    /// Fills applied.
    pub fills: u64,
    /// Fills seen before, not applied again.
    pub fills_repeated: u64,
    /// Fills of instruments that had expired, not applied.
    pub fills_late: u64,
    /// Fills that could not be booked.
    pub fills_lost: u64,
    /// Reference data that was refused, or of instruments that cannot be valued.
    pub listings_refused: u64,
    /// Forwards and volatilities that were not positive finite numbers.
    pub calibration_refused: u64,
    /// Reports and reference data lost at the end of the backlog.
    pub backlog_lost: u64,
    /// The longest the backlog has been.
    pub backlog_peak: u64,
}

/// The last exposure of an underlying.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// Whether it may be acted on.
    pub quality: BookQuality,
    /// Net delta, coins.
    pub net_delta: Coins,
    /// Change of net delta per unit of ln(spot), coins.
    pub log_gamma: Coins,
    /// Spot it was computed at.
    pub spot: Price,
    /// Certified bound on the error of `net_delta`, coins.
    pub delta_bound: f32,
    /// Expiries of which options are held, saturated.
    pub expiries: u8,
}

/// The greeks stage.
#[derive(Debug)]
pub struct Greeks {
    config: GreeksConfig,
    catalogue: Catalogue,
    spots: Spots,
    book: Book,
    executions: Executions,
    survey: Survey,
    backlog: Backlog,
    /// Opening positions already entered, by position in the list.
    opened: Box<[bool]>,
    now: Nanos,
    /// Spot each underlying was last valued at.
    valued: [Price; UNDERLYINGS_MAX],
    /// Exposure last computed.
    shown: [Exposure; UNDERLYINGS_MAX],
    /// Underlyings whose exposure is to be sent, one bit each.
    dirty: u16,
    broken: bool,
    counters: Counters,
}

const _: () = assert!(UNDERLYINGS_MAX <= u16::BITS as usize);

impl Stage for Greeks {
    type Out = Event;

    // A call: the event stays where its sender wrote it.
    #[inline(never)]
    fn step(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        self.now = self.now.max(event.time);
        self.drain(out);
        self.dirty |= self.book.expire(self.now);
        match event.body {
            Body::Underlying { id, name } => {
                self.name(id, Underlying::new(name), &event.body);
                self.relay(event, out);
            }
            Body::Terms { .. } | Body::TickStep { .. } | Body::Named { .. } | Body::Status { .. } => {
                self.counters.listings_refused += u64::from(self.catalogue.apply(&event.body).is_err());
                self.relay(event, out);
            }
            Body::Listed { instrument, .. } => {
                let opened = self.list(instrument, &event.body);
                self.relay(event, out);
                if let Some(lots) = opened {
                    let body = Body::Position { instrument, lots: lots.0 };
                    self.relay(&Event { body, ..*event }, out);
                }
            }
            Body::Top { instrument, .. } => {
                let kind = self.catalogue.find(instrument).map(|instrument| (instrument.kind, instrument.is_future()));
                if let Some((InstrumentKind::Option, _) | (_, true)) = kind {
                    self.relay_top(instrument, event, out);
                    self.respot(&event.body);
                }
            }
            Body::Index { underlying, price } => {
                if price.0 > 0 && underlying.index() < UNDERLYINGS_MAX {
                    self.book.index(underlying, price.to_f64(), self.now);
                    if self.backlog.is_empty() {
                        // What does not fit is not told: the next index says more.
                        let _ = out.send(*event);
                    }
                }
                self.respot(&event.body);
            }
            Body::Forward { underlying, expiry_s, ratio } => {
                self.forward(underlying, expiry_s, ratio);
                return;
            }
            Body::Volatility { instrument, sigma, slope } => {
                self.volatility(instrument, sigma, slope);
                return;
            }
            Body::Rebuilt { engine, generation, .. } => {
                self.book.rebuilt(engine, generation, self.now);
                return;
            }
            Body::Clock => {
                self.book.maintain(self.now);
                self.survey(event, out);
                if !self.backlog.is_empty() || out.send(*event).is_err() {
                    self.backlog.keep_clock(*event);
                }
            }
            Body::Kill { .. }
            | Body::Thaw { .. }
            | Body::Filled { .. }
            | Body::Session { .. }
            | Body::Sent { .. }
            | Body::Accepted { .. }
            | Body::Cancelled { .. }
            | Body::Rejected { .. }
            | Body::CancelRejected { .. }
            | Body::Amended { .. }
            | Body::AmendRejected { .. }
            | Body::Busted { .. }
            | Body::Protection { .. } => self.relay(event, out),
            Body::Mark { .. }
            | Body::Diverged { .. }
            | Body::Trade { .. }
            | Body::Exposure { .. }
            | Body::Smile { .. }
            | Body::Unit { .. }
            | Body::Jumps { .. }
            | Body::UnitJumps { .. }
            | Body::Position { .. } => {}
        }
        self.revisit();
        if self.backlog.is_empty() {
            self.publish(event, out);
        }
    }
}

impl Greeks {
    /// A stage that knows no instrument yet, and builds its anchors itself. A stickiness outside [0, 1] is a caller's
    /// error.
    pub fn new(config: GreeksConfig) -> Self {
        Self::with_rebuilds(config, Rebuilds::Inline)
    }

    /// A stage whose anchors somebody else builds.
    pub fn with_rebuilds(config: GreeksConfig, rebuilds: Rebuilds) -> Self {
        assert!((0.0..=1.0).contains(&config.stickiness), "a stickiness of {}", config.stickiness);
        let listed = if let OpeningBook::Positions(positions) = &config.opening { positions.len() } else { 0 };
        let instruments = config.capacity.instruments;
        Self {
            catalogue: Catalogue::with_capacity(instruments),
            spots: Spots::default(),
            book: Book::new(&config, rebuilds),
            executions: Executions::new(),
            survey: Survey::default(),
            backlog: Backlog::new(instruments),
            config,
            opened: vec![false; listed].into_boxed_slice(),
            now: Nanos(0),
            valued: [Price::ZERO; UNDERLYINGS_MAX],
            shown: [Exposure::default(); UNDERLYINGS_MAX],
            dirty: 0,
            broken: false,
            counters: Counters::default(),
        }
    }

    /// Every position that is not flat, by underlying, expiry and strike. Fills still in the backlog are not in it.
    pub fn positions(&self) -> impl Iterator<Item = (InstrumentId, Lots)> {
        self.book.positions()
    }

    /// Lots held of one instrument.
    pub fn position(&self, instrument: InstrumentId) -> Lots {
        self.book.lots(instrument)
    }

    /// The exposure to every underlying, as last computed.
    pub fn exposures(&self) -> impl ExactSizeIterator<Item = (UnderlyingId, &Exposure)> {
        self.catalogue.underlyings().map(|(id, _)| (id, &self.shown[id.index()]))
    }

    /// What is held of each expiry of an underlying, soonest first, what never expires before all. Computed afresh: for
    /// reports, not for ticks.
    pub fn report(&self, underlying: UnderlyingId) -> impl Iterator<Item = ExpiryExposure> {
        self.book.report(underlying, self.now)
    }

    /// Whether the book is kept neutral in coins or in dollars.
    pub fn neutrality(&self) -> Neutrality {
        self.config.neutrality
    }

    /// How the smile follows the forward: 0 with its strikes, 1 with moneyness.
    pub fn stickiness(&self) -> f64 {
        self.config.stickiness
    }

    /// The coins of an underlying's account that are not the value of a position, and a bound on their error; `None`
    /// unless the book is dollar-neutral, or when a payment is not known.
    pub fn cash(&self, underlying: UnderlyingId) -> Option<(f64, f64)> {
        self.book.cash(underlying).map(|(cash, error)| (cash.to_f64(), error))
    }

    /// Instruments and underlyings seen so far.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Opening positions whose instrument was never listed.
    pub fn unopened(&self) -> impl Iterator<Item = VenueInstrumentId> {
        let positions: &[_] =
            if let OpeningBook::Positions(positions) = &self.config.opening { positions } else { &[] };
        positions.iter().zip(&self.opened).filter(|&(_, &opened)| !opened).map(|(&(venue, _), _)| venue)
    }

    /// What happened besides the ordinary.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Expiries whose options are valued in constant time.
    pub fn anchored(&self) -> usize {
        self.book.engines.in_use()
    }

    /// What happened to rebuilds of their anchors.
    pub fn rebuilds(&self) -> &RebuildCounters {
        self.book.engines.counters()
    }

    /// Whether another event can be taken in without risk to reports.
    pub fn has_room(&self) -> bool {
        self.backlog.len() < BACKLOG_HIGH
    }

    /// Whether the next stage has had no room yet for a report, reference data or a command.
    pub fn owes(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the book is no longer known; for good, until a restart.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Enters an underlying, and what its account is worth if that is the first of it.
    fn name(&mut self, id: UnderlyingId, name: Underlying, body: &Body) {
        let known = self.catalogue.underlyings().len();
        if self.catalogue.apply(body).is_err() {
            self.counters.listings_refused += 1;
        } else if id.index() >= known
            && let Some(&(_, equity)) = self.config.equity.iter().find(|(listed, _)| *listed == name)
        {
            self.book.open_account(id, equity);
        }
    }

    /// Enters a listing; what it opens with, if that is the first of it.
    fn list(&mut self, instrument: InstrumentId, body: &Body) -> Option<Lots> {
        let is_new = self.catalogue.find(instrument).is_none();
        if self.catalogue.apply(body).is_err() {
            self.counters.listings_refused += 1;
            return None;
        }
        let listed = *self.catalogue.find(instrument)?;
        self.spots.apply(body, self.now);
        if listed.expiry().is_some_and(|expiry| expiry <= self.now) {
            return None;
        }
        if !self.book.list(&listed, self.now) {
            let combination = matches!(listed.kind, InstrumentKind::FutureCombo | InstrumentKind::OptionCombo);
            self.counters.listings_refused += u64::from(!combination);
            return None;
        }
        self.dirty |= 1 << listed.underlying.index();
        if !is_new {
            return None;
        }
        let opening = match &self.config.opening {
            OpeningBook::Flat => None,
            OpeningBook::ShortEveryOption => (listed.kind == InstrumentKind::Option).then_some(Lots(-1)),
            OpeningBook::Positions(positions) => {
                let at = positions.iter().position(|&(venue, _)| venue == listed.venue);
                at.map(|at| {
                    self.opened[at] = true;
                    positions[at].1
                })
            }
        };
        if let Some(lots) = opening {
            self.broken |= self.book.open(instrument, lots.0, self.now).is_err();
        }
        opening
    }

    fn respot(&mut self, body: &Body) {
        let Some(underlying) = self.spots.apply(body, self.now) else { return };
        let (spot, quality) = self.spots.spot(underlying, self.now, self.config.index_age_max_ns);
        if spot != self.valued[underlying.index()] {
            self.revalue(underlying, spot);
        } else if quality != self.shown[underlying.index()].quality {
            self.dirty |= 1 << underlying.index();
        }
    }

    fn revalue(&mut self, underlying: UnderlyingId, spot: Price) {
        self.valued[underlying.index()] = spot;
        self.book.revalue(underlying, spot.to_f64(), self.now);
        self.dirty |= 1 << underlying.index();
        self.counters.revaluations += 1;
    }

    /// Revalues underlyings that time has moved on from, which also finds what silence made stale.
    fn revisit(&mut self) {
        let len = self.catalogue.underlyings().len();
        for at in 0..len {
            let underlying = UnderlyingId(at as u8);
            if self.valued[at].0 > 0 && self.now.since(self.book.valued_at(underlying)) >= self.config.revalue_ns {
                let (spot, _) = self.spots.spot(underlying, self.now, self.config.index_age_max_ns);
                self.revalue(underlying, spot);
            }
        }
    }

    /// Tells the hedge of one more expiry, when there is room for all of it and nothing waits.
    fn survey(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        if !self.backlog.is_empty() || out.room() < FINDINGS_MAX {
            return;
        }
        let Some(found) = self.survey.step(&self.book, self.counters.fills, self.now) else { return };
        for body in found {
            // Room was seen above; what is not told this time is told the next time round.
            let _ = out.send(Event { trail: event.trail, time: self.now, body });
        }
    }

    fn forward(&mut self, underlying: UnderlyingId, expiry_s: u32, ratio: f64) {
        if !(ratio.is_finite() && ratio > 0.0) || underlying.index() >= UNDERLYINGS_MAX {
            self.counters.calibration_refused += 1;
        } else if self.book.forward(underlying, expiry_s, ratio, self.now) {
            self.dirty |= 1 << underlying.index();
        }
    }

    fn volatility(&mut self, option: InstrumentId, sigma: f64, slope: f64) {
        if !(sigma.is_finite() && sigma > 0.0 && slope.is_finite()) {
            self.counters.calibration_refused += 1;
        } else if let Some(underlying) = self.book.volatility(option, sigma, slope, self.now) {
            self.dirty |= 1 << underlying.index();
        }
    }

    /// Hands a report or reference data on, behind everything of the kind that waits.
    fn relay(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        if self.backlog.is_empty() && self.hand_on(event, out).is_ok() {
            return;
        }
        if !self.backlog.keep(*event) {
            self.counters.backlog_lost += 1;
            self.broken = true;
        }
        self.counters.backlog_peak = self.counters.backlog_peak.max(self.backlog.len() as u64);
    }

    /// Sends an event; a fill, or its bust, only together with the exposure that contains it.
    fn hand_on(&mut self, event: &Event, out: &mut impl Outbox<Event>) -> Result<(), Full> {
        let (order, execution, instrument, lots, price) = match event.body {
            Body::Filled { order, execution, instrument, side, price, lots } => {
                (order, execution, instrument, side.sign() * i64::from(lots), price)
            }
            // Remembered under the complement of its fill's number, so that each of the two counts once.
            Body::Busted { order, execution, instrument, side, price, lots } => {
                (order, ExecutionId(!execution.0), instrument, -side.sign() * i64::from(lots), price)
            }
            _ => return out.send(*event),
        };
        if out.room() < 2 {
            return Err(Full);
        }
        out.send(*event)?;
        let listed = self.catalogue.find(instrument).map(|listed| (listed.underlying, listed.expiry()));
        if self.executions.take(order, execution) {
            let lots = if canary!(DoubledFill) { 2 * lots } else { lots };
            match self.book.fill(instrument, lots, price, self.now) {
                Ok(()) => self.counters.fills += 1,
                Err(NotApplied::Absent) if listed.and_then(|(_, e)| e).is_some_and(|expiry| expiry <= self.now) => {
                    self.counters.fills_late += 1;
                }
                Err(_) => {
                    self.counters.fills_lost += 1;
                    self.broken = true;
                }
            }
        } else {
            self.counters.fills_repeated += 1;
        }
        if let Some((underlying, _)) = listed {
            self.dirty |= 1 << underlying.index();
            self.publish_one(underlying, event, out);
        }
        Ok(())
    }

    fn relay_top(&mut self, instrument: InstrumentId, event: &Event, out: &mut impl Outbox<Event>) {
        let must_wait = !self.backlog.is_empty() || self.backlog.front_top().is_some();
        if must_wait || out.send(*event).is_err() {
            self.backlog.keep_top(instrument, *event);
        }
    }

    /// Sends what waits, as far as there is room: reports and reference data first, then tops, then the clock.
    fn drain(&mut self, out: &mut impl Outbox<Event>) {
        while let Some(kept) = self.backlog.front() {
            if self.hand_on(&kept, out).is_err() {
                return;
            }
            self.backlog.pop();
        }
        while let Some(top) = self.backlog.front_top() {
            if out.send(top).is_err() {
                return;
            }
            self.backlog.pop_top();
        }
        if let Some(clock) = self.backlog.clock()
            && out.send(clock).is_ok()
        {
            self.backlog.pop_clock();
        }
    }

    /// Sends the exposures that are due, as far as there is room.
    fn publish(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
        let mut waiting = self.dirty;
        while waiting != 0 {
            let at = waiting.trailing_zeros();
            waiting &= waiting - 1;
            self.publish_one(UnderlyingId(at as u8), event, out);
        }
    }

    fn publish_one(&mut self, underlying: UnderlyingId, event: &Event, out: &mut impl Outbox<Event>) {
        let at = underlying.index();
        let (spot, spot_quality) = self.spots.spot(underlying, self.now, self.config.index_age_max_ns);
        if spot != self.valued[at] {
            self.revalue(underlying, spot);
        }
        if spot.0 <= 0 {
            // Nothing to say yet; the first spot marks it dirty again.
            self.dirty &= !(1 << at);
            return;
        }
        self.book.catch_up(underlying, self.now);
        let total = self.book.total(underlying, self.now);
        let exposure = self.exposure(total, spot, spot_quality);
        self.shown[at] = exposure;
        let Exposure { quality, net_delta, log_gamma, spot, delta_bound, expiries } = exposure;
        let body = Body::Exposure { underlying, quality, net_delta, log_gamma, spot, delta_bound, expiries };
        if out.send(Event { trail: event.trail, time: self.now, body }).is_ok() {
            self.dirty &= !(1 << at);
            self.counters.exposures += 1;
        }
    }

    fn exposure(&self, total: Total, spot: Price, spot_quality: BookQuality) -> Exposure {
        let known = !self.broken && total.net.is_some();
        let (mut net_delta, log_gamma) = total.net.unwrap_or_default();
        net_delta.0 += if canary!(WrongDelta) { 1_000_000 } else { 0 };
        Exposure {
            quality: if known { total.quality.max(spot_quality) } else { BookQuality::Unknown },
            net_delta,
            log_gamma,
            spot,
            delta_bound: (total.error as f32).next_up(),
            expiries: u8::try_from(total.expiries).unwrap_or(u8::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
