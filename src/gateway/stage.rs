//! The stage itself.

use super::config::{SequenceNumbers, SessionConfig};
use super::listing::{Listed, Listing};
use super::local_reason;
use super::outgoing::{FRAMES_MAX, Note, OrderTraffic, Outgoing, SentOrder};
use super::queue::Queue;
use super::reports::{Reports, correlation};
use super::session::{DisconnectReason, Session, State, Verdict};
use crate::event::{Body, Event, KillLevel, Trail};
use crate::order::{Request, TimeInForce};
use crate::risk::Instruction;
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, InstrumentId, Lots, Nanos, Quantity, Ticks};
use crate::wire::starbase::orders::{
    AmendOrderRequest, Block, CancelOrderRequest, Decimal72, Frame, Heartbeat, MassCancelRequest, Message,
    NewOrderRequest, next_frame, order_flags, side_to_wire, time_in_force,
};
use zerocopy::byteorder::little_endian::{I64, U16};

/// Answers that wait for room in the outbox: those of a lost connection for every frame it hands back, and as many again.
const OWED_MAX: usize = 2 * FRAMES_MAX;
/// Answers that one call may add beyond one for each frame.
const OWED_SPARE: usize = 8;
/// Requests whose number is remembered, for a session-level reject.
const REQUESTS_MAX: usize = 1_024;

/// What was counted since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayCounters {
    /// Orders encoded.
    pub orders: u64,
    /// Amendments encoded.
    pub amends: u64,
    /// Cancels encoded, mass cancels included.
    pub cancels: u64,
    /// Requests answered with a [`local_reason`].
    pub refused: u64,
    /// Frames of the venue taken.
    pub frames: u64,
    /// Frames seen before, passed over.
    pub duplicates: u64,
    /// Frames beyond a gap.
    pub gaps: u64,
    /// Session-level rejects.
    pub rejects: u64,
    /// Mass cancels refused by the venue.
    pub mass_cancel_rejects: u64,
    /// Messages of a type this session does not use.
    pub unused_types: u64,
    /// Messages not laid out as their type says.
    pub malformed: u64,
    /// Reports on instruments that were never listed.
    pub unknown_instruments: u64,
    /// Fills and amounts that are no whole lots, have no side, or do not fit an event.
    pub unrepresentable: u64,
    /// Reference data that the tables refused.
    pub listings_refused: u64,
    /// Test requests of the venue answered.
    pub tests_answered: u64,
    /// Connections lost or closed.
    pub disconnects: u64,
    /// Answers that found no room, because instructions came against [`Gateway::has_room`]. Anything but zero is a defect.
    pub answers_lost: u64,
}

impl GatewayCounters {
    /// Whether an execution may have gone by unseen.
    fn untrusted(&self) -> bool {
        self.malformed + self.unknown_instruments + self.unrepresentable > 0
    }
}

/// One order session. See the [module](super) for its contract.
#[derive(Debug)]
pub struct Gateway {
    session: Session,
    outgoing: Outgoing,
    listing: Listing,
    /// By sequence number modulo the length: number, and whose request it was.
    requests: Box<[(i64, Note)]>,
    owed: Queue<Event>,
    counters: GatewayCounters,
    time: Nanos,
    /// Reports of the frame at the head of the stream that were delivered.
    delivered: usize,
    /// Whether the hedge believes the session up.
    announced: bool,
    /// A mass cancel waits for the session, or for room.
    cancel_all_due: bool,
    level: KillLevel,
    shut_at: Option<OrderTraffic>,
}

impl Gateway {
    /// A session that is down. Allocates all it will ever use.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            session: Session::new(config),
            outgoing: Outgoing::new(),
            listing: Listing::new(),
            requests: vec![(0, Note::Session); REQUESTS_MAX].into_boxed_slice(),
            owed: Queue::new(OWED_MAX, Event { trail: Trail::default(), time: Nanos(0), body: Body::Clock }),
            counters: GatewayCounters::default(),
            time: Nanos(0),
            delivered: 0,
            announced: false,
            cancel_all_due: false,
            level: KillLevel::Open,
            shut_at: None,
        }
    }

    /// The connection stands: asks to log on.
    pub fn connected(&mut self, time: Nanos) {
        self.time = time;
        self.delivered = 0;
        self.session.connected(time, &mut self.outgoing);
    }

    /// The connection is gone. What was not wholly written is answered as never sent; what was written keeps its fate
    /// until the venue tells it.
    pub fn disconnected(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        self.time = time;
        self.delivered = 0;
        self.counters.disconnects += 1;
        let mut unsent = None;
        while let Some(framed) = self.outgoing.take_back() {
            unsent = Some(framed.sequence);
            match framed.note {
                Note::New { order, instrument, .. } => {
                    self.refuse(Body::Rejected { order, instrument, reason: local_reason::NEVER_SENT });
                }
                Note::Amend { order, instrument } => {
                    self.refuse(Body::AmendRejected { order, instrument, reason: local_reason::NEVER_SENT });
                }
                Note::Cancel { order, instrument } => {
                    self.refuse(Body::CancelRejected { order, instrument, reason: local_reason::NEVER_SENT });
                }
                Note::CancelAll => self.cancel_all_due = true,
                Note::Session => {}
            }
        }
        self.session.disconnected(unsent);
        self.announce();
        self.flush(out);
    }

    /// Whether the answers that an instruction may need have room. While they have not, instructions wait.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.owed.room() >= self.outgoing.frames() + OWED_SPARE
    }

    /// Takes an instruction; an order that cannot be sent is answered with a [`local_reason`].
    #[inline]
    pub fn step(&mut self, instruction: &Instruction, time: Nanos, out: &mut impl Outbox<Event>) {
        self.time = time;
        match instruction {
            Instruction::Reference { instrument, underlying, venue, lot, .. } => {
                let listed = Listed { instrument: *instrument, underlying: *underlying, venue: *venue, lot: *lot };
                if self.listing.put(listed).is_err() {
                    self.counters.listings_refused += 1;
                }
            }
            Instruction::Send(approved) => {
                if let Err(answer) = self.send(approved.request()) {
                    self.refuse(answer);
                    self.flush(out);
                }
            }
            Instruction::Level(level) => {
                self.set_level(*level);
                self.flush(out);
            }
        }
    }

    /// Stamps what the last step encoded.
    #[inline]
    pub fn encoded(&mut self, at: Ticks) {
        self.outgoing.stamp_encoded(at);
    }

    /// Bytes for the socket, oldest first.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        self.outgoing.pending()
    }

    /// The socket took this many of the pending bytes. Each order whose last byte is among them is reported `Sent`.
    pub fn written(&mut self, bytes: usize, at: Ticks, out: &mut impl Outbox<Event>) {
        self.outgoing.advance(bytes, at);
        self.flush(out);
    }

    /// Handles the whole frames at the start of `bytes` and returns how many bytes they took. The rest is to be offered
    /// again, with what arrived since: an incomplete frame, or one whose reports the outbox has no room for.
    pub fn receive(&mut self, bytes: &[u8], time: Nanos, out: &mut impl Outbox<Event>) -> usize {
        self.time = time;
        let mut consumed = 0;
        while self.session.failed.is_none() && self.session.state != State::Down && self.flush(out) {
            match next_frame(&bytes[consumed..]) {
                Ok(Some(frame)) => match self.frame(&frame, out) {
                    Ok(()) => {
                        consumed += frame.bytes();
                        self.delivered = 0;
                    }
                    Err(Full) => break,
                },
                Ok(None) => break,
                Err(_) => self.session.fail(DisconnectReason::Framing),
            }
        }
        self.announce();
        self.flush(out);
        consumed
    }

    /// Time passes: heartbeats, test requests, time-outs, and what waits for room.
    pub fn tick(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        self.time = time;
        self.session.tick(time, &mut self.outgoing);
        self.cancel_all();
        self.announce();
        self.flush(out);
    }

    /// How much may still leave.
    pub fn level(&self) -> KillLevel {
        self.level
    }

    /// What had been handed to the socket of orders and amendments when the way out was last shut. While it is shut, no
    /// more follows.
    pub fn shut_at(&self) -> Option<OrderTraffic> {
        self.shut_at
    }

    /// What was handed to the socket of orders and amendments.
    pub fn order_traffic(&mut self) -> OrderTraffic {
        self.outgoing.order_traffic()
    }

    fn is_shut(&self) -> bool {
        self.level >= KillLevel::Pause
    }

    /// Asks the venue to end the session; [`wants_disconnect`](Self::wants_disconnect) follows.
    pub fn log_out(&mut self, time: Nanos) {
        self.time = time;
        self.session.log_out(b"done", time, &mut self.outgoing);
        self.announce();
    }

    /// Whether a new order would be encoded.
    pub fn ready(&self) -> bool {
        self.session.is_whole() && !self.counters.untrusted() && !self.is_shut()
    }

    /// Between [`connected`](Self::connected) and [`disconnected`](Self::disconnected).
    pub fn is_connected(&self) -> bool {
        self.session.state != State::Down
    }

    /// Whether the connection has to be closed.
    pub fn wants_disconnect(&self) -> bool {
        self.session.failed.is_some()
    }

    /// Why it has to be, or why the one before was.
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        self.session.failed.or(self.session.failed_before)
    }

    /// The next number of each direction, from which a later process may resume.
    pub fn sequence_numbers(&self) -> SequenceNumbers {
        self.session.numbers()
    }

    /// What was counted.
    pub fn counters(&self) -> &GatewayCounters {
        &self.counters
    }

    /// Encodes a request, or says why not.
    #[inline]
    fn send(&mut self, request: &Request) -> Result<(), Body> {
        match *request {
            Request::New { order, instrument, .. } => {
                self.new_order(request).map_err(|reason| Body::Rejected { order, instrument, reason })
            }
            Request::Amend { order, instrument, .. } => {
                self.amend(request).map_err(|reason| Body::AmendRejected { order, instrument, reason })
            }
            Request::Cancel { order, instrument } => {
                self.cancel(order, instrument).map_err(|reason| Body::CancelRejected { order, instrument, reason })
            }
            Request::CancelAll => {
                self.cancel_all_due = true;
                self.cancel_all();
                Ok(())
            }
        }
    }

    #[inline]
    fn new_order(&mut self, request: &Request) -> Result<(), u8> {
        let Request::New { trail, decided, order, instrument, side, time_in_force: tif, post_only, price, lots } =
            *request
        else {
            return Ok(());
        };
        let (listed, number, quantity) = self.admit(order, instrument, lots)?;
        let post_only = if post_only { order_flags::POST_ONLY | order_flags::POST_ONLY_REJECT } else { 0 };
        let disconnect = if self.session.config().cancel_on_disconnect { order_flags::CANCEL_ON_DISCONNECT } else { 0 };
        let block = NewOrderRequest {
            client_order_id: I64::new(number),
            correlation_id: I64::new(correlation(self.session.next_outgoing(), side)),
            instrument_id: I64::new(i64::from(listed.venue.0)),
            price: I64::new(price.0),
            quantity: quantity.into(),
            show_qty: Decimal72::NULL,
            self_match_prevention_id: I64::ZERO,
            side: side_to_wire(side),
            time_in_force: match tif {
                TimeInForce::ImmediateOrCancel => time_in_force::IOC,
                TimeInForce::GoodTilCancel => time_in_force::GTC,
            },
            flags: U16::new(post_only | disconnect),
            self_trading_mode: 0,
        };
        let note = Note::New { order, instrument, trail, decided };
        self.request(&block, note)?;
        self.counters.orders += 1;
        Ok(())
    }

    fn amend(&mut self, request: &Request) -> Result<(), u8> {
        let Request::Amend { order, instrument, side, price, lots, .. } = *request else { return Ok(()) };
        let (listed, number, quantity) = self.admit(order, instrument, lots)?;
        let block = AmendOrderRequest {
            client_order_id: I64::new(number),
            correlation_id: I64::new(correlation(self.session.next_outgoing(), side)),
            instrument_id: I64::new(i64::from(listed.venue.0)),
            price: I64::new(price.0),
            quantity: quantity.into(),
            show_qty: Decimal72::NULL,
            flags: U16::ZERO,
        };
        self.request(&block, Note::Amend { order, instrument })?;
        self.counters.amends += 1;
        Ok(())
    }

    /// What the wire needs of an order that may leave now.
    #[inline]
    fn admit(&self, order: ClientOrderId, instrument: InstrumentId, lots: u32) -> Result<(Listed, i64, Quantity), u8> {
        if self.is_shut() {
            return Err(local_reason::KILLED);
        }
        if !self.session.is_whole() {
            return Err(local_reason::NOT_READY);
        }
        if self.counters.untrusted() {
            return Err(local_reason::UNTRUSTED);
        }
        let listed = *self.listing.find(instrument).ok_or(local_reason::UNKNOWN_INSTRUMENT)?;
        let quantity = Lots(i64::from(lots)).to_quantity(listed.lot);
        let number = i64::try_from(order.0).map_err(|_| local_reason::OUT_OF_RANGE)?;
        if lots == 0 || quantity.0 == i64::MAX {
            return Err(local_reason::OUT_OF_RANGE);
        }
        Ok((listed, number, quantity))
    }

    /// Shuts or opens the way out for orders; what waits in the send buffer is taken back. A halt is for good.
    fn set_level(&mut self, level: KillLevel) {
        if self.level == KillLevel::Halt || self.level == level {
            return;
        }
        self.level = level;
        if !self.is_shut() {
            return;
        }
        let Self { outgoing, owed, counters, time, .. } = self;
        outgoing.withdraw_orders(|note| {
            let reason = local_reason::KILLED;
            let body = match note {
                Note::New { order, instrument, .. } => Body::Rejected { order, instrument, reason },
                Note::Amend { order, instrument } => Body::AmendRejected { order, instrument, reason },
                Note::Cancel { .. } | Note::CancelAll | Note::Session => return,
            };
            counters.refused += 1;
            counters.answers_lost += u64::from(!owed.push(Event { trail: Trail::default(), time: *time, body }));
        });
        self.shut_at = Some(self.outgoing.order_traffic());
    }

    fn cancel(&mut self, order: ClientOrderId, instrument: InstrumentId) -> Result<(), u8> {
        if !self.session.is_up() {
            return Err(local_reason::NOT_READY);
        }
        let listed = self.listing.find(instrument).ok_or(local_reason::UNKNOWN_INSTRUMENT)?;
        let block = CancelOrderRequest {
            client_order_id: I64::new(i64::try_from(order.0).map_err(|_| local_reason::OUT_OF_RANGE)?),
            correlation_id: I64::new(self.session.next_outgoing() << 1),
            instrument_id: I64::new(i64::from(listed.venue.0)),
        };
        let note = Note::Cancel { order, instrument };
        self.request(&block, note)?;
        self.counters.cancels += 1;
        Ok(())
    }

    /// Sends the mass cancel that is due, one message an underlying; it stays due until all of them fit.
    fn cancel_all(&mut self) {
        if !self.cancel_all_due || !self.session.is_up() {
            return;
        }
        for underlying in self.listing.underlyings() {
            let block = MassCancelRequest {
                correlation_id: I64::new(self.session.next_outgoing() << 1),
                currency_pair_id: I64::new(self.session.config().currency_pairs[underlying.index()]),
                instrument_id: I64::ZERO,
                product_type: 0,
                side: 0,
            };
            if self.session.send(&block, None, Note::CancelAll, self.time, &mut self.outgoing).is_err() {
                return;
            }
            self.counters.cancels += 1;
        }
        self.cancel_all_due = false;
    }

    /// Handles one frame of the venue; on `Full` it is offered again.
    fn frame(&mut self, frame: &Frame<'_>, out: &mut impl Outbox<Event>) -> Result<(), Full> {
        let logging_on = matches!(self.session.state, State::LoggingOn { .. });
        let number = frame.header.sequence_number.get();
        let message = frame.message();
        if !matches!(message, Ok(Message::LoggedOut(_))) {
            match self.session.judge(frame.header) {
                Verdict::Take => {}
                Verdict::Duplicate => {
                    self.counters.duplicates += 1;
                    self.session.heard(self.time);
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
                self.counters.tests_answered += 1;
                let heartbeat = Heartbeat { correlation_id: test.correlation_id };
                self.session.send_own(&heartbeat, None, self.time, &mut self.outgoing);
            }
            Ok(message) => self.report(&message, out)?,
            Err(_) => self.counters.malformed += 1,
        }
        self.counters.frames += 1;
        self.session.heard(self.time);
        self.counters.gaps += u64::from(self.session.took(number, until, self.time, &mut self.outgoing));
        self.cancel_all();
        Ok(())
    }

    fn report(&mut self, message: &Message<'_>, out: &mut impl Outbox<Event>) -> Result<(), Full> {
        let unreadable = match message {
            Message::Reject(reject, _) => self.unreadable(reject.ref_sequence_number.get()),
            _ => None,
        };
        let mut reports = Reports {
            out,
            listing: &self.listing,
            counters: &mut self.counters,
            delivered: &mut self.delivered,
            met: 0,
            time: self.time,
        };
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
                if let Some(answer) = unreadable {
                    reports.deliver(answer)?;
                }
                self.counters.rejects += 1;
            }
            Message::MassCancelReject(..) => self.counters.mass_cancel_rejects += 1,
            Message::MassCancelResponse(_) | Message::Heartbeat(_) => {}
            _ => self.counters.unused_types += 1,
        }
        Ok(())
    }

    /// Encodes one request, and keeps under its number whose it is.
    #[inline]
    fn request<B: Block>(&mut self, block: &B, note: Note) -> Result<(), u8> {
        let number = self.session.next_outgoing();
        self.session.send(block, None, note, self.time, &mut self.outgoing).map_err(|_| local_reason::BUFFER_FULL)?;
        self.requests[number as usize % REQUESTS_MAX] = (number, note);
        Ok(())
    }

    /// The answer to the request that the venue could not read.
    fn unreadable(&self, number: i64) -> Option<Body> {
        let reason = local_reason::UNREADABLE;
        match self.requests[number as usize % REQUESTS_MAX] {
            (known, Note::New { order, instrument, .. }) if known == number => {
                Some(Body::Rejected { order, instrument, reason })
            }
            (known, Note::Amend { order, instrument }) if known == number => {
                Some(Body::AmendRejected { order, instrument, reason })
            }
            (known, Note::Cancel { order, instrument }) if known == number => {
                Some(Body::CancelRejected { order, instrument, reason })
            }
            _ => None,
        }
    }

    /// Owes the hedge an answer of our own.
    fn refuse(&mut self, body: Body) {
        self.counters.refused += 1;
        self.owe(body);
    }

    /// Owes the hedge the news that the session came or went.
    fn announce(&mut self) {
        let up = if self.announced { self.session.is_up() } else { self.session.is_whole() };
        if up != self.announced {
            self.announced = up;
            self.owe(Body::Session { up });
        }
    }

    fn owe(&mut self, body: Body) {
        let kept = self.owed.push(Event { trail: Trail::default(), time: self.time, body });
        self.counters.answers_lost += u64::from(!kept);
    }

    /// Delivers `Sent`s, then answers owed; false when the outbox is full.
    #[inline]
    fn flush(&mut self, out: &mut impl Outbox<Event>) -> bool {
        while let Some(SentOrder { order, trail, decided, encoded, written }) = self.outgoing.next_sent() {
            let body = Body::Sent { order, decided, encoded, written };
            if out.send(Event { trail, time: self.time, body }).is_err() {
                return false;
            }
            self.outgoing.forget_sent();
        }
        while let Some(event) = self.owed.oldest() {
            if out.send(*event).is_err() {
                return false;
            }
            self.owed.drop_oldest();
        }
        true
    }
}
