//! The hedge driven by hand: one underlying, its perpetual, and what a venue may answer.

mod program;

use super::*;
use crate::event::{KillCause, KillLevel, Operator, Protected, Trail};
use crate::instrument::{BookQuality, InstrumentState, Payoff};
use crate::order::{FROZEN_UNTIL_ASKED, Request};
use crate::units::{ClientOrderId, Coins, ExecutionId, ONE_E9, Price, Quantity, Side, VenueInstrumentId, VenueOrderId};

const PERPETUAL: InstrumentId = InstrumentId(0);
const BTC: UnderlyingId = UnderlyingId(0);

/// A hedge with a perpetual at 99,999.5 / 100,000, the session up, and a clock that runs by itself.
struct Rig {
    hedge: Hedge,
    out: Vec<Instruction>,
    now: u64,
}

impl Rig {
    fn new() -> Self {
        Self::with(HedgeConfig::default())
    }

    fn with(config: HedgeConfig) -> Self {
        let mut rig = Self { hedge: Hedge::new(config), out: Vec::new(), now: Nanos::PER_SECOND };
        rig.tell(Body::Underlying { id: BTC, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
        rig.tell(Body::Listed {
            instrument: PERPETUAL,
            underlying: BTC,
            kind: InstrumentKind::Perpetual,
            payoff: Payoff::Inverse,
            option: None,
            expiry_s: 0,
            strike: Price::ZERO,
            lot: Quantity(10 * ONE_E9),
            venue: VenueInstrumentId(7),
        });
        rig.tell(Body::Terms {
            instrument: PERPETUAL,
            tick: Price(ONE_E9 / 2),
            contract: Quantity(10 * ONE_E9),
            maker_fee_e9: 0,
            taker_fee_e9: 500_000,
        });
        rig.tell(Body::Status { instrument: PERPETUAL, state: InstrumentState::Open });
        rig.tell(Body::Session { up: true });
        rig.book(BookQuality::Good, 99_999.5, 100_000.0);
        rig
    }

    fn tell(&mut self, body: Body) {
        self.now += 1_000;
        let event = Event { trail: Trail::default(), time: Nanos(self.now), body };
        self.hedge.step(&event, &mut self.out);
    }

    fn book(&mut self, quality: BookQuality, bid: f64, ask: f64) {
        let price = |price| Price::from_f64(price).unwrap();
        let body =
            Body::Top { instrument: PERPETUAL, quality, bid: price(bid), ask: price(ask), bid_lots: 9, ask_lots: 9 };
        self.tell(body);
    }

    fn exposure(&mut self, net_delta: f64) {
        self.exposure_of(BookQuality::Good, net_delta);
    }

    fn exposure_of(&mut self, quality: BookQuality, net_delta: f64) {
        self.tell(Body::Exposure {
            underlying: BTC,
            quality,
            net_delta: Coins::from_f64(net_delta).unwrap(),
            log_gamma: Coins::from_f64(1.0).unwrap(),
            spot: Price(100_000 * ONE_E9),
            delta_bound: 0.0,
            expiries: 0,
        });
    }

    /// New orders since the last look: number, side, price, lots.
    fn orders(&mut self) -> Vec<(ClientOrderId, Side, f64, u32)> {
        let requests = self.requests();
        let new = requests.into_iter().filter_map(|request| match request {
            Request::New { order, side, price, lots, .. } => Some((order, side, price.to_f64(), lots)),
            _ => None,
        });
        new.collect()
    }

    fn requests(&mut self) -> Vec<Request> {
        let sent = self.out.drain(..).filter_map(|instruction| match instruction {
            Instruction::Send(approved) => Some(*approved.request()),
            Instruction::Reference { .. } | Instruction::Level(_) => None,
        });
        sent.collect()
    }

    fn fill(&mut self, order: ClientOrderId, side: Side, lots: u32) {
        self.tell(Body::Accepted { order, venue_order: VenueOrderId(1), instrument: PERPETUAL });
        self.tell(Body::Filled {
            order,
            execution: ExecutionId(self.now),
            instrument: PERPETUAL,
            side,
            price: Price(100_000 * ONE_E9),
            lots,
        });
    }
}

#[test]
fn the_gateway_learns_of_the_instrument_before_the_first_order() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    assert!(matches!(rig.out[0], Instruction::Reference { venue: VenueInstrumentId(7), .. }));
    assert!(matches!(rig.out[1], Instruction::Send(_)));
}

#[test]
fn the_gateway_learns_of_every_instrument_a_few_at_a_time() {
    let mut rig = Rig::new();
    for number in 1..=20u16 {
        rig.tell(Body::Listed {
            instrument: InstrumentId(PERPETUAL.0 + number),
            underlying: BTC,
            kind: InstrumentKind::Future,
            payoff: Payoff::Inverse,
            option: None,
            expiry_s: 86_400,
            strike: Price::ZERO,
            lot: Quantity(10 * ONE_E9),
            venue: VenueInstrumentId(100 + u32::from(number)),
        });
    }
    let named = |rig: &Rig| rig.out.iter().filter(|i| matches!(i, Instruction::Reference { .. })).count();
    let before = named(&rig);
    let counts = [(); 5].map(|()| {
        rig.tell(Body::Clock);
        named(&rig) - before
    });
    // The perpetual, which was named when it was listed, takes a place and no message.
    assert_eq!(counts, [7, 15, 20, 20, 20]);
}

#[test]
fn an_exposure_outside_its_band_is_taken_to_the_nearest_edge() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    let [(_, side, price, lots)] = rig.orders()[..] else { panic!("one order") };
    let half_width = rig.hedge.targets().next().unwrap().1.half_width();
    assert_eq!((side, price), (Side::Buy, 100_100.0), "a tenth of a percent beyond the offer");
    let left = 1.0 - f64::from(lots) * 10.0 / 99_999.75;
    assert!(left <= half_width && left > half_width - 10.0 / 99_999.0, "{left} {half_width}");
}

#[test]
fn inside_the_band_nothing_happens() {
    let mut rig = Rig::new();
    rig.exposure(0.004);
    assert_eq!(rig.orders(), []);
    assert_eq!(rig.hedge.counters().holds.of(Hold::InsideBand), 1);
}

#[test]
fn what_is_working_is_netted_in_until_its_end_is_known() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    let [(first, side, _, lots)] = rig.orders()[..] else { panic!("one order") };
    rig.exposure(-1.0);
    assert_eq!(rig.orders(), [], "the first order will do");
    rig.exposure(-2.0);
    assert_eq!(rig.orders().len(), 1, "an exposure that grew needs more");
    rig.fill(first, side, lots);
    rig.exposure(-1.0);
    assert_eq!(rig.orders(), [], "the second order will do");
}

#[test]
fn from_a_fill_to_the_exposure_that_includes_it_nothing_is_decided() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    let [(order, side, _, lots)] = rig.orders()[..] else { panic!("one order") };
    rig.fill(order, side, lots);
    rig.tell(Body::Clock);
    assert_eq!(rig.orders(), []);
    assert_eq!(rig.hedge.counters().holds.of(Hold::FillPending), 1);
    assert_eq!(rig.hedge.position(PERPETUAL), Lots(i64::from(lots)));
}

#[test]
fn a_book_that_had_too_little_is_not_asked_again_before_it_changes() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    let [(order, ..)] = rig.orders()[..] else { panic!("one order") };
    rig.tell(Body::Cancelled { order, instrument: PERPETUAL, cum_lots: 0, reason: 2 });
    rig.exposure(-1.0);
    assert_eq!(rig.orders(), []);
    rig.book(BookQuality::Good, 99_999.5, 100_000.5);
    rig.exposure(-1.0);
    assert_eq!(rig.orders().len(), 1);
}

#[test]
fn nothing_is_decided_on_what_is_not_good() {
    for quality in [BookQuality::Unknown, BookQuality::Gapped, BookQuality::Stale, BookQuality::Crossed] {
        let mut rig = Rig::new();
        rig.exposure_of(quality, -1.0);
        assert_eq!(rig.orders(), [], "exposure {quality:?}");
        rig.book(quality, 99_999.5, 100_000.0);
        rig.exposure(-1.0);
        assert_eq!(rig.orders(), [], "book {quality:?}");
    }
    let mut rig = Rig::new();
    rig.book(BookQuality::Good, 0.0, 100_000.0);
    rig.exposure(-1.0);
    assert_eq!(rig.orders(), [], "one-sided");
}

#[test]
fn while_the_perpetual_is_halted_nothing_is_asked_for_and_the_reason_is_counted() {
    let mut rig = Rig::new();
    rig.tell(Body::Status { instrument: PERPETUAL, state: InstrumentState::Closed });
    rig.exposure(1.0);
    assert_eq!(rig.orders(), []);
    assert_eq!(rig.hedge.counters().holds.of(Hold::NoInstrument), 1);
    assert_eq!(rig.hedge.gate().refusals().total(), 0);
    rig.tell(Body::Status { instrument: PERPETUAL, state: InstrumentState::Open });
    rig.exposure(1.0);
    assert_eq!(rig.orders().len(), 1);
}

#[test]
fn while_the_session_is_down_nothing_leaves_and_an_unknown_order_stays_in_flight() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    assert_eq!(rig.orders().len(), 1);
    rig.tell(Body::Session { up: false });
    rig.exposure(-3.0);
    assert_eq!(rig.orders(), []);
    rig.tell(Body::Session { up: true });
    rig.exposure(-1.0);
    assert_eq!(rig.orders(), [], "the order whose fate is unknown still counts");
}

#[test]
fn after_a_kill_everything_is_asked_back_and_nothing_new_leaves() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    rig.requests();
    rig.tell(Body::Kill { level: KillLevel::Halt, cause: KillCause::Operator, by: Operator::NOBODY });
    assert_eq!(rig.requests(), [Request::CancelAll]);
    rig.exposure(-5.0);
    rig.tell(Body::Clock);
    assert_eq!(rig.requests(), []);
    assert_eq!(rig.hedge.counters().holds.of(Hold::Killed), 2);
}

#[test]
fn an_order_without_an_answer_is_asked_back_until_there_is_one() {
    let mut rig = Rig::new();
    rig.exposure(-1.0);
    let [(order, ..)] = rig.orders()[..] else { panic!("one order") };
    rig.now += 3 * Nanos::PER_SECOND;
    rig.tell(Body::Clock);
    rig.tell(Body::Clock);
    let cancel = Request::Cancel { order, instrument: PERPETUAL };
    assert_eq!(rig.requests(), [cancel], "not at every clock");
    // The connection went down with the cancel: the order's fate is unknown until the venue is asked again.
    rig.tell(Body::Session { up: false });
    rig.tell(Body::Session { up: true });
    rig.now += 3 * Nanos::PER_SECOND;
    rig.tell(Body::Clock);
    assert_eq!(rig.requests(), [cancel]);
    rig.tell(Body::CancelRejected { order, instrument: PERPETUAL, reason: crate::order::UNKNOWN_TO_VENUE });
    rig.now += 3 * Nanos::PER_SECOND;
    rig.tell(Body::Clock);
    assert_eq!(rig.requests().iter().filter(|request| **request == cancel).count(), 0);
    assert_eq!(rig.hedge.counters().overdue, 1);
}

#[test]
fn a_venue_that_refuses_everything_throws_the_kill_switch() {
    let mut rig = Rig::with(HedgeConfig { rejects_in_a_row_max: 3, ..HedgeConfig::default() });
    for _ in 0..10 {
        rig.exposure(-1.0);
        for (order, ..) in rig.orders() {
            rig.tell(Body::Rejected { order, instrument: PERPETUAL, reason: 7 });
        }
    }
    assert_eq!(rig.hedge.counters().orders, 4);
    assert_eq!(rig.hedge.gate().latch().cause, KillCause::Rejects);
}

/// An outbox that takes nothing.
struct Shut;

impl Outbox<Instruction> for Shut {
    fn send(&mut self, _: Instruction) -> Result<(), crate::stage::Full> {
        Err(crate::stage::Full)
    }

    fn room(&self) -> usize {
        0
    }
}

#[test]
fn without_room_no_order_is_made_and_a_kill_is_sent_later() {
    let mut rig = Rig::new();
    let event = |body| Event { trail: Trail::default(), time: Nanos(Nanos::PER_SECOND), body };
    let exposure = Body::Exposure {
        underlying: BTC,
        quality: BookQuality::Good,
        net_delta: Coins(-ONE_E9),
        log_gamma: Coins(ONE_E9),
        spot: Price(100_000 * ONE_E9),
        delta_bound: 0.0,
        expiries: 0,
    };
    rig.hedge.step(&event(exposure), &mut Shut);
    assert_eq!((rig.hedge.counters().orders, rig.hedge.store().open_orders()), (0, 0));
    assert_eq!(rig.hedge.counters().holds.of(Hold::NoRoom), 1);
    rig.hedge.step(
        &event(Body::Kill { level: KillLevel::Halt, cause: KillCause::Operator, by: Operator::NOBODY }),
        &mut Shut,
    );
    rig.out.clear();
    rig.tell(Body::Clock);
    assert_eq!(rig.requests(), [Request::CancelAll]);
}

#[test]
fn a_person_has_the_venue_thaw_what_its_protection_froze_as_soon_as_there_is_room() {
    let mut rig = Rig::new();
    let thaw = Body::Thaw { by: Operator::new("alice").expect("a name") };
    rig.tell(thaw);
    assert_eq!(rig.requests(), [], "nothing is frozen");
    let scopes = [Protected::Orders { underlying: BTC }, Protected::Quotes { group: 7 }];
    for scope in scopes {
        rig.tell(Body::Protection { scope, until: FROZEN_UNTIL_ASKED });
    }
    rig.hedge.step(&Event { trail: Trail::default(), time: Nanos(rig.now), body: thaw }, &mut Shut);
    rig.tell(Body::Clock);
    assert_eq!(rig.requests(), scopes.map(|scope| Request::Thaw { scope }));
    rig.tell(Body::Clock);
    assert_eq!(rig.requests(), [], "they are asked for once");
    rig.tell(Body::Protection { scope: scopes[0], until: Nanos(0) });
    rig.tell(thaw);
    assert_eq!(rig.requests(), [Request::Thaw { scope: scopes[1] }]);
    rig.tell(Body::Kill { level: KillLevel::Pause, cause: KillCause::Operator, by: Operator::NOBODY });
    rig.requests();
    rig.tell(thaw);
    assert_eq!(rig.requests(), [], "nothing but cancels leaves");
}
