//! The options of one expiry, valued together.
//!
//! An [`Engine`] knows what is held of an expiry, option by option, and owns the [`Generation`] that values it. A tick is
//! answered by the generation's anchor inside its window, by its strip exactly outside it, or where volatilities moved
//! by more than their patch can bound; both say by how much they can be wrong, the time since they were built included.
//!
//! **Invariant**: the generation holds the lots and volatilities known here, of the options it covers; options entered
//! since it was built wait for the next and are valued elsewhere. Lots are whole numbers: adding a position and taking
//! it away leaves no trace. **Failure**: no slot, or lots beyond what an anchor sums: the caller values the expiry option
//! by option instead.

use super::certainty::Certainty;
use super::convention::{Convention, Neutrality};
use super::generation::{Centre, Generation, Term, Ticket};
use crate::pricing::Exposure;
use crate::pricing::anchor::{Mix, Panel};
use crate::pricing::elementary::LnParts;
use crate::units::Nanos;

/// Powers of the anchors in use.
pub(super) const ROWS: usize = 9;
/// Error of delta from time alone, per lot, beyond which an anchor should be rebuilt.
const TIME_TOLERANCE: f64 = 1e-6;
/// Error of delta from volatilities patched in, per lot, beyond which the exact sums are preferred.
const PATCH_TOLERANCE: f64 = 1e-4;

/// The engine cannot hold this position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// What an expiry's options are exposed to, coins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) delta: f64,
    pub(super) log_gamma: f64,
    pub(super) error: f64,
}

/// One expiry's options, by slot.
#[derive(Debug)]
pub(super) struct Engine {
    terms: Box<[Term]>,
    len: usize,
    generation: Option<Box<Generation>>,
    /// Amount of one lot and whether it settles in coins, the same for all.
    alike: Option<(f64, bool)>,
    convention: Convention,
    /// The last request, and when it was made if it is under way.
    number: u32,
    asked_at: Option<Nanos>,
    /// Something came that the generation was not built with, or it was missed.
    is_outdated: bool,
}

impl Engine {
    pub(super) fn new(options: usize, convention: Convention) -> Self {
        Self {
            terms: vec![Term::NOTHING; options].into_boxed_slice(),
            len: 0,
            generation: None,
            alike: None,
            convention,
            number: 0,
            asked_at: None,
            is_outdated: true,
        }
    }

    /// Forgets every option, and what was asked for. Returns the buffer.
    pub(super) fn clear(&mut self) -> Option<Box<Generation>> {
        (self.len, self.alike, self.asked_at, self.is_outdated) = (0, None, None, true);
        self.generation.take()
    }

    /// Whether an option has the terms of those already here; the first one sets them.
    pub(super) fn is_alike(&mut self, amount: f64, is_inverse: bool) -> bool {
        *self.alike.get_or_insert((amount, is_inverse)) == (amount, is_inverse)
    }

    /// Gives an option a slot. It takes part from the next generation on.
    pub(super) fn enter(&mut self, term: Term) -> Result<u16, NoRoom> {
        let slot = self.len;
        *self.terms.get_mut(slot).ok_or(NoRoom)? = term;
        self.len += 1;
        self.is_outdated = true;
        Ok(slot as u16)
    }

    /// How many slots the generation in use covers.
    pub(super) fn covered(&self) -> usize {
        self.generation.as_ref().map_or(0, |generation| generation.len())
    }

    /// The option in a slot.
    pub(super) fn term(&self, slot: usize) -> &Term {
        &self.terms[slot]
    }

    /// Takes in a volatility and the smile's slope there. The anchor follows to first order and waits for its rebuild.
    pub(super) fn set_vol(&mut self, slot: u16, sigma: f64, slope: f64, time: Nanos) {
        let slot = usize::from(slot);
        let term = &mut self.terms[slot];
        (term.sigma, term.slope, term.sigma_time) = (sigma, slope, time);
        self.is_outdated = true;
        if let Some(generation) = self.generation.as_mut().filter(|generation| slot < generation.len()) {
            generation.set_vol(slot, sigma, slope);
        }
    }

    /// Takes in a position, in lots.
    pub(super) fn set_lots(&mut self, slot: u16, lots: i64) -> Result<(), NoRoom> {
        let slot = usize::from(slot);
        self.terms[slot].lots = lots;
        match self.generation.as_mut().filter(|generation| slot < generation.len()) {
            Some(generation) => generation.set_lots(slot, lots).map_err(|_| NoRoom),
            None => Ok(()),
        }
    }

    /// Whether a rebuild would make it faster or more exact.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        let aged = |generation: &Generation| generation.aged_per_lot(now) > TIME_TOLERANCE;
        self.is_outdated || self.generation.as_deref().is_none_or(aged)
    }

    /// Since when a request is under way.
    pub(super) fn asked_at(&self) -> Option<Nanos> {
        self.asked_at
    }

    /// The generation in use, to be filled anew.
    pub(super) fn take_generation(&mut self) -> Option<Box<Generation>> {
        self.generation.take()
    }

    /// Fills a generation with what is known. What comes from now on is caught up with when it is adopted.
    pub(super) fn fill(&mut self, generation: &mut Generation, mut ticket: Ticket, centre: Centre) {
        self.number = self.number.wrapping_add(1);
        ticket.number = self.number;
        generation.fill(ticket, centre, &self.terms[..self.len]);
        (self.asked_at, self.is_outdated) = (Some(ticket.time), false);
    }

    /// Whether a computed generation is the one last asked for.
    pub(super) fn awaits(&self, ticket: &Ticket) -> bool {
        self.asked_at.is_some() && ticket.number == self.number
    }

    /// Takes a generation up in place of the one in use, which is returned.
    pub(super) fn adopt(
        &mut self,
        mut generation: Box<Generation>,
    ) -> Result<Option<Box<Generation>>, Box<Generation>> {
        self.asked_at = None;
        if generation.catch_up(&self.terms[..self.len]).is_err() {
            return Err(generation);
        }
        Ok(self.generation.replace(generation))
    }

    /// Shows the anchor in a lane of a panel and evaluates it at a spot of which the logarithm is given; nothing where the
    /// exact sums are preferred.
    pub(super) fn show(&mut self, panel: &mut Panel<ROWS>, lane: usize, ln_spot: LnParts) -> Certainty {
        let (amount, is_inverse) = self.alike.unwrap_or_default();
        let mix = Mix { in_coins: self.in_coins(is_inverse), stickiness: self.convention.stickiness, amount };
        let Some(generation) = self.generation.as_mut() else {
            panel.clear(lane);
            return Certainty::default();
        };
        generation.anchor.patch_in();
        let error = generation.anchor_error();
        if error > PATCH_TOLERANCE * generation.gross() {
            panel.clear(lane);
        } else {
            panel.load(lane, &generation.anchor, mix, ln_spot);
        }
        let (drift, until) = generation.drift();
        let per_ns = amount * drift;
        // Doubles know the time to some 200 ns.
        let at_epoch = amount * error - per_ns * (generation.ticket.time.0 as f64 - 1_000.0);
        Certainty { at_epoch, per_ns, until }
    }

    /// Bound on the error of what its lane shows.
    pub(super) fn shown_error(&self, now: Nanos) -> f64 {
        let Some(generation) = &self.generation else { return 0.0 };
        self.alike.unwrap_or_default().0 * (generation.anchor_error() + generation.aged(now))
    }

    /// Delta and log-gamma of all covered positions, exactly; called where the lane shows nothing.
    pub(super) fn exact(&mut self, forward: f64, now: Nanos) -> Options {
        let Some(generation) = &self.generation else { return Options::default() };
        self.is_outdated |= !generation.reaches(forward);
        let (amount, is_inverse) = self.alike.unwrap_or_default();
        let exposure: Exposure = generation.exposure(forward);
        let (in_coins, stickiness) = (self.in_coins(is_inverse), self.convention.stickiness);
        let (mut delta, mut log_gamma) =
            if in_coins { (exposure.coin_delta, exposure.coin_log_gamma()) } else { (exposure.delta, exposure.gamma) };
        if stickiness > 0.0 {
            delta += exposure.floating_smile(stickiness);
            log_gamma += exposure.floating_smile_slope(stickiness, generation.skew_slope(forward), in_coins);
        }
        let error = generation.exact_error(forward) + generation.aged(now);
        Options { delta: amount * delta, log_gamma: amount * log_gamma, error: amount * error }
    }

    fn in_coins(&self, is_inverse: bool) -> bool {
        is_inverse && self.convention.neutrality == Neutrality::Coin
    }
}
