//! Price and greeks of every strike of an expiry, exactly.

use std::hint::black_box;

use black_scholes::compute_all;
use hedgecore::instrument::OptionKind::{Call, Put};
use hedgecore::pricing::black76::Greeks;
use hedgecore::pricing::strip::{Strip, StripGreeks};
use nautilus_model::data::greeks::{black_scholes_greeks, black_scholes_greeks_exact};

use crate::contest::{Contender, contest};
use crate::references::{Reference, references};

const FORWARD: f64 = 64_000.0;
const STRIKES: usize = 46;
const YEARS: f64 = 0.077;
const PASSES: u32 = 30;

/// A strike and its volatility.
pub type Struck = (f64, f64);

/// Strikes within two and a half standard deviations of the forward, on a smile.
pub fn smile(forward: f64, strikes: usize, years: f64) -> impl Iterator<Item = Struck> {
    let half = (strikes - 1) as f64 / 2.0;
    (0..strikes).map(move |i| {
        let d = 2.5 * (i as f64 - half) / half;
        (forward * (d * 0.6 * years.sqrt()).exp(), 0.6 + 0.02 * d * d)
    })
}

/// A forward that moves by a basis point to and fro, so that nothing is hoisted out of a loop.
pub fn walk(forward: f64) -> impl FnMut() -> f64 {
    let mut tick = 0u32;
    move || {
        tick = tick.wrapping_add(1);
        black_box(forward * (1.0 + 1e-5 * f64::from(tick % 16)))
    }
}

/// Our strip and single option, the black_scholes crate, nautilus-model in double and single precision: all asked for the
/// call and the put at every strike, then those that can give one side for the call alone.
pub fn compare() {
    let struck: Vec<_> = smile(FORWARD, STRIKES, YEARS).collect();
    let strip = strip_of(&struck, YEARS);
    let mut rows = StripGreeks::with_capacity(STRIKES);
    let (mut next, mut next_summed) = (walk(FORWARD), walk(FORWARD));
    let ours = |kind, f, k, sigma| Greeks::new(kind, f, k, sigma, YEARS);
    let exact = |is_call, f, k, sigma| black_scholes_greeks_exact(f, 0.0, 0.0, sigma, is_call, k, YEARS);
    let single = |is_call, f, k, sigma| black_scholes_greeks(f, 0.0, 0.0, sigma, is_call, k, YEARS);
    contest(
        &format!("price and greeks of the call and the put at {STRIKES} strikes, one after the other"),
        "a strike, both sides; error of a call's price over forward, of its delta",
        vec![
            Contender::new("hedgecore strip, each strike", PASSES, STRIKES, || {
                strip.greeks_into(next(), &mut rows);
                black_box(&rows);
            })
            .remark(accuracy(ours_by_strip)),
            Contender::new("hedgecore strip, summed", PASSES, STRIKES, || {
                black_box(strip.exposure(next_summed()));
            })
            .remark("sums of positions; the same kernel"),
            one_by_one("hedgecore, two options", &struck, |f, k, sigma| {
                (ours(Call, f, k, sigma), ours(Put, f, k, sigma))
            }),
            one_by_one("black_scholes, call and put", &struck, |f, k, sigma| compute_all(f, k, 0.0, sigma, YEARS))
                .remark(accuracy(|r| {
                    let all = compute_all(r.forward, r.strike, 0.0, r.sigma, r.years);
                    (all.call_price, all.call_delta)
                })),
            one_by_one("nautilus-model, exact, twice", &struck, |f, k, sigma| {
                (exact(true, f, k, sigma), exact(false, f, k, sigma))
            }),
            one_by_one("nautilus-model, single, twice", &struck, |f, k, sigma| {
                (single(true, f, k, sigma), single(false, f, k, sigma))
            }),
        ],
    );
    contest(
        &format!("price and greeks of the call alone at {STRIKES} strikes"),
        "an option; error of price over forward, of delta",
        vec![
            one_by_one("hedgecore, one option", &struck, |f, k, sigma| ours(Call, f, k, sigma)).remark(accuracy(|r| {
                let greeks = Greeks::new(Call, r.forward, r.strike, r.sigma, r.years);
                (greeks.price, greeks.delta)
            })),
            one_by_one("nautilus-model, exact", &struck, |f, k, sigma| exact(true, f, k, sigma)).remark(accuracy(
                |r| {
                    let greeks = black_scholes_greeks_exact(r.forward, 0.0, 0.0, r.sigma, true, r.strike, r.years);
                    (greeks.price, greeks.delta)
                },
            )),
            one_by_one("nautilus-model, single precision", &struck, |f, k, sigma| single(true, f, k, sigma)).remark(
                accuracy(|r| {
                    let greeks = black_scholes_greeks(r.forward, 0.0, 0.0, r.sigma, true, r.strike, r.years);
                    (greeks.price, greeks.delta)
                }),
            ),
        ],
    );
}

/// A strip of these strikes, long one coin of each call.
pub fn strip_of(struck: &[Struck], years: f64) -> Strip {
    let mut strip = Strip::with_capacity(struck.len());
    for &(strike, sigma) in struck {
        let index = strip.push(strike).expect("room");
        strip.set_vol(index, sigma);
        strip.set_position(index, 1.0, 0.0);
    }
    strip.set_time(years);
    strip
}

/// One that prices a strike at a time.
fn one_by_one<'a, T>(
    name: &'static str,
    struck: &'a [Struck],
    greeks: impl Fn(f64, f64, f64) -> T + 'a,
) -> Contender<'a> {
    let mut next = walk(FORWARD);
    Contender::new(name, PASSES, struck.len(), move || {
        let forward = next();
        for &(strike, sigma) in struck {
            black_box(greeks(forward, strike, sigma));
        }
    })
}

fn ours_by_strip(r: &Reference) -> (f64, f64) {
    let strip = strip_of(&[(r.strike, r.sigma)], r.years);
    let mut rows = StripGreeks::with_capacity(1);
    strip.greeks_into(r.forward, &mut rows);
    assert!(rows.at(0, Put).price >= 0.0);
    let call = rows.at(0, Call);
    (call.price, call.delta)
}

/// Largest errors of a call's price, over the forward, and of its delta, against the references.
fn accuracy(price_and_delta: impl Fn(&Reference) -> (f64, f64)) -> String {
    let (mut worst_price, mut worst_delta) = (0.0_f64, 0.0_f64);
    for r in references() {
        let (price, delta) = price_and_delta(&r);
        worst_price = worst_price.max((price - r.call()).abs() / r.forward);
        worst_delta = worst_delta.max((delta - r.call_delta).abs());
    }
    format!("{worst_price:.0e}, {worst_delta:.0e}")
}
