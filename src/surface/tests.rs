use proptest::prelude::*;

use super::*;
use crate::event::Trail;
use crate::instrument::OptionKind;
use crate::pricing::black76;
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::stage::Full;
use crate::units::{ONE_E9, Quantity, VenueInstrumentId};

const U: UnderlyingId = UnderlyingId(0);
/// 2026-03-27 08:00 UTC.
const EXPIRY_S: u32 = 1_774_598_400;
const MONTH_S: u32 = 30 * 86_400;
const START: Nanos = Nanos::from_secs(EXPIRY_S - MONTH_S);

/// A surface fed with prices, one event a millisecond.
struct Market {
    surface: Surface,
    out: Vec<Event>,
    now: Nanos,
    payoff: Payoff,
}

impl Market {
    fn new(payoff: Payoff) -> Self {
        let surface = Surface::new(SurfaceConfig::default());
        let mut market = Self { surface, out: Vec::new(), now: START, payoff };
        market.index(50_000.0);
        market
    }

    fn step(&mut self, body: Body) {
        self.now.0 += Nanos::PER_MILLI;
        self.surface.step(&Event { trail: Trail::default(), time: self.now, body }, &mut self.out);
    }

    fn index(&mut self, dollars: f64) {
        self.step(Body::Index { underlying: U, price: Price::from_f64(dollars).unwrap() });
    }

    fn list(&mut self, id: u16, option: Option<OptionKind>, strike: f64, expiry_s: u32) {
        self.step(Body::Listed {
            instrument: InstrumentId(id),
            underlying: U,
            kind: if option.is_some() { InstrumentKind::Option } else { InstrumentKind::Future },
            payoff: self.payoff,
            option,
            expiry_s,
            strike: Price::from_f64(strike).unwrap(),
            lot: Quantity(ONE_E9),
            venue: VenueInstrumentId(u32::from(id)),
        });
    }

    fn mark(&mut self, id: u16, price: f64) {
        self.step(Body::Mark { instrument: InstrumentId(id), mark: Price::from_f64(price).unwrap() });
    }

    /// Marks an option at a volatility.
    fn mark_sigma(&mut self, id: u16, kind: OptionKind, strike: f64, forward: f64, sigma: f64) {
        let years = variance_years(self.now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
        let price = black76::price(kind, forward, strike, sigma, years);
        self.mark(id, if self.payoff == Payoff::Inverse { price / forward } else { price });
    }

    /// Lets the interval pass and refreshes the index.
    fn rest(&mut self) {
        self.now.0 += 300 * Nanos::PER_MILLI;
        self.index(50_000.0);
    }

    fn sigma(&self, id: u16) -> f64 {
        self.surface.sigma(InstrumentId(id)).unwrap()
    }

    /// Puts at odd ids and calls at even ones, three strikes.
    fn three_strikes(payoff: Payoff) -> Self {
        let mut market = Self::new(payoff);
        for (pair, strike) in STRIKES.into_iter().enumerate() {
            market.list(2 * pair as u16, Some(OptionKind::Call), strike, EXPIRY_S);
            market.list(2 * pair as u16 + 1, Some(OptionKind::Put), strike, EXPIRY_S);
        }
        market
    }

    fn mark_three_strikes(&mut self, forward: f64, sigma: impl Fn(f64) -> f64) {
        for (pair, strike) in STRIKES.into_iter().enumerate() {
            self.mark_sigma(2 * pair as u16, OptionKind::Call, strike, forward, sigma(strike));
            self.mark_sigma(2 * pair as u16 + 1, OptionKind::Put, strike, forward, sigma(strike));
        }
    }
}

const STRIKES: [f64; 3] = [40_000.0, 50_000.0, 65_000.0];

#[test]
fn parity_gives_the_forward_and_each_mark_its_volatility() {
    for payoff in [Payoff::Inverse, Payoff::Linear] {
        let mut market = Market::three_strikes(payoff);
        let smile = |strike: f64| 0.5 + (strike / 50_000.0 - 1.0).powi(2);
        market.mark_three_strikes(50_750.0, smile);
        market.rest();
        let ratio = market.surface.ratio(U, EXPIRY_S).unwrap();
        assert!((ratio - 1.015).abs() < 1e-7, "{ratio}");
        for (pair, strike) in STRIKES.into_iter().enumerate() {
            for id in [2 * pair as u16, 2 * pair as u16 + 1] {
                assert!((market.sigma(id) - smile(strike)).abs() < 1e-5, "{strike}: {}", market.sigma(id));
            }
        }
        let forwards = market.out.iter().filter(|e| matches!(e.body, Body::Forward { .. })).count();
        assert_eq!((forwards, market.out.len()), (1, 7));
    }
}

#[test]
fn one_broken_pair_does_not_move_the_forward() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_750.0, |_| 0.5);
    market.mark(2, 0.3);
    market.rest();
    let ratio = market.surface.ratio(U, EXPIRY_S).unwrap();
    assert!((ratio - 1.015).abs() < 1e-7, "{ratio}");
}

#[test]
fn a_dated_future_comes_before_parity() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.list(6, None, 0.0, EXPIRY_S);
    market.mark_three_strikes(50_750.0, |_| 0.5);
    market.mark(6, 50_500.0);
    market.rest();
    assert!((market.surface.ratio(U, EXPIRY_S).unwrap() - 1.01).abs() < 1e-12);
}

#[test]
fn an_expiry_without_a_forward_lies_on_the_carry_of_its_neighbours() {
    let mut market = Market::new(Payoff::Inverse);
    for (id, months) in [(0, 1), (1, 3)] {
        market.list(id, None, 0.0, EXPIRY_S + months * MONTH_S);
    }
    market.list(2, Some(OptionKind::Call), 60_000.0, EXPIRY_S + 2 * MONTH_S);
    market.list(3, Some(OptionKind::Call), 60_000.0, EXPIRY_S);
    market.mark(0, 51_000.0);
    market.mark(1, 53_000.0);
    market.rest();
    market.rest();
    market.mark(2, 0.05);
    market.mark(3, 0.05);
    market.rest();
    market.rest();
    let between = market.surface.ratio(U, EXPIRY_S + 2 * MONTH_S).unwrap();
    assert!((between - 1.04).abs() < 1e-6, "{between}");
    let before = market.surface.ratio(U, EXPIRY_S).unwrap();
    assert!((before - 1.01).abs() < 1e-6, "{before}");
}

#[test]
fn a_lonely_expiry_is_taken_at_spot_after_a_while() {
    let mut market = Market::new(Payoff::Inverse);
    market.list(0, Some(OptionKind::Call), 60_000.0, EXPIRY_S);
    market.mark(0, 0.05);
    market.rest();
    assert_eq!(market.surface.ratio(U, EXPIRY_S), None);
    market.now.0 += 2 * Nanos::PER_SECOND;
    market.mark(0, 0.05);
    assert_eq!(market.surface.ratio(U, EXPIRY_S), Some(1.0));
    assert!(market.surface.sigma(InstrumentId(0)).is_some());
}

#[test]
fn nonsense_is_refused_and_what_was_known_stays() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_000.0, |_| 0.5);
    market.rest();
    market.out.clear();
    for price in [-0.1, 0.0, 1.5, 1e9] {
        (0..6).for_each(|id| market.mark(id, price));
        market.rest();
    }
    assert!((market.sigma(0) - 0.5).abs() < 1e-5);
    assert!((market.surface.ratio(U, EXPIRY_S).unwrap() - 1.0).abs() < 1e-7);
    assert!(market.out.is_empty());
    assert_eq!(market.surface.counters().prices_refused, 12);
    assert!(market.surface.counters().inversions_failed >= 6);
}

#[test]
fn a_crossed_or_gapped_book_is_no_price() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    let price = |coins: f64| Price::from_f64(coins).unwrap();
    let top = |quality, bid, ask| Body::Top {
        instrument: InstrumentId(4),
        quality,
        bid: price(bid),
        ask: price(ask),
        bid_lots: 1,
        ask_lots: 1,
    };
    market.step(top(BookQuality::Good, 0.03, 0.02));
    market.step(top(BookQuality::Gapped, 0.01, 0.02));
    market.now.0 += 3 * Nanos::PER_SECOND;
    market.rest();
    assert_eq!((market.surface.counters().fits, market.surface.sigma(InstrumentId(4))), (0, None));
    market.step(top(BookQuality::Good, 0.01, 0.02));
    market.now.0 += 3 * Nanos::PER_SECOND;
    market.rest();
    assert!(market.surface.sigma(InstrumentId(4)).is_some(), "the mid serves where there is no mark");
}

#[test]
fn a_jump_has_to_show_twice() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_000.0, |_| 0.5);
    market.rest();
    market.mark_three_strikes(50_000.0, |_| 1.0);
    market.rest();
    assert!((market.sigma(2) - 0.5).abs() < 1e-5);
    market.mark_three_strikes(50_000.0, |_| 1.02);
    market.rest();
    assert!((market.sigma(2) - 1.02).abs() < 1e-5);
}

#[test]
fn an_option_at_its_intrinsic_value_borrows_the_nearest_volatility() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_sigma(2, OptionKind::Call, 50_000.0, 50_000.0, 0.5);
    market.mark_sigma(3, OptionKind::Put, 50_000.0, 50_000.0, 0.5);
    market.mark(0, 0.2);
    market.rest();
    assert!((market.sigma(0) - 0.5).abs() < 1e-5);
    assert!(market.surface.counters().borrowed > 0);
    market.mark_sigma(1, OptionKind::Put, 40_000.0, 50_000.0, 0.7);
    market.rest();
    assert!((market.sigma(0) - 0.7).abs() < 1e-5, "the put of its own strike knows better");
}

/// Calls and puts at 21 strikes on a smile given as total variance, the puts at odd ids.
fn mark_smile(market: &mut Market, smile: &Svi, listed: bool) {
    mark_smile_of(market, 0, EXPIRY_S, smile, listed);
}

fn mark_smile_of(market: &mut Market, first: u16, expiry_s: u32, smile: &Svi, listed: bool) {
    let years = variance_years(market.now.years_until(Nanos::from_secs(expiry_s)), WINDOW_YEARS);
    for i in 0..21u16 {
        let k = f64::from(i) * 0.1 - 1.0;
        let (strike, sigma) = (50_000.0 * k.exp(), (smile.w(k) / years).sqrt());
        for (id, kind) in [(first + 2 * i, OptionKind::Call), (first + 2 * i + 1, OptionKind::Put)] {
            if !listed {
                market.list(id, Some(kind), strike, expiry_s);
            }
            market.mark(id, black76::price(kind, 50_000.0, strike, sigma, years) / 50_000.0);
        }
    }
}

#[test]
fn the_smile_runs_through_the_volatilities_and_lends_them() {
    let truth = Svi { a: 0.01, b: 0.04, rho: -0.3, m: 0.02, sigma: 0.15 };
    let mut market = Market::new(Payoff::Inverse);
    mark_smile(&mut market, &truth, false);
    market.list(50, Some(OptionKind::Call), 50_000.0 * 0.25f64.exp(), EXPIRY_S);
    market.rest();
    let smile = market.surface.smile(U, EXPIRY_S).unwrap();
    for k in [-0.6, -0.33, 0.0, 0.27, 0.5] {
        assert!((smile.w(k) - truth.w(k)).abs() < 1e-4, "{k}");
    }
    let years = variance_years(30.0 / 365.0, WINDOW_YEARS);
    assert!((market.sigma(50) - (truth.w(0.25) / years).sqrt()).abs() < 1e-3);
    for _ in 0..3 {
        mark_smile(&mut market, &Svi { a: 0.011, ..truth }, true);
        market.rest();
    }
    let Counters { smiles_fitted, smiles_refitted, smiles_kept, .. } = *market.surface.counters();
    assert_eq!((smiles_fitted, smiles_kept), (1, 0));
    assert!(smiles_refitted >= 3, "{smiles_refitted}");
}

#[test]
fn the_slope_sent_with_a_volatility_is_the_smiles_own() {
    let truth = Svi { a: 0.01, b: 0.04, rho: -0.3, m: 0.02, sigma: 0.15 };
    let mut market = Market::new(Payoff::Inverse);
    mark_smile(&mut market, &truth, false);
    market.rest();
    let years = variance_years(market.now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
    let sigma = |k: f64| (truth.w(k) / years).sqrt();
    let mut seen = 0;
    for event in &market.out {
        let Body::Volatility { instrument, slope, .. } = event.body else { continue };
        let k = f64::from(instrument.0 / 2) * 0.1 - 1.0;
        let expected = (sigma(k + 1e-4) - sigma(k - 1e-4)) / 2e-4;
        assert!((slope - expected).abs() < 0.02, "{k}: {slope} {expected}");
        seen += usize::from(expected.abs() > 0.1);
    }
    assert!(seen > 20, "{seen} slopes that matter");
}

#[test]
fn a_smile_with_a_butterfly_is_refused_and_the_last_one_kept() {
    // Gatheral and Jacquier (2014), example 3.1, after Vogt.
    let vogt = Svi { a: -0.0410, b: 0.1331, rho: 0.3060, m: 0.3586, sigma: 0.4153 };
    let mut market = Market::new(Payoff::Inverse);
    mark_smile(&mut market, &vogt, false);
    market.rest();
    let first = market.surface.smile(U, EXPIRY_S).unwrap();
    assert!(first.is_butterfly_free((-1.5, 1.5)));
    mark_smile(&mut market, &vogt, true);
    market.rest();
    assert!(market.surface.counters().smiles_kept > 0);
    assert_eq!(market.surface.smile(U, EXPIRY_S), Some(first));
}

#[test]
fn a_smile_stays_below_a_fresh_later_one_and_follows_once_that_has_moved() {
    let low = Svi { a: 0.01, b: 0.04, rho: -0.3, m: 0.02, sigma: 0.15 };
    let (middle, high) = (Svi { a: 0.013, ..low }, Svi { a: 0.016, ..low });
    let mut market = Market::new(Payoff::Inverse);
    let mut mark = |sooner: &Svi, later: &Svi, listed| {
        mark_smile_of(&mut market, 0, EXPIRY_S, sooner, listed);
        mark_smile_of(&mut market, 42, EXPIRY_S + MONTH_S, later, listed);
        for _ in 0..3 {
            market.rest();
        }
        let smile = |expiry_s| market.surface.smile(U, expiry_s).unwrap();
        let (sooner, later) = (smile(EXPIRY_S), smile(EXPIRY_S + MONTH_S));
        assert!(later.is_calendar_free(&sooner, (-1.0, 1.0)));
        (sooner.w(0.0), later.w(0.0), market.surface.counters().smiles_kept)
    };
    let first = mark(&low, &middle, false);
    assert!((first.0 - low.w(0.0)).abs() < 1e-4 && (first.1 - middle.w(0.0)).abs() < 1e-4);
    let crossed = mark(&high, &middle, true);
    assert!(crossed.2 > first.2, "and it says so");
    assert!((crossed.0 - first.0).abs() < 1e-9, "the last one is kept");
    mark(&high, &Svi { a: 0.019, ..low }, true);
    let followed = mark(&high, &Svi { a: 0.019, ..low }, true);
    assert!((followed.0 - high.w(0.0)).abs() < 1e-4, "{followed:?}");
}

#[test]
fn an_outlier_has_no_say_in_the_smile() {
    let truth = Svi { a: 0.01, b: 0.04, rho: -0.3, m: 0.02, sigma: 0.15 };
    let mut market = Market::new(Payoff::Inverse);
    mark_smile(&mut market, &truth, false);
    market.rest();
    mark_smile(&mut market, &truth, true);
    // Thirteenth strike: k = 0.2, too dear by four tenths of its volatility.
    let years = variance_years(market.now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
    let (strike, sigma) = (50_000.0 * 0.2f64.exp(), 1.4 * (truth.w(0.2) / years).sqrt());
    for (id, kind) in [(24, OptionKind::Call), (25, OptionKind::Put)] {
        market.mark_sigma(id, kind, strike, 50_000.0, sigma);
    }
    market.rest();
    assert!((market.sigma(24) - sigma).abs() < 1e-3, "the strike itself is valued where it trades");
    assert_eq!(market.surface.counters().outliers, 1);
    let smile = market.surface.smile(U, EXPIRY_S).unwrap();
    for k in [-0.5, 0.0, 0.2, 0.5] {
        assert!((smile.w(k) / truth.w(k) - 1.0).abs() < 1e-2, "{k}");
    }
}

#[test]
fn in_the_settlement_window_everything_is_held() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_750.0, |_| 0.5);
    market.rest();
    market.now = Nanos(Nanos::from_secs(EXPIRY_S).0 - SETTLEMENT_NS + 1);
    market.index(50_000.0);
    market.out.clear();
    market.mark_three_strikes(49_000.0, |_| 0.2);
    market.rest();
    assert!((market.surface.ratio(U, EXPIRY_S).unwrap() - 1.015).abs() < 1e-7);
    assert!((market.sigma(2) - 0.5).abs() < 1e-5);
    assert_eq!(market.out.len(), 7, "and said again, so that nobody takes them for stale");
}

#[test]
fn what_did_not_move_is_sent_again_only_when_it_has_aged() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_000.0, |_| 0.5);
    market.rest();
    market.out.clear();
    market.mark_three_strikes(50_000.0, |_| 0.500_05);
    market.rest();
    assert!(market.out.is_empty());
    market.now.0 += 20 * Nanos::PER_SECOND;
    market.index(50_000.0);
    assert!(market.out.is_empty(), "no fresh price confirms it");
    market.mark_three_strikes(50_000.0, |_| 0.5);
    market.rest();
    assert_eq!(market.out.len(), 7);
}

#[test]
fn a_full_outbox_delays_but_loses_nothing() {
    struct Trickle(Vec<Event>, usize);
    impl Outbox<Event> for Trickle {
        fn send(&mut self, event: Event) -> Result<(), Full> {
            if self.1 == 0 {
                return Err(Full);
            }
            self.1 -= 1;
            self.0.push(event);
            Ok(())
        }
        fn room(&self) -> usize {
            self.1
        }
    }
    let mut market = Market::three_strikes(Payoff::Inverse);
    market.mark_three_strikes(50_000.0, |_| 0.5);
    market.now.0 += 300 * Nanos::PER_MILLI;
    let mut out = Trickle(Vec::new(), 0);
    for sent in 0..10 {
        assert_eq!(out.0.len(), sent.min(7));
        out.1 = 1;
        let clock = Event::clock(market.now);
        market.surface.step(&clock, &mut out);
    }
    assert_eq!(market.surface.counters().fits, 1);
}

#[test]
fn an_expiry_is_fitted_no_more_often_than_its_interval() {
    let mut market = Market::three_strikes(Payoff::Inverse);
    for _ in 0..500 {
        market.mark_three_strikes(50_000.0, |_| 0.5);
    }
    // 3,000 marks in 3 s, at four fits a second.
    assert!((11..=12).contains(&market.surface.counters().fits), "{}", market.surface.counters().fits);
}

/// A published chain, option by option as marks: the forwards and volatilities that come out are the venue's own.
#[test]
fn a_venues_marks_give_its_own_forwards_and_volatilities() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/deribit_chain/deribit_options_snapshot_20260315T092733Z.csv"
    );
    let Ok(mut reader) = csv::Reader::from_path(path) else {
        println!("skipped: {path} is absent");
        return;
    };
    let headers = reader.headers().unwrap().clone();
    let column = |name| headers.iter().position(|h| h == name).unwrap();
    let [name, mark, sigma, forward, index, years] =
        ["instrument_name", "mark_price", "implied_volatility", "underlying", "index_price", "time_to_maturity"]
            .map(column);
    let rows: Vec<_> = reader.records().map(Result::unwrap).filter(|row| row[name].starts_with("BTC-")).collect();
    let number = |row: &csv::StringRecord, at: usize| row[at].parse::<f64>().unwrap();

    let mut market = Market::new(Payoff::Inverse);
    market.index(number(&rows[0], index));
    // The file counts years of 365.25 days; to the minute, expiries are told apart by it.
    let expiry_s = |row: &csv::StringRecord| {
        (START.0 / Nanos::PER_SECOND) as u32 + (number(row, years) * 365.25 * 1_440.0).round() as u32 * 60
    };
    for (id, row) in rows.iter().enumerate() {
        let terms: Vec<_> = row[name].split('-').collect();
        let kind = if terms[3] == "C" { OptionKind::Call } else { OptionKind::Put };
        market.list(id as u16, Some(kind), terms[2].parse().unwrap(), expiry_s(row));
    }
    for _ in 0..4 {
        for (id, row) in rows.iter().enumerate() {
            market.mark(id as u16, number(row, mark));
        }
        market.now.0 += 300 * Nanos::PER_MILLI;
        market.index(number(&rows[0], index));
    }
    let (mut ratios, mut sigmas) = (Vec::new(), Vec::new());
    for (id, row) in rows.iter().enumerate() {
        let ratio = market.surface.ratio(U, expiry_s(row)).unwrap();
        ratios.push((ratio / (number(row, forward) / number(row, index)) - 1.0).abs());
        let left = market.now.years_until(Nanos::from_secs(expiry_s(row)));
        // The venue's volatility is per calendar time, ours per time of the settlement average.
        let ours = market.sigma(id as u16) * (variance_years(left, WINDOW_YEARS) / left).sqrt();
        sigmas.push((ours - number(row, sigma)).abs());
    }
    ratios.sort_by(f64::total_cmp);
    sigmas.sort_by(f64::total_cmp);
    let (half, most) = (rows.len() / 2, rows.len() * 9 / 10);
    assert!(ratios[half] < 3e-4 && ratios[most] < 5e-4);
    assert!(sigmas[half] < 1e-4 && sigmas[most] < 1e-3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the prices, what is sent can be used.
    #[test]
    fn only_sane_forwards_and_volatilities_leave(
        prices in prop::collection::vec((0u16..8, prop_oneof![0.0..1.2, -1e9..9e9, Just(50_000.0)]), 1..300),
        linear in any::<bool>(),
    ) {
        let mut market = Market::three_strikes(if linear { Payoff::Linear } else { Payoff::Inverse });
        market.list(6, None, 0.0, EXPIRY_S);
        for (i, (id, price)) in prices.into_iter().enumerate() {
            market.mark(id, price);
            if i % 7 == 0 {
                market.rest();
            }
        }
        for event in &market.out {
            match event.body {
                Body::Forward { ratio, .. } => prop_assert!((0.5..=2.0).contains(&ratio)),
                Body::Volatility { sigma, .. } => prop_assert!((0.01..=10.0).contains(&sigma)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
