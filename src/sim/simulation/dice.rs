//! The one source of chance in a run, and the tally of what was done with it.

use super::faults::{Counts, Fault, Rate};
use super::options::Options;
use crate::sim::random::Random;
use crate::units::Nanos;

/// Draws the faults of a run and counts them.
#[derive(Debug)]
pub(super) struct Dice {
    options: Options,
    /// Draws that are not about whether a fault happens.
    pub(super) random: Random,
    /// Whether faults still happen.
    pub(super) faulty: bool,
    injected: Counts,
}

impl Dice {
    pub(super) fn new(options: &Options) -> Self {
        Self { random: Random::new(options.seed), options: options.clone(), faulty: true, injected: Counts::default() }
    }

    /// Whether a fault with a probability for each occasion happens on this one.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.options.rate(fault);
        let happens = self.faulty && rate > 0.0 && self.random.chance(rate);
        self.count(fault, happens)
    }

    /// Whether a fault with a rate a second is due within the next `step_ns`. Whether it then strikes is not counted here.
    pub(super) fn is_due_within(&mut self, fault: Fault, step_ns: u64) -> bool {
        let rate = self.options.rate(fault) * step_ns as f64 / Nanos::PER_SECOND as f64;
        self.faulty && rate > 0.0 && self.random.chance(rate)
    }

    /// Whether a fault that lasts is on.
    pub(super) fn is_on(&self, fault: Fault) -> bool {
        debug_assert!(fault.rate() == Rate::Switch);
        self.options.rate(fault) > 0.0
    }

    /// Counts what happened by another way than a draw.
    pub(super) fn count(&mut self, fault: Fault, happens: bool) -> bool {
        if happens {
            self.injected.count(fault);
        }
        happens
    }

    /// Milliseconds between `least` and `most`, as nanoseconds.
    pub(super) fn wait_ns(&mut self, least_ms: u64, most_ms: u64) -> u64 {
        (least_ms + self.random.below(most_ms - least_ms + 1)) * Nanos::PER_MILLI
    }

    /// How often each fault happened.
    pub(super) fn injected(&self) -> Counts {
        self.injected
    }
}
