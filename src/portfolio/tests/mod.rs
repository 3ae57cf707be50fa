mod conventions;
mod rebuilds;
mod revaluation;
mod survey;

use super::*;
use crate::event::Trail;
use crate::instrument::{OptionKind, Payoff};
use crate::pricing::black76;
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::surface::SETTLEMENT_NS;
use crate::units::{ClientOrderId, ExecutionId, ONE_E9, Quantity, Side};

const U: UnderlyingId = UnderlyingId(0);
const PERPETUAL: InstrumentId = InstrumentId(0);
/// 2026-03-27 08:00 UTC.
const EXPIRY_S: u32 = 1_774_598_400;
const START: Nanos = Nanos::from_secs(EXPIRY_S - 30 * 86_400);

/// Takes `room` events, then none.
struct Bounded {
    sent: Vec<Body>,
    room: usize,
}

impl Outbox<Event> for Bounded {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        if self.room == 0 {
            return Err(Full);
        }
        self.room -= 1;
        self.sent.push(event.body);
        Ok(())
    }

    fn room(&self) -> usize {
        self.room
    }
}

struct Desk {
    greeks: Greeks,
    out: Vec<Event>,
    now: Nanos,
}

impl Desk {
    fn new(opening: OpeningBook) -> Self {
        Self::with(GreeksConfig { opening, ..GreeksConfig::default() })
    }

    fn with(config: GreeksConfig) -> Self {
        let greeks = Greeks::new(config);
        let mut desk = Self { greeks, out: Vec::new(), now: START };
        desk.step(Body::Underlying { id: U, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
        desk
    }

    fn step(&mut self, body: Body) {
        self.greeks.step(&at(self.now, body), &mut self.out);
    }

    fn spot(&mut self, dollars: f64) {
        self.step(top(PERPETUAL, BookQuality::Good, dollars));
    }

    fn shown(&self) -> Exposure {
        *self.greeks.exposures().next().unwrap().1
    }

    fn exposures_sent(&self) -> usize {
        self.out.iter().filter(|e| matches!(e.body, Body::Exposure { .. })).count()
    }
}

fn at(time: Nanos, body: Body) -> Event {
    Event { trail: Trail::default(), time, body }
}

fn listed(id: u16, kind: InstrumentKind, payoff: Payoff, option: Option<OptionKind>, strike: f64, lot: f64) -> Body {
    let dated = !matches!(kind, InstrumentKind::Perpetual | InstrumentKind::Spot);
    Body::Listed {
        instrument: InstrumentId(id),
        underlying: U,
        kind,
        payoff,
        option,
        expiry_s: if dated { EXPIRY_S } else { 0 },
        strike: Price::from_f64(strike).unwrap(),
        lot: Quantity::from_f64(lot).unwrap(),
        venue: VenueInstrumentId(1_000 + u32::from(id)),
    }
}

fn perpetual() -> Body {
    listed(0, InstrumentKind::Perpetual, Payoff::Inverse, None, 0.0, 10.0)
}

fn option(id: u16, payoff: Payoff, kind: OptionKind, strike: f64) -> Body {
    listed(id, InstrumentKind::Option, payoff, Some(kind), strike, 0.1)
}

fn top(instrument: InstrumentId, quality: BookQuality, mid: f64) -> Body {
    let price = |dollars: f64| Price::from_f64(dollars).unwrap();
    Body::Top { instrument, quality, bid: price(mid - 0.5), ask: price(mid + 0.5), bid_lots: 5, ask_lots: 5 }
}

fn fill(execution: u64, instrument: u16, side: Side, lots: u32) -> Body {
    Body::Filled {
        order: ClientOrderId(1),
        execution: ExecutionId(execution),
        instrument: InstrumentId(instrument),
        side,
        price: Price(ONE_E9),
        lots,
    }
}

fn forward(ratio: f64) -> Body {
    Body::Forward { underlying: U, expiry_s: EXPIRY_S, ratio }
}

fn volatility(id: u16, sigma: f64) -> Body {
    Body::Volatility { instrument: InstrumentId(id), sigma, slope: 0.0 }
}

/// N(x) by Simpson's rule: slow, and nothing in common with the kernel.
fn normal(x: f64) -> f64 {
    let steps = 2_000;
    let h = x / f64::from(steps);
    let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let weight = |i: i32| if i == 0 || i == steps { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
    0.5 + h / 3.0 * (0..=steps).map(|i| weight(i) * density(h * f64::from(i))).sum::<f64>()
}

fn near(coins: Coins, expected: f64) {
    assert!((coins.to_f64() - expected).abs() < 1.1e-9, "{coins} is not {expected}");
}

#[test]
fn an_inverse_future_of_q_dollars_is_q_over_f_coins() {
    let mut desk = Desk::new(OpeningBook::Flat);
    desk.step(perpetual());
    desk.spot(50_000.0);
    desk.step(fill(1, 0, Side::Buy, 100));
    near(desk.shown().net_delta, 1_000.0 / 50_000.0);
    near(desk.shown().log_gamma, -1_000.0 / 50_000.0);
    desk.spot(40_000.0);
    near(desk.shown().net_delta, 1_000.0 / 40_000.0);
    assert_eq!(desk.shown().quality, BookQuality::Good);
}

#[test]
fn a_dated_future_follows_its_forward_and_a_linear_one_its_amount() {
    let mut desk = Desk::new(OpeningBook::Flat);
    desk.step(perpetual());
    desk.step(listed(1, InstrumentKind::Future, Payoff::Inverse, None, 0.0, 10.0));
    desk.step(listed(2, InstrumentKind::Future, Payoff::Linear, None, 0.0, 0.001));
    desk.spot(50_000.0);
    desk.step(fill(1, 1, Side::Sell, 100));
    assert_eq!(desk.shown().quality, BookQuality::Unknown, "no forward yet");
    desk.step(forward(1.02));
    desk.step(fill(2, 2, Side::Buy, 3));
    near(desk.shown().net_delta, -1_000.0 / 51_000.0 + 0.003);
    near(desk.shown().log_gamma, 1_000.0 / 51_000.0);
    assert_eq!(desk.shown().quality, BookQuality::Good);
}

#[test]
fn options_carry_the_delta_of_their_convention() {
    // The settlement average takes two thirds of its half hour from the time to expiry.
    let (spot, ratio, strike, sigma, years) = (50_000.0, 1.01, 52_000.0, 0.6, (30.0 - 20.0 / 1_440.0) / 365.0);
    let f: f64 = spot * ratio;
    let s = sigma * f64::sqrt(years);
    let (d1, d2) = ((f / strike).ln() / s + 0.5 * s, (f / strike).ln() / s - 0.5 * s);
    let density = (-0.5 * d1 * d1).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let cases = [
        (Payoff::Inverse, OptionKind::Call, strike / f * normal(d2)),
        (Payoff::Inverse, OptionKind::Put, -strike / f * normal(-d2)),
        (Payoff::Linear, OptionKind::Call, normal(d1)),
        (Payoff::Linear, OptionKind::Put, -normal(-d1)),
    ];
    for (payoff, kind, delta) in cases {
        let mut desk = Desk::new(OpeningBook::ShortEveryOption);
        desk.step(perpetual());
        desk.step(option(1, payoff, kind, strike));
        desk.step(forward(ratio));
        desk.step(volatility(1, sigma));
        desk.spot(spot);
        near(desk.shown().net_delta, -0.1 * delta);
        let log_gamma = density / s - if payoff == Payoff::Inverse { delta } else { 0.0 };
        near(desk.shown().log_gamma, -0.1 * log_gamma);
        assert_eq!(desk.shown().quality, BookQuality::Good);
        assert!(desk.shown().delta_bound < 1e-9);
    }
}

#[test]
fn a_fill_is_applied_once_and_followed_by_its_exposure() {
    let mut desk = Desk::new(OpeningBook::Flat);
    desk.step(perpetual());
    desk.spot(50_000.0);
    desk.out.clear();
    for execution in [7, 7, 8, 7] {
        desk.step(fill(execution, 0, Side::Sell, 2));
    }
    assert_eq!(desk.greeks.position(PERPETUAL), Lots(-4));
    assert_eq!((desk.greeks.counters().fills, desk.greeks.counters().fills_repeated), (2, 2));
    let shape: Vec<_> = desk.out.iter().map(|e| matches!(e.body, Body::Exposure { .. })).collect();
    assert_eq!(shape, [false, true].repeat(4));
}

#[test]
fn quality_is_unknown_then_good_then_stale() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 50_000.0));
    desk.spot(50_000.0);
    assert_eq!(desk.shown().quality, BookQuality::Unknown);
    desk.step(forward(1.0));
    desk.step(Body::Clock);
    assert_eq!(desk.shown().quality, BookQuality::Unknown);
    desk.step(volatility(1, 0.5));
    desk.step(Body::Clock);
    assert_eq!(desk.shown().quality, BookQuality::Good);

    desk.step(top(PERPETUAL, BookQuality::Gapped, 50_000.0));
    assert_eq!(desk.shown().quality, BookQuality::Gapped);
    desk.step(Body::Index { underlying: U, price: Price(50_010 * ONE_E9) });
    assert_eq!((desk.shown().quality, desk.shown().spot), (BookQuality::Good, Price(50_010 * ONE_E9)));
    desk.now.0 += 11 * Nanos::PER_SECOND;
    desk.step(Body::Clock);
    assert_eq!(desk.shown().quality, BookQuality::Stale, "an index that says nothing for 11 s");

    desk.spot(50_000.0);
    assert_eq!(desk.shown().quality, BookQuality::Good);
    desk.now.0 += 110 * Nanos::PER_SECOND;
    desk.step(Body::Clock);
    assert_eq!(desk.shown().quality, BookQuality::Stale, "a forward of 121 s");
    desk.step(forward(1.0));
    desk.step(Body::Clock);
    assert_eq!(desk.shown().quality, BookQuality::Good);
}

#[test]
fn a_book_is_good_as_soon_as_its_last_volatility_came() {
    for engine_first in [false, true] {
        let mut desk = Desk::new(OpeningBook::ShortEveryOption);
        desk.step(perpetual());
        for id in 1..4 {
            desk.step(option(id, Payoff::Inverse, OptionKind::Call, 50_000.0 + f64::from(id)));
        }
        desk.spot(50_000.0);
        desk.step(forward(1.0));
        desk.step(volatility(1, 0.5));
        desk.step(volatility(2, 0.5));
        if engine_first {
            desk.step(Body::Clock);
            assert_eq!((desk.greeks.anchored(), desk.shown().quality), (1, BookQuality::Unknown));
        }
        desk.step(volatility(3, 0.5));
        desk.step(Body::Clock);
        assert_eq!(desk.greeks.anchored(), 1);
        assert_eq!(desk.shown().quality, BookQuality::Good, "engine first: {engine_first}");
    }
}

#[test]
fn a_burst_of_calibration_becomes_one_exposure() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    for id in 1..50 {
        desk.step(option(id, Payoff::Inverse, OptionKind::Put, 40_000.0 + 500.0 * f64::from(id)));
    }
    desk.spot(50_000.0);
    let before = desk.exposures_sent();
    desk.step(forward(1.001));
    (1..50).for_each(|id| desk.step(volatility(id, 0.5)));
    assert_eq!(desk.exposures_sent(), before);
    desk.step(Body::Clock);
    assert_eq!(desk.exposures_sent(), before + 1);
    desk.step(Body::Clock);
    assert_eq!(desk.exposures_sent(), before + 1, "nothing changed");
}

#[test]
fn nonsense_calibration_is_refused_and_what_was_known_stays() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 50_000.0));
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.5));
    desk.spot(50_000.0);
    let before = desk.shown();
    for bad in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        desk.step(forward(bad));
        desk.step(volatility(1, bad));
    }
    desk.step(Body::Forward { underlying: UnderlyingId(99), expiry_s: EXPIRY_S, ratio: 1.0 });
    desk.step(Body::Clock);
    assert_eq!(desk.shown(), before);
    assert_eq!(desk.greeks.counters().calibration_refused, 9);
}

#[test]
fn only_what_the_hedge_needs_is_handed_on() {
    let mut desk = Desk::new(OpeningBook::Flat);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 50_000.0));
    desk.out.clear();
    desk.step(top(InstrumentId(1), BookQuality::Good, 1.0));
    assert!(matches!(desk.out[..], [Event { body: Body::Top { .. }, .. }]), "options hedge too");
    desk.out.clear();
    desk.step(Body::Mark { instrument: PERPETUAL, mark: Price(1) });
    desk.step(volatility(1, 0.5));
    assert!(desk.out.is_empty());
    desk.step(Body::Session { up: true });
    desk.step(Body::Cancelled { order: ClientOrderId(1), instrument: PERPETUAL, cum_lots: 0, reason: 0 });
    desk.step(Body::Clock);
    desk.spot(50_000.0);
    let kinds: Vec<_> = desk.out.iter().map(|e| std::mem::discriminant(&e.body)).collect();
    assert_eq!(kinds.len(), 5);
    assert!(matches!(desk.out[3].body, Body::Top { .. }), "the top goes before the exposure it causes");
    assert!(matches!(desk.out[4].body, Body::Exposure { .. }));
}

/// A simulated second half of the window: half of the average known at 51,000, spot now 50,000.
fn half_way_through_the_window(payoff: Payoff, kind: OptionKind, strike: f64) -> Desk {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, payoff, kind, strike));
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.6));
    desk.now = Nanos::from_secs(EXPIRY_S - 2_000);
    for second in 0..=1_100u64 {
        desk.now = Nanos::from_secs(EXPIRY_S - 2_000 + second as u32);
        desk.step(Body::Index { underlying: U, price: Price(51_000 * ONE_E9) });
    }
    desk.spot(50_000.0);
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.6));
    desk.step(Body::Clock);
    desk
}

#[test]
fn half_a_settlement_window_leaves_half_the_delta() {
    let deep = half_way_through_the_window(Payoff::Linear, OptionKind::Call, 30_000.0);
    near(deep.shown().net_delta, -0.1 * 0.5);
    assert_eq!(deep.shown().quality, BookQuality::Good);

    // The average needs 50,000 to end at 50,500: an option on the rest, at the money, is struck there.
    let at_the_money = half_way_through_the_window(Payoff::Linear, OptionKind::Call, 50_500.0);
    let s = 0.6 * f64::sqrt(900.0 / 3.0 / (365.0 * 86_400.0));
    near(at_the_money.shown().net_delta, -0.1 * 0.5 * normal(0.5 * s));
}

#[test]
fn inverse_greeks_in_the_settlement_window_are_the_values_derivatives() {
    for kind in [OptionKind::Call, OptionKind::Put] {
        let desk = half_way_through_the_window(Payoff::Inverse, kind, 50_490.0);
        let years = 900.0 / 3.0 / (365.0 * 86_400.0);
        // In coins: half an option on the rest of the average, over the expected average.
        let value = |u: f64| {
            let f = 50_000.0 * u.exp();
            0.5 * black76::price(kind, f, (50_490.0 - 25_500.0) / 0.5, 0.6, years) / (25_500.0 + 0.5 * f)
        };
        let h = 1e-5;
        let delta = (value(h) - value(-h)) / (2.0 * h);
        let log_gamma = (value(h) - 2.0 * value(0.0) + value(-h)) / (h * h);
        assert!((desk.shown().net_delta.to_f64() + 0.1 * delta).abs() < 1e-7, "{kind:?}: {}", desk.shown().net_delta);
        let shown = desk.shown().log_gamma.to_f64();
        assert!((shown + 0.1 * log_gamma).abs() < 1e-4 * log_gamma.abs(), "{kind:?}: {shown} {log_gamma}");
    }
}

#[test]
fn expiry_takes_the_position_away_once() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 40_000.0));
    desk.step(option(2, Payoff::Inverse, OptionKind::Put, 60_000.0));
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.5));
    desk.step(volatility(2, 0.5));
    desk.spot(50_000.0);
    desk.step(fill(1, 0, Side::Buy, 100));
    desk.now = Nanos(Nanos::from_secs(EXPIRY_S).0 - SETTLEMENT_NS);
    desk.step(Body::Clock);
    // In the money when the window opens: (K/F)·N(d2) is 0.8 and −1.2 a coin.
    near(desk.shown().net_delta, 0.02 - 0.1 * 0.8 + 0.1 * 1.2);
    desk.now = Nanos(Nanos::from_secs(EXPIRY_S).0 - 1);
    desk.step(Body::Clock);
    near(desk.shown().net_delta, 0.02);
    assert_eq!(desk.greeks.positions().count(), 3);
    desk.now = Nanos::from_secs(EXPIRY_S);
    desk.out.clear();
    desk.step(Body::Clock);
    assert_eq!(desk.greeks.positions().collect::<Vec<_>>(), [(PERPETUAL, Lots(100))]);
    near(desk.shown().net_delta, 0.02);
    assert_eq!(desk.exposures_sent(), 1);

    desk.step(fill(2, 1, Side::Sell, 1));
    assert_eq!(desk.greeks.counters().fills_late, 1);
    desk.step(option(3, Payoff::Inverse, OptionKind::Call, 40_000.0));
    assert_eq!(desk.greeks.positions().count(), 1, "a listing that comes after its expiry opens nothing");
    assert!(!desk.greeks.is_broken());
}

#[test]
fn opening_positions_are_entered_once_and_strangers_reported() {
    let positions = [(VenueInstrumentId(1_000), Lots(-30)), (VenueInstrumentId(9), Lots(1))];
    let mut desk = Desk::new(OpeningBook::Positions(positions.into()));
    desk.step(perpetual());
    desk.step(perpetual());
    assert_eq!(desk.greeks.position(PERPETUAL), Lots(-30));
    assert_eq!(desk.greeks.unopened().collect::<Vec<_>>(), [VenueInstrumentId(9)]);
}

#[test]
fn the_report_adds_up_to_the_exposure() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 50_000.0));
    desk.step(option(2, Payoff::Inverse, OptionKind::Put, 45_000.0));
    desk.step(forward(1.01));
    desk.step(volatility(1, 0.5));
    desk.step(volatility(2, 0.6));
    desk.spot(50_000.0);
    desk.step(fill(1, 0, Side::Buy, 100));
    let report: Vec<_> = desk.greeks.report(U).collect();
    assert_eq!(report.iter().map(|e| (e.expiry_s, e.held)).collect::<Vec<_>>(), [(0, 1), (EXPIRY_S, 2)]);
    near(desk.shown().net_delta, report.iter().map(|e| e.greeks.delta).sum());
    near(desk.shown().log_gamma, report.iter().map(|e| e.greeks.log_gamma).sum());
    let years = variance_years(30.0 / 365.0, WINDOW_YEARS);
    let vega: f64 = [(OptionKind::Call, 50_000.0, 0.5), (OptionKind::Put, 45_000.0, 0.6)]
        .into_iter()
        .map(|(kind, strike, sigma)| -0.1 * black76::Greeks::new(kind, 50_500.0, strike, sigma, years).vega / 50_500.0)
        .sum();
    assert!((report[1].greeks.vega - vega).abs() < 1e-12 && report[1].greeks.theta > 0.0);
    assert!(report[1].bounds.delta < 1e-12 && report[1].bounds.vega < 1e-13);
    assert!(report.iter().all(|e| e.quality == BookQuality::Good));
}

#[test]
fn a_redefinition_keeps_the_position() {
    let mut desk = Desk::new(OpeningBook::ShortEveryOption);
    desk.step(perpetual());
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 50_000.0));
    desk.step(forward(1.0));
    desk.step(volatility(1, 0.5));
    desk.spot(50_000.0);
    let before = desk.shown();
    desk.step(option(1, Payoff::Inverse, OptionKind::Call, 55_000.0));
    assert_eq!(desk.greeks.position(InstrumentId(1)), Lots(-1));
    desk.step(forward(1.0));
    desk.step(Body::Clock);
    assert!(desk.shown().net_delta > before.net_delta, "a higher strike has less delta to be short of");
    assert_eq!(desk.shown().quality, BookQuality::Good);
}

#[test]
fn a_fill_that_cannot_be_booked_stops_everything() {
    for bad in [fill(1, 77, Side::Buy, 1), fill(1, 1, Side::Buy, 1)] {
        let mut desk = Desk::new(OpeningBook::Flat);
        desk.step(perpetual());
        desk.step(listed(1, InstrumentKind::OptionCombo, Payoff::Inverse, None, 0.0, 0.1));
        desk.spot(50_000.0);
        assert_eq!(desk.shown().quality, BookQuality::Good);
        desk.step(bad);
        desk.spot(50_001.0);
        assert!(desk.greeks.is_broken());
        assert_eq!(desk.shown().quality, BookQuality::Unknown);
    }
    let too_large = [(VenueInstrumentId(1_000), Lots(LOTS_MAX + 1))];
    let mut desk = Desk::new(OpeningBook::Positions(too_large.into()));
    desk.step(perpetual());
    assert!(desk.greeks.is_broken());
}

#[test]
fn nothing_that_must_arrive_is_lost_when_the_outbox_is_full() {
    let mut greeks = Greeks::new(GreeksConfig::default());
    let mut out = Bounded { sent: Vec::new(), room: 3 };
    let mut step = |body, out: &mut Bounded| greeks.step(&at(START, body), out);
    step(Body::Underlying { id: U, name: [b'B'; 16] }, &mut out);
    step(perpetual(), &mut out);
    // Room for one: the fill and its exposure go together or not at all.
    step(fill(1, 0, Side::Buy, 1), &mut out);
    step(Body::Session { up: true }, &mut out);
    step(top(PERPETUAL, BookQuality::Good, 50_000.0), &mut out);
    step(fill(2, 0, Side::Buy, 1), &mut out);
    step(Body::Clock, &mut out);
    step(Body::Clock, &mut out);
    step(top(PERPETUAL, BookQuality::Good, 51_000.0), &mut out);
    assert_eq!(out.sent.len(), 2);
    out.room = 100;
    step(Body::Clock, &mut out);
    assert_eq!(greeks.position(PERPETUAL), Lots(2));

    let deltas: Vec<_> = out.sent[2..]
        .iter()
        .map(|body| match *body {
            Body::Filled { execution, .. } => format!("fill {}", execution.0),
            Body::Exposure { net_delta, .. } => format!("delta {:.3}", net_delta.to_f64() * 51_000.0),
            Body::Session { .. } => "session".into(),
            Body::Top { bid, .. } => format!("bid {bid}"),
            Body::Clock => "clock".into(),
            other => format!("{other:?}"),
        })
        .collect();
    // Each exposure holds the fills before it and none after; of tops and clocks the latest.
    let expected = ["fill 1", "delta 10.000", "session", "fill 2", "delta 20.000", "bid 50999.5", "clock", "clock"];
    assert_eq!(deltas, expected);
}

#[test]
fn the_end_of_the_backlog_fails_safe() {
    let mut greeks = Greeks::new(GreeksConfig::default());
    let mut out = Bounded { sent: Vec::new(), room: 2 };
    greeks.step(&at(START, Body::Underlying { id: U, name: [b'B'; 16] }), &mut out);
    greeks.step(&at(START, perpetual()), &mut out);
    greeks.step(&at(START, top(PERPETUAL, BookQuality::Good, 50_000.0)), &mut out);
    for i in 0..BACKLOG_MAX as u64 {
        assert_eq!(greeks.has_room(), i < BACKLOG_MAX as u64 / 2);
        greeks.step(&at(START, Body::Session { up: i % 2 == 0 }), &mut out);
    }
    assert!(!greeks.is_broken());
    greeks.step(&at(START, Body::Session { up: true }), &mut out);
    assert!(greeks.is_broken());
    assert_eq!(greeks.counters().backlog_lost, 1);
    out.room = usize::MAX;
    greeks.step(&at(START, Body::Clock), &mut out);
    let last =
        out.sent.iter().rev().find_map(|b| if let Body::Exposure { quality, .. } = b { Some(*quality) } else { None });
    assert_eq!(last, Some(BookQuality::Unknown));
    assert_eq!(out.sent.iter().filter(|b| matches!(b, Body::Session { .. })).count(), BACKLOG_MAX);
}
