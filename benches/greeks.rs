//! The greeks stage: what each kind of event costs on a book of 12 expiries, by the number of options held.
//!
//! Ticks are small moves of the perpetual's mid, inside the anchors' windows; `jump` alternates between two spots 30%
//! apart, so that every window is missed and every option is revalued. A fill is an option's, taken back by the next;
//! `volatility` is one of a refit, with its share of the exposure that follows the burst. `rebuild` is what the cold
//! thread does for the whole book, `hand_over` what the greeks do for it. The outbox drops what it is sent.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, InstrumentKind, OptionKind, Payoff};
use hedgecore::portfolio::rebuild::{Rebuilder, elsewhere};
use hedgecore::portfolio::{Capacity, Greeks, GreeksConfig, OpeningBook, Rebuilds};
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

fn volatility(option: u32, sigma: f64) -> Event {
    at(Body::Volatility { instrument: InstrumentId(option as u16), sigma, slope: -0.1 })
}

/// Short one lot of every option of some expiries, weeks to a year.
fn stage(options: u32, expiries: u32, rebuilds: Rebuilds) -> Greeks {
    let a_slice = options / expiries;
    let capacity = Capacity {
        instruments: options as usize + 1,
        expiries: expiries as usize,
        options_an_expiry: a_slice as usize,
    };
    let opening = OpeningBook::ShortEveryOption;
    let mut greeks = Greeks::with_rebuilds(GreeksConfig { opening, capacity, ..GreeksConfig::default() }, rebuilds);
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
    let expiry_s = |expiry: u32| 1_774_598_400 + 86_400 * (7 + 30 * expiry);
    for id in 0..a_slice * expiries {
        let (expiry, rank) = (id / a_slice, id % a_slice);
        let kind = if rank % 2 == 0 { OptionKind::Call } else { OptionKind::Put };
        let strike = 25_000.0 + 75_000.0 * f64::from(rank / 2) / f64::from(a_slice.div_ceil(2));
        listed(id + 1, InstrumentKind::Option, Some(kind), expiry_s(expiry), strike, ONE_E9 / 10);
    }
    for expiry in 0..expiries {
        let body = Body::Forward { underlying: UNDERLYING, expiry_s: expiry_s(expiry), ratio: 1.001 };
        greeks.step(&at(body), &mut Nowhere);
    }
    (1..=a_slice * expiries).for_each(|id| greeks.step(&volatility(id, 0.6), &mut Nowhere));
    greeks.step(&top(50_000.0), &mut Nowhere);
    greeks
}

/// The same, on anchors.
fn anchored(options: u32, expiries: u32) -> Greeks {
    let mut greeks = stage(options, expiries, Rebuilds::Inline);
    (0..expiries).for_each(|_| greeks.step(&at(Body::Clock), &mut Nowhere));
    greeks.step(&top(50_000.0), &mut Nowhere);
    assert_eq!(greeks.anchored(), expiries as usize);
    greeks
}

fn ticks(c: &mut Criterion) {
    let mut group = c.benchmark_group("greeks");
    for (options, expiries) in [(42, 1), (500, EXPIRIES), (5_000, EXPIRIES), (50_000, EXPIRIES)] {
        let mut greeks = anchored(options, expiries);
        let mut tick = 0;
        group.bench_function(BenchmarkId::new("tick", options), |b| {
            b.iter(|| {
                tick = (tick + 7) % 64;
                greeks.step(&top(50_000.0 + f64::from(tick)), &mut Nowhere);
            })
        });
    }
    let mut greeks = anchored(552, EXPIRIES);
    let mut up = false;
    group.bench_function("jump/552", |b| {
        b.iter(|| {
            up = !up;
            greeks.step(&top(if up { 65_000.0 } else { 50_000.0 }), &mut Nowhere);
        })
    });
    group.finish();
}

fn positions(c: &mut Criterion) {
    let mut group = c.benchmark_group("greeks");
    for options in [500, 50_000] {
        let mut greeks = anchored(options, EXPIRIES);
        let mut execution = 0;
        group.bench_function(BenchmarkId::new("fill", options), |b| {
            b.iter(|| {
                execution += 1;
                let side = if execution % 2 == 0 { Side::Buy } else { Side::Sell };
                let (order, price) = (ClientOrderId(1), Price(ONE_E9));
                let (execution, instrument) = (ExecutionId(execution), InstrumentId(100));
                greeks.step(&at(Body::Filled { order, execution, instrument, side, price, lots: 3 }), &mut Nowhere);
            })
        });
    }
    let mut greeks = anchored(552, EXPIRIES);
    let mut sigma = 0.6;
    group.bench_function("volatility", |b| {
        b.iter(|| {
            sigma = if sigma > 0.6 { 0.6 } else { 0.600_1 };
            (1..=46).for_each(|id| greeks.step(&volatility(id, sigma), &mut Nowhere));
            greeks.step(&top(50_000.0), &mut Nowhere);
        })
    });
    group.finish();
}

/// A book every expiry of which is asked for, and who computes it.
fn asked() -> (Greeks, Rebuilder) {
    let (rebuilds, mut rebuilder) = elsewhere();
    let mut greeks = stage(552, EXPIRIES, rebuilds);
    for _ in 0..EXPIRIES {
        greeks.step(&at(Body::Clock), &mut Nowhere);
        let mut answers = Vec::new();
        while rebuilder.turn(&mut answers) > 0 {}
        answers.iter().for_each(|answer| greeks.step(answer, &mut Nowhere));
    }
    (1..=552).for_each(|id| greeks.step(&volatility(id, 0.600_1), &mut Nowhere));
    (greeks, rebuilder)
}

fn rebuilds(c: &mut Criterion) {
    let mut group = c.benchmark_group("greeks");
    // Four expiries a clock: a third of the book.
    group.bench_function("rebuild/184", |b| {
        b.iter_batched_ref(
            || {
                let (mut greeks, rebuilder) = asked();
                greeks.step(&at(Body::Clock), &mut Nowhere);
                (greeks, rebuilder)
            },
            |(_, rebuilder)| while rebuilder.turn(&mut Nowhere) > 0 {},
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

criterion_group!(benches, ticks, positions, rebuilds);
criterion_main!(benches);
