//! The gate: one function between a decision and the wire.

use super::{Approved, KillSwitch, Latch, Limits, Refusal, Throttle};
use crate::event::KillLevel;
use crate::instrument::{BookQuality, Instrument, InstrumentState};
use crate::order::{NewOrder, OrderStore, Request};
use crate::units::{Lots, Nanos, ONE_E9, Price, Side};

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
    /// Price of the underlying, for the notional of contracts priced in coins.
    pub spot: Price,
    /// Position now.
    pub position: Lots,
}

impl View<'_> {
    /// What a cancel is shown: nothing.
    pub const fn of_nothing() -> Self {
        Self {
            instrument: None,
            quality: BookQuality::Unknown,
            bid: Price::ZERO,
            ask: Price::ZERO,
            spot: Price::ZERO,
            position: Lots(0),
        }
    }
}

/// Refusals so far, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts([u64; Refusal::ALL.len()]);

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

/// Approves or refuses requests. One gate stands before each order session.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: Limits,
    throttle: Throttle,
    kill: KillSwitch,
    refusals: RefusalCounts,
}

impl Gate {
    /// A gate with these limits, open.
    pub fn new(limits: Limits) -> Self {
        Self {
            throttle: Throttle::new(limits.messages_per_second, limits.cancel_reserve),
            limits,
            kill: KillSwitch::default(),
            refusals: RefusalCounts::default(),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Throws the kill switch or, if a person asks for it, loosens it; says whether that changed anything.
    pub fn kill(&mut self, latch: Latch) -> bool {
        self.kill.throw(latch)
    }

    /// How much may leave, and why no more.
    pub fn latch(&self) -> &Latch {
        self.kill.latch()
    }

    /// Whether only cancels pass.
    pub fn is_shut(&self) -> bool {
        self.kill.latch().level >= KillLevel::Pause
    }

    /// Refusals so far.
    pub fn refusals(&self) -> &RefusalCounts {
        &self.refusals
    }

    /// Approves a request or says why not. `view` is about the request's instrument; a cancel does not look at it. What is
    /// approved is entered in `orders` at once, so that the next request is held against it.
    pub fn approve(
        &mut self,
        request: Request,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<Approved<Request>, Refusal> {
        self.check(&request, view, orders, now).inspect_err(|reason| self.refusals.0[*reason as usize] += 1)?;
        Ok(Approved(request))
    }

    fn check(
        &mut self,
        request: &Request,
        view: &View<'_>,
        orders: &mut OrderStore,
        now: Nanos,
    ) -> Result<(), Refusal> {
        match *request {
            Request::New { order, instrument, side, time_in_force, price, lots, .. } => {
                self.check_order(side, price, lots, lots, view, orders)?;
                refuse_if(orders.open_orders() >= self.limits.open_orders_max, Refusal::OpenOrders)?;
                refuse_if(!self.throttle.take(now, false), Refusal::Rate)?;
                let new = NewOrder { order, instrument, side, time_in_force, price, lots };
                orders.insert(new).map_err(|_| Refusal::OrderTable)
            }
            Request::Amend { order, side, price, lots, .. } => {
                let more = orders.find(order).map(|known| lots.saturating_sub(known.lots_max()));
                self.check_order(side, price, lots, more.ok_or(Refusal::OrderTable)?, view, orders)?;
                refuse_if(!self.throttle.take(now, false), Refusal::Rate)?;
                refuse_if(!orders.ask(request), Refusal::OrderTable)
            }
            Request::Cancel { .. } | Request::CancelAll => {
                refuse_if(!self.throttle.take(now, true), Refusal::Rate)?;
                orders.ask(request);
                Ok(())
            }
        }
    }

    /// `lots` is the size of the order, `more` by how much it adds to what may fill.
    fn check_order(
        &self,
        side: Side,
        price: Price,
        lots: u32,
        more: u32,
        view: &View<'_>,
        orders: &OrderStore,
    ) -> Result<(), Refusal> {
        refuse_if(self.is_shut(), Refusal::Killed)?;
        let instrument = view.instrument.ok_or(Refusal::NotTrading)?;
        refuse_if(instrument.state != InstrumentState::Open || instrument.lot.0 <= 0, Refusal::NotTrading)?;
        refuse_if(view.quality != BookQuality::Good || view.bid.0 <= 0 || view.ask <= view.bid, Refusal::BadBook)?;
        refuse_if(lots == 0 || lots > self.limits.order_lots_max, Refusal::Quantity)?;
        refuse_if(price.0 <= 0 || !instrument.ticks.is_valid(price), Refusal::Price)?;
        refuse_if(!self.within_collar(side, price, view), Refusal::Collar)?;

        let notional = instrument.notional_e9(u64::from(lots), price, view.spot).ok_or(Refusal::Notional)?;
        refuse_if(notional > self.limits.order_notional_max_e9, Refusal::Notional)?;

        let (buying, selling) = orders.working_lots(instrument.id);
        let working = if side == Side::Buy { buying } else { selling };
        let worst = worst_position(side, working + u64::from(more), view.position).ok_or(Refusal::Position)?;
        let worst = instrument.notional_e9(worst, price, view.spot).ok_or(Refusal::Position)?;
        refuse_if(worst > self.limits.position_notional_max_e9, Refusal::Position)
    }

    /// A buy may reach `collar` above the offer, a sell as far below the bid; a passive price may lie anywhere behind.
    fn within_collar(&self, side: Side, price: Price, view: &View<'_>) -> bool {
        let reach = |reference: Price| i128::from(reference.0) * i128::from(self.limits.collar_e9) / i128::from(ONE_E9);
        match side {
            Side::Buy => i128::from(price.0) <= i128::from(view.ask.0) + reach(view.ask),
            Side::Sell => i128::from(price.0) >= i128::from(view.bid.0) - reach(view.bid),
        }
    }
}

#[inline]
fn refuse_if(bad: bool, reason: Refusal) -> Result<(), Refusal> {
    if bad { Err(reason) } else { Ok(()) }
}

/// Magnitude of the position if `lots` fill on this side. Reducing a position is never a larger worst case than what
/// remains of it.
fn worst_position(side: Side, lots: u64, position: Lots) -> Option<u64> {
    let worst = i128::from(position.0) + i128::from(side.sign()) * i128::from(lots);
    // Past the far side of flat, or growing: what counts is where it may end, on the side the order pushes to.
    u64::try_from((worst * i128::from(side.sign())).max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{KillCause, Trail};
    use crate::instrument::{InstrumentKind, Payoff, TickTable};
    use crate::order::TimeInForce;
    use crate::units::{ClientOrderId, InstrumentId, Quantity, UnderlyingId, VenueInstrumentId};

    fn perpetual() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            venue: VenueInstrumentId(14),
            underlying: UnderlyingId(0),
            kind: InstrumentKind::Perpetual,
            payoff: Payoff::Inverse,
            option: None,
            expiry_s: 0,
            strike: Price::ZERO,
            lot: Quantity(10 * ONE_E9),
            contract: Quantity(10 * ONE_E9),
            maker_fee_e9: 0,
            taker_fee_e9: 500_000,
            ticks: TickTable::new(Price(500_000_000)),
            state: InstrumentState::Open,
        }
    }

    fn view(instrument: &Instrument) -> View<'_> {
        View {
            instrument: Some(instrument),
            quality: BookQuality::Good,
            bid: Price(99_999 * ONE_E9),
            ask: Price(100_000 * ONE_E9),
            spot: Price(100_000 * ONE_E9),
            position: Lots(0),
        }
    }

    fn order(side: Side, price: i64, lots: u32) -> Request {
        Request::New {
            trail: Trail::default(),
            decided: 0,
            order: ClientOrderId(1),
            instrument: InstrumentId(0),
            side,
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            price: Price(price * ONE_E9),
            lots,
        }
    }

    fn verdict(gate: &mut Gate, request: Request, view: &View<'_>) -> Result<(), Refusal> {
        verdict_beside(gate, request, view, &mut OrderStore::new())
    }

    fn verdict_beside(
        gate: &mut Gate,
        request: Request,
        view: &View<'_>,
        orders: &mut OrderStore,
    ) -> Result<(), Refusal> {
        let approved = gate.approve(request, view, orders, Nanos::from_secs(100))?;
        assert_eq!(*approved.request(), request);
        Ok(())
    }

    #[test]
    fn a_sound_order_passes_both_ways() {
        let instrument = perpetual();
        let mut gate = Gate::new(Limits::default());
        assert_eq!(verdict(&mut gate, order(Side::Buy, 100_100, 10), &view(&instrument)), Ok(()));
        assert_eq!(verdict(&mut gate, order(Side::Sell, 99_900, 10), &view(&instrument)), Ok(()));
    }

    #[test]
    fn each_defect_is_refused_with_its_own_reason() {
        let instrument = perpetual();
        let closed = Instrument { state: InstrumentState::Closed, ..instrument };
        let sound = view(&instrument);
        let buy = order(Side::Buy, 100_000, 10);
        let cases = [
            (buy, View { instrument: None, ..sound }, Refusal::NotTrading),
            (buy, View { instrument: Some(&closed), ..sound }, Refusal::NotTrading),
            (buy, View { quality: BookQuality::Gapped, ..sound }, Refusal::BadBook),
            (buy, View { quality: BookQuality::Stale, ..sound }, Refusal::BadBook),
            (buy, View { quality: BookQuality::Crossed, ..sound }, Refusal::BadBook),
            (buy, View { bid: Price::ZERO, ..sound }, Refusal::BadBook),
            (buy, View { ask: sound.bid, ..sound }, Refusal::BadBook),
            (order(Side::Buy, 100_000, 0), sound, Refusal::Quantity),
            (order(Side::Buy, 100_000, 1_000_001), sound, Refusal::Quantity),
            (order(Side::Buy, 0, 1), sound, Refusal::Price),
            (order(Side::Buy, 100_501, 1), sound, Refusal::Collar),
            (order(Side::Sell, 99_400, 1), sound, Refusal::Collar),
            (order(Side::Buy, 100_000, 500_001), sound, Refusal::Notional),
            (buy, View { position: Lots(4_999_991), ..sound }, Refusal::Position),
        ];
        for (request, view, reason) in cases {
            let mut gate = Gate::new(Limits::default());
            assert_eq!(verdict(&mut gate, request, &view), Err(reason), "{request:?} {view:?}");
            assert_eq!(gate.refusals().of(reason), 1);
        }
    }

    #[test]
    fn a_price_off_the_grid_is_refused() {
        let instrument = perpetual();
        let mut request = order(Side::Buy, 100_000, 1);
        if let Request::New { price, .. } = &mut request {
            price.0 += 1;
        }
        assert_eq!(verdict(&mut Gate::new(Limits::default()), request, &view(&instrument)), Err(Refusal::Price));
    }

    #[test]
    fn a_position_beyond_its_limit_may_still_be_reduced() {
        let instrument = perpetual();
        let long = View { position: Lots(9_000_000), ..view(&instrument) };
        let mut gate = Gate::new(Limits::default());
        assert_eq!(verdict(&mut gate, order(Side::Sell, 100_000, 1), &long), Ok(()));
        assert_eq!(verdict(&mut gate, order(Side::Buy, 100_000, 1), &long), Err(Refusal::Position));
    }

    #[test]
    fn after_a_kill_only_cancels_pass() {
        let instrument = perpetual();
        let mut gate = Gate::new(Limits::default());
        gate.kill(Latch::by_the_program(KillLevel::Halt, KillCause::Invariant, Nanos::from_secs(1)));
        assert_eq!(verdict(&mut gate, order(Side::Buy, 100_000, 1), &view(&instrument)), Err(Refusal::Killed));
        assert_eq!(verdict(&mut gate, Request::CancelAll, &view(&instrument)), Ok(()));
    }

    #[test]
    fn the_rate_counts_at_once() {
        let instrument = perpetual();
        let mut gate = Gate::new(Limits { messages_per_second: 3, cancel_reserve: 1, ..Limits::default() });
        let buy = order(Side::Buy, 100_000, 1);
        assert_eq!(verdict(&mut gate, buy, &view(&instrument)), Ok(()));
        assert_eq!(verdict(&mut gate, buy, &view(&instrument)), Ok(()));
        assert_eq!(verdict(&mut gate, buy, &view(&instrument)), Err(Refusal::Rate));
        assert_eq!(verdict(&mut gate, Request::CancelAll, &view(&instrument)), Ok(()));
    }
}
