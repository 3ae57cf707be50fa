//! Measures the pipeline's latency, beside what the machine asks for at the least.
//!
//! Enters: a [`Plan`]. Leaves: [`Results`], with every histogram. Each figure is of the live stages: `compute` runs them
//! from packet bytes to order bytes without sockets, on one thread and on four; `wire` runs the live pipeline over loopback
//! sockets, beside a bare echo. What is compared is measured in turns within
//! one run: a round of each case, then the next round of each, so that whatever else the machine does falls on all of them.
//! An open loop times a tick from when it was due, so that a stall counts for every tick that it delays.
//!
//! Cost: as long as the plan says, and the openings, one a size of book. Fails with an [`OpenError`]; what is short of
//! perfect (shared cores, ticks that ended otherwise) is a notice beside the figures, never left out.

mod floor;
mod fused;
mod host;
pub mod market;
mod results;
mod series;
mod split;
mod stages;
mod way;
mod wire;

pub use fused::FusedRig;
pub use host::Host;
pub use results::{Answered, Compute, Rate, Results};
pub use series::{Round, Series};
pub use split::SplitRig;
pub use stages::OpenError;
pub use way::{Arrivals, Load, TO_DECISION, TO_ORDER, TO_WIRE, Way};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::runtime::clock::{Source, StampClock};
use crate::runtime::placement::{self, PlacementError, Topology};
use market::{BookSize, Opening, Outcome};
use wire::Wire;

/// What a loop over sockets lasts at least.
const WIRE_SHORTEST: Duration = Duration::from_millis(150);

/// What to measure, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// `Fused` and `Split`, in the order of the report.
    pub topologies: Vec<Topology>,
    /// Measuring in all, openings apart.
    pub lasts: Duration,
    /// Rounds, interleaved.
    pub rounds: u32,
    /// Options held where the book's size does not vary.
    pub held: usize,
    /// Options held, for the sweep of sizes.
    pub books: Vec<usize>,
    /// Ticks a second, for the sweep of rates.
    pub rates: Vec<u64>,
    /// Ticks that come at once, for the sweep of bursts, at [`BURST_RATE`].
    pub bursts: Vec<u64>,
    /// Ticks a second over sockets, in the open loop; `None` to leave sockets out.
    pub wire_rate: Option<u64>,
}

impl Default for Plan {
    /// Half a minute of measuring in five rounds.
    fn default() -> Self {
        Self {
            topologies: vec![Topology::Fused, Topology::Split],
            lasts: Duration::from_secs(30),
            rounds: 5,
            held: 552,
            books: vec![24, 288, 552, 1_104, 1_920],
            rates: vec![10_000, 50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000],
            bursts: vec![4, 32, 256],
            wire_rate: Some(1_000),
        }
    }
}

impl Plan {
    /// A slice of everything: enough to see that it works, not to believe a figure.
    pub fn quick() -> Self {
        Self {
            lasts: Duration::from_millis(1_500),
            rounds: 2,
            books: vec![24, 552],
            rates: vec![10_000, 200_000],
            bursts: vec![32],
            ..Self::default()
        }
    }

    /// How long one case of one round lasts.
    fn turn(&self) -> Duration {
        let over_sockets = if self.wire_rate.is_some() { 4 } else { 0 };
        let closed = 1 + 2 * self.topologies.len() + self.books.len() + over_sockets;
        let cases = closed + self.topologies.len() * (self.rates.len() + self.bursts.len());
        self.lasts / (self.rounds * cases as u32).max(1)
    }
}

/// A topology without sockets, at both outcomes.
struct Case<R> {
    rig: [R; 2],
    way: [Way; 2],
}

impl<R> Case<R> {
    fn open(clock: &StampClock, rig: impl Fn(Outcome) -> Result<R, OpenError>) -> Result<Self, OpenError> {
        let way = [TO_DECISION, TO_ORDER].map(|hops| Way::new(hops, clock));
        Ok(Self { rig: [rig(Outcome::NoTrade)?, rig(Outcome::Order)?], way })
    }

    fn enter(&self, name: &str, shares_cores: bool, results: &mut Results) {
        results.enter_compute(name, shares_cores, &self.way[0], &self.way[1]);
    }
}

/// Arrivals and what they came to, over the rounds.
type Sweep = Vec<(Arrivals, Way, Load)>;

/// Ticks a second of a sweep of bursts, on average: few enough for a burst to be done with when the next one comes.
pub const BURST_RATE: u64 = 20_000;

/// Carries a plan out. `progress` hears of every turn: which of how many, and what it measures.
pub fn run(plan: &Plan, mut progress: impl FnMut(u32, u32, &str)) -> Result<Results, OpenError> {
    let clock = StampClock::calibrate();
    let cores = placement::available_cores();
    let stamps = if clock.source() == Source::Counter { "processor counter" } else { "monotonic clock" };
    let mut results = Results {
        host: Host::describe(&cores, stamps),
        clock_resolution_ns: clock.resolution_ns(),
        ..Results::default()
    };
    let opening = Opening::record(BookSize::holding(plan.held))?;
    let mut fused = Case::open(&clock, |outcome| FusedRig::open(&opening, outcome, clock))?;
    let mut split = Case::open(&clock, |outcome| SplitRig::open(&opening, outcome, &cores, clock))?;
    let mut books = Vec::new();
    for &held in &plan.books {
        let opening = Opening::record(BookSize::holding(held))?;
        books.push((held, FusedRig::open(&opening, Outcome::NoTrade, clock)?, Way::new(TO_DECISION, &clock)));
    }
    let sweep = || -> Sweep {
        let bursts = plan.bursts.iter().map(|&burst| Arrivals { rate: BURST_RATE, burst });
        let all = plan.rates.iter().map(|&rate| Arrivals::evenly(rate)).chain(bursts);
        all.map(|arrivals| (arrivals, Way::new(TO_ORDER, &clock), Load::default())).collect()
    };
    let mut sweeps: Vec<Sweep> = plan.topologies.iter().map(|_| sweep()).collect();
    let (turn, mut floors) = (plan.turn(), Vec::new());
    let (layout, core) = wire_layout(&cores)?;
    let mut wire = Wire::default();
    for round in 0..=plan.rounds {
        // The first round warms up: caches, branch predictors, and cores that slept. It is half as long, and forgotten.
        let lasts = if round == 0 { turn / 2 } else { turn };
        progress(round, plan.rounds, "cache-line floor");
        floors.extend(floor::floor_ns(&cores, lasts, &clock));
        for (topology, sweep) in plan.topologies.iter().zip(&mut sweeps) {
            progress(round, plan.rounds, &topology.to_string());
            for at in 0..2 {
                match topology {
                    Topology::Split => split.rig[at].closed(lasts, &mut split.way[at]),
                    _ => fused.rig[at].closed(lasts, &mut fused.way[at]),
                }
            }
            for (arrivals, way, load) in sweep {
                load.add(&match topology {
                    Topology::Split => split.rig[1].open_loop(*arrivals, lasts, way),
                    _ => fused.rig[1].open_loop(*arrivals, lasts, way),
                });
            }
        }
        for (held, rig, way) in &mut books {
            progress(round, plan.rounds, &format!("{held} options"));
            rig.closed(lasts, way);
        }
        if let (Some(rate), true) = (plan.wire_rate, round > 0) {
            progress(round, plan.rounds, "sockets");
            let (size, lasts) = (BookSize::holding(plan.held), lasts.clamp(WIRE_SHORTEST, wire::LONGEST / 2));
            wire.round(wire::Round { plan: &layout, core, size, rate, lasts, clock })?;
        }
        if round == 0 {
            let ways = fused.way.iter_mut().chain(&mut split.way).chain(books.iter_mut().map(|(_, _, way)| way));
            ways.for_each(|way| *way = way.emptied());
            sweeps = plan.topologies.iter().map(|_| sweep()).collect();
            floors.clear();
        }
    }
    floors.sort_by(f64::total_cmp);
    results.floor_ns = floors.first().copied();
    for (at, (topology, sweep)) in plan.topologies.iter().zip(&sweeps).enumerate() {
        let name = topology.to_string();
        match topology {
            Topology::Split => split.enter(&name, split.rig[0].is_sharing(), &mut results),
            _ => fused.enter(&name, false, &mut results),
        }
        let of = |is_burst: bool, key: fn(&Arrivals) -> u64| -> BTreeMap<u64, Rate> {
            let kind = sweep.iter().filter(|(arrivals, ..)| (arrivals.burst > 1) == is_burst);
            kind.map(|(arrivals, way, load)| (key(arrivals), rate_of(way, *load))).collect()
        };
        results.enter_rates(&name, of(false, |arrivals| arrivals.rate), at == 0);
        results.burst_sweep.insert(name, of(true, |arrivals| arrivals.burst));
    }
    for (held, _, way) in &books {
        results.book_sweep.insert(*held, way.total.percentiles().p50);
        results.enter(format!("book.{held}"), &way.total);
    }
    if plan.wire_rate.is_some() {
        results.enter_wire(&layout, wire);
    }
    notices(plan, &cores, &split, &mut results);
    Ok(results)
}

/// Where the pipeline's threads run, and the exchange's: a spinning thread has its core to itself as long as there are enough.
fn wire_layout(cores: &[usize]) -> Result<(placement::Plan, Option<usize>), PlacementError> {
    // The gateway's thread, the exchange and the cold threads each want a core besides.
    let topology = if cores.len() >= 4 { Topology::Fused } else { Topology::Solo };
    let layout = placement::plan(&placement::Request { topology, cores: None, idle: None }, cores)?;
    let taken = |core: &&usize| layout.threads.iter().any(|thread| thread.core == Some(**core));
    let core = cores.iter().find(|core| !taken(core)).copied();
    Ok((layout, core))
}

fn rate_of(way: &Way, load: Load) -> Rate {
    let latency = way.total.percentiles();
    Rate { p50: latency.p50, p99: latency.p99, load }
}

fn notices(plan: &Plan, cores: &[usize], split: &Case<SplitRig>, results: &mut Results) {
    if plan.topologies.contains(&Topology::Split) && split.rig[0].is_sharing() {
        let what =
            "split: four threads share the cores and give way to each other, so its figures are the scheduler's too";
        results.notices.push(format!("{what} ({} cores)", cores.len()));
    }
    if cores.len() < 2 {
        results.notices.push("one core: there is no hop between cores to measure".to_owned());
    }
    if results.host.is_virtual {
        results.notices.push("a virtual machine: its cores may be shared with others, read ratios".to_owned());
    }
}
