//! The hedge: from exposures, prices and what is already working to the next order.
//!
//! What enters, all through the greeks and in one order: reference data, tops of the delta-one contracts, exposures,
//! execution reports, the clock. What leaves: [`Instruction`]s that passed risk.
//!
//! Each underlying is hedged with its perpetual. Its exposure is left alone inside a no-trade [`band`](BandConfig) and is
//! taken back to the nearest edge by one immediate-or-cancel order once it leaves. The invariants:
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

mod band;
mod hold;
pub mod program;
mod sizing;

pub use band::{BandConfig, Zakamouline, leland_sigma};
pub use hold::{Hold, HoldCounts};
pub use sizing::{Size, delta_per_lot, taker_fee, taking_cost, to_nearest_edge};

use arrayvec::ArrayVec;

use crate::event::{Body, Event, KillCause, Trail};
use crate::instrument::{BookQuality, Catalogue, INSTRUMENTS_MAX, Instrument, InstrumentKind, UNDERLYINGS_MAX};
use crate::order::{ClientOrderIds, NewOrder, OrderStore, Request, TimeInForce};
use crate::risk::{Gate, Instruction, Limits, View};
use crate::stage::{Outbox, Stage};
use crate::units::{Coins, InstrumentId, Lots, Nanos, ONE_E9, Price, Side, UnderlyingId};

/// Settings of the hedge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeConfig {
    /// The no-trade band.
    pub band: BandConfig,
    /// Pre-trade limits.
    pub limits: Limits,
    /// How far beyond the best price an order may take, 1e-9 of the price. Within the collar.
    pub slippage_e9: i64,
    /// After how long without an answer an order is cancelled, nanoseconds.
    pub order_overdue_ns: u64,
    /// After how many refusals by the venue in a row the kill switch is thrown.
    pub rejects_in_a_row_max: u32,
    /// Start of the session, seconds since the epoch: makes order ids unique across restarts.
    pub started_s: u32,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            band: BandConfig::default(),
            limits: Limits::default(),
            slippage_e9: ONE_E9 / 1_000,
            order_overdue_ns: 2 * Nanos::PER_SECOND,
            rejects_in_a_row_max: 20,
            started_s: 0,
        }
    }
}

/// Orders in flight an underlying at most.
pub const IN_FLIGHT_MAX: usize = 4;

/// Best prices of a contract.
#[derive(Clone, Copy, Debug, Default)]
struct Top {
    bid: Price,
    ask: Price,
    quality: BookQuality,
}

/// What is known of an underlying and of the order that hedges it.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The contract that hedges it.
    pub instrument: Option<InstrumentId>,
    /// Net delta as last told by the greeks.
    pub net_delta: Coins,
    /// Half-width of the no-trade band at the last decision, coins.
    pub half_width: f64,
    log_gamma: Coins,
    spot: Price,
    quality: BookQuality,
    fill_pending: bool,
    in_flight: ArrayVec<InFlight, IN_FLIGHT_MAX>,
    reference_sent: bool,
    /// An order found less than it asked for, and the book has not been told anew since.
    book_spent: bool,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    order: crate::units::ClientOrderId,
    since: Nanos,
    cancel_sent: bool,
}

/// What the hedge did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeCounters {
    /// Orders sent.
    pub orders: u64,
    /// Cancels sent for orders that stayed without an answer.
    pub overdue: u64,
    /// Orders the venue refused.
    pub rejects: u64,
    /// Reports about orders that are not ours, or that contradict what is known.
    pub strange_reports: u64,
    /// Decisions that did not become orders, by reason.
    pub holds: HoldCounts,
}

/// The hedge stage.
#[derive(Debug)]
pub struct Hedge {
    config: HedgeConfig,
    catalogue: Catalogue,
    tops: Box<[Top]>,
    positions: Box<[Lots]>,
    targets: [Target; UNDERLYINGS_MAX],
    store: OrderStore,
    ids: ClientOrderIds,
    gate: Gate,
    session_up: bool,
    cancel_all_due: bool,
    rejects_in_a_row: u32,
    counters: HedgeCounters,
}

impl Stage for Hedge {
    type Out = Instruction;

    fn step(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        match event.body {
            Body::Top { instrument, quality, bid, ask, .. } => self.see_top(instrument, Top { bid, ask, quality }),
            Body::Exposure { underlying, .. } => {
                self.see_exposure(&event.body);
                self.decide(underlying, event, out);
            }
            Body::Clock => self.on_clock(event, out),
            Body::Kill { cause } => self.kill(cause, event.time, out),
            Body::Session { up } => {
                self.session_up = up;
                // Says of every live order that its fate is unknown; the orders stay in flight.
                let _ = self.store.apply(&event.body);
            }
            Body::Position { instrument, lots } => {
                if let Some(position) = self.positions.get_mut(instrument.index()) {
                    position.0 = position.0.saturating_add(lots);
                }
            }
            Body::Sent { .. }
            | Body::Accepted { .. }
            | Body::Filled { .. }
            | Body::Cancelled { .. }
            | Body::Rejected { .. }
            | Body::CancelRejected { .. } => self.see_report(event, out),
            Body::Underlying { .. }
            | Body::Listed { .. }
            | Body::Terms { .. }
            | Body::TickStep { .. }
            | Body::Named { .. }
            | Body::Status { .. } => {
                self.see_reference(&event.body, out);
            }
            Body::Mark { .. }
            | Body::Index { .. }
            | Body::Trade { .. }
            | Body::Forward { .. }
            | Body::Volatility { .. } => {}
        }
    }
}

impl Hedge {
    /// A hedge that knows nothing yet; all memory it will ever use is taken here.
    pub fn new(config: HedgeConfig) -> Self {
        Self {
            catalogue: Catalogue::new(),
            tops: vec![Top::default(); INSTRUMENTS_MAX].into_boxed_slice(),
            positions: vec![Lots::default(); INSTRUMENTS_MAX].into_boxed_slice(),
            targets: Default::default(),
            store: OrderStore::new(),
            ids: ClientOrderIds::new(config.started_s),
            gate: Gate::new(config.limits),
            session_up: false,
            cancel_all_due: false,
            rejects_in_a_row: 0,
            counters: HedgeCounters::default(),
            config,
        }
    }

    /// What the hedge did so far.
    pub fn counters(&self) -> &HedgeCounters {
        &self.counters
    }

    /// The gate in front of the order session.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Every order known and its state.
    pub fn store(&self) -> &OrderStore {
        &self.store
    }

    /// The name of each underlying with its target.
    pub fn targets(&self) -> impl Iterator<Item = (&str, &Target)> {
        self.catalogue.underlyings().map(|(id, underlying)| (underlying.name(), &self.targets[id.index()]))
    }

    /// Position in a contract, from its opening and every fill applied.
    pub fn position(&self, instrument: InstrumentId) -> Lots {
        self.positions.get(instrument.index()).copied().unwrap_or_default()
    }

    fn see_reference(&mut self, body: &Body, out: &mut impl Outbox<Instruction>) {
        if self.catalogue.apply(body).is_err() {
            self.counters.strange_reports += 1;
            return;
        }
        if let Body::Listed { instrument, underlying, kind: InstrumentKind::Perpetual, .. } = *body
            && self.targets[underlying.index()].instrument.is_none_or(|present| present == instrument)
        {
            self.targets[underlying.index()].instrument = Some(instrument);
            self.targets[underlying.index()].reference_sent = false;
            self.send_reference(underlying, out);
        }
        // The name comes last, when lot and contract are known too.
        if let Body::Named { instrument, .. } = *body
            && let Some(underlying) = self.catalogue.find(instrument).map(|known| known.underlying)
            && let Some(target) = self.hedged_with(instrument)
        {
            target.reference_sent = false;
            self.send_reference(underlying, out);
        }
    }

    /// Tells the gateway how the venue names the hedge of `underlying`; repeated by the clock until it fits.
    fn send_reference(&mut self, underlying: UnderlyingId, out: &mut impl Outbox<Instruction>) {
        let target = &mut self.targets[underlying.index()];
        let Some(instrument) = target.instrument.and_then(|id| self.catalogue.find(id)) else { return };
        if !target.reference_sent {
            let Instrument { id, venue, lot, contract, .. } = *instrument;
            let symbol = self.catalogue.symbol(id);
            let reference = Instruction::Reference { instrument: id, underlying, venue, lot, contract, symbol };
            target.reference_sent = out.send(reference).is_ok();
        }
    }

    fn see_top(&mut self, instrument: InstrumentId, top: Top) {
        let Some(entry) = self.tops.get_mut(instrument.index()) else { return };
        *entry = top;
        if let Some(target) = self.hedged_with(instrument) {
            target.book_spent = false;
        }
    }

    /// The target that an instrument hedges.
    fn hedged_with(&mut self, instrument: InstrumentId) -> Option<&mut Target> {
        let underlying = self.catalogue.find(instrument)?.underlying;
        Some(&mut self.targets[underlying.index()]).filter(|target| target.instrument == Some(instrument))
    }

    fn see_exposure(&mut self, body: &Body) {
        let Body::Exposure { underlying, quality, net_delta, log_gamma, spot, .. } = *body else { return };
        if let Some(target) = self.targets.get_mut(underlying.index()) {
            target.net_delta = net_delta;
            target.log_gamma = log_gamma;
            target.spot = spot;
            target.quality = quality;
            target.fill_pending = false;
        }
    }

    fn see_report(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        let outcome = self.store.apply(&event.body);
        if outcome.is_strange() {
            self.counters.strange_reports += 1;
        }
        if let Some(fill) = outcome.fill() {
            let position = &mut self.positions[fill.instrument.index()];
            position.0 = position.0.saturating_add(fill.side.sign() * i64::from(fill.lots));
            if let Some(instrument) = self.catalogue.find(fill.instrument) {
                self.targets[instrument.underlying.index()].fill_pending = true;
            }
        }
        match event.body {
            Body::Rejected { .. } => {
                self.counters.rejects += 1;
                self.rejects_in_a_row += 1;
                if self.rejects_in_a_row > self.config.rejects_in_a_row_max {
                    self.kill(KillCause::Rejects, event.time, out);
                }
            }
            Body::Accepted { .. } => self.rejects_in_a_row = 0,
            Body::Cancelled { instrument, .. } => {
                if let Some(target) = self.hedged_with(instrument) {
                    target.book_spent = true;
                }
            }
            _ => {}
        }
        self.release_terminal();
    }

    /// Forgets what reached a terminal state.
    fn release_terminal(&mut self) {
        for target in self.targets.iter_mut().filter(|target| !target.in_flight.is_empty()) {
            target.in_flight.retain(|flight| self.store.is_live(flight.order));
        }
    }

    fn on_clock(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        if self.cancel_all_due {
            self.send_cancel_all(event.time, out);
        }
        let underlyings = self.catalogue.underlyings().len();
        for index in 0..underlyings {
            let underlying = UnderlyingId(index as u8);
            self.send_reference(underlying, out);
            self.cancel_overdue(underlying, event.time, out);
            self.decide(underlying, event, out);
        }
    }

    /// Asks once for each order back that stayed without a final answer for too long.
    fn cancel_overdue(&mut self, underlying: UnderlyingId, now: Nanos, out: &mut impl Outbox<Instruction>) {
        let target = &mut self.targets[underlying.index()];
        let Some(instrument) = target.instrument else { return };
        for flight in &mut target.in_flight {
            if flight.cancel_sent || now.since(flight.since) < self.config.order_overdue_ns {
                continue;
            }
            let request = Request::Cancel { order: flight.order, instrument };
            if let Ok(approved) = self.gate.approve(request, &View::of_nothing(), now)
                && out.send(Instruction::Send(approved)).is_ok()
            {
                flight.cancel_sent = true;
                self.store.cancel_asked(flight.order);
                self.counters.overdue += 1;
            }
        }
    }

    fn kill(&mut self, cause: KillCause, now: Nanos, out: &mut impl Outbox<Instruction>) {
        self.gate.kill(cause, now);
        self.cancel_all_due = true;
        self.send_cancel_all(now, out);
    }

    fn send_cancel_all(&mut self, now: Nanos, out: &mut impl Outbox<Instruction>) {
        if let Ok(approved) = self.gate.approve(Request::CancelAll, &View::of_nothing(), now) {
            self.cancel_all_due = out.send(Instruction::Send(approved)).is_err();
        }
    }

    fn decide(&mut self, underlying: UnderlyingId, event: &Event, out: &mut impl Outbox<Instruction>) {
        if underlying.index() >= UNDERLYINGS_MAX {
            return;
        }
        if let Err(hold) = self.try_order(underlying, event.trail, event.time, out) {
            self.counters.holds.count(hold);
        }
    }

    /// Makes at most one order for `underlying`, or says what held it back.
    fn try_order(
        &mut self,
        underlying: UnderlyingId,
        trail: Trail,
        now: Nanos,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let hold_if = |condition: bool, hold| if condition { Err(hold) } else { Ok(()) };
        let target = &mut self.targets[underlying.index()];
        let instrument = target.instrument.and_then(|id| self.catalogue.find(id)).ok_or(Hold::NoInstrument)?;
        let top = self.tops[instrument.id.index()];
        hold_if(target.quality != BookQuality::Good, Hold::BadExposure)?;
        let (bid, ask) = (top.bid.to_f64(), top.ask.to_f64());
        let two_sided = top.quality == BookQuality::Good && bid > 0.0 && ask > bid;
        let cost = if two_sided { taking_cost(instrument, bid, ask) } else { taker_fee(instrument) };
        target.half_width = self.config.band.half_width(cost, target.log_gamma.to_f64(), target.spot.to_f64());
        hold_if(!two_sided, Hold::BadBook)?;
        hold_if(target.fill_pending, Hold::FillPending)?;

        let per_lot = delta_per_lot(instrument, (bid + ask) / 2.0);
        let lots_max = self.gate.limits().order_lots_max;
        let (buying, selling) = self.store.working_lots(instrument.id);
        let net_delta = target.net_delta.to_f64() + (buying as f64 - selling as f64) * per_lot;
        let size = to_nearest_edge(net_delta, target.half_width, per_lot, lots_max).ok_or(Hold::InsideBand)?;

        hold_if(self.gate.killed().is_some(), Hold::Killed)?;
        hold_if(!self.session_up, Hold::SessionDown)?;
        hold_if(target.in_flight.is_full(), Hold::InFlight)?;
        hold_if(target.book_spent, Hold::BookSpent)?;
        hold_if(!target.reference_sent || out.room() == 0, Hold::NoRoom)?;

        let view = View {
            instrument: Some(instrument),
            quality: top.quality,
            bid: top.bid,
            ask: top.ask,
            spot: target.spot,
            position: self.positions[instrument.id.index()],
            working_lots: if size.side == Side::Buy { buying } else { selling },
            open_orders: self.store.open_orders(),
        };
        let order = self.ids.next();
        let request = Request::New {
            trail,
            decided: 0,
            order,
            instrument: instrument.id,
            side: size.side,
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            price: taking_price(instrument, &top, size.side, self.config.slippage_e9),
            lots: size.lots,
        };
        let approved = self.gate.approve(request, &view, now).map_err(|_| Hold::Refused)?;
        let entry = NewOrder { order, instrument: instrument.id, side: size.side, lots: size.lots };
        self.store.insert(entry).map_err(|_| Hold::StoreFull)?;
        target.in_flight.push(InFlight { order, since: now, cancel_sent: false });
        self.counters.orders += 1;
        // Room was seen above and only this stage sends: if the order does not fit now, what we believe is wrong.
        out.send(Instruction::Send(approved)).map_err(|_| {
            self.gate.kill(KillCause::Invariant, now);
            Hold::NoRoom
        })
    }
}

/// The best opposite price and `slippage_e9` of it beyond, on the grid and never short of the best price.
fn taking_price(instrument: &Instrument, top: &Top, side: Side, slippage_e9: i64) -> Price {
    let best = if side == Side::Buy { top.ask } else { top.bid };
    let reach = (i128::from(best.0) * i128::from(slippage_e9) / i128::from(ONE_E9)) as i64;
    let limit = instrument.ticks.round_passive(Price(best.0.saturating_add(side.sign() * reach)), side);
    if side == Side::Buy { limit.max(best) } else { limit.min(best) }
}

#[cfg(test)]
mod tests;
