//! How orders are worked: which rest, when they are taken back, and that noise does not trade.

use super::*;
use proptest::prelude::*;

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
