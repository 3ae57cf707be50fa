//! Volatility from a price: from nothing, and from a guess that is one percent off.

use std::hint::black_box;

use black_scholes::{call_iv, call_iv_guess, put_iv};
use hedgecore::instrument::OptionKind::{self, Call, Put};
use hedgecore::pricing::black76;
use hedgecore::pricing::implied_vol::{VolSolver, implied_vol, implied_vol_near};
use implied_vol::{DefaultSpecialFn, ImpliedBlackVolatility};
use nautilus_model::data::greeks::refine_vol_and_greeks;

use crate::contest::{Contender, contest};
use crate::greeks::smile;
use crate::references::references;

const FORWARD: f64 = 64_000.0;
const STRIKES: usize = 46;
const YEARS: f64 = 0.077;
const PASSES: u32 = 10;
/// A guess over the truth.
const GUESS: f64 = 1.01;
/// Least value over forward of the references that accuracy is taken from: a hundred-millionth, about a satoshi.
const LEAST_VALUE: f64 = 1e-8;

/// An option out of the money with its price.
#[derive(Clone, Copy)]
struct Quote {
    kind: OptionKind,
    price: f64,
    forward: f64,
    strike: f64,
    years: f64,
    sigma: f64,
}

/// Ours, implied-vol, and what black_scholes and nautilus-model offer.
pub fn compare() {
    let quotes: Vec<_> = smile(FORWARD, STRIKES, YEARS)
        .map(|(strike, sigma)| {
            let kind = if strike >= FORWARD { Call } else { Put };
            let price = black76::price(kind, FORWARD, strike, sigma, YEARS);
            Quote { kind, price, forward: FORWARD, strike, years: YEARS, sigma }
        })
        .collect();
    contest(
        &format!("implied volatility, cold, of {STRIKES} strikes"),
        "a quote; largest relative error",
        vec![
            solver("hedgecore", &quotes, ours),
            solver("implied-vol, default solver", &quotes, lets_be_rational),
            solver("black_scholes, Newton to 1e-6", &quotes, |q| match q.kind {
                Call => call_iv(q.price, q.forward, q.strike, 0.0, q.years).ok(),
                Put => put_iv(q.price, q.forward, q.strike, 0.0, q.years).ok(),
            }),
        ],
    );
    contest(
        &format!("implied volatility, warm: a guess {:.0}% off, of {STRIKES} strikes", 100.0 * (GUESS - 1.0)),
        "a quote; largest relative error",
        vec![
            solver("hedgecore", &quotes, |q| {
                implied_vol_near(q.kind, q.price, q.forward, q.strike, q.years, GUESS * q.sigma)
            }),
            strike_shared(&quotes),
            solver("implied-vol, which starts cold", &quotes, lets_be_rational),
            solver("black_scholes, Newton to 1e-6", &quotes, |q| {
                // Calls and puts of a strike have one volatility; by parity its call will do.
                let call = q.price + if q.kind == Put { q.forward - q.strike } else { 0.0 };
                call_iv_guess(call, q.forward, q.strike, 0.0, q.years, GUESS * q.sigma).ok()
            }),
            solver("nautilus-model, one step, single", &quotes, |q| {
                let guess = GUESS * q.sigma;
                let is_call = q.kind == Call;
                Some(refine_vol_and_greeks(q.forward, 0.0, 0.0, is_call, q.strike, q.years, q.price, guess).vol)
            }),
        ],
    );
}

fn ours(q: &Quote) -> Option<f64> {
    implied_vol(q.kind, q.price, q.forward, q.strike, q.years)
}

fn lets_be_rational(q: &Quote) -> Option<f64> {
    ImpliedBlackVolatility::builder()
        .option_price(q.price)
        .forward(q.forward)
        .strike(q.strike)
        .expiry(q.years)
        .is_call(q.kind == Call)
        .build()?
        .calculate::<DefaultSpecialFn>()
}

/// Our warm solver where a bid and an offer of a strike share its logarithm and square root.
fn strike_shared(quotes: &[Quote]) -> Contender<'_> {
    Contender::new("hedgecore, bid and offer together", PASSES, 2 * quotes.len(), move || {
        for q in quotes {
            let q = black_box(q);
            let solver = VolSolver::new(q.forward, q.strike, q.years).expect("positive");
            black_box(solver.solve(q.kind, q.price, GUESS * q.sigma));
            black_box(solver.solve(q.kind, black_box(1.001 * q.price), GUESS * q.sigma));
        }
    })
}

fn solver<'a>(name: &'static str, quotes: &'a [Quote], solve: impl Fn(&Quote) -> Option<f64> + 'a) -> Contender<'a> {
    let remark = accuracy(&solve);
    Contender::new(name, PASSES, quotes.len(), move || {
        for quote in quotes {
            black_box(solve(black_box(quote)));
        }
    })
    .remark(remark)
}

/// Largest relative error over the references worth a satoshi a coin, and how many had no answer.
fn accuracy(solve: impl Fn(&Quote) -> Option<f64>) -> String {
    let (mut worst, mut seen, mut unanswered) = (0.0_f64, 0, 0);
    for r in references().iter().filter(|r| r.out_of_the_money > LEAST_VALUE * r.forward) {
        let (kind, price) = (r.kind(), r.out_of_the_money);
        let quote = Quote { kind, price, forward: r.forward, strike: r.strike, years: r.years, sigma: r.sigma };
        seen += 1;
        match solve(&quote).filter(|sigma| sigma.is_finite()) {
            Some(sigma) => worst = worst.max((sigma / r.sigma - 1.0).abs()),
            None => unanswered += 1,
        }
    }
    format!("{worst:.0e}, no answer to {unanswered} of {seen}")
}
