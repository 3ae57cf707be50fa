//! The greeks stage: what each kind of event costs on a book of 12 expiries, by the number of options held.
//!
//! Ticks are small moves of the perpetual's mid, inside the anchors' windows; `jump` alternates between two spots 30%
//! apart, so that every window is missed and every option is revalued. A fill is an option's, taken back by the next;
//! `volatility` is one of a refit, with its share of the exposure that follows the burst. `rebuild` is what the cold
//! thread does for the whole book, `hand_over` what the greeks do for it. The outbox drops what it is sent.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use hedgecore::event::Body;
use hedgecore::portfolio::Greeks;
use hedgecore::portfolio::rebuild::{Rebuilder, elsewhere};
use hedgecore::stage::Stage;

mod rig {
    pub(crate) mod greeks;
}
use rig::greeks::{EXPIRIES, Nowhere, anchored, at, fill, stage, top, volatility};

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
                greeks.step(&fill(execution), &mut Nowhere);
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
