//! Many seeds over the cores, and the smallest set of faults that still fails.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Counts, Fault, Options, Outcome, run};

/// What to run.
#[derive(Clone, Debug)]
pub struct Search {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// Threads that share them.
    pub threads: usize,
    /// When to stop though seeds are left.
    pub lasts: Option<Duration>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Events that the greeks consumed.
    pub events: u64,
    /// Orders that reached the venue.
    pub orders: u64,
    /// Simulated time.
    pub simulated_ns: u64,
    /// How often each fault struck.
    pub injected: Counts,
    /// Runs in which something did not hold, by ascending seed.
    pub failures: Vec<Outcome>,
    /// The digests of every run, added up: equal for equal sets of runs in any order.
    pub digest: u64,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.orders += outcome.orders;
        self.simulated_ns += outcome.simulated_ns;
        self.injected.add(&outcome.injected);
        let digest = outcome.digest.get(..16).and_then(|head| u64::from_str_radix(head, 16).ok()).unwrap_or_default();
        self.digest = self.digest.wrapping_add(digest ^ outcome.options.seed.rotate_left(32));
        if !outcome.violations.is_empty() {
            self.failures.push(outcome);
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.orders += other.orders;
        self.simulated_ns += other.simulated_ns;
        self.injected.add(&other.injected);
        self.digest = self.digest.wrapping_add(other.digest);
        self.failures.extend(other.failures);
    }
}

impl Search {
    /// Runs every seed, or until time is up, or until `failures_max` have failed. `progress` is told how many are done.
    pub fn run(&self, failures_max: u64, progress: &(dyn Fn(u64) + Sync)) -> Tally {
        let (next, done, failed) = (AtomicU64::new(self.seeds.start), AtomicU64::new(0), AtomicU64::new(0));
        let (enough, began) = (AtomicBool::new(false), Instant::now());
        let work = || {
            let mut tally = Tally::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let is_late = self.lasts.is_some_and(|lasts| began.elapsed() >= lasts);
                if seed >= self.seeds.end || is_late || enough.load(Ordering::Relaxed) {
                    return tally;
                }
                let outcome = run(&Options::of_seed(seed));
                let fails = u64::from(!outcome.violations.is_empty());
                tally.add(outcome);
                if failed.fetch_add(fails, Ordering::Relaxed) + fails >= failures_max {
                    enough.store(true, Ordering::Relaxed);
                }
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        let mut total = Tally::default();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(tally) => total.merge(tally),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        total.failures.sort_by_key(|outcome| outcome.options.seed);
        total
    }
}

/// The same failure with as few faults, and as little time, as it takes: each is left out in turn as long as some
/// violation of the same invariant remains.
pub fn shrink(outcome: &Outcome) -> Outcome {
    let invariant = outcome.violations.first().map(|violation| violation.invariant);
    let mut best = outcome.clone();
    let try_options = |options: Options, best: &mut Outcome| {
        let tried = run(&options);
        let still = tried.violations.first().map(|violation| violation.invariant) == invariant;
        if still {
            *best = tried;
        }
        still
    };
    let mut smaller = true;
    while smaller {
        smaller = false;
        let faults: Vec<Fault> = best.options.faults().collect();
        for fault in faults {
            smaller |= try_options(best.options.clone().with(fault, 0.0), &mut best);
        }
    }
    while best.options.faulty_s > 1 {
        let mut options = best.options.clone();
        options.faulty_s /= 2;
        if !try_options(options, &mut best) {
            break;
        }
    }
    best
}

/// Runs seeds until a violation of one of these invariants is found; which seed, or `None` when all of them pass.
#[cfg(feature = "canary")]
pub fn catch(canary: crate::canary::Canary, invariants: &[u8], seeds: Range<u64>) -> Option<u64> {
    use crate::runtime::alloc::hot_allocations;

    crate::canary::choose(Some(canary));
    let caught = seeds.into_iter().find(|&seed| {
        let before = hot_allocations();
        let outcome = run(&Options::of_seed(seed));
        let allocates = hot_allocations() > before && invariants.contains(&11);
        allocates || outcome.violations.iter().any(|violation| invariants.contains(&violation.invariant))
    });
    crate::canary::choose(None);
    caught
}
