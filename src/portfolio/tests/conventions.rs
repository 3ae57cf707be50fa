//! Coin-neutral, dollar-neutral, and a smile that moves with the forward, against finite differences of an account that is
//! revalued from scratch.

use super::*;
use crate::instrument::Underlying;

const EQUITY: f64 = 2.5;
const CALL: u16 = 1;
const PUT: u16 = 2;
const FUTURE: u16 = 3;
const STRIKES: [(u16, OptionKind, f64); 2] = [(CALL, OptionKind::Call, 52_000.0), (PUT, OptionKind::Put, 46_000.0)];
const RATIO: f64 = 1.01;

/// Years of variance left at the start.
fn years() -> f64 {
    variance_years(START.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS)
}

/// Volatility and slope at a strike.
fn smile(id: u16) -> (f64, f64) {
    if id == CALL { (0.55, -0.2) } else { (0.65, -0.45) }
}

/// What one coin of an option is worth, the smile following the forward from where spot stood.
fn option_value(id: u16, kind: OptionKind, strike: f64, spot: f64, stickiness: f64, stood: f64) -> f64 {
    let (sigma, slope) = smile(id);
    let moved = (spot / stood).ln();
    black76::price(kind, spot * RATIO, strike, sigma - stickiness * slope * moved, years()) / (spot * RATIO)
}

/// An account with an opening put, a call bought, a perpetual and a dated future sold, as coins at a spot.
struct Naive {
    stickiness: f64,
    spot: f64,
}

impl Naive {
    fn equity(&self, spot: f64) -> f64 {
        let value = |at: usize, spot: f64| {
            let (id, kind, strike) = STRIKES[at];
            option_value(id, kind, strike, spot, self.stickiness, self.spot)
        };
        let future = |dollars: f64, paid: f64, now: f64| dollars / paid - dollars / now;
        // Seven puts short from the opening book, marked there at 50,000; five calls bought at 0.04 coins.
        EQUITY - 0.7 * (value(1, spot) - value(1, 50_000.0))
            + 0.5 * (value(0, spot) - 0.04)
            + future(-3_000.0, 50_100.0, spot)
            + future(-2_000.0, 50_450.0, spot * RATIO)
    }

    /// ∂E/∂ln S.
    fn in_coins(&self) -> f64 {
        let h = 1e-4_f64;
        (self.equity(self.spot * h.exp()) - self.equity(self.spot * (-h).exp())) / (2.0 * h)
    }

    /// ∂²E/∂ln S² but for what is of second order in the smile's slope.
    fn log_gamma(&self) -> f64 {
        let h = 1e-4_f64;
        let equities = [h, 0.0, -h].map(|by| self.equity(self.spot * by.exp()));
        let second = (equities[0] - 2.0 * equities[1] + equities[2]) / (h * h);
        let bends = STRIKES.iter().zip([0.5, -0.7]).map(|(&(id, kind, strike), coins)| {
            let (sigma, slope) = smile(id);
            let greeks = black76::Greeks::new(kind, self.spot * RATIO, strike, sigma, years());
            coins * self.stickiness * self.stickiness * slope * slope * greeks.volga / (self.spot * RATIO)
        });
        second - bends.sum::<f64>()
    }

    /// ∂(S·E)/∂S.
    fn in_dollars(&self) -> f64 {
        let dollars = |spot: f64| spot * self.equity(spot);
        (dollars(50_005.0) - dollars(49_995.0)) / 10.0
    }
}

/// The same account in the stage; on anchors when a clock comes.
fn desk(neutrality: Neutrality, stickiness: f64, on_anchors: bool) -> Desk {
    let opening = OpeningBook::Positions([(VenueInstrumentId(1_000 + u32::from(PUT)), Lots(-7))].into());
    let equity = [(Underlying::new(*b"BTC_USD\0\0\0\0\0\0\0\0\0"), Coins::from_f64(EQUITY).unwrap())].into();
    let mut desk = Desk::with(GreeksConfig { opening, neutrality, stickiness, equity, ..GreeksConfig::default() });
    desk.step(perpetual());
    for (id, kind, strike) in STRIKES {
        desk.step(option(id, Payoff::Inverse, kind, strike));
    }
    desk.step(listed(FUTURE, InstrumentKind::Future, Payoff::Inverse, None, 0.0, 10.0));
    desk.spot(50_000.0);
    desk.step(forward(RATIO));
    for (id, ..) in STRIKES {
        let (sigma, slope) = smile(id);
        desk.step(Body::Volatility { instrument: InstrumentId(id), sigma, slope });
    }
    if on_anchors {
        desk.step(Body::Clock);
    }
    for (execution, instrument, side, price, lots) in [
        (1, CALL, Side::Buy, 0.04, 5),
        (2, PERPETUAL.0, Side::Sell, 50_100.0, 300),
        (3, FUTURE, Side::Sell, 50_450.0, 200),
    ] {
        let (order, execution, instrument) = (ClientOrderId(1), ExecutionId(execution), InstrumentId(instrument));
        desk.step(Body::Filled { order, execution, instrument, side, price: Price::from_f64(price).unwrap(), lots });
    }
    if on_anchors {
        desk.step(Body::Clock);
        desk.spot(50_000.0);
        assert_eq!(desk.greeks.anchored(), 1);
    }
    assert_eq!(desk.shown().quality, BookQuality::Good);
    desk
}

#[test]
fn a_coin_neutral_book_follows_equity_in_coins_and_a_dollar_neutral_one_equity_in_dollars() {
    for on_anchors in [false, true] {
        let naive = Naive { stickiness: 0.0, spot: 50_000.0 };
        let (coin, dollar) =
            (desk(Neutrality::Coin, 0.0, on_anchors).shown(), desk(Neutrality::Dollar, 0.0, on_anchors).shown());
        let near =
            |coins: Coins, expected: f64| assert!((coins.to_f64() - expected).abs() < 1e-7, "{coins} {expected}");
        near(coin.net_delta, naive.in_coins());
        near(dollar.net_delta, naive.in_dollars());
        // Dollar-neutral is equity and `delta_total`: the latter is what a coin-neutral book shows.
        near(dollar.net_delta, naive.equity(50_000.0) + coin.net_delta.to_f64());
        near(dollar.log_gamma, coin.log_gamma.to_f64() + coin.net_delta.to_f64());
        assert!(coin.delta_bound < 2e-8 && dollar.delta_bound < 2e-8, "{} {}", coin.delta_bound, dollar.delta_bound);
    }
}

#[test]
fn a_smile_between_its_strike_and_its_moneyness_moves_delta_by_what_finite_differences_say() {
    for (stickiness, on_anchors) in [(0.25, false), (0.25, true), (1.0, false), (1.0, true)] {
        let naive = Naive { stickiness, spot: 50_000.0 };
        let coin = desk(Neutrality::Coin, stickiness, on_anchors).shown().net_delta.to_f64();
        let dollar = desk(Neutrality::Dollar, stickiness, on_anchors).shown().net_delta.to_f64();
        assert!((coin - naive.in_coins()).abs() < 1e-7, "{coin} {}", naive.in_coins());
        assert!((dollar - naive.in_dollars()).abs() < 1e-7, "{dollar} {}", naive.in_dollars());
        let stuck = Naive { stickiness: 0.0, spot: 50_000.0 }.in_coins();
        assert!((coin - stuck).abs() > 0.001 * stickiness, "the smile counts: {coin} {stuck}");
    }
}

#[test]
fn a_smile_that_moves_bends_delta_by_what_finite_differences_say() {
    for (stickiness, on_anchors) in [(0.0, true), (0.25, false), (0.25, true), (1.0, false), (1.0, true)] {
        // In the anchor's window, and far outside it.
        for spot in [50_000.0, 58_000.0] {
            let naive = Naive { stickiness, spot };
            let shown = |neutrality| {
                let mut desk = desk(neutrality, stickiness, on_anchors);
                desk.spot(spot);
                desk.shown()
            };
            let (coin, dollar) = (shown(Neutrality::Coin), shown(Neutrality::Dollar));
            let (delta, log_gamma) = (coin.net_delta.to_f64(), coin.log_gamma.to_f64());
            assert!((delta - naive.in_coins()).abs() < 1e-6, "{spot}: {delta} {}", naive.in_coins());
            assert!((log_gamma - naive.log_gamma()).abs() < 2e-5, "{spot}: {log_gamma} {}", naive.log_gamma());
            assert!((dollar.log_gamma.to_f64() - log_gamma - delta).abs() < 1e-6, "{dollar:?} {coin:?}");
            let stuck = Naive { stickiness: 0.0, spot }.log_gamma();
            assert!((log_gamma - stuck).abs() > 0.01 * stickiness, "the smile counts: {log_gamma} {stuck}");
        }
    }
}

#[test]
fn the_neutrality_changes_nothing_that_settles_in_quote_currency() {
    let shown = |neutrality| {
        let mut desk =
            Desk::with(GreeksConfig { opening: OpeningBook::ShortEveryOption, neutrality, ..GreeksConfig::default() });
        desk.step(perpetual());
        desk.step(option(1, Payoff::Linear, OptionKind::Call, 52_000.0));
        desk.step(listed(2, InstrumentKind::Future, Payoff::Linear, None, 0.0, 0.001));
        desk.spot(50_000.0);
        desk.step(forward(RATIO));
        desk.step(volatility(1, 0.6));
        desk.step(fill(1, 2, Side::Buy, 3));
        desk.shown()
    };
    let (coin, dollar) = (shown(Neutrality::Coin), shown(Neutrality::Dollar));
    assert_eq!((coin.net_delta, coin.log_gamma), (dollar.net_delta, dollar.log_gamma));
}

#[test]
fn what_expired_leaves_its_payoff_in_the_dollar_neutral_account() {
    let mut desk = desk(Neutrality::Dollar, 0.0, true);
    let end = Nanos::from_secs(EXPIRY_S);
    // The whole settlement window at 54,000.
    for second in 0..2_000u64 {
        desk.now = Nanos(end.0 - (2_000 - second) * Nanos::PER_SECOND);
        desk.step(Body::Index { underlying: U, price: Price(54_000 * ONE_E9) });
    }
    desk.now = end;
    desk.spot(54_000.0);
    let future = |dollars: f64, paid: f64| dollars / paid - dollars / 54_000.0;
    let put = option_value(PUT, OptionKind::Put, 46_000.0, 50_000.0, 0.0, 50_000.0);
    let equity = EQUITY
        + 0.7 * put
        + 0.5 * (2_000.0 / 54_000.0 - 0.04)
        + future(-2_000.0, 50_450.0)
        + future(-3_000.0, 50_100.0);
    // Of positions only the perpetual is left: −3,000 dollars.
    let shown = desk.shown().net_delta.to_f64();
    assert!((shown - (equity - 3_000.0 / 54_000.0)).abs() < 1e-9, "{shown} {equity}");
}

#[test]
fn a_price_that_gives_no_worth_leaves_the_dollar_neutral_book_unknown() {
    let mut desk = desk(Neutrality::Dollar, 0.0, true);
    let (order, instrument, price) = (ClientOrderId(1), PERPETUAL, Price(0));
    desk.step(Body::Filled { order, execution: ExecutionId(9), instrument, side: Side::Buy, price, lots: 1 });
    assert_eq!(desk.shown().quality, BookQuality::Unknown);
}

#[test]
#[should_panic(expected = "a stickiness of 1.5")]
fn a_stickiness_beyond_moneyness_is_refused() {
    let _ = Greeks::new(GreeksConfig { stickiness: 1.5, ..GreeksConfig::default() });
}
