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

mod books;
mod config;
mod counters;
mod orders;
mod policy;
pub mod program;
mod target;

pub use config::HedgeConfig;
pub use counters::{HedgeCounters, Hold, HoldCounts};
pub use policy::{BandConfig, Size, Zakamouline, delta_per_lot, leland_sigma, taker_fee, taking_cost, to_nearest_edge};
pub use target::{IN_FLIGHT_MAX, Target};

use books::{Books, Top};
use orders::{Child, Orders};
use target::InFlight;

use crate::event::{Body, Event};
use crate::instrument::{BookQuality, Catalogue, Instrument, InstrumentKind, UNDERLYINGS_MAX};
use crate::order::OrderStore;
use crate::risk::{Gate, Instruction, Latch};
use crate::stage::{Outbox, Stage};
use crate::units::{InstrumentId, Lots, Nanos, ONE_E9, Price, Side, UnderlyingId};

/// The hedge stage.
#[derive(Debug)]
pub struct Hedge {
    config: HedgeConfig,
    catalogue: Catalogue,
    books: Books,
    targets: [Target; UNDERLYINGS_MAX],
    orders: Orders,
    counters: HedgeCounters,
}

impl Stage for Hedge {
    type Out = Instruction;

    fn step(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        match event.body {
            Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } => {
                self.see_top(instrument, Top { bid, ask, bid_lots, ask_lots, quality });
            }
            Body::Exposure { underlying, .. } => {
                if let Some(target) = self.targets.get_mut(underlying.index()) {
                    target.see_exposure(&event.body);
                    self.decide(underlying, event, out);
                }
            }
            Body::Clock => self.on_clock(event, out),
            Body::Kill { level, cause, by } => self.orders.kill(Latch { level, cause, by, since: event.time }, out),
            Body::Session { up } => self.orders.session(event, up),
            Body::Position { instrument, lots } => self.orders.add_position(instrument, lots),
            Body::Sent { .. }
            | Body::Accepted { .. }
            | Body::Filled { .. }
            | Body::Cancelled { .. }
            | Body::Rejected { .. }
            | Body::CancelRejected { .. }
            | Body::Amended { .. }
            | Body::AmendRejected { .. }
            | Body::Busted { .. } => self.see_report(event, out),
            Body::Underlying { .. }
            | Body::Listed { .. }
            | Body::Terms { .. }
            | Body::TickStep { .. }
            | Body::Named { .. }
            | Body::Status { .. } => self.see_reference(&event.body, out),
            Body::Mark { .. }
            | Body::Index { .. }
            | Body::Trade { .. }
            | Body::Forward { .. }
            | Body::Volatility { .. }
            | Body::Rebuilt { .. }
            | Body::Smile { .. }
            | Body::Unit { .. } => {}
        }
    }
}

impl Hedge {
    /// A hedge that knows nothing yet; all memory it will ever use is taken here.
    pub fn new(config: HedgeConfig) -> Self {
        Self {
            catalogue: Catalogue::new(),
            books: Books::new(),
            targets: Default::default(),
            orders: Orders::new(config.limits, config.started_s, config.rejects_in_a_row_max),
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

    fn see_top(&mut self, instrument: InstrumentId, top: Top) {
        self.books.set(instrument, top);
        if let Some(target) = self.hedged_with(instrument) {
            target.book_spent = false;
        }
    }

    /// The target that an instrument hedges.
    fn hedged_with(&mut self, instrument: InstrumentId) -> Option<&mut Target> {
        let underlying = self.catalogue.find(instrument)?.underlying;
        Some(&mut self.targets[underlying.index()]).filter(|target| target.instrument == Some(instrument))
    }

    fn see_report(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        let heard = self.orders.hear(&event.body);
        self.counters.strange_reports += u64::from(heard.is_strange);
        if let Some(instrument) = heard.fill.and_then(|fill| self.catalogue.find(fill.instrument)) {
            self.targets[instrument.underlying.index()].fill_pending = true;
        }
        match event.body {
            Body::Rejected { .. } => {
                self.counters.rejects += 1;
            }
            Body::Cancelled { instrument, .. } => {
                if let Some(target) = self.hedged_with(instrument) {
                    target.book_spent = true;
                }
            }
            _ => {}
        }
        if let Some((level, cause)) = heard.kill {
            self.orders.kill(Latch::by_the_program(level, cause, event.time), out);
        }
        for target in &mut self.targets {
            target.release_terminal(&self.orders.store);
        }
    }

    fn on_clock(&mut self, event: &Event, out: &mut impl Outbox<Instruction>) {
        self.orders.send_level(event.time, out);
        let underlyings = self.catalogue.underlyings().len();
        for index in 0..underlyings {
            let underlying = UnderlyingId(index as u8);
            self.name_hedge(underlying, out);
            self.cancel_overdue(underlying, event.time, out);
            self.decide(underlying, event, out);
        }
    }

    /// Asks for each order back that stayed without a final answer for too long, and again after as long: a request may be
    /// lost with the connection that carried it.
    fn cancel_overdue(&mut self, underlying: UnderlyingId, now: Nanos, out: &mut impl Outbox<Instruction>) {
        for flight in &mut self.targets[underlying.index()].in_flight {
            let waiting_ns = now.since(flight.asked_back.unwrap_or(flight.since));
            if waiting_ns >= self.config.order_overdue_ns
                && self.orders.cancel(flight.order, flight.instrument, now, out)
            {
                self.counters.overdue += u64::from(flight.asked_back.is_none());
                flight.asked_back = Some(now);
            }
        }
    }

    fn decide(&mut self, underlying: UnderlyingId, event: &Event, out: &mut impl Outbox<Instruction>) {
        if let Err(hold) = self.try_order(underlying, event, out) {
            self.counters.holds.count(hold);
        }
    }

    /// Makes at most one order for `underlying`, or says what held it back.
    fn try_order(
        &mut self,
        underlying: UnderlyingId,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let hold_if = |condition: bool, hold| if condition { Err(hold) } else { Ok(()) };
        let target = &mut self.targets[underlying.index()];
        let instrument = target.instrument.and_then(|id| self.catalogue.find(id)).ok_or(Hold::NoInstrument)?;
        let top = self.books.top(instrument.id);
        hold_if(target.quality != BookQuality::Good, Hold::BadExposure)?;
        let cost = if top.is_sound() {
            taking_cost(instrument, top.bid.to_f64(), top.ask.to_f64())
        } else {
            taker_fee(instrument)
        };
        target.half_width = self.config.band.half_width(cost, target.log_gamma.to_f64(), target.spot.to_f64());
        hold_if(!top.is_sound(), Hold::BadBook)?;
        hold_if(target.fill_pending, Hold::FillPending)?;

        let per_lot = delta_per_lot(instrument, top.mid());
        let lots_max = self.orders.gate.limits().order_lots_max;
        let (buying, selling) = self.orders.store.working_lots(instrument.id);
        let net_delta = target.net_delta.to_f64() + (buying as f64 - selling as f64) * per_lot;
        let size = to_nearest_edge(net_delta, target.half_width, per_lot, lots_max).ok_or(Hold::InsideBand)?;

        self.orders.may_send()?;
        hold_if(target.in_flight.is_full(), Hold::InFlight)?;
        hold_if(target.book_spent, Hold::BookSpent)?;

        let price = taking_price(instrument, &top, size.side, self.config.slippage_e9);
        let child = Child { side: size.side, lots: size.lots, price, is_passive: false };
        let order = self.orders.place(&child, instrument, &top, target.spot, event, out)?;
        target.in_flight.push(InFlight { order, instrument: instrument.id, since: event.time, asked_back: None });
        self.counters.orders += 1;
        Ok(())
    }
}

/// The best opposite price and `slippage_e9` of it beyond, on the grid and never short of the best price.
fn taking_price(instrument: &Instrument, top: &Top, side: Side, slippage_e9: i64) -> Price {
    let best = top.opposite(side);
    let reach = (i128::from(best.0) * i128::from(slippage_e9) / i128::from(ONE_E9)) as i64;
    let limit = instrument.ticks.round_passive(Price(best.0.saturating_add(side.sign() * reach)), side);
    if side == Side::Buy { limit.max(best) } else { limit.min(best) }
}

#[cfg(test)]
mod tests;
