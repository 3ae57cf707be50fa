//! The gate: one function between a decision and the wire.

use super::book::Book;
use super::ceilings::{Ceilings, Present};
use super::collar::DriftCollar;
use super::freeze::Freezes;
use super::loss::{LossMeter, Paid};
use super::repeats::Repeats;
use super::{Approved, KillSwitch, Latch, Limits, Refusal, Throttle, refuse_if};
use crate::canary::canary;
use crate::event::{Body, Event, KillCause, KillLevel, Protected};
use crate::instrument::{BookQuality, Instrument, InstrumentState};
use crate::order::{AppliedFill, NewOrder, OrderStore, Outcome, Request, TimeInForce, offer_of};
use crate::units::{ClientOrderId, InstrumentId, Lots, Nanos, ONE_E9, Price, Side};

/// What the gate must know about the instrument of a new order, at the moment of the order.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its specification; `None` when it was never listed.
    pub instrument: Option<&'a Instrument>,
    /// Quality of its book.
    pub quality: BookQuality,
    /// Best bid, zero when there is none.
    pub bid: Price,
    /// Best offer, zero when there is none.
    pub ask: Price,
    /// Price of the underlying.
    pub spot: Price,
}

impl View<'_> {
    /// What a cancel is shown: nothing.
    pub const fn of_nothing() -> Self {
        Self { instrument: None, quality: BookQuality::Unknown, bid: Price::ZERO, ask: Price::ZERO, spot: Price::ZERO }
    }
}

/// Refusals so far, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts(pub(super) [u64; Refusal::ALL.len()]);

impl RefusalCounts {
    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How often for this reason.
    pub fn of(&self, reason: Refusal) -> u64 {
        self.0[reason as usize]
    }
}

/// An order as the checks see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) order: ClientOrderId,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) lots: u32,
    /// By how much it adds to what may fill.
    pub(super) more: u32,
    pub(super) rests: bool,
}

impl Asked {
    /// A size to be held against the limits on sizes.
    pub(super) fn of(side: Side, lots: u32) -> Self {
        Self { order: ClientOrderId(0), side, price: Price::ZERO, lots, more: lots, rests: false }
    }

    /// A side of a quote.
    fn to_rest(new: &NewOrder) -> Self {
        Self { order: new.order, side: new.side, price: new.price, lots: new.lots, more: new.lots, rests: true }
    }
}

/// Approves or refuses requests. One gate stands before each order session.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: Limits,
    ceilings: Ceilings,
    throttle: Throttle,
    kill: KillSwitch,
    book: Book,
    collar: DriftCollar,
    repeats: Repeats,
    loss: LossMeter,
    is_venue_down: bool,
    freezes: Freezes,
    refusals: RefusalCounts,
}

impl Gate {
    /// A gate with these limits, open. Allocates all it will ever use.
    pub fn new(limits: Limits) -> Self {
        Self {
            throttle: Throttle::new(limits.messages_per_second, limits.cancel_reserve),
            kill: KillSwitch::default(),
            book: Book::new(),
            collar: DriftCollar::new(limits.drift_window_ns, limits.drift_e9),
            repeats: Repeats::new(limits.repeats_max, limits.repeats_window_ns),
            loss: LossMeter::new(limits.loss_max_e9),
            is_venue_down: false,
            freezes: Freezes::NONE,
            refusals: RefusalCounts::default(),
            ceilings: Ceilings::from(&limits),
            limits,
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Throws the kill switch or, if a person asks for it, loosens it; says whether that changed anything. Whoever opens it
    /// has looked: runs of orders and the loss begin anew.
    pub fn kill(&mut self, latch: Latch) -> bool {
        let changed = self.kill.throw(latch);
        if changed && latch.level == KillLevel::Open {
            self.repeats.forgive();
            self.loss.forgive();
        }
        changed
    }

    /// How much may leave, and why no more.
    pub fn latch(&self) -> &Latch {
        self.kill.latch()
    }

    /// Whether only what takes a delta toward zero passes.
    #[inline(always)]
    fn must_reduce(&self) -> bool {
        self.kill.latch().level != KillLevel::Open
    }

    /// Whether only cancels pass.
    pub fn is_shut(&self) -> bool {
        self.kill.latch().level >= KillLevel::Pause && !canary!(DeafKill)
    }

    /// What the venue's market-maker protection has frozen: underlyings' orders that rest, and quotes.
    pub fn frozen(&self, now: Nanos) -> impl Iterator<Item = Protected> + use<> {
        self.freezes.all(now)
    }

    /// Refusals so far.
    pub fn refusals(&self) -> &RefusalCounts {
        &self.refusals
    }

    /// Position in a contract: its opening and every execution.
    pub fn position(&self, instrument: InstrumentId) -> Lots {
        self.book.position(instrument)
    }

    /// What is lost by the measure of the loss limit, quote currency, 1e-9; a gain is below zero.
    pub fn lost_e9(&self) -> i64 {
        self.loss.lost_e9()
    }

    /// Takes in what reaches the hedge, execution reports excepted.
    #[inline]
    pub fn see(&mut self, event: &Event) {
        match event.body {
            Body::Top { instrument, quality: BookQuality::Good, bid, ask, .. } if bid.0 > 0 && ask > bid => {
                self.collar.see(instrument, bid, ask, event.time);
                self.book.see_mid(instrument, bid, ask);
            }
            Body::Top { .. } => {}
            Body::Exposure { underlying, quality, net_delta, spot, .. } => {
                self.book.see(&event.body);
                if quality == BookQuality::Good {
                    self.loss.see(underlying, spot, i128::from(net_delta.0));
                    self.watch_loss(event.time);
                }
            }
            Body::Session { up } => self.is_venue_down = !up,
            _ => self.book.see(&event.body),
        }
    }

    /// Hears an execution report: what it did to its order, and what it makes of positions and exposures.
    #[inline]
    pub fn hear(&mut self, event: &Event, orders: &mut OrderStore) -> Outcome {
        let outcome = orders.apply(&event.body);
        if let Body::Protection { scope, until } = event.body {
            self.freezes.see(scope, until);
        }
        if let Some(fill) = outcome.fill() {
            self.execute(&fill);
            self.watch_loss(event.time);
        }
        if let Some(order) = order_of(&event.body).and_then(|order| orders.find(order)) {
            self.book.count(order.new.instrument, orders);
        }
        outcome
    }

    /// Approves a request or says why not. `view` is about the request's instrument; a cancel does not look at it. What is
    /// approved is entered in `orders` at once, so that the next request is held against it.
    #[inline]
    pub fn approve(
        &mut self,
        request: Request,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<Approved<Request>, Refusal> {
        self.admit(&request, view, orders, now).inspect_err(|reason| self.refusals.0[*reason as usize] += 1)?;
        Ok(Approved(request))
    }

    /// The most lots, up to `most`, that no limit on prices, sizes and exposures refuses to one more order at `price`, and what
    /// refuses another. One check where all pass, else one for each halving of `most`.
    pub fn room(
        &self,
        instrument: InstrumentId,
        side: Side,
        (most, price): (u32, Price),
        spot: Price,
        orders: &OrderStore,
    ) -> (u32, Option<Refusal>) {
        let held = self.book.held(instrument).filter(|held| held.is_valued && spot.0 > 0);
        let Some((held, group)) = held.and_then(|held| Some((held, self.book.group(held.underlying)?))) else {
            return (0, Some(Refusal::UnknownGreeks));
        };
        if !self.collar.admits(instrument, price) {
            return (0, Some(Refusal::Drift));
        }
        let working = orders.working_on(instrument, side);
        let present = Present { held, group, spot, working, must_reduce: self.must_reduce() };
        let check = |lots: u32| {
            refuse_if(lots > self.limits.order_lots_max, Refusal::Quantity)?;
            self.ceilings.admit(Asked::of(side, lots), present)
        };
        let Err(mut reason) = check(most) else { return (most, None) };
        let (mut fits, mut beyond) = (0, most);
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            match check(middle) {
                Ok(()) => fits = middle,
                Err(closer) => (beyond, reason) = (middle, closer),
            }
        }
        (fits, Some(reason))
    }

    #[inline(always)]
    fn admit(
        &mut self,
        request: &Request,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        match *request {
            Request::New { order, instrument, side, time_in_force, price, lots, .. } => {
                let new = NewOrder { order, instrument, side, time_in_force, price, lots };
                self.admit_new(&new, view, orders, now)
            }
            Request::Amend { order, instrument, side, price, lots, .. } => {
                let known = orders.find(order).ok_or(Refusal::OrderTable)?;
                refuse_if((known.new.instrument, known.new.side) != (instrument, side), Refusal::OrderTable)?;
                let more = lots.saturating_sub(known.lots_max());
                let asked = Asked { order, side, price, lots, more, rests: true };
                self.check(asked, instrument, view, orders, now)?;
                let run = self.repeat(instrument, side, now)?;
                refuse_if(!self.throttle.take(now, false), Refusal::Rate)?;
                refuse_if(!orders.ask(request), Refusal::OrderTable)?;
                self.sent(instrument, side, run, orders, now);
                Ok(())
            }
            Request::Quote { order, instrument, bid, ask, bid_lots, ask_lots } => {
                let side = |order, side, price, lots| {
                    let time_in_force = TimeInForce::GoodTilCancel;
                    NewOrder { order, instrument, side, time_in_force, price, lots }
                };
                let bid = side(order, Side::Buy, bid, bid_lots);
                let ask = side(offer_of(order), Side::Sell, ask, ask_lots);
                self.admit_quote(&bid, &ask, view, orders, now)
            }
            Request::Thaw { .. } => {
                refuse_if(self.is_shut(), Refusal::Killed)?;
                refuse_if(self.is_venue_down, Refusal::VenueDown)?;
                refuse_if(!self.throttle.take(now, false), Refusal::Rate)
            }
            Request::Cancel { .. } | Request::CancelAll => {
                refuse_if(!self.throttle.take(now, true), Refusal::Rate)?;
                orders.ask(request);
                Ok(())
            }
        }
    }

    /// An order goes through the checks without a call.
    #[inline(always)]
    fn admit_new(
        &mut self,
        new: &NewOrder,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        let NewOrder { order, instrument, side, time_in_force, price, lots } = *new;
        let rests = time_in_force == TimeInForce::GoodTilCancel;
        let asked = Asked { order, side, price, lots, more: lots, rests };
        self.check_here(asked, instrument, view, orders, now)?;
        let run = self.repeat(instrument, side, now)?;
        refuse_if(orders.open_orders() >= self.limits.open_orders_max, Refusal::OpenOrders)?;
        refuse_if(!self.throttle.take(now, false), Refusal::Rate)?;
        orders.insert(*new).map_err(|_| Refusal::OrderTable)?;
        self.sent(instrument, side, run, orders, now);
        Ok(())
    }

    /// Both sides of a quote or neither.
    #[inline(never)]
    fn admit_quote(
        &mut self,
        bid: &NewOrder,
        ask: &NewOrder,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        let NewOrder { order, instrument, .. } = *bid;
        refuse_if(self.freezes.holds_quotes(now), Refusal::Frozen)?;
        refuse_if(bid.price >= ask.price, Refusal::SelfMatch)?;
        refuse_if(orders.open_orders().saturating_add(2) > self.limits.open_orders_max, Refusal::OpenOrders)?;
        self.check(Asked::to_rest(bid), instrument, view, orders, now)?;
        self.repeat(instrument, Side::Buy, now)?;
        orders.insert(*bid).map_err(|_| Refusal::OrderTable)?;
        self.book.count(instrument, orders);
        // The offer is held against the book with the bid in it; refused, it takes the bid with it.
        let offer = self.enter_offer(ask, view, orders, now);
        if offer.is_err() {
            orders.apply(&Body::Rejected { order, instrument, reason: 0 });
            self.book.count(instrument, orders);
            return offer;
        }
        for side in [Side::Buy, Side::Sell] {
            let run = self.repeats.with_one_more(instrument, side, now);
            self.sent(instrument, side, run, orders, now);
        }
        Ok(())
    }

    /// Enters the second side of a quote, or says why not.
    fn enter_offer(
        &mut self,
        offer: &NewOrder,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        self.check(Asked::to_rest(offer), offer.instrument, view, orders, now)?;
        self.repeat(offer.instrument, Side::Sell, now)?;
        refuse_if(!self.throttle.take(now, false), Refusal::Rate)?;
        orders.insert(*offer).map_err(|_| Refusal::OrderTable)
    }

    /// An order is entered and counts, and makes its run so long.
    #[inline(always)]
    fn sent(&mut self, instrument: InstrumentId, side: Side, run: u32, orders: &OrderStore, now: Nanos) {
        self.repeats.take(instrument, side, run, now);
        self.book.count_side(instrument, side, orders);
    }

    /// Every check but that for repeats, for what is not in a hurry.
    #[inline(never)]
    fn check(
        &mut self,
        asked: Asked,
        id: InstrumentId,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        self.check_here(asked, id, view, orders, now)
    }

    /// The same, in the caller.
    #[inline(always)]
    fn check_here(
        &mut self,
        asked: Asked,
        id: InstrumentId,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        refuse_if(self.is_shut(), Refusal::Killed)?;
        refuse_if(self.is_venue_down, Refusal::VenueDown)?;
        let instrument = view.instrument.filter(|instrument| instrument.id == id).ok_or(Refusal::NotTrading)?;
        refuse_if(instrument.state != InstrumentState::Open || instrument.lot.0 <= 0, Refusal::NotTrading)?;
        refuse_if(self.limits.restricted.holds(instrument.venue), Refusal::Restricted)?;
        refuse_if(asked.rests && self.freezes.holds_orders(instrument.underlying, now), Refusal::Frozen)?;
        let is_good = view.quality == BookQuality::Good || canary!(BlindToQuality);
        let sound = is_good && view.bid.0 > 0 && view.ask > view.bid && view.spot.0 > 0;
        refuse_if(!sound, Refusal::BadBook)?;
        refuse_if(asked.lots == 0 || asked.lots > self.limits.order_lots_max, Refusal::Quantity)?;
        refuse_if(asked.price.0 <= 0 || !instrument.ticks.is_valid(asked.price), Refusal::Price)?;
        refuse_if(!self.within_collar(asked, view), Refusal::Collar)?;
        refuse_if(!self.collar.admits(id, asked.price), Refusal::Drift)?;
        self.check_own(asked, id, orders)?;
        let held = self.book.held(id).filter(|held| held.is_valued).ok_or(Refusal::UnknownGreeks)?;
        let group = self.book.group(held.underlying).ok_or(Refusal::UnknownGreeks)?;
        let working = orders.working_on(id, asked.side);
        let present = Present { held, group, spot: view.spot, working, must_reduce: self.must_reduce() };
        self.ceilings.admit(asked, present)
    }

    /// How long the run of an order would be with it. One that is too long pauses trading.
    #[inline(always)]
    fn repeat(&mut self, id: InstrumentId, side: Side, now: Nanos) -> Result<u32, Refusal> {
        let run = self.repeats.with_one_more(id, side, now);
        if !self.repeats.admits(run) {
            self.kill.throw(Latch::by_the_program(KillLevel::Pause, KillCause::Repeats, now));
            return Err(Refusal::Repeats);
        }
        Ok(run)
    }

    /// Against our own orders in the instrument: the same once more, or one that it would trade with. Looks at every live
    /// order where it might be either.
    #[inline(always)]
    fn check_own(&self, asked: Asked, id: InstrumentId, orders: &mut OrderStore) -> Result<(), Refusal> {
        if !orders.may_clash(id, asked.side, asked.price, asked.lots) {
            return Ok(());
        }
        self.look_at_own(asked, id, orders)
    }

    #[cold]
    #[inline(never)]
    fn look_at_own(&self, asked: Asked, id: InstrumentId, orders: &mut OrderStore) -> Result<(), Refusal> {
        orders.tighten(id);
        for order in orders.live(id).filter(|order| order.new.order != asked.order) {
            if order.new.side == asked.side {
                let same = order.terms.price == asked.price && order.terms.lots == asked.lots;
                refuse_if(same && order.is_unanswered(), Refusal::Duplicate)?;
            } else if order.new.time_in_force == TimeInForce::GoodTilCancel || asked.rests {
                // An amendment counts at both of its prices.
                let prices = [Some(order.terms), order.amending].into_iter().flatten().map(|terms| terms.price);
                let crosses = |theirs: Price| (asked.price.0 - theirs.0) * asked.side.sign() >= 0;
                refuse_if(prices.into_iter().any(crosses), Refusal::SelfMatch)?;
            }
        }
        Ok(())
    }

    /// A buy may reach `collar` above the offer, a sell as far below the bid; a passive price may lie anywhere behind.
    #[inline(always)]
    fn within_collar(&self, asked: Asked, view: &View<'_>) -> bool {
        let (best, beyond) = match asked.side {
            Side::Buy => (view.ask.0, asked.price.0 - view.ask.0),
            Side::Sell => (view.bid.0, view.bid.0 - asked.price.0),
        };
        beyond <= 0 || i128::from(beyond) * i128::from(ONE_E9) <= i128::from(best) * i128::from(self.limits.collar_e9)
    }

    fn execute(&mut self, fill: &AppliedFill) {
        self.book.execute(fill);
        let Some(held) = self.book.held(fill.instrument) else { return };
        let Some(group) = self.book.group(held.underlying) else { return };
        if !held.is_option {
            let notional_e18 = held.lot.times(i64::from(fill.lots)).notional_e18(group.spot);
            let paid = Paid { side: fill.side, price: fill.price, mid: held.mid, notional_e18 };
            self.loss.execute(held.underlying, paid, group.net_delta);
        }
    }

    #[inline]
    fn watch_loss(&mut self, now: Nanos) {
        if self.loss.is_over() {
            self.kill.throw(Latch::by_the_program(KillLevel::ReduceOnly, KillCause::Loss, now));
        }
    }
}

/// Which order a report is about.
const fn order_of(body: &Body) -> Option<ClientOrderId> {
    match *body {
        Body::Sent { order, .. }
        | Body::Accepted { order, .. }
        | Body::Filled { order, .. }
        | Body::Cancelled { order, .. }
        | Body::Rejected { order, .. }
        | Body::CancelRejected { order, .. }
        | Body::Amended { order, .. }
        | Body::AmendRejected { order, .. }
        | Body::Busted { order, .. } => Some(order),
        _ => None,
    }
}
