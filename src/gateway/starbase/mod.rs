//! The binary order session: numbers both ways, resends asked of the venue, requests and reports as fixed blocks.

mod config;
mod reports;
mod sequence;
mod session;

pub use config::{ConfigError, SessionConfig};

use super::clerk::{Clerk, refusals};
use super::local_reason;
use super::numbers::SequenceNumbers;
use super::outgoing::Note;
use super::reasons::DisconnectReason;
use super::stage::Protocol;
use crate::canary::canary;
use crate::event::Event;
use crate::order::{Request, TimeInForce};
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, Lots, Quantity};
use crate::wire::starbase::orders::{
    AmendOrderRequest, Block, CancelOrderRequest, Decimal72, Frame, HEADER_BYTES, Header, Heartbeat, MassCancelRequest,
    Message, NewOrderRequest, next_frame, order_flags, side_to_wire, time_in_force,
};
use reports::{Reports, correlation};
use session::{Session, State, Verdict};
use zerocopy::FromBytes;
use zerocopy::byteorder::little_endian::{I64, U16};

/// The protocol's part of a gateway.
#[derive(Debug)]
pub(super) struct Starbase {
    session: Session,
}

impl Starbase {
    pub(super) fn new(config: SessionConfig) -> Self {
        Self { session: Session::new(config) }
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
            Ok(message) => report(&message, clerk, out)?,
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
        let protection = if is_protected { order_flags::MMP } else { 0 };
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
        let block = CancelOrderRequest {
            client_order_id: number(order)?,
            correlation_id: I64::new(self.session.next_outgoing() << 1),
            instrument_id: I64::new(i64::from(listed.venue.0)),
        };
        self.request(&block, Note::Cancel { order, instrument }, clerk)?;
        clerk.counters.cancels += 1;
        Ok(())
    }

    /// Encodes one request, and keeps under its number whose it is.
    #[inline]
    fn request<B: Block>(&mut self, block: &B, note: Note, clerk: &mut Clerk) -> Result<(), u8> {
        let number = self.session.next_outgoing();
        let sent = self.session.send(block, None, note, clerk.time, &mut clerk.outgoing);
        sent.map_err(|_| local_reason::BUFFER_FULL)?;
        clerk.note(number, note);
        Ok(())
    }
}

impl Protocol for Starbase {
    fn connected(&mut self, clerk: &mut Clerk) {
        self.session.connected(clerk.time, &mut clerk.outgoing);
    }

    fn disconnected(&mut self, unsent: Option<i64>) {
        self.session.disconnected(unsent);
    }

    #[inline]
    fn send(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        match request {
            Request::New { .. } => self.new_order(request, clerk),
            Request::Amend { .. } => self.amend(request, clerk),
            Request::Cancel { .. } => self.cancel(request, clerk),
            Request::Quote { .. } | Request::Thaw { .. } => Err(local_reason::UNSUPPORTED),
            Request::CancelAll => Ok(()),
        }
    }

    /// One message an underlying; it stays due until all of them fit.
    fn cancel_all(&mut self, clerk: &mut Clerk) {
        if !clerk.cancel_all_due || !self.session.is_up() {
            return;
        }
        for underlying in clerk.listing.underlyings() {
            let block = MassCancelRequest {
                correlation_id: I64::new(self.session.next_outgoing() << 1),
                currency_pair_id: I64::new(self.session.config().currency_pairs[underlying.index()]),
                instrument_id: I64::ZERO,
                product_type: 0,
                side: 0,
            };
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

fn report(message: &Message<'_>, clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<(), Full> {
    let unreadable = match message {
        Message::Reject(reject, _) => clerk.noted(reject.ref_sequence_number.get()),
        _ => None,
    };
    let mut reports = Reports(clerk.delivery(out));
    match message {
        Message::NewOrderResponse(r, fills) => reports.new_order(r, fills)?,
        Message::NewOrderReject(r, _) => reports.new_order_reject(r)?,
        Message::OrderFilled(_, fills) => reports.filled(fills)?,
        Message::OrdersCanceled(_, orders) => reports.canceled(orders)?,
        Message::OrderPlaced(r, fills) => reports.placed(r, fills)?,
        Message::AmendOrderResponse(r, fills) => reports.amended(r, fills)?,
        Message::AmendOrderReject(r, _) => reports.amend_reject(r)?,
        Message::CancelOrderResponse(r) => reports.cancel(r)?,
        Message::CancelOrderReject(r, _) => reports.cancel_reject(r)?,
        Message::Reject(..) => {
            for answer in unreadable.iter().flat_map(|note| refusals(note, local_reason::UNREADABLE)) {
                reports.0.deliver(answer)?;
            }
            clerk.counters.rejects += 1;
        }
        Message::MassCancelReject(..) => clerk.counters.mass_cancel_rejects += 1,
        Message::MassCancelResponse(_) | Message::Heartbeat(_) => {}
        _ => clerk.counters.unused_types += 1,
    }
    Ok(())
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
