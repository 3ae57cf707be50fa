//! Cost of the order path: a new order onto the wire, a response off it, an order's state.
//!
//! Every call works on different numbers (order, sequence, execution), so that nothing is hoisted out of the loop. The
//! codec stands alone (`wire`), inside the session (`gateway`: table look-up, numbering, send buffer, reports), and beside
//! it the store's updates over 512 live orders (`order`, per report). Sockets are not in it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hedgecore::event::{Body, Event};
use hedgecore::gateway::{Gateway, SessionConfig};
use hedgecore::instrument::Symbol;
use hedgecore::order::{NewOrder, OrderStore, TimeInForce};
use hedgecore::risk::{Gate, Instruction, Limits};
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::byteorder::little_endian::{I32, I64};
use zerocopy::{FromBytes, FromZeros};

#[path = "rig/orders.rs"]
mod rig;

use rig::{INSTRUMENT, LOT, VENUE, envelope, market, new_order, perpetual, request, view};

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Sink(u64);

impl Outbox<Event> for Sink {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        black_box(&event);
        self.0 += 1;
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

/// A response with one fill.
fn response(buffer: &mut [u8]) -> usize {
    let mut block = NewOrderResponse::new_zeroed();
    block.client_order_id = I64::new(42);
    block.instrument_id = I64::new(i64::from(VENUE));
    block.side = 1;
    block.status = order_status::FILLED;
    block.total_filled = LOT.into();
    let fill = Fill { match_id: I64::new(7), fill_price: I64::new(5), fill_qty: LOT.into() };
    let encoder = Encoder::new(buffer, &envelope(2), &block).and_then(|e| e.group(&[fill]));
    encoder.and_then(|e| e.group::<Leg>(&[])).and_then(Encoder::finish).expect("room")
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    let (mut buffer, mut number) = ([0u8; 512], 0);
    group.bench_function("encode_new_order", |b| {
        b.iter(|| {
            number += 1;
            let length = Encoder::new(&mut buffer, &envelope(number), &new_order(number)).and_then(Encoder::finish);
            black_box(&buffer);
            length
        });
    });
    let length = response(&mut buffer);
    group.bench_function("decode_response_with_a_fill", |b| {
        b.iter(|| {
            let frame = next_frame(black_box(&buffer[..length])).ok().flatten()?;
            let Ok(Message::NewOrderResponse(block, fills)) = frame.message() else { return None };
            let filled: i64 = fills.iter().filter_map(|f| f.fill_qty.to_quantity().ok()).map(|q| q.0).sum();
            Some((block.client_order_id.get(), block.status, filled))
        });
    });
    group.finish();
}

/// A session that is up.
fn session() -> Gateway {
    let mut gateway = Gateway::new(SessionConfig::new("bench", "secret").expect("both fit"));
    let mut sink = Sink::default();
    let (instrument, underlying) = (INSTRUMENT, UnderlyingId(0));
    let reference = Instruction::Reference {
        instrument,
        underlying,
        venue: VenueInstrumentId(VENUE),
        lot: LOT,
        contract: LOT,
        symbol: Symbol::new(b"BTC-PERPETUAL").expect("it fits"),
    };
    gateway.step(&reference, Nanos(1), &mut sink);
    gateway.connected(Nanos(1));
    gateway.written(gateway.pending().len(), Ticks(1), &mut sink);
    let mut buffer = [0; 64];
    let confirmation = LogonConf { heartbeat_interval_seconds: I32::new(10) };
    let length = Encoder::new(&mut buffer, &envelope(1), &confirmation).and_then(Encoder::finish).expect("room");
    gateway.receive(&buffer[..length], Nanos(1), &mut sink);
    assert!(gateway.ready());
    gateway
}

fn approved() -> Instruction {
    let (instrument, request) = (perpetual(), request(42));
    let (mut gate, mut orders) = (Gate::new(Limits::default()), OrderStore::new());
    market(&instrument).into_iter().for_each(|event| gate.see(&event));
    Instruction::Send(gate.approve(request, &view(&instrument), &mut orders, Nanos(0)).expect("approved"))
}

fn gateway(c: &mut Criterion) {
    let mut group = c.benchmark_group("gateway");
    let (mut gateway, instruction, mut sink) = (session(), approved(), Sink::default());
    group.bench_function("order_to_bytes_and_sent", |b| {
        b.iter(|| {
            gateway.step(&instruction, Nanos(2), &mut sink);
            gateway.encoded(Ticks(3));
            let length = black_box(gateway.pending()).len();
            gateway.written(length, Ticks(4), &mut sink);
        });
    });
    assert_eq!(gateway.counters().refused, 0);

    let mut buffer = [0; 512];
    let length = response(&mut buffer);
    let mut number = 2;
    group.bench_function("response_to_events", |b| {
        b.iter(|| {
            let (header, _) = Header::mut_from_prefix(&mut buffer).expect("a header");
            header.sequence_number = I64::new(number);
            number += 1;
            gateway.receive(&buffer[..length], Nanos(5), &mut sink)
        });
    });
    assert!(gateway.ready() && gateway.disconnect_reason().is_none());
    group.finish();
}

fn order(c: &mut Criterion) {
    const LIVE: u64 = 512;
    let mut group = c.benchmark_group("order");
    let (mut store, mut number) = (OrderStore::new(), 0u64);
    let step = |store: &mut OrderStore, number: u64| {
        let order = ClientOrderId(number);
        let time_in_force = TimeInForce::ImmediateOrCancel;
        let new = NewOrder { order, instrument: INSTRUMENT, side: Side::Buy, time_in_force, price: Price(5), lots: 2 };
        store.insert(new).expect("room");
        let (instrument, side, price) = (INSTRUMENT, Side::Buy, Price(5));
        let accepted = Body::Accepted { order, venue_order: VenueOrderId(number), instrument };
        black_box(store.apply(&accepted));
        // The order that came first fills, in two halves.
        for half in 0..2 {
            let order = ClientOrderId(number.saturating_sub(LIVE));
            let execution = ExecutionId(number * 2 + half);
            black_box(store.apply(&Body::Filled { order, execution, instrument, side, price, lots: 1 }));
        }
    };
    for _ in 0..LIVE {
        number += 1;
        step(&mut store, number);
    }
    group.throughput(Throughput::Elements(4));
    group.bench_function("insert_accept_fill_fill", |b| {
        b.iter(|| {
            number += 1;
            step(&mut store, number);
        });
    });
    assert_eq!((store.open_orders(), store.counters().inconsistent), (LIVE as u32, 0));
    group.throughput(Throughput::Elements(1));
    let sent = Body::Sent { order: ClientOrderId(number), decided: 0, encoded: 0, written: 0 };
    group.bench_function("sent", |b| b.iter(|| store.apply(black_box(&sent))));
    group.finish();
}

criterion_group!(benches, wire, gateway, order);
criterion_main!(benches);
