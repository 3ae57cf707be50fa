//! The book against a naive one that keeps positions in a map and revalues everything from scratch in floating point.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Move {
    Jump(f64),
    Nudge(f64),
    Forward(f64),
    Volatility(u16, f64),
    Fill(u16, bool, u32),
    Pass(u64),
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => (20_000.0..90_000.0).prop_map(Move::Jump),
        6 => (0.997..1.003).prop_map(Move::Nudge),
        1 => (0.9..1.1).prop_map(Move::Forward),
        2 => (1u16..9, 0.05..3.0).prop_map(|(id, sigma)| Move::Volatility(id, sigma)),
        3 => (0u16..10, any::<bool>(), 1u32..1_000).prop_map(|(id, buy, lots)| Move::Fill(id, buy, lots)),
        1 => (1u64..20_000).prop_map(Move::Pass),
    ]
}

/// A desk and its naive twin: a perpetual (0), calls and puts (1 to 8), a dated future (9).
struct Twins {
    desk: Desk,
    payoff: Payoff,
    lots: HashMap<u16, i64>,
    sigmas: HashMap<u16, f64>,
    spot: f64,
    ratio: f64,
    executions: u64,
}

fn terms(id: u16) -> (OptionKind, f64) {
    let kind = if id.is_multiple_of(2) { OptionKind::Call } else { OptionKind::Put };
    (kind, 30_000.0 + 5_000.0 * f64::from(id / 2))
}

impl Twins {
    fn new(payoff: Payoff) -> Self {
        let mut desk = Desk::new(OpeningBook::ShortEveryOption);
        desk.step(perpetual());
        for id in 1..9 {
            let (kind, strike) = terms(id);
            desk.step(option(id, payoff, kind, strike));
        }
        desk.step(listed(9, InstrumentKind::Future, Payoff::Inverse, None, 0.0, 10.0));
        desk.spot(50_000.0);
        desk.step(forward(1.0));
        (1..9).for_each(|id| desk.step(volatility(id, 0.6)));
        desk.step(Body::Clock);
        let (lots, sigmas) = ((1..9).map(|id| (id, -1)).collect(), (1..9).map(|id| (id, 0.6)).collect());
        Self { desk, payoff, lots, sigmas, spot: 50_000.0, ratio: 1.0, executions: 0 }
    }

    fn make(&mut self, a_move: Move, with_clock: bool) {
        match a_move {
            Move::Jump(dollars) => self.go_to(dollars),
            Move::Nudge(factor) => self.go_to(self.spot * factor),
            Move::Forward(ratio) => {
                self.ratio = ratio;
                self.desk.step(forward(ratio));
            }
            Move::Volatility(id, sigma) => {
                self.sigmas.insert(id, sigma);
                self.desk.step(volatility(id, sigma));
            }
            Move::Fill(id, buy, lots) => {
                let side = if buy { Side::Buy } else { Side::Sell };
                *self.lots.entry(id).or_default() += side.sign() * i64::from(lots);
                self.executions += 1;
                self.desk.step(fill(self.executions, id, side, lots));
            }
            Move::Pass(seconds) => {
                if self.desk.now.0 + (seconds + 3_600) * Nanos::PER_SECOND < Nanos::from_secs(EXPIRY_S).0 {
                    self.desk.now.0 += seconds * Nanos::PER_SECOND;
                }
            }
        }
        // Past the revaluation interval, so that the book is valued at this very time; a clock lets anchors be rebuilt.
        if self.desk.now.0 + 3_600 * Nanos::PER_SECOND < Nanos::from_secs(EXPIRY_S).0 {
            self.desk.now.0 += Nanos::PER_SECOND;
        }
        self.desk.step(if with_clock { Body::Clock } else { Body::Session { up: true } });
    }

    fn go_to(&mut self, dollars: f64) {
        self.desk.spot(dollars.clamp(5_000.0, 500_000.0));
        self.spot = self.desk.shown().spot.to_f64();
    }

    fn naive(&self) -> f64 {
        let years = variance_years(self.desk.now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
        let f = self.spot * self.ratio;
        let delta = |(&id, &lots): (&u16, &i64)| match id {
            0 => lots as f64 * 10.0 / self.spot,
            9 => lots as f64 * 10.0 / f,
            _ => {
                let (kind, strike) = terms(id);
                let greeks = black76::Greeks::new(kind, f, strike, self.sigmas[&id], years);
                0.1 * lots as f64 * if self.payoff == Payoff::Inverse { greeks.in_coin(f).delta } else { greeks.delta }
            }
        };
        self.lots.iter().map(delta).sum()
    }

    /// Error beyond the bound, negative when within. The naive sum rounds, too.
    fn excess(&self) -> f64 {
        let gross: i64 = self.lots.values().map(|lots| lots.abs()).sum();
        let shown = self.desk.shown();
        (shown.net_delta.to_f64() - self.naive()).abs() - f64::from(shown.delta_bound) - 1e-13 * gross as f64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_book_equals_a_naive_revaluation_within_its_bound(
        moves in prop::collection::vec((a_move(), any::<bool>()), 1..120), linear in any::<bool>(),
    ) {
        let mut twins = Twins::new(if linear { Payoff::Linear } else { Payoff::Inverse });
        for (a_move, with_clock) in moves {
            twins.make(a_move, with_clock);
            prop_assert!(twins.excess() <= 0.0, "{} beyond the bound", twins.excess());
            let positions: HashMap<u16, i64> = twins.desk.greeks.positions().map(|(id, n)| (id.0, n.0)).collect();
            let held: HashMap<u16, i64> = twins.lots.iter().filter(|&(_, &n)| n != 0).map(|(&i, &n)| (i, n)).collect();
            prop_assert_eq!(positions, held);
        }
    }

    #[test]
    fn permuted_fills_leave_the_same_bits(
        fills in prop::collection::vec((1u16..9, any::<bool>(), 1u32..1_000), 1..40), seed in any::<u64>(),
    ) {
        let run = |order: &[usize]| {
            let mut twins = Twins::new(Payoff::Inverse);
            for &i in order {
                let (id, buy, lots) = fills[i];
                twins.desk.step(fill(i as u64, id, if buy { Side::Buy } else { Side::Sell }, lots));
            }
            twins.desk.shown()
        };
        let forth: Vec<_> = (0..fills.len()).collect();
        let mut shuffled = forth.clone();
        shuffled.sort_by_key(|&i| (i as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (one, other) = (run(&forth), run(&shuffled));
        prop_assert_eq!((one.net_delta, one.log_gamma), (other.net_delta, other.log_gamma));
    }
}

#[test]
fn ten_thousand_steps_stay_within_the_bound() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut twins = Twins::new(Payoff::Inverse);
    let (mut anchored, mut tight) = (0, 0);
    for step in 0..10_000 {
        // Time stands: a book of a month would be settled long before the end.
        let a_move = a_move().new_tree(&mut runner).unwrap().current();
        if matches!(a_move, Move::Pass(_)) {
            continue;
        }
        twins.desk.now = START;
        twins.make(a_move, step % 3 == 0);
        assert!(twins.excess() <= 0.0, "step {step}: {} beyond the bound", twins.excess());
        anchored += twins.desk.greeks.anchored();
        let gross: i64 = twins.lots.values().map(|lots| lots.abs()).sum();
        tight += usize::from(f64::from(twins.desk.shown().delta_bound) < 1e-9 + 1e-6 * 0.1 * gross as f64);
    }
    assert!(anchored > 9_000 && tight > 9_000, "anchored in {anchored}, tight in {tight} of 10,000 steps");
}

#[test]
fn a_fill_and_its_opposite_leave_no_trace() {
    for id in 0..10 {
        let mut twins = Twins::new(Payoff::Inverse);
        twins.make(Move::Nudge(1.001), false);
        twins.desk.step(Body::Index { underlying: U, price: Price(1) });
        let before = twins.desk.shown();
        twins.desk.step(fill(1_000, id, Side::Buy, 777));
        assert_ne!(twins.desk.shown().net_delta, before.net_delta);
        twins.desk.step(fill(1_001, id, Side::Sell, 777));
        let after = twins.desk.shown();
        assert_eq!((after.net_delta, after.log_gamma), (before.net_delta, before.log_gamma), "instrument {id}");
    }
}

#[test]
fn volatilities_count_before_the_anchor_is_rebuilt() {
    let mut twins = Twins::new(Payoff::Inverse);
    assert_eq!(twins.desk.greeks.anchored(), 1);
    for id in 1..9 {
        twins.sigmas.insert(id, 0.9);
        twins.desk.step(volatility(id, 0.9));
    }
    twins.desk.step(Body::Session { up: true });
    assert!(twins.excess() <= 0.0);
    let exact = twins.desk.shown().delta_bound;
    twins.desk.step(Body::Clock);
    twins.make(Move::Nudge(1.000_1), false);
    assert!(twins.excess() <= 0.0 && exact < twins.desk.shown().delta_bound);
}

#[test]
fn a_volatility_that_rises_ages_faster_than_those_that_were_built_in() {
    let mut twins = Twins::new(Payoff::Linear);
    twins.make(Move::Forward(0.9), false);
    twins.make(Move::Jump(20_000.0), false);
    twins.make(Move::Fill(2, false, 50), false);
    twins.make(Move::Volatility(2, 2.635_233_466_110_541_7), false);
    assert!(twins.excess() <= 0.0, "{} beyond the bound", twins.excess());
}

#[test]
fn a_volatility_that_comes_while_the_option_is_flat_counts_when_it_is_held_again() {
    let mut twins = Twins::new(Payoff::Inverse);
    twins.make(Move::Fill(3, true, 1), false);
    twins.make(Move::Volatility(3, 1.5), true);
    twins.make(Move::Fill(3, true, 500), false);
    assert_eq!(twins.desk.greeks.anchored(), 1);
    assert!(twins.excess() <= 0.0, "{}", twins.excess());
}

#[test]
fn what_no_engine_can_hold_is_valued_row_by_row() {
    let mut twins = Twins::new(Payoff::Inverse);
    twins.desk.step(listed(10, InstrumentKind::Option, Payoff::Inverse, Some(OptionKind::Put), 50_000.0, 1.0));
    twins.desk.step(volatility(10, 0.6));
    twins.desk.step(Body::Clock);
    assert_eq!(twins.desk.greeks.anchored(), 0, "two sizes of lots");
    let years = variance_years(twins.desk.now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
    let other = black76::Greeks::new(OptionKind::Put, 50_000.0, 50_000.0, 0.6, years).in_coin(50_000.0);
    near(twins.desk.shown().net_delta, twins.naive() - other.delta);

    let mut twins = Twins::new(Payoff::Inverse);
    twins.desk.step(fill(1, 3, Side::Buy, u32::MAX));
    *twins.lots.entry(3).or_default() += i64::from(u32::MAX);
    assert_eq!(twins.desk.greeks.anchored(), 0, "more lots than an anchor adds up");
    assert!(twins.excess() <= 0.0, "{}", twins.excess());
}

#[test]
fn the_settlement_window_ends_the_engines_time() {
    let mut twins = Twins::new(Payoff::Inverse);
    twins.desk.now = Nanos(Nanos::from_secs(EXPIRY_S).0 - SETTLEMENT_NS);
    twins.desk.step(Body::Clock);
    assert!(twins.excess() <= 0.0);
    assert_eq!(twins.desk.greeks.anchored(), 1);
    twins.desk.now.0 += Nanos::PER_SECOND;
    twins.desk.step(Body::Clock);
    assert_eq!(twins.desk.greeks.anchored(), 0);
}
