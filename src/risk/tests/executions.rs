//! What a fill adds before an exposure says so, which way options push, and edges that only arithmetic shows.

use super::*;

/// A rig that bought two calls, of which nobody but the fill has told.
fn two_calls(limits: Limits) -> Rig {
    let mut rig = Rig::with(limits);
    rig.see(smile(call().expiry_s, 0.0));
    assert_eq!(rig.try_call(Side::Buy, 2), Ok(()));
    assert!(rig.fill(CALL, Side::Buy, 0, 2).fill().is_some());
    rig
}

#[test]
fn a_fill_of_an_option_counts_as_gamma_before_the_exposure_that_says_so() {
    // 250 dollars for 1% a lot.
    let mut rig = two_calls(Limits { gamma_notional_max_e9: 1_100 * ONE_E9, ..Limits::default() });
    assert_eq!(rig.try_call(Side::Buy, 3), Err(Refusal::Gamma));
    assert_eq!(rig.try_call(Side::Buy, 2), Ok(()));
}

#[test]
fn a_fill_of_an_option_counts_as_vega_of_its_expiry() {
    // 125 dollars a point a lot.
    let mut rig = two_calls(Limits { vega_max_e9: 550 * ONE_E9, ..Limits::default() });
    assert_eq!(rig.try_call(Side::Buy, 3), Err(Refusal::Vega));
    rig.see(smile(2_100_000_000, 0.0));
    assert_eq!(rig.try_call(Side::Buy, 3), Err(Refusal::Vega), "another expiry has none of it");
    assert_eq!(rig.try_call(Side::Buy, 2), Ok(()));
    assert_eq!(rig.try_call(Side::Buy, 1), Err(Refusal::Vega));
    rig.see(smile(call().expiry_s, 0.0));
    assert_eq!(rig.try_call(Side::Buy, 1), Ok(()), "what the smile says replaces what was counted");
}

#[test]
fn a_fill_in_dollars_counts_as_its_coins_at_the_spot() {
    let mut rig = Rig::with(Limits { delta_notional_max_e9: 1_200_000 * ONE_E9, ..Limits::default() });
    assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 100_000), Ok(()));
    assert!(rig.fill(PERPETUAL, Side::Buy, 100_000, 100_000).fill().is_some());
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 20_001), Err(Refusal::Delta));
    assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 20_000), Ok(()), "a million is ten coins, and no more");
}

#[test]
fn a_fill_before_any_spot_is_a_position_all_the_same() {
    let (mut gate, mut orders) = (Gate::new(Limits::default()), OrderStore::new());
    let event = |body| Event { trail: Trail::default(), time: Nanos(1), body };
    gate.see(&event(perpetual().listing()));
    let (order, execution, price) = (ClientOrderId(1), ExecutionId(1), Price(100_000 * ONE_E9));
    let (instrument, side) = (PERPETUAL, Side::Buy);
    gate.hear(&event(Body::Filled { order, execution, instrument, side, price, lots: 3 }), &mut orders);
    assert_eq!(gate.position(PERPETUAL), Lots(3));
}

#[test]
fn an_option_of_negative_delta_pushes_up_when_it_is_sold() {
    let limits = Limits { delta_notional_max_e9: MILLION_E9, ..Limits::default() };
    let negative = Body::Unit { instrument: CALL, delta: -0.5, log_gamma: 0.0, vega: 0.0, skew: 0.0 };
    for (side, room) in [(Side::Sell, 10_000), (Side::Buy, 30_000)] {
        let mut rig = Rig::with(limits);
        rig.see(negative);
        rig.exposure(7.0);
        assert_eq!(rig.try_call(side, 4), Ok(()));
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, room + 1), Err(Refusal::Delta), "{side:?}");
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, room), Ok(()), "{side:?}");
    }
}

#[test]
fn an_option_of_negative_gamma_and_vega_pushes_them_down_when_it_is_bought() {
    for (limits, reason) in [
        (Limits { gamma_notional_max_e9: 1_100 * ONE_E9, ..Limits::default() }, Refusal::Gamma),
        (Limits { vega_max_e9: 550 * ONE_E9, ..Limits::default() }, Refusal::Vega),
    ] {
        let mut rig = Rig::with(limits);
        rig.see(Body::Unit { instrument: CALL, delta: 0.0, log_gamma: -0.25, vega: -0.125, skew: 0.0 });
        assert_eq!(rig.try_call(Side::Buy, 3), Ok(()));
        assert_eq!(rig.try_call(Side::Buy, 2), Err(reason));
        rig.hear(Body::Rejected { order: ClientOrderId(1), instrument: CALL, reason: 1 });
        assert_eq!(rig.try_call(Side::Sell, 4), Ok(()), "the other way is as far");
    }
}

#[test]
fn a_freeze_is_over_at_its_time() {
    let (mut rig, instrument) = (Rig::new(), perpetual());
    rig.hear(Body::Protection { scope: Protected::Quotes { group: 7 }, until: rig.now });
    let (bid, ask) = (Price(99_900 * ONE_E9), Price(100_100 * ONE_E9));
    let order = ClientOrderId(2_000);
    let quote = Request::Quote { order, instrument: PERPETUAL, bid, ask, bid_lots: 5, ask_lots: 5 };
    assert_eq!(rig.ask(quote, &view(&instrument)), Ok(()));
}

#[test]
fn a_run_of_orders_is_forgiven_by_opening_what_was_not_open_and_by_nothing_else() {
    for level in [KillLevel::Open, KillLevel::ReduceOnly] {
        let mut rig = Rig::with(Limits { repeats_max: 3, ..Limits::default() });
        rig.exposure(10.0);
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 1), Ok(()));
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 2), Ok(()));
        assert_eq!(rig.gate.kill(by_a_person(level)), level != KillLevel::Open);
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 3), Ok(()));
        assert_eq!(rig.try_perpetual(Side::Sell, 101_000, 4), Err(Refusal::Repeats), "{level:?}");
    }
}

#[test]
fn refusals_add_up_and_each_reason_has_a_name_of_its_own() {
    let limits = Limits { order_lots_max: 7, ..Limits::default() };
    let mut rig = Rig::with(limits);
    assert_eq!(*rig.gate.limits(), limits);
    for _ in 0..3 {
        assert_eq!(rig.try_perpetual(Side::Buy, 99_000, 8), Err(Refusal::Quantity));
    }
    assert_eq!(rig.gate.refusals().total(), 3);
    let names: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Refusal::ALL.len());
    assert!(names.iter().all(|name| name.len() > 2), "{names:?}");
}

#[test]
fn a_fill_of_an_option_that_nobody_valued_counts_as_all_of_its_coins() {
    for (kind, side) in [(OptionKind::Call, Side::Buy), (OptionKind::Put, Side::Sell)] {
        let mut rig = Rig::with(Limits { delta_notional_max_e9: MILLION_E9, ..Limits::default() });
        // What is listed with another lot is not valued until its greeks are told.
        for coins in [2, 1] {
            rig.see(Instrument { option: Some(kind), lot: Quantity(coins * ONE_E9), ..call() }.listing());
        }
        assert!(rig.fill(CALL, Side::Buy, 0, 3).fill().is_some());
        let spot = Price(100_000 * ONE_E9);
        let room = |side| rig.gate.room(PERPETUAL, side, (150_000, spot), spot, &rig.orders);
        assert_eq!(room(side), (70_000, Some(Refusal::Delta)), "three of ten coins are held");
        assert_eq!(room(side.opposite()), (130_000, Some(Refusal::Delta)), "and as much more fits the other way");
    }
}

#[test]
fn what_a_fill_costs_beside_the_middle_of_the_book_counts_as_lost() {
    for (price, level) in [(100_000, KillLevel::Open), (101_000, KillLevel::ReduceOnly)] {
        let mut rig = Rig::with(Limits { loss_max_e9: 5_000 * ONE_E9, ..Limits::default() });
        assert_eq!(rig.try_perpetual(Side::Buy, 100_000, 100_000), Ok(()));
        assert!(rig.fill(PERPETUAL, Side::Buy, price, 100_000).fill().is_some());
        assert_eq!(rig.gate.latch().level, level, "a million dollars at {price}");
    }
}
