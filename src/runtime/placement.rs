//! Which stages share a thread, and which core each thread gets.
//!
//! Enters: a [`Request`] and the cores that this process may use. Leaves: a [`Plan`] with one entry for every hot thread,
//! or an error that says what to change. Invariant: no core is given to two threads, and no more threads spin than there
//! are cores. Cold threads (calibration, recording) are never pinned; they run where the hot ones leave room.
//!
//! What `auto` chooses, by the cores available:
//!
//! | cores | stages | hot threads | idle |
//! |---|---|---|---|
//! | 1 | fused | 2, unpinned | adaptive |
//! | 2 | fused | 2, pinned | adaptive: the cold threads need a turn too |
//! | 3, 4 | fused | 2, pinned to the last cores | busy |
//! | 5 and more | split | 4, pinned to the last cores | busy |
//!
//! `solo` has to be asked for: everything on one thread has no hop and needs one core, but a decision that hangs takes the
//! way out for a halt with it, and an order is written before the next packet is looked at.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::idle::IdleStrategy;

/// How stages are spread over threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Feed, greeks and hedge on one thread, the gateway on another.
    Fused,
    /// A thread for each stage.
    Split,
    /// Every hot stage on one thread.
    Solo,
    /// One of the two, by the cores available.
    Auto,
}

impl FromStr for Topology {
    type Err = PlacementError;

    fn from_str(name: &str) -> Result<Self, PlacementError> {
        match name {
            "fused" => Ok(Self::Fused),
            "split" => Ok(Self::Split),
            "solo" => Ok(Self::Solo),
            "auto" => Ok(Self::Auto),
            _ => Err(PlacementError::UnknownTopology(name.to_owned())),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fused => "fused",
            Self::Split => "split",
            Self::Solo => "solo",
            Self::Auto => "auto",
        })
    }
}

/// A hot stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HotStage {
    /// Packets to events.
    Feed,
    /// Events to exposures.
    Greeks,
    /// Exposures to instructions.
    Hedge,
    /// Instructions to bytes and back.
    Gateway,
}

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How to spread the stages.
    pub topology: Topology,
    /// One core for every hot thread, in pipeline order; `None` to choose.
    pub cores: Option<Vec<usize>>,
    /// How hot threads wait; `None` to choose.
    pub idle: Option<IdleStrategy>,
}

/// What runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `Fused`, `Split` or `Solo`.
    pub topology: Topology,
    /// How every hot thread waits.
    pub idle: IdleStrategy,
    /// The hot threads, in pipeline order.
    pub threads: Vec<HotThread>,
    /// What the user should know about the plan; empty when all is well.
    pub notices: Vec<String>,
}

/// One hot thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotThread {
    /// The stages it steps, in pipeline order.
    pub stages: &'static [HotStage],
    /// The core it is pinned to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
}

/// Why there is no plan. Each message ends with what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// The name is none of ours.
    #[error("`{0}` is no topology: choose fused, split, solo or auto")]
    UnknownTopology(String),
    /// A core list that is not numbers and ranges.
    #[error("`{0}` is no list of cores: write numbers and ranges, such as 2,3 or 4-7")]
    CoreList(String),
    /// The same core for two threads.
    #[error("core {0} is listed twice: give every hot thread a core of its own")]
    DuplicateCore(usize),
    /// A core that this process may not use.
    #[error("core {core} is not available to this process: choose among {}", list(.available))]
    AbsentCore {
        /// The core that was asked for.
        core: usize,
        /// The ones there are.
        available: Vec<usize>,
    },
    /// More or fewer cores than hot threads.
    #[error(
        "{topology} has {threads} hot threads but the list has {cores} core(s): list {threads}, or none to let them be chosen"
    )]
    CoreCount {
        /// The topology that would run.
        topology: Topology,
        /// Its hot threads.
        threads: usize,
        /// How many cores were listed.
        cores: usize,
    },
    /// Two spinning threads would share a core, and each would wait for the other's time slice.
    #[error(
        "{topology} keeps {threads} threads spinning but only {cores} of their cores exist: use adaptive idling, \
         a topology with fewer threads, or more cores"
    )]
    BusyWithoutCores {
        /// The topology that was asked for.
        topology: Topology,
        /// Its hot threads.
        threads: usize,
        /// The cores that there are.
        cores: usize,
    },
    /// The host names no core at all.
    #[error("the host does not say which cores this process may use: run it where CPU affinity can be read")]
    NoCores,
}

/// Decides what runs where. `available` are the cores that this process may use, such as [`available_cores`] says.
pub fn plan(request: &Request, available: &[usize]) -> Result<Plan, PlacementError> {
    if available.is_empty() {
        return Err(PlacementError::NoCores);
    }
    if let Some(cores) = &request.cores {
        check_cores(cores, available)?;
    }
    let topology = match request.topology {
        Topology::Auto if has_spare_core(Topology::Split, available) => Topology::Split,
        Topology::Auto => Topology::Fused,
        chosen => chosen,
    };
    let threads = stages_by_thread(topology).len();
    if let Some(cores) = request.cores.as_ref().filter(|cores| cores.len() != threads) {
        return Err(PlacementError::CoreCount { topology, threads, cores: cores.len() });
    }
    let enough = available.len() >= threads;
    let spare = has_spare_core(topology, available);
    let idle = match request.idle {
        Some(IdleStrategy::Busy) if !enough => {
            return Err(PlacementError::BusyWithoutCores { topology, threads, cores: available.len() });
        }
        Some(idle) => idle,
        None if spare => IdleStrategy::Busy,
        None => IdleStrategy::Adaptive,
    };
    let mut notices = Vec::new();
    if !enough {
        notices.push(format!(
            "{topology} has {threads} hot threads for {} core(s): they share, unpinned and adaptive",
            available.len()
        ));
    } else if !spare && idle == IdleStrategy::Busy {
        notices.push(format!("{threads} spinning threads leave no core to calibration and recording: expect hiccups"));
    }
    Ok(Plan { topology, idle, threads: place(topology, request.cores.as_deref(), available), notices })
}

/// The cores that this process may use, ascending; empty where the host does not say.
pub fn available_cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    cores.sort_unstable();
    cores
}

/// Pins this thread; false when the host refuses.
pub fn pin_current_thread(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Reads a list such as `2,3` or `4-7,9`.
pub fn parse_cores(text: &str) -> Result<Vec<usize>, PlacementError> {
    let malformed = || PlacementError::CoreList(text.to_owned());
    let number = |digits: &str| digits.trim().parse().ok().filter(|core| *core < MOST_CORES).ok_or_else(malformed);
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (number(first)?, number(last)?);
        if first > last {
            return Err(malformed());
        }
        cores.extend(first..=last);
    }
    Ok(cores)
}

impl fmt::Display for Plan {
    /// One line: `fused, busy: feed+greeks+hedge on core 2, gateway on core 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = if self.idle == IdleStrategy::Busy { "busy" } else { "adaptive" };
        write!(f, "{}, {idle}:", self.topology)?;
        for (i, thread) in self.threads.iter().enumerate() {
            let stages: Vec<&str> = thread.stages.iter().map(|stage| stage.name()).collect();
            write!(f, "{} {}", if i == 0 { "" } else { "," }, stages.join("+"))?;
            match thread.core {
                Some(core) => write!(f, " on core {core}")?,
                None => f.write_str(" unpinned")?,
            }
        }
        Ok(())
    }
}

impl HotStage {
    /// As the desk calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Greeks => "greeks",
            Self::Hedge => "hedge",
            Self::Gateway => "gateway",
        }
    }
}

/// Far above any machine; keeps a mistyped range from filling the memory.
const MOST_CORES: usize = 4096;

fn stages_by_thread(topology: Topology) -> &'static [&'static [HotStage]] {
    use HotStage::{Feed, Gateway, Greeks, Hedge};
    match topology {
        Topology::Fused | Topology::Auto => &[&[Feed, Greeks, Hedge], &[Gateway]],
        Topology::Split => &[&[Feed], &[Greeks], &[Hedge], &[Gateway]],
        Topology::Solo => &[&[Feed, Greeks, Hedge, Gateway]],
    }
}

fn has_spare_core(topology: Topology, available: &[usize]) -> bool {
    available.len() > stages_by_thread(topology).len()
}

fn check_cores(cores: &[usize], available: &[usize]) -> Result<(), PlacementError> {
    for (i, core) in cores.iter().enumerate() {
        if cores[..i].contains(core) {
            return Err(PlacementError::DuplicateCore(*core));
        }
        if !available.contains(core) {
            return Err(PlacementError::AbsentCore { core: *core, available: available.to_vec() });
        }
    }
    Ok(())
}

/// The last cores, since interrupts and everybody else gather at the first ones; none where threads must share.
fn place(topology: Topology, listed: Option<&[usize]>, available: &[usize]) -> Vec<HotThread> {
    let threads = stages_by_thread(topology);
    let chosen = listed.or_else(|| available.len().checked_sub(threads.len()).map(|skipped| &available[skipped..]));
    let core = |thread: usize| chosen.and_then(|cores| cores.get(thread).copied());
    threads.iter().enumerate().map(|(thread, stages)| HotThread { stages, core: core(thread) }).collect()
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::IdleStrategy::{Adaptive, Busy};
    use super::Topology::{Auto, Fused, Solo, Split};
    use super::*;

    fn request(topology: Topology, cores: Option<&[usize]>, idle: Option<IdleStrategy>) -> Request {
        Request { topology, cores: cores.map(<[usize]>::to_vec), idle }
    }

    fn first(cores: usize) -> Vec<usize> {
        (0..cores).collect()
    }

    #[test]
    fn the_plan_follows_the_cores_there_are() {
        // Asked for, cores there, what runs.
        let table: &[(Topology, Option<IdleStrategy>, usize, &str, usize)] = &[
            (Auto, None, 1, "fused, adaptive: feed+greeks+hedge unpinned, gateway unpinned", 1),
            (Auto, None, 2, "fused, adaptive: feed+greeks+hedge on core 0, gateway on core 1", 0),
            (Auto, None, 3, "fused, busy: feed+greeks+hedge on core 1, gateway on core 2", 0),
            (Auto, None, 4, "fused, busy: feed+greeks+hedge on core 2, gateway on core 3", 0),
            (Auto, None, 5, "split, busy: feed on core 1, greeks on core 2, hedge on core 3, gateway on core 4", 0),
            (Auto, None, 8, "split, busy: feed on core 4, greeks on core 5, hedge on core 6, gateway on core 7", 0),
            (Auto, Some(Busy), 2, "fused, busy: feed+greeks+hedge on core 0, gateway on core 1", 1),
            (Fused, Some(Adaptive), 8, "fused, adaptive: feed+greeks+hedge on core 6, gateway on core 7", 0),
            (Solo, None, 1, "solo, adaptive: feed+greeks+hedge+gateway on core 0", 0),
            (Solo, None, 2, "solo, busy: feed+greeks+hedge+gateway on core 1", 0),
            (Split, None, 2, "split, adaptive: feed unpinned, greeks unpinned, hedge unpinned, gateway unpinned", 1),
            (
                Split,
                None,
                4,
                "split, adaptive: feed on core 0, greeks on core 1, hedge on core 2, gateway on core 3",
                0,
            ),
        ];
        for (topology, idle, cores, expected, notices) in table {
            let plan = plan(&request(*topology, None, *idle), &first(*cores)).unwrap();
            assert_eq!((plan.to_string().as_str(), plan.notices.len()), (*expected, *notices), "{cores} cores");
        }
    }

    #[test]
    fn listed_cores_are_used_in_pipeline_order() {
        let plan = plan(&request(Auto, Some(&[6, 2]), None), &[2, 4, 6]).unwrap();
        assert_eq!(plan.to_string(), "fused, busy: feed+greeks+hedge on core 6, gateway on core 2");
    }

    #[test]
    fn nonsense_is_refused_with_what_to_do() {
        let table: &[(Request, &[usize], &str)] = &[
            (request(Fused, Some(&[1, 1]), None), &[0, 1], "core 1 is listed twice: give every hot thread"),
            (
                request(Fused, Some(&[0, 9]), None),
                &[0, 1],
                "core 9 is not available to this process: choose among 0, 1",
            ),
            (request(Fused, Some(&[0]), None), &[0, 1], "fused has 2 hot threads but the list has 1 core(s): list 2"),
            (
                request(Split, Some(&[0, 1]), None),
                &[0, 1],
                "split has 4 hot threads but the list has 2 core(s): list 4",
            ),
            (request(Split, None, Some(Busy)), &[0, 1], "split keeps 4 threads spinning but only 2"),
            (request(Auto, None, Some(Busy)), &[0], "fused keeps 2 threads spinning but only 1"),
            (request(Auto, None, None), &[], "does not say which cores"),
        ];
        for (request, available, expected) in table {
            let error = plan(request, available).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_and_lists_parse_or_say_how() {
        assert_eq!("split".parse(), Ok(Split));
        assert_eq!(
            "fussed".parse::<Topology>().unwrap_err().to_string().split(':').next_back(),
            Some(" choose fused, split, solo or auto")
        );
        assert_eq!(parse_cores("2, 3"), Ok(vec![2, 3]));
        assert_eq!(parse_cores("4-6,1"), Ok(vec![4, 5, 6, 1]));
        for bad in ["", "a", "3-1", "1,,2", "-1", "0-99999999999", "1-2-3"] {
            assert_eq!(parse_cores(bad), Err(PlacementError::CoreList(bad.to_owned())), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_core_is_shared_and_no_spinner_is_without_one(
            topology in prop::sample::select(vec![Fused, Split, Solo, Auto]),
            idle in prop::sample::select(vec![None, Some(Busy), Some(Adaptive)]),
            cores in 1_usize..12,
            listed in prop::option::of(prop::collection::vec(0_usize..12, 0..6)),
        ) {
            let available = first(cores);
            let Ok(plan) = plan(&Request { topology, cores: listed, idle }, &available) else { return Ok(()) };
            let mut pinned: Vec<usize> = plan.threads.iter().filter_map(|thread| thread.core).collect();
            prop_assert!(pinned.iter().all(|core| available.contains(core)));
            if plan.idle == Busy {
                prop_assert_eq!(pinned.len(), plan.threads.len());
            }
            let count = pinned.len();
            pinned.sort_unstable();
            pinned.dedup();
            prop_assert_eq!(pinned.len(), count);
            let stages: usize = plan.threads.iter().map(|thread| thread.stages.len()).sum();
            prop_assert_eq!(stages, 4);
        }
    }

    #[test]
    fn this_host_gets_a_plan() {
        let available = available_cores();
        if available.is_empty() {
            println!("skipped: the host does not say which cores there are");
            return;
        }
        let plan = plan(&request(Auto, None, None), &available).unwrap();
        assert!(!plan.threads.is_empty());
    }
}
