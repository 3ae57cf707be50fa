//! The two ends: a gateway, and a venue that says what the test tells it to.

use crate::approval;
use hedgecore::event::{Body, Event, Trail};
use hedgecore::gateway::{DisconnectReason, Gateway, SessionConfig};
use hedgecore::instrument::{Instrument, Symbol};
use hedgecore::order::{OrderStore, Request, TimeInForce};
use hedgecore::risk::Instruction;
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::FromZeros;
use zerocopy::byteorder::little_endian::{I32, I64};

pub(crate) const SECOND: u64 = Nanos::PER_SECOND;
pub(crate) const PERPETUAL: InstrumentId = InstrumentId(3);
pub(crate) const OTHER: InstrumentId = InstrumentId(4);
pub(crate) const VENUE_PERPETUAL: i64 = 210_838;
pub(crate) const LOT: i64 = 10 * ONE_E9;

/// An instruction, approved by a gate that refuses nothing these tests ask.
pub(crate) fn approved(request: Request) -> Instruction {
    approved_after(&[], request)
}

/// The same, after the venue has accepted these.
pub(crate) fn approved_after(before: &[Request], request: Request) -> Instruction {
    let venue = VenueInstrumentId(VENUE_PERPETUAL as u32);
    let instrument =
        Instrument::inverse_perpetual(PERPETUAL, venue, UnderlyingId(0), Quantity(LOT), Price(500_000_000));
    let (mut orders, bid) = (OrderStore::new(), Price(99_999 * ONE_E9));
    for earlier in before {
        approval::approved(&mut orders, &instrument, bid, *earlier, Nanos(0));
        if let Request::New { order, instrument, .. } = *earlier {
            orders.apply(&Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument });
        }
    }
    approval::approved(&mut orders, &instrument, bid, request, Nanos(0))
}

pub(crate) fn new_order(order: u64) -> Instruction {
    approved(Request::New {
        trail: Trail { received: Ticks(1_000), decoded: 1, valued: 2 },
        decided: 3,
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        side: Side::Sell,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        price: Price(99_999 * ONE_E9),
        lots: 5,
    })
}

pub(crate) fn cancel(order: u64) -> Instruction {
    approved(Request::Cancel { order: ClientOrderId(order), instrument: PERPETUAL })
}

/// Takes as many events as it is told.
#[derive(Default)]
pub(crate) struct Narrow {
    pub events: Vec<Event>,
    pub room: usize,
}

impl Outbox<Event> for Narrow {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        self.room = self.room.checked_sub(1).ok_or(Full)?;
        self.events.push(event);
        Ok(())
    }

    fn room(&self) -> usize {
        self.room
    }
}

/// A gateway and, on the other side of the wire, a venue that says what the test tells it to.
pub(crate) struct Pair {
    pub gateway: Gateway,
    pub time: Nanos,
    pub events: Vec<Event>,
    /// The number of the venue's next message.
    pub number: i64,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: SessionConfig) -> Self {
        let mut pair = Self { gateway: Gateway::new(config), time: Nanos(SECOND), events: Vec::new(), number: 1 };
        for (instrument, underlying, venue) in [(PERPETUAL, 0, VENUE_PERPETUAL), (OTHER, 1, 124_972)] {
            pair.step(&Instruction::Reference {
                instrument,
                underlying: UnderlyingId(underlying),
                venue: VenueInstrumentId(venue as u32),
                lot: Quantity(LOT),
                contract: Quantity(LOT),
                symbol: Symbol::default(),
            });
        }
        pair
    }

    /// Logged on, and nothing pending.
    pub(crate) fn up() -> Self {
        let mut pair = Self::new();
        pair.log_on();
        assert!(pair.gateway.ready());
        pair.bodies();
        pair
    }

    pub(crate) fn log_on(&mut self) {
        self.gateway.connected(self.time);
        self.drain();
        self.say(&LogonConf { heartbeat_interval_seconds: I32::new(10) });
    }

    pub(crate) fn step(&mut self, instruction: &Instruction) {
        assert!(self.gateway.has_room());
        self.gateway.step(instruction, self.time, &mut self.events);
        self.gateway.encoded(Ticks(1_040));
    }

    pub(crate) fn tick_after(&mut self, seconds: u64) {
        self.time.0 += seconds * SECOND;
        self.gateway.tick(self.time, &mut self.events);
    }

    pub(crate) fn assert_ended(&self, reason: DisconnectReason) {
        assert!(self.gateway.wants_disconnect());
        assert_eq!(self.gateway.disconnect_reason(), Some(reason));
    }

    pub(crate) fn disconnect(&mut self) {
        self.gateway.disconnected(self.time, &mut self.events);
    }

    /// Bytes of a venue message under a number of choice.
    pub(crate) fn bytes_as<B: Block>(
        &self,
        number: i64,
        flags: u8,
        block: &B,
        more: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) -> Vec<u8> {
        let mut buffer = vec![0; 8_192];
        let envelope = Envelope { flags, sequence: number, last_processed: 0, send_time_ns: 1 };
        let length = Encoder::new(&mut buffer, &envelope, block).and_then(more).and_then(Encoder::finish);
        buffer.truncate(length.expect("room"));
        buffer
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        let taken = self.gateway.receive(bytes, self.time, &mut self.events);
        assert!(taken == bytes.len() || self.gateway.wants_disconnect());
    }

    /// The venue's next message.
    pub(crate) fn say_with<B: Block>(
        &mut self,
        block: &B,
        more: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) {
        let bytes = self.bytes_as(self.number, 0, block, more);
        self.number += 1;
        self.hear(&bytes);
    }

    pub(crate) fn say<B: Block>(&mut self, block: &B) {
        self.say_with(block, |e| Ok(e));
    }

    /// A message of the venue's past.
    pub(crate) fn resend<B: Block>(&mut self, number: i64, block: &B) {
        let bytes = self.bytes_as(number, FLAG_RESEND, block, |e| Ok(e));
        self.hear(&bytes);
    }

    /// The socket takes everything; the messages it took by number and type.
    pub(crate) fn drain(&mut self) -> Vec<(i64, u16)> {
        let bytes = self.take_bytes();
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while let Some(frame) = next_frame(rest).expect("framed") {
            frame.message().expect("well-formed");
            messages.push((frame.header.sequence_number.get(), frame.header.message_type_id.get()));
            rest = &rest[frame.bytes()..];
        }
        assert!(rest.is_empty());
        messages
    }

    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        let bytes = self.gateway.pending().to_vec();
        self.gateway.written(bytes.len(), Ticks(1_050), &mut self.events);
        bytes
    }

    /// Events since the last call, without session and sent notices.
    pub(crate) fn bodies(&mut self) -> Vec<Body> {
        let bodies = self.events.drain(..).map(|event| event.body);
        bodies.filter(|body| !matches!(body, Body::Sent { .. })).collect()
    }
}

pub(crate) fn config() -> SessionConfig {
    SessionConfig::new("desk-7", "swordfish").expect("both fit")
}

pub(crate) fn response(order: i64, status: i8, filled_lots: i64) -> NewOrderResponse {
    let mut response = NewOrderResponse::new_zeroed();
    response.client_order_id = I64::new(order);
    response.order_id = I64::new(order + 1_000);
    response.instrument_id = I64::new(VENUE_PERPETUAL);
    response.side = -1;
    response.status = status;
    response.cancel_reason = cancel_reason::TIME_IN_FORCE;
    response.total_filled = Quantity(filled_lots * LOT).into();
    response
}

pub(crate) fn fill(execution: i64, lots: i64) -> Fill {
    Fill { match_id: I64::new(execution), fill_price: I64::new(99_999 * ONE_E9), fill_qty: Quantity(lots * LOT).into() }
}

pub(crate) fn filled_body(order: u64, execution: u64, side: Side, lots: u32) -> Body {
    Body::Filled {
        order: ClientOrderId(order),
        execution: ExecutionId(execution),
        instrument: PERPETUAL,
        side,
        price: Price(99_999 * ONE_E9),
        lots,
    }
}

pub(crate) fn accepted_body(order: u64) -> Body {
    Body::Accepted { order: ClientOrderId(order), venue_order: VenueOrderId(order + 1_000), instrument: PERPETUAL }
}

pub(crate) fn rejected_body(order: u64, reason: u8) -> Body {
    Body::Rejected { order: ClientOrderId(order), instrument: PERPETUAL, reason }
}
