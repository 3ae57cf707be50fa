//! An order of the perpetual: approved, and on the wire.

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, Instrument};
use hedgecore::order::{Request, TimeInForce};
use hedgecore::risk::View;
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::byteorder::little_endian::{I64, U16};

pub(crate) const LOT: Quantity = Quantity(10 * ONE_E9);
pub(crate) const VENUE: u32 = 210_838;
pub(crate) const INSTRUMENT: InstrumentId = InstrumentId(3);

pub(crate) fn envelope(sequence: i64) -> Envelope {
    Envelope { flags: 0, sequence, last_processed: sequence, send_time_ns: sequence }
}

pub(crate) fn new_order(order: i64) -> NewOrderRequest {
    NewOrderRequest {
        client_order_id: I64::new(order),
        correlation_id: I64::new(order << 1),
        instrument_id: I64::new(i64::from(VENUE)),
        price: I64::new(99_999 * ONE_E9),
        quantity: LOT.into(),
        show_qty: Decimal72::NULL,
        self_match_prevention_id: I64::ZERO,
        side: 1,
        time_in_force: time_in_force::IOC,
        flags: U16::new(order_flags::CANCEL_ON_DISCONNECT),
        self_trading_mode: 0,
    }
}

pub(crate) fn perpetual() -> Instrument {
    Instrument::inverse_perpetual(INSTRUMENT, VenueInstrumentId(VENUE), UnderlyingId(0), LOT, Price(500_000_000))
}

/// A book of 99,999 to 100,000.
pub(crate) fn view(instrument: &Instrument) -> View<'_> {
    let (bid, ask) = (Price(99_999 * ONE_E9), Price(100_000 * ONE_E9));
    View { instrument: Some(instrument), quality: BookQuality::Good, bid, ask, spot: ask }
}

/// What a gate must have seen of an instrument: its listing and a book.
pub(crate) fn market(instrument: &Instrument) -> [Event; 2] {
    let View { quality, bid, ask, .. } = view(instrument);
    let listed = instrument.listing();
    let top = Body::Top { instrument: instrument.id, quality, bid, ask, bid_lots: 1, ask_lots: 1 };
    [listed, top].map(|body| Event { trail: Trail::default(), time: Nanos(0), body })
}

/// To buy five lots at the bid or not at all.
pub(crate) fn request(order: u64) -> Request {
    Request::New {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(order),
        instrument: INSTRUMENT,
        side: Side::Buy,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        price: Price(99_999 * ONE_E9),
        lots: 5,
    }
}
