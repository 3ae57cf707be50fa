//! Which delta the book is kept free of, and how the smile moves with the forward.
//!
//! With E the coins an account holds and S the price of one, a hedger who counts in coins neutralises ∂E/∂ln S, the sum
//! of premium-adjusted deltas and of futures. One who counts in dollars neutralises ∂(S·E)/∂S = E + ∂E/∂ln S, the
//! account's equity and its `delta_total`. The two are E apart, so each position of coin settlement adds what it is worth
//! to the dollar-neutral delta, and [`Account`] adds the coins that were paid for it: an option counts with Black's delta,
//! an inverse future with the coins that its dollars bought, for good.

use super::aggregate::{COEFFICIENT_ERROR, Sum};
use super::holding::{Claim, Holding};
use crate::instrument::OptionKind;
use crate::units::{Coins, Price};

/// What a hedged book does not depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Neutrality {
    /// The account's value in coins: Σ(Δ − v) and futures.
    #[default]
    Coin,
    /// Its value in dollars: equity and `delta_total`. What settles in quote currency is the same in both.
    Dollar,
}

impl Neutrality {
    /// As it is written on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coin => "coin",
            Self::Dollar => "dollar",
        }
    }
}

/// How a position becomes a delta.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Convention {
    pub(super) neutrality: Neutrality,
    /// κ: 0 when a volatility belongs to its strike, 1 when to its moneyness.
    pub(super) stickiness: f64,
}

impl Convention {
    /// Delta and log-gamma, coins, of what has this value, delta and log-gamma in coins. In dollars, what settles in
    /// coins adds its own value, and to the slope its delta.
    pub(super) fn apply(&self, in_coins: bool, value: f64, delta: f64, log_gamma: f64) -> (f64, f64) {
        match self.neutrality {
            Neutrality::Dollar if in_coins => (delta + value, log_gamma + delta),
            _ => (delta, log_gamma),
        }
    }
}

/// The coins of an account that are not the value of a position: its equity when the book opened, less what positions
/// were worth when they were entered. In fixed point, so that no order of fills matters. Fees and funding are not in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    cash: Sum,
    /// Bound on the error of `cash`.
    error: f64,
    /// A position was entered at a price that gives it no worth.
    is_unknown: bool,
}

impl Account {
    /// Says what the account was worth before anything was entered.
    pub(super) fn open(&mut self, equity: Coins) {
        self.cash.merge(Sum::of_coins(equity));
        self.error += 2.0 * COEFFICIENT_ERROR;
    }

    /// Pays for lots worth `worth` coins each; `None` when that is not known.
    pub(super) fn pay(&mut self, lots: i64, worth: Option<f64>) {
        let paid = worth.map(|worth| -(lots as f64) * worth);
        match paid.and_then(|paid| Sum::of(paid).zip(Some(paid))) {
            Some((sum, paid)) => {
                self.cash.merge(sum);
                self.error += paid.abs() * (4.0 * f64::EPSILON) + 2.0 * COEFFICIENT_ERROR;
            }
            None => self.is_unknown = true,
        }
    }

    /// Coins and a bound on their error, unless a payment was not known.
    pub(super) fn cash(&self) -> Option<(Sum, f64)> {
        (!self.is_unknown).then_some((self.cash, self.error))
    }
}

impl Holding {
    /// Coins that one lot is worth at a traded price; what settles in quote currency is worth none.
    pub(super) fn worth_at(&self, price: Price) -> Option<f64> {
        let price = price.to_f64();
        match self.claim {
            Claim::InverseOption(_) => (price >= 0.0).then_some(price * self.amount),
            Claim::InverseFuture => (price > 0.0).then_some(-self.amount / price),
            Claim::Coin | Claim::LinearOption(_) => Some(0.0),
        }
    }

    /// Coins that one lot pays at a settlement price.
    pub(super) fn worth_settled(&self, price: f64) -> Option<f64> {
        let gap = match self.claim {
            Claim::InverseOption(OptionKind::Call) => price - self.strike,
            Claim::InverseOption(OptionKind::Put) => self.strike - price,
            Claim::InverseFuture => return (price > 0.0).then_some(-self.amount / price),
            Claim::Coin | Claim::LinearOption(_) => return Some(0.0),
        };
        (price > 0.0).then_some(if gap > 0.0 { gap / price * self.amount } else { 0.0 })
    }
}
