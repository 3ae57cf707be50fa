//! What risk and the price collar allow binds inside the solve.

use super::*;

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
    // Each hedge of one decision is offered the room that is there for all: an order takes what those before it left.
    assert_eq!(play.rig.hedge.gate().refusals().total(), 0);
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
fn a_decision_on_more_hedges_than_orders_were_ever_in_flight_is_sent_whole() {
    let mut play = Play::new(taking()).holding(0.0, -20.0, -30.0);
    let others: Vec<_> = (0..20).map(|number| InstrumentId(CALL.0 + 1 + number)).collect();
    for option in &others {
        play.list(*option, InstrumentKind::Option, Some(OptionKind::Call));
    }
    for option in [PUT, CALL].iter().chain(&others) {
        // A thin book each, so that the volatility asked for is bought everywhere.
        play.books(*option, 5);
    }
    for _ in 0..2 {
        for (number, option) in (1u8..).zip(&others) {
            let apart = f32::from(number) * 1e-3;
            play.unit(*option, 0.05, [0.2 + apart, 0.011 - apart * 0.1, 0.002 - apart * 0.2]);
        }
        play.rig.now += 2 * Nanos::PER_SECOND;
        play.survey();
    }
    play.expose();
    let orders = play.orders();
    assert!(orders.len() > 16, "{orders:?}, {:?}", play.attribution());
    assert_eq!(play.hold(Hold::InFlight), 0);
}
