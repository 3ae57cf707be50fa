//! Options that say which delta a book is kept free of; `demo` and `replay` share them.

use clap::Args;

use crate::instrument::Underlying;
use crate::portfolio::{GreeksConfig, Neutrality};
use crate::units::Coins;

/// Which delta is hedged.
#[derive(Clone, Debug, Args)]
pub(super) struct ConventionArgs {
    /// What the book is kept neutral in: coin (premium-adjusted deltas and futures) or dollar (equity and delta_total)
    #[arg(long, default_value = "coin", value_parser = neutrality)]
    neutrality: Neutrality,
    /// How the smile follows the forward: 0 it stays at its strikes, 1 it moves with moneyness
    #[arg(long, value_name = "KAPPA", default_value_t = 0.0, value_parser = share)]
    stickiness: f64,
    /// What an account is worth in coins at the start, such as BTC_USD=2.5 [default: 0]; for a dollar-neutral book
    #[arg(long, value_name = "UNDERLYING=COINS", value_parser = equity)]
    equity: Vec<(Underlying, Coins)>,
}

impl ConventionArgs {
    /// Settings of the greeks with these conventions.
    pub(super) fn apply(&self, config: GreeksConfig) -> GreeksConfig {
        let equity = self.equity.clone().into_boxed_slice();
        GreeksConfig { neutrality: self.neutrality, stickiness: self.stickiness, equity, ..config }
    }

    /// Whether hedging is to make the account's value in coins steady.
    pub(super) fn is_in_coins(&self) -> bool {
        self.neutrality == Neutrality::Coin
    }
}

fn neutrality(text: &str) -> Result<Neutrality, String> {
    let known = [Neutrality::Coin, Neutrality::Dollar];
    known.into_iter().find(|neutrality| neutrality.name() == text).ok_or_else(|| "must be coin or dollar".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "must lie between 0 and 1".to_owned())
}

fn equity(text: &str) -> Result<(Underlying, Coins), String> {
    let wrong = || "must be an underlying and an amount of coins, such as BTC_USD=2.5".to_owned();
    let (name, coins) = text.split_once('=').ok_or_else(wrong)?;
    let mut padded = [0; 16];
    padded.get_mut(..name.len()).filter(|name| !name.is_empty()).ok_or_else(wrong)?.copy_from_slice(name.as_bytes());
    let coins = coins.parse::<f64>().ok().and_then(Coins::from_f64).ok_or_else(wrong)?;
    Ok((Underlying::new(padded), coins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_says_what_it_takes() {
        assert_eq!(neutrality("dollar"), Ok(Neutrality::Dollar));
        assert!(neutrality("euro").is_err());
        assert_eq!((share("0.5"), share("1.01").is_err(), share("NaN").is_err()), (Ok(0.5), true, true));
        let (name, coins) = equity("BTC_USD=-2.5").unwrap();
        assert_eq!((name.name(), coins), ("BTC_USD", Coins(-2_500_000_000)));
        for bad in ["BTC_USD", "=1", "BTC_USD=much", "A_NAME_OF_SEVENTEEN=1"] {
            assert!(equity(bad).is_err(), "{bad}");
        }
    }
}
