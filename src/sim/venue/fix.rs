//! FIX in front of the desk: requests are put into the desk's own terms, and its reports read back into FIX.
//!
//! The desk speaks the binary protocol; this front speaks for a client that does not, as venues do it themselves. Amounts
//! are contracts, the client's number comes back in `OrigClOrdID` (41), the venue's name of an order stands in `ClOrdID`
//! (11) and `OrderID` (37), fills come as the group `NoFills` (1362). What is reported while nobody is connected can be
//! asked for again. Where the client has a drop copy, every report of an execution goes there too; one may be lost on the way to
//! the order session on purpose, for that to show.

use std::collections::HashMap;

use super::desk::{Desk, Floor, Whim};
use super::drop_copy::DropCopy;
use super::exchange::{Exchange, Print};
use super::link::Link;
use super::matching::Resting;
use super::session::{CancelOnDisconnect, FixNames, SessionConfig};
use crate::gateway::SequenceNumbers;
use crate::gateway::fix::{Acceptor, ClientRequest, Credentials, FixConfigError, FixRules, OrderTerms, Taken};
use crate::units::{ExecutionId, Nanos, ONE_E9, Quantity};
use crate::wire::fix::{Writer, kind};
use crate::wire::starbase::orders::{
    AmendOrderRequest, CancelOrderRequest, Decimal72, Fill, MassCancelRequest, Message, NewOrderRequest, cancel_reason,
    next_frame, order_flags, order_status, reject_reason, side_to_wire, time_in_force,
};

/// Holdings that one position report states: what a message of four digits of bytes has room for, twice over.
const HOLDINGS_A_REPORT: usize = 64;

/// The FIX session of one client.
#[derive(Debug)]
pub struct FixFront {
    acceptor: Acceptor,
    desk: Desk,
    link: Link,
    /// Every order of the client's, by its number.
    orders: HashMap<i64, Asked>,
    /// The client's number of the order that traded last, and its execution, price and amount in 1e-9 contracts.
    traded: Option<(i64, (i64, i64, i64))>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    cancel_on_disconnect: CancelOnDisconnect,
    reset_on_logon: bool,
    connected: bool,
    drop_copy: Option<DropCopy>,
    /// Executions that are still told before one is lost on the way to the order session.
    until_lost: Option<u64>,
}

/// What a client asked for, and how it stands.
#[derive(Clone, Copy, Debug)]
struct Asked {
    terms: OrderTerms,
    listing: usize,
    venue_order: i64,
    /// Filled, 1e-9 contracts.
    cum: i64,
}

/// One report to write.
struct Told<'a> {
    client: i64,
    status: u8,
    exec_type: u8,
    text: &'a str,
    reject_reason: u64,
    /// Execution, price, amount in 1e-9 contracts.
    fills: &'a [(i64, i64, i64)],
}

impl FixFront {
    /// A session that nobody has connected to.
    pub fn new(config: &SessionConfig, names: &FixNames) -> Result<Self, FixConfigError> {
        let rules = FixRules { heartbeat_s: config.heartbeat_s, ..FixRules::new(&names.sender, &names.target)? };
        let any = config.client_id.is_empty();
        let client = (!any).then(|| Credentials::new(&config.client_id, &config.secret)).transpose()?;
        let rules = FixRules { strict: true, ..rules };
        let drop_copy = names.drop_copy.as_ref().map(|target| {
            let names = FixRules::new(&names.sender, target)?;
            Ok(DropCopy::new(FixRules { target: names.target, ..rules.clone() }, client.clone()))
        });
        Ok(Self {
            drop_copy: drop_copy.transpose()?,
            until_lost: config.lose_execution,
            acceptor: Acceptor::new(rules, client),
            desk: Desk::new(config.orders_per_second, None),
            link: Link::open(),
            orders: HashMap::new(),
            traded: None,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            cancel_on_disconnect: config.cancel_on_disconnect,
            reset_on_logon: names.reset_on_logon,
            connected: false,
        })
    }

    /// A connection was opened.
    pub fn connect(&mut self, now: Nanos) {
        if self.reset_on_logon {
            self.acceptor.start_again();
        }
        self.connected = true;
        self.acceptor.connected(now);
    }

    /// The connection is gone, and what was not delivered with it.
    pub fn disconnect(&mut self, exchange: &mut Exchange, now: Nanos) {
        if !std::mem::take(&mut self.connected) {
            return;
        }
        self.acceptor.disconnected();
        self.incoming.clear();
        self.outgoing.clear();
        let cancels = match self.cancel_on_disconnect {
            CancelOnDisconnect::AsAsked => self.acceptor.cancels_on_disconnect(),
            CancelOnDisconnect::Always => true,
            CancelOnDisconnect::Never => false,
        };
        if cancels {
            self.desk.disconnected(true, exchange, now, &mut self.link);
            self.relay(exchange, now);
        }
    }

    /// Bytes from the client.
    pub fn receive(&mut self, bytes: &[u8], floor: &mut Floor<'_>) {
        let mut buffer = std::mem::take(&mut self.incoming);
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match self.acceptor.take(&buffer[at..], floor.now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => at += taken,
                Taken::Request(taken, request) => {
                    at += taken;
                    if matches!(request, ClientRequest::New { .. } | ClientRequest::Replace { .. }) {
                        floor.account.order_messages += 1;
                        floor.account.order_bytes += taken as u64;
                    }
                    self.request(&request, floor);
                }
            }
        }
        buffer.drain(..at);
        self.incoming = buffer;
        self.flush();
    }

    /// Time passed.
    pub fn tick(&mut self, now: Nanos) {
        self.acceptor.tick(now);
        self.flush();
        self.drop_copy.iter_mut().for_each(|copy| copy.tick(now));
    }

    /// The session that hears of executions alone.
    pub(super) fn drop_copy(&mut self) -> Option<&mut DropCopy> {
        self.drop_copy.as_mut()
    }

    /// Bytes for the client.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Whether the connection should be closed once [`Self::outgoing`] is sent.
    pub fn wants_close(&self) -> bool {
        self.acceptor.closing().is_some()
    }

    /// The next number of each direction.
    pub fn numbers(&self) -> SequenceNumbers {
        self.acceptor.sequence_numbers()
    }

    /// How many orders rest.
    pub fn open_orders(&self) -> usize {
        self.desk.open_orders()
    }

    /// A resting order was taken.
    pub fn filled(&mut self, print: &Print, floor: &mut Floor<'_>) {
        self.desk.filled(print, floor, &mut self.link);
        self.relay(floor.exchange, floor.now);
    }

    /// A resting order's contract has expired.
    pub fn expired(&mut self, order: &Resting, exchange: &Exchange, now: Nanos) {
        self.desk.expired(order, exchange, now, &mut self.link);
        self.relay(exchange, now);
    }

    /// The next order will meet this.
    pub fn arm(&mut self, whim: Whim) {
        self.desk.arm(whim);
    }

    /// Orders meet what they deserve.
    pub fn disarm(&mut self) {
        self.desk.disarm();
    }

    /// Whether a whim came true since this was asked last.
    pub fn came_true(&mut self, whim: Whim) -> bool {
        self.desk.came_true(whim)
    }

    /// Takes the client's last execution back; false when there is none, or it was taken back before.
    pub fn bust(&mut self, floor: &mut Floor<'_>) -> bool {
        let Some((client, fill)) = self.traded.take() else { return false };
        let busted = floor.account.bust(ExecutionId(fill.0 as u64), floor.exchange.listings());
        if let (Some(_), Some(asked)) = (busted, self.orders.get_mut(&client)) {
            asked.cum -= fill.2;
            let status = if asked.cum > 0 { b'1' } else { b'0' };
            let told = Told { client, status, exec_type: b'H', text: "busted", reject_reason: 0, fills: &[fill] };
            self.report(&told, floor.exchange, floor.now);
            self.flush();
        }
        busted.is_some()
    }

    fn request(&mut self, request: &ClientRequest, floor: &mut Floor<'_>) {
        match *request {
            ClientRequest::New { order, terms, time_in_force: tif, post_only, poss_resend } => {
                let Ok(client) = i64::try_from(order) else { return };
                if poss_resend && self.orders.contains_key(&client) {
                    return;
                }
                let at = floor.exchange.listings().iter().position(|l| l.contract.name == terms.symbol.as_str());
                let listing = at.unwrap_or(usize::MAX);
                let venue = at.map_or(0, |at| i64::from(floor.exchange.listings()[at].contract.venue.0));
                let size = at.map_or(Quantity(0), |at| floor.exchange.listings()[at].contract.size);
                self.orders.entry(client).or_insert(Asked { terms, listing, venue_order: 0, cum: 0 });
                let post_only = if post_only { order_flags::POST_ONLY | order_flags::POST_ONLY_REJECT } else { 0 };
                let block = NewOrderRequest {
                    client_order_id: client.into(),
                    correlation_id: 0.into(),
                    instrument_id: venue.into(),
                    price: terms.price.into(),
                    quantity: amount(terms.qty, size).into(),
                    show_qty: Decimal72::NULL,
                    self_match_prevention_id: 0.into(),
                    side: side_to_wire(terms.side),
                    time_in_force: match tif {
                        b'3' => time_in_force::IOC,
                        b'4' => time_in_force::FOK,
                        _ => time_in_force::GTC,
                    },
                    flags: (post_only | order_flags::CANCEL_ON_DISCONNECT).into(),
                    self_trading_mode: 0,
                };
                self.desk.new_order(&block, floor, &mut self.link);
            }
            ClientRequest::Replace { order, terms } => {
                let Some((client, asked)) = self.known(order) else {
                    return self.refuse(order, b'2', "order_not_found", floor.now);
                };
                let contract = floor.exchange.listings().get(asked.listing).map(|listing| &listing.contract);
                let (venue, size) = contract.map_or((0, Quantity(0)), |c| (i64::from(c.venue.0), c.size));
                let block = AmendOrderRequest {
                    client_order_id: client.into(),
                    correlation_id: 0.into(),
                    instrument_id: venue.into(),
                    price: terms.price.into(),
                    quantity: amount(terms.qty, size).into(),
                    show_qty: Decimal72::NULL,
                    flags: 0.into(),
                };
                self.desk.amend(&block, floor, &mut self.link);
            }
            ClientRequest::Cancel { order } => {
                let Some((client, asked)) = self.known(order) else {
                    return self.refuse(order, b'1', "order_not_found", floor.now);
                };
                let venue = floor.exchange.listings().get(asked.listing).map_or(0, |l| i64::from(l.contract.venue.0));
                let block = CancelOrderRequest {
                    client_order_id: client.into(),
                    correlation_id: 0.into(),
                    instrument_id: venue.into(),
                };
                self.desk.cancel(&block, floor, &mut self.link);
            }
            ClientRequest::CancelAll { request } => {
                let block = MassCancelRequest {
                    correlation_id: (request as i64).into(),
                    currency_pair_id: 0.into(),
                    instrument_id: 0.into(),
                    product_type: 0,
                    side: 0,
                };
                self.desk.mass_cancel(&block, floor, &mut self.link);
            }
            ClientRequest::Positions { request } => self.state_positions(request, floor),
            ClientRequest::OpenOrders { request } => self.state_orders(request, floor.now),
        }
        self.relay(floor.exchange, floor.now);
    }

    /// What the client holds, in as many reports as it takes.
    fn state_positions(&mut self, request: u64, floor: &Floor<'_>) {
        let listings = floor.exchange.listings().iter().enumerate();
        let held: Vec<_> = listings
            .map(|(at, listing)| (&listing.contract, floor.account.position(at)))
            .filter(|(_, lots)| lots.0 != 0)
            .collect();
        let reports = held.len().div_ceil(HOLDINGS_A_REPORT).max(1);
        let mut pages = held.chunks(HOLDINGS_A_REPORT);
        for number in 1..=reports {
            let page = pages.next().unwrap_or_default();
            self.acceptor.send(kind::POSITION_REPORT, floor.now, |report| {
                report.number(b"721=", number as u64).number(b"710=", request).byte(b"724=", b'0');
                report.number(b"727=", reports as u64).byte(b"728=", b'0').number(b"702=", page.len() as u64);
                for (contract, lots) in page {
                    let qty = contracts(lots.to_quantity(contract.lot), contract.size);
                    report.bytes(b"703=", b"TQ").decimal_e9(b"704=", qty.max(0)).decimal_e9(b"705=", (-qty).max(0));
                    report.bytes(b"55=", contract.name.as_bytes());
                }
            });
        }
    }

    /// Every order of the client's that rests: a report says how many there are, and one follows for each.
    fn state_orders(&mut self, request: u64, now: Nanos) {
        let open: Vec<_> = self.desk.working().filter_map(|client| self.known(client as u64)).collect();
        let state = |report: &mut Writer<'_>, status| {
            report.byte(b"39=", status).byte(b"150=", b'I').number(b"584=", request).byte(b"585=", b'7');
            report.number(b"911=", open.len() as u64);
        };
        self.acceptor.send(kind::EXECUTION_REPORT, now, |report| state(report, b'8'));
        for (client, asked) in &open {
            self.acceptor.send(kind::EXECUTION_REPORT, now, |report| {
                state(report, if asked.cum > 0 { b'1' } else { b'0' });
                report.number(b"37=", asked.venue_order as u64).number(b"41=", *client as u64);
                report.decimal_e9(b"14=", asked.cum).decimal_e9(b"38=", asked.terms.qty);
                report.bytes(b"55=", asked.terms.symbol.as_bytes());
            });
        }
    }

    /// An order of the client's, if it ever asked for one under this number.
    fn known(&self, order: u64) -> Option<(i64, Asked)> {
        let client = i64::try_from(order).ok()?;
        Some((client, *self.orders.get(&client)?))
    }

    /// Reads what the desk said and says it in FIX.
    fn relay(&mut self, exchange: &Exchange, now: Nanos) {
        let bytes = std::mem::take(&mut self.link.outgoing);
        self.link.reset();
        let mut rest = &bytes[..];
        while let Ok(Some(frame)) = next_frame(rest) {
            if let Ok(message) = frame.message() {
                self.tell(&message, exchange, now);
            }
            rest = &rest[frame.bytes()..];
        }
        self.flush();
    }

    fn tell(&mut self, message: &Message<'_>, exchange: &Exchange, now: Nanos) {
        let told =
            |client, status| Told { client, status, exec_type: b'I', text: "success", reject_reason: 0, fills: &[] };
        match message {
            Message::NewOrderResponse(r, fills) => {
                let client = r.client_order_id.get();
                let all = self.book_fills(client, r.order_id.get(), fills.iter(), exchange);
                let status = match r.status {
                    order_status::FILLED => b'2',
                    order_status::CANCELED => b'4',
                    _ if all.is_empty() => b'0',
                    _ => b'1',
                };
                let text = if r.cancel_reason == cancel_reason::TIME_IN_FORCE { "ioc_cancelled" } else { "success" };
                self.report(&Told { text, fills: &all, ..told(client, status) }, exchange, now);
            }
            Message::NewOrderReject(r, text) => {
                let text = std::str::from_utf8(text).unwrap_or_default();
                let reject_reason = r.reason.unsigned_abs().into();
                let refused = Told { text, reject_reason, exec_type: b'8', ..told(r.client_order_id.get(), b'8') };
                self.report(&refused, exchange, now);
            }
            Message::AmendOrderResponse(r, fills) => {
                let client = r.client_order_id.get();
                if let Some(asked) = self.orders.get_mut(&client) {
                    let size = exchange.listings().get(asked.listing).map_or(Quantity(0), |l| l.contract.size);
                    asked.terms.price = r.price.get();
                    asked.terms.qty = r.quantity.to_quantity().map_or(asked.terms.qty, |qty| contracts(qty, size));
                }
                let all = self.book_fills(client, r.order_id.get(), fills.iter(), exchange);
                let status = match r.status {
                    order_status::FILLED => b'2',
                    order_status::CANCELED => b'4',
                    _ if self.orders.get(&client).is_some_and(|asked| asked.cum > 0) => b'1',
                    _ => b'0',
                };
                self.report(&Told { exec_type: b'5', fills: &all, ..told(client, status) }, exchange, now);
            }
            Message::AmendOrderReject(r, text) => {
                let gone = r.reason == reject_reason::ORDER_NOT_FOUND;
                let text = if gone { "order_not_found" } else { std::str::from_utf8(text).unwrap_or_default() };
                self.refuse(r.client_order_id.get() as u64, b'2', text, now);
            }
            Message::CancelOrderResponse(r) => {
                self.report(&Told { exec_type: b'4', ..told(r.client_order_id.get(), b'4') }, exchange, now);
            }
            Message::CancelOrderReject(r, _) => {
                self.refuse(r.client_order_id.get() as u64, b'1', "order_not_found", now);
            }
            Message::MassCancelResponse(r) => {
                let (request, count) = (r.correlation_id.get(), r.total_order_count.get());
                self.acceptor.send(kind::ORDER_MASS_CANCEL_REPORT, now, |report| {
                    report.number(b"11=", request as u64).byte(b"530=", b'7').byte(b"531=", b'7');
                    report.number(b"533=", u64::from(count.unsigned_abs())).text(b"58=", b"success", 60);
                });
            }
            Message::OrderFilled(_, fills) => {
                for fill in fills.iter() {
                    let client = fill.client_order_id.get();
                    let one = Fill { match_id: fill.match_id, fill_price: fill.price, fill_qty: fill.fill_qty };
                    let all = self.book_fills(client, fill.order_id.get(), [&one].into_iter(), exchange);
                    let status = if fill.flags & crate::wire::starbase::orders::fill_flags::FULLY_FILLED != 0 {
                        b'2'
                    } else {
                        b'1'
                    };
                    self.report(&Told { fills: &all, ..told(client, status) }, exchange, now);
                }
            }
            Message::OrdersCanceled(_, orders) => {
                for order in orders.iter() {
                    self.report(&Told { exec_type: b'4', ..told(order.client_order_id.get(), b'4') }, exchange, now);
                }
            }
            _ => {}
        }
    }

    /// Adds fills to what is known of an order, in contracts.
    fn book_fills<'a>(
        &mut self,
        client: i64,
        venue_order: i64,
        fills: impl Iterator<Item = &'a Fill>,
        exchange: &Exchange,
    ) -> Vec<(i64, i64, i64)> {
        let Some(asked) = self.orders.get_mut(&client) else { return Vec::new() };
        asked.venue_order = venue_order;
        let size = exchange.listings().get(asked.listing).map_or(Quantity(0), |listing| listing.contract.size);
        let all: Vec<_> = fills
            .map(|fill| {
                let qty = fill.fill_qty.to_quantity().map_or(0, |quantity| contracts(quantity, size));
                (fill.match_id.get(), fill.fill_price.get(), qty)
            })
            .collect();
        asked.cum += all.iter().map(|(_, _, qty)| qty).sum::<i64>();
        self.traded = all.last().map(|fill| (client, *fill)).or(self.traded);
        all
    }

    fn report(&mut self, told: &Told<'_>, exchange: &Exchange, now: Nanos) {
        let Some(asked) = self.orders.get(&told.client).copied() else { return };
        let known = exchange.listings().get(asked.listing).is_some();
        debug_assert!(known || told.status == b'8', "only refused orders are on nothing");
        let leaves = if matches!(told.status, b'0' | b'1') { asked.terms.qty - asked.cum } else { 0 };
        let write = |report: &mut Writer<'_>| {
            let venue_order = asked.venue_order as u64;
            report.number(b"37=", venue_order).number(b"11=", venue_order).number(b"41=", told.client as u64);
            report
                .byte(b"39=", told.status)
                .byte(b"54=", if side_to_wire(asked.terms.side) == 1 { b'1' } else { b'2' });
            report.bytes(b"60=", crate::wire::fix::TimeWriter::default().write(now)).decimal_e9(b"151=", leaves);
            report.decimal_e9(b"14=", asked.cum).decimal_e9(b"38=", asked.terms.qty).byte(b"40=", b'2');
            report.decimal_e9(b"44=", asked.terms.price).byte(b"150=", told.exec_type);
            report.number(b"103=", told.reject_reason).text(b"58=", told.text.as_bytes(), 80);
            report.bytes(b"55=", asked.terms.symbol.as_bytes());
            if !told.fills.is_empty() {
                report.number(b"1362=", told.fills.len() as u64);
                for (execution, price, qty) in told.fills {
                    report.number(b"1363=", *execution as u64).decimal_e9(b"1364=", *price).decimal_e9(b"1365=", *qty);
                }
            }
        };
        let is_execution = !told.fills.is_empty();
        if let Some(copy) = self.drop_copy.as_mut().filter(|_| is_execution) {
            copy.show(now, write);
        }
        let is_lost = is_execution && self.until_lost == Some(0);
        self.until_lost = self.until_lost.and_then(|until| until.checked_sub(u64::from(is_execution)));
        if !is_lost {
            self.acceptor.send(kind::EXECUTION_REPORT, now, write);
        }
    }

    fn refuse(&mut self, order: u64, response_to: u8, text: &str, now: Nanos) {
        self.acceptor.send(kind::ORDER_CANCEL_REJECT, now, |reject| {
            reject.number(b"41=", order).byte(b"39=", b'8').byte(b"434=", response_to);
            reject.text(b"58=", text.as_bytes(), 80);
        });
    }

    fn flush(&mut self) {
        let pending = self.acceptor.pending().len();
        if self.connected {
            self.outgoing.extend_from_slice(self.acceptor.pending());
        }
        self.acceptor.written(pending);
    }
}

/// So many contracts of this size as an amount; what is no whole number of 1e-9 is cut, and the desk refuses it as no lots.
fn amount(contracts: i64, size: Quantity) -> Quantity {
    let product = i128::from(contracts) * i128::from(size.0);
    let exact = product % i128::from(ONE_E9) == 0;
    Quantity(if exact { i64::try_from(product / i128::from(ONE_E9)).unwrap_or(0) } else { 0 })
}

/// An amount in 1e-9 contracts of this size.
fn contracts(amount: Quantity, size: Quantity) -> i64 {
    if size.0 <= 0 {
        return 0;
    }
    i64::try_from(i128::from(amount.0) * i128::from(ONE_E9) / i128::from(size.0)).unwrap_or(0)
}
