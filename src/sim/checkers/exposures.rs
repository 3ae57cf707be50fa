//! Incremental greeks against a full revaluation, in floating point and from nothing but what the greeks were told.

use std::collections::HashMap;

use super::Findings;
use super::positions::Positions;
use crate::event::{Body, Event};
use crate::instrument::{BookQuality, Catalogue, Instrument, InstrumentKind, Payoff};
use crate::pricing::black76;
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::units::{InstrumentId, Nanos, UnderlyingId};

/// One exposure of so many is revalued.
const EVERY: u32 = 64;
/// How fast delta moves with time, a lot and a unit of log time: the certified staleness bound.
const DECAY: f64 = 0.14;
/// Seconds after which the greeks value an underlying again whatever happens, and the room a slow driver gets.
const STALE_S: f64 = 2.5;

/// What the greeks were told.
#[derive(Debug, Default)]
pub struct Exposures {
    ratios: HashMap<(UnderlyingId, u32), f64>,
    sigmas: HashMap<InstrumentId, f64>,
    seen: u32,
}

impl Exposures {
    pub(super) fn consumed(&mut self, event: &Event) {
        match event.body {
            Body::Forward { underlying, expiry_s, ratio } => {
                self.ratios.insert((underlying, expiry_s), ratio);
            }
            Body::Volatility { instrument, sigma, .. } => {
                self.sigmas.insert(instrument, sigma);
            }
            _ => {}
        }
    }

    pub(super) fn valued(
        &mut self,
        event: &Event,
        catalogue: &Catalogue,
        positions: &Positions,
        findings: &mut Findings,
    ) {
        let Body::Exposure { underlying, quality, net_delta, spot, delta_bound, .. } = event.body else { return };
        self.seen += 1;
        if quality != BookQuality::Good || !self.seen.is_multiple_of(EVERY) {
            return;
        }
        let (mut naive, mut slack) = (0.0, 1e-9 + f64::from(delta_bound));
        for (id, lots) in positions.all().filter(|(_, lots)| *lots != 0) {
            let Some(listed) = catalogue.find(id).filter(|listed| listed.underlying == underlying) else { continue };
            let Some((delta, stale)) = self.delta(listed, spot.to_f64(), event.time) else { return };
            naive += delta * lots as f64;
            slack += stale * (lots as f64).abs();
        }
        let shown = net_delta.to_f64();
        if (shown - naive).abs() > slack {
            findings.add(6, || format!("net delta {shown} of underlying {}, revalued {naive} ± {slack}", underlying.0));
        }
    }

    /// Delta of one lot, and how far it may have moved since the greeks last looked at the time. `None` in the settlement
    /// window, whose average is not told here.
    fn delta(&self, listed: &Instrument, spot: f64, now: Nanos) -> Option<(f64, f64)> {
        let lot = listed.lot.0 as f64 * 1e-9;
        let ratio = self.ratios.get(&(listed.underlying, listed.expiry_s)).copied();
        if listed.kind != InstrumentKind::Option {
            let forward = if listed.expiry_s == 0 { spot } else { spot * ratio? };
            return Some((if listed.payoff == Payoff::Inverse { lot / forward } else { lot }, 0.0));
        }
        let (forward, sigma) = (spot * ratio?, *self.sigmas.get(&listed.id)?);
        let left = now.years_until(listed.expiry()?);
        if left <= WINDOW_YEARS {
            return None;
        }
        let years = variance_years(left, WINDOW_YEARS);
        let greeks = black76::Greeks::new(listed.option?, forward, listed.strike.to_f64(), sigma, years);
        let delta = if listed.payoff == Payoff::Inverse { greeks.in_coin(forward).delta } else { greeks.delta };
        let left_s = left * Nanos::PER_YEAR as f64 / Nanos::PER_SECOND as f64;
        Some((delta * lot, lot * 2.0 * DECAY * STALE_S / left_s))
    }
}
