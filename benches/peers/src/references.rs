//! Options computed with 50 digits, from the product's own test data, to hold every contender's accuracy against.

use hedgecore::instrument::OptionKind::{self, Call, Put};

/// One option and what it is worth.
#[derive(Clone, Copy)]
pub struct Reference {
    pub forward: f64,
    pub strike: f64,
    pub sigma: f64,
    pub years: f64,
    pub out_of_the_money: f64,
    pub call_delta: f64,
}

impl Reference {
    /// The side that is out of the money.
    pub fn kind(&self) -> OptionKind {
        if self.strike >= self.forward { Call } else { Put }
    }

    /// Undiscounted value of the call.
    pub fn call(&self) -> f64 {
        self.out_of_the_money + (self.forward - self.strike).max(0.0)
    }
}

/// The whole table: 10 minutes to 2 years, 20% to 300% volatility, strikes 0.2 to 5 times the forward.
pub fn references() -> Vec<Reference> {
    let rows = include_str!("../../../tests/data/black76.csv").lines().skip(1);
    rows.map(|line| {
        let fields: Vec<f64> = line.split(',').map(|field| field.parse().expect("a number")).collect();
        let [forward, strike, sigma, years, out_of_the_money, call_delta, ..] = fields[..] else {
            panic!("six columns or more: {line}");
        };
        Reference { forward, strike, sigma, years, out_of_the_money, call_delta }
    })
    .collect()
}
