//! What the hedge is told of volatility, against the sums done by hand.

use super::*;
use crate::event::JUMP_SIZES;
use crate::pricing::elementary::ln;

const STRIKES: [f64; 5] = [30_000.0, 40_000.0, 50_000.0, 60_000.0, 70_000.0];
const SPOT: f64 = 51_500.0;

/// Puts and calls at five strikes with a smile that falls by strike, one lot short of each.
fn desk(payoff: Payoff) -> Desk {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    for (at, strike) in (0..).zip(STRIKES) {
        desk.step(option(1 + 2 * at, payoff, OptionKind::Put, strike));
        desk.step(option(2 + 2 * at, payoff, OptionKind::Call, strike));
    }
    desk.spot(SPOT);
    desk.step(forward(1.0));
    for at in 0..5 {
        desk.step(volatility(1 + 2 * at, sigma_at(at)));
        desk.step(volatility(2 + 2 * at, sigma_at(at)));
    }
    desk.step(Body::Clock);
    desk.out.clear();
    desk
}

fn sigma_at(strike: u16) -> f64 {
    0.7 - 0.05 * f64::from(strike)
}

fn smiles(desk: &mut Desk) -> Vec<Body> {
    desk.out.drain(..).map(|e| e.body).filter(|b| matches!(b, Body::Smile { .. } | Body::Unit { .. })).collect()
}

#[test]
fn an_expiry_is_told_with_the_two_options_that_would_hedge_it() {
    for payoff in [Payoff::Inverse, Payoff::Linear] {
        let mut desk = desk(payoff);
        // The slice of what never expires has no smile and comes first.
        desk.step(Body::Clock);
        desk.step(Body::Clock);
        let told = smiles(&mut desk);
        let [Body::Smile { vega, skew, sigma, slope, .. }, Body::Unit { .. }, Body::Unit { .. }] = told[..] else {
            panic!("{told:?}")
        };
        let (years, root) = (30.0 / 365.0, (30.0f64 / 365.0).sqrt());
        let variance = variance_years(years, WINDOW_YEARS);
        let (mut naive_vega, mut naive_skew) = (0.0, 0.0);
        for (at, strike) in (0..).zip(STRIKES) {
            let one = black76::Greeks::new(OptionKind::Call, SPOT, strike, sigma_at(at), variance);
            naive_vega -= 2.0 * 0.1 * one.vega / SPOT;
            naive_skew -= 2.0 * 0.1 * one.vega / SPOT * ln(strike / SPOT) / root;
        }
        assert!((f64::from(vega) / naive_vega - 1.0).abs() < 1e-6, "{vega} {naive_vega}");
        assert!((f64::from(skew) / naive_skew - 1.0).abs() < 1e-5, "{skew} {naive_skew}");
        let per_log = -0.05 / ln(60_000.0 / 50_000.0);
        assert!((f64::from(slope) / (per_log * root) - 1.0).abs() < 1e-5, "{slope}");
        assert!((f64::from(sigma) - (0.6 + per_log * ln(SPOT / 50_000.0))).abs() < 1e-6, "{sigma}");

        let units = told[1..].iter().map(|unit| match unit {
            Body::Unit { instrument, delta, vega, .. } => (*instrument, *delta, *vega),
            _ => unreachable!(),
        });
        let units: Vec<_> = units.collect();
        // Half a standard deviation is some 9%: the nearest strikes are 3% below and 15% above.
        assert_eq!((units[0].0, units[1].0), (InstrumentId(5), InstrumentId(8)));
        assert!(units[0].1 < 0.0 && units[1].1 > 0.0 && units.iter().all(|unit| unit.2 > 0.0), "{units:?}");
    }
}

#[test]
fn a_fill_in_the_middle_begins_the_expiry_anew() {
    let mut desk = desk(Payoff::Inverse);
    for at in 0..100u16 {
        let id = 11 + at;
        desk.step(option(id, Payoff::Inverse, OptionKind::Call, 71_000.0 + 100.0 * f64::from(at)));
        desk.step(volatility(id, 0.5));
    }
    let vega_of = |desk: &mut Desk| {
        for _ in 0..12 {
            desk.step(Body::Clock);
        }
        let told = smiles(desk);
        let vegas: Vec<f32> =
            told.iter().filter_map(|b| if let Body::Smile { vega, .. } = b { Some(*vega) } else { None }).collect();
        assert!(!vegas.is_empty());
        vegas
    };
    let before = *vega_of(&mut desk).last().unwrap();
    let unit = {
        let one = black76::Greeks::new(
            OptionKind::Put,
            SPOT,
            50_000.0,
            sigma_at(2),
            variance_years(30.0 / 365.0, WINDOW_YEARS),
        );
        0.1 * one.vega / SPOT
    };
    // Wherever the survey stands, what it says next includes the fill.
    for execution in 1..=5 {
        desk.step(Body::Clock);
        desk.out.clear();
        desk.step(fill(execution, 5, Side::Buy, 1));
        for vega in vega_of(&mut desk) {
            let expected = f64::from(before) + execution as f64 * unit;
            assert!((f64::from(vega) - expected).abs() < 1e-6, "{vega} {expected}");
        }
    }
}

#[test]
fn an_expiry_that_cannot_be_valued_is_passed_over() {
    let mut desk = desk(Payoff::Inverse);
    desk.step(option(11, Payoff::Inverse, OptionKind::Call, 80_000.0));
    for _ in 0..8 {
        desk.step(Body::Clock);
    }
    assert_eq!(smiles(&mut desk), [], "one held option has no volatility");
    desk.step(volatility(11, 0.5));
    for _ in 0..8 {
        desk.step(Body::Clock);
    }
    assert!(!smiles(&mut desk).is_empty());
}

#[test]
fn exposures_say_of_how_many_expiries_options_are_held() {
    let mut desk = Desk::new(OpeningBook::Flat);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Put, 50_000.0));
    desk.step(option(2, Payoff::Inverse, OptionKind::Call, 60_000.0));
    desk.spot(SPOT);
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.6));
    desk.step(volatility(2, 0.6));
    let mut held = Vec::new();
    for (execution, instrument, side) in
        [(1, 0, Side::Buy), (2, 1, Side::Buy), (3, 2, Side::Sell), (4, 1, Side::Sell), (5, 2, Side::Buy)]
    {
        desk.step(fill(execution, instrument, side, 1));
        held.push(desk.shown().expiries);
    }
    assert_eq!(held, [0, 1, 1, 1, 0]);
}

#[test]
fn what_jumps_gain_is_a_revaluation_less_what_a_future_gains() {
    for payoff in [Payoff::Inverse, Payoff::Linear] {
        let mut desk = desk(payoff);
        desk.step(Body::Clock);
        desk.step(Body::Clock);
        let jumps: Vec<_> = desk
            .out
            .drain(..)
            .filter_map(|event| match event.body {
                Body::Jumps { gains, .. } => Some((None, gains)),
                Body::UnitJumps { instrument, gains } => Some((Some(instrument), gains)),
                _ => None,
            })
            .collect();
        let years = variance_years(30.0 / 365.0, WINDOW_YEARS);
        let naive = |kind, strike, sigma, jump: f64| {
            let value = |spot: f64| black76::Greeks::new(kind, spot, strike, sigma, years);
            let (now, then) = (value(SPOT), value(SPOT * (1.0 + jump)));
            let gain = match payoff {
                Payoff::Inverse => {
                    let delta = now.delta - now.price / SPOT;
                    then.price / (SPOT * (1.0 + jump)) - now.price / SPOT - delta * jump / (1.0 + jump)
                }
                Payoff::Linear => (then.price - now.price) / SPOT - now.delta * jump,
            };
            0.1 * gain
        };
        let [(None, book), (Some(InstrumentId(5)), put), (Some(InstrumentId(8)), call)] = jumps[..] else {
            panic!("{jumps:?}")
        };
        for (at, jump) in JUMP_SIZES.into_iter().enumerate() {
            let close = |told: f32, expected: f64| (f64::from(told) - expected).abs() < 1e-6 * expected.abs() + 1e-8;
            let of_book: f64 = (0..)
                .zip(STRIKES)
                .map(|(k, strike)| {
                    let one = |kind| naive(kind, strike, sigma_at(k), jump);
                    -one(OptionKind::Put) - one(OptionKind::Call)
                })
                .sum();
            assert!(close(book[at], of_book) && of_book < 0.0, "{payoff:?} {jump}: {} {of_book}", book[at]);
            assert!(close(put[at], naive(OptionKind::Put, 50_000.0, sigma_at(2), jump)), "{payoff:?} {jump}");
            assert!(close(call[at], naive(OptionKind::Call, 60_000.0, sigma_at(3), jump)), "{payoff:?} {jump}");
        }
    }
}
