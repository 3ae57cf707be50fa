//! The Black-76 kernels against 2,200 options computed with 50 digits by `tests/data/black76.py`: 10 minutes to 2 years,
//! 20% to 300% volatility, strikes 0.2 to 5 times the forward.
//!
//! A price's error is relative to the out-of-the-money value, the part that arithmetic can lose, and to 1e-290 of the
//! forward where that is smaller still; deltas are held to an absolute bound, the other greeks to a relative one.

use hedgecore::instrument::OptionKind::{Call, Put};
use hedgecore::pricing::black76::Greeks;
use hedgecore::pricing::implied_vol::{implied_vol, implied_vol_near};
use hedgecore::pricing::strip::{Strip, StripGreeks};

struct Reference {
    forward: f64,
    strike: f64,
    sigma: f64,
    years: f64,
    out_of_the_money: f64,
    call_delta: f64,
    vega: f64,
    vanna: f64,
    volga: f64,
}

fn references() -> Vec<Reference> {
    let table = include_str!("data/black76.csv");
    let rows: Vec<_> = table
        .lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split(',').map(|field| field.parse().expect("a number"));
            let mut next = || columns.next().expect("nine columns");
            Reference {
                forward: next(),
                strike: next(),
                sigma: next(),
                years: next(),
                out_of_the_money: next(),
                call_delta: next(),
                vega: next(),
                vanna: next(),
                volga: next(),
            }
        })
        .collect();
    assert!(rows.len() >= 2_000, "{} rows", rows.len());
    rows
}

/// Worst errors of one kernel over the table.
#[derive(Debug, Default)]
struct Worst {
    price: f64,
    delta: f64,
    vega: f64,
    vanna: f64,
    volga: f64,
}

impl Worst {
    fn see(&mut self, r: &Reference, call: Greeks, put: Greeks) {
        let relative = |got: f64, exact: f64, floor: f64| (got - exact).abs() / exact.abs().max(floor);
        let out = if r.strike >= r.forward { call } else { put };
        let inside = if r.strike >= r.forward { put } else { call };
        let inside_exact = r.out_of_the_money + (r.forward - r.strike).abs();
        let price = relative(out.price, r.out_of_the_money, 1e-290 * r.forward);
        self.price = self.price.max(price).max(relative(inside.price, inside_exact, 0.0));
        self.delta = self.delta.max((call.delta - r.call_delta).abs()).max((put.delta + 1.0 - r.call_delta).abs());
        self.vega = self.vega.max(relative(call.vega, r.vega, 1e-290 * r.forward));
        let crossing = r.vega / (r.forward * r.sigma * r.sigma * r.years);
        self.vanna = self.vanna.max(relative(call.vanna, r.vanna, crossing.max(1e-285)));
        self.volga = self.volga.max(relative(call.volga, r.volga, (r.vega / r.sigma).max(1e-285 * r.forward)));
        let (f, t) = (r.forward, r.years);
        assert!(relative(call.gamma, call.vega / (f * f * r.sigma * t), 1e-280) < 1e-14);
        assert!(relative(call.theta, -call.vega * r.sigma / (2.0 * t), 1e-280) < 1e-14);
    }

    fn check(&self) {
        assert!(self.price <= 1e-12, "{self:?}");
        assert!(self.delta <= 1e-13, "{self:?}");
        assert!(self.vega <= 1e-12 && self.vanna <= 1e-12 && self.volga <= 1e-12, "{self:?}");
    }
}

#[test]
fn one_option_keeps_twelve_digits() {
    let mut worst = Worst::default();
    for r in references() {
        let greeks = |kind| Greeks::new(kind, r.forward, r.strike, r.sigma, r.years);
        worst.see(&r, greeks(Call), greeks(Put));
    }
    println!("{worst:?}");
    worst.check();
}

#[test]
fn a_strip_keeps_twelve_digits() {
    let mut worst = Worst::default();
    let mut rows = StripGreeks::with_capacity(1);
    for r in references() {
        let mut strip = Strip::with_capacity(1);
        let index = strip.push(r.strike).expect("room");
        strip.set_vol(index, r.sigma);
        strip.set_time(r.years);
        strip.greeks_into(r.forward, &mut rows);
        worst.see(&r, rows.at(index, Call), rows.at(index, Put));
    }
    println!("{worst:?}");
    worst.check();
}

#[test]
fn the_volatility_of_a_reference_price_is_found_to_twelve_digits() {
    let (mut worst, mut seen) = (0.0f64, 0);
    for r in references().iter().filter(|r| r.out_of_the_money > 1e-250 * r.forward) {
        let kind = if r.strike >= r.forward { Call } else { Put };
        let cold = implied_vol(kind, r.out_of_the_money, r.forward, r.strike, r.years).expect("a volatility");
        let near = 1.01 * r.sigma;
        let warm =
            implied_vol_near(kind, r.out_of_the_money, r.forward, r.strike, r.years, near).expect("a volatility");
        worst = worst.max((cold / r.sigma - 1.0).abs()).max((warm / r.sigma - 1.0).abs());
        seen += 1;
    }
    println!("{worst:.1e} over {seen}");
    assert!(seen > 1_000 && worst < 1e-12, "{worst:e} over {seen}");
}
