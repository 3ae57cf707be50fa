//! One position, and what one lot of it is worth in delta.
//!
//! **In**: the market of an expiry ([`Market`]). **Out**: delta and log-gamma per lot in fixed point, and the greeks that
//! reports show. A pure function of its inputs, about one Black-76 evaluation; what is missing or absurd gives `None`.

use super::aggregate::{COEFFICIENT_ERROR, Coefficient, coefficient};
use super::convention::{Convention, Neutrality};
use crate::event::{JUMP_SIZES, JUMPS};
use crate::instrument::{Instrument, InstrumentKind, OptionKind, Payoff};
use crate::pricing::black76;
use crate::pricing::elementary::ln_ratio;
use crate::pricing::settlement::{Averaging, WINDOW_YEARS, variance_years};
use crate::units::Nanos;

/// Error of the kernel's delta per coin of amount, and per unit of K/F for premium-adjusted puts.
const KERNEL_ERROR: f64 = 2e-13;

/// Least share of its volatility that a jump leaves an option.
const SIGMA_LEFT_MIN: f64 = 0.1;

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
    /// Change of delta per 1.00 of volatility, coins.
    pub vanna: f64,
    /// Settlement currency per 1.00 of volatility, squared.
    pub volga: f64,
}

impl ByGreek {
    /// Adds what `map` makes of another.
    pub(super) fn add(&mut self, other: &ByGreek, map: impl Fn(f64) -> f64) {
        self.delta += map(other.delta);
        self.log_gamma += map(other.log_gamma);
        self.vega += map(other.vega);
        self.theta += map(other.theta);
        self.vanna += map(other.vanna);
        self.volga += map(other.volga);
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
    /// Slope of the smile at the strike.
    pub(super) slope: f64,
    /// Lots of the opening book that are not paid for: they are at what they are worth when first valued.
    pub(super) unpaid: i64,
    /// Per lot; zero while not valued.
    pub(super) delta: Coefficient,
    pub(super) log_gamma: Coefficient,
    /// Bound on the error of a lot's delta.
    pub(super) error: Coefficient,
    pub(super) is_valued: bool,
    /// Its place in its expiry's engine, and whether that values it: then it has no coefficients here.
    pub(super) slot: Option<u16>,
    pub(super) is_anchored: bool,
    /// Which engine that is.
    pub(super) engine: Option<u8>,
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
        match self.is_anchored {
            true => Some((Coefficient::ZERO, Coefficient::ZERO)),
            false if market.forward <= 0.0 => None,
            false => self.in_fixed_point(&self.value(market)?),
        }
    }

    /// Coins that one lot is worth; nothing for what settles in quote currency.
    pub(super) fn worth(&self, market: &Market) -> Option<f64> {
        let value = self.value(market)?;
        Some(if value.in_coins { value.value * self.amount } else { 0.0 })
    }

    /// Delta and log-gamma of one lot.
    fn in_fixed_point(&self, value: &Value) -> Option<(Coefficient, Coefficient)> {
        // Gamma alone may outgrow its range, at the strike in the last seconds; it is capped, delta never is.
        let cap = (Coefficient::MAX.to_num::<f64>() - 1.0) / self.amount;
        Some((coefficient(value.delta * self.amount)?, coefficient(value.log_gamma.clamp(-cap, cap) * self.amount)?))
    }

    /// What one coin of amount is worth, and what that is exposed to.
    fn value(&self, market: &Market) -> Option<Value> {
        let mean = market.mean();
        // `smile` is what a slope of one takes from delta, and its change per unit of ln F.
        let (in_coins, value, delta, log_gamma, smile, greeks) = match self.claim {
            Claim::Coin => (false, 0.0, market.share, 0.0, (0.0, 0.0), None),
            Claim::InverseFuture => {
                let (delta, log_gamma) = black76::inverse_future(market.reach, mean);
                (true, -1.0 / mean, delta, log_gamma * (2.0 * market.reach - 1.0), (0.0, 0.0), None)
            }
            Claim::LinearOption(kind) => {
                let greeks = self.greeks(kind, market)?;
                let smile = (greeks.vega / market.forward, greeks.vanna - greeks.vega / market.forward);
                (false, greeks.price / market.forward, greeks.delta, market.forward * greeks.gamma, smile, Some(greeks))
            }
            Claim::InverseOption(kind) => {
                // v = B/A with A = aĀ + (1 − a)F, by ln F; y = (1 − a)F/A is one outside the settlement window.
                let (greeks, y) = (self.greeks(kind, market)?, market.reach);
                let scale = market.forward / mean;
                let (value, x) = (greeks.price / mean, greeks.delta * scale);
                let delta = x - value * y;
                let log_gamma = x + market.forward * greeks.gamma * scale - x * y - delta * y - value * y * (1.0 - y);
                let vanna = greeks.vanna * scale - greeks.vega / mean * y;
                let greeks = black76::Greeks { vanna, ..scaled(&greeks, 1.0 / mean) };
                (true, value, delta, log_gamma, (greeks.vega, vanna), Some(greeks))
            }
        };
        let (delta, log_gamma) = market.convention.apply(in_coins, value, delta, log_gamma);
        let mut greeks = greeks.unwrap_or_default();
        (greeks.vanna, _) = market.convention.apply(in_coins, greeks.vega, greeks.vanna, 0.0);
        // A volatility moves by −κ·slope per unit of ln F, and delta with it; to first order in the slope.
        let moves = market.convention.stickiness * self.slope;
        let (delta, log_gamma) = (delta - moves * smile.0, log_gamma - moves * (smile.1 + greeks.vanna));
        Some(Value { in_coins, value, delta, log_gamma, greeks })
    }

    /// Black-76 on what the settlement average still leaves open; `None` without a volatility.
    fn greeks(&self, kind: OptionKind, market: &Market) -> Option<black76::Greeks> {
        if self.sigma <= 0.0 {
            return None;
        }
        let strike = if market.share < 1.0 { market.averaging.strike(self.strike) } else { self.strike };
        let one = black76::Greeks::new(kind, market.forward, strike, self.sigma, market.years);
        Some(scaled(&one, market.share))
    }

    /// The greeks of the whole position, for reports.
    pub(super) fn report(&self, market: &Market) -> Option<ByGreek> {
        let value = self.value(market)?;
        let (delta, log_gamma) = self.in_fixed_point(&value)?;
        let (lots, amount) = (self.lots as f64, self.lots as f64 * self.amount);
        Some(ByGreek {
            delta: lots * delta.to_num::<f64>(),
            log_gamma: lots * log_gamma.to_num::<f64>(),
            vega: amount * value.greeks.vega,
            theta: amount * value.greeks.theta,
            vanna: amount * value.greeks.vanna,
            volga: amount * value.greeks.volga,
        })
    }

    /// Coins that one lot gains when the forward jumps by each of [`JUMP_SIZES`], beyond what a future of its delta gains;
    /// volatility moves with the forward as the convention says. Only what settles in coins gains them on both sides of a
    /// jump: what is neutral in dollars counts them at their new price.
    pub(super) fn jump_gains(&self, market: &Market) -> Option<[f64; JUMPS]> {
        let now = self.value(market)?;
        let stickiness = market.convention.stickiness;
        let mut gains = [0.0; JUMPS];
        for (gain, jump) in gains.iter_mut().zip(JUMP_SIZES) {
            let moved = self.sigma - stickiness * self.slope * ln_ratio(1.0 + jump, 1.0);
            let after = Self { sigma: moved.max(SIGMA_LEFT_MIN * self.sigma), ..*self };
            let then = after.value(&market.jumped(jump))?;
            let counts_coins = now.in_coins && market.convention.neutrality == Neutrality::Coin;
            let (scale, future) = if counts_coins { (1.0, jump / (1.0 + jump)) } else { (1.0 + jump, jump) };
            *gain = self.amount * (then.value * scale - now.value - now.delta * future);
        }
        Some(gains)
    }

    /// Bound on the error of one lot's delta.
    pub(super) fn error_a_lot(&self, market: &Market) -> f64 {
        let smile = market.convention.stickiness * self.slope.abs();
        let reach =
            if self.option().is_some() { 1.0 + self.strike / market.forward + smile } else { 1.0 / market.forward };
        self.amount * reach * KERNEL_ERROR + COEFFICIENT_ERROR
    }
}

/// One coin of amount: value, delta and log-gamma in coins, the other greeks in settlement currency.
struct Value {
    /// Whether it settles in coins.
    in_coins: bool,
    value: f64,
    delta: f64,
    log_gamma: f64,
    greeks: black76::Greeks,
}

/// Every greek times a factor.
fn scaled(one: &black76::Greeks, by: f64) -> black76::Greeks {
    black76::Greeks {
        price: by * one.price,
        delta: by * one.delta,
        gamma: by * one.gamma,
        vega: by * one.vega,
        theta: by * one.theta,
        vanna: by * one.vanna,
        volga: by * one.volga,
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
    convention: Convention,
}

impl Market {
    pub(super) fn new(forward: f64, years: f64, averaging: Averaging, convention: Convention) -> Self {
        let share = averaging.weight();
        let open = share * forward;
        let reach = open / (averaging.elapsed * averaging.mean + open);
        Self { forward, years: variance_years(years, WINDOW_YEARS), averaging, share, reach, convention }
    }

    /// The same after the forward jumped.
    fn jumped(&self, jump: f64) -> Self {
        let forward = self.forward * (1.0 + jump);
        let open = self.share * forward;
        Self { forward, reach: open / (self.averaging.elapsed * self.averaging.mean + open), ..*self }
    }

    /// Expected settlement price.
    pub(super) fn mean(&self) -> f64 {
        self.averaging.elapsed * self.averaging.mean + self.share * self.forward
    }
}
