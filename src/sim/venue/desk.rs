//! The client's orders at the venue: requests are checked, carried to the exchange, and answered.
//!
//! A request either changes the exchange and is answered with what became of it, or changes nothing and is refused with
//! a reason and a text. A client order id is taken once for ever. Fills of resting orders, cancellations and expiries
//! are told as they happen, whether or not the client is connected.

mod quotes;
mod whims;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::account::{Account, Execution};
use super::exchange::{Exchange, Print, Ticket};
use super::link::{Link, bare};
use super::market::Market;
use super::matching::{Outcome, Owner, PostOnly, Resting, SelfTrade};
use super::protection::ProtectionConfig;
use crate::instrument::InstrumentKind;
use crate::order::TimeInForce;
use crate::units::{Lots, Nanos, Price, Quantity, Side, VenueOrderId};
use crate::wire::starbase::orders::{
    AmendOrderReject, AmendOrderRequest, AmendOrderResponse, CancelOrderReject, CancelOrderRequest,
    CancelOrderResponse, CanceledOrder, Fill, FilledOrder, Leg, MassCancelRequest, MassCancelResponse, NewOrderReject,
    NewOrderRequest, NewOrderResponse, OrderFilled, OrdersCanceled, cancel_reason, fill_flags, order_flags,
    order_status, reject_reason, side_from_wire, side_to_wire, time_in_force,
};
use quotes::Guards;
pub use whims::Whim;
use whims::Whims;
use zerocopy::byteorder::little_endian::I64;

/// The client's orders.
pub const CLIENT: Owner = Owner(3);

/// Reject: the client sends too fast.
const RATE_LIMIT: i8 = 25;
/// Reject: part of the quantity would be hidden.
const ICEBERG_NOT_ALLOWED: i8 = 20;
/// Orders in one cancellation message at most.
const CANCELED_MAX: usize = 1_000;

/// What a request acts on.
#[derive(Debug)]
pub struct Floor<'a> {
    /// Where orders meet.
    pub exchange: &'a mut Exchange,
    /// Where executions are booked.
    pub account: &'a mut Account,
    /// What fees depend on.
    pub market: &'a Market,
    /// When.
    pub now: Nanos,
}

/// An order that rests.
#[derive(Clone, Copy, Debug)]
struct Working {
    client_id: i64,
    listing: usize,
    side: Side,
    price: Price,
    filled: Lots,
    left: Lots,
    cancel_on_disconnect: bool,
    under: Under,
}

/// Which protection an order is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    Nothing,
    /// That of the orders of its underlying.
    Orders,
    /// That of quotes: it is a side of one.
    Quotes,
}

/// Orders of one client.
#[derive(Debug)]
pub struct Desk {
    orders_per_second: f64,
    tokens: f64,
    refilled: Nanos,
    working: BTreeMap<VenueOrderId, Working>,
    by_client_id: HashMap<i64, VenueOrderId>,
    used: HashSet<i64>,
    events: i64,
    guards: Guards,
    whims: Whims,
}

/// Why an order is refused.
type Refusal = (i8, &'static str);

impl Desk {
    /// A desk that takes so many orders a second, and as many at once, with market-maker protection where it is configured.
    pub fn new(orders_per_second: u32, protection: Option<ProtectionConfig>) -> Self {
        Self {
            orders_per_second: f64::from(orders_per_second),
            tokens: f64::from(orders_per_second),
            refilled: Nanos(0),
            working: BTreeMap::new(),
            by_client_id: HashMap::new(),
            used: HashSet::new(),
            events: 0,
            guards: Guards::new(protection),
            whims: Whims::default(),
        }
    }

    /// The client's number of every order that rests.
    pub fn working(&self) -> impl Iterator<Item = i64> {
        self.working.values().map(|order| order.client_id)
    }

    /// How many orders rest.
    pub fn open_orders(&self) -> usize {
        self.working.len()
    }

    /// A new order.
    pub fn new_order(&mut self, request: &NewOrderRequest, floor: &mut Floor<'_>, link: &mut Link) {
        match self.check(request, floor, link) {
            Ok((listing, ticket, fill_or_kill)) => self.place(request, listing, &ticket, fill_or_kill, floor, link),
            Err(refusal) => self.refuse(request, refusal, floor, link),
        }
    }

    fn check(
        &mut self,
        request: &NewOrderRequest,
        floor: &Floor<'_>,
        link: &mut Link,
    ) -> Result<(usize, Ticket, bool), Refusal> {
        if !self.take_token(floor.now) {
            return Err((RATE_LIMIT, "too many orders a second"));
        }
        if !self.used.insert(request.client_order_id.get()) {
            return Err((reject_reason::DUPLICATE_CLIENT_ORDER_ID, "client order id was used before"));
        }
        if self.whims.spend(Whim::Refuse) {
            return Err((reject_reason::NOT_ALLOWED_BY_MARKET_STATE, "not now"));
        }
        let instrument = u32::try_from(request.instrument_id.get()).ok().and_then(|id| id.checked_sub(1));
        let listing = instrument.map_or(usize::MAX, |at| at as usize);
        let Some(entry) = floor.exchange.listings().get(listing) else {
            return Err((reject_reason::INVALID_INSTRUMENT, "no such instrument"));
        };
        if !entry.trades() {
            return Err((reject_reason::NOT_ALLOWED_BY_MARKET_STATE, "instrument is not open"));
        }
        let lots = match request.quantity.to_quantity().map(|quantity| quantity.to_lots(entry.contract.lot)) {
            Ok((lots, false)) if lots.0 > 0 => lots,
            _ => return Err((reject_reason::INVALID_QUANTITY, "quantity is not a positive number of lots")),
        };
        if !request.show_qty.is_null() && request.show_qty.to_quantity() != request.quantity.to_quantity() {
            return Err((ICEBERG_NOT_ALLOWED, "hidden quantity is not supported"));
        }
        let price = Price(request.price.get());
        if price.0 <= 0 || !entry.contract.ticks.is_valid(price) {
            return Err((reject_reason::INVALID_PRICE, "price is not a positive multiple of the tick"));
        }
        let side =
            side_from_wire(request.side).ok_or((reject_reason::INVALID_FIELD, "side is neither buy nor sell"))?;
        let (time_in_force, fill_or_kill) = match request.time_in_force {
            time_in_force::IOC => (TimeInForce::ImmediateOrCancel, false),
            time_in_force::FOK => (TimeInForce::ImmediateOrCancel, true),
            time_in_force::GTC => (TimeInForce::GoodTilCancel, false),
            _ => return Err((reject_reason::INVALID_FIELD, "time in force is not supported")),
        };
        let flags = request.flags.get();
        let post_only = match (flags & order_flags::POST_ONLY != 0, flags & order_flags::POST_ONLY_REJECT != 0) {
            (false, false) => PostOnly::Off,
            (true, false) => PostOnly::Slide { tick: entry.contract.ticks.at(price) },
            (_, true) => PostOnly::Reject,
        };
        if post_only != PostOnly::Off && time_in_force == TimeInForce::ImmediateOrCancel {
            return Err((reject_reason::INVALID_FIELD, "post-only orders must rest"));
        }
        let self_trade = match request.self_trading_mode {
            0 => SelfTrade::CancelTaker,
            1 => SelfTrade::CancelMaker,
            _ => return Err((reject_reason::INVALID_FIELD, "self-trading mode is not known")),
        };
        self.check_protection(request, entry.contract.underlying, floor.now, link)?;
        let ticket = Ticket { owner: CLIENT, side, price, lots, time_in_force, post_only, self_trade };
        Ok((listing, ticket, fill_or_kill))
    }

    fn place(
        &mut self,
        request: &NewOrderRequest,
        listing: usize,
        ticket: &Ticket,
        fill_or_kill: bool,
        floor: &mut Floor<'_>,
        link: &mut Link,
    ) {
        let first = floor.exchange.prints().len();
        let (id, outcome) = if fill_or_kill && available(floor.exchange, listing, ticket) < ticket.lots.0 {
            (floor.exchange.skip_order(), Outcome::Expired(ticket.lots))
        } else if self.whims.spend(Whim::End) {
            (floor.exchange.skip_order(), Outcome::SelfTrade(ticket.lots))
        } else {
            floor.exchange.submit(listing, ticket)
        };
        if outcome == Outcome::WouldTake {
            return self.refuse(request, (reject_reason::POST_ONLY, "post-only order would have taken"), floor, link);
        }
        floor.account.orders += 1;
        let lot = floor.exchange.listings()[listing].contract.lot;
        let (fills, filled) = self.take_fills(first, lot, ticket.side, floor);
        let (status, reason, price, left) = ending(outcome, ticket.price);
        let client_id = request.client_order_id.get();
        if left.0 > 0 {
            let cancel_on_disconnect = request.flags.get() & order_flags::CANCEL_ON_DISCONNECT != 0;
            let side = ticket.side;
            let under = if request.flags.get() & order_flags::MMP != 0 { Under::Orders } else { Under::Nothing };
            let order = Working { client_id, listing, side, price, filled, left, cancel_on_disconnect, under };
            self.working.insert(id, order);
            self.by_client_id.insert(client_id, id);
        }
        self.events += 1;
        let response = NewOrderResponse {
            timestamp: (floor.now.0 as i64).into(),
            exec_id: self.events.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: (id.0 as i64).into(),
            instrument_id: request.instrument_id,
            price: price.0.into(),
            quantity: request.quantity,
            total_filled: filled.to_quantity(lot).into(),
            visible_qty: left.to_quantity(lot).into(),
            receive_time: (floor.now.0 as i64).into(),
            side: request.side,
            status,
            cancel_reason: reason,
        };
        link.report(floor.now, &response, |encoder| encoder.group(&fills)?.group::<Leg>(&[]));
        if self.whims.spend(Whim::RefuseAmendment) {
            self.refuse_unasked_amendment(request, id, floor, link);
        }
        let evicted = floor.exchange.evicted().to_vec();
        let evicted: Vec<_> = evicted.iter().filter_map(|order| self.forget(order.id)).collect();
        self.tell_cancelled(&evicted, cancel_reason::SELF_MATCH_PREVENTION, floor.exchange, floor.now, link);
    }

    /// Books the matches from `first` on; what they are on the wire, and how much.
    fn take_fills(&mut self, first: usize, lot: Quantity, side: Side, floor: &mut Floor<'_>) -> (Vec<Fill>, Lots) {
        let mut filled = Lots(0);
        let mut fills = Vec::new();
        for at in first..floor.exchange.prints().len() {
            let print = floor.exchange.prints()[at];
            filled.0 += print.fill.lots.0;
            fills.push(Fill {
                match_id: (print.execution.0 as i64).into(),
                fill_price: print.fill.price.0.into(),
                fill_qty: print.fill.lots.to_quantity(lot).into(),
            });
            self.book(&print, side, true, floor);
        }
        (fills, filled)
    }

    /// Gives an order other terms. With its price and no more size it keeps its place; otherwise it is the last of its
    /// price, and may trade on the way there.
    pub fn amend(&mut self, request: &AmendOrderRequest, floor: &mut Floor<'_>, link: &mut Link) {
        let (id, order, terms) = match self.check_amend(request, floor) {
            Ok(checked) => checked,
            Err((reason, text)) => {
                self.events += 1;
                let reject = AmendOrderReject {
                    timestamp: (floor.now.0 as i64).into(),
                    exec_id: self.events.into(),
                    client_order_id: request.client_order_id,
                    correlation_id: request.correlation_id,
                    order_id: 0.into(),
                    instrument_id: request.instrument_id,
                    reason,
                };
                return link.report(floor.now, &reject, |encoder| encoder.text(text.as_bytes()));
            }
        };
        let Working { listing, side, price, left, .. } = order;
        let lot = floor.exchange.listings()[listing].contract.lot;
        let mut evicted = Vec::new();
        let (fills, outcome) = if terms.price == price && terms.lots <= left {
            floor.exchange.resize(listing, side, price, id, terms.lots);
            (Vec::new(), Outcome::Resting { price, lots: terms.lots })
        } else {
            let first = floor.exchange.prints().len();
            floor.exchange.cancel(listing, side, price, id);
            let outcome = floor.exchange.resubmit(listing, id, &terms);
            evicted.extend_from_slice(floor.exchange.evicted());
            (self.take_fills(first, lot, side, floor).0, outcome)
        };
        let taken =
            fills.iter().filter_map(|fill| fill.fill_qty.to_quantity().ok()).map(|q| q.to_lots(lot).0.0).sum::<i64>();
        let filled = Lots(order.filled.0 + taken);
        let (status, reason, price, left) = ending(outcome, terms.price);
        if left.0 > 0 {
            self.working.insert(id, Working { price, filled, left, ..order });
        } else {
            self.forget(id);
        }
        self.events += 1;
        let response = AmendOrderResponse {
            timestamp: (floor.now.0 as i64).into(),
            exec_id: self.events.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: (id.0 as i64).into(),
            instrument_id: request.instrument_id,
            price: price.0.into(),
            quantity: request.quantity,
            total_filled: filled.to_quantity(lot).into(),
            visible_qty: left.to_quantity(lot).into(),
            receive_time: (floor.now.0 as i64).into(),
            status,
            cancel_reason: reason,
        };
        link.report(floor.now, &response, |encoder| encoder.group(&fills)?.group::<Leg>(&[]));
        let evicted: Vec<_> = evicted.iter().filter_map(|order| self.forget(order.id)).collect();
        self.tell_cancelled(&evicted, cancel_reason::SELF_MATCH_PREVENTION, floor.exchange, floor.now, link);
    }

    /// The order meant, and what is to be left of it at which price.
    fn check_amend(
        &mut self,
        request: &AmendOrderRequest,
        floor: &Floor<'_>,
    ) -> Result<(VenueOrderId, Working, Ticket), Refusal> {
        if !self.take_token(floor.now) {
            return Err((RATE_LIMIT, "too many orders a second"));
        }
        let id = self.by_client_id.get(&request.client_order_id.get()).copied();
        let known = id.and_then(|id| self.working.get(&id).map(|order| (id, *order)));
        let (id, order) = known.ok_or((reject_reason::ORDER_NOT_FOUND, "no such order is open"))?;
        let entry = &floor.exchange.listings()[order.listing];
        if i64::from(entry.contract.venue.0) != request.instrument_id.get() {
            return Err((reject_reason::INVALID_INSTRUMENT, "the order is in another instrument"));
        }
        if !request.show_qty.is_null() && request.show_qty.to_quantity() != request.quantity.to_quantity() {
            return Err((ICEBERG_NOT_ALLOWED, "hidden quantity is not supported"));
        }
        let left = match request.quantity.to_quantity().map(|quantity| quantity.to_lots(entry.contract.lot)) {
            Ok((lots, false)) if lots > order.filled => Lots(lots.0 - order.filled.0),
            _ => {
                return Err((reject_reason::INVALID_QUANTITY, "quantity is not a number of lots above what is filled"));
            }
        };
        let price = Price(request.price.get());
        if price.0 <= 0 || !entry.contract.ticks.is_valid(price) {
            return Err((reject_reason::INVALID_PRICE, "price is not a positive multiple of the tick"));
        }
        let flags = request.flags.get();
        let would_take =
            entry.book.best(order.side.opposite()).is_some_and(|best| (price.0 - best.0) * order.side.sign() >= 0);
        if flags & order_flags::POST_ONLY_REJECT != 0 && would_take {
            return Err((reject_reason::POST_ONLY, "post-only order would have taken"));
        }
        let slides = flags & order_flags::POST_ONLY != 0;
        let post_only = if slides { PostOnly::Slide { tick: entry.contract.ticks.at(price) } } else { PostOnly::Off };
        let ticket = Ticket { post_only, ..Ticket::limit(CLIENT, order.side, price, left) };
        Ok((id, order, ticket))
    }

    fn refuse(&mut self, request: &NewOrderRequest, (reason, text): Refusal, floor: &mut Floor<'_>, link: &mut Link) {
        floor.account.rejects += 1;
        self.events += 1;
        let reject = NewOrderReject {
            timestamp: (floor.now.0 as i64).into(),
            exec_id: self.events.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: 0.into(),
            instrument_id: request.instrument_id,
            reason,
        };
        link.report(floor.now, &reject, |encoder| encoder.text(text.as_bytes()));
    }

    /// Takes one order back.
    pub fn cancel(&mut self, request: &CancelOrderRequest, floor: &mut Floor<'_>, link: &mut Link) {
        let known = self.by_client_id.get(&request.client_order_id.get()).copied();
        let CancelOrderRequest { client_order_id, correlation_id, instrument_id } = *request;
        self.cancel_found(known, client_order_id, correlation_id, instrument_id, floor, link);
    }

    fn cancel_found(
        &mut self,
        known: Option<VenueOrderId>,
        client_order_id: I64,
        correlation_id: I64,
        instrument_id: I64,
        floor: &mut Floor<'_>,
        link: &mut Link,
    ) {
        self.events += 1;
        let now = (floor.now.0 as i64).into();
        let Some((id, order)) = known.and_then(|id| self.forget(id)) else {
            let reject = CancelOrderReject {
                timestamp: now,
                exec_id: self.events.into(),
                client_order_id,
                correlation_id,
                order_id: 0.into(),
                instrument_id,
                reason: reject_reason::CANCEL_UNKNOWN_ORDER,
            };
            return link.report(floor.now, &reject, |encoder| encoder.text(b"no such order is open"));
        };
        floor.exchange.cancel(order.listing, order.side, order.price, id);
        let response = CancelOrderResponse {
            timestamp: now,
            exec_id: self.events.into(),
            client_order_id,
            correlation_id,
            order_id: (id.0 as i64).into(),
            instrument_id,
            receive_time: now,
        };
        link.report(floor.now, &response, bare);
    }

    /// Takes back every order that fits; each is told of first, the count of them last.
    pub fn mass_cancel(&mut self, request: &MassCancelRequest, floor: &mut Floor<'_>, link: &mut Link) {
        let listings = floor.exchange.listings();
        let fits = |order: &Working| {
            let contract = &listings[order.listing].contract;
            let product = if contract.kind == InstrumentKind::Option { 1 } else { 2 };
            let admits = |asked: i64, is: i64| asked == 0 || asked == is;
            admits(request.currency_pair_id.get(), contract.underlying as i64 + 1)
                && admits(request.instrument_id.get(), i64::from(contract.venue.0))
                && admits(i64::from(request.product_type), product)
                && admits(i64::from(request.side), i64::from(side_to_wire(order.side)))
        };
        let chosen: Vec<VenueOrderId> =
            self.working.iter().filter(|(_, order)| fits(order)).map(|(id, _)| *id).collect();
        let cancelled = self.withdraw(&chosen, floor.exchange);
        self.tell_cancelled(&cancelled, cancel_reason::BY_REQUEST, floor.exchange, floor.now, link);
        self.events += 1;
        let response = MassCancelResponse {
            timestamp: (floor.now.0 as i64).into(),
            exec_id: self.events.into(),
            correlation_id: request.correlation_id,
            receive_time: (floor.now.0 as i64).into(),
            total_order_count: (cancelled.len() as i32).into(),
        };
        link.report(floor.now, &response, bare);
    }

    /// The connection is gone: cancels what was to be cancelled then, or `all`.
    pub fn disconnected(&mut self, all: bool, exchange: &mut Exchange, now: Nanos, link: &mut Link) {
        let chosen = self.working.iter().filter(|(_, order)| all || order.cancel_on_disconnect);
        let chosen: Vec<VenueOrderId> = chosen.map(|(id, _)| *id).collect();
        let cancelled = self.withdraw(&chosen, exchange);
        self.tell_cancelled(&cancelled, cancel_reason::CLIENT_DISCONNECT, exchange, now, link);
    }

    /// A resting order was taken, wholly or in part.
    pub fn filled(&mut self, print: &Print, floor: &mut Floor<'_>, link: &mut Link) {
        let Some(order) = self.working.get_mut(&print.fill.maker) else { return };
        order.filled.0 += print.fill.lots.0;
        order.left.0 -= print.fill.lots.0;
        let order = *order;
        if print.fill.maker_done {
            self.forget(print.fill.maker);
        }
        self.book(print, order.side, false, floor);
        let contract = &floor.exchange.listings()[print.listing].contract;
        self.events += 1;
        let report = OrderFilled { timestamp: (floor.now.0 as i64).into(), exec_id: self.events.into() };
        let fill = FilledOrder {
            client_order_id: order.client_id.into(),
            order_id: (print.fill.maker.0 as i64).into(),
            instrument_id: i64::from(contract.venue.0).into(),
            match_id: (print.execution.0 as i64).into(),
            price: print.fill.price.0.into(),
            fill_qty: print.fill.lots.to_quantity(contract.lot).into(),
            total_filled: order.filled.to_quantity(contract.lot).into(),
            side: side_to_wire(order.side),
            flags: if print.fill.maker_done { fill_flags::FULLY_FILLED } else { 0 }
                | if order.under == Under::Quotes { fill_flags::QUOTE } else { 0 },
        };
        link.report(floor.now, &report, |encoder| encoder.group(&[fill])?.group::<Leg>(&[]));
        self.guard(&order, print.fill.lots, floor, link);
    }

    /// The contract of a resting order has expired.
    pub fn expired(&mut self, order: &Resting, exchange: &Exchange, now: Nanos, link: &mut Link) {
        let forgotten: Vec<_> = self.forget(order.id).into_iter().collect();
        self.tell_cancelled(&forgotten, cancel_reason::DELIVERED, exchange, now, link);
    }

    fn book(&mut self, print: &Print, side: Side, taker: bool, floor: &mut Floor<'_>) {
        let contract = &floor.exchange.listings()[print.listing].contract;
        let execution = Execution {
            id: print.execution,
            listing: print.listing,
            side,
            price: print.fill.price,
            lots: print.fill.lots,
            taker,
            fee: 0.0,
        };
        floor.account.book(contract, execution, floor.market.index(contract.underlying));
    }

    fn forget(&mut self, id: VenueOrderId) -> Option<(VenueOrderId, Working)> {
        let order = self.working.remove(&id)?;
        if order.under != Under::Quotes {
            self.by_client_id.remove(&order.client_id);
        }
        Some((id, order))
    }

    fn withdraw(&mut self, chosen: &[VenueOrderId], exchange: &mut Exchange) -> Vec<(VenueOrderId, Working)> {
        let orders: Vec<_> = chosen.iter().filter_map(|id| self.forget(*id)).collect();
        for (id, order) in &orders {
            exchange.cancel(order.listing, order.side, order.price, *id);
        }
        orders
    }

    fn tell_cancelled(
        &mut self,
        orders: &[(VenueOrderId, Working)],
        reason: i8,
        exchange: &Exchange,
        now: Nanos,
        link: &mut Link,
    ) {
        let parts = orders.chunks(CANCELED_MAX).len();
        for (part, orders) in orders.chunks(CANCELED_MAX).enumerate() {
            self.events += 1;
            let report = OrdersCanceled {
                timestamp: (now.0 as i64).into(),
                exec_id: self.events.into(),
                flags: u8::from(part + 1 == parts),
            };
            let entry = |(id, order): &(VenueOrderId, Working)| {
                let contract = &exchange.listings()[order.listing].contract;
                CanceledOrder {
                    client_order_id: order.client_id.into(),
                    order_id: (id.0 as i64).into(),
                    instrument_id: i64::from(contract.venue.0).into(),
                    total_filled: order.filled.to_quantity(contract.lot).into(),
                    cancel_reason: reason,
                    flags: u8::from(order.under == Under::Quotes),
                }
            };
            let entries: Vec<CanceledOrder> = orders.iter().map(entry).collect();
            link.report(now, &report, |encoder| encoder.group(&entries));
        }
    }

    fn take_token(&mut self, now: Nanos) -> bool {
        let refill = now.since(self.refilled) as f64 / Nanos::PER_SECOND as f64 * self.orders_per_second;
        self.tokens = (self.tokens + refill).min(self.orders_per_second);
        self.refilled = now;
        let admitted = self.tokens >= 1.0;
        self.tokens -= if admitted { 1.0 } else { 0.0 };
        admitted
    }
}

/// What became of an order that arrived: status, reason, where it rests, and how much of it.
fn ending(outcome: Outcome, limit: Price) -> (i8, i8, Price, Lots) {
    match outcome {
        Outcome::Filled => (order_status::FILLED, cancel_reason::UNKNOWN, limit, Lots(0)),
        Outcome::Resting { price, lots } => (order_status::ACTIVE, cancel_reason::UNKNOWN, price, lots),
        Outcome::SelfTrade(_) => (order_status::CANCELED, cancel_reason::SELF_MATCH_PREVENTION, limit, Lots(0)),
        Outcome::Expired(_) | Outcome::WouldTake => {
            (order_status::CANCELED, cancel_reason::TIME_IN_FORCE, limit, Lots(0))
        }
    }
}

/// Lots that an order could take at once.
fn available(exchange: &Exchange, listing: usize, ticket: &Ticket) -> i64 {
    let within = |price: Price| (ticket.price.0 - price.0) * ticket.side.sign() >= 0;
    let levels = exchange.listings()[listing].book.levels(ticket.side.opposite());
    levels.take_while(|level| within(level.price)).map(|level| level.lots.0).sum()
}
