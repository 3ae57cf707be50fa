//! What a market may show that cannot be hedged with as it stands: each is left alone or left to the band, and counted.

use super::*;

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
    for vega in [1e38, f64::NAN, f64::INFINITY] {
        let mut play = Play::new(taking()).holding(-3.0, -1.0, vega);
        play.expose();
        let orders = play.orders();
        assert!(matches!(orders[..], [(_, PERPETUAL, 1.., false)]), "{vega}: {orders:?}");
        assert!(play.attribution().fallbacks.iter().sum::<u64>() > 0, "{vega}: {:?}", play.attribution());
    }
}

type Spoil = dyn Fn(&mut Play, InstrumentId);

/// What may be wrong with a hedge, and what that is counted as.
fn spoils() -> [(&'static Spoil, Excluded); 5] {
    [
        (&|play, id| play.top(id, BookQuality::Good, 0.05, 0.0, 9), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Good, 0.0, 0.0, 0), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Stale, 0.05, 0.0501, 9), Excluded::BadBook),
        (&|play, id| play.top(id, BookQuality::Good, 99_999.5, 100_000.0, 0), Excluded::NoDepth),
        (
            &|play, instrument| play.rig.tell(Body::Status { instrument, state: InstrumentState::Closed }),
            Excluded::NotTrading,
        ),
    ]
}

#[test]
fn options_that_cannot_be_traded_are_left_out_and_counted() {
    for (spoil, reason) in spoils() {
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
fn a_perpetual_that_cannot_be_traded_is_replaced_by_the_future_which_is_its_copy() {
    for (spoil, reason) in spoils() {
        let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
        spoil(&mut play, PERPETUAL);
        play.expose();
        let orders = play.orders();
        assert!(orders.iter().any(|order| order.1 == FUTURE && order.2 > 0), "{reason:?} {orders:?}");
        assert!(orders.iter().all(|order| order.1 != PERPETUAL), "{reason:?} {orders:?}");
        assert!(play.excluded(reason) > 0, "{reason:?} {:?}", play.attribution());
    }
}

#[test]
fn hedges_that_are_copies_or_all_but_copies_are_not_traded_against_each_other() {
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
    play.expose();
    let futures = play.orders();
    assert!(!futures.is_empty() && futures.iter().all(|order| order.2 > 0), "{futures:?}");
    for apart in [0.0, 1e-6, 1e-3] {
        let mut play = Play::new(taking()).holding(0.0, -20.0, -3.0);
        let (_, delta, log_gamma, vega, skew) = UNITS[0];
        play.unit(CALL, delta * (1.0 + apart), [log_gamma, vega * (1.0 - apart as f32), skew]);
        play.expose();
        let mut options = play.orders();
        options.retain(|order| order.1.0 >= 2);
        assert!(!options.is_empty() && options.iter().all(|order| order.2 > 0), "{apart}: {options:?}");
        let attribution = play.attribution();
        assert!(attribution.worst_gap <= crate::hedge::program::GAP_TOLERANCE, "{apart}: {attribution:?}");
        assert_eq!(attribution.fallbacks, [0; 4], "{apart}");
    }
}

#[test]
fn options_that_are_all_but_copies_are_not_traded_against_each_other() {
    for apart in [0.0f32, 1e-7, 1e-4] {
        let mut play = Play::new(taking());
        let (_, delta, log_gamma, vega, skew) = play.units[1];
        play.units[0] = (PUT, delta * (1.0 + f64::from(apart)), log_gamma * (1.0 - apart), vega * (1.0 + apart), skew);
        let mut play = play.holding(0.0, 0.0, -10.0);
        let traded = play.run_to_rest();
        assert!(traded[2] >= 0 && traded[3] >= 0 && traded[2] + traded[3] > 10, "{apart}: {traded:?}");
        assert!(play.vega > -9.9 && play.vega < 0.1, "{apart}: {}", play.vega);
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
fn without_any_hedge_nothing_is_done_and_the_reason_is_counted() {
    let mut play = Play::new(taking()).holding(-3.0, -20.0, -3.0);
    for instrument in [PERPETUAL, FUTURE, PUT, CALL] {
        play.top(instrument, BookQuality::Gapped, 1.0, 2.0, 9);
    }
    for times in 1..=2 {
        play.expose();
        assert_eq!(play.orders(), []);
        assert_eq!((play.fallbacks(Fallback::NoHedge), play.hold(Hold::BadBook)), (times, times));
    }
    for instrument in [PERPETUAL, FUTURE, PUT, CALL] {
        play.books(instrument, 9_000);
        play.rig.tell(Body::Status { instrument, state: InstrumentState::Closed });
    }
    play.expose();
    assert_eq!((play.orders(), play.hold(Hold::NoInstrument)), (vec![], 1));
    assert!(!play.rig.hedge.targets().next().unwrap().1.is_at_rest);
}

#[test]
fn a_book_without_gamma_is_hedged_like_any_other() {
    let mut play = Play::new(taking()).holding(2.0, 0.0, 0.0);
    let traded = play.run_to_rest();
    assert!(traded[0] + traded[1] < 0 && play.delta.abs() < 0.1, "{traded:?} {}", play.delta);
}
