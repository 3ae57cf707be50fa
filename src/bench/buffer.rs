//! Ticks of an open loop between when they are due and when they are taken, as in a socket's buffer: bounded, and taken a call's
//! worth at a time.

use std::collections::VecDeque;

use super::way::Arrivals;
use crate::runtime::clock::StampClock;
use crate::runtime::socket::FeedSocket;
use crate::units::Ticks;

/// Packets of one call at most.
pub(super) const TOGETHER_MAX: usize = FeedSocket::BATCH;
/// Packets that wait at most: what a receive buffer of four mebibytes holds of small ones.
pub(super) const BUFFERED_MAX: usize = 4_096;

/// Ticks that were due and are not taken yet.
#[derive(Debug)]
pub(super) struct Buffer {
    arrivals: Arrivals,
    start: u64,
    /// Ticks that there will be.
    count: u64,
    /// Ticks that were due so far.
    pub(super) arrived: u64,
    /// Of those, how many found no room.
    lost: u64,
    waiting: VecDeque<Ticks>,
}

impl Buffer {
    /// Nothing has come yet of `count` ticks, the first of which is due at `start`.
    pub(super) fn new(arrivals: Arrivals, count: u64, start: u64) -> Self {
        let waiting = VecDeque::with_capacity(BUFFERED_MAX);
        Self { arrivals, start, count, arrived: 0, lost: 0, waiting }
    }

    /// Ticks that found no room, and those that still wait.
    pub(super) fn lost(&self) -> u64 {
        self.lost + self.waiting.len() as u64
    }

    /// Whether all have come and were taken.
    pub(super) fn is_done(&self) -> bool {
        self.arrived == self.count && self.waiting.is_empty()
    }

    /// Lets what is due by now arrive, as far as there is room, and takes the oldest; how many.
    pub(super) fn receive(&mut self, taken: &mut [Ticks; TOGETHER_MAX], clock: &StampClock) -> usize {
        let now = clock.ticks().0;
        while self.arrived < self.count {
            let due = self.start + self.arrivals.due(self.arrived, clock);
            if due > now {
                break;
            }
            self.arrived += 1;
            if self.waiting.len() < BUFFERED_MAX { self.waiting.push_back(Ticks(due)) } else { self.lost += 1 }
        }
        let count = self.waiting.len().min(TOGETHER_MAX);
        taken.iter_mut().zip(self.waiting.drain(..count)).for_each(|(taken, due)| *taken = due);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Source;

    #[test]
    fn ticks_wait_in_a_buffer_that_is_bounded_and_none_is_forgotten() {
        let clock = StampClock::with_source(Source::Monotonic);
        let count = BUFFERED_MAX as u64 + 100;
        // All were due at once, long ago.
        let mut buffer = Buffer::new(Arrivals { rate: 1_000, burst: count }, count, 0);
        let mut taken = [Ticks::default(); TOGETHER_MAX];
        let mut all = 0;
        while !buffer.is_done() {
            all += buffer.receive(&mut taken, &clock) as u64;
        }
        assert_eq!((all, buffer.lost(), buffer.arrived), (BUFFERED_MAX as u64, 100, count));
    }
}
