//! Quotes of the client, and the protection of quotes and orders.
//!
//! A quote replaces the side it meets: with the same price and no more size it keeps its place, otherwise it is the last
//! of its price. When a protection triggers, what rests under it is taken back, each order told of, and then the trigger;
//! until it thaws what would rest under it is refused.

use super::*;
use crate::instrument::UNDERLYINGS_MAX;
use crate::sim::venue::protection::{Guard, ProtectionConfig};
use crate::wire::starbase::orders::{
    CancelOrderByIdRequest, Decimal72, GetMassQuoteMmpStatusReject, GetMassQuoteMmpStatusRequest,
    GetMassQuoteMmpStatusResponse, GetOrdersMmpStatusReject, GetOrdersMmpStatusRequest, GetOrdersMmpStatusResponse,
    Group, MassQuoteCancelRequest, MassQuoteMmpTriggered, MassQuoteMmpUnfrozen, MassQuoteReject, MassQuoteRequest,
    MassQuoteResponse, NO_TIME, OrdersMmpTriggered, OrdersMmpUnfrozen, Quote, QuoteFill, QuoteResult,
    mass_quote_reject_reason, quote_flags, quote_status,
};
use zerocopy::byteorder::little_endian::I64;

/// Status request: no protection under this number.
const NO_SUCH_GROUP: i8 = 1;

/// Protection of one client: of its quotes, and of the protected orders of each underlying.
#[derive(Debug, Default)]
pub(super) struct Guards {
    quotes: Option<Guard>,
    orders: Vec<Guard>,
}

impl Guards {
    pub(super) fn new(config: Option<ProtectionConfig>) -> Self {
        match config {
            Some(config) => {
                Self { quotes: Some(Guard::new(config)), orders: vec![Guard::new(config); UNDERLYINGS_MAX] }
            }
            None => Self::default(),
        }
    }

    fn of(&mut self, order: &Working, underlying: usize) -> Option<&mut Guard> {
        match order.under {
            Under::Nothing => None,
            Under::Orders => self.orders.get_mut(underlying),
            Under::Quotes => self.quotes.as_mut(),
        }
    }
}

/// One side of a quote, asked for and then answered.
#[derive(Clone, Copy, Debug)]
struct Quoted {
    side: Side,
    price: i64,
    qty: Decimal72,
    flags: u16,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    id: i64,
    filled: Lots,
    status: i8,
    reason: i8,
}

impl Desk {
    /// Quotes both sides of every instrument named, or refuses the request whole.
    pub fn mass_quote(
        &mut self,
        request: &MassQuoteRequest,
        quotes: &Group<'_, Quote>,
        floor: &mut Floor<'_>,
        link: &mut Link,
    ) {
        if let Err((reason, text)) = self.check_quotes(request, quotes, floor, link) {
            floor.account.rejects += 1;
            self.events += 1;
            let reject = MassQuoteReject {
                timestamp: time(floor.now),
                exec_id: self.events.into(),
                quote_id: request.quote_id,
                correlation_id: request.correlation_id,
                mmp_group_id: request.mmp_group_id,
                reason,
            };
            return link.report(floor.now, &reject, |encoder| encoder.text(text.as_bytes()));
        }
        let (mut results, mut fills) = (Vec::new(), [Vec::new(), Vec::new()]);
        for quote in quotes.iter() {
            let bid = Quoted {
                side: Side::Buy,
                price: quote.bid_price.get(),
                qty: quote.bid_qty,
                flags: quote.bid_flags.get(),
            };
            let ask = Quoted {
                side: Side::Sell,
                price: quote.ask_price.get(),
                qty: quote.ask_qty,
                flags: quote.ask_flags.get(),
            };
            let listing = listing_of(quote.instrument_id);
            let lot = floor.exchange.listings()[listing].contract.lot;
            let number = request.quote_id.get();
            let [bid_came, ask_came] =
                [(bid, 0), (ask, 1)].map(|(side, at)| self.quote_side(number, listing, &side, &mut fills[at], floor));
            results.push(QuoteResult {
                instrument_id: quote.instrument_id,
                bid_order_id: bid_came.id.into(),
                ask_order_id: ask_came.id.into(),
                bid_price: quote.bid_price,
                ask_price: quote.ask_price,
                bid_qty: quote.bid_qty,
                ask_qty: quote.ask_qty,
                bid_filled_qty: bid_came.filled.to_quantity(lot).into(),
                ask_filled_qty: ask_came.filled.to_quantity(lot).into(),
                bid_status: bid_came.status,
                ask_status: ask_came.status,
                bid_reject_reason: bid_came.reason,
                ask_reject_reason: ask_came.reason,
            });
        }
        self.events += 1;
        let response = MassQuoteResponse {
            timestamp: time(floor.now),
            exec_id: self.events.into(),
            quote_id: request.quote_id,
            correlation_id: request.correlation_id,
            mmp_group_id: request.mmp_group_id,
            receive_time: time(floor.now),
        };
        link.report(floor.now, &response, |encoder| {
            encoder.group(&results)?.group(&fills[0])?.group(&fills[1])?.group::<Leg>(&[])
        });
    }

    fn check_quotes(
        &mut self,
        request: &MassQuoteRequest,
        quotes: &Group<'_, Quote>,
        floor: &Floor<'_>,
        link: &mut Link,
    ) -> Result<(), Refusal> {
        use mass_quote_reject_reason::*;
        if !self.take_token(floor.now) {
            return Err((RATE_LIMIT, "too many requests a second"));
        }
        let group = request.mmp_group_id.get();
        let guard = self.guards.quotes.as_mut().filter(|guard| guard.config.group == group);
        let guard = guard.ok_or((INVALID_MMP_GROUP, "no such group of quotes"))?;
        if request.flags & quote_flags::RESET_MMP != 0 && guard.thaw() {
            self.tell_quotes_thawed(group, request.correlation_id, floor.now, link);
        }
        if self.guards.quotes.as_ref().is_some_and(Guard::is_frozen) {
            return Err((MMP_GROUP_FROZEN, "the group is frozen"));
        }
        let mut seen = HashSet::new();
        for quote in quotes.iter() {
            if floor.exchange.listings().get(listing_of(quote.instrument_id)).is_none() {
                return Err((INVALID_INSTRUMENT, "no such instrument"));
            }
            if !seen.insert(quote.instrument_id.get()) {
                return Err((DUPLICATE_INSTRUMENT, "an instrument is quoted twice"));
            }
        }
        Ok(())
    }

    fn quote_side(
        &mut self,
        number: i64,
        listing: usize,
        quoted: &Quoted,
        fills: &mut Vec<QuoteFill>,
        floor: &mut Floor<'_>,
    ) -> Answer {
        let side = quoted.side;
        let mut standing = self.working.iter();
        let standing = standing.find(|(_, o)| o.under == Under::Quotes && (o.listing, o.side) == (listing, side));
        let standing = standing.map(|(id, order)| (*id, *order));
        let (price, lots) = match quoted_terms(quoted, listing, floor) {
            Ok((price, lots @ Lots(1..))) => (price, lots),
            nothing => {
                if let Some((id, order)) = standing {
                    self.forget(id);
                    floor.exchange.cancel(listing, side, order.price, id);
                }
                let status =
                    if standing.is_some() { quote_status::CANCELED_BY_REQUEST } else { quote_status::INACTIVE };
                let reason = nothing.err().map_or(0, |(reason, _)| reason);
                return Answer { status, reason, ..Answer::default() };
            }
        };
        if let Some((id, order)) = standing {
            if order.price == price && lots <= order.left {
                floor.exchange.resize(listing, side, price, id, lots);
                self.working.insert(id, Working { client_id: number, filled: Lots(0), left: lots, ..order });
                let status = if lots == order.left { quote_status::UNMODIFIED } else { quote_status::QTY_REDUCED };
                return Answer { id: id.0 as i64, status, ..Answer::default() };
            }
            self.forget(id);
            floor.exchange.cancel(listing, side, order.price, id);
        }
        let post_only =
            if quoted.flags & order_flags::POST_ONLY_REJECT != 0 { PostOnly::Reject } else { PostOnly::Off };
        let ticket = Ticket { post_only, ..Ticket::limit(CLIENT, side, price, lots) };
        let first = floor.exchange.prints().len();
        let (id, outcome) = floor.exchange.submit(listing, &ticket);
        floor.account.orders += 1;
        let lot = floor.exchange.listings()[listing].contract.lot;
        let instrument_id = i64::from(floor.exchange.listings()[listing].contract.venue.0).into();
        let (taken, filled) = self.take_fills(first, lot, side, floor);
        fills.extend(taken.iter().map(|fill| QuoteFill {
            match_id: fill.match_id,
            instrument_id,
            fill_price: fill.fill_price,
            fill_qty: fill.fill_qty,
        }));
        let (status, reason) = match outcome {
            Outcome::WouldTake => (quote_status::INACTIVE, reject_reason::POST_ONLY),
            Outcome::SelfTrade(_) => (quote_status::CANCELED_BY_SELF_MATCH, 0),
            Outcome::Filled => (quote_status::FILLED, 0),
            Outcome::Resting { .. } | Outcome::Expired(_) => (quote_status::UPDATED, 0),
        };
        if let Outcome::Resting { price, lots: left } = outcome {
            let cancel_on_disconnect = quoted.flags & order_flags::CANCEL_ON_DISCONNECT != 0;
            let under = Under::Quotes;
            let order = Working { client_id: number, listing, side, price, filled, left, cancel_on_disconnect, under };
            self.working.insert(id, order);
        }
        Answer { id: id.0 as i64, filled, status, reason }
    }

    /// Takes back every quote of a group; each is told of.
    pub fn cancel_quotes(&mut self, request: &MassQuoteCancelRequest, floor: &mut Floor<'_>, link: &mut Link) {
        let side = side_from_wire(request.side);
        let group = self.guards.quotes.as_ref().map(|guard| guard.config.group);
        let fits = |order: &Working| order.under == Under::Quotes && side.is_none_or(|side| side == order.side);
        let chosen = self.working.iter().filter(|(_, order)| fits(order)).map(|(id, _)| *id);
        let chosen: Vec<_> = if group == Some(request.mmp_group_id.get()) { chosen.collect() } else { Vec::new() };
        let cancelled = self.withdraw(&chosen, floor.exchange);
        self.tell_cancelled(&cancelled, cancel_reason::BY_REQUEST, floor.exchange, floor.now, link);
    }

    /// Takes one order back by the venue's number.
    pub fn cancel_by_id(&mut self, request: &CancelOrderByIdRequest, floor: &mut Floor<'_>, link: &mut Link) {
        let id = VenueOrderId(request.order_id.get() as u64);
        let instrument = |order: &Working| i64::from(floor.exchange.listings()[order.listing].contract.venue.0);
        let known = self.working.get(&id).filter(|order| instrument(order) == request.instrument_id.get());
        let client_order_id = known.map_or(0, |order| order.client_id).into();
        let found = known.is_some().then_some(id);
        self.cancel_found(found, client_order_id, request.correlation_id, request.instrument_id, floor, link);
    }

    /// Says whether a group of quotes is frozen.
    pub fn quotes_status(&mut self, request: &GetMassQuoteMmpStatusRequest, now: Nanos, link: &mut Link) {
        let (timestamp, correlation_id) = (time(now), request.correlation_id);
        match self.guards.quotes.as_ref().filter(|guard| guard.config.group == request.mmp_group_id.get()) {
            Some(guard) => {
                let frozen_until_time = guard.frozen_until().unwrap_or(NO_TIME).into();
                let mmp_group_id = request.mmp_group_id;
                let status =
                    GetMassQuoteMmpStatusResponse { timestamp, correlation_id, mmp_group_id, frozen_until_time };
                link.report(now, &status, bare);
            }
            None => {
                let reject = GetMassQuoteMmpStatusReject { timestamp, correlation_id, reason: NO_SUCH_GROUP };
                link.report(now, &reject, bare);
            }
        }
    }

    /// Says whether the protected orders of a currency pair are frozen.
    pub fn orders_status(&mut self, request: &GetOrdersMmpStatusRequest, now: Nanos, link: &mut Link) {
        let (timestamp, correlation_id) = (time(now), request.correlation_id);
        let underlying = usize::try_from(request.currency_pair_id.get() - 1).unwrap_or(usize::MAX);
        match self.guards.orders.get(underlying) {
            Some(guard) => {
                let frozen_until_time = guard.frozen_until().unwrap_or(NO_TIME).into();
                let currency_pair_id = request.currency_pair_id;
                let status =
                    GetOrdersMmpStatusResponse { timestamp, correlation_id, currency_pair_id, frozen_until_time };
                link.report(now, &status, bare);
            }
            None => {
                let reject = GetOrdersMmpStatusReject { timestamp, correlation_id, reason: NO_SUCH_GROUP };
                link.report(now, &reject, bare);
            }
        }
    }

    /// Whether a protected order may rest; one that asks for it ends the freeze first.
    pub(super) fn check_protection(
        &mut self,
        request: &NewOrderRequest,
        underlying: usize,
        now: Nanos,
        link: &mut Link,
    ) -> Result<Under, Refusal> {
        let flags = request.flags.get();
        if flags & order_flags::MMP == 0 {
            return Ok(Under::Nothing);
        }
        let none = (reject_reason::MMP_NOT_CONFIGURED, "no protection is configured");
        let guard = self.guards.orders.get_mut(underlying).ok_or(none)?;
        if flags & order_flags::RESET_MMP != 0 && guard.thaw() {
            self.tell_orders_thawed(underlying, request.correlation_id, now, link);
        }
        match self.guards.orders[underlying].is_frozen() {
            true => Err((reject_reason::MMP_GROUP_FROZEN, "the protection froze")),
            false => Ok(Under::Orders),
        }
    }

    /// A resting order traded: its protection counts it, and may trigger.
    pub(super) fn guard(&mut self, order: &Working, lots: Lots, floor: &mut Floor<'_>, link: &mut Link) {
        let contract = &floor.exchange.listings()[order.listing].contract;
        let underlying = contract.underlying;
        let Some(guard) = self.guards.of(order, underlying) else { return };
        if let Some(traded) = guard.trade(floor.now, lots.to_quantity(contract.lot)) {
            self.trigger(order.under, underlying, traded, floor, link);
        }
    }

    /// The protection of an underlying's orders triggers, as if more had traded than it allows; false when there is none, or
    /// it has.
    pub fn trip_protection(&mut self, underlying: usize, floor: &mut Floor<'_>, link: &mut Link) -> bool {
        let Some(guard) = self.guards.orders.get_mut(underlying) else { return false };
        let too_much = Quantity(guard.config.quantity_max.0 + 1);
        let traded = guard.trade(floor.now, too_much);
        traded.map(|traded| self.trigger(Under::Orders, underlying, traded, floor, link)).is_some()
    }

    /// Takes back what is under a protection that froze, and says so.
    fn trigger(&mut self, under: Under, underlying: usize, traded: Quantity, floor: &mut Floor<'_>, link: &mut Link) {
        let guard = match under {
            Under::Nothing => None,
            Under::Orders => self.guards.orders.get(underlying),
            Under::Quotes => self.guards.quotes.as_ref(),
        };
        let Some(guard) = guard else { return };
        let (group, until) = (guard.config.group, guard.frozen_until().unwrap_or(NO_TIME));
        let listings = floor.exchange.listings();
        let fits = |other: &Working| {
            other.under == under
                && (under == Under::Quotes || listings[other.listing].contract.underlying == underlying)
        };
        let chosen: Vec<_> = self.working.iter().filter(|(_, other)| fits(other)).map(|(id, _)| *id).collect();
        let cancelled = self.withdraw(&chosen, floor.exchange);
        self.tell_cancelled(&cancelled, cancel_reason::MM_PROTECTION, floor.exchange, floor.now, link);
        self.events += 1;
        let (timestamp, exec_id) = (time(floor.now), self.events.into());
        let (frozen_until, quantity_level) = (until.into(), traded.to_f64().into());
        let (vega_level, delta_level, trigger) = (0.0.into(), 0.0.into(), 0);
        if under == Under::Quotes {
            let report = MassQuoteMmpTriggered {
                timestamp,
                exec_id,
                mmp_group_id: group.into(),
                frozen_until,
                quantity_level,
                vega_level,
                delta_level,
                trigger,
            };
            link.report(floor.now, &report, bare);
        } else {
            let report = OrdersMmpTriggered {
                timestamp,
                exec_id,
                currency_pair_id: (underlying as i64 + 1).into(),
                frozen_until,
                quantity_level,
                vega_level,
                delta_level,
                trigger,
            };
            link.report(floor.now, &report, bare);
        }
    }

    /// Ends the freezes that have lasted their time.
    pub fn tick(&mut self, now: Nanos, link: &mut Link) {
        if let Some(guard) = self.guards.quotes.as_mut()
            && guard.runs_out(now)
        {
            let group = guard.config.group;
            self.tell_quotes_thawed(group, NO_TIME.into(), now, link);
        }
        for underlying in 0..self.guards.orders.len() {
            if self.guards.orders[underlying].runs_out(now) {
                self.tell_orders_thawed(underlying, NO_TIME.into(), now, link);
            }
        }
    }

    fn tell_quotes_thawed(&mut self, group: i64, correlation_id: I64, now: Nanos, link: &mut Link) {
        self.events += 1;
        let (timestamp, exec_id) = (time(now), self.events.into());
        link.report(
            now,
            &MassQuoteMmpUnfrozen { timestamp, exec_id, mmp_group_id: group.into(), correlation_id },
            bare,
        );
    }

    fn tell_orders_thawed(&mut self, underlying: usize, correlation_id: I64, now: Nanos, link: &mut Link) {
        self.events += 1;
        let (timestamp, exec_id) = (time(now), self.events.into());
        let currency_pair_id = (underlying as i64 + 1).into();
        link.report(now, &OrdersMmpUnfrozen { timestamp, exec_id, currency_pair_id, correlation_id }, bare);
    }
}

/// Price and size of a side, or why it cannot stand. No size takes the side back.
fn quoted_terms(quoted: &Quoted, listing: usize, floor: &Floor<'_>) -> Result<(Price, Lots), Refusal> {
    let entry = &floor.exchange.listings()[listing];
    if !entry.trades() {
        return Err((reject_reason::NOT_ALLOWED_BY_MARKET_STATE, "instrument is not open"));
    }
    let (lots, part) =
        quoted.qty.to_quantity().map_or((Lots(0), true), |quantity| quantity.to_lots(entry.contract.lot));
    if part || lots.0 < 0 {
        return Err((reject_reason::INVALID_QUANTITY, "quantity is not a number of lots"));
    }
    let price = Price(quoted.price);
    if lots.0 > 0 && (price.0 <= 0 || !entry.contract.ticks.is_valid(price)) {
        return Err((reject_reason::INVALID_PRICE, "price is not a positive multiple of the tick"));
    }
    Ok((price, lots))
}

fn listing_of(instrument: I64) -> usize {
    u32::try_from(instrument.get()).ok().and_then(|id| id.checked_sub(1)).map_or(usize::MAX, |at| at as usize)
}

fn time(now: Nanos) -> I64 {
    (now.0 as i64).into()
}
