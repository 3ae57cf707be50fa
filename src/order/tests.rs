//! The store against the mishaps of a session, one test each, and against a naive model under random ones.

use super::*;
use crate::event::{Body, Trail};
use crate::units::{ExecutionId, Side, VenueOrderId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

mod contradictions;

const INSTRUMENT: InstrumentId = InstrumentId(5);
const ORDER: ClientOrderId = ClientOrderId(77);
const CANCEL: Request = Request::Cancel { order: ORDER, instrument: INSTRUMENT };

fn new(order: u64, side: Side, lots: u32) -> NewOrder {
    let (time_in_force, price) = (TimeInForce::GoodTilCancel, Price(9));
    NewOrder { order: ClientOrderId(order), instrument: INSTRUMENT, side, time_in_force, price, lots }
}

/// A store with one order to buy ten lots.
fn store() -> OrderStore {
    let mut store = OrderStore::new();
    store.insert(new(ORDER.0, Side::Buy, 10)).expect("room");
    store
}

fn sent() -> Body {
    Body::Sent { order: ORDER, decided: 0, encoded: 0, written: 0 }
}

fn accepted() -> Body {
    Body::Accepted { order: ORDER, venue_order: VenueOrderId(1), instrument: INSTRUMENT }
}

fn filled(execution: u64, lots: u32) -> Body {
    filled_of(ORDER, Side::Buy, execution, lots)
}

fn filled_of(order: ClientOrderId, side: Side, execution: u64, lots: u32) -> Body {
    let (execution, price) = (ExecutionId(execution), Price(9));
    Body::Filled { order, execution, instrument: INSTRUMENT, side, price, lots }
}

fn cancelled(cum_lots: u32) -> Body {
    Body::Cancelled { order: ORDER, instrument: INSTRUMENT, cum_lots, reason: CANCELLED_ON_REQUEST }
}

fn rejected() -> Body {
    Body::Rejected { order: ORDER, instrument: INSTRUMENT, reason: 3 }
}

fn cancel_rejected(reason: u8) -> Body {
    Body::CancelRejected { order: ORDER, instrument: INSTRUMENT, reason }
}

fn busted(execution: u64, lots: u32) -> Body {
    let (execution, price) = (ExecutionId(execution), Price(9));
    Body::Busted { order: ORDER, execution, instrument: INSTRUMENT, side: Side::Buy, price, lots }
}

fn amended(price: i64, lots: u32) -> Body {
    Body::Amended { order: ORDER, instrument: INSTRUMENT, price: Price(price), lots }
}

fn amend_rejected() -> Body {
    Body::AmendRejected { order: ORDER, instrument: INSTRUMENT, reason: 12 }
}

fn amend(price: i64, lots: u32) -> Request {
    Request::Amend {
        trail: Trail::default(),
        decided: 0,
        order: ORDER,
        instrument: INSTRUMENT,
        side: Side::Buy,
        price: Price(price),
        lots,
    }
}

fn state(store: &OrderStore) -> OrderState {
    store.find(ORDER).expect("kept").state
}

fn fill(lots: u32) -> Option<AppliedFill> {
    Some(AppliedFill { instrument: INSTRUMENT, side: Side::Buy, lots, price: Price(9) })
}

fn taken_back(lots: u32) -> Option<AppliedFill> {
    fill(lots).map(|fill| AppliedFill { side: Side::Sell, ..fill })
}

#[test]
fn an_order_goes_from_decision_to_its_last_fill() {
    let mut store = store();
    let mut seen = vec![state(&store)];
    for body in [sent(), accepted(), filled(1, 4), filled(2, 6)] {
        assert!(matches!(store.apply(&body), Outcome::Applied(_)));
        seen.push(state(&store));
    }
    use OrderState::*;
    assert_eq!(seen, [Decided, Sent, Working, PartiallyFilled, Filled]);
    assert_eq!((store.working_lots(INSTRUMENT), store.open_orders()), ((0, 0), 0));
}

#[test]
fn an_order_works_at_full_size_from_its_decision_on() {
    let mut store = store();
    assert_eq!(store.working_lots(INSTRUMENT), (10, 0));
    store.insert(new(78, Side::Sell, 3)).expect("room");
    assert_eq!(store.working_lots(INSTRUMENT), (10, 3));
    assert_eq!(store.apply(&filled(1, 4)).fill(), fill(4));
    assert_eq!(store.working_lots(INSTRUMENT), (6, 3));
    assert_eq!(store.working_lots(InstrumentId(u16::MAX)), (0, 0));
}

#[test]
fn a_fill_may_overtake_its_acceptance() {
    let mut store = store();
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Applied(fill(4)));
    assert_eq!(store.apply(&accepted()), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::PartiallyFilled);
    assert_eq!(store.apply(&sent()), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::PartiallyFilled);
}

#[test]
fn an_execution_told_twice_counts_once() {
    let mut store = store();
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Applied(fill(4)));
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Duplicate);
    assert_eq!(store.find(ORDER).map(|o| o.cum_lots), Some(4));
    assert_eq!(store.counters().duplicates, 1);
}

#[test]
fn a_fill_after_a_cancel_counts_once_and_late() {
    let mut store = store();
    assert_eq!(store.apply(&cancelled(4)), Outcome::Applied(None));
    assert_eq!((store.working_lots(INSTRUMENT), store.open_orders()), ((4, 0), 0), "four are owed");
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Late(fill(4)));
    assert_eq!(store.working_lots(INSTRUMENT), (0, 0));
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Duplicate);
    assert_eq!(state(&store), OrderState::Cancelled);
    assert_eq!((store.counters().late, store.counters().late_fills), (1, 1));
}

#[test]
fn more_fills_than_the_order_has_are_owned_but_not_the_orders() {
    let mut store = store();
    assert_eq!(store.apply(&filled(1, 11)), Outcome::Inconsistent(fill(11)));
    assert_eq!(store.apply(&filled(2, 10)), Outcome::Applied(fill(10)));
    assert_eq!(store.apply(&filled(3, 1)), Outcome::Inconsistent(fill(1)));
    assert_eq!(store.apply(&filled(3, 1)), Outcome::Duplicate);
    assert_eq!(store.apply(&filled(4, 0)), Outcome::Inconsistent(None));
    assert_eq!(store.find(ORDER).map(|o| o.cum_lots), Some(10));
}

#[test]
fn a_fill_on_another_instrument_or_side_is_inconsistent() {
    let mut store = store();
    let sold = AppliedFill { side: Side::Sell, ..fill(1).expect("one lot") };
    assert_eq!(store.apply(&filled_of(ORDER, Side::Sell, 1, 1)), Outcome::Inconsistent(Some(sold)));
    let elsewhere = Body::Accepted { order: ORDER, venue_order: VenueOrderId(1), instrument: InstrumentId(6) };
    assert_eq!(store.apply(&elsewhere), Outcome::Inconsistent(None));
    assert!(store.apply(&rejected()) == Outcome::Applied(None) && store.counters().inconsistent == 2);
}

#[test]
fn a_reject_after_a_fill_ends_the_order_and_is_inconsistent() {
    let mut store = store();
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Applied(fill(4)));
    assert_eq!(store.apply(&rejected()), Outcome::Inconsistent(None));
    assert!(!store.is_live(ORDER));
}

#[test]
fn a_venue_that_counts_fewer_fills_than_it_told_is_inconsistent() {
    let mut store = store();
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Applied(fill(4)));
    assert_eq!(store.apply(&cancelled(3)), Outcome::Inconsistent(None));
    assert_eq!(state(&store), OrderState::Cancelled);
}

#[test]
fn a_cancel_without_a_count_is_believed() {
    let mut store = store();
    assert_eq!(store.apply(&cancelled(CUM_LOTS_UNKNOWN)), Outcome::Applied(None));
    assert_eq!(store.apply(&cancelled(0)), Outcome::Duplicate);
    assert_eq!(store.apply(&rejected()), Outcome::Late(None));
}

#[test]
fn a_refused_cancel_puts_the_order_back_where_it_stood() {
    let mut store = store();
    store.apply(&sent());
    for (news, stands) in [
        (None, OrderState::Sent),
        (Some(accepted()), OrderState::Working),
        (Some(filled(1, 4)), OrderState::PartiallyFilled),
    ] {
        assert!(store.ask(&CANCEL));
        if let Some(body) = news {
            store.apply(&body);
        }
        assert_eq!(state(&store), OrderState::CancelPending);
        assert_eq!(store.apply(&cancel_rejected(4)), Outcome::Applied(None));
        assert_eq!(state(&store), stands);
    }
}

#[test]
fn the_fill_wins_the_race_against_the_cancel() {
    let mut store = store();
    assert!(store.ask(&CANCEL));
    assert_eq!(store.apply(&filled(1, 10)), Outcome::Applied(fill(10)));
    assert_eq!(store.apply(&cancel_rejected(UNKNOWN_TO_VENUE)), Outcome::Late(None));
    assert_eq!(state(&store), OrderState::Filled);
}

#[test]
fn a_lost_session_leaves_live_orders_unknown_until_they_are_told_of() {
    let mut store = store();
    store.insert(new(78, Side::Sell, 3)).expect("room");
    store.apply(&filled_of(ClientOrderId(78), Side::Sell, 1, 3));
    assert_eq!(store.apply(&Body::Session { up: false }), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::Unknown);
    assert_eq!(store.find(ClientOrderId(78)).map(|o| o.state), Some(OrderState::Filled));
    assert_eq!(store.working_lots(INSTRUMENT), (10, 0), "it may still fill");
    assert_eq!(store.apply(&Body::Session { up: true }), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::Unknown);
    assert_eq!(store.apply(&accepted()), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::Working);
}

#[test]
fn an_order_nobody_knows_is_gone() {
    let mut store = store();
    store.apply(&Body::Session { up: false });
    assert!(store.ask(&CANCEL));
    assert_eq!(store.apply(&cancel_rejected(UNKNOWN_TO_VENUE)), Outcome::Applied(None));
    assert_eq!((state(&store), store.working_lots(INSTRUMENT)), (OrderState::Cancelled, (0, 0)));
}

#[test]
fn a_report_on_an_order_not_here_is_counted() {
    let mut store = OrderStore::new();
    for body in [sent(), accepted(), cancelled(0), rejected(), cancel_rejected(1), amended(9, 12), amend_rejected()] {
        assert_eq!(store.apply(&body), Outcome::UnknownOrder(None));
    }
    assert_eq!(store.apply(&filled(1, 1)), Outcome::UnknownOrder(fill(1)), "what was executed is owned");
    assert_eq!(store.apply(&filled(1, 1)), Outcome::Duplicate);
    assert_eq!(store.apply(&busted(1, 1)), Outcome::UnknownOrder(taken_back(1)));
    assert_eq!(store.counters().unknown, 9);
    assert_eq!(store.apply(&Body::Clock), Outcome::Ignored);
}

#[test]
fn a_full_store_refuses_and_ended_orders_give_way_oldest_first() {
    let mut store = OrderStore::new();
    for order in 1..=ORDERS_MAX as u64 {
        store.insert(new(order, Side::Buy, 1)).expect("room");
    }
    assert_eq!(store.insert(new(9_999, Side::Buy, 1)), Err(StoreFull));
    for order in [8, 3, 5] {
        let outcome = store.apply(&filled_of(ClientOrderId(order), Side::Buy, order, 1));
        assert!(outcome.fill().is_some());
    }
    store.insert(new(9_999, Side::Buy, 1)).expect("the order that ended first gave way");
    let kept = [8, 3, 5, 9_999].map(|order| store.find(ClientOrderId(order)).is_some());
    assert_eq!(kept, [false, true, true, true]);
    assert_eq!(store.insert(new(5, Side::Buy, 1)), Err(StoreFull), "a number is used once");
    assert_eq!(store.open_orders() as usize, ORDERS_MAX - 2);
    assert_eq!(store.working_lots(INSTRUMENT), (ORDERS_MAX as u64 - 2, 0));
}

#[test]
fn the_bounds_on_clashes_begin_anew_once_nothing_is_unanswered_or_live() {
    let mut store = store();
    let repeats = |store: &OrderStore| store.may_clash(INSTRUMENT, Side::Buy, Price(9), 10);
    let meets = |store: &OrderStore, price| store.may_clash(INSTRUMENT, Side::Sell, Price(price), 1);
    assert!(repeats(&store) && meets(&store, 9) && !meets(&store, 10));
    store.apply(&accepted());
    assert!(!repeats(&store) && meets(&store, 9), "answered, and live");
    store.apply(&cancelled(0));
    assert!(!meets(&store, 1), "ended");
    // The widest of orders that came and went is forgotten when somebody looks at those that are left.
    store.insert(NewOrder { price: Price(5), ..new(78, Side::Buy, 1) }).expect("room");
    store.insert(NewOrder { price: Price(7), ..new(79, Side::Buy, 1) }).expect("room");
    let ended = Body::Rejected { order: ClientOrderId(79), instrument: INSTRUMENT, reason: 1 };
    store.apply(&ended);
    assert!(meets(&store, 7));
    store.tighten(INSTRUMENT);
    assert!(!meets(&store, 7) && meets(&store, 5));
}

#[test]
fn a_long_run_of_orders_leaves_nothing_behind() {
    let (mut store, mut ids) = (OrderStore::new(), ClientOrderIds::new(1_800_000_000));
    let mut open = std::collections::VecDeque::new();
    for n in 0..20_000u64 {
        let order = ids.next();
        store.insert(new(order.0, Side::Sell, 2)).expect("room");
        open.push_back(order);
        // Now and then the oldest open order ends, once there are many.
        while open.len() > (n % 900) as usize {
            let order = open.pop_front().expect("not empty");
            assert!(store.apply(&filled_of(order, Side::Sell, n * 1_000 + open.len() as u64, 2)).fill().is_some());
        }
        assert!(open.iter().rev().take(3).all(|order| store.is_live(*order)));
        assert_eq!(store.open_orders() as usize, open.len());
    }
    assert_eq!(store.working_lots(INSTRUMENT), (0, 2 * open.len() as u64));
    assert!(store.all_live().map(|o| o.new.order).collect::<BTreeSet<_>>().into_iter().eq(open));
}

#[test]
fn an_order_that_runs_out_of_time_is_expired_and_one_the_venue_takes_away_is_told_apart() {
    for (reason, outcome, state_after) in [
        (TIME_IN_FORCE_ENDED, Outcome::Applied(None), OrderState::Expired),
        (INSTRUMENT_EXPIRED, Outcome::Applied(None), OrderState::Expired),
        (7, Outcome::Unsolicited, OrderState::Cancelled),
    ] {
        let mut store = store();
        store.apply(&accepted());
        let body = Body::Cancelled { order: ORDER, instrument: INSTRUMENT, cum_lots: 0, reason };
        assert_eq!((store.apply(&body), state(&store)), (outcome, state_after), "{reason}");
        assert_eq!(store.apply(&body), Outcome::Duplicate);
        assert_eq!(store.counters().unsolicited, u64::from(reason == 7));
    }
}

#[test]
fn an_amendment_counts_at_the_larger_size_from_its_asking_to_its_answer() {
    for (asked, answer, after) in [
        (15, amended(8, 15), (11, OrderState::PartiallyFilled)),
        (15, amend_rejected(), (6, OrderState::PartiallyFilled)),
        (5, amended(8, 5), (1, OrderState::PartiallyFilled)),
        (5, amend_rejected(), (6, OrderState::PartiallyFilled)),
    ] {
        let mut store = store();
        store.apply(&accepted());
        store.apply(&filled(1, 4));
        assert!(store.ask(&amend(8, asked)));
        assert_eq!(state(&store), OrderState::AmendPending);
        assert_eq!(store.working_lots(INSTRUMENT), (u64::from(asked.max(10)) - 4, 0));
        assert!(!store.ask(&amend(8, 20)), "one at a time");
        assert_eq!(store.apply(&answer), Outcome::Applied(None));
        assert_eq!((store.working_lots(INSTRUMENT).0, state(&store)), after);
        assert_eq!(store.apply(&answer), Outcome::Duplicate);
    }
}

#[test]
fn only_what_the_venue_took_is_amended_and_to_more_than_is_filled() {
    let mut store = store();
    assert!(!store.ask(&amend(8, 15)), "not taken yet");
    store.apply(&accepted());
    store.apply(&filled(1, 4));
    assert!(!store.ask(&amend(8, 4)));
    assert!(store.ask(&CANCEL));
    assert!(!store.ask(&amend(8, 15)), "its cancel is on its way");
    assert!(!OrderStore::new().ask(&amend(8, 15)));
}

#[test]
fn a_fill_at_the_new_size_may_overtake_the_amendment_s_answer() {
    let mut store = store();
    store.apply(&accepted());
    assert!(store.ask(&amend(8, 15)));
    assert_eq!(store.apply(&filled(1, 12)), Outcome::Applied(fill(12)));
    assert_eq!(store.working_lots(INSTRUMENT), (3, 0));
    assert_eq!(store.apply(&amended(8, 15)), Outcome::Applied(None));
    assert_eq!(store.apply(&filled(2, 3)), Outcome::Applied(fill(3)));
    assert_eq!(state(&store), OrderState::Filled);
}

#[test]
fn an_answer_that_allows_less_than_was_filled_ends_the_order_and_is_inconsistent() {
    for (asked, answer) in [(15, amend_rejected()), (5, amended(8, 5))] {
        let mut store = store();
        store.apply(&accepted());
        assert!(store.ask(&amend(8, asked)));
        let filled_lots = if asked == 15 { 12 } else { 7 };
        assert_eq!(store.apply(&filled(1, filled_lots)), Outcome::Applied(fill(filled_lots)));
        assert_eq!(store.apply(&answer), Outcome::Inconsistent(None));
        assert_eq!((state(&store), store.working_lots(INSTRUMENT)), (OrderState::Filled, (0, 0)));
    }
}

#[test]
fn terms_that_nobody_asked_for_are_inconsistent_and_change_nothing() {
    let mut store = store();
    store.apply(&accepted());
    assert_eq!(store.apply(&amended(8, 20)), Outcome::Inconsistent(None));
    assert!(store.ask(&amend(8, 15)));
    assert_eq!(store.apply(&amended(8, 20)), Outcome::Inconsistent(None));
    assert_eq!(store.working_lots(INSTRUMENT), (15, 0));
    assert_eq!(store.apply(&amended(7, 15)), Outcome::Applied(None), "a price may slide");
    assert_eq!(store.find(ORDER).map(|o| o.terms), Some(Terms { price: Price(7), lots: 15 }));
}

#[test]
fn an_amendment_and_a_cancel_may_cross() {
    let mut store = store();
    store.apply(&accepted());
    assert!(store.ask(&amend(8, 15)) && store.ask(&CANCEL));
    assert_eq!(state(&store), OrderState::CancelPending);
    assert_eq!(store.apply(&amended(8, 15)), Outcome::Applied(None));
    assert_eq!((state(&store), store.working_lots(INSTRUMENT)), (OrderState::CancelPending, (15, 0)));
    assert_eq!(store.apply(&cancelled(0)), Outcome::Applied(None));
    assert_eq!(store.apply(&amend_rejected()), Outcome::Late(None));
    assert_eq!(store.working_lots(INSTRUMENT), (0, 0));
}

#[test]
fn a_bust_takes_its_fill_back_once_and_the_lots_do_not_stand_again() {
    let mut store = store();
    store.apply(&accepted());
    store.apply(&filled(1, 4));
    assert_eq!(store.apply(&busted(1, 4)), Outcome::Applied(taken_back(4)));
    assert_eq!(store.apply(&busted(1, 4)), Outcome::Duplicate);
    assert_eq!(store.apply(&filled(1, 4)), Outcome::Duplicate);
    assert_eq!(store.working_lots(INSTRUMENT), (6, 0));
    store.apply(&filled(2, 6));
    assert_eq!(store.apply(&busted(2, 6)), Outcome::Late(taken_back(6)));
    assert_eq!((store.counters().busts, state(&store)), (2, OrderState::Filled));
}

#[test]
fn a_bust_that_overtakes_its_fill_leaves_nothing() {
    let mut store = store();
    let lots: i64 = [busted(1, 4), filled(1, 4), busted(1, 4)]
        .iter()
        .filter_map(|body| store.apply(body).fill())
        .map(|fill| fill.signed_lots())
        .sum();
    assert_eq!(lots, 0);
    assert_eq!(store.apply(&busted(2, 11)), Outcome::Inconsistent(taken_back(11)));
}

#[test]
fn after_a_lost_session_an_amendment_still_counts_until_it_is_answered() {
    let mut store = store();
    store.apply(&accepted());
    assert!(store.ask(&amend(8, 15)));
    store.apply(&Body::Session { up: false });
    assert_eq!((state(&store), store.working_lots(INSTRUMENT)), (OrderState::Unknown, (15, 0)));
    assert_eq!(store.apply(&amended(8, 15)), Outcome::Applied(None));
    assert_eq!(state(&store), OrderState::Working);
}

#[test]
fn orders_given_up_are_alarmed_once_and_still_count() {
    let mut store = store();
    store.insert(new(78, Side::Sell, 3)).expect("room");
    store.ask(&Request::CancelAll);
    assert_eq!(state(&store), OrderState::CancelPending);
    store.alarm();
    store.alarm();
    assert_eq!((store.counters().alarmed, state(&store)), (2, OrderState::Unknown));
    assert_eq!(store.working_lots(INSTRUMENT), (10, 3));
}

#[test]
fn what_the_venue_owes_is_forgotten_with_its_order_and_counted() {
    let mut store = store();
    store.apply(&cancelled(4));
    for order in 100..100 + ORDERS_MAX as u64 {
        store.insert(new(order, Side::Sell, 1)).expect("room");
        store.apply(&filled_of(ClientOrderId(order), Side::Sell, order, 1));
    }
    assert!(store.find(ORDER).is_none());
    assert_eq!((store.working_lots(INSTRUMENT), store.counters().owed_forgotten), ((0, 0), 4));
}

/// A mishap of the session, of one of a few orders.
#[derive(Clone, Debug)]
enum Step {
    Insert(u64, bool, u32),
    Ask(Request),
    Report(Body),
}

fn any_step() -> impl Strategy<Value = Step> {
    let order = 1u64..6;
    let side = any::<bool>().prop_map(|buy| if buy { Side::Buy } else { Side::Sell });
    let instrument = (0u16..2).prop_map(InstrumentId);
    prop_oneof![
        3 => (order.clone(), any::<bool>(), 1u32..8).prop_map(|(o, buy, lots)| Step::Insert(o, buy, lots)),
        1 => (order.clone(), any::<bool>(), 1u32..12).prop_map(|(o, cancel, lots)| {
            let (order, instrument) = (ClientOrderId(o), InstrumentId(0));
            let (trail, decided, side, price) = (Trail::default(), 0, Side::Buy, Price(1));
            Step::Ask(if cancel {
                Request::Cancel { order, instrument }
            } else {
                Request::Amend { trail, decided, order, instrument, side, price, lots }
            })
        }),
        1 => order.clone().prop_map(|o| Step::Report(Body::Sent {
            order: ClientOrderId(o), decided: 0, encoded: 0, written: 0,
        })),
        2 => (order.clone(), 0u64..3, instrument.clone()).prop_map(|(o, venue, instrument)| Step::Report(
            Body::Accepted { order: ClientOrderId(o), venue_order: VenueOrderId(venue), instrument },
        )),
        8 => (order.clone(), 0u64..12, side, 0u32..6, instrument.clone()).prop_map(|(o, execution, side, lots, instrument)| {
            Step::Report(Body::Filled {
                order: ClientOrderId(o), execution: ExecutionId(execution), instrument, side, price: Price(1), lots,
            })
        }),
        1 => (order.clone(), prop_oneof![0u32..8, Just(CUM_LOTS_UNKNOWN)], instrument.clone()).prop_map(
            |(o, cum_lots, instrument)| {
                Step::Report(Body::Cancelled { order: ClientOrderId(o), instrument, cum_lots, reason: 0 })
            },
        ),
        1 => (order.clone(), instrument.clone()).prop_map(|(o, instrument)| {
            Step::Report(Body::Rejected { order: ClientOrderId(o), instrument, reason: 0 })
        }),
        1 => (order, 0u8..3, instrument).prop_map(|(o, reason, instrument)| {
            Step::Report(Body::CancelRejected { order: ClientOrderId(o), instrument, reason })
        }),
        1 => any::<bool>().prop_map(|up| Step::Report(Body::Session { up })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_interleaving_of_reports_keeps_the_invariants(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut store = OrderStore::new();
        let mut entered: BTreeMap<ClientOrderId, NewOrder> = BTreeMap::new();
        let mut fills: BTreeMap<ClientOrderId, u32> = BTreeMap::new();
        let mut executions = BTreeSet::new();
        let mut ended: BTreeMap<ClientOrderId, OrderState> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(order, buy, lots) => {
                    let side = if buy { Side::Buy } else { Side::Sell };
                    let new = NewOrder { instrument: InstrumentId(order as u16 % 2), ..new(order, side, lots) };
                    let fresh = entered.insert(new.order, *entered.get(&new.order).unwrap_or(&new)).is_none();
                    prop_assert_eq!(store.insert(new).is_ok(), fresh);
                }
                Step::Ask(request) => _ = store.ask(&request),
                Step::Report(body) => {
                    let outcome = store.apply(&body);
                    if let (Some(fill), Body::Filled { order, execution, .. }) = (outcome.fill(), body) {
                        prop_assert!(executions.insert((order, execution)), "an execution was applied twice");
                        if !outcome.is_strange() {
                            *fills.entry(order).or_default() += fill.lots;
                        }
                    }
                }
            }
            let mut working = [(0, 0); 2];
            for (number, new) in &entered {
                let order = store.find(*number).expect("kept");
                prop_assert_eq!(order.new, *new);
                prop_assert_eq!(order.cum_lots, fills.get(number).copied().unwrap_or(0));
                prop_assert!(order.cum_lots + order.leaves_lots() <= order.lots_max());
                if order.state.is_terminal() {
                    prop_assert_eq!(*ended.entry(*number).or_insert(order.state), order.state);
                    prop_assert_eq!(order.leaves_lots(), order.owed_lots);
                } else {
                    prop_assert!(!ended.contains_key(number), "a terminal order came back");
                    prop_assert_eq!(order.leaves_lots(), order.lots_max() - order.cum_lots);
                }
                let (buying, selling) = &mut working[new.instrument.index()];
                *(if new.side == Side::Buy { buying } else { selling }) += u64::from(order.leaves_lots());
            }
            for (instrument, expected) in working.into_iter().enumerate() {
                let instrument = InstrumentId(instrument as u16);
                prop_assert_eq!(store.working_lots(instrument), expected);
                prop_assert!(store.live(instrument).all(|o| entered[&o.new.order].instrument == instrument));
            }
            prop_assert_eq!(store.open_orders() as usize, entered.len() - ended.len());
            prop_assert_eq!(store.all_live().count(), entered.len() - ended.len());
        }
    }
}
