//! Everything that is measured of one topology without sockets, round by round.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fused::{FusedConfig, FusedRig};
use super::market::{Opening, Outcome};
use super::results::{Rate, Results};
use super::split::SplitRig;
use super::stages::OpenError;
use super::way::{Arrivals, Load, TO_DECISION, TO_ORDER, Way};
use crate::runtime::clock::StampClock;
use crate::runtime::placement::Topology;

/// Hops by outcome.
const HOPS: [&[&str]; 2] = [TO_DECISION, TO_ORDER];
const OUTCOMES: [Outcome; 2] = [Outcome::NoTrade, Outcome::Order];

/// The stages, by outcome.
#[derive(Debug)]
enum Rigs {
    /// On one thread: once without the stamps of hops, once with them.
    Fused { bare: Box<[FusedRig; 2]>, stamped: Box<[FusedRig; 2]> },
    /// On four. The stamps of hops are how a thread hears of another's work, and part of it.
    Split(Box<[SplitRig; 2]>),
}

/// A topology and what was measured of it.
#[derive(Debug)]
pub(super) struct Measured {
    topology: Topology,
    rigs: Rigs,
    /// Of whole ticks, by outcome.
    whole: [Way; 2],
    /// Of their hops.
    hops: [Way; 2],
    /// Of ticks in an open loop.
    sweep: Vec<(Arrivals, Way, Load)>,
}

impl Measured {
    /// Opens every case, with these arrivals for the open loops.
    pub(super) fn open(
        topology: Topology,
        opening: &Opening,
        arrivals: impl Iterator<Item = Arrivals>,
        cores: &[usize],
        clock: StampClock,
    ) -> Result<Self, OpenError> {
        let fused = |config| FusedRig::open(opening, config, clock);
        let split = |outcome| SplitRig::open(opening, outcome, cores, clock);
        let [quiet, trading] = OUTCOMES;
        let rigs = match topology {
            Topology::Split => Rigs::Split(Box::new([split(quiet)?, split(trading)?])),
            _ => Rigs::Fused {
                bare: Box::new([fused(FusedConfig::bare(quiet))?, fused(FusedConfig::bare(trading))?]),
                stamped: Box::new([fused(FusedConfig::stamped(quiet))?, fused(FusedConfig::stamped(trading))?]),
            },
        };
        let ways = || HOPS.map(|hops| Way::new(hops, &clock));
        let sweep = arrivals.map(|arrivals| (arrivals, Way::new(&[], &clock), Load::default())).collect();
        Ok(Self { topology, rigs, whole: ways(), hops: ways(), sweep })
    }

    /// Cases of a round, one after the other.
    pub(super) fn cases(topology: Topology, arrivals: usize) -> usize {
        arrivals + if topology == Topology::Split { 2 } else { 4 }
    }

    /// One round of every case.
    pub(super) fn round(&mut self, lasts: Duration) {
        let Self { rigs, whole, hops, sweep, .. } = self;
        match rigs {
            Rigs::Fused { bare, stamped } => {
                bare.iter_mut().zip(whole).for_each(|(rig, way)| rig.closed(lasts, way));
                stamped.iter_mut().zip(hops).for_each(|(rig, way)| rig.closed(lasts, way));
            }
            Rigs::Split(rigs) => rigs.iter_mut().zip(whole).for_each(|(rig, way)| rig.closed(lasts, way)),
        }
        for (arrivals, way, load) in sweep {
            load.add(&match rigs {
                Rigs::Fused { bare, .. } => bare[1].open_loop(*arrivals, lasts, way),
                Rigs::Split(rigs) => rigs[1].open_loop(*arrivals, lasts, way),
            });
        }
    }

    /// Forgets what was measured so far.
    pub(super) fn forget(&mut self) {
        self.whole.iter_mut().chain(&mut self.hops).for_each(|way| *way = way.emptied());
        for (_, way, load) in &mut self.sweep {
            (*way, *load) = (way.emptied(), Load::default());
        }
    }

    /// Whether threads share cores.
    pub(super) fn shares_cores(&self) -> bool {
        matches!(&self.rigs, Rigs::Split(rigs) if rigs[0].is_sharing())
    }

    /// Enters everything.
    pub(super) fn enter(&self, results: &mut Results, is_first: bool) {
        let name = self.topology.to_string();
        let hops = if matches!(self.rigs, Rigs::Fused { .. }) { &self.hops } else { &self.whole };
        results.enter_compute(&name, self.shares_cores(), &self.whole, hops);
        let of = |is_burst: bool, key: fn(&Arrivals) -> u64| -> BTreeMap<u64, Rate> {
            let kind = self.sweep.iter().filter(|(arrivals, ..)| (arrivals.burst > 1) == is_burst);
            kind.map(|(arrivals, way, load)| (key(arrivals), Rate::of(way, *load))).collect()
        };
        results.enter_rates(&name, of(false, |arrivals| arrivals.rate), is_first);
        results.burst_sweep.insert(name, of(true, |arrivals| arrivals.burst));
    }
}
