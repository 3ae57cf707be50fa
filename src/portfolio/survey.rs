//! What a hedge must know of volatility besides delta: told a little at each clock.
//!
//! Expiry by expiry, at most [`ROWS_MAX`] options a step, the survey adds up what is held of volatility and of its slope,
//! reads where the smile stands at the forward, and values one lot of the two options that would hedge it: those half a
//! standard deviation out of the money, which are liquid and hold both level and slope. Book and hedges are revalued after a few
//! jumps of the spot too: what no greek tells. What it says of an expiry is true
//! of one instant: a fill or a listing in between begins that expiry anew. An expiry of which something held has no
//! value is passed over, and whoever listens notices by its age.

use arrayvec::ArrayVec;

use super::book::Book;
use super::holding::{Holding, Market};
use crate::event::{Body, JUMPS};
use crate::instrument::OptionKind;
use crate::pricing::elementary::ln_ratio;
use crate::units::Nanos;

/// Options looked at in a step, each revalued after every jump if it is held: a few microseconds.
const ROWS_MAX: usize = 12;
/// Events that one expiry makes: smile and jumps of the book, greeks and jumps of two hedges.
pub(super) const FINDINGS_MAX: usize = 6;
/// Where hedges stand, in standard deviations from the forward.
pub const OUT_OF_THE_MONEY: f64 = 0.5;
/// Time below which moneyness is measured as if so much were left: a day.
const YEARS_MIN: f64 = 1.0 / 365.0;

/// What one expiry came to: its smile and what is held of it, and one lot of the put and of the call that may hedge it.
pub(super) type Findings = ArrayVec<Body, FINDINGS_MAX>;

/// How far the survey is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    slice: usize,
    row: usize,
    /// Rows of the table and fills of the book when the expiry was begun.
    version: (usize, u64),
    sums: Sums,
}

impl Survey {
    /// Goes on, and says what it found when an expiry is complete. `fills` is how many the book has taken.
    pub(super) fn step(&mut self, book: &Book, fills: u64, now: Nanos) -> Option<Findings> {
        let slices = book.chain.slices();
        let version = (book.chain.rows().len(), fills);
        if self.version != version || self.slice >= slices.len() {
            let slice = if self.slice < slices.len() { self.slice } else { 0 };
            *self = Self { slice, version, ..Self::default() };
        }
        let slice = slices.get(self.slice)?;
        let years = slice.expiry().map_or(0.0, |expiry| now.years_until(expiry));
        let view = View { market: book.market(self.slice, now), root: years.max(YEARS_MIN).sqrt() };
        let rows = &book.chain.rows()[slice.range()];
        if years > 0.0 && view.market.forward > 0.0 {
            let end = rows.len().min(self.row + ROWS_MAX);
            for (at, row) in rows.iter().enumerate().take(end).skip(self.row) {
                self.sums.look(at, &row.data, &view);
            }
            self.row = end;
            if end < rows.len() {
                return None;
            }
        }
        let sums = self.sums;
        *self = Self { slice: self.slice + 1, version, ..Self::default() };
        let (sigma, slope) = sums.smile(view.root)?;
        let (underlying, expiry_s) = (slice.underlying, slice.expiry_s);
        let mut findings = Findings::new();
        findings.push(Body::Smile {
            underlying,
            expiry_s,
            is_held: sums.is_held,
            vega: sums.held.vega as f32,
            skew: sums.held.skew as f32,
            log_gamma: sums.held.log_gamma as f32,
            vanna: sums.held.vanna as f32,
            sigma: sigma as f32,
            slope: slope as f32,
        });
        findings.push(Body::Jumps { underlying, expiry_s, gains: sums.held.jumps.map(|gain| gain as f32) });
        for (_, at) in sums.hedges.into_iter().flatten() {
            let (instrument, one) = (rows[at].key.instrument, Holding { lots: 1, ..rows[at].data });
            let Some(Lot { delta, log_gamma, vega, skew, jumps, .. }) = view.lots(&one) else { continue };
            let (log_gamma, vega, skew) = (log_gamma as f32, vega as f32, skew as f32);
            findings.push(Body::Unit { instrument, delta, log_gamma, vega, skew });
            findings.push(Body::UnitJumps { instrument, gains: jumps.map(|gain| gain as f32) });
        }
        Some(findings)
    }
}

/// The greeks of some lots, coins.
#[derive(Clone, Copy, Debug, Default)]
struct Lot {
    delta: f64,
    log_gamma: f64,
    vega: f64,
    skew: f64,
    vanna: f64,
    /// Gained in each jump beyond what a future of the same delta gains.
    jumps: [f64; JUMPS],
}

/// What an expiry is seen with.
struct View {
    market: Market,
    /// √T.
    root: f64,
}

impl View {
    /// ln(K/F).
    fn log_moneyness(&self, holding: &Holding) -> f64 {
        ln_ratio(holding.strike, self.market.forward)
    }

    /// The greeks of a holding; `None` when it has no value.
    fn lots(&self, holding: &Holding) -> Option<Lot> {
        let greeks = holding.report(&self.market)?;
        let vega = match holding.option() {
            Some((_, false)) => greeks.vega / self.market.forward,
            _ => greeks.vega,
        };
        let skew = if vega == 0.0 { 0.0 } else { vega * self.log_moneyness(holding) / self.root };
        let jumps = match holding.option() {
            Some(_) => holding.jump_gains(&self.market)?.map(|gain| holding.lots as f64 * gain),
            None => [0.0; JUMPS],
        };
        Some(Lot { delta: greeks.delta, log_gamma: greeks.log_gamma, vega, skew, vanna: greeks.vanna, jumps })
    }
}

/// Of the expiry under survey, so far.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    held: Lot,
    is_held: bool,
    is_unvalued: bool,
    /// The last strike below the forward and the first one from it on: ln(K/F) and volatility.
    below: Option<(f64, f64)>,
    above: Option<(f64, f64)>,
    /// The best put and call: by how much it misses its place, and which row it is.
    hedges: [Option<(f64, usize)>; 2],
}

impl Sums {
    fn look(&mut self, at: usize, holding: &Holding, view: &View) {
        if holding.lots != 0 {
            self.is_held |= holding.option().is_some();
            match view.lots(holding) {
                Some(lots) => {
                    self.held.log_gamma += lots.log_gamma;
                    self.held.vega += lots.vega;
                    self.held.skew += lots.skew;
                    self.held.vanna += lots.vanna;
                    for (sum, gain) in self.held.jumps.iter_mut().zip(lots.jumps) {
                        *sum += gain;
                    }
                }
                None => self.is_unvalued = true,
            }
        }
        let Some((kind, _)) = holding.option().filter(|_| holding.sigma > 0.0) else { return };
        let log_moneyness = view.log_moneyness(holding);
        // Rows come by strike.
        if log_moneyness < 0.0 {
            self.below = Some((log_moneyness, holding.sigma));
        } else {
            self.above.get_or_insert((log_moneyness, holding.sigma));
        }
        let place = log_moneyness / (holding.sigma * view.root);
        let (best, miss) = match kind {
            OptionKind::Put => (&mut self.hedges[0], (place + OUT_OF_THE_MONEY).abs()),
            OptionKind::Call => (&mut self.hedges[1], (place - OUT_OF_THE_MONEY).abs()),
        };
        if best.is_none_or(|(least, _)| miss < least) {
            *best = Some((miss, at));
        }
    }

    /// Volatility at the forward and its slope by moneyness; `None` when not all that is held could be valued, or no
    /// volatility is known.
    fn smile(&self, root: f64) -> Option<(f64, f64)> {
        if self.is_unvalued {
            return None;
        }
        match (self.below, self.above) {
            (Some((k_below, below)), Some((k_above, above))) => {
                let slope = (above - below) / (k_above - k_below);
                Some((below - slope * k_below, slope * root))
            }
            (Some((_, sigma)), None) | (None, Some((_, sigma))) => Some((sigma, 0.0)),
            (None, None) => None,
        }
    }
}
