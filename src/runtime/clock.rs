//! The stamp clock: counter readings for latency, and wall time without a system call.
//!
//! Enters: the processor's counter (TSC on x86-64, the virtual counter on aarch64), calibrated against the operating
//! system's clocks over [`CALIBRATION`]. Leaves: [`Ticks`] and nanoseconds since the Unix epoch, monotonic, by one
//! multiplication and a shift. Where the counter may stop or change its rate, the monotonic clock stands in, at the
//! price of a `clock_gettime` a reading.
//!
//! The rate is known to about a part per million, so wall time drifts by about a microsecond a second from the system's;
//! [`StampClock::realigned`] takes the drift out and sharpens the rate. A clock is `Copy`: each thread has its own.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::units::{Nanos, Ticks};

/// How long calibration watches both clocks.
pub const CALIBRATION: Duration = Duration::from_millis(40);

/// What is read for a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The processor's own counter, at a constant rate.
    Counter,
    /// The operating system's monotonic clock, in nanoseconds.
    Monotonic,
}

/// A calibrated counter.
#[derive(Clone, Copy, Debug)]
pub struct StampClock {
    source: Source,
    /// The reading at which the system's clocks were read last.
    origin: Ticks,
    origin_monotonic_ns: u64,
    origin_unix: Nanos,
    /// Nanoseconds a tick, times 2^[`SHIFT`].
    rate: u64,
}

impl StampClock {
    /// Chooses a source and calibrates it; takes [`CALIBRATION`] when it is the counter.
    pub fn calibrate() -> Self {
        Self::with_source(if counter_is_invariant() { Source::Counter } else { Source::Monotonic })
    }

    /// Calibrates a given source.
    pub fn with_source(source: Source) -> Self {
        let reading = Reading::take(source);
        let unaligned = Self {
            source,
            origin: reading.ticks,
            origin_monotonic_ns: reading.monotonic_ns,
            origin_unix: reading.unix,
            rate: 1 << SHIFT,
        };
        if source == Source::Monotonic {
            return unaligned;
        }
        thread::sleep(CALIBRATION);
        unaligned.realigned()
    }

    /// The same counter, its rate measured over all the time since the last alignment, its wall time taken from the
    /// system anew. Costs a few system calls; for cold threads, which hand the result to the hot ones.
    pub fn realigned(&self) -> Self {
        let reading = Reading::take(self.source);
        let ticks = reading.ticks.0.saturating_sub(self.origin.0);
        let elapsed_ns = reading.monotonic_ns.saturating_sub(self.origin_monotonic_ns);
        let rate = match self.source {
            Source::Counter if ticks > 0 && elapsed_ns > 0 => {
                u64::try_from((u128::from(elapsed_ns) << SHIFT) / u128::from(ticks)).unwrap_or(u64::MAX)
            }
            Source::Counter | Source::Monotonic => self.rate,
        };
        Self {
            origin: reading.ticks,
            origin_monotonic_ns: reading.monotonic_ns,
            origin_unix: reading.unix,
            rate,
            ..*self
        }
    }

    /// The counter now. Not serialising: the processor may take the reading a few instructions early or late.
    #[inline(always)]
    pub fn ticks(&self) -> Ticks {
        self.source.read()
    }

    /// Nanoseconds in `ticks` counter steps.
    #[inline(always)]
    pub fn nanos(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.rate)) >> SHIFT) as u64
    }

    /// Nanoseconds a counter step, for whoever turns recorded steps into time later.
    pub fn nanos_per_tick(&self) -> f64 {
        self.rate as f64 / (1_u64 << SHIFT) as f64
    }

    /// Nanoseconds since the Unix epoch.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.at(self.ticks())
    }

    /// The wall time of a reading of this clock.
    #[inline]
    pub fn at(&self, ticks: Ticks) -> Nanos {
        Nanos(self.origin_unix.0 + self.nanos(ticks.0.saturating_sub(self.origin.0)))
    }

    /// What is read.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The usual step between successive readings that differ, in nanoseconds: what a difference cannot resolve. Not the
    /// smallest, because a counter that moves in strides of some ten nanoseconds is now and then corrected by less.
    pub fn resolution_ns(&self) -> u64 {
        let step = || {
            let (first, second) = (self.ticks(), self.ticks());
            second.0.saturating_sub(first.0)
        };
        let mut steps: Vec<u64> = (0..1_000).map(|_| step()).filter(|step| *step > 0).collect();
        steps.sort_unstable();
        self.nanos(steps.get(steps.len() / 2).copied().unwrap_or(1)).max(1)
    }
}

/// Fraction bits of the rate: a product with 64-bit ticks fits 128 bits, and rounding is far below calibration.
const SHIFT: u32 = 40;

/// How often a reading of the three clocks is tried; the tightest counts.
const TRIES: usize = 32;

/// The counter, the monotonic clock and wall time, read as closely together as the scheduler let us.
struct Reading {
    ticks: Ticks,
    monotonic_ns: u64,
    unix: Nanos,
}

impl Reading {
    fn take(source: Source) -> Self {
        let (mut tightest, mut best) = (u64::MAX, None);
        for _ in 0..TRIES {
            let before = source.read();
            let monotonic_ns = monotonic_ns();
            let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let after = source.read();
            let width = after.0.wrapping_sub(before.0);
            if width < tightest || best.is_none() {
                let unix = Nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX));
                (tightest, best) = (width, Some(Self { ticks: Ticks(before.0 + width / 2), monotonic_ns, unix }));
            }
        }
        best.expect("the first try is always taken")
    }
}

impl Source {
    #[inline(always)]
    fn read(self) -> Ticks {
        match self {
            Self::Counter => Ticks(counter()),
            Self::Monotonic => Ticks(monotonic_ns()),
        }
    }
}

/// Nanoseconds of the monotonic clock since its first use in this process.
fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC; an operating system that forbids it would not run this binary's loader.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: reads a register that operating systems leave readable to user space; touches neither memory nor flags.
    unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counter() -> u64 {
    monotonic_ns()
}

/// Whether the counter runs at one rate, through every sleep state: the processor says so, or the kernel does.
#[cfg(target_arch = "x86_64")]
fn counter_is_invariant() -> bool {
    const POWER_LEAF: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;
    let highest = std::arch::x86_64::__cpuid(0x8000_0000).eax;
    if highest >= POWER_LEAF && std::arch::x86_64::__cpuid(POWER_LEAF).edx & INVARIANT_TSC != 0 {
        return true;
    }
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    ["constant_tsc", "nonstop_tsc"].iter().all(|flag| flags.split_whitespace().any(|word| word == *flag))
}

/// The architecture promises a constant rate on aarch64; elsewhere there is no counter to read.
#[cfg(not(target_arch = "x86_64"))]
fn counter_is_invariant() -> bool {
    cfg!(target_arch = "aarch64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        let mut sources = vec![Source::Monotonic];
        sources.extend(counter_is_invariant().then_some(Source::Counter));
        sources
    }

    #[test]
    fn time_passes_at_the_rate_of_the_system_clock() {
        for source in sources() {
            let clock = StampClock::with_source(source);
            let (start, ticks) = (Instant::now(), clock.ticks());
            thread::sleep(Duration::from_millis(50));
            let measured = clock.nanos(clock.ticks().0 - ticks.0);
            let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap();
            // The second reading of each clock may be preempted; a wrong rate is off by far more than a twentieth.
            assert!(measured.abs_diff(elapsed) < elapsed / 20, "{source:?}: {measured} against {elapsed}");
        }
    }

    #[test]
    fn wall_time_is_the_systems_and_never_goes_back() {
        for source in sources() {
            let clock = StampClock::with_source(source);
            let system = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
            let (before, now, after) = (system(), clock.now().0, system());
            let slack = Nanos::PER_SECOND / 10;
            assert!(before < now + slack && now < after + slack, "{source:?}: {before} {now} {after}");
            let mut last = clock.now();
            for _ in 0..10_000 {
                let now = clock.now();
                assert!(now >= last);
                last = now;
            }
        }
    }

    #[test]
    fn realigning_keeps_the_rate_and_the_time() {
        for source in sources() {
            let clock = StampClock::with_source(source);
            let realigned = clock.realigned();
            let ticks = clock.ticks();
            assert!(clock.at(ticks).0.abs_diff(realigned.at(ticks).0) < Nanos::PER_SECOND / 10);
            assert!(clock.nanos(1 << 40).abs_diff(realigned.nanos(1 << 40)) < clock.nanos(1 << 40) / 20);
        }
    }

    #[test]
    fn long_spans_do_not_overflow() {
        let clock = StampClock::with_source(Source::Monotonic);
        let year_ns = Nanos::PER_YEAR;
        assert_eq!((clock.nanos(year_ns), clock.nanos_per_tick()), (year_ns, 1.0));
        assert_eq!(clock.nanos(u64::MAX), u64::MAX);
        assert_eq!(clock.at(Ticks(0)), clock.origin_unix, "a reading before the origin is the origin");
    }

    #[test]
    fn resolution_is_a_positive_step() {
        for source in sources() {
            let resolution = StampClock::with_source(source).resolution_ns();
            assert!((1..1_000_000).contains(&resolution), "{source:?}: {resolution}");
        }
    }
}
