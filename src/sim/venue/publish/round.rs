//! Rounds of snapshots: every listing once, by channel, spread evenly over the round.

use std::ops::Range;

use super::PublishConfig;
use crate::sim::venue::spec::Universe;
use crate::units::Nanos;

/// One round after another. The first takes a tenth of the time.
#[derive(Debug)]
pub(super) struct Round {
    order: Vec<usize>,
    channels: Vec<u16>,
    at: usize,
    start: Nanos,
    is_first: bool,
}

/// One listing's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) listing: usize,
    /// Whether a channel begins with it.
    pub(super) opens: bool,
    /// Whether a channel ends with it.
    pub(super) closes: bool,
}

impl Round {
    pub(super) fn new(universe: &Universe) -> Self {
        let channel = |listing: &usize| universe.contracts[*listing].channel;
        let mut order: Vec<usize> = (0..universe.contracts.len()).collect();
        order.sort_by_key(channel);
        let channels = order.iter().map(channel).collect();
        Self { order, channels, at: 0, start: universe.start, is_first: true }
    }

    /// The channels in order.
    pub(super) fn channels(&self) -> Vec<u16> {
        let mut channels = self.channels.clone();
        channels.dedup();
        channels
    }

    /// The turns that are due by `now`. Once all were taken and the time is up, the next round begins.
    pub(super) fn due(&mut self, config: &PublishConfig, now: Nanos) -> Range<usize> {
        let tenths = if self.is_first { 1 } else { 10 };
        let round_ns = (config.snapshot_ns / 10 * tenths).max(1);
        let elapsed_ns = now.since(self.start).min(round_ns);
        let due = u128::from(elapsed_ns) * self.order.len() as u128 / u128::from(round_ns);
        let turns = self.at..(due as usize).max(self.at);
        self.at = turns.end;
        if elapsed_ns == round_ns {
            (self.at, self.start, self.is_first) = (0, now, false);
        }
        turns
    }

    pub(super) fn turn(&self, at: usize) -> Turn {
        let channel = |at: usize| self.channels.get(at);
        Turn {
            listing: self.order[at],
            opens: at == 0 || channel(at - 1) != channel(at),
            closes: channel(at + 1) != channel(at),
        }
    }
}
