//! The decision itself: which policy, and what becomes of its answer.

use super::attribution::Decision;
use super::books::Top;
use super::choices::{Binding, REFUSED_NS, Room};
use super::counters::Hold;
use super::desk::Scene;
use super::execution::{TakeBack, Urgency, child, take_back, taking_price};
use super::factors::Unit;
use super::orders::Child;
use super::planner::{Plan, Trade};
use super::policy::{Policy, Width, Zakamouline, delta_per_lot, leland_sigma, taker_fee, taking_cost, to_nearest_edge};
use super::program::HEDGES_MAX;
use super::target::{InFlight, Target};
use super::{BAND_IN_FLIGHT_MAX, Hedge, HedgeConfig};
use crate::canary::{allocate, canary};
use crate::event::{Event, KillLevel};
use crate::instrument::{BookQuality, Instrument, InstrumentState};
use crate::risk::Instruction;
use crate::stage::Outbox;
use crate::units::{InstrumentId, Nanos, Price, Side, UnderlyingId};

fn hold_if(condition: bool, hold: Hold) -> Result<(), Hold> {
    if condition { Err(hold) } else { Ok(()) }
}

impl Hedge {
    /// Decides for one underlying, and counts why nothing was done if nothing was.
    pub(super) fn decide(&mut self, underlying: UnderlyingId, event: &Event, out: &mut impl Outbox<Instruction>) {
        if canary!(HotAllocation) {
            allocate();
        }
        // While orders that only reduce may leave, the band is what takes delta toward zero.
        let is_free = self.orders.gate.latch().level == KillLevel::Open;
        let outcome = match self.config.policy {
            Policy::Program if is_free => self.follow_program(underlying, event, out),
            _ => self.follow_band(underlying, event, out),
        };
        // A stop says nothing of what was left before it.
        if outcome != Err(Hold::Killed) {
            let rests = matches!(outcome, Err(Hold::InsideBand | Hold::NotWorthwhile));
            self.targets[underlying.index()].is_at_rest = rests;
        }
        if let Err(hold) = outcome {
            self.counters.holds.count(hold);
        }
    }

    /// Makes at most one order with the perpetual, or says what held it back.
    fn follow_band(
        &mut self,
        underlying: UnderlyingId,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let target = &mut self.targets[underlying.index()];
        let instrument = target.instrument.and_then(|id| self.catalogue.find(id));
        let is_open = |instrument: &&Instrument| instrument.state == InstrumentState::Open;
        let instrument = instrument.filter(is_open).ok_or(Hold::NoInstrument)?;
        let top = self.books.top(instrument.id);
        hold_if(target.quality != BookQuality::Good, Hold::BadExposure)?;
        let cost = if top.is_sound() {
            taking_cost(instrument, top.bid.to_f64(), top.ask.to_f64())
        } else {
            taker_fee(instrument)
        };
        let mut band = Band::of(&self.config, target, cost, event.time);
        if self.orders.gate.latch().level == KillLevel::Flatten {
            // One lot, so that the last order does not go through zero.
            band = Band { shift: 0.0, width: Width::of(delta_per_lot(instrument, top.mid())) };
        }
        target.width = band.width;
        hold_if(!top.is_sound(), Hold::BadBook)?;
        hold_if(target.fill_pending, Hold::FillPending)?;

        let per_lot = delta_per_lot(instrument, top.mid());
        let lots_max = self.orders.gate.limits().order_lots_max;
        let (buying, selling) = self.orders.store.working_lots(instrument.id);
        let net_delta = target.net_delta.to_f64() + band.shift + (buying as f64 - selling as f64) * per_lot;
        hold_if(band.width.surely_holds(net_delta), Hold::InsideBand)?;
        let half_width = if canary!(LazyHedge) { 100.0 * band.width.coins() } else { band.width.coins() };
        let size = to_nearest_edge(net_delta, half_width, per_lot, lots_max).ok_or(Hold::InsideBand)?;

        self.orders.may_send()?;
        hold_if(target.in_flight.len() >= BAND_IN_FLIGHT_MAX, Hold::InFlight)?;
        hold_if(top.is_spent, Hold::BookSpent)?;

        let price = taking_price(instrument, &top, size.side, self.config.slippage_e9);
        let child = Child { side: size.side, lots: size.lots, price, is_passive: false };
        let unit = Unit::of_future(instrument, top.mid());
        self.send(underlying, &child, instrument.id, unit, event, out)
    }

    /// Makes the orders that the program decided on, or says what held it back.
    fn follow_program(
        &mut self,
        underlying: UnderlyingId,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let (target, desk) = (&mut self.targets[underlying.index()], &mut self.desks[underlying.index()]);
        hold_if(target.quality != BookQuality::Good, Hold::BadExposure)?;
        hold_if(target.fill_pending, Hold::FillPending)?;
        let scene = Scene {
            config: &self.config,
            catalogue: &self.catalogue,
            books: &self.books,
            orders: &self.orders,
            now: event.time,
        };
        let plan = desk.exposure(target, &scene, true).and_then(|exposure| desk.plan(target, &scene, &exposure));
        match plan {
            Ok(Plan::StandStill) => Err(Hold::InsideBand),
            Ok(Plan::NotWorthwhile) => Err(Hold::NotWorthwhile),
            Ok(Plan::Trade(trade)) => {
                let has_grown = trade.rounded.untraded > self.config.execution.growth * desk.left;
                let is_busy = target.in_flight.iter().any(|flight| !flight.is_resting_option());
                hold_if(is_busy && !has_grown, Hold::InFlight)?;
                self.send_all(underlying, &trade, event, out)
            }
            Ok(Plan::Unsolved) => self.follow_band(underlying, event, out),
            Err(fallback) => {
                desk.attribution.fell_back(fallback);
                self.follow_band(underlying, event, out)
            }
        }
    }

    /// Makes an order of every hedge that a decision trades.
    fn send_all(
        &mut self,
        underlying: UnderlyingId,
        trade: &Trade,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let at = underlying.index();
        let count = trade.rounded.lots.iter().filter(|lots| **lots != 0).count();
        self.orders.may_send()?;
        hold_if(self.targets[at].in_flight.remaining_capacity() < count, Hold::InFlight)?;
        // Each order may have to be preceded by its instrument's name.
        hold_if(out.room() < 2 * count, Hold::NoRoom)?;

        let paid = self.desks[at].offered.iter().zip(&trade.rounded.lots);
        let paid = paid.map(|(offered, lots)| offered.costs.of(*lots)).sum();
        let mut decision = Decision::of(trade, paid, underlying, self.desks[at].planner.stress(), event.time);
        let gain_over_cost = (trade.rounded.untraded - trade.rounded.objective) / trade.cost.max(f64::MIN_POSITIVE);
        let mut children = [None; HEDGES_MAX];
        for (index, offered) in self.desks[at].offered.iter().enumerate() {
            let lots = trade.rounded.lots[index];
            let Some(instrument) = self.catalogue.find(offered.instrument).filter(|_| lots != 0) else { continue };
            let choice = self.desks[at].choices.find(offered.instrument);
            let is_impatient = choice.is_some_and(|choice| event.time < choice.impatient_until);
            let top = self.books.top(offered.instrument);
            let urgency = Urgency { gain_over_cost, is_impatient, spot: self.targets[at].spot.to_f64() };
            let child = child(instrument, &top, &offered.costs, lots, urgency, &self.config);
            children[index] = Some((instrument.is_future(), child));
        }
        // What takes back the delta of options has no business before the options are there.
        let options_rest = children.iter().flatten().any(|(is_future, child)| !is_future && child.is_passive);
        let (mut outcome, mut largest) = (Err(Hold::Refused), 0.0);
        for (index, entry) in children.iter().enumerate() {
            let Some((_, child)) = entry.filter(|(is_future, _)| !(*is_future && options_rest)) else { continue };
            let offered = self.desks[at].offered[index];
            let Some(instrument) = self.catalogue.find(offered.instrument).copied() else { continue };
            self.orders.name(&instrument, self.catalogue.symbol(instrument.id), out);
            let child = self.within_room(child, &instrument, self.targets[at].spot);
            if child.lots == 0 {
                continue;
            }
            match self.send(underlying, &child, instrument.id, offered.unit, event, out) {
                Ok(()) => {
                    outcome = Ok(());
                    decision.orders += 1;
                    let desk = &mut self.desks[at];
                    *(if child.is_passive { &mut desk.attribution.rested } else { &mut desk.attribution.taken }) += 1;
                    if let Some(choice) = desk.choices.find_mut(offered.instrument) {
                        choice.traded = Some((child.side, event.time));
                    }
                    let weight = f64::from(child.lots) * offered.costs.buy.abs().max(offered.costs.sell.abs());
                    if weight >= largest {
                        (largest, decision.binding) = (weight, binding(&offered.room, child.side, child.lots));
                    }
                }
                Err(hold) => {
                    let choice = self.desks[at].choices.find_mut(offered.instrument).filter(|_| hold == Hold::Refused);
                    if let Some(choice) = choice {
                        choice.refused_until = Nanos(event.time.0.saturating_add(REFUSED_NS));
                        self.desks[at].planner.end();
                    }
                    if outcome.is_err() {
                        outcome = Err(hold);
                    }
                }
            }
        }
        if outcome.is_ok() {
            let desk = &mut self.desks[at];
            desk.left = trade.rounded.objective - trade.cost;
            desk.attribution.decided(&decision);
            self.recent.add(decision);
        }
        outcome
    }

    /// An order no larger than what the orders before it have left of the room they share.
    fn within_room(&self, child: Child, instrument: &Instrument, spot: Price) -> Child {
        let top = self.books.top(instrument.id);
        let room = Room::of(instrument, &top, self.config.slippage_e9, spot, &self.orders);
        let most = if child.side == Side::Buy { room.upper } else { -room.lower };
        Child { lots: child.lots.min(most as u32), ..child }
    }

    fn send(
        &mut self,
        underlying: UnderlyingId,
        child: &Child,
        instrument: InstrumentId,
        unit: Unit,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<(), Hold> {
        let target = &mut self.targets[underlying.index()];
        let instrument = self.catalogue.find(instrument).ok_or(Hold::NoInstrument)?;
        let top: Top = self.books.top(instrument.id);
        let order = self.orders.place(child, instrument, &top, target.spot, event, out)?;
        target.in_flight.push(InFlight {
            order,
            instrument: instrument.id,
            side: child.side,
            price: child.price,
            is_passive: child.is_passive,
            since: event.time,
            asked_back: None,
            unit,
            expiry_s: instrument.expiry_s,
        });
        self.counters.orders += 1;
        Ok(())
    }

    /// Takes resting orders back that had their time, stand behind others, or are no longer wanted. Asks for
    /// each order back that stayed without a final answer for too long, and again after as long: a request may be lost with
    /// the connection that carried it.
    pub(super) fn tend(&mut self, underlying: UnderlyingId, now: Nanos, out: &mut impl Outbox<Instruction>) {
        let at = underlying.index();
        if self.targets[at].in_flight.is_empty() {
            return;
        }
        let is_unwanted = self.resting_is_unwanted(at, now);
        for flight in &mut self.targets[at].in_flight {
            let is_overdue = now.since(flight.asked_back.unwrap_or(flight.since)) >= self.config.order_overdue_ns;
            let top = self.books.top(flight.instrument);
            let reason = take_back(flight, &top, now, &self.config.execution);
            let is_first = flight.asked_back.is_none();
            let is_due = is_overdue || (is_first && (reason.is_some() || (flight.is_passive && is_unwanted)));
            if !is_due || !self.orders.cancel(flight.order, flight.instrument, now, out) {
                continue;
            }
            self.counters.overdue += u64::from(is_overdue && is_first && !flight.is_passive);
            flight.asked_back = Some(now);
            if reason == Some(TakeBack::TimedOut)
                && let Some(choice) = self.desks.get_mut(at).and_then(|d| d.choices.find_mut(flight.instrument))
            {
                choice.impatient_until = Nanos(now.0.saturating_add(4 * self.config.execution.rest_ns));
            }
        }
    }

    /// Whether, without the orders that rest, standing still is certified.
    fn resting_is_unwanted(&mut self, at: usize, now: Nanos) -> bool {
        let target = &self.targets[at];
        let Some(desk) = self.desks.get_mut(at) else { return false };
        if !target.in_flight.iter().any(|flight| flight.is_passive && flight.asked_back.is_none()) {
            return false;
        }
        let Self { config, catalogue, books, orders, .. } = self;
        let scene = Scene { config, catalogue, books, orders, now };
        let exposure = desk.exposure(target, &scene, false);
        exposure.is_ok_and(|exposure| desk.planner.look(&exposure) == Some(true))
    }
}

/// What bound an order.
fn binding(room: &Room, side: Side, lots: u32) -> Binding {
    let (limit, by) = match side {
        Side::Buy => (room.upper, room.upper_by),
        Side::Sell => (-room.lower, room.lower_by),
    };
    if f64::from(lots) + 1.0 > limit { by } else { Binding::Free }
}

/// A no-trade band on delta: where its middle lies, and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Band {
    /// What to add to the net delta.
    shift: f64,
    width: Width,
}

impl Band {
    #[inline]
    fn of(config: &HedgeConfig, target: &Target, cost: f64, now: Nanos) -> Self {
        let (spot, log_gamma) = (target.spot.to_f64(), target.log_gamma.to_f64());
        let plain = config.band.width(cost, log_gamma, spot);
        let is_short = log_gamma < 0.0;
        // Only these two know volatility, which is a sum over expiries.
        let asks = config.policy == Policy::Zakamouline || config.leland_interval_ns.is_some();
        let typical = if asks { target.volatility.typical(now) } else { None };
        let Some(typical) = typical else { return Self { shift: 0.0, width: plain } };
        let shift_to = |sigma: f64| {
            let shift = typical.vanna * (sigma - typical.sigma);
            if shift.is_finite() { shift } else { 0.0 }
        };
        match (config.policy, config.leland_interval_ns) {
            (Policy::Zakamouline, _) => {
                let band = Zakamouline { risk_aversion: config.band.risk_aversion, cost, rate: 0.0 };
                let (gamma, sigma, years) = (log_gamma / spot, typical.sigma, typical.years);
                let half_width = band.half_width(spot, gamma, sigma, years);
                let (least, most) = (config.band.half_width_min, config.band.half_width_max);
                let width = if half_width.is_finite() { Width::of(half_width.max(least).min(most)) } else { plain };
                Self { shift: shift_to(band.sigma(spot, gamma, sigma, years, is_short)), width }
            }
            (_, Some(interval_ns)) => {
                let interval = interval_ns as f64 / Nanos::PER_YEAR as f64;
                Self { shift: shift_to(leland_sigma(typical.sigma, cost, interval, is_short)), width: plain }
            }
            (_, None) => Self { shift: 0.0, width: plain },
        }
    }
}
