//! Anchors against exact revaluation of the same strips.

use OptionKind::{Call, Put};
use proptest::prelude::*;

use super::*;
use crate::pricing::elementary::exp;

const LOT: f64 = 0.1;

/// A strip on a smile around 100, and its slopes.
fn smile(years: f64, strikes: usize) -> Strip {
    let mut strip = Strip::with_capacity(strikes);
    let at_the_money = 0.6 * years.sqrt();
    for i in 0..strikes {
        let d = 6.0 * (i as f64 / (strikes - 1) as f64 - 0.5);
        let index = strip.push(100.0 * exp(d * at_the_money)).unwrap();
        strip.set_vol(index, 0.6 + 0.03 * d * d - 0.02 * d);
        strip.set_smile_slope(index, 0.06 * d - 0.02);
    }
    strip.set_time(years);
    strip
}

/// Positions in lots, calls and puts, also set in the strip.
fn hold(strip: &mut Strip, lots: &[(i64, i64)]) {
    for (slot, &(calls, puts)) in lots.iter().enumerate() {
        strip.set_position(slot, calls as f64 * LOT, puts as f64 * LOT);
    }
}

fn fields(e: &Exposure) -> [f64; 9] {
    [e.value, e.delta, e.coin_delta, e.gamma, e.vega, e.theta, e.vanna, e.volga, e.skew]
}

fn assert_within(got: &Exposure, exact: &Exposure, bounds: &Exposure) {
    for ((got, exact), bound) in fields(got).into_iter().zip(fields(exact)).zip(fields(bounds)) {
        assert!((got - exact).abs() <= bound, "{got} for {exact}, off by {:e}, bound {bound:e}", (got - exact).abs());
    }
}

/// Worst error of coin delta over gross at the window's edge, certified and measured.
fn worst<const ROWS: usize>(years: f64) -> (f64, f64) {
    let mut strip = smile(years, 40);
    let mut anchor = Anchor::<ROWS>::with_capacity(40, LOT);
    anchor.rebuild(&strip, 100.0).unwrap();
    let lots: Vec<_> = (0..40).map(|i| (7 - 3 * (i % 5), i % 3 - 1)).collect();
    hold(&mut strip, &lots);
    for (slot, &(calls, puts)) in lots.iter().enumerate() {
        anchor.add_fill(slot, Call, calls).unwrap();
        anchor.add_fill(slot, Put, puts).unwrap();
    }
    let gross = LOT * anchor.gross_lots() as f64;
    let mut measured = 0.0f64;
    for step in -20..=20 {
        let forward = 100.0 * exp(f64::from(step) / 20.0 * 0.999_999 * anchor.half_window());
        let (got, exact) = (anchor.evaluate(forward).unwrap(), strip.exposure(forward));
        assert_within(&got, &exact, &anchor.bounds());
        measured = measured.max((got.coin_delta - exact.coin_delta).abs() / gross);
    }
    (anchor.bounds().coin_delta / gross, measured)
}

#[test]
fn errors_stay_within_their_bounds_up_to_the_edge_of_the_window() {
    for years in [1e-5, 1e-4, 3e-3, 0.08, 0.5, 2.0] {
        let (certified, measured) = worst::<9>(years);
        assert!(certified < 1.1e-9 && measured <= certified, "order 8, {years}: {certified:e} {measured:e}");
        let (certified, measured) = worst::<17>(years);
        assert!(certified < 2e-13 && measured <= certified, "order 16, {years}: {certified:e} {measured:e}");
    }
}

#[test]
fn outside_the_window_there_is_no_answer() {
    let strip = smile(0.08, 16);
    let mut anchor = Anchor8::with_capacity(16, LOT);
    assert_eq!(anchor.evaluate(1.0), None, "before it is built");
    anchor.rebuild(&strip, 100.0).unwrap();
    let h = anchor.half_window();
    assert!(h > 0.03);
    assert!(anchor.evaluate(100.0 * exp(0.999 * h)).is_some());
    for forward in [100.0 * exp(1.001 * h), 100.0 * exp(-1.001 * h), 0.0, -100.0, f64::NAN, f64::INFINITY] {
        assert_eq!(anchor.evaluate(forward), None, "{forward}");
    }
}

#[test]
fn a_forward_or_a_strike_that_cannot_be_expanded_disables_the_anchor() {
    let mut strip = smile(0.08, 16);
    let mut anchor = Anchor8::with_capacity(32, LOT);
    for forward in [0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(anchor.rebuild(&strip, forward), Err(Unfit));
        assert_eq!(anchor.evaluate(forward), None);
    }
    assert_eq!(anchor.rebuild(&strip, 1e-4), Err(Unfit), "strikes a million forwards away");
    assert_eq!(anchor.evaluate(1e-4), None);
    // Three nanoseconds from expiry, theta a year at the strike is beyond the range.
    strip.set_time(1e-16);
    assert_eq!(anchor.rebuild(&strip, strip.strike(8)), Err(Unfit));
}

#[test]
fn lots_beyond_the_limit_are_refused_whole() {
    let strip = smile(0.08, 16);
    let mut anchor = Anchor8::with_capacity(16, LOT);
    assert_eq!(anchor.add_fill(0, Call, 1), Err(Refused::NoSuchSlot));
    anchor.rebuild(&strip, 100.0).unwrap();
    anchor.add_fill(3, Call, LOTS_MAX - 5).unwrap();
    let before = anchor.evaluate(100.5).unwrap();
    for lots in [6, i64::MAX, i64::MIN, -i64::from(i32::MAX) * 2] {
        assert_eq!(anchor.add_fill(4, Put, lots), Err(Refused::TooManyLots), "{lots}");
    }
    assert_eq!(anchor.evaluate(100.5), Some(before));
    anchor.add_fill(4, Put, -5).unwrap();
    anchor.add_fill(3, Call, -LOTS_MAX).unwrap();
}

#[test]
fn volatility_that_has_moved_is_patched_into_the_deltas_within_their_bounds() {
    let mut strip = smile(0.08, 16);
    let mut anchor = Anchor8::with_capacity(16, LOT);
    anchor.rebuild(&strip, 100.0).unwrap();
    hold(&mut strip, &[(40, 0), (0, -30), (5, 5), (-60, 10), (9, 0), (8, 0), (0, 7), (20, 0), (0, -30), (5, 0)]);
    for (slot, lots) in [40, 0, 5, -60, 9, 8, 0, 20, 0, 5].into_iter().enumerate() {
        anchor.add_fill(slot, Call, lots).unwrap();
    }
    let then: Vec<_> = (0..10).map(|slot| (strip.sigma(slot), 0.06 * f64::from(slot as u8) - 0.2)).collect();
    for (slot, &(sigma, slope)) in then.iter().enumerate() {
        strip.set_smile_slope(slot, slope);
        anchor.shift_vol(slot, (sigma, slope), (sigma, slope));
    }
    anchor.rebuild(&strip, 100.0).unwrap();
    for (slot, &(sigma, slope)) in then.iter().enumerate() {
        strip.set_vol(slot, sigma + 0.002);
        strip.set_smile_slope(slot, slope + 0.003);
        anchor.shift_vol(slot, (sigma, slope), (sigma + 0.002, slope + 0.003));
    }
    for (slot, lots) in [0, -30, 5, 10, 0, 0, 7, 0, -30, 0].into_iter().enumerate() {
        anchor.add_fill(slot, Put, lots).unwrap();
    }
    let before = state(&anchor);
    let (patched, exact, bounds) = (anchor.evaluate(101.0).unwrap(), strip.exposure(101.0), &anchor.bounds());
    assert!((patched.coin_delta - exact.coin_delta).abs() < bounds.coin_delta);
    assert!((patched.delta - exact.delta).abs() < bounds.delta);
    assert!((patched.skew - exact.skew).abs() < bounds.skew);
    assert!(bounds.delta < 2e-5 * LOT * anchor.gross_lots() as f64);
    for (slot, &(sigma, slope)) in then.iter().enumerate() {
        anchor.shift_vol(slot, (sigma, slope), (sigma, slope));
    }
    anchor.patch_in();
    let unpatched = anchor.evaluate(101.0).unwrap();
    assert!((unpatched.coin_delta - exact.coin_delta).abs() > 10.0 * (patched.coin_delta - exact.coin_delta).abs());
    assert!((unpatched.skew - exact.skew).abs() > 10.0 * (patched.skew - exact.skew).abs());
    for (slot, &(sigma, slope)) in then.iter().enumerate() {
        anchor.shift_vol(slot, (sigma, slope), (sigma + 0.002, slope + 0.003));
    }
    anchor.patch_in();
    assert_eq!(state(&anchor), before, "shifts taken back and made again");
}

/// Change of an anchor's skew per unit of ln F.
fn skew_slope(anchor: &Anchor8, forward: f64) -> f64 {
    let (x, _) = place(anchor.forward, forward, anchor.inv_half_window);
    let term = |power: usize| power as f64 * anchor.rows[power][lane::SKEW] * x.powi(power as i32 - 1);
    (1..9).map(term).sum::<f64>() * anchor.inv_half_window
}

#[test]
fn a_panel_says_what_its_anchors_say() {
    for (in_coins, stickiness) in [(true, 0.0), (false, 0.0), (true, 0.7), (false, 1.0)] {
        let mut panel = Panel::<9>::default();
        let mix = Mix { in_coins, stickiness, amount: 0.5 };
        let anchors: Vec<_> = (0..11)
            .map(|i| {
                let strip = smile(0.01 + 0.1 * f64::from(i), 16);
                let mut anchor = Anchor8::with_capacity(16, 1.0);
                anchor.replace((0..16).map(|slot| (if slot % 2 == 0 { Call } else { Put }, 3 - slot))).unwrap();
                anchor.rebuild(&strip, 100.0).unwrap();
                anchor
            })
            .collect();
        for (at, anchor) in anchors.iter().enumerate() {
            panel.set_ratio(at, 1.0 + 0.001 * at as f64);
            panel.load(at, anchor, mix, LnParts::NONE);
        }
        assert_eq!((panel.inside(), panel.sum(3)), (0, (0.0, 0.0)), "without a spot");
        for spot in [99.0, 100.0, 101.5, 103.0, 120.0] {
            let ln_spot = LnParts::of(spot);
            for (group, anchors) in anchors.chunks(PANEL_LANES).enumerate() {
                let (mut delta, mut log_gamma, mut bits) = (0.0, 0.0, 0);
                for (i, anchor) in anchors.iter().enumerate() {
                    let forward = spot * (1.0 + 0.001 * (group * PANEL_LANES + i) as f64);
                    let Some(said) = anchor.evaluate(forward) else { continue };
                    bits |= 1 << i;
                    let plain =
                        if in_coins { (said.coin_delta, said.coin_log_gamma()) } else { (said.delta, said.gamma) };
                    delta += 0.5 * (plain.0 + said.floating_smile(stickiness));
                    let smile = said.floating_smile_slope(stickiness, skew_slope(anchor, forward), in_coins);
                    log_gamma += 0.5 * (plain.1 + smile);
                }
                panel.evaluate(1 << group, ln_spot);
                let said = panel.sum(1 << group);
                assert_eq!(panel.inside().to_le_bytes()[group], bits);
                assert!((said.0 - delta).abs() < 1e-12 && (said.1 - log_gamma).abs() < 1e-11, "{said:?} {delta}");
            }
            let (together, inside) = (panel.sum(3), panel.inside());
            for (at, anchor) in anchors.iter().enumerate() {
                panel.clear(at);
                panel.load(at, anchor, mix, ln_spot);
            }
            assert_eq!(
                (panel.sum(3), panel.inside()),
                (together, inside),
                "one by one and side by side: the same bits"
            );
        }
        panel.load(0, &anchors[0], mix, LnParts::of(100.0));
        assert_eq!(panel.inside() & 1, 1);
        panel.clear(0);
        assert_eq!(panel.inside() & 1, 0);
        panel.evaluate(1, LnParts::of(100.0));
        assert_eq!(panel.inside() & 1, 0);
    }
}

#[test]
fn time_that_has_passed_stays_within_its_bound() {
    for years in [1e-4, 0.01, 0.2, 1.5] {
        let mut strip = smile(years, 24);
        let mut anchor = Anchor16::with_capacity(24, LOT);
        anchor.rebuild(&strip, 100.0).unwrap();
        let lots: Vec<_> = (0..24).map(|i| (i - 11, 3 - i % 7)).collect();
        hold(&mut strip, &lots);
        for (slot, &(calls, puts)) in lots.iter().enumerate() {
            anchor.add_fill(slot, Call, calls).unwrap();
            anchor.add_fill(slot, Put, puts).unwrap();
        }
        for left in [0.999, 0.95, 0.7] {
            strip.set_time(years * left);
            let (then, now) = (anchor.evaluate(100.1).unwrap(), strip.exposure(100.1));
            let bound = anchor.time_bound(years * left);
            assert!((then.delta - now.delta).abs() <= bound, "{years} {left}");
            assert!((then.coin_delta - now.coin_delta).abs() <= bound, "{years} {left}");
        }
    }
}

#[test]
fn a_book_adds_up_and_names_the_anchors_it_missed() {
    let anchors: Vec<_> = [0.002, 0.05, 0.4]
        .map(|years| {
            let strip = smile(years, 20);
            let mut anchor = Anchor8::with_capacity(20, LOT);
            anchor.rebuild(&strip, 100.0).unwrap();
            anchor.add_fill(9, Put, -11).unwrap();
            anchor
        })
        .into();
    let (sum, missed) = evaluate_book(&anchors, &[104.0, 102.0, 101.0]);
    assert_eq!(missed, 0b001);
    let mut naive = anchors[1].evaluate(102.0).unwrap();
    naive += anchors[2].evaluate(101.0).unwrap();
    for (sum, naive) in fields(&sum).into_iter().zip(fields(&naive)) {
        assert!((sum - naive).abs() <= 1e-15 * naive.abs() + 1e-15);
    }
}

/// The state that fills may change, bit for bit.
fn state(anchor: &Anchor8) -> (Vec<[u64; LANES]>, Vec<I80F48>, [u64; 9]) {
    let rows = anchor.rows.iter().map(|row| row.map(f64::to_bits)).collect();
    let sums = (0..9).flat_map(|power| (0..LANES).map(move |lane| anchor.totals.greeks.at(power, lane))).collect();
    (rows, sums, fields(&anchor.bounds()).map(f64::to_bits))
}

#[test]
fn every_instruction_set_returns_the_same_bits() {
    let strip = smile(0.03, 24);
    let mut anchor = Anchor8::with_capacity(24, LOT);
    anchor.rebuild(&strip, 99.0).unwrap();
    for slot in 0..24 {
        anchor.add_fill(slot, if slot % 3 == 0 { Put } else { Call }, 5 - slot as i64).unwrap();
    }
    // The same without dispatch, as the baseline compiles it.
    let mut series = vec![Series::<9>::ZERO; 24];
    let h = 0.25 * strip.total_vol_range().0;
    let around = Around { forward: 99.0, ln_forward: LnParts::of(99.0), half_window: h };
    let (mut ratios, mut strikes) = ([Coefficient::ZERO; LANES], Strikes::ZERO);
    for (block, series) in strip.blocks().iter().zip(series.chunks_exact_mut(LANES)) {
        assert!(strikes.expand(block, around, &Remainder::new(h), series, &mut ratios));
    }
    assert_eq!(*anchor.series, *series);
    for forward in [98.5, 99.0, 99.7] {
        let (x, _) = place(99.0, forward, anchor.inv_half_window);
        let mut lanes = Lanes::default();
        anchor.add_at(x, &mut lanes);
        assert_eq!(lanes.0[lane::GAMMA].to_bits(), anchor.evaluate(forward).unwrap().gamma.to_bits());
        assert_eq!(lanes.0[lane::SKEW].to_bits(), anchor.evaluate(forward).unwrap().skew.to_bits());
    }
}

/// A fill, and sometimes (`event` 0) a refit, a step in time and the rebuild that answers them.
type Step = (usize, bool, i64, f64, u8);

/// Takes the steps and holds the anchor to exact revaluation after each. Returns how often it answered.
fn walk(years: f64, steps: impl IntoIterator<Item = Step>) -> usize {
    let mut strip = smile(years, 24);
    let mut anchor = Anchor8::with_capacity(24, LOT);
    anchor.rebuild(&strip, 100.0).unwrap();
    let (mut lots, mut answers) = ([(0, 0); 24], 0);
    for (slot, is_put, fill, move_to, event) in steps {
        anchor.add_fill(slot, if is_put { Put } else { Call }, fill).unwrap();
        let held: &mut (i64, i64) = &mut lots[slot];
        if is_put {
            held.1 += fill;
        } else {
            held.0 += fill;
        }
        strip.set_position(slot, held.0 as f64 * LOT, held.1 as f64 * LOT);
        let forward = anchor.forward() * exp(move_to * anchor.half_window());
        if event == 0 {
            strip.set_vol(slot, 0.6 + 0.1 * move_to);
            let left = strip.years() * 0.99;
            strip.set_time(left);
            anchor.rebuild(&strip, forward).unwrap();
        }
        if let Some(got) = anchor.evaluate(forward) {
            assert_within(&got, &strip.exposure(forward), &anchor.bounds());
            answers += 1;
        }
    }
    answers
}

#[test]
fn ten_thousand_steps_stay_within_the_bound() {
    let mut state = 7u64;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let steps = (0..10_000).map(move |_| {
        let move_to = draw(2_001) as f64 / 1_000.0 - 1.0;
        (draw(24) as usize, draw(2) == 0, draw(1_000) as i64 - 500, move_to, draw(40) as u8)
    });
    assert!(walk(1.3, steps) > 9_900);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn incremental_equals_full_within_the_bound(
        years in 1e-4..1.5f64,
        steps in prop::collection::vec((0..24usize, any::<bool>(), -500..500i64, -1.0..1.0f64, 0..40u8), 1..160),
    ) {
        walk(years, steps);
    }

    #[test]
    fn removing_what_was_added_restores_every_bit(
        kept in prop::collection::vec((0..24usize, any::<bool>(), -500..500i64), 0..40),
        gone in prop::collection::vec((0..24usize, any::<bool>(), -1_000_000..1_000_000i64), 1..40),
    ) {
        let strip = smile(0.03, 24);
        let mut anchor = Anchor8::with_capacity(24, LOT);
        anchor.rebuild(&strip, 100.0).unwrap();
        let kind = |is_put| if is_put { Put } else { Call };
        for &(slot, is_put, lots) in &kept {
            anchor.add_fill(slot, kind(is_put), lots).unwrap();
        }
        let before = state(&anchor);
        for &(slot, is_put, lots) in &gone {
            anchor.add_fill(slot, kind(is_put), lots).unwrap();
        }
        for &(slot, is_put, lots) in gone.iter().rev() {
            anchor.add_fill(slot, kind(is_put), -lots).unwrap();
        }
        prop_assert_eq!(state(&anchor), before);
    }

    #[test]
    fn the_order_of_fills_leaves_no_trace(
        fills in prop::collection::vec((0..24usize, any::<bool>(), -500..500i64), 1..60).prop_flat_map(|fills| {
            (Just(fills.clone()), Just(fills).prop_shuffle())
        }),
    ) {
        let strip = smile(0.03, 24);
        let build = |fills: &[(usize, bool, i64)], first: bool| {
            let mut anchor = Anchor8::with_capacity(24, LOT);
            anchor.rebuild(&strip, 99.0).unwrap();
            for &(slot, is_put, lots) in fills {
                anchor.add_fill(slot, if is_put { Put } else { Call }, lots).unwrap();
            }
            if first {
                // What a rebuild sums afresh is what fills summed one by one.
                anchor.rebuild(&strip, 99.0).unwrap();
            }
            state(&anchor)
        };
        prop_assert_eq!(build(&fills.0, false), build(&fills.1, true));
    }
}
