//! What a session needs whatever its protocol: the way out, whose request is under which number, answers owed.

use super::counters::GatewayCounters;
use super::delivery::Delivery;
use super::listing::{Listed, Listing};
use super::local_reason;
use super::outgoing::{FRAMES_MAX, Note, OrderTraffic, Outgoing, SentOrder};
use super::queue::Queue;
use crate::event::{Body, Event, KillLevel, Trail};
use crate::order::{Request, TIME_IN_FORCE_ENDED, UNKNOWN_TO_VENUE, offer_of};
use crate::stage::Outbox;
use crate::units::{ClientOrderId, InstrumentId, Nanos};

/// Answers that one frame may need: a quote is two orders.
const ANSWERS_MAX: usize = 2;
/// Answers that wait for room in the outbox: those of a lost connection for every frame it hands back, and as many again.
const OWED_MAX: usize = 2 * ANSWERS_MAX * FRAMES_MAX;
/// Answers that one call may add beyond those of each frame.
const OWED_SPARE: usize = 8;
/// Requests whose number is remembered, for a session-level reject.
const REQUESTS_MAX: usize = 1_024;
/// What stands under a number that no request has.
const NOBODY: (i64, Note) = (0, Note::Session);

#[derive(Debug)]
pub(super) struct Clerk {
    pub(super) outgoing: Outgoing,
    pub(super) listing: Listing,
    pub(super) counters: GatewayCounters,
    pub(super) time: Nanos,
    /// When the first connection stood.
    first_connected: Option<Nanos>,
    /// Reports of the frame at the head of the stream that were delivered.
    pub(super) delivered: usize,
    /// A mass cancel waits for the session, or for room.
    pub(super) cancel_all_due: bool,
    /// By sequence number modulo the length: number, and whose request it was.
    requests: Box<[(i64, Note)]>,
    owed: Queue<Event>,
    /// Whether the hedge believes the session up.
    announced: bool,
    pub(super) level: KillLevel,
    pub(super) shut_at: Option<OrderTraffic>,
}

impl Clerk {
    pub(super) fn new() -> Self {
        Self {
            outgoing: Outgoing::new(),
            listing: Listing::new(),
            counters: GatewayCounters::default(),
            time: Nanos(0),
            first_connected: None,
            delivered: 0,
            cancel_all_due: false,
            requests: vec![NOBODY; REQUESTS_MAX].into_boxed_slice(),
            owed: Queue::new(OWED_MAX, Event::clock(Nanos(0))),
            announced: false,
            level: KillLevel::Open,
            shut_at: None,
        }
    }

    /// The connection stands.
    pub(super) fn connected(&mut self, time: Nanos) {
        self.time = time;
        self.first_connected.get_or_insert(time);
        self.delivered = 0;
    }

    /// Whether the answers that an instruction may need have room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.owed.room() >= ANSWERS_MAX * self.outgoing.frames() + OWED_SPARE
    }

    pub(super) fn is_shut(&self) -> bool {
        self.level >= KillLevel::Pause
    }

    /// What is known of the instrument of an order that may leave now.
    #[inline]
    pub(super) fn admit(&self, whole: bool, instrument: InstrumentId, lots: u32) -> Result<Listed, u8> {
        if self.is_shut() {
            return Err(local_reason::KILLED);
        }
        if !whole {
            return Err(local_reason::NOT_READY);
        }
        if self.counters.untrusted() {
            return Err(local_reason::UNTRUSTED);
        }
        let listed = *self.listing.find(instrument).ok_or(local_reason::UNKNOWN_INSTRUMENT)?;
        if lots == 0 { Err(local_reason::OUT_OF_RANGE) } else { Ok(listed) }
    }

    /// Takes back what was not wholly written and answers it as never sent; the first number that was not.
    pub(super) fn take_back(&mut self) -> Option<i64> {
        let mut unsent = None;
        while let Some(framed) = self.outgoing.take_back() {
            if framed.sequence > 0 {
                unsent = Some(framed.sequence);
            }
            self.cancel_all_due |= framed.note == Note::CancelAll;
            forget(&mut self.requests, framed.sequence);
            self.refuse(&framed.note, local_reason::NEVER_SENT);
        }
        unsent
    }

    /// Takes back the orders of which no byte was written; `hollow` leaves a heartbeat in the place of each.
    pub(super) fn withdraw_orders(&mut self, hollow: impl FnMut(&mut [u8]) -> usize) {
        let Self { outgoing, owed, counters, time, requests, .. } = self;
        outgoing.withdraw_orders(hollow, |sequence, note| {
            forget(requests, sequence);
            for body in refusals(&note, local_reason::KILLED) {
                counters.refused += 1;
                counters.answers_lost += u64::from(!owed.push(Event { trail: Trail::default(), time: *time, body }));
            }
        });
        self.shut_at = Some(self.outgoing.order_traffic());
    }

    /// Keeps under a number whose request it is.
    #[inline]
    pub(super) fn note(&mut self, number: i64, note: Note) {
        self.requests[number as usize % REQUESTS_MAX] = (number, note);
    }

    /// Both directions count anew: no number means what it meant.
    pub(super) fn forget_requests(&mut self) {
        self.requests.fill(NOBODY);
    }

    /// Whose request is under a number.
    pub(super) fn noted(&self, number: i64) -> Option<Note> {
        let (known, note) = self.requests[number as usize % REQUESTS_MAX];
        (known == number).then_some(note)
    }

    /// A way for the reports of the frame at the head of the stream.
    pub(super) fn delivery<'a, O: Outbox<Event>>(&'a mut self, out: &'a mut O) -> Delivery<'a, O> {
        Delivery {
            out,
            first_connected: self.first_connected,
            listing: &self.listing,
            counters: &mut self.counters,
            delivered: &mut self.delivered,
            met: 0,
            time: self.time,
        }
    }

    /// Answers a request that is not to leave: an order found nothing, and there is nothing to take back.
    pub(super) fn withhold(&mut self, request: &Request) {
        let ended = |order, instrument| Body::Cancelled { order, instrument, cum_lots: 0, reason: TIME_IN_FORCE_ENDED };
        let body = match *request {
            Request::New { order, instrument, .. } => ended(order, instrument),
            Request::Quote { order, instrument, .. } => {
                self.owe(ended(order, instrument));
                ended(offer_of(order), instrument)
            }
            Request::Amend { order, instrument, .. } => {
                Body::AmendRejected { order, instrument, reason: UNKNOWN_TO_VENUE }
            }
            Request::Cancel { order, instrument } => {
                Body::CancelRejected { order, instrument, reason: UNKNOWN_TO_VENUE }
            }
            Request::CancelAll | Request::Thaw { .. } => return,
        };
        self.counters.withheld += 1;
        self.owe(body);
    }

    /// Owes the hedge the answer to a request that went nowhere.
    pub(super) fn refuse(&mut self, note: &Note, reason: u8) {
        self.counters.thaws_refused += u64::from(matches!(note, Note::Thaw));
        for body in refusals(note, reason) {
            self.counters.refused += 1;
            self.owe(body);
        }
    }

    /// Owes the hedge the news that the session came or went. It comes when it is whole, and goes when it is down.
    pub(super) fn announce(&mut self, is_up: bool, is_whole: bool) {
        let up = if self.announced { is_up } else { is_whole };
        if up != self.announced {
            self.announced = up;
            self.owe(Body::Session { up });
        }
    }

    /// Owes the hedge an event of our own.
    pub(super) fn owe(&mut self, body: Body) {
        let kept = self.owed.push(Event { trail: Trail::default(), time: self.time, body });
        self.counters.answers_lost += u64::from(!kept);
    }

    /// Delivers `Sent`s, then answers owed; false when the outbox is full.
    #[inline]
    pub(super) fn flush(&mut self, out: &mut impl Outbox<Event>) -> bool {
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

/// The request under this number was answered without leaving: what the venue says of the number concerns another message.
fn forget(requests: &mut [(i64, Note)], number: i64) {
    let kept = &mut requests[number as usize % REQUESTS_MAX];
    if kept.0 == number {
        *kept = NOBODY;
    }
}

/// The answers to a request that went nowhere; none when nobody waits for one.
pub(super) fn refusals(note: &Note, reason: u8) -> impl Iterator<Item = Body> + use<> {
    let rejected = |order: ClientOrderId, instrument| Some(Body::Rejected { order, instrument, reason });
    let answers = match *note {
        Note::New { order, instrument, .. } => [rejected(order, instrument), None],
        Note::Quote { order, instrument } => [rejected(order, instrument), rejected(offer_of(order), instrument)],
        Note::Amend { order, instrument } => [Some(Body::AmendRejected { order, instrument, reason }), None],
        Note::Cancel { order, instrument } => [Some(Body::CancelRejected { order, instrument, reason }), None],
        Note::CancelAll | Note::Thaw | Note::Again | Note::Session => [None, None],
    };
    answers.into_iter().flatten()
}
