//! Anchors built elsewhere: what a recording replays, what happens when nobody answers, and what the patch is worth.

use super::*;
use crate::portfolio::rebuild::{PATIENCE_NS, Rebuilder, elsewhere};

const OPTIONS: u16 = 40;

fn strike(id: u16) -> f64 {
    30_000.0 + 1_000.0 * f64::from(id)
}

fn kind(id: u16) -> OptionKind {
    if id.is_multiple_of(2) { OptionKind::Call } else { OptionKind::Put }
}

fn desk_with(rebuilds: Rebuilds) -> Desk {
    let config = GreeksConfig { opening: OpeningBook::ShortEveryOption, stickiness: 0.5, ..GreeksConfig::default() };
    let mut desk = Desk { greeks: Greeks::with_rebuilds(config, rebuilds), out: Vec::new(), now: START };
    desk.step(Body::Underlying { id: U, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
    desk.step(perpetual());
    for id in 1..=OPTIONS {
        desk.step(option(id, Payoff::Inverse, kind(id), strike(id)));
    }
    desk.spot(50_000.0);
    desk.step(forward(1.0));
    for id in 1..=OPTIONS {
        desk.step(Body::Volatility { instrument: InstrumentId(id), sigma: 0.6, slope: -0.1 });
    }
    desk
}

/// Lets the rebuilder work, and the desk hear of it.
fn answer(desk: &mut Desk, rebuilder: &mut Rebuilder) -> usize {
    let mut answers = Vec::new();
    while rebuilder.turn(&mut answers) > 0 {}
    answers.iter().for_each(|event| desk.greeks.step(event, &mut desk.out));
    answers.len()
}

/// Net delta in full, and how far it is from Black–Scholes at these volatilities; both per lot of the book.
fn missed(desk: &Desk, sigma: impl Fn(u16) -> f64) -> f64 {
    let shown = desk.shown();
    let (f, years) = (shown.spot.to_f64(), variance_years(30.0 / 365.0, WINDOW_YEARS));
    let exact = desk.greeks.positions().map(|(id, lots)| {
        if id == PERPETUAL {
            return lots.0 as f64 * 10.0 / f;
        }
        let greeks = black76::Greeks::new(kind(id.0), f, strike(id.0), sigma(id.0), years).in_coin(f);
        0.1 * lots.0 as f64 * (greeks.delta + 0.5 * 0.1 * greeks.vega)
    });
    (shown.net_delta.to_f64() - exact.sum::<f64>()).abs()
}

#[test]
fn an_anchor_counts_from_its_event_on_and_fills_in_between_are_in_it() {
    let (rebuilds, mut rebuilder) = elsewhere();
    let mut desk = desk_with(rebuilds);
    desk.step(Body::Clock);
    assert_eq!(desk.greeks.rebuilds().asked, 1);
    // Fills of options that the request knew flat, long and short, and one it did not know of.
    desk.step(fill(1, 3, Side::Buy, 1));
    desk.step(fill(2, 4, Side::Buy, 500));
    desk.step(fill(3, 5, Side::Sell, 70));
    desk.step(Body::Volatility { instrument: InstrumentId(7), sigma: 0.603, slope: -0.1 });
    desk.spot(50_100.0);
    let sigma = |id| if id == 7 { 0.603 } else { 0.6 };
    assert!(missed(&desk, sigma) < 2e-9, "by rows");
    assert_eq!(answer(&mut desk, &mut rebuilder), 1);
    assert_eq!(desk.greeks.rebuilds().adopted, 1);
    desk.spot(50_200.0);
    let bound = f64::from(desk.shown().delta_bound);
    assert!(missed(&desk, sigma) <= bound && bound < 1e-5, "by the anchor: {} {bound}", missed(&desk, sigma));
    // And what undoes a fill leaves no trace, whichever generation it is in.
    let before = desk.shown();
    desk.step(fill(4, 4, Side::Buy, 9));
    desk.step(Body::Clock);
    assert_eq!(answer(&mut desk, &mut rebuilder), 1, "the volatility of 7");
    desk.step(fill(5, 4, Side::Sell, 9));
    desk.spot(50_200.0);
    let moved = (desk.shown().net_delta.to_f64() - before.net_delta.to_f64()).abs();
    assert!(moved <= f64::from(before.delta_bound), "no more than the patch could miss: {moved}");
    assert!(missed(&desk, sigma) < 2e-8);
}

/// Everything that comes out of a random life of a desk, and what went in.
fn live(seed: u64) -> (Vec<Event>, Vec<Event>) {
    let (rebuilds, mut rebuilder) = elsewhere();
    let mut desk = desk_with(rebuilds);
    desk.out.clear();
    let mut state = seed;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut recorded, mut spot) = (Vec::new(), 50_000.0);
    for step in 0..10_000 {
        let id = 1 + draw(u64::from(OPTIONS)) as u16;
        let body = match draw(12) {
            0..=3 => {
                spot *= 1.0 + (draw(2_001) as f64 - 1_000.0) * 2e-6;
                top(PERPETUAL, BookQuality::Good, spot)
            }
            4 | 5 => fill(step, id, if draw(2) == 0 { Side::Buy } else { Side::Sell }, 1 + draw(50) as u32),
            6 | 7 => {
                let sigma = 0.6 + 1e-4 * draw(100) as f64;
                Body::Volatility { instrument: InstrumentId(id), sigma, slope: -0.1 + 1e-3 * draw(9) as f64 }
            }
            8 => forward(1.0 + 1e-5 * draw(100) as f64),
            9 => {
                let mut answers = Vec::new();
                if rebuilder.turn(&mut answers) == 0 {
                    continue;
                }
                answers[0].body
            }
            _ => Body::Clock,
        };
        desk.now.0 += draw(3) * Nanos::PER_MILLI;
        recorded.push(at(desk.now, body));
        desk.step(body);
    }
    assert!(desk.greeks.rebuilds().adopted > 300, "{:?}", desk.greeks.rebuilds());
    (recorded, desk.out)
}

#[test]
fn a_recording_replays_every_rebuild_where_it_happened() {
    for seed in [1, 2, 3] {
        let (recorded, sent) = live(seed);
        let mut again = desk_with(Rebuilds::Recorded);
        again.out.clear();
        for event in &recorded {
            again.greeks.step(event, &mut again.out);
        }
        assert!(again.out == sent, "seed {seed}");
    }
}

#[test]
fn a_rebuilder_that_died_is_replaced_by_the_stage_itself_and_forgiven_when_it_is_back() {
    let (rebuilds, mut rebuilder) = elsewhere();
    let mut desk = desk_with(rebuilds);
    desk.step(Body::Clock);
    desk.now.0 += PATIENCE_NS;
    desk.step(Body::Clock);
    assert_eq!((desk.greeks.rebuilds().fallbacks, desk.greeks.rebuilds().adopted), (0, 0));
    desk.spot(50_100.0);
    assert!(missed(&desk, |_| 0.6) < 2e-8, "exact while it waits");
    desk.now.0 += 1;
    desk.step(Body::Clock);
    assert_eq!((desk.greeks.rebuilds().fallbacks, desk.greeks.rebuilds().adopted), (1, 1));
    for round in 0..20 {
        desk.step(Body::Volatility { instrument: InstrumentId(7), sigma: 0.61 + 0.001 * f64::from(round), slope: 0.0 });
        desk.now.0 += PATIENCE_NS + 1;
        desk.step(Body::Clock);
    }
    assert_eq!(desk.greeks.rebuilds().fallbacks, 21, "nobody else does it");
    assert!(answer(&mut desk, &mut rebuilder) > 0);
    assert!(desk.greeks.rebuilds().late > 0);
    let adopted = desk.greeks.rebuilds().adopted;
    desk.step(Body::Volatility { instrument: InstrumentId(7), sigma: 0.6, slope: -0.1 });
    desk.step(Body::Clock);
    assert_eq!(desk.greeks.rebuilds().fallbacks, 21, "asked again");
    assert_eq!(answer(&mut desk, &mut rebuilder), 1);
    assert_eq!(desk.greeks.rebuilds().adopted, adopted + 1);
    desk.spot(50_000.0);
    assert!(missed(&desk, |_| 0.6) < 2e-7);
}

#[test]
fn a_refit_is_patched_into_delta_until_the_rebuild_lands() {
    let refit = |by: f64| {
        let (rebuilds, mut rebuilder) = elsewhere();
        let mut desk = desk_with(rebuilds);
        desk.step(Body::Clock);
        answer(&mut desk, &mut rebuilder);
        desk.spot(50_200.0);
        let unpatched = missed(&desk, |_| 0.6 + by);
        for id in 1..=OPTIONS {
            desk.step(Body::Volatility { instrument: InstrumentId(id), sigma: 0.6 + by, slope: -0.1 });
        }
        desk.step(Body::Clock);
        desk.spot(50_201.0);
        desk.spot(50_200.0);
        let (patched, bound) = (missed(&desk, |_| 0.6 + by), f64::from(desk.shown().delta_bound));
        assert!(patched <= bound, "{patched} {bound}");
        answer(&mut desk, &mut rebuilder);
        desk.spot(50_199.0);
        desk.spot(50_200.0);
        assert!(missed(&desk, |_| 0.6 + by) < 2e-8);
        (unpatched, patched, bound)
    };
    let gross = 0.1 * f64::from(OPTIONS);
    for by in [0.000_5, 0.002, 0.01] {
        let (unpatched, patched, bound) = refit(by);
        assert!(patched < 0.05 * unpatched + 2e-9, "{by}: {unpatched} unpatched, {patched} patched");
        assert!(bound < 1.1e-4 * gross, "{by}: {bound}");
    }
    // Five points: the patch can no longer be certified to a ten-thousandth, and the strip answers.
    let (unpatched, exact, bound) = refit(0.05);
    assert!(unpatched > 1e-3 && exact < 2e-8 && bound < 2e-8, "{unpatched} {exact} {bound}");
}
