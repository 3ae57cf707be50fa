//! What the machine asks for at the least: a cache line from one core to another.
//!
//! Two threads pass one word back and forth; half a round trip is what no ring can be faster than. On a host of one core
//! there is no such figure. Cores that others use show it slower than it is, so the fastest tenth of the windows counts.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::utils::CachePadded;

use crate::runtime::clock::StampClock;
use crate::runtime::placement::pin_current_thread;

const ROUND_TRIPS: u64 = 1_000;
/// Turns without an answer before a thread lets others run: the one it waits for may need its core.
const PATIENCE: u32 = 1 << 14;

/// Nanoseconds a hop between the first two cores, the fastest tenth of as many windows as fit `lasts`; `None` with one core.
pub(super) fn floor_ns(cores: &[usize], lasts: Duration, clock: &StampClock) -> Option<f64> {
    let [near, far, ..] = *cores else { return None };
    let words: Arc<[CachePadded<AtomicU64>; 2]> = Arc::default();
    let theirs = Arc::clone(&words);
    let answer = move || {
        pin_current_thread(far);
        let mut seen = 0;
        while seen != u64::MAX {
            seen = next(&theirs[0], seen);
            theirs[1].store(seen, Ordering::Release);
        }
    };
    let ask = move || {
        pin_current_thread(near);
        let end = clock.now().0 + lasts.as_nanos() as u64;
        let (mut windows, mut trip) = (Vec::new(), 0);
        while clock.now().0 < end || windows.is_empty() {
            let start = clock.ticks();
            for _ in 0..ROUND_TRIPS {
                words[0].store(trip + 1, Ordering::Release);
                trip = next(&words[1], trip);
            }
            windows.push(clock.nanos(clock.ticks().0 - start.0) as f64 / (2 * ROUND_TRIPS) as f64);
        }
        words[0].store(u64::MAX, Ordering::Release);
        windows.sort_by(f64::total_cmp);
        windows[windows.len() / 10]
    };
    thread::scope(|scope| {
        scope.spawn(answer);
        scope.spawn(ask).join().ok()
    })
}

/// What a word becomes next.
#[inline]
fn next(word: &AtomicU64, last: u64) -> u64 {
    let mut turns = 0;
    loop {
        let value = word.load(Ordering::Acquire);
        if value != last {
            return value;
        }
        turns += 1;
        if turns < PATIENCE { spin_loop() } else { thread::yield_now() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::placement::available_cores;

    #[test]
    fn a_hop_takes_time_and_one_core_has_none() {
        let clock = StampClock::calibrate();
        assert_eq!(floor_ns(&[0], Duration::from_millis(1), &clock), None);
        let cores = available_cores();
        if let Some(floor) = floor_ns(&cores, Duration::from_millis(20), &clock) {
            assert!(floor > 1.0, "{floor}");
        }
    }
}
