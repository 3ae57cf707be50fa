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
