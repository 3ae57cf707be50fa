//! Reports that contradict what is known, and what is known of live orders beside each other.

use super::*;

fn other_order(order: u64, price: i64) -> NewOrder {
    NewOrder { price: Price(price), ..new(order, Side::Buy, 1) }
}

#[test]
fn an_acceptance_is_told_once_under_one_number_of_the_venue() {
    let mut store = store();
    assert_eq!(store.apply(&accepted()), Outcome::Applied(None));
    assert_eq!(store.apply(&accepted()), Outcome::Duplicate);
    let another = Body::Accepted { order: ORDER, venue_order: VenueOrderId(2), instrument: INSTRUMENT };
    assert_eq!(store.apply(&another), Outcome::Inconsistent(None));
    assert_eq!(store.find(ORDER).and_then(|order| order.venue_order), Some(VenueOrderId(1)));
}

#[test]
fn a_reject_told_twice_is_one_and_after_another_end_it_is_late() {
    let mut store = store();
    assert_eq!(store.apply(&rejected()), Outcome::Applied(None));
    assert_eq!(store.apply(&rejected()), Outcome::Duplicate);
    store.insert(new(78, Side::Buy, 1)).expect("room");
    store.apply(&filled_of(ClientOrderId(78), Side::Buy, 1, 1));
    let late = Body::Rejected { order: ClientOrderId(78), instrument: INSTRUMENT, reason: 3 };
    assert_eq!(store.apply(&late), Outcome::Late(None));
}

#[test]
fn busts_add_up_and_more_than_the_order_could_fill_is_inconsistent() {
    let mut store = store();
    store.apply(&filled(1, 4));
    assert_eq!(store.apply(&busted(2, 4)).fill(), taken_back(4));
    assert_eq!(store.apply(&busted(3, 4)), Outcome::Applied(taken_back(4)));
    assert_eq!(store.apply(&busted(4, 3)), Outcome::Inconsistent(taken_back(3)), "eight and three are more than ten");
    assert_eq!(store.apply(&busted(5, 2)), Outcome::Applied(taken_back(2)));
}

#[test]
fn an_amendment_to_less_than_was_busted_already_is_inconsistent_and_those_fills_still_count() {
    let mut store = store();
    store.apply(&accepted());
    store.apply(&busted(1, 9));
    assert!(store.ask(&amend(9, 5)));
    assert_eq!(store.apply(&amended(9, 5)), Outcome::Inconsistent(None));
    assert_eq!(store.working_lots(INSTRUMENT), (9, 0), "nine were filled, and are still to be told");
    assert_eq!(store.apply(&filled(1, 9)), Outcome::Applied(fill(9)));
    assert_eq!(state(&store), OrderState::Filled);
}

#[test]
fn a_bust_of_something_else_or_of_nothing_is_inconsistent() {
    let mut store = store();
    assert_eq!(store.apply(&busted(1, 0)), Outcome::Inconsistent(None));
    let (order, execution, price, lots) = (ORDER, ExecutionId(2), Price(9), 4);
    let sold = Body::Busted { order, execution, instrument: INSTRUMENT, side: Side::Sell, price, lots };
    assert_eq!(store.apply(&sold), Outcome::Inconsistent(fill(4)), "what was sold comes back");
    let instrument = InstrumentId(6);
    let elsewhere = Body::Busted { order, execution: ExecutionId(3), instrument, side: Side::Buy, price, lots };
    let back = taken_back(4).map(|fill| AppliedFill { instrument, ..fill });
    assert_eq!(store.apply(&elsewhere), Outcome::Inconsistent(back));
    assert_eq!(store.find(ORDER).map(|order| order.busted_lots), Some(0), "none of it is the order's");
}

#[test]
fn an_execution_of_nothing_is_nobodys() {
    let mut store = OrderStore::new();
    assert_eq!(store.apply(&filled(1, 0)), Outcome::UnknownOrder(None));
    assert_eq!(store.apply(&filled(1, 2)), Outcome::UnknownOrder(fill(2)), "its number is not used up");
    assert_eq!(fill(2).map(|fill| fill.signed_lots()), Some(2));
    assert_eq!(taken_back(2).map(|fill| fill.signed_lots()), Some(-2));
}

#[test]
fn only_an_order_of_unknown_fate_that_the_venue_does_not_know_is_gone() {
    let mut store = store();
    store.apply(&accepted());
    store.ask(&CANCEL);
    store.apply(&cancel_rejected(UNKNOWN_TO_VENUE));
    assert_eq!(state(&store), OrderState::Working, "it was never lost");
    store.apply(&Body::Session { up: false });
    store.apply(&cancel_rejected(UNKNOWN_TO_VENUE + 1));
    assert_eq!(state(&store), OrderState::Unknown, "refused for another reason");
    store.apply(&cancel_rejected(UNKNOWN_TO_VENUE));
    assert_eq!(state(&store), OrderState::Cancelled);
}

#[test]
fn each_order_given_up_is_alarmed_when_it_is_and_not_again() {
    let mut store = store();
    store.alarm();
    assert_eq!(store.counters().alarmed, 1);
    store.insert(new(78, Side::Sell, 3)).expect("room");
    store.alarm();
    assert_eq!(store.counters().alarmed, 2);
}

#[test]
fn orders_that_end_leave_the_others_live() {
    let mut store = store();
    store.insert(new(78, Side::Buy, 1)).expect("room");
    store.insert(NewOrder { instrument: InstrumentId(6), ..new(79, Side::Buy, 1) }).expect("room");
    let live = |store: &OrderStore| store.all_live().map(|order| order.new.order.0).collect::<BTreeSet<_>>();
    assert_eq!(live(&store), BTreeSet::from([77, 78, 79]));
    store.apply(&cancelled(0));
    assert_eq!(live(&store), BTreeSet::from([78, 79]), "the last took the place of the first");
    assert_eq!(store.live(INSTRUMENT).map(|order| order.new.order.0).collect::<Vec<_>>(), [78]);
    store.apply(&Body::Rejected { order: ClientOrderId(79), instrument: InstrumentId(6), reason: 3 });
    assert_eq!(live(&store), BTreeSet::from([78]));
}

#[test]
fn every_unanswered_order_is_known_once_more_after_the_bounds_were_tightened() {
    let mut store = OrderStore::new();
    store.insert(other_order(1, 5)).expect("room");
    store.insert(other_order(2, 7)).expect("room");
    store.tighten(INSTRUMENT);
    let repeats = |price| store.may_clash(INSTRUMENT, Side::Buy, Price(price), 1);
    assert!(repeats(5) && repeats(7));
    assert!((8..1_000).any(|price| !repeats(price)), "and most others are not");
}

#[test]
fn an_amended_order_may_meet_others_at_the_price_asked_for_and_at_the_one_it_stands_at() {
    let mut store = store();
    let meets = |store: &OrderStore, price| store.may_clash(INSTRUMENT, Side::Sell, Price(price), 1);
    store.apply(&accepted());
    assert!(!meets(&store, 15));
    assert!(store.ask(&amend(20, 10)));
    assert!(meets(&store, 15) && !meets(&store, 21), "it may stand there already");
    store.apply(&amended(25, 10));
    assert!(meets(&store, 22), "the venue's word counts");
}
