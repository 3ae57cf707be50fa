//! The binary order session: numbers both ways, resends asked of the venue, requests and reports as fixed blocks.
//!
//! Once up, it asks how the venue's market-maker protection stands for everything that the configuration puts under it, so
//! that a freeze is known whether or not its beginning was heard.

mod config;
mod quotes;
mod reports;
mod sequence;
mod session;

pub use config::{ConfigError, SessionConfig, pair_name};

use super::clerk::{Clerk, refusals};
use super::local_reason;
use super::numbers::SequenceNumbers;
use super::outgoing::Note;
use super::reasons::DisconnectReason;
use super::stage::Protocol;
use crate::canary::canary;
use crate::event::{Body, Event, Protected};
use crate::order::{Request, TimeInForce, offer_of};
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, Lots, Nanos, Quantity};
use crate::wire::starbase::orders::{
    AmendOrderRequest, Block, CancelOrderByIdRequest, CancelOrderRequest, Decimal72, Encoder, Frame,
    GetMassQuoteMmpStatusRequest, GetOrdersMmpStatusRequest, HEADER_BYTES, Header, Heartbeat, MassCancelRequest,
    MassQuoteCancelRequest, MassQuoteRequest, Message, NewOrderRequest, NoRoom, Quote, next_frame, order_flags,
    quote_flags, side_to_wire, time_in_force,
};
use quotes::{Place, Quotes, frozen_until, quoting, still_frozen, underlying_of};
use reports::{Reports, correlation};
use session::{Session, State, Verdict, bare};
use zerocopy::FromBytes;
use zerocopy::byteorder::little_endian::{I64, U16};

/// The protocol's part of a gateway.
#[derive(Debug)]
pub(super) struct Starbase {
    session: Session,
    quotes: Quotes,
    /// Underlyings, by bit, whose next protected order carries the end of the freeze.
    thaw_due: u16,
    /// Underlyings, by bit, whose protection this connection was asked about, and whether the group of quotes was.
    status_asked: (u16, bool),
}

impl Starbase {
    pub(super) fn new(config: SessionConfig) -> Self {
        Self { session: Session::new(config), quotes: Quotes::new(), thaw_due: 0, status_asked: (0, false) }
    }

    /// Handles one frame of the venue; on `Full` it is offered again.
    fn frame(&mut self, frame: &Frame<'_>, clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<(), Full> {
        let logging_on = matches!(self.session.state, State::LoggingOn { .. });
        let number = frame.header.sequence_number.get();
        let message = frame.message();
        if !matches!(message, Ok(Message::LoggedOut(_))) {
            match self.session.judge(frame.header) {
                Verdict::Take => {}
                Verdict::Duplicate => {
                    clerk.counters.duplicates += 1;
                    self.session.heard(clerk.time);
                    return Ok(());
                }
                Verdict::TooLow => {
                    self.session.fail(DisconnectReason::SequenceTooLow);
                    return Ok(());
                }
            }
        }
        let mut until = number.saturating_add(1);
        match message {
            Ok(Message::LoggedOut(_)) => {
                self.session.fail(DisconnectReason::LoggedOut);
                if !logging_on {
                    self.session.took_last(number);
                }
                return Ok(());
            }
            Ok(Message::LogonConf(confirmed)) if logging_on => {
                self.session.confirmed(confirmed.heartbeat_interval_seconds.get());
            }
            _ if logging_on => {
                self.session.fail(DisconnectReason::LogonExpected);
                return Ok(());
            }
            Ok(Message::GapFill(fill)) => until = fill.new_sequence_number.get().max(until),
            Ok(Message::TestRequest(test)) => {
                clerk.counters.tests_answered += 1;
                let heartbeat = Heartbeat { correlation_id: test.correlation_id };
                self.session.send_own(&heartbeat, None, clerk.time, &mut clerk.outgoing);
            }
            Ok(message) => self.report(&message, clerk, out)?,
            Err(_) => clerk.counters.malformed += 1,
        }
        clerk.counters.frames += 1;
        self.session.heard(clerk.time);
        clerk.counters.gaps += u64::from(self.session.took(number, until, clerk.time, &mut clerk.outgoing));
        Ok(())
    }

    #[inline]
    fn new_order(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::New { trail, decided, order, instrument, side, time_in_force: tif, post_only, price, lots } =
            *request
        else {
            return Ok(());
        };
        let listed = clerk.admit(self.session.is_whole(), instrument, lots)?;
        let post_only = if post_only { order_flags::POST_ONLY | order_flags::POST_ONLY_REJECT } else { 0 };
        let config = self.session.config();
        let disconnect = if config.cancel_on_disconnect { order_flags::CANCEL_ON_DISCONNECT } else { 0 };
        let is_protected = config.market_maker_protection && tif == TimeInForce::GoodTilCancel;
        let bit = 1 << listed.underlying.0;
        let protection = match (is_protected, self.thaw_due & bit != 0) {
            (false, _) => 0,
            (true, false) => order_flags::MMP,
            (true, true) => order_flags::MMP | order_flags::RESET_MMP,
        };
        let block = NewOrderRequest {
            client_order_id: number(order)?,
            correlation_id: I64::new(correlation(self.session.next_outgoing(), side)),
            instrument_id: I64::new(i64::from(listed.venue.0)),
            price: I64::new(price.0),
            quantity: amount(lots, listed.lot)?,
            show_qty: Decimal72::NULL,
            self_match_prevention_id: I64::new(config.self_match_prevention),
            side: side_to_wire(side),
            time_in_force: match tif {
                TimeInForce::ImmediateOrCancel => time_in_force::IOC,
                TimeInForce::GoodTilCancel => time_in_force::GTC,
            },
            flags: U16::new(post_only | disconnect | protection),
            self_trading_mode: 0,
        };
        self.request(&block, Note::New { order, instrument, trail, decided }, clerk)?;
        self.thaw_due &= !if is_protected { bit } else { 0 };
        clerk.counters.orders += 1;
        Ok(())
    }

    fn amend(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::Amend { order, instrument, side, price, lots, .. } = *request else { return Ok(()) };
        let listed = clerk.admit(self.session.is_whole(), instrument, lots)?;
        let block = AmendOrderRequest {
            client_order_id: number(order)?,
            correlation_id: I64::new(correlation(self.session.next_outgoing(), side)),
            instrument_id: I64::new(i64::from(listed.venue.0)),
            price: I64::new(price.0),
            quantity: amount(lots, listed.lot)?,
            show_qty: Decimal72::NULL,
            flags: U16::ZERO,
        };
        self.request(&block, Note::Amend { order, instrument }, clerk)?;
        clerk.counters.amends += 1;
        Ok(())
    }

    fn cancel(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::Cancel { order, instrument } = *request else { return Ok(()) };
        if !self.session.is_up() {
            return Err(local_reason::NOT_READY);
        }
        let listed = clerk.listing.find(instrument).ok_or(local_reason::UNKNOWN_INSTRUMENT)?;
        let correlation_id = I64::new(self.session.next_outgoing() << 1);
        let instrument_id = I64::new(i64::from(listed.venue.0));
        let note = Note::Cancel { order, instrument };
        match self.quotes.place(instrument, order) {
            Place::Nowhere => {
                let block = CancelOrderRequest { client_order_id: number(order)?, correlation_id, instrument_id };
                self.request(&block, note, clerk)?;
            }
            // The two sides share a number of ours: one of them is named by the venue's.
            Place::Standing(venue) => {
                let order_id = I64::new(venue);
                self.request(&CancelOrderByIdRequest { order_id, correlation_id, instrument_id }, note, clerk)?;
            }
            Place::Asked => return Err(local_reason::NOT_READY),
        }
        clerk.counters.cancels += 1;
        Ok(())
    }

    /// Both sides of one instrument, neither of which may take.
    fn quote(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::Quote { order, instrument, bid, ask, bid_lots, ask_lots } = *request else { return Ok(()) };
        let listed = clerk.admit(self.session.is_whole(), instrument, bid_lots.min(ask_lots))?;
        let config = self.session.config();
        let disconnect = if config.cancel_on_disconnect { order_flags::CANCEL_ON_DISCONNECT } else { 0 };
        let flags = U16::new(disconnect | order_flags::POST_ONLY | order_flags::POST_ONLY_REJECT);
        number(offer_of(order))?;
        let block = MassQuoteRequest {
            quote_id: number(order)?,
            correlation_id: I64::new(self.session.next_outgoing() << 1),
            mmp_group_id: I64::new(quoting(config.quote_group)?),
            self_match_prevention_id: I64::new(config.self_match_prevention),
            flags: 0,
        };
        let quote = Quote {
            instrument_id: I64::new(i64::from(listed.venue.0)),
            bid_price: I64::new(bid.0),
            ask_price: I64::new(ask.0),
            bid_qty: amount(bid_lots, listed.lot)?,
            ask_qty: amount(ask_lots, listed.lot)?,
            bid_flags: flags,
            ask_flags: flags,
        };
        self.request_with(&block, Note::Quote { order, instrument }, clerk, |encoder| encoder.group(&[quote]))?;
        self.quotes.asked(instrument, order);
        clerk.counters.quotes += 1;
        Ok(())
    }

    /// Quotes thaw at once, by a mass quote of nothing. Orders thaw with the next that carries the wish: from here on one
    /// may leave.
    fn thaw(&mut self, scope: Protected, clerk: &mut Clerk) -> Result<(), u8> {
        if clerk.is_shut() {
            return Err(local_reason::KILLED);
        }
        if !self.session.is_whole() {
            return Err(local_reason::NOT_READY);
        }
        match scope {
            Protected::Orders { underlying } if self.session.config().market_maker_protection => {
                self.thaw_due |= 1u16.checked_shl(underlying.0.into()).ok_or(local_reason::OUT_OF_RANGE)?;
                clerk.owe(Body::Protection { scope, until: Nanos(0) });
                Ok(())
            }
            Protected::Quotes { group } if group != 0 && group == self.session.config().quote_group => {
                let number = self.session.next_outgoing();
                let block = MassQuoteRequest {
                    quote_id: I64::new(0),
                    correlation_id: I64::new(number << 1),
                    mmp_group_id: I64::new(group),
                    self_match_prevention_id: I64::new(self.session.config().self_match_prevention),
                    flags: quote_flags::RESET_MMP,
                };
                self.request_with(&block, Note::Thaw, clerk, |encoder| encoder.group::<Quote>(&[]))
            }
            _ => Err(local_reason::UNSUPPORTED),
        }
    }

    /// Asks, once a connection, how the protection of each underlying listed and of the quotes stands.
    fn ask_protection(&mut self, clerk: &mut Clerk) {
        let config = *self.session.config();
        let pending = config.market_maker_protection || config.quote_group != 0;
        if !pending || !self.session.is_up() {
            return;
        }
        let correlation_id = I64::new(0);
        if config.quote_group != 0 && !self.status_asked.1 {
            let block = GetMassQuoteMmpStatusRequest { correlation_id, mmp_group_id: I64::new(config.quote_group) };
            self.status_asked.1 =
                self.session.send(&block, None, Note::Session, clerk.time, &mut clerk.outgoing).is_ok();
        }
        if !config.market_maker_protection {
            return;
        }
        for underlying in clerk.listing.underlyings() {
            let bit = 1 << underlying.0;
            if self.status_asked.0 & bit == 0 {
                let currency_pair_id = I64::new(config.pair_of(underlying, clerk.listing.symbol_of(underlying)));
                let block = GetOrdersMmpStatusRequest { correlation_id, currency_pair_id };
                let sent = self.session.send(&block, None, Note::Session, clerk.time, &mut clerk.outgoing).is_ok();
                self.status_asked.0 |= if sent { bit } else { 0 };
            }
        }
    }

    /// Encodes one request, and keeps under its number whose it is.
    #[inline]
    fn request<B: Block>(&mut self, block: &B, note: Note, clerk: &mut Clerk) -> Result<(), u8> {
        self.request_with(block, note, clerk, bare)
    }

    #[inline]
    fn request_with<B: Block>(
        &mut self,
        block: &B,
        note: Note,
        clerk: &mut Clerk,
        tail: impl Fn(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) -> Result<(), u8> {
        let number = self.session.next_outgoing();
        let sent = self.session.send_with(block, note, clerk.time, &mut clerk.outgoing, tail);
        sent.map_err(|_| local_reason::BUFFER_FULL)?;
        clerk.note(number, note);
        Ok(())
    }

    /// Answers a request that the venue refused as a whole.
    fn refused(
        &mut self,
        request: Option<Note>,
        reason: u8,
        clerk: &mut Clerk,
        out: &mut impl Outbox<Event>,
    ) -> Result<(), Full> {
        let mut delivery = clerk.delivery(out);
        for answer in request.iter().flat_map(|note| refusals(note, reason)) {
            delivery.deliver(answer)?;
        }
        match request {
            Some(Note::Quote { instrument, .. }) => self.quotes.refused(instrument),
            Some(Note::Thaw) => clerk.counters.thaws_refused += 1,
            _ => {}
        }
        Ok(())
    }

    fn report(&mut self, message: &Message<'_>, clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<(), Full> {
        let request = match message {
            Message::Reject(reject, _) => clerk.noted(reject.ref_sequence_number.get()),
            Message::CancelOrderReject(r, _) => clerk.noted(r.correlation_id.get() >> 1),
            Message::MassQuoteReject(r, _) => clerk.noted(r.correlation_id.get() >> 1),
            _ => None,
        };
        let frozen = match message {
            Message::OrdersMmpTriggered(r) => Some(r.currency_pair_id.get()),
            Message::OrdersMmpUnfrozen(r) => Some(r.currency_pair_id.get()),
            Message::GetOrdersMmpStatusResponse(r) => Some(r.currency_pair_id.get()),
            _ => None,
        };
        let frozen = frozen.and_then(|pair| underlying_of(self.session.config(), &clerk.listing, pair));
        let quotes = &mut self.quotes;
        let mut reports = Reports(clerk.delivery(out));
        match message {
            Message::NewOrderResponse(r, fills) => reports.new_order(r, fills)?,
            Message::NewOrderReject(r, _) => reports.new_order_reject(r)?,
            Message::OrderFilled(_, fills) => reports.filled(fills, quotes)?,
            Message::OrdersCanceled(_, orders) => reports.canceled(orders, quotes)?,
            Message::OrderPlaced(r, fills) => reports.placed(r, fills)?,
            Message::AmendOrderResponse(r, fills) => reports.amended(r, fills)?,
            Message::AmendOrderReject(r, _) => reports.amend_reject(r)?,
            Message::CancelOrderResponse(r) => reports.cancel(r, quotes)?,
            Message::CancelOrderReject(r, _) => reports.cancel_reject(r, request)?,
            Message::MassQuoteResponse(r, groups) => reports.quoted(r, groups, quotes)?,
            Message::MassQuoteOrdersPlaced(_, orders, fills) => reports.quotes_placed(orders, fills)?,
            Message::MassQuoteReject(r, _) => self.refused(request, r.reason as u8, clerk, out)?,
            Message::MassQuoteMmpTriggered(r) => {
                let scope = Protected::Quotes { group: r.mmp_group_id.get() };
                reports.protection(Some(scope), frozen_until(r.frozen_until.get()))?;
            }
            Message::OrdersMmpTriggered(r) => {
                reports.protection(frozen, frozen_until(r.frozen_until.get()))?;
            }
            Message::MassQuoteMmpUnfrozen(r) => {
                reports.protection(Some(Protected::Quotes { group: r.mmp_group_id.get() }), Nanos(0))?;
            }
            Message::OrdersMmpUnfrozen(_) => reports.protection(frozen, Nanos(0))?,
            Message::GetMassQuoteMmpStatusResponse(r) => {
                let scope = Protected::Quotes { group: r.mmp_group_id.get() };
                reports.protection(Some(scope), still_frozen(r.frozen_until_time.get()))?;
            }
            Message::GetOrdersMmpStatusResponse(r) => {
                reports.protection(frozen, still_frozen(r.frozen_until_time.get()))?;
            }
            Message::GetMassQuoteMmpStatusReject(_) | Message::GetOrdersMmpStatusReject(_) => {
                clerk.counters.protection_unknown += 1;
            }
            Message::Reject(..) => {
                self.refused(request, local_reason::UNREADABLE, clerk, out)?;
                clerk.counters.rejects += 1;
            }
            Message::MassCancelReject(..) => clerk.counters.mass_cancel_rejects += 1,
            Message::MassCancelResponse(_) | Message::Heartbeat(_) => {}
            _ => clerk.counters.unused_types += 1,
        }
        Ok(())
    }
}

impl Protocol for Starbase {
    fn connected(&mut self, clerk: &mut Clerk) {
        self.status_asked = (0, false);
        self.session.connected(clerk.time, &mut clerk.outgoing);
    }

    fn disconnected(&mut self, unsent: Option<i64>) {
        self.quotes.forget_asked();
        self.session.disconnected(unsent);
    }

    #[inline]
    fn send(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        match request {
            Request::New { .. } => self.new_order(request, clerk),
            Request::Amend { .. } => self.amend(request, clerk),
            Request::Cancel { .. } => self.cancel(request, clerk),
            Request::Quote { .. } => self.quote(request, clerk),
            Request::Thaw { scope } => self.thaw(*scope, clerk),
            Request::CancelAll => Ok(()),
        }
    }

    /// One message an underlying, and one for the quotes; it stays due until all of them fit.
    fn cancel_all(&mut self, clerk: &mut Clerk) {
        if !clerk.cancel_all_due || !self.session.is_up() {
            return;
        }
        for underlying in clerk.listing.underlyings() {
            let block = MassCancelRequest {
                correlation_id: I64::new(self.session.next_outgoing() << 1),
                currency_pair_id: I64::new(
                    self.session.config().pair_of(underlying, clerk.listing.symbol_of(underlying)),
                ),
                instrument_id: I64::ZERO,
                product_type: 0,
                side: 0,
            };
            if self.session.send(&block, None, Note::CancelAll, clerk.time, &mut clerk.outgoing).is_err() {
                return;
            }
            clerk.counters.cancels += 1;
        }
        if let Ok(group) = quoting(self.session.config().quote_group) {
            let correlation_id = I64::new(self.session.next_outgoing() << 1);
            let block = MassQuoteCancelRequest { correlation_id, mmp_group_id: I64::new(group), side: 0 };
            if self.session.send(&block, None, Note::CancelAll, clerk.time, &mut clerk.outgoing).is_err() {
                return;
            }
            clerk.counters.cancels += 1;
        }
        clerk.cancel_all_due = false;
    }

    fn withdraw_orders(&mut self, clerk: &mut Clerk) {
        clerk.withdraw_orders(hollow);
    }

    /// The venue never asks for a resend.
    fn hold_orders(&mut self, _hold: bool) {}

    #[inline]
    fn receive(&mut self, stream: &[u8], clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<usize, Full> {
        match next_frame(stream) {
            Ok(Some(frame)) => self.frame(&frame, clerk, out).map(|()| frame.bytes()),
            Ok(None) => Ok(0),
            Err(_) => {
                self.session.fail(DisconnectReason::Framing);
                Ok(0)
            }
        }
    }

    fn tick(&mut self, clerk: &mut Clerk) {
        self.session.tick(clerk.time, &mut clerk.outgoing);
        self.ask_protection(clerk);
    }

    fn log_out(&mut self, reason: &[u8], clerk: &mut Clerk) {
        self.session.log_out(reason, clerk.time, &mut clerk.outgoing);
    }

    fn is_down(&self) -> bool {
        self.session.state == State::Down
    }

    fn is_up(&self) -> bool {
        self.session.is_up()
    }

    fn is_whole(&self) -> bool {
        self.session.is_whole()
    }

    fn failed(&self) -> Option<DisconnectReason> {
        self.session.failed
    }

    fn failed_before(&self) -> Option<DisconnectReason> {
        self.session.failed_before
    }

    fn numbers(&self) -> SequenceNumbers {
        self.session.numbers()
    }
}

fn number(order: ClientOrderId) -> Result<I64, u8> {
    i64::try_from(order.0).map(I64::new).map_err(|_| local_reason::OUT_OF_RANGE)
}

fn amount(lots: u32, lot: Quantity) -> Result<Decimal72, u8> {
    let lots = if canary!(OversizedOrder) { 2 * lots } else { lots };
    let quantity = Lots(i64::from(lots)).to_quantity(lot);
    if quantity.0 == i64::MAX { Err(local_reason::OUT_OF_RANGE) } else { Ok(quantity.into()) }
}

/// Overwrites a longer message with a heartbeat under the same number; its length.
fn hollow(message: &mut [u8]) -> usize {
    const LENGTH: usize = HEADER_BYTES + size_of::<Heartbeat>();
    const { assert!(LENGTH < HEADER_BYTES + size_of::<CancelOrderRequest>()) };
    if let Ok((header, rest)) = Header::mut_from_prefix(message) {
        header.message_type_id = U16::new(Heartbeat::TYPE);
        header.message_length = U16::new(LENGTH as u16);
        rest[..size_of::<Heartbeat>()].fill(0);
    }
    LENGTH
}
