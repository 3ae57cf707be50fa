//! Cost of the order path: a new order onto the wire, a response off it, an order's state.
//!
//! Every call works on different numbers (order, sequence, execution), so that nothing is hoisted out of the loop. The
//! codec stands alone (`wire`), inside the session (`gateway`: table look-up, numbering, send buffer, reports), and beside
//! it each update of an order in the store (`order`), with 512 orders live and every slot used before; and what the journal
//! costs a hot thread (`journal`). Sockets are not in it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hedgecore::event::{Body, Event};
use hedgecore::gateway::{Gateway, SessionConfig};
use hedgecore::instrument::Symbol;
use hedgecore::order::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, NewOrder, ORDERS_MAX, OrderStore, TimeInForce};
use hedgecore::ring::{Consumer, broadcast};
use hedgecore::risk::{Gate, Instruction, Limits};
use hedgecore::runtime::{StageTap, Watched};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::byteorder::little_endian::{I32, I64};
use zerocopy::{FromBytes, FromZeros};

#[path = "rig/orders.rs"]
mod rig;
#[path = "rig/tally.rs"]
mod tally;

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

/// Orders that are live at once, and whose updates are timed together.
const BATCH: u64 = 512;

/// What is told of an order, given its number.
type Report = fn(ClientOrderId) -> Body;

fn sent(order: ClientOrderId) -> Body {
    Body::Sent { order, decided: 0, encoded: 0, written: 0 }
}

fn accepted(order: ClientOrderId) -> Body {
    Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument: INSTRUMENT }
}

fn half(order: ClientOrderId, nth: u64) -> Body {
    let (execution, price) = (ExecutionId(order.0 * 2 + nth), Price(5));
    Body::Filled { order, execution, instrument: INSTRUMENT, side: Side::Buy, price, lots: 1 }
}

fn first_half(order: ClientOrderId) -> Body {
    half(order, 0)
}

fn second_half(order: ClientOrderId) -> Body {
    half(order, 1)
}

fn first_half_busted(order: ClientOrderId) -> Body {
    let (execution, price) = (ExecutionId(order.0 * 2), Price(5));
    Body::Busted { order, execution, instrument: INSTRUMENT, side: Side::Buy, price, lots: 1 }
}

fn cancelled(order: ClientOrderId) -> Body {
    Body::Cancelled { order, instrument: INSTRUMENT, cum_lots: CUM_LOTS_UNKNOWN, reason: CANCELLED_ON_REQUEST }
}

/// An update, and what was told of the order before it.
const UPDATES: [(&str, &[Report], Report); 8] = [
    ("sent", &[], sent),
    ("accepted", &[sent], accepted),
    ("filled_in_part", &[sent, accepted], first_half),
    ("filled", &[sent, accepted, first_half], second_half),
    ("cancelled", &[sent, accepted], cancelled),
    ("busted", &[sent, accepted, first_half], first_half_busted),
    ("told_again", &[sent, accepted, first_half], first_half),
    ("filled_after_its_cancel", &[sent, accepted, cancelled], first_half),
];

/// A store, and the number of the first order of the present batch.
struct Orders {
    store: OrderStore,
    first: u64,
}

impl Orders {
    fn numbers(&self) -> impl Iterator<Item = ClientOrderId> + use<> {
        (self.first..self.first + BATCH).map(ClientOrderId)
    }

    /// A batch of new orders.
    fn insert(&mut self) {
        for order in self.numbers() {
            let (instrument, side, price) = (INSTRUMENT, Side::Buy, Price(5));
            let time_in_force = TimeInForce::GoodTilCancel;
            let new = NewOrder { order, instrument, side, time_in_force, price, lots: 2 };
            assert!(self.store.insert(black_box(new)).is_ok());
        }
    }

    /// The same report on every order of the batch.
    fn tell(&mut self, report: Report) {
        for order in self.numbers() {
            black_box(self.store.apply(black_box(&report(order))));
        }
    }

    /// Whatever is left of the batch ends.
    fn end(&mut self) {
        self.tell(cancelled);
        assert_eq!(self.store.open_orders(), 0);
        self.first += BATCH;
    }
}

/// The time of so many updates, of which `batch` takes that of [`BATCH`].
fn timed(updates: u64, mut batch: impl FnMut() -> Duration) -> Duration {
    let batches = updates.div_ceil(BATCH);
    let sum: Duration = (0..batches).map(|_| batch()).sum();
    sum.mul_f64(updates as f64 / (batches * BATCH) as f64)
}

fn order(c: &mut Criterion) {
    let mut group = c.benchmark_group("order");
    let mut orders = Orders { store: OrderStore::new(), first: 1 };
    // Beyond what the table holds, so that an insertion has to find a slot to reuse.
    for _ in 0..=ORDERS_MAX as u64 / BATCH {
        orders.insert();
        orders.end();
    }
    group.bench_function("insert", |b| {
        b.iter_custom(|updates| {
            let batch = || {
                let began = Instant::now();
                orders.insert();
                let took = began.elapsed();
                orders.end();
                took
            };
            timed(updates, batch)
        });
    });
    for (name, before, report) in UPDATES {
        group.bench_function(name, |b| {
            b.iter_custom(|updates| {
                let batch = || {
                    orders.insert();
                    before.iter().for_each(|&report| orders.tell(report));
                    let began = Instant::now();
                    orders.tell(report);
                    let took = began.elapsed();
                    orders.end();
                    took
                };
                timed(updates, batch)
            });
        });
    }
    assert_eq!((orders.store.counters().inconsistent, orders.store.counters().unknown), (0, 0));
    group.finish();
}

/// A step of a stage that does next to nothing, without and with the journal's tap, beside one bare publish.
fn journal(c: &mut Criterion) {
    let mut group = c.benchmark_group("journal");
    let event = market(&perpetual())[1];
    let mut out: Vec<Instruction> = Vec::new();
    let mut untapped = Watched::new(tally::Tally(0), ());
    group.bench_function("step_untapped", |b| b.iter(|| untapped.step(black_box(&event), &mut out)));
    let (tap, mut published) = StageTap::apart().expect("its rings");
    let mut tapped = Watched::new(tally::Tally(0), Some(tap));
    let (mut producer, [mut consumer]) = broadcast::<Event, 1>(1 << 15).expect("a ring");
    let drained = |updates, ring: &mut Consumer<Event>, publish: &mut dyn FnMut()| {
        let batch = || {
            let began = Instant::now();
            (0..BATCH).for_each(|_| publish());
            let took = began.elapsed();
            assert_eq!(ring.drain(BATCH as usize, |_| {}), BATCH as usize, "one message a step");
            took
        };
        timed(updates, batch)
    };
    group.bench_function("step_tapped", |b| {
        b.iter_custom(|updates| drained(updates, &mut published, &mut || tapped.step(black_box(&event), &mut out)));
    });
    group.bench_function("bare_publish", |b| {
        b.iter_custom(|updates| {
            drained(updates, &mut consumer, &mut || assert!(producer.try_push(*black_box(&event)).is_ok()))
        });
    });
    group.finish();
}

criterion_group!(benches, wire, gateway, order, journal);
criterion_main!(benches);
