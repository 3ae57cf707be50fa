//! What a hot thread does when a turn found nothing to do.
//!
//! Enters: whether the last turn worked. Leaves: the rest to take. A busy thread only tells its core that it spins; an
//! adaptive one spins first, then yields, then sleeps for at most [`LONGEST_SLEEP`], so that on a machine with fewer cores
//! than threads everybody gets on. Any work starts the ladder anew.

use std::hint::spin_loop;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use super::socket::Poller;

/// How a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleStrategy {
    /// Spin, always: lowest latency, a core of its own.
    Busy,
    /// Spin, then yield, then sleep.
    Adaptive,
}

impl FromStr for IdleStrategy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "busy" => Ok(Self::Busy),
            "adaptive" => Ok(Self::Adaptive),
            _ => Err(format!("`{name}` is no idle strategy: choose busy or adaptive")),
        }
    }
}

/// The rest that is due after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// None: there was work.
    None,
    /// A pause of a few cycles.
    Spin,
    /// Let another thread run.
    Yield,
    /// Sleep, or wait for a socket, no longer than this.
    Sleep(Duration),
}

/// Turns without work before an adaptive thread yields.
pub const SPINS: u32 = 200;

/// Yields before it sleeps.
pub const YIELDS: u32 = 100;

/// The first sleep; each further one is twice as long.
pub const SHORTEST_SLEEP: Duration = Duration::from_micros(50);

/// The longest sleep: how late a message may be noticed that nothing wakes the thread for.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// Counts the turns without work.
#[derive(Clone, Copy, Debug)]
pub struct Idler {
    strategy: IdleStrategy,
    empty_turns: u32,
}

impl Idler {
    /// A thread that just worked.
    pub const fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, empty_turns: 0 }
    }

    /// Rests as the strategy says.
    #[inline]
    pub fn idle(&mut self, worked: bool) {
        match self.rest(worked) {
            Rest::None => {}
            Rest::Spin => spin_loop(),
            Rest::Yield => thread::yield_now(),
            Rest::Sleep(duration) => thread::sleep(duration),
        }
    }

    /// Rests likewise, but sleeps on `poller`, so that a datagram, bytes or an alarm end the sleep at once. Being woken
    /// in time, it sleeps its longest from the start.
    #[inline]
    pub fn idle_on(&mut self, worked: bool, poller: &mut Poller) {
        match self.rest(worked) {
            Rest::None => {}
            Rest::Spin => spin_loop(),
            Rest::Yield => thread::yield_now(),
            Rest::Sleep(duration) => {
                if poller.wait(LONGEST_SLEEP).is_err() {
                    thread::sleep(duration);
                }
            }
        }
    }

    /// The rest that is due, for a thread that sleeps in its own way, on a socket for example.
    #[inline]
    pub fn rest(&mut self, worked: bool) -> Rest {
        if worked {
            self.empty_turns = 0;
            return Rest::None;
        }
        if self.strategy == IdleStrategy::Busy {
            return Rest::Spin;
        }
        let turn = self.empty_turns;
        self.empty_turns = turn.saturating_add(1);
        match turn {
            0..SPINS => Rest::Spin,
            SPINS..FIRST_SLEEP => Rest::Yield,
            _ => Rest::Sleep(LONGEST_SLEEP.min(SHORTEST_SLEEP * (1 << (turn - FIRST_SLEEP).min(5)))),
        }
    }
}

const FIRST_SLEEP: u32 = SPINS + YIELDS;

const _: () = assert!(SHORTEST_SLEEP.as_nanos() << 5 >= LONGEST_SLEEP.as_nanos());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_never_gives_its_core_away() {
        let mut idler = Idler::new(IdleStrategy::Busy);
        assert!((0..10_000).all(|_| idler.rest(false) == Rest::Spin));
        assert_eq!(idler.rest(true), Rest::None);
    }

    #[test]
    fn an_adaptive_thread_spins_yields_and_sleeps_within_bounds() {
        let mut idler = Idler::new(IdleStrategy::Adaptive);
        assert!((0..SPINS).all(|_| idler.rest(false) == Rest::Spin));
        assert!((0..YIELDS).all(|_| idler.rest(false) == Rest::Yield));
        let sleeps: Vec<Rest> = (0..8).map(|_| idler.rest(false)).collect();
        let expected = [50, 100, 200, 400, 800, 1000, 1000, 1000].map(|us| Rest::Sleep(Duration::from_micros(us)));
        assert_eq!(sleeps, expected);
    }

    #[test]
    fn work_starts_the_ladder_anew_and_the_count_saturates() {
        let mut idler = Idler { strategy: IdleStrategy::Adaptive, empty_turns: u32::MAX };
        assert_eq!(idler.rest(false), Rest::Sleep(LONGEST_SLEEP));
        assert_eq!(idler.rest(false), Rest::Sleep(LONGEST_SLEEP));
        idler.idle(true);
        assert_eq!(idler.rest(false), Rest::Spin);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!("busy".parse(), Ok(IdleStrategy::Busy));
        assert_eq!("adaptive".parse(), Ok(IdleStrategy::Adaptive));
        assert!("lazy".parse::<IdleStrategy>().unwrap_err().contains("busy or adaptive"));
    }
}
