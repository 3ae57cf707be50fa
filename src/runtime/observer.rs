//! How a running pipeline is seen from outside: each thread shows its stage in a latest-value cell, whoever looks reads.
//!
//! A hot thread pays one pass over its stage's counters every [`SHOW_NS`], some tens of nanoseconds a hundred words, and
//! never waits for a reader. A reader that meets a write under way tries again a bounded number of times.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::alloc::hot_allocations;
use super::clock::StampClock;
use super::control::{Controls, RiskShown};
use super::placement::Topology;
use super::threads::Beat;
use crate::event::{KillCause, KillLevel, Operator};
use crate::ring::{self, Consumer, Reader, Writer};
use crate::telemetry::live::{
    DropCopyShown, FeedShown, GatewayShown, GreeksShown, HedgeShown, RingShown, SharedRecorded, Snapshot, SurfaceShown,
};
use crate::units::Nanos;

/// How often a thread shows its stage, nanoseconds.
pub(super) const SHOW_NS: u64 = 100 * Nanos::PER_MILLI;
/// How often a reader tries that meets a writer, which may have lost its core in the middle,
const TRIES: usize = 20;
/// and how long it waits between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread's end: shows its stage from time to time.
#[derive(Debug)]
pub(super) struct Show<T> {
    cell: Writer<T>,
    beat: Beat,
}

impl<T: IntoBytes + FromBytes + Immutable> Show<T> {
    /// Shows what `look` sees, if it is time to.
    #[inline]
    pub(super) fn turn(&mut self, now: Nanos, look: impl FnOnce() -> T) {
        if self.beat.is_due(now) {
            self.cell.store(&look());
        }
    }

    /// Shows it now, for the last time.
    pub(super) fn end(&mut self, last: &T) {
        self.cell.store(last);
    }
}

/// The threads' ends.
#[derive(Debug)]
pub(super) struct Shows {
    pub(super) feed: Show<FeedShown>,
    pub(super) greeks: Show<GreeksShown>,
    pub(super) hedge: Show<HedgeShown>,
    pub(super) gateway: Show<GatewayShown>,
    pub(super) surface: Show<SurfaceShown>,
    pub(super) drop_copy: Show<DropCopyShown>,
}

/// The reading end.
#[derive(Clone, Debug)]
struct Views {
    feed: Reader<FeedShown>,
    greeks: Reader<GreeksShown>,
    hedge: Reader<HedgeShown>,
    gateway: Reader<GatewayShown>,
    surface: Reader<SurfaceShown>,
    drop_copy: Reader<DropCopyShown>,
}

/// Looks at a running pipeline, and gives it commands. Outlives it harmlessly.
#[derive(Clone, Debug)]
pub struct Observer {
    views: Views,
    recorded: SharedRecorded,
    controls: Arc<Controls>,
    clock: StampClock,
    topology: &'static str,
    started: Instant,
}

impl Observer {
    /// Everything, as last shown.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            time_ns: self.clock.now().0,
            up_ns: u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            topology: self.topology,
            hot_allocations: hot_allocations(),
            feed: read(&self.views.feed),
            surface: read(&self.views.surface),
            greeks: read(&self.views.greeks),
            hedge: read(&self.views.hedge),
            gateway: read(&self.views.gateway),
            drop_copy: read(&self.views.drop_copy),
            recorded: self.recorded.lock().ok().and_then(|recorded| recorded.clone()),
        }
    }

    /// Puts a level of the kill switch in force in somebody's name, as an operator's command on the control socket does;
    /// false when too many commands wait.
    pub fn command(&self, level: KillLevel, by: Operator) -> bool {
        self.controls.command(level, KillCause::Operator, by)
    }

    /// What risk said, a millisecond ago.
    pub fn risk(&self) -> RiskShown {
        self.controls.risk()
    }
}

/// Both ends.
pub(super) fn join(
    controls: Arc<Controls>,
    recorded: SharedRecorded,
    clock: StampClock,
    topology: Topology,
) -> (Shows, Observer) {
    let (feed, feed_view) = cell();
    let (greeks, greeks_view) = cell();
    let (hedge, hedge_view) = cell();
    let (gateway, gateway_view) = cell();
    let (surface, surface_view) = cell();
    let (drop_copy, drop_copy_view) = cell();
    let views = Views {
        feed: feed_view,
        greeks: greeks_view,
        hedge: hedge_view,
        gateway: gateway_view,
        surface: surface_view,
        drop_copy: drop_copy_view,
    };
    let topology = match topology {
        Topology::Split => "split",
        Topology::Solo => "solo",
        Topology::Fused | Topology::Auto => "fused",
    };
    let observer = Observer { views, recorded, controls, clock, topology, started: Instant::now() };
    (Shows { feed, greeks, hedge, gateway, surface, drop_copy }, observer)
}

/// How the reading end of a ring stands.
pub(super) fn ring_shown<M: Copy + Send + Sync>(ring: &Consumer<M>) -> RingShown {
    RingShown { lag: ring.lag() as u64, full: ring.full_count() }
}

fn cell<T: Default + IntoBytes + FromBytes + Immutable>() -> (Show<T>, Reader<T>) {
    let (cell, reader) = ring::latest(T::default());
    (Show { cell, beat: Beat::new(SHOW_NS) }, reader)
}

/// `None` before anything was shown.
fn read<T: IntoBytes + FromBytes + Immutable>(reader: &Reader<T>) -> Option<T> {
    let attempt = |at: usize| {
        if at > 0 {
            thread::sleep(PAUSE);
        }
        reader.try_read()
    };
    if reader.version() == 0 { None } else { (0..TRIES).find_map(attempt) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_seen_before_it_is_shown_and_then_the_latest_on_its_beat() {
        let (mut show, view) = cell::<RingShown>();
        assert_eq!(read(&view), None, "zeros would look like counters that start again");
        let shown = |lag| RingShown { lag, full: 0 };
        show.turn(Nanos(SHOW_NS), || shown(1));
        show.turn(Nanos(SHOW_NS + 1), || shown(2));
        assert_eq!(read(&view), Some(shown(1)));
        show.turn(Nanos(2 * SHOW_NS), || shown(3));
        assert_eq!(read(&view), Some(shown(3)));
        show.end(&shown(4));
        assert_eq!(read(&view), Some(shown(4)));
    }
}
