//! One expiry's options in constant time: what an anchor is built from, and the anchor.
//!
//! A [`Generation`] is filled on the greeks' thread with what is known at an instant (terms, volatilities, lots, forward,
//! time) and computed wherever there is time for it: [`Generation::compute`] is a pure function of what was filled in, so
//! it gives the same bits on the surface's thread, on the greeks' own, and in a replay. What changed meanwhile is applied
//! to the result when it is adopted, exactly: a fill is a difference of whole lots, a volatility a shift.
//!
//! **Invariant**: strip and anchor hold the same lots. **Cost**: to fill, a copy of 56 bytes an option; to compute, some 50
//! ns an option. Memory is taken at construction, some 0.9 KiB an option.

use crate::instrument::OptionKind;
use crate::pricing::anchor::Anchor8;
use crate::pricing::{Exposure, Strip};
use crate::units::{InstrumentId, Nanos, ONE_E9, Price, UnderlyingId};

/// Error of an exactly computed delta, per coin and per coin of strike over forward.
const KERNEL_ERROR: f64 = 2e-13;
/// What adding up eight lanes and up to eight groups in doubles can take, and the panel's series of parity, likewise.
const SUM_ERROR: f64 = 2.5e-14;

/// One option and what is held of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) instrument: InstrumentId,
    pub(super) kind: OptionKind,
    pub(super) strike: Price,
    pub(super) lots: i64,
    pub(super) sigma: f64,
    pub(super) slope: f64,
    pub(super) sigma_time: Nanos,
}

impl Term {
    pub(super) const NOTHING: Self = Self {
        instrument: InstrumentId(0),
        kind: OptionKind::Call,
        strike: Price::ZERO,
        lots: 0,
        sigma: 0.0,
        slope: 0.0,
        sigma_time: Nanos(0),
    };
}

/// Which request a generation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) engine: u8,
    pub(super) number: u32,
    pub(super) underlying: UnderlyingId,
    pub(super) expiry_s: u32,
    /// When it was asked for: the time everything in it is valued at.
    pub(super) time: Nanos,
}

/// The market that a generation is built around.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Centre {
    pub(super) forward: f64,
    /// Years of variance left.
    pub(super) years: f64,
    /// Nanoseconds left.
    pub(super) left_ns: u64,
    /// How far the smile moves with the forward, 0 to 1.
    pub(super) stickiness: f64,
}

/// Sums over positions, exact: lots, and of puts lots × strike in 1e-9 of quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    gross: i64,
    puts: i64,
    put_strikes: i128,
}

impl Held {
    fn change(&mut self, term: &Term, from: i64, to: i64) {
        self.gross += to.abs() - from.abs();
        if term.kind == OptionKind::Put {
            self.puts += to - from;
            self.put_strikes += i128::from(to - from) * i128::from(term.strike.0);
        }
    }
}

/// An anchor cannot hold this many lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyLots;

/// One expiry's options at an instant, and their anchor.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) ticket: Ticket,
    centre: Centre,
    /// What it was built from; lots follow fills.
    terms: Box<[Term]>,
    len: usize,
    strip: Strip,
    pub(super) anchor: Anchor8,
    held: Held,
    /// Whether the anchor took the positions.
    has_room: bool,
    /// The oldest volatility of what was held.
    pub(super) sigma_oldest: Nanos,
    /// The largest |∂σ/∂ln K| and total volatility that it was ever given.
    steepest: f64,
    most: f64,
    /// The highest strike, and 1 + K/F of it at the lowest forward of the window: the most that a lot's deltas can be.
    highest: f64,
    reach: f64,
    /// Until when `drift` holds: the error of delta that each lot gathers in a nanosecond from the ticket's time on.
    until: Nanos,
    drift: f64,
}

impl Generation {
    /// Room for so many options.
    pub(super) fn with_capacity(options: usize) -> Self {
        let nobody = Ticket { engine: u8::MAX, number: 0, underlying: UnderlyingId(0), expiry_s: 0, time: Nanos(0) };
        Self {
            ticket: nobody,
            centre: Centre::default(),
            terms: vec![Term::NOTHING; options].into_boxed_slice(),
            len: 0,
            strip: Strip::with_capacity(options),
            anchor: Anchor8::with_capacity(options, 1.0),
            held: Held::default(),
            has_room: false,
            sigma_oldest: Nanos(0),
            steepest: 0.0,
            most: 0.0,
            highest: 0.0,
            reach: 0.0,
            until: Nanos(0),
            drift: f64::INFINITY,
        }
    }

    /// Options in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes in what it is to be built from.
    pub(super) fn fill(&mut self, ticket: Ticket, centre: Centre, terms: &[Term]) {
        (self.ticket, self.centre, self.len) = (ticket, centre, terms.len());
        self.terms[..terms.len()].copy_from_slice(terms);
    }

    /// Builds strip and anchor from what was filled in, and from nothing else.
    pub(super) fn compute(&mut self) {
        let terms = &self.terms[..self.len];
        let fits = |(slot, term): (usize, &Term)| self.strip.strike(slot) == term.strike.to_f64();
        if self.strip.len() > terms.len() || !terms.iter().enumerate().take(self.strip.len()).all(fits) {
            self.strip.clear();
        }
        (self.held, self.sigma_oldest) = (Held::default(), Nanos(u64::MAX));
        (self.steepest, self.highest) = (0.0, 0.0);
        for (slot, term) in terms.iter().enumerate() {
            if slot == self.strip.len() && self.strip.push(term.strike.to_f64()).is_none() {
                break;
            }
            if self.strip.sigma(slot) != term.sigma {
                self.strip.set_vol(slot, term.sigma);
            }
            self.strip.set_smile_slope(slot, term.slope);
            self.strip.set_position(slot, term.lots as f64, 0.0);
            self.held.change(term, 0, term.lots);
            self.steepest = self.steepest.max(term.slope.abs());
            self.highest = self.highest.max(term.strike.to_f64());
            if term.lots != 0 {
                self.sigma_oldest = self.sigma_oldest.min(term.sigma_time);
            }
        }
        let Centre { forward, years, left_ns, .. } = self.centre;
        self.strip.set_time(years);
        (_, self.most) = self.strip.total_vol_range();
        self.drift = self.drift_of_any();
        self.until = Nanos(self.ticket.time.0 + left_ns / 10);
        // Within its window a forward is at most a tenth below the anchor's.
        self.reach = 1.0 + self.highest / (0.9 * forward);
        self.has_room = self.anchor.replace(terms.iter().map(|term| (term.kind, term.lots))).is_ok();
        if self.has_room {
            // Where it does not fit, it shows nothing and the strip answers.
            let _ = self.anchor.rebuild(&self.strip, forward);
        }
    }

    /// Brings lots and volatilities to those of `terms`, which are its own and what came later.
    pub(super) fn catch_up(&mut self, terms: &[Term]) -> Result<(), TooManyLots> {
        if !self.has_room {
            return Err(TooManyLots);
        }
        for (slot, term) in terms.iter().enumerate().take(self.len) {
            let was = self.terms[slot];
            if term.lots != was.lots {
                self.set_lots(slot, term.lots)?;
            }
            if (term.sigma, term.slope) != (was.sigma, was.slope) {
                self.set_vol(slot, term.sigma, term.slope);
            }
        }
        Ok(())
    }

    /// Takes in a position.
    pub(super) fn set_lots(&mut self, slot: usize, lots: i64) -> Result<(), TooManyLots> {
        let term = &mut self.terms[slot];
        self.anchor.add_fill(slot, term.kind, lots - term.lots).map_err(|_| TooManyLots)?;
        self.held.change(term, term.lots, lots);
        term.lots = lots;
        // Calls and puts alike: parity is taken care of here.
        self.strip.set_position(slot, lots as f64, 0.0);
        Ok(())
    }

    /// Takes in a volatility and the smile's slope there: the strip at once, the anchor to first order.
    pub(super) fn set_vol(&mut self, slot: usize, sigma: f64, slope: f64) {
        self.strip.set_vol(slot, sigma);
        self.strip.set_smile_slope(slot, slope);
        (self.steepest, self.most) = (self.steepest.max(slope.abs()), self.most.max(sigma * self.centre.years.sqrt()));
        self.drift = self.drift_of_any();
        let built = &self.terms[slot];
        self.anchor.shift_vol(slot, (built.sigma, built.slope), (sigma, slope));
    }

    /// The error that a nanosecond adds to a lot's delta, at most: |∂Δ/∂T| ≤ (0.242 + 0.399 s)/2T and |∂(φ(d1)√T)/∂T| ≤
    /// √T(0.693 + 0.242 s)/2T, at the least T before a tenth of it has passed.
    fn drift_of_any(&self) -> f64 {
        let Centre { years, stickiness, .. } = self.centre;
        let smile = stickiness * self.steepest * years.sqrt() * (0.693 + 0.242 * self.most);
        (0.242 + 0.399 * self.most + smile) / (2.0 * 0.8 * years * Nanos::PER_YEAR as f64)
    }

    /// Whether a tick would be answered from its window.
    pub(super) fn reaches(&self, forward: f64) -> bool {
        self.anchor.evaluate(forward).is_some()
    }

    /// Sums over positions, exactly, per coin of amount.
    pub(super) fn exposure(&self, forward: f64) -> Exposure {
        let calls = self.strip.exposure(forward);
        let strikes = self.held.put_strikes as f64 / ONE_E9 as f64 / forward;
        let (delta, coin_delta) = (calls.delta - self.held.puts as f64, calls.coin_delta - strikes);
        Exposure { delta, coin_delta, value: delta - coin_delta, ..calls }
    }

    /// Change of the skew in [`exposure`](Self::exposure) per unit of ln F.
    pub(super) fn skew_slope(&self, forward: f64) -> f64 {
        self.strip.skew_slope(forward)
    }

    /// Lots without regard to sign.
    pub(super) fn gross(&self) -> f64 {
        self.held.gross as f64
    }

    /// Bound on the error of the anchor's deltas per coin of amount, time aside: its own, and of adding up.
    pub(super) fn anchor_error(&self) -> f64 {
        let bounds = self.anchor.bounds();
        let sum = self.reach * self.gross() * SUM_ERROR;
        bounds.delta.max(bounds.coin_delta) + self.centre.stickiness * bounds.skew + sum
    }

    /// Bound on the error of the exact sums per coin of amount, time aside.
    pub(super) fn exact_error(&self, forward: f64) -> f64 {
        let smile = self.centre.stickiness * self.steepest;
        self.gross() * (1.0 + self.highest / forward + smile) * (KERNEL_ERROR + SUM_ERROR)
    }

    /// The error of either that a nanosecond adds, and until when.
    pub(super) fn drift(&self) -> (f64, Nanos) {
        (self.drift * self.gross(), self.until)
    }

    /// Bound on the error that time since the ticket's has added: all of delta where it has run too far.
    pub(super) fn aged(&self, now: Nanos) -> f64 {
        self.gross() * if now <= self.until { self.drift * now.since(self.ticket.time) as f64 } else { 1.0 }
    }

    /// The same for one lot.
    pub(super) fn aged_per_lot(&self, now: Nanos) -> f64 {
        if now <= self.until { self.drift * now.since(self.ticket.time) as f64 } else { 1.0 }
    }
}
