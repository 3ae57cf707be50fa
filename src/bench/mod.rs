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

mod buffer;
mod floor;
mod fused;
mod host;
pub mod market;
mod recorded;
mod results;
mod series;
mod split;
mod stages;
mod topology;
mod way;
mod wire;

pub use fused::{FusedConfig, FusedRig};
pub use host::Host;
pub use recorded::Captured;
pub use results::{Answered, Compute, Rate, Results};
pub use series::{Round, Series};
pub use split::SplitRig;
pub use stages::OpenError;
pub use way::{Arrivals, Load, TO_DECISION, TO_ORDER, TO_WIRE, Way};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::clock::{Source, StampClock};
use crate::runtime::placement::{self, PlacementError, Topology};
use market::{BookSize, Opening, Outcome};
use recorded::Recorded;
use topology::Measured;
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
    /// Captures of real packets, played once a round.
    pub captures: Vec<PathBuf>,
}

impl Default for Plan {
    /// Half a minute of measuring in five rounds.
    fn default() -> Self {
        Self {
            topologies: vec![Topology::Fused, Topology::Split],
            lasts: Duration::from_secs(30),
            rounds: 5,
            held: 552,
            books: vec![50, 500, 5_000, 50_000],
            rates: vec![10_000, 50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000],
            bursts: vec![4, 32, 256],
            wire_rate: Some(1_000),
            captures: Vec::new(),
        }
    }
}

impl Plan {
    /// A slice of everything: enough to see that it works, not to believe a figure.
    pub fn quick() -> Self {
        Self {
            lasts: Duration::from_millis(1_500),
            rounds: 2,
            books: vec![500, 5_000],
            rates: vec![10_000, 200_000],
            bursts: vec![32],
            ..Self::default()
        }
    }

    /// How long one case of one round lasts.
    fn turn(&self) -> Duration {
        let over_sockets = if self.wire_rate.is_some() { 4 } else { 0 };
        let arrivals = self.rates.len() + self.bursts.len();
        let without: usize = self.topologies.iter().map(|&topology| Measured::cases(topology, arrivals)).sum();
        let cases = 1 + without + self.books.len() + over_sockets;
        self.lasts / (self.rounds * cases as u32).max(1)
    }

    /// Of the open loops.
    fn arrivals(&self) -> impl Iterator<Item = Arrivals> {
        let bursts = self.bursts.iter().map(|&burst| Arrivals { rate: BURST_RATE, burst });
        self.rates.iter().map(|&rate| Arrivals::evenly(rate)).chain(bursts)
    }
}

/// Ticks a second of a sweep of bursts, on average: few enough for a burst to be done with when the next one comes.
pub const BURST_RATE: u64 = 20_000;

/// A turn that is about to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Which round; 0 warms up.
    pub round: u32,
    /// Of how many.
    pub rounds: u32,
    /// What is measured.
    pub what: &'a str,
    bench: &'a Bench,
}

impl fmt::Display for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.round {
            0 => write!(f, "warm-up: {}", self.what),
            round => write!(f, "round {round} of {}: {}", self.rounds, self.what),
        }
    }
}

impl Turn<'_> {
    /// What rounds that have ended came to. Takes milliseconds: for whoever looks.
    pub fn so_far(&self) -> Results {
        self.bench.results()
    }
}

/// Carries a plan out. `progress` hears of every turn before it is measured.
pub fn run(plan: &Plan, mut progress: impl FnMut(Turn<'_>)) -> Result<Results, OpenError> {
    let mut bench = Bench::open(plan)?;
    for round in 0..=plan.rounds {
        bench.round(plan, round, &mut progress)?;
    }
    Ok(bench.results())
}

/// Everything that is measured, and what came of it.
#[derive(Debug)]
struct Bench {
    clock: StampClock,
    cores: Vec<usize>,
    host: Host,
    layout: placement::Plan,
    /// The exchange's own core.
    core: Option<usize>,
    floors: Vec<f64>,
    topologies: Vec<Measured>,
    books: Vec<(usize, FusedRig, Way)>,
    recorded: Recorded,
    /// From its first round on.
    wire: Option<Wire>,
}

impl Bench {
    fn open(plan: &Plan) -> Result<Self, OpenError> {
        let clock = StampClock::calibrate();
        let cores = placement::available_cores();
        let stamps = if clock.source() == Source::Counter { "processor counter" } else { "monotonic clock" };
        let host = Host::describe(&cores, stamps);
        let opening = Opening::record(BookSize::holding(plan.held))?;
        let topologies = plan.topologies.iter();
        let topologies: Vec<Measured> = topologies
            .map(|&is| Measured::open(is, &opening, plan.arrivals(), &cores, clock))
            .collect::<Result<_, _>>()?;
        let mut books = Vec::new();
        for &held in &plan.books {
            let opening = Opening::of_options(held);
            let rig = FusedRig::open(&opening, FusedConfig::bare(Outcome::NoTrade), clock)?;
            books.push((held, rig, Way::new(&[], &clock)));
        }
        let recorded = Recorded::read(&plan.captures)?;
        let (layout, core) = wire_layout(&cores)?;
        Ok(Self { clock, cores, host, layout, core, floors: Vec::new(), topologies, books, recorded, wire: None })
    }

    /// A turn of every case. The first round warms up: caches, branch predictors, and cores that slept. It is half as long, and
    /// forgotten.
    fn round(&mut self, plan: &Plan, round: u32, progress: &mut impl FnMut(Turn<'_>)) -> Result<(), OpenError> {
        let lasts = if round == 0 { plan.turn() / 2 } else { plan.turn() };
        let mut tell = |bench: &Self, what: &str| progress(Turn { round, rounds: plan.rounds, what, bench });
        tell(self, "cache-line floor");
        self.floors.extend(floor::floor_ns(&self.cores, lasts, &self.clock));
        for (at, topology) in plan.topologies.iter().enumerate() {
            tell(self, &topology.to_string());
            self.topologies[at].round(lasts);
        }
        for at in 0..self.books.len() {
            tell(self, &format!("{} options", self.books[at].0));
            let (_, rig, way) = &mut self.books[at];
            rig.closed(lasts, way);
        }
        if !self.recorded.is_empty() {
            tell(self, "captures");
            self.recorded.round(self.clock)?;
        }
        if let (Some(rate), true) = (plan.wire_rate, round > 0) {
            tell(self, "sockets");
            let (size, lasts) = (BookSize::holding(plan.held), lasts.clamp(WIRE_SHORTEST, wire::LONGEST / 2));
            let Self { layout, core, clock, wire, .. } = self;
            let round = wire::Round { plan: layout, core: *core, size, rate, lasts, clock: *clock };
            wire.get_or_insert_default().round(round)?;
        }
        if round == 0 {
            self.topologies.iter_mut().for_each(Measured::forget);
            self.books.iter_mut().for_each(|(_, _, way)| *way = way.emptied());
            self.recorded.forget();
            self.floors.clear();
        }
        Ok(())
    }

    /// What the rounds that have ended came to.
    fn results(&self) -> Results {
        let mut results = Results {
            host: self.host.clone(),
            clock_resolution_ns: self.clock.resolution_ns(),
            floor_ns: self.floors.iter().copied().min_by(f64::total_cmp),
            ..Results::default()
        };
        for (at, measured) in self.topologies.iter().enumerate() {
            measured.enter(&mut results, at == 0);
        }
        for (held, _, way) in &self.books {
            results.book_sweep.insert(*held, way.total.percentiles().p50);
            results.enter(format!("book.{held}"), &way.total);
        }
        if !self.recorded.is_empty() {
            self.recorded.enter(&mut results);
        }
        if let Some(wire) = &self.wire {
            results.enter_wire(&self.layout, wire);
        }
        let is_sharing = self.topologies.iter().any(Measured::shares_cores);
        notices(&self.cores, is_sharing, &mut results);
        results
    }
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

fn notices(cores: &[usize], is_sharing: bool, results: &mut Results) {
    if is_sharing {
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
