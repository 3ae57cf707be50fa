//! The program driven by hand: a perpetual, a future and two options, and a book whose exposures follow every fill.

use super::*;
use crate::instrument::OptionKind;
use crate::risk::Limits;
use proptest::prelude::*;

const FUTURE: InstrumentId = InstrumentId(1);
const PUT: InstrumentId = InstrumentId(2);
const CALL: InstrumentId = InstrumentId(3);
const EXPIRY_S: u32 = 30 * 86_400;
const SPOT: f64 = 100_000.0;

/// Greeks of a lot of the put and of the call, as the greeks tell them.
const UNITS: [(InstrumentId, f64, f32, f32, f32); 2] =
    [(PUT, -0.04, 0.2, 0.011, -0.002), (CALL, 0.05, 0.2, 0.011, 0.002)];

/// A book and everything that hedges it.
struct Play {
    rig: Rig,
    delta: f64,
    log_gamma: f64,
    vega: f64,
    skew: f64,
    /// Expiries that hold options, as the greeks count them.
    expiries: u8,
}

impl Play {
    fn new(config: HedgeConfig) -> Self {
        let mut config = HedgeConfig { policy: Policy::Program, ..config };
        if config.program.costs.batch == CostConfig::default().batch {
            config.program.costs.batch = 0.0;
        }
        let mut play = Self { rig: Rig::with(config), delta: 0.0, log_gamma: 0.0, vega: 0.0, skew: 0.0, expiries: 1 };
        play.list(FUTURE, InstrumentKind::Future, None);
        play.list(PUT, InstrumentKind::Option, Some(OptionKind::Put));
        play.list(CALL, InstrumentKind::Option, Some(OptionKind::Call));
        for instrument in [PERPETUAL, FUTURE, PUT, CALL] {
            play.books(instrument, 9_000);
        }
        play
    }

    fn list(&mut self, instrument: InstrumentId, kind: InstrumentKind, option: Option<OptionKind>) {
        let (lot, tick, fee) = match option {
            Some(_) => (ONE_E9 / 10, ONE_E9 / 10_000, 300_000),
            None => (10 * ONE_E9, ONE_E9 / 2, 500_000),
        };
        let payoff = Payoff::Inverse;
        let strike = if option.is_some() { Price(100_000 * ONE_E9) } else { Price::ZERO };
        let (lot, venue) = (Quantity(lot), VenueInstrumentId(10 + u32::from(instrument.0)));
        let underlying = BTC;
        let expiry_s = EXPIRY_S;
        self.rig.tell(Body::Listed { instrument, underlying, kind, payoff, option, expiry_s, strike, lot, venue });
        let (tick, contract) = (Price(tick), Quantity(ONE_E9));
        self.rig.tell(Body::Terms { instrument, tick, contract, maker_fee_e9: 0, taker_fee_e9: fee });
        self.rig.tell(Body::Status { instrument, state: InstrumentState::Open });
    }

    /// A sound book of `lots` on each side.
    fn books(&mut self, instrument: InstrumentId, lots: u32) {
        let (bid, ask) = if instrument.0 < 2 { (99_999.5, 100_000.0) } else { (0.05, 0.0501) };
        self.top(instrument, BookQuality::Good, bid, ask, lots);
    }

    fn top(&mut self, instrument: InstrumentId, quality: BookQuality, bid: f64, ask: f64, lots: u32) {
        let price = |price| Price::from_f64(price).unwrap();
        let (bid, ask) = (price(bid), price(ask));
        self.rig.tell(Body::Top { instrument, quality, bid, ask, bid_lots: lots, ask_lots: lots });
    }

    /// What the greeks say of volatility, long enough ago to count.
    fn survey(&mut self) {
        let Self { log_gamma, vega, skew, .. } = *self;
        let [log_gamma, vega, skew] = [log_gamma, vega, skew].map(|greek| greek as f32);
        let (underlying, expiry_s) = (BTC, EXPIRY_S);
        let (vanna, sigma, slope) = (0.0, 0.6, -0.05);
        let is_held = true;
        self.rig.tell(Body::Smile { underlying, expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope });
        for (instrument, delta, log_gamma, vega, skew) in UNITS {
            self.rig.tell(Body::Unit { instrument, delta, log_gamma, vega, skew });
        }
    }

    /// A book with these exposures, everything known of it.
    fn holding(mut self, delta: f64, log_gamma: f64, vega: f64) -> Self {
        (self.delta, self.log_gamma, self.vega) = (delta, log_gamma, vega);
        // The spot first: an option's greeks are those at a spot.
        self.rig.exposure_of(BookQuality::Unknown, 0.0);
        self.survey();
        self.rig.now += 2 * Nanos::PER_SECOND;
        self.survey();
        self
    }

    fn expose(&mut self) {
        let coins = |x| Coins::from_f64(x).unwrap();
        self.rig.tell(Body::Exposure {
            underlying: BTC,
            quality: BookQuality::Good,
            net_delta: coins(self.delta),
            log_gamma: coins(self.log_gamma),
            spot: Price(100_000 * ONE_E9),
            delta_bound: 0.0,
            expiries: self.expiries,
        });
    }

    /// New orders since the last look: number, instrument, signed lots, whether it rests.
    fn orders(&mut self) -> Vec<(ClientOrderId, InstrumentId, i64, bool)> {
        let new = self.rig.requests().into_iter().filter_map(|request| match request {
            Request::New { order, instrument, side, lots, post_only, .. } => {
                Some((order, instrument, side.sign() * i64::from(lots), post_only))
            }
            _ => None,
        });
        new.collect()
    }

    fn cancels(&mut self) -> Vec<ClientOrderId> {
        let cancels = self.rig.requests().into_iter().filter_map(|request| match request {
            Request::Cancel { order, .. } => Some(order),
            _ => None,
        });
        cancels.collect()
    }

    /// The venue fills an order, the greeks add it up.
    fn fill(&mut self, order: ClientOrderId, instrument: InstrumentId, lots: i64) {
        let (side, magnitude) = if lots > 0 { (Side::Buy, lots) } else { (Side::Sell, -lots) };
        self.rig.tell(Body::Filled {
            order,
            execution: ExecutionId(self.rig.now),
            instrument,
            side,
            price: Price(ONE_E9),
            lots: magnitude as u32,
        });
        let lots = lots as f64;
        match UNITS.iter().find(|unit| unit.0 == instrument) {
            Some(&(_, delta, log_gamma, vega, skew)) => {
                self.delta += lots * delta;
                self.log_gamma += lots * f64::from(log_gamma);
                self.vega += lots * f64::from(vega);
                self.skew += lots * f64::from(skew);
            }
            None => {
                self.delta += lots * 10.0 / SPOT;
                self.log_gamma -= lots * 10.0 / SPOT;
            }
        }
        self.expose();
    }

    /// Fills whatever is asked for until nothing is; what was traded, by instrument.
    fn run_to_rest(&mut self) -> [i64; 4] {
        let mut traded = [0; 4];
        self.expose();
        for _ in 0..50 {
            let orders = self.orders();
            if orders.is_empty() {
                return traded;
            }
            for (order, instrument, lots, _) in orders {
                traded[instrument.index()] += lots;
                self.books(instrument, 9_000);
                self.fill(order, instrument, lots);
            }
            self.survey();
            self.rig.tell(Body::Clock);
        }
        panic!("it does not come to rest: {traded:?}");
    }

    fn attribution(&self) -> Attribution {
        *self.rig.hedge.attributions().next().unwrap().1
    }

    fn fallbacks(&self, fallback: Fallback) -> u64 {
        self.attribution().fallbacks[fallback as usize]
    }

    fn excluded(&self, reason: Excluded) -> u64 {
        self.attribution().excluded[reason as usize]
    }

    fn hold(&self, hold: Hold) -> u64 {
        self.rig.hedge.counters().holds.of(hold)
    }
}

fn play() -> Play {
    Play::new(HedgeConfig::default())
}

/// Orders take at once.
fn taking() -> HedgeConfig {
    let execution = ExecutionConfig { rest_below: 0.0, ..ExecutionConfig::default() };
    HedgeConfig { execution, ..HedgeConfig::default() }
}

#[test]
fn a_book_short_of_volatility_buys_options_and_is_left_without_delta() {
    let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
    let traded = play.run_to_rest();
    assert!(traded[PUT.index()] + traded[CALL.index()] > 10, "{traded:?}");
    assert!(play.vega.abs() < 2.5, "{}", play.vega);
    let (_, target) = play.rig.hedge.targets().next().unwrap();
    assert!(target.is_at_rest && target.half_width() > 0.0);
    let attribution = play.attribution();
    assert!(attribution.decisions > 0 && attribution.risk_reduction > attribution.cost, "{attribution:?}");
    assert!(attribution.worst_gap <= crate::hedge::program::GAP_TOLERANCE, "{attribution:?}");
    let decision = *play.rig.hedge.decisions().last().unwrap();
    assert!(decision.orders >= 1 && decision.risk_reduction > decision.cost, "{decision:?}");
}

#[test]
fn what_is_in_flight_is_netted_in_and_only_a_grown_risk_makes_another_decision() {
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
    play.expose();
    assert!(!play.orders().is_empty());
    play.expose();
    play.rig.tell(Body::Clock);
    assert_eq!(play.orders(), []);
    play.delta = -3.004;
    play.expose();
    assert_eq!((play.orders(), play.hold(Hold::InFlight) > 0), (vec![], true), "a little more waits");
    play.delta = -9.0;
    play.expose();
    assert!(!play.orders().is_empty(), "much more does not");
}

#[test]
fn while_an_expiry_that_is_held_was_not_told_of_the_band_hedges_delta() {
    let mut play = play().holding(-3.0, -20.0, -2.0);
    play.expiries = 2;
    play.expose();
    let orders = play.orders();
    assert!(matches!(orders[..], [(_, PERPETUAL, 1.., false)]), "{orders:?}");
    assert!(play.fallbacks(Fallback::Volatility) > 0);
}

#[test]
fn without_news_of_volatility_the_band_hedges_delta() {
    let mut play = play();
    (play.delta, play.log_gamma) = (-3.0, -1.0);
    play.expose();
    let orders = play.orders();
    assert!(matches!(orders[..], [(_, PERPETUAL, 1.., false)]), "{orders:?}");
    assert!(play.fallbacks(Fallback::Volatility) > 0);
}

#[test]
fn a_covariance_that_is_not_positive_definite_leaves_delta_to_the_band() {
    for spot_level in [2.0, f64::NAN] {
        let covariance = CovarianceConfig { spot_level, ..CovarianceConfig::default() };
        let program = ProgramConfig { covariance, ..ProgramConfig::default() };
        let mut play = Play::new(HedgeConfig { program, ..taking() }).holding(-3.0, -1.0, -3.0);
        play.expose();
        let orders = play.orders();
        assert!(matches!(orders[..], [(_, PERPETUAL, 1.., false)]), "{spot_level}: {orders:?}");
        assert!(play.fallbacks(Fallback::Covariance) > 0);
    }
}

#[test]
fn absurd_figures_leave_delta_to_the_band() {
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 1e38);
    play.expose();
    assert!(play.orders().iter().all(|order| order.1 == PERPETUAL));
    assert!(play.attribution().fallbacks.iter().sum::<u64>() > 0, "{:?}", play.attribution());
}

#[test]
fn books_that_cannot_be_traded_on_are_left_out_and_counted() {
    type Spoil = dyn Fn(&mut Play, InstrumentId);
    let cases: [(&Spoil, Excluded); 5] = [
        (&|play, id| play.top(id, BookQuality::Good, 0.05, 0.0, 9), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Good, 0.0, 0.0, 0), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Stale, 0.05, 0.0501, 9), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Good, 0.05, 0.0501, 0), Excluded::NoDepth),
        (
            &|play, instrument| play.rig.tell(Body::Status { instrument, state: InstrumentState::Closed }),
            Excluded::NotTrading,
        ),
    ];
    for (spoil, reason) in cases {
        let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
        spoil(&mut play, PUT);
        spoil(&mut play, CALL);
        play.expose();
        let orders = play.orders();
        assert!(!orders.is_empty() && orders.iter().all(|order| order.1.0 < 2), "{reason:?} {orders:?}");
        assert!(play.excluded(reason) >= 2, "{reason:?} {:?}", play.attribution());
    }
}

#[test]
fn greeks_that_are_not_numbers_or_old_are_not_traded_on() {
    for spoil in [f32::NAN, f32::INFINITY, 0.0] {
        let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
        for instrument in [PUT, CALL] {
            play.rig.tell(Body::Unit { instrument, delta: 0.1, log_gamma: 0.1, vega: spoil, skew: 0.0 });
        }
        play.expose();
        assert!(play.orders().iter().all(|order| order.1.0 < 2), "{spoil}");
        assert!(play.excluded(Excluded::NoGreeks) >= 2, "{:?}", play.attribution());
    }
    let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
    play.rig.now += 6 * Nanos::PER_SECOND;
    play.expose();
    assert!(play.orders().iter().all(|order| order.1.0 < 2));
    assert!(play.excluded(Excluded::NoGreeks) >= 2);
}

#[test]
fn a_halted_perpetual_is_replaced_by_the_future_which_is_its_copy() {
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
    play.expose();
    let both = play.orders();
    assert!(
        !both.is_empty() && both.iter().map(|order| order.2).sum::<i64>() > 0,
        "copies do not confuse it: {both:?}"
    );
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
    play.rig.tell(Body::Status { instrument: PERPETUAL, state: InstrumentState::Closed });
    play.expose();
    let orders = play.orders();
    assert!(orders.iter().any(|order| order.1 == FUTURE && order.2 > 0), "{orders:?}");
    assert!(orders.iter().all(|order| order.1 != PERPETUAL), "{orders:?}");
}

#[test]
fn without_any_hedge_nothing_is_done_and_the_reason_is_counted() {
    let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
    for instrument in [PERPETUAL, FUTURE, PUT, CALL] {
        play.top(instrument, BookQuality::Gapped, 1.0, 2.0, 9);
    }
    play.expose();
    assert_eq!(play.orders(), []);
    assert!(play.fallbacks(Fallback::NoHedge) > 0 && play.hold(Hold::BadBook) > 0);
}

#[test]
fn a_book_without_gamma_is_hedged_like_any_other() {
    let mut play = Play::new(taking()).holding(2.0, 0.0, 0.0);
    let traded = play.run_to_rest();
    assert!(traded[0] + traded[1] < 0 && play.delta.abs() < 0.1, "{traded:?} {}", play.delta);
}

#[test]
fn risks_limits_bind_inside_the_solve() {
    let limits = Limits { order_notional_max_e9: 50_000 * ONE_E9, ..Limits::default() };
    let mut play = Play::new(HedgeConfig { limits, ..taking() }).holding(-3.0, -1.0, 0.0);
    play.expose();
    let orders = play.orders();
    assert!(!orders.is_empty() && orders.iter().all(|order| order.2.abs() <= 5_000), "{orders:?}");
    assert!(play.rig.hedge.gate().refusals().iter().all(|(_, count)| count == 0));
    let bound = play.attribution().bindings[Binding::Order as usize];
    assert_eq!(bound, 1, "{:?}", play.attribution());

    let limits = Limits { position_notional_max_e9: 50_000 * ONE_E9, ..Limits::default() };
    let mut play = Play::new(HedgeConfig { limits, ..taking() }).holding(-30.0, -1.0, 0.0);
    let traded = play.run_to_rest();
    assert!(traded[0].abs() <= 5_000 && traded[1].abs() <= 5_000, "{traded:?}");
    assert!(play.attribution().bindings[Binding::Position as usize] > 0);
}

#[test]
fn what_an_underlying_may_hold_binds_inside_the_solve() {
    let limits = Limits { gross_notional_max_e9: 50_000 * ONE_E9, ..Limits::default() };
    let mut play = Play::new(HedgeConfig { limits, ..taking() }).holding(-30.0, -1.0, 0.0);
    let traded = play.run_to_rest();
    assert!((traded[0] + traded[1]).abs() <= 5_000 && traded[0] + traded[1] > 4_990, "{traded:?}");
    assert!(play.attribution().bindings[Binding::Underlying as usize] > 0, "{:?}", play.attribution());
    // Each hedge of one decision may have been given the room that is there for one; what is refused is then left alone.
    assert!(play.rig.hedge.gate().refusals().total() <= 3);
}

#[test]
fn what_the_price_collar_would_refuse_is_not_asked_for() {
    let mut play = play().holding(-3.0, -20.0, -3.0);
    for option in [PUT, CALL] {
        play.top(option, BookQuality::Good, 0.04, 0.06, 9_000);
    }
    for _ in 0..20 {
        play.expose();
        play.survey();
        assert!(play.orders().iter().all(|(_, instrument, ..)| *instrument != PUT && *instrument != CALL));
    }
    assert_eq!(play.rig.hedge.gate().refusals().total(), 0);
}

#[test]
fn what_would_soon_be_changed_again_waits() {
    let bought = |sway: f64| {
        let program = ProgramConfig { waiting_sample_ns: Nanos::PER_SECOND, ..ProgramConfig::default() };
        let mut play = Play::new(HedgeConfig { program, ..taking() }).holding(0.0, -1.0, 0.0);
        for k in 0..40 {
            play.vega = if k % 2 == 0 { sway } else { -sway };
            play.survey();
            play.expose();
            play.orders();
            play.rig.now += Nanos::PER_SECOND;
            play.rig.tell(Body::Clock);
            play.orders();
        }
        play = play.holding(0.0, -20.0, -2.0);
        let traded = play.run_to_rest();
        traded[2] + traded[3]
    };
    let (still, swaying) = (bought(0.0), bought(0.05));
    assert!(still > 0 && swaying < still, "{still} {swaying}");
}

#[test]
fn a_batch_that_costs_more_than_it_brings_is_not_sent() {
    let costs = CostConfig { batch: 1e12, ..CostConfig::default() };
    let program = ProgramConfig { costs, ..ProgramConfig::default() };
    let mut play = Play::new(HedgeConfig { program, ..taking() }).holding(-3.0, -20.0, -3.0);
    play.expose();
    assert_eq!(play.orders(), []);
    assert!(play.hold(Hold::NotWorthwhile) > 0);
    assert!(play.rig.hedge.targets().next().unwrap().1.is_at_rest);
}

#[test]
fn above_the_open_level_the_band_decides() {
    let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
    play.rig.tell(Body::Kill { level: KillLevel::ReduceOnly, cause: KillCause::Operator, by: Operator::NOBODY });
    play.rig.requests();
    play.expose();
    assert!(play.orders().iter().all(|order| order.1 == PERPETUAL));
    assert_eq!(play.attribution().decisions, 0);
}

fn with_the_perpetual_alone(config: HedgeConfig) -> Play {
    let mut play = Play::new(config).holding(0.0, -1.0, 0.0);
    for instrument in [FUTURE, PUT, CALL] {
        play.rig.tell(Body::Status { instrument, state: InstrumentState::Closed });
    }
    play
}

/// A delta a little outside what is left alone: a trade that is not pressing.
fn a_little_outside() -> Play {
    let mut play = with_the_perpetual_alone(HedgeConfig::default());
    play.expose();
    assert_eq!(play.orders(), []);
    let half_width = play.rig.hedge.targets().next().unwrap().1.half_width();
    play.delta = -1.1 * half_width;
    play.expose();
    play
}

#[test]
fn what_is_not_pressing_rests_then_takes() {
    let mut play = a_little_outside();
    let [(order, instrument, lots, true)] = play.orders()[..] else { panic!("one that rests") };
    assert!(lots > 0);
    play.rig.tell(Body::Accepted { order, venue_order: VenueOrderId(1), instrument });
    play.rig.tell(Body::Clock);
    assert_eq!(play.cancels(), []);
    play.rig.now += 300 * Nanos::PER_MILLI;
    play.rig.tell(Body::Clock);
    assert_eq!(play.cancels(), [order], "its time is up");
    play.expose();
    assert_eq!(play.orders(), [], "until its end is known it may still fill");
    play.rig.tell(Body::Cancelled { order, instrument, cum_lots: 0, reason: 12 });
    play.expose();
    let orders = play.orders();
    assert!(matches!(orders[..], [(_, _, 1.., false)]), "now it takes: {orders:?}");
    assert_eq!((play.attribution().rested, play.attribution().taken), (1, 1));
}

#[test]
fn while_options_rest_their_delta_is_not_hedged_in_advance() {
    let execution = ExecutionConfig { rest_below: 1e12, rest_saving_share: 0.0, ..ExecutionConfig::default() };
    let mut play = Play::new(HedgeConfig { execution, ..HedgeConfig::default() }).holding(0.0, -20.0, -3.0);
    play.expose();
    let options = play.orders();
    assert!(!options.is_empty() && options.iter().all(|order| order.1.0 >= 2 && order.3), "{options:?}");
    play.expose();
    play.rig.tell(Body::Clock);
    assert_eq!(play.orders(), [], "neither their delta nor other options in their place");
    // Were it not for the options, which would leave it inside, this delta would be far outside.
    play.delta = -1.0;
    let mut delta = Vec::new();
    for _ in 0..3 {
        play.expose();
        delta.extend(play.orders());
    }
    assert!(delta.iter().any(|order| order.1.0 < 2 && order.2 > 0), "what is there is hedged: {delta:?}");
}

#[test]
fn an_order_that_others_stand_before_is_priced_anew() {
    let mut play = a_little_outside();
    let [(order, instrument, _, true)] = play.orders()[..] else { panic!("one that rests") };
    play.top(instrument, BookQuality::Good, 100_000.5, 100_001.0, 9_000);
    play.rig.tell(Body::Clock);
    assert_eq!(play.cancels(), [order]);
    play.rig.tell(Body::Cancelled { order, instrument, cum_lots: 0, reason: 12 });
    play.expose();
    let orders = play.orders();
    assert!(matches!(orders[..], [(_, _, 1.., true)]), "{orders:?}");
}

#[test]
fn an_order_that_is_no_longer_wanted_is_taken_back() {
    let mut play = a_little_outside();
    let [(order, ..)] = play.orders()[..] else { panic!("one that rests") };
    play.delta = 0.0;
    play.expose();
    play.rig.tell(Body::Clock);
    assert_eq!(play.cancels(), [order]);
}

#[test]
fn a_post_only_order_that_would_have_taken_is_no_reason_to_stop() {
    let config = HedgeConfig { rejects_in_a_row_max: 0, ..HedgeConfig::default() };
    let mut play = with_the_perpetual_alone(config);
    play.expose();
    play.delta = -1.1 * play.rig.hedge.targets().next().unwrap().1.half_width();
    play.expose();
    let [(order, instrument, _, true)] = play.orders()[..] else { panic!("one that rests") };
    play.rig.tell(Body::Rejected { order, instrument, reason: 16 });
    assert!(!play.rig.hedge.gate().is_shut());
    play.expose();
    let orders = play.orders();
    assert!(matches!(orders[..], [(_, _, 1.., false)]), "it takes instead: {orders:?}");
}

#[test]
fn a_fill_that_crosses_a_cancel_is_counted_once() {
    // Filled before the cancel came, after it, and in two parts around it: the position is the fills, and no more is asked for.
    for parts in [vec![1.0], vec![0.5, 0.5], vec![0.3, 0.7]] {
        let mut play = a_little_outside();
        let [(order, instrument, lots, true)] = play.orders()[..] else { panic!("one that rests") };
        play.rig.now += 300 * Nanos::PER_MILLI;
        play.rig.tell(Body::Clock);
        assert_eq!(play.cancels(), [order]);
        let mut left = lots;
        for part in &parts {
            let filled = if *part == *parts.last().unwrap() { left } else { (lots as f64 * part) as i64 };
            left -= filled;
            play.fill(order, instrument, filled);
            assert_eq!(play.orders(), [], "what is left may still fill");
        }
        play.rig.tell(Body::CancelRejected { order, instrument, reason: crate::order::UNKNOWN_TO_VENUE });
        play.expose();
        play.rig.tell(Body::Clock);
        assert_eq!(play.orders(), []);
        assert_eq!(play.rig.hedge.position(instrument), Lots(lots));
    }
}

#[test]
fn zakamoulines_band_is_laid_around_his_delta_and_lelands_around_his() {
    let shifted = |config: HedgeConfig| {
        let mut rig = Rig::with(config);
        let survey = Body::Smile {
            underlying: BTC,
            expiry_s: EXPIRY_S,
            is_held: true,
            vega: -1.0,
            skew: 0.0,
            log_gamma: -1.0,
            vanna: -20.0,
            sigma: 0.6,
            slope: 0.0,
        };
        rig.tell(survey);
        rig.exposure(-3.0);
        let lots = rig.orders()[0].3;
        (lots, rig.hedge.targets().next().unwrap().1.half_width())
    };
    let (plain, width) = shifted(HedgeConfig::default());
    let (leland, same) =
        shifted(HedgeConfig { leland_interval_ns: Some(3_600 * Nanos::PER_SECOND), ..HedgeConfig::default() });
    assert_eq!(width, same);
    assert!(leland + 1_000 < plain, "long gamma, so a lower volatility, and short vanna: {leland} {plain}");
    let (zakamouline, wider) = shifted(HedgeConfig { policy: Policy::Zakamouline, ..HedgeConfig::default() });
    assert!(wider != width && zakamouline != plain, "{wider} {width} {zakamouline} {plain}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// After the first hedge, noise of less than the band's width trades nothing.
    #[test]
    fn noise_does_not_trade_back_and_forth(
        start in -5.0f64..5.0, noise in proptest::collection::vec(-0.45f64..0.45, 200), rests in any::<bool>(),
    ) {
        let config = if rests { HedgeConfig::default() } else { taking() };
        let mut play = Play::new(config).holding(start, -1.0, 0.0);
        play.run_to_rest();
        let (centre, half_width) = (play.delta, play.rig.hedge.targets().next().unwrap().1.half_width());
        let mut sides = Vec::new();
        for sway in noise {
            // Away from the edge at which a hedge ends, into what is left alone.
            play.delta = if centre > 0.0 { centre - (0.5 + sway) * half_width } else { centre + (0.5 + sway) * half_width };
            play.expose();
            play.rig.tell(Body::Clock);
            sides.extend(play.orders());
        }
        prop_assert_eq!(sides, vec![]);
    }

    /// Noise across the edge trades toward zero only, and ever less.
    #[test]
    fn noise_at_the_edge_trades_one_way(noise in proptest::collection::vec(-0.5f64..0.5, 100)) {
        let mut play = Play::new(taking()).holding(3.0, -1.0, 0.0);
        play.run_to_rest();
        let half_width = play.rig.hedge.targets().next().unwrap().1.half_width();
        let mut bought = 0;
        for sway in noise {
            let true_delta = play.delta;
            play.delta += sway * half_width;
            play.expose();
            play.delta = true_delta;
            for (order, instrument, lots, _) in play.orders() {
                bought += lots.max(0);
                play.fill(order, instrument, lots);
                play.books(instrument, 9_000);
                play.orders();
            }
        }
        prop_assert_eq!(bought, 0, "it was long: only sales take that off");
    }
}
