//! The greeks stage: a tick, a fill and a volatility on a book of 12 expiries, by the number of options held.
//!
//! Ticks are small moves of the perpetual's mid, inside the anchors' windows; `jump` alternates between two spots 30%
//! apart, so that every window is missed and every option is revalued. The outbox drops what it is sent.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, InstrumentKind, OptionKind, Payoff};
use hedgecore::portfolio::{Greeks, GreeksConfig, OpeningBook};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::units::{
    ClientOrderId, ExecutionId, InstrumentId, Nanos, ONE_E9, Price, Quantity, Side, UnderlyingId, VenueInstrumentId,
};

const EXPIRIES: u32 = 12;
const START: Nanos = Nanos::from_secs(1_774_598_400);
const UNDERLYING: UnderlyingId = UnderlyingId(0);
const PERPETUAL: InstrumentId = InstrumentId(0);

struct Nowhere;

impl Outbox<Event> for Nowhere {
    fn send(&mut self, message: Event) -> Result<(), Full> {
        black_box(message);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

fn at(body: Body) -> Event {
    Event { trail: Trail::default(), time: START, body }
}

fn top(dollars: f64) -> Event {
    let price = |dollars: f64| Price((dollars * ONE_E9 as f64) as i64);
    let (bid, ask) = (price(dollars - 0.5), price(dollars + 0.5));
    at(Body::Top { instrument: PERPETUAL, quality: BookQuality::Good, bid, ask, bid_lots: 9, ask_lots: 9 })
}

/// Short one lot of every option of 12 expiries, weeks to a year.
fn stage(options: u32) -> Greeks {
    let mut greeks = Greeks::new(GreeksConfig { opening: OpeningBook::ShortEveryOption, ..GreeksConfig::default() });
    let mut step = |body| greeks.step(&at(body), &mut Nowhere);
    step(Body::Underlying { id: UNDERLYING, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
    let mut listed = |id: u32, kind, option, expiry_s, strike: f64, lot| {
        step(Body::Listed {
            instrument: InstrumentId(id as u16),
            underlying: UNDERLYING,
            kind,
            payoff: Payoff::Inverse,
            option,
            expiry_s,
            strike: Price((strike * ONE_E9 as f64) as i64),
            lot: Quantity(lot),
            venue: VenueInstrumentId(id),
        });
    };
    listed(0, InstrumentKind::Perpetual, None, 0, 0.0, 10 * ONE_E9);
    let a_slice = options / EXPIRIES;
    let expiry_s = |expiry: u32| 1_774_598_400 + 86_400 * (7 + 30 * expiry);
    for id in 0..options {
        let (expiry, rank) = (id / a_slice, id % a_slice);
        let kind = if rank % 2 == 0 { OptionKind::Call } else { OptionKind::Put };
        let strike = 25_000.0 + 75_000.0 * f64::from(rank / 2) / f64::from(a_slice / 2);
        listed(id + 1, InstrumentKind::Option, Some(kind), expiry_s(expiry), strike, ONE_E9 / 10);
    }
    greeks.step(&top(50_000.0), &mut Nowhere);
    for expiry in 0..EXPIRIES {
        let body = Body::Forward { underlying: UNDERLYING, expiry_s: expiry_s(expiry), ratio: 1.001 };
        greeks.step(&at(body), &mut Nowhere);
    }
    for id in 1..=options {
        let body = Body::Volatility { instrument: InstrumentId(id as u16), sigma: 0.6, slope: 0.0 };
        greeks.step(&at(body), &mut Nowhere);
    }
    (0..EXPIRIES).for_each(|_| greeks.step(&at(Body::Clock), &mut Nowhere));
    assert_eq!(greeks.anchored(), EXPIRIES as usize);
    greeks
}

fn ticks(c: &mut Criterion) {
    let mut group = c.benchmark_group("greeks");
    for options in [144, 552, 2_400] {
        let mut greeks = stage(options);
        let mut up = false;
        group.bench_function(BenchmarkId::new("tick", options), |b| {
            b.iter(|| {
                up = !up;
                greeks.step(&top(if up { 50_001.0 } else { 50_000.0 }), &mut Nowhere);
            })
        });
        group.bench_function(BenchmarkId::new("jump", options), |b| {
            b.iter(|| {
                up = !up;
                greeks.step(&top(if up { 65_000.0 } else { 50_000.0 }), &mut Nowhere);
            })
        });
    }
    let mut greeks = stage(552);
    let mut execution = 0;
    group.bench_function("fill", |b| {
        b.iter(|| {
            execution += 1;
            let side = if execution % 2 == 0 { Side::Buy } else { Side::Sell };
            let (order, price) = (ClientOrderId(1), Price(ONE_E9));
            let (execution, instrument) = (ExecutionId(execution), InstrumentId(100));
            greeks.step(&at(Body::Filled { order, execution, instrument, side, price, lots: 3 }), &mut Nowhere);
        })
    });
    group.finish();
}

criterion_group!(benches, ticks);
criterion_main!(benches);
