//! What the program decides, and when it does not.

use super::*;

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
    let decisions: Vec<_> = play.rig.hedge.decisions().collect();
    let sum = |of: fn(&Decision) -> f64| decisions.iter().map(|decision| of(decision)).sum::<f64>();
    assert_eq!(attribution.decisions, decisions.len() as u64);
    assert!((attribution.risk_reduction / sum(|decision| decision.risk_reduction) - 1.0).abs() < 1e-12);
    assert!((attribution.cost / sum(|decision| decision.cost) - 1.0).abs() < 1e-12);
    assert_eq!(attribution.stresses.iter().sum::<u64>(), attribution.decisions);
    assert_eq!(attribution.bindings.iter().sum::<u64>(), attribution.decisions);
}

#[test]
fn a_decision_is_charged_half_the_spread_the_fee_and_the_depth_it_takes() {
    let mut play = Play::new(taking()).holding(-3.0, -1.0, 0.0);
    for instrument in [FUTURE, PUT, CALL] {
        play.rig.tell(Body::Status { instrument, state: InstrumentState::Closed });
    }
    play.expose();
    let [(_, PERPETUAL, lots, false)] = play.orders()[..] else { panic!("one that takes") };
    let (lots, lot) = (lots as f64, 10.0 / 99_999.75);
    // Half a tick and 5 bp; a tick behind the best level, which has 9,000 lots.
    let expected = lots * (0.25 * lot + 10.0 * 5e-4) + 0.5 * (0.5 * lot / 9_000.0) * lots * lots;
    let cost = play.rig.hedge.decisions().last().unwrap().cost;
    assert!((cost / expected - 1.0).abs() < 1e-9, "{cost} {expected}");
}

#[test]
fn what_another_underlying_leaves_standing_counts_as_far_as_both_may_move_together() {
    let traded = |elsewhere: f64| {
        const ETH: UnderlyingId = UnderlyingId(1);
        const OTHER: InstrumentId = InstrumentId(4);
        let mut play = Play::new(taking()).holding(0.0, -1.0, 0.0);
        play.rig.tell(Body::Underlying { id: ETH, name: *b"ETH_USD\0\0\0\0\0\0\0\0\0" });
        play.list_of(ETH, OTHER, InstrumentKind::Perpetual, None);
        play.top(OTHER, BookQuality::Good, 99_999.5, 100_000.0, 9_000);
        play.expose();
        let half_width = play.rig.hedge.targets().next().unwrap().1.half_width();
        let coins = |x| Coins::from_f64(x).unwrap();
        for net_delta in [0.0, elsewhere * half_width] {
            play.rig.tell(Body::Exposure {
                underlying: ETH,
                quality: BookQuality::Good,
                net_delta: coins(net_delta),
                log_gamma: coins(-1.0),
                spot: Price(100_000 * ONE_E9),
                delta_bound: 0.0,
                expiries: 0,
            });
        }
        play.delta = 0.9 * half_width;
        play.expose();
        assert_eq!(play.orders(), [], "each is within its own band");
        play.rig.tell(Body::Clock);
        play.orders().into_iter().filter(|order| order.1 != OTHER).map(|order| order.2).sum::<i64>()
    };
    assert!(traded(0.9) < 0, "both long: more than either band leaves alone");
    assert_eq!(traded(0.0), 0);
    assert_eq!(traded(-0.9), 0, "one against the other");
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
    let is_at_rest = |play: &Play| play.rig.hedge.targets().next().unwrap().1.is_at_rest;
    assert!(is_at_rest(&play));
    play.rig.tell(Body::Kill { level: KillLevel::Pause, cause: KillCause::Operator, by: Operator::NOBODY });
    play.expose();
    assert!(play.hold(Hold::Killed) > 0 && is_at_rest(&play), "a stop says nothing of what was left before it");
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

#[test]
fn gamma_alone_is_hedged_by_options() {
    let program =
        ProgramConfig { jumps: JumpConfig { per_year: 0.0, ..JumpConfig::default() }, ..ProgramConfig::default() };
    let mut play = Play::new(HedgeConfig { program, ..taking() });
    // Options of a little vega, as those about to expire are.
    for unit in &mut play.units {
        (unit.2, unit.3, unit.4) = (2.0, 0.001, 0.0);
    }
    let mut play = play.holding(0.0, -400.0, 0.0);
    let traded = play.run_to_rest();
    assert!(traded[2] + traded[3] > 10, "{traded:?}");
    assert!(play.log_gamma > -390.0 && play.log_gamma < 0.0, "{}", play.log_gamma);
}

#[test]
fn a_book_that_loses_in_jumps_alone_buys_options_and_one_insured_against_none_does_not() {
    let bought = |jumps| {
        let program = ProgramConfig { jumps, ..ProgramConfig::default() };
        let mut play = Play::new(HedgeConfig { program, ..taking() });
        play.jumps = -0.2;
        let mut play = play.holding(0.0, 0.0, 0.0);
        let traded = play.run_to_rest();
        (traded[2] + traded[3], play.jumps)
    };
    let (options, left) = bought(JumpConfig { per_year: 6.0, ..JumpConfig::default() });
    assert!(options > 10 && left.abs() < 0.19, "{options} {left}");
    assert_eq!(bought(JumpConfig { per_year: 0.0, ..JumpConfig::default() }).0, 0);
}
