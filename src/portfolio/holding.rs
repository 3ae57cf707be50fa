//! One position, and what one lot of it is worth in delta.
//!
//! **In**: the market of an expiry ([`Market`]). **Out**: delta and log-gamma per lot in fixed point, and the greeks that
//! reports show. A pure function of its inputs, about one Black-76 evaluation; what is missing or absurd gives `None`.

use super::aggregate::{COEFFICIENT_ERROR, Coefficient, coefficient};
use crate::instrument::{Instrument, InstrumentKind, OptionKind, Payoff};
use crate::pricing::black76;
use crate::pricing::settlement::{Averaging, WINDOW_YEARS, variance_years};
use crate::units::Nanos;

/// Error of the kernel's delta per coin of amount, and per unit of K/F for premium-adjusted puts.
const KERNEL_ERROR: f64 = 2e-13;

/// How a row pays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Claim {
    /// One coin of delta per coin of amount: linear futures, the coin itself.
    #[default]
    Coin,
    /// Amounts in dollars: Q/F coins.
    InverseFuture,
    /// Settled in quote currency.
    LinearOption(OptionKind),
    /// Settled in coins.
    InverseOption(OptionKind),
}

/// One number for each greek that reports show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ByGreek {
    /// Coins, premium-adjusted for inverse options.
    pub delta: f64,
    /// Coins per unit of ln(forward).
    pub log_gamma: f64,
    /// Settlement currency per 1.00 of volatility.
    pub vega: f64,
    /// Settlement currency per year.
    pub theta: f64,
}

impl ByGreek {
    /// Adds what `map` makes of another.
    pub(super) fn add(&mut self, other: &ByGreek, map: impl Fn(f64) -> f64) {
        self.delta += map(other.delta);
        self.log_gamma += map(other.log_gamma);
        self.vega += map(other.vega);
        self.theta += map(other.theta);
    }
}

/// One instrument that can be held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    pub(super) claim: Claim,
    pub(super) strike: f64,
    /// Amount of one lot.
    pub(super) amount: f64,
    pub(super) lots: i64,
    /// Zero until known.
    pub(super) sigma: f64,
    pub(super) sigma_time: Nanos,
    /// Per lot; zero while not valued.
    pub(super) delta: Coefficient,
    pub(super) log_gamma: Coefficient,
    pub(super) valued: bool,
    /// Its place in its expiry's engine. What the engine values has no coefficients here.
    pub(super) slot: Option<u16>,
}

impl Holding {
    /// A flat holding of an instrument, if it can be held and valued.
    pub(super) fn new(instrument: &Instrument) -> Option<Self> {
        let claim = match (instrument.kind, instrument.payoff, instrument.option) {
            (InstrumentKind::Option, Payoff::Inverse, Some(kind)) => Claim::InverseOption(kind),
            (InstrumentKind::Option, Payoff::Linear, Some(kind)) => Claim::LinearOption(kind),
            (InstrumentKind::Future | InstrumentKind::Perpetual, Payoff::Inverse, _) => Claim::InverseFuture,
            (InstrumentKind::Future | InstrumentKind::Perpetual | InstrumentKind::Spot, _, _) => Claim::Coin,
            _ => return None,
        };
        let is_option = instrument.kind == InstrumentKind::Option;
        if instrument.lot.0 <= 0 || (is_option && (instrument.strike.0 <= 0 || instrument.expiry_s == 0)) {
            return None;
        }
        Some(Self { claim, strike: instrument.strike.to_f64(), amount: instrument.lot.to_f64(), ..Self::default() })
    }

    /// Its kind and whether it settles in coins; `None` unless an option.
    pub(super) fn option(&self) -> Option<(OptionKind, bool)> {
        match self.claim {
            Claim::LinearOption(kind) => Some((kind, false)),
            Claim::InverseOption(kind) => Some((kind, true)),
            Claim::Coin | Claim::InverseFuture => None,
        }
    }

    /// What one lot adds to its expiry's sums: delta and log-gamma in coins, or nothing where an engine accounts for it.
    /// `None` when something they depend on is missing or absurd.
    pub(super) fn coefficients(&self, market: &Market) -> Option<(Coefficient, Coefficient)> {
        match self.slot {
            _ if market.forward <= 0.0 => None,
            Some(_) => (self.sigma > 0.0).then_some((Coefficient::ZERO, Coefficient::ZERO)),
            None => self.value(market),
        }
    }

    /// Delta and log-gamma of one lot.
    fn value(&self, market: &Market) -> Option<(Coefficient, Coefficient)> {
        let (delta, log_gamma) = match self.claim {
            Claim::Coin => (market.share, 0.0),
            Claim::InverseFuture => {
                let (delta, log_gamma) = black76::inverse_future(market.reach, market.mean());
                (delta, log_gamma * (2.0 * market.reach - 1.0))
            }
            Claim::LinearOption(kind) => {
                let greeks = self.greeks(kind, market)?;
                (greeks.delta, market.forward * greeks.gamma)
            }
            Claim::InverseOption(kind) => {
                // v = B/A with A = aĀ + (1 − a)F, by ln F; y = (1 − a)F/A is one outside the settlement window.
                let (greeks, mean, y) = (self.greeks(kind, market)?, market.mean(), market.reach);
                let scale = market.forward / mean;
                let (value, x) = (greeks.price / mean, greeks.delta * scale);
                let delta = x - value * y;
                (delta, x + market.forward * greeks.gamma * scale - x * y - delta * y - value * y * (1.0 - y))
            }
        };
        // Gamma alone may outgrow its range, at the strike in the last seconds; it is capped, delta never is.
        let cap = (Coefficient::MAX.to_num::<f64>() - 1.0) / self.amount;
        Some((coefficient(delta * self.amount)?, coefficient(log_gamma.clamp(-cap, cap) * self.amount)?))
    }

    /// Black-76 on what the settlement average still leaves open; `None` without a volatility.
    fn greeks(&self, kind: OptionKind, market: &Market) -> Option<black76::Greeks> {
        if self.sigma <= 0.0 {
            return None;
        }
        let strike = if market.share < 1.0 { market.averaging.strike(self.strike) } else { self.strike };
        let one = black76::Greeks::new(kind, market.forward, strike, self.sigma, market.years);
        let share = market.share;
        Some(black76::Greeks {
            price: share * one.price,
            delta: share * one.delta,
            gamma: share * one.gamma,
            vega: share * one.vega,
            theta: share * one.theta,
            vanna: share * one.vanna,
            volga: share * one.volga,
        })
    }

    /// The greeks of the whole position, for reports.
    pub(super) fn report(&self, market: &Market) -> Option<ByGreek> {
        let (delta, log_gamma) = self.value(market)?;
        let (vega, theta) = match self.claim {
            Claim::Coin | Claim::InverseFuture => (0.0, 0.0),
            Claim::LinearOption(kind) => self.greeks(kind, market).map(|greeks| (greeks.vega, greeks.theta))?,
            Claim::InverseOption(kind) => {
                self.greeks(kind, market).map(|greeks| (greeks.vega / market.mean(), greeks.theta / market.mean()))?
            }
        };
        let (lots, amount) = (self.lots as f64, self.lots as f64 * self.amount);
        Some(ByGreek {
            delta: lots * delta.to_num::<f64>(),
            log_gamma: lots * log_gamma.to_num::<f64>(),
            vega: amount * vega,
            theta: amount * theta,
        })
    }

    /// Bound on the error of one lot's delta.
    pub(super) fn error(&self, forward: f64) -> f64 {
        let reach = if self.option().is_some() { 1.0 + self.strike / forward } else { 1.0 / forward };
        self.amount * reach * KERNEL_ERROR + COEFFICIENT_ERROR
    }
}

/// What an expiry's rows are valued at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Market {
    /// Zero until spot and ratio are known.
    pub(super) forward: f64,
    /// Years of variance left.
    years: f64,
    /// What is known of the settlement average.
    averaging: Averaging,
    /// 1 − a, the part of the average still open.
    share: f64,
    /// (1 − a)F over the expected average.
    reach: f64,
}

impl Market {
    pub(super) fn new(forward: f64, years: f64, averaging: Averaging) -> Self {
        let share = averaging.weight();
        let open = share * forward;
        let reach = open / (averaging.elapsed * averaging.mean + open);
        Self { forward, years: variance_years(years, WINDOW_YEARS), averaging, share, reach }
    }

    /// Expected settlement price.
    fn mean(&self) -> f64 {
        self.averaging.elapsed * self.averaging.mean + self.share * self.forward
    }
}
