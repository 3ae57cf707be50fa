//! The gate: one test a control, each limit at its edge, and what a person or the gate itself may do to the switch.

use super::*;
use crate::event::{Body, Event, KillCause, KillLevel, Operator, Protected, Trail};
use crate::instrument::{BookQuality, Instrument, InstrumentKind, InstrumentState, OptionKind, TickTable};
use crate::order::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, FROZEN_UNTIL_ASKED, OrderStore, Outcome, TimeInForce};
use crate::units::*;

mod executions;

const PERPETUAL: InstrumentId = InstrumentId(0);
const CALL: InstrumentId = InstrumentId(1);
const BTC: UnderlyingId = UnderlyingId(0);
const MILLION_E9: i64 = 1_000_000 * ONE_E9;

fn perpetual() -> Instrument {
    Instrument {
        taker_fee_e9: 500_000,
        ..Instrument::inverse_perpetual(
            PERPETUAL,
            VenueInstrumentId(14),
            BTC,
            Quantity(10 * ONE_E9),
            Price(500_000_000),
        )
    }
}

/// One coin a lot.
fn call() -> Instrument {
    Instrument {
        id: CALL,
        venue: VenueInstrumentId(15),
        kind: InstrumentKind::Option,
        option: Some(OptionKind::Call),
        expiry_s: 2_000_000_000,
        strike: Price(100_000 * ONE_E9),
        lot: Quantity(ONE_E9),
        ticks: TickTable::new(Price(100_000)),
        ..perpetual()
    }
}

/// A gate at a market of 99,999 / 100,000 with its orders, and the last time anything happened.
struct Rig {
    gate: Gate,
    orders: OrderStore,
    next: u64,
    now: Nanos,
}

impl Rig {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let mut rig = Self { gate: Gate::new(limits), orders: OrderStore::new(), next: 0, now: Nanos::from_secs(100) };
        for instrument in [perpetual(), call()] {
            rig.see(instrument.listing());
            let view = view(&instrument);
            let quality = BookQuality::Good;
            rig.see(Body::Top {
                instrument: instrument.id,
                quality,
                bid: view.bid,
                ask: view.ask,
                bid_lots: 9,
                ask_lots: 9,
            });
        }
        rig.see(Body::Unit { instrument: CALL, delta: 0.5, log_gamma: 0.25, vega: 0.125, skew: 0.0 });
        rig.exposure(0.0);
        rig
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&Event { trail: Trail::default(), time: self.now, body });
    }

    fn hear(&mut self, body: Body) -> Outcome {
        self.gate.hear(&Event { trail: Trail::default(), time: self.now, body }, &mut self.orders)
    }

    fn exposure(&mut self, net_delta: f64) {
        self.exposure_at(net_delta, 100_000);
    }

    fn exposure_at(&mut self, net_delta: f64, spot: i64) {
        self.see(Body::Exposure {
            underlying: BTC,
            quality: BookQuality::Good,
            net_delta: Coins::from_f64(net_delta).expect("small"),
            log_gamma: Coins(0),
            spot: Price(spot * ONE_E9),
            delta_bound: 0.0,
            expiries: 0,
        });
    }

    fn number(&mut self) -> ClientOrderId {
        self.next += 1;
        ClientOrderId(self.next)
    }

    fn ask(&mut self, request: Request, view: &View<'_>) -> Result<(), Refusal> {
        let before = *self.gate.refusals();
        let verdict = self.gate.approve(request, view, &mut self.orders, self.now);
        if let Err(reason) = verdict {
            assert_eq!(self.gate.refusals().of(reason), before.of(reason) + 1, "every refusal is counted");
        }
        verdict.map(|approved| assert_eq!(*approved.request(), request))
    }

    /// Asks for so many lots of the perpetual.
    fn try_perpetual(&mut self, side: Side, price: i64, lots: u32) -> Result<(), Refusal> {
        let (order, instrument) = (self.number(), perpetual());
        self.ask(request(order, PERPETUAL, side, Price(price * ONE_E9), lots), &view(&instrument))
    }

    fn try_call(&mut self, side: Side, lots: u32) -> Result<(), Refusal> {
        let (order, instrument) = (self.number(), call());
        self.ask(request(order, CALL, side, Price(50_000_000), lots), &view(&instrument))
    }

    fn fill(&mut self, instrument: InstrumentId, side: Side, price: i64, lots: u32) -> Outcome {
        let order = ClientOrderId(self.next);
        let execution = ExecutionId(self.next);
        self.hear(Body::Filled { order, execution, instrument, side, price: Price(price * ONE_E9), lots })
    }
}

fn view(instrument: &Instrument) -> View<'_> {
    let (bid, ask) = match instrument.id {
        CALL => (Price(49_000_000), Price(51_000_000)),
        _ => (Price(99_999 * ONE_E9), Price(100_000 * ONE_E9)),
    };
    let spot = Price(100_000 * ONE_E9);
    View { instrument: Some(instrument), quality: BookQuality::Good, bid, ask, spot }
}

fn request(order: ClientOrderId, instrument: InstrumentId, side: Side, price: Price, lots: u32) -> Request {
    Request::New {
        trail: Trail::default(),
        decided: 0,
        order,
        instrument,
        side,
        time_in_force: TimeInForce::GoodTilCancel,
        post_only: false,
        price,
        lots,
    }
}

/// Vega of an expiry that is held, and nothing else.
fn smile(expiry_s: u32, vega: f32) -> Body {
    let (skew, log_gamma, vanna, sigma, slope) = (0.0, 0.0, 0.0, 0.6, 0.0);
    Body::Smile { underlying: BTC, expiry_s, is_held: true, vega, skew, log_gamma, vanna, sigma, slope }
}

fn by_a_person(level: KillLevel) -> Latch {
    let by = Operator::new("alice").expect("a name");
    Latch { level, cause: KillCause::Operator, by, since: Nanos(1) }
}

#[test]
fn a_sound_order_passes_both_ways() {
    let mut rig = Rig::new();
    assert_eq!(rig.try_perpetual(Side::Buy, 100_100, 10), Ok(()));
    let mut rig = Rig::new();
    assert_eq!(rig.try_perpetual(Side::Sell, 99_900, 10), Ok(()));
}

#[test]
fn each_defect_is_refused_with_its_own_reason() {
    let (instrument, option) = (perpetual(), call());
    let closed = Instrument { state: InstrumentState::Closed, ..instrument };
    let sound = view(&instrument);
    let buy = |price: i64, lots| request(ClientOrderId(1), PERPETUAL, Side::Buy, Price(price * ONE_E9), lots);
    let sell = |price: i64, lots| request(ClientOrderId(1), PERPETUAL, Side::Sell, Price(price * ONE_E9), lots);
    let off_grid = request(ClientOrderId(1), PERPETUAL, Side::Buy, Price(100_000 * ONE_E9 + 1), 1);
    let cases = [
        (buy(100_000, 10), View { instrument: None, ..sound }, Refusal::NotTrading),
        (buy(100_000, 10), View { instrument: Some(&closed), ..sound }, Refusal::NotTrading),
        (buy(100_000, 10), View { instrument: Some(&option), ..sound }, Refusal::NotTrading),
        (buy(100_000, 10), View { quality: BookQuality::Gapped, ..sound }, Refusal::BadBook),
        (buy(100_000, 10), View { quality: BookQuality::Stale, ..sound }, Refusal::BadBook),
        (buy(100_000, 10), View { quality: BookQuality::Crossed, ..sound }, Refusal::BadBook),
        (buy(100_000, 10), View { bid: Price::ZERO, ..sound }, Refusal::BadBook),
        (buy(100_000, 10), View { ask: sound.bid, ..sound }, Refusal::BadBook),
        (buy(100_000, 10), View { spot: Price::ZERO, ..sound }, Refusal::BadBook),
        (buy(100_000, 0), sound, Refusal::Quantity),
        (buy(100_000, 1_000_001), sound, Refusal::Quantity),
        (buy(0, 1), sound, Refusal::Price),
        (off_grid, sound, Refusal::Price),
        (buy(100_501, 1), sound, Refusal::Collar),
        (sell(99_400, 1), sound, Refusal::Collar),
        (buy(94_000, 1), sound, Refusal::Drift),
        (buy(100_000, 500_001), sound, Refusal::Notional),
    ];
    for (request, view, reason) in cases {
        assert_eq!(Rig::new().ask(request, &view), Err(reason), "{request:?} {view:?}");
    }
}

#[test]
fn what_is_restricted_or_whose_greeks_nobody_told_is_not_traded() {
    let mut limits = Limits::default();
    assert!(limits.restricted.add(VenueInstrumentId(14)));
    assert_eq!(Rig::with(limits).try_perpetual(Side::Buy, 100_000, 1), Err(Refusal::Restricted));
    let mut rig = Rig::new();
    rig.gate = Gate::new(Limits::default());
    let (instrument, quality) = (call(), BookQuality::Good);
    rig.see(instrument.listing());
    let (bid, ask) = (Price(49_000_000), Price(51_000_000));
    rig.see(Body::Top { instrument: instrument.id, quality, bid, ask, bid_lots: 1, ask_lots: 1 });
    assert_eq!(rig.try_call(Side::Buy, 1), Err(Refusal::UnknownGreeks));
}

#[test]
fn without_a_session_nothing_passes_but_cancels() {
    let mut rig = Rig::new();
    rig.see(Body::Session { up: false });
    assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 1), Err(Refusal::VenueDown));
    assert_eq!(rig.ask(Request::CancelAll, &View::of_nothing()), Ok(()));
    rig.see(Body::Session { up: true });
    assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 1), Ok(()));
}

#[test]
fn a_position_counts_with_all_that_works_on_its_side_and_may_always_be_reduced() {
    let limits = Limits { position_notional_max_e9: MILLION_E9, ..Limits::default() };
    let mut rig = Rig::with(limits);
    rig.see(Body::Position { instrument: PERPETUAL, lots: 50_000 });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 50_001), Err(Refusal::Position));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 30_000), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_001, 20_001), Err(Refusal::Position), "the first is not answered yet");
    assert_eq!(rig.try_perpetual(Side::Buy, 99_001, 20_000), Ok(()));
    rig.see(Body::Position { instrument: PERPETUAL, lots: 500_000 });
    assert_eq!(rig.try_perpetual(Side::Sell, 100_000, 1), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_002, 1), Err(Refusal::Position));
}

#[test]
fn gross_size_and_credit_count_every_order_until_it_ends() {
    for (limits, reason) in [
        (Limits { gross_notional_max_e9: MILLION_E9, ..Limits::default() }, Refusal::Gross),
        (Limits { credit_max_e9: MILLION_E9 / 20, ..Limits::default() }, Refusal::Credit),
    ] {
        let mut rig = Rig::with(limits);
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 60_000), Ok(()));
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 40_001), Err(reason));
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 40_000), Ok(()));
        let (order, instrument) = (ClientOrderId(rig.next), PERPETUAL);
        rig.hear(Body::Rejected { order, instrument, reason: 1 });
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 40_000), Ok(()), "what ended gave its room back");
        rig.see(Body::Position { instrument: PERPETUAL, lots: 100_000 });
        assert_eq!(rig.try_perpetual(Side::Sell, 101_001, 1_000), Ok(()), "what reduces is never too much");
        assert_eq!(rig.try_perpetual(Side::Buy, 99_001, 1), Err(reason));
    }
}

#[test]
fn the_worst_net_delta_is_that_of_everything_in_one_direction() {
    let limits = Limits { delta_notional_max_e9: MILLION_E9, ..Limits::default() };
    let mut rig = Rig::with(limits);
    rig.exposure(6.0);
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 40_001), Err(Refusal::Delta));
    assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 100_000), Ok(()), "down there is more room");
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 40_001), Err(Refusal::Delta), "what sells may not fill");
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 30_000), Ok(()));
    assert_eq!(rig.try_call(Side::Buy, 3), Err(Refusal::Delta), "half a coin each");
    assert_eq!(rig.try_call(Side::Buy, 2), Ok(()));
}

#[test]
fn a_fill_counts_as_delta_before_the_exposure_that_says_so() {
    let limits = Limits { delta_notional_max_e9: MILLION_E9, ..Limits::default() };
    let mut rig = Rig::with(limits);
    assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 100_000), Ok(()));
    assert!(rig.fill(PERPETUAL, Side::Buy, 100_000, 100_000).fill().is_some());
    assert_eq!(rig.gate.position(PERPETUAL), Lots(100_000));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Err(Refusal::Delta));
    rig.exposure(9.9);
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()));
}

#[test]
fn gamma_and_vega_are_held_at_their_worst() {
    // A lot of the call has 0.25 coins of gamma, 250 dollars for 1%; and 0.125 coins of vega, 125 dollars a point.
    for (limits, reason) in [
        (Limits { gamma_notional_max_e9: 1_000 * ONE_E9, ..Limits::default() }, Refusal::Gamma),
        (Limits { vega_max_e9: 500 * ONE_E9, ..Limits::default() }, Refusal::Vega),
    ] {
        let mut rig = Rig::with(limits);
        assert_eq!(rig.try_call(Side::Buy, 5), Err(reason));
        assert_eq!(rig.try_call(Side::Buy, 3), Ok(()));
        assert_eq!(rig.try_call(Side::Buy, 2), Err(reason));
        assert_eq!(rig.try_call(Side::Buy, 1), Ok(()));
    }
    let mut rig = Rig::with(Limits { vega_max_e9: 500 * ONE_E9, ..Limits::default() });
    rig.see(smile(2_000_000_000, -0.5));
    assert_eq!(rig.try_call(Side::Sell, 1), Err(Refusal::Vega));
    assert_eq!(rig.try_call(Side::Buy, 9), Err(Refusal::Vega));
    assert_eq!(rig.try_call(Side::Buy, 8), Ok(()));
}

#[test]
fn the_same_order_once_more_waits_for_the_first_to_be_answered() {
    let mut rig = Rig::new();
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 5), Ok(()));
    let order = ClientOrderId(rig.next);
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 5), Err(Refusal::Duplicate));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 6), Ok(()));
    rig.hear(Body::Accepted { order, venue_order: VenueOrderId(1), instrument: PERPETUAL });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 5), Ok(()));
}

#[test]
fn an_order_that_could_meet_one_of_ours_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(rig.try_perpetual(Side::Sell, 100_100, 5), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 100_100, 5), Err(Refusal::SelfMatch));
    assert_eq!(rig.try_perpetual(Side::Buy, 100_099, 5), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Sell, 100_099, 5), Err(Refusal::SelfMatch));
}

#[test]
fn an_amendment_is_held_against_everything_but_itself() {
    let limits = Limits { position_notional_max_e9: MILLION_E9, ..Limits::default() };
    let (mut rig, instrument) = (Rig::with(limits), perpetual());
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 60_000), Ok(()));
    let order = ClientOrderId(rig.next);
    let amend = |price: i64, lots| Request::Amend {
        trail: Trail::default(),
        decided: 0,
        order,
        instrument: PERPETUAL,
        side: Side::Buy,
        price: Price(price * ONE_E9),
        lots,
    };
    assert_eq!(rig.ask(amend(99_100, 60_000), &view(&instrument)), Err(Refusal::OrderTable), "not answered yet");
    rig.hear(Body::Accepted { order, venue_order: VenueOrderId(1), instrument: PERPETUAL });
    assert_eq!(rig.ask(amend(99_100, 100_001), &view(&instrument)), Err(Refusal::Position));
    assert_eq!(rig.ask(amend(99_100, 100_000), &view(&instrument)), Ok(()));
    assert_eq!(rig.orders.working_lots(PERPETUAL), (100_000, 0), "from its asking on");
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Err(Refusal::Position));
    rig.hear(Body::AmendRejected { order, instrument: PERPETUAL, reason: 5 });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()));
    let other = Request::Amend {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(77),
        instrument: PERPETUAL,
        side: Side::Buy,
        price: Price(99_000 * ONE_E9),
        lots: 1,
    };
    assert_eq!(rig.ask(other, &view(&instrument)), Err(Refusal::OrderTable));
}

#[test]
fn a_quote_is_two_orders_or_none() {
    let limits = Limits { position_notional_max_e9: MILLION_E9, ..Limits::default() };
    let (mut rig, instrument) = (Rig::with(limits), perpetual());
    let quote = |order, bid: i64, ask: i64, ask_lots| Request::Quote {
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        bid: Price(bid * ONE_E9),
        ask: Price(ask * ONE_E9),
        bid_lots: 5,
        ask_lots,
    };
    assert_eq!(rig.ask(quote(10, 99_900, 99_900, 5), &view(&instrument)), Err(Refusal::SelfMatch));
    assert_eq!(rig.ask(quote(20, 99_900, 100_100, 200_000), &view(&instrument)), Err(Refusal::Position));
    assert_eq!(rig.orders.working_lots(PERPETUAL), (0, 0), "a refused offer takes its bid with it");
    assert_eq!(rig.ask(quote(30, 99_900, 100_100, 7), &view(&instrument)), Ok(()));
    assert_eq!(rig.orders.working_lots(PERPETUAL), (5, 7));
    assert_eq!(rig.ask(quote(40, 99_800, 100_200, 7), &view(&instrument)), Ok(()));
    assert_eq!(rig.orders.working_lots(PERPETUAL), (10, 14), "both count until the venue has replaced the first");
    for order in [30, 31] {
        let (order, reason) = (ClientOrderId(order), CANCELLED_ON_REQUEST);
        rig.hear(Body::Cancelled { order, instrument: PERPETUAL, cum_lots: CUM_LOTS_UNKNOWN, reason });
    }
    assert_eq!(rig.orders.working_lots(PERPETUAL), (5, 7));
}

#[test]
fn a_quote_that_crosses_the_one_it_replaces_waits_until_the_venue_has_replaced_it() {
    let (mut rig, instrument) = (Rig::new(), perpetual());
    let quote = |order, bid: i64, ask: i64| Request::Quote {
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        bid: Price(bid * ONE_E9),
        ask: Price(ask * ONE_E9),
        bid_lots: 5,
        ask_lots: 5,
    };
    assert_eq!(rig.ask(quote(10, 99_900, 100_100), &view(&instrument)), Ok(()));
    assert_eq!(rig.ask(quote(20, 100_100, 100_300), &view(&instrument)), Err(Refusal::SelfMatch));
    assert_eq!(
        rig.ask(quote(30, 100_099, 100_300), &view(&instrument)),
        Ok(()),
        "short of it there is nothing to meet"
    );
    for order in [10, 11] {
        let (order, reason) = (ClientOrderId(order), CANCELLED_ON_REQUEST);
        rig.hear(Body::Cancelled { order, instrument: PERPETUAL, cum_lots: CUM_LOTS_UNKNOWN, reason });
    }
    assert_eq!(rig.ask(quote(40, 100_100, 100_301), &view(&instrument)), Ok(()));
}

#[test]
fn what_the_venues_protection_has_frozen_does_not_rest_and_the_hedge_still_takes() {
    let (mut rig, instrument) = (Rig::new(), perpetual());
    let quote = |order| Request::Quote {
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        bid: Price(99_900 * ONE_E9),
        ask: Price(100_100 * ONE_E9),
        bid_lots: 5,
        ask_lots: 5,
    };
    let take = |order| match request(ClientOrderId(order), PERPETUAL, Side::Buy, Price(100_000 * ONE_E9), 5) {
        Request::New { trail, decided, order, instrument, side, post_only, price, lots, .. } => {
            let time_in_force = TimeInForce::ImmediateOrCancel;
            Request::New { trail, decided, order, instrument, side, time_in_force, post_only, price, lots }
        }
        other => other,
    };
    let (orders, quotes) = (Protected::Orders { underlying: BTC }, Protected::Quotes { group: 7 });
    rig.hear(Body::Protection { scope: orders, until: Nanos(rig.now.0 + 10) });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Err(Refusal::Frozen));
    assert_eq!(rig.ask(take(1_000), &view(&instrument)), Ok(()));
    rig.hear(Body::Protection { scope: quotes, until: FROZEN_UNTIL_ASKED });
    assert_eq!(rig.ask(quote(2_000), &view(&instrument)), Err(Refusal::Frozen));
    assert_eq!(rig.gate.frozen(rig.now).collect::<Vec<_>>(), [orders, quotes]);
    rig.now.0 += 10;
    assert_eq!(rig.gate.frozen(rig.now).collect::<Vec<_>>(), [quotes]);
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()), "its time is over");
    assert_eq!(rig.ask(quote(3_000), &view(&instrument)), Err(Refusal::Frozen), "and that of quotes has none");
    assert_eq!(rig.ask(Request::Thaw { scope: quotes }, &view(&instrument)), Ok(()));
    assert_eq!(rig.ask(quote(4_000), &view(&instrument)), Err(Refusal::Frozen), "asked is not answered");
    rig.hear(Body::Protection { scope: quotes, until: Nanos(0) });
    assert_eq!(rig.ask(quote(5_000), &view(&instrument)), Ok(()));
}

#[test]
fn the_offer_of_a_quote_is_held_against_a_book_that_has_its_bid() {
    let (mut rig, instrument) =
        (Rig::with(Limits { gross_notional_max_e9: MILLION_E9, ..Limits::default() }), perpetual());
    let quote = |order, ask_lots| Request::Quote {
        order: ClientOrderId(order),
        instrument: PERPETUAL,
        bid: Price(99_900 * ONE_E9),
        ask: Price(100_100 * ONE_E9),
        bid_lots: 60_000,
        ask_lots,
    };
    assert_eq!(rig.ask(quote(10, 40_001), &view(&instrument)), Err(Refusal::Gross));
    assert_eq!(rig.ask(quote(20, 40_000), &view(&instrument)), Ok(()), "what was refused left nothing behind");
}

#[test]
fn a_run_of_orders_pauses_trading_until_a_person_re_enables_it() {
    let mut rig = Rig::with(Limits { repeats_max: 3, ..Limits::default() });
    for lots in 1..=3 {
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, lots), Ok(()));
    }
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 4), Err(Refusal::Repeats));
    assert_eq!((rig.gate.latch().level, rig.gate.latch().cause), (KillLevel::Pause, KillCause::Repeats));
    rig.now.0 += 3_600 * Nanos::PER_SECOND;
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 4), Err(Refusal::Killed), "time alone does not help");
    assert!(!rig.gate.kill(Latch::by_the_program(KillLevel::Open, KillCause::Repeats, rig.now)));
    assert!(rig.gate.kill(by_a_person(KillLevel::Open)));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 4), Ok(()));
}

#[test]
fn reduce_only_takes_a_delta_toward_zero_and_not_through_it() {
    for level in [KillLevel::ReduceOnly, KillLevel::Flatten] {
        let mut rig = Rig::new();
        rig.exposure(1.0);
        assert!(rig.gate.kill(by_a_person(level)));
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Err(Refusal::ReduceOnly));
        assert_eq!(rig.try_perpetual(Side::Sell, 100_000, 10_001), Err(Refusal::ReduceOnly));
        assert_eq!(rig.try_perpetual(Side::Sell, 100_000, 6_000), Ok(()));
        assert_eq!(rig.try_perpetual(Side::Sell, 100_001, 4_001), Err(Refusal::ReduceOnly), "both may fill");
        assert_eq!(rig.try_perpetual(Side::Sell, 100_001, 4_000), Ok(()));
        rig.exposure(0.0);
        assert_eq!(rig.try_perpetual(Side::Sell, 100_002, 1), Err(Refusal::ReduceOnly));
    }
}

#[test]
fn past_the_loss_limit_only_reducing_orders_pass_until_a_person_has_looked() {
    let mut rig = Rig::with(Limits { loss_max_e9: 10_000 * ONE_E9, ..Limits::default() });
    rig.exposure_at(10.0, 100_000);
    rig.exposure_at(10.0, 99_001);
    assert_eq!((rig.gate.latch().level, rig.gate.lost_e9()), (KillLevel::Open, 9_990 * ONE_E9));
    rig.exposure_at(10.0, 98_999);
    assert_eq!((rig.gate.latch().level, rig.gate.latch().cause), (KillLevel::ReduceOnly, KillCause::Loss));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Err(Refusal::ReduceOnly));
    assert_eq!(rig.try_perpetual(Side::Sell, 100_000, 1), Ok(()));
    assert!(rig.gate.kill(by_a_person(KillLevel::Open)));
    rig.exposure_at(10.0, 98_998);
    assert_eq!(rig.gate.latch().level, KillLevel::Open);
}

#[test]
fn after_a_kill_only_cancels_pass() {
    for level in [KillLevel::Pause, KillLevel::Halt] {
        let mut rig = Rig::new();
        assert!(rig.gate.kill(by_a_person(level)));
        assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 1), Err(Refusal::Killed));
        assert_eq!(rig.ask(Request::CancelAll, &View::of_nothing()), Ok(()));
    }
}

#[test]
fn open_orders_and_the_message_rate_count_at_once() {
    let mut rig = Rig::with(Limits { open_orders_max: 2, ..Limits::default() });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 2), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 3), Err(Refusal::OpenOrders));
    let mut rig = Rig::with(Limits { messages_per_second: 3, cancel_reserve: 1, ..Limits::default() });
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 2), Ok(()));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 3), Err(Refusal::Rate));
    assert_eq!(rig.ask(Request::CancelAll, &View::of_nothing()), Ok(()));
}

#[test]
fn a_number_used_before_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 1), Ok(()));
    let (order, instrument) = (ClientOrderId(rig.next), perpetual());
    let again = request(order, PERPETUAL, Side::Buy, Price(99_000 * ONE_E9), 9);
    assert_eq!(rig.ask(again, &view(&instrument)), Err(Refusal::OrderTable));
}

#[test]
fn an_option_whose_lot_became_another_is_not_traded_until_its_greeks_are_told() {
    let mut rig = Rig::new();
    assert_eq!(rig.try_call(Side::Buy, 1), Ok(()));
    rig.see(call().listing());
    assert_eq!(rig.try_call(Side::Buy, 2), Ok(()), "it was only told once more");
    rig.see(Instrument { lot: Quantity(ONE_E9 / 10), ..call() }.listing());
    assert_eq!(rig.try_call(Side::Buy, 3), Err(Refusal::UnknownGreeks));
    rig.see(Body::Unit { instrument: CALL, delta: 0.05, log_gamma: 0.025, vega: 0.0125, skew: 0.0 });
    assert_eq!(rig.try_call(Side::Buy, 3), Ok(()));
}
