//! The options of one expiry in constant time.
//!
//! An [`Engine`] holds the held options of an expiry twice: in a [`Strip`], which revalues them exactly, and in an
//! [`Anchor8`], which is a polynomial in ln F and costs the same however many there are. A tick is answered by the anchor
//! inside its window, by the strip outside it or while a volatility is newer than the anchor; both say by how much they
//! can be wrong, the time since the last rebuild included.
//!
//! **Invariant**: strip and anchor hold the same lots, which are whole numbers: adding a position and taking it away
//! leaves no trace. **Cost**: an evaluation some 20 ns by the anchor, some 5 ns an option by the strip; a fill some 50 ns;
//! a rebuild some 50 ns an option, never on a tick. Every option has a slot of its own; [`SLOTS_MAX`] slots of about
//! 0.8 KiB are taken at construction. **Failure**: no slot, or lots beyond what an anchor sums: the caller values the
//! expiry option by option instead.

use super::book::Options;
use super::convention::{Convention, Neutrality};
use crate::instrument::OptionKind;
use crate::pricing::anchor::Anchor8;
use crate::pricing::{Exposure, Strip};
use crate::units::Nanos;

/// Options of an expiry that an engine has room for.
pub const SLOTS_MAX: usize = 256;

/// Error of an exactly computed delta, per coin and per coin of strike over forward.
const KERNEL_ERROR: f64 = 2e-13;
/// Error from time alone, per lot, beyond which an anchor should be rebuilt.
const TIME_TOLERANCE: f64 = 1e-6;

/// The engine cannot hold this position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// One expiry's options, by slot.
#[derive(Debug)]
pub(super) struct Engine {
    strip: Strip,
    anchor: Anchor8,
    held: Box<[(OptionKind, i64)]>,
    /// Σ|lots| and Σ|lots|·K.
    gross: f64,
    gross_strike: f64,
    /// Amount of one lot and whether it settles in coins, the same for all.
    terms: Option<(f64, bool)>,
    /// When strip and anchor were last brought up to time, until when `drift` holds, and the error of delta that each
    /// lot gathers in a nanosecond from then on.
    built_at: Nanos,
    built_until: Nanos,
    drift: f64,
    convention: Convention,
    /// The largest |∂σ/∂ln K| there has been.
    steepest: f64,
    /// Whether the anchor lags behind the strip, or the forward left its window.
    is_pending: bool,
}

impl Engine {
    pub(super) fn new(convention: Convention) -> Self {
        Self {
            convention,
            steepest: 0.0,
            strip: Strip::with_capacity(SLOTS_MAX),
            anchor: Anchor8::with_capacity(SLOTS_MAX, 1.0),
            held: vec![(OptionKind::Call, 0); SLOTS_MAX].into_boxed_slice(),
            gross: 0.0,
            gross_strike: 0.0,
            terms: None,
            built_at: Nanos(0),
            built_until: Nanos(0),
            drift: f64::INFINITY,
            is_pending: true,
        }
    }

    /// Forgets every option.
    pub(super) fn clear(&mut self) {
        for slot in 0..self.strip.len() {
            // Taking away what is there always fits.
            let _ = self.anchor.add_fill(slot, self.held[slot].0, -self.held[slot].1);
        }
        self.held.fill((OptionKind::Call, 0));
        self.strip.clear();
        (self.gross, self.gross_strike, self.terms, self.is_pending) = (0.0, 0.0, None, true);
        self.steepest = 0.0;
    }

    /// Whether an option has the terms of those already here; the first one sets them.
    pub(super) fn is_alike(&mut self, amount: f64, is_inverse: bool) -> bool {
        *self.terms.get_or_insert((amount, is_inverse)) == (amount, is_inverse)
    }

    /// Gives an option a slot, flat. It takes part from the next rebuild on.
    pub(super) fn enter(&mut self, kind: OptionKind, strike: f64, sigma: f64, slope: f64) -> Result<u16, NoRoom> {
        let slot = self.strip.push(strike).ok_or(NoRoom)?;
        self.held[slot] = (kind, 0);
        self.set_vol(slot as u16, sigma, slope);
        Ok(slot as u16)
    }

    /// Takes in a volatility and the smile's slope there; the anchor waits for its rebuild.
    pub(super) fn set_vol(&mut self, slot: u16, sigma: f64, slope: f64) {
        self.strip.set_vol(usize::from(slot), sigma);
        self.strip.set_smile_slope(usize::from(slot), slope);
        self.steepest = self.steepest.max(slope.abs());
        self.is_pending = true;
    }

    /// Takes in a position, in lots. The slot was there at the last rebuild.
    pub(super) fn set_lots(&mut self, slot: u16, lots: i64) -> Result<(), NoRoom> {
        let slot = usize::from(slot);
        let (kind, before) = self.held[slot];
        self.anchor.add_fill(slot, kind, lots - before).map_err(|_| NoRoom)?;
        self.held[slot].1 = lots;
        match kind {
            OptionKind::Call => self.strip.set_position(slot, lots as f64, 0.0),
            OptionKind::Put => self.strip.set_position(slot, 0.0, lots as f64),
        }
        // Whole numbers below 2^53: sums and differences are exact.
        let change = lots.unsigned_abs() as f64 - before.unsigned_abs() as f64;
        self.gross += change;
        self.gross_strike += change * self.strip.strike(slot);
        Ok(())
    }

    /// Brings everything to a time and builds the anchor around a forward. Where it does not fit, the strip goes on
    /// answering. `expiry` lies ahead, and `years` are those of variance left.
    pub(super) fn rebuild(&mut self, forward: f64, years: f64, now: Nanos, expiry: Nanos) {
        self.strip.set_time(years);
        // |∂Δ/∂T| ≤ (0.242 + 0.399 s)/2T and |∂(φ(d1)√T)/∂T| ≤ √T(0.693 + 0.242 s)/2T, at the least T before a tenth of it
        // has passed.
        let (_, most) = self.strip.total_vol_range();
        let smile = self.convention.stickiness * self.steepest * years.sqrt() * (0.693 + 0.242 * most);
        self.drift = (0.242 + 0.399 * most + smile) / (2.0 * 0.8 * years * Nanos::PER_YEAR as f64);
        (self.built_at, self.built_until) = (now, Nanos(now.0 + expiry.since(now) / 10));
        self.is_pending = self.anchor.rebuild(&self.strip, forward).is_err();
    }

    /// Whether a rebuild would make it faster or more exact.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        self.is_pending || now > self.built_until || self.drift * now.since(self.built_at) as f64 > TIME_TOLERANCE
    }

    /// Delta and log-gamma of all positions, in the convention of their settlement.
    pub(super) fn options(&mut self, forward: f64, now: Nanos) -> Options {
        let (exposure, error) = self.evaluate(forward, now);
        let (amount, is_inverse) = self.terms.unwrap_or_default();
        let Convention { neutrality, stickiness } = self.convention;
        let (delta, log_gamma) = if is_inverse && neutrality == Neutrality::Coin {
            (exposure.coin_delta, exposure.coin_log_gamma())
        } else {
            (exposure.delta, exposure.gamma)
        };
        let delta = delta + exposure.floating_smile(stickiness);
        Options { delta: amount * delta, log_gamma: amount * log_gamma, error: amount * error }
    }

    /// Sums over positions, per coin of amount, and a bound on the error of both deltas: all of it where time has run
    /// too far.
    fn evaluate(&mut self, forward: f64, now: Nanos) -> (Exposure, f64) {
        let aged =
            self.gross * if now <= self.built_until { self.drift * now.since(self.built_at) as f64 } else { 1.0 };
        if !self.is_pending {
            if let Some(exposure) = self.anchor.evaluate(forward) {
                let bounds = self.anchor.bounds();
                let smile = self.convention.stickiness * bounds.skew;
                return (exposure, bounds.delta.max(bounds.coin_delta) + smile + aged);
            }
            self.is_pending = true;
        }
        let smile = 1.0 + self.convention.stickiness * self.steepest;
        let exact = (self.gross * smile + self.gross_strike / forward) * KERNEL_ERROR;
        (self.strip.exposure(forward), exact + aged)
    }
}
