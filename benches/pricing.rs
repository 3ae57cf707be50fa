//! Cost of pricing: one option, a strip, implied volatility, the book by anchors, a smile.
//!
//! Books are those of a BTC desk: 12 expiries from an hour to a year, 46 strikes each (552), every strike alive, forwards
//! walking by a basis point a tick so that nothing is hoisted out of the loop. Times are per call unless a throughput
//! line stands beside them, which is per strike.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hedgecore::instrument::OptionKind::{Call, Put};
use hedgecore::pricing::anchor::{Anchor8, Anchor16, evaluate_book};
use hedgecore::pricing::black76::Greeks;
use hedgecore::pricing::elementary::{LnParts, exp, ln};
use hedgecore::pricing::implied_vol::{VolSolver, implied_vol, implied_vol_near};
use hedgecore::pricing::strip::{Strip, StripGreeks};
use hedgecore::surface::svi::{Point, Points, Svi};

const FORWARD: f64 = 64_000.0;
const EXPIRIES: usize = 12;
const STRIKES: usize = 46;

/// Years to the expiries: an hour, a day, two days, weeks, months, a year.
const YEARS: [f64; EXPIRIES] = [1.2e-4, 2.8e-3, 5.5e-3, 8.2e-3, 1.9e-2, 3.8e-2, 5.8e-2, 7.7e-2, 0.16, 0.25, 0.5, 1.0];

/// Strikes within two and a half standard deviations of the forward, on a smile.
fn strip(years: f64) -> Strip {
    let mut strip = Strip::with_capacity(STRIKES);
    for i in 0..STRIKES {
        let d = (i as f64 - 22.5) / 9.0;
        let index = strip.push(FORWARD * exp(d * 0.6 * years.sqrt())).expect("room");
        strip.set_vol(index, 0.6 + 0.02 * d * d);
        strip.set_position(index, 1.0 - 0.1 * i as f64, 0.3 * d);
    }
    strip.set_time(years);
    strip
}

/// A forward that moves by a basis point to and fro.
fn walk() -> impl FnMut() -> f64 {
    let mut tick = 0u32;
    move || {
        tick = tick.wrapping_add(1);
        FORWARD * (1.0 + 1e-4 * f64::from(tick % 16))
    }
}

fn elementary(c: &mut Criterion) {
    let mut group = c.benchmark_group("elementary");
    group.bench_function("exp", |b| b.iter(|| exp(black_box(-3.7))));
    group.bench_function("ln", |b| b.iter(|| ln(black_box(64_123.4))));
    group.bench_function("ln_parts", |b| b.iter(|| LnParts::of(black_box(64_123.4))));
    group.finish();
}

fn one_option(c: &mut Criterion) {
    let mut group = c.benchmark_group("one_option");
    let mut next = walk();
    group.bench_function("greeks", |b| b.iter(|| Greeks::new(Call, black_box(next()), 66_000.0, 0.6, 0.08)));
    let prices: Vec<_> =
        (0..16).map(|i| Greeks::new(Put, FORWARD, 60_000.0, 0.6 + 1e-3 * f64::from(i), 0.08).price).collect();
    let mut tick = 0;
    let mut price = move || {
        tick = (tick + 1) % prices.len();
        prices[tick]
    };
    group.bench_function("implied_vol/cold", |b| {
        b.iter(|| implied_vol(Put, black_box(price()), FORWARD, 60_000.0, 0.08));
    });
    group.bench_function("implied_vol/warm", |b| {
        b.iter(|| implied_vol_near(Put, black_box(price()), FORWARD, 60_000.0, 0.08, 0.608));
    });
    // What a quote costs once the strike's logarithm is known: from the last tick's volatility, and from 1% beside it.
    let solver = VolSolver::new(FORWARD, 60_000.0, 0.08).expect("positive");
    let last = Greeks::new(Put, FORWARD, 60_000.0, 0.6, 0.08).price;
    for (name, guess) in [("solver/last_tick", 0.6 * 1.000_5), ("solver/one_percent", 0.6 * 1.01)] {
        group.bench_function(name, |b| b.iter(|| black_box(&solver).solve(Put, black_box(last), black_box(guess))));
    }
    group.finish();
}

fn strips(c: &mut Criterion) {
    let mut group = c.benchmark_group("strip");
    let strips: Vec<_> = YEARS.iter().map(|&years| strip(years)).collect();
    let mut next = walk();
    group.throughput(Throughput::Elements(STRIKES as u64));
    group.bench_function("exposure/46", |b| b.iter(|| strips[7].exposure(black_box(next()))));
    let mut rows = StripGreeks::with_capacity(STRIKES);
    group.bench_function("greeks/46", |b| b.iter(|| strips[7].greeks_into(black_box(next()), &mut rows)));
    group.bench_function("greeks_narrow/46", |b| b.iter(|| strips[0].greeks_into(black_box(next()), &mut rows)));
    group.throughput(Throughput::Elements((EXPIRIES * STRIKES) as u64));
    group.bench_function("exposure/552", |b| {
        b.iter(|| {
            let forward = next();
            strips.iter().map(|strip| strip.exposure(black_box(forward)).coin_delta).sum::<f64>()
        });
    });
    group.finish();
}

/// Anchors of the whole book, one lot of every strike's calls and puts held.
fn book(strips: &[Strip]) -> Vec<Anchor8> {
    let held = |strip: &Strip| {
        let mut anchor = Anchor8::with_capacity(STRIKES, 0.1);
        anchor.rebuild(strip, FORWARD).expect("fits");
        for slot in 0..STRIKES {
            anchor.add_fill(slot, Call, 3 - slot as i64 % 7).expect("room");
            anchor.add_fill(slot, Put, slot as i64 % 5 - 2).expect("room");
        }
        anchor
    };
    strips.iter().map(held).collect()
}

fn anchors(c: &mut Criterion) {
    let mut group = c.benchmark_group("anchor");
    let strips: Vec<_> = YEARS.iter().map(|&years| strip(years)).collect();
    let mut anchors = book(&strips);
    let mut tick = 0u32;
    let mut next = move || {
        tick = tick.wrapping_add(1);
        FORWARD * (1.0 + 1e-5 * f64::from(tick % 16))
    };
    group.bench_function("tick/1_expiry", |b| b.iter(|| anchors[4].evaluate(black_box(next()))));
    group.bench_function("tick/12_expiries", |b| {
        b.iter(|| {
            let forwards = [black_box(next()); EXPIRIES];
            let (exposure, missed) = evaluate_book(&anchors, &forwards);
            assert_eq!(missed, 0);
            exposure
        });
    });
    let mut lots = 1;
    group.bench_function("fill", |b| {
        b.iter(|| {
            lots = -lots;
            anchors[4].add_fill(black_box(11), Call, lots)
        });
    });
    group.bench_function("rebuild/552", |b| {
        b.iter(|| {
            let forward = next();
            for (anchor, strip) in anchors.iter_mut().zip(&strips) {
                anchor.rebuild(strip, black_box(forward)).expect("fits");
            }
        });
    });
    let mut finer = Anchor16::with_capacity(STRIKES, 0.1);
    finer.rebuild(&strips[4], FORWARD).expect("fits");
    group.bench_function("order_16/tick", |b| b.iter(|| finer.evaluate(black_box(next()))));
    group.bench_function("order_16/fill", |b| {
        b.iter(|| {
            lots = -lots;
            finer.add_fill(black_box(11), Put, lots)
        });
    });
    group.finish();
}

/// A slice of 46 strikes that moves to and fro by 2% of variance, its points off any smile by up to 0.2%.
fn smiles(c: &mut Criterion) {
    let mut group = c.benchmark_group("smile");
    let points = |svi: &Svi| -> Points {
        let point = |i: usize| {
            let k = -0.6 + 1.1 * i as f64 / (STRIKES - 1) as f64;
            let w = svi.w(k) * (1.0 + 2e-3 * ((i * 7_919 % 13) as f64 / 6.0 - 1.0));
            Point { k, w, weight: 1.0 / w }
        };
        (0..STRIKES).map(point).collect()
    };
    let still = Svi { a: 0.01, b: 0.08, rho: -0.3, m: 0.02, sigma: 0.15 };
    let slices = [points(&still), points(&Svi { a: 0.010_2, b: 0.081, rho: -0.31, m: 0.021, ..still })];
    let sooner = Svi { a: 0.005, ..still };
    let mut smile = Svi::fit(&slices[0], None).expect("a smile");
    let mut tick = 0;
    group.bench_function("refit_and_checks/46", |b| {
        b.iter(|| {
            tick ^= 1;
            smile = smile.refit(black_box(&slices[tick])).expect("free of butterflies");
            assert!(smile.is_calendar_free(&sooner, (-0.6, 0.5)));
        });
    });
    group.bench_function("cold/46", |b| b.iter(|| Svi::fit(black_box(&slices[0]), None)));
    group.finish();
}

criterion_group!(benches, elementary, one_option, strips, anchors, smiles);
criterion_main!(benches);
