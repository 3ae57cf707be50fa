//! A bad network between a publisher and a feed: it loses, repeats, reorders, delays and cuts lines, as a seed decides.
//!
//! Datagrams enter with the line they are sent on and leave when their time has come, in the order of arrival. The same
//! seed and the same datagrams give the same arrivals.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::random::Random;
use crate::feed::Line;
use crate::units::Nanos;

/// What a line does to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineFaults {
    /// Share of datagrams lost.
    pub loss: f64,
    /// Share that arrives twice.
    pub duplicate: f64,
    /// Share that is overtaken by those sent after it.
    pub reorder: f64,
    /// Time under way, nanoseconds.
    pub delay_ns: u64,
    /// How much longer a datagram takes that is overtaken, or that arrives for the second time, at most.
    pub late_ns: u64,
    /// From here on nothing arrives.
    pub dies_at: Option<Nanos>,
}

/// A datagram that has arrived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    /// When.
    pub time: Nanos,
    order: u64,
    /// Where it was sent to.
    pub port: u16,
    /// 0 for line A, 1 for line B.
    line: u8,
    /// The payload.
    pub bytes: Vec<u8>,
}

impl Arrived {
    /// Which copy of the stream it is.
    pub fn line(&self) -> Line {
        if self.line == 0 { Line::A } else { Line::B }
    }
}

/// What became of the datagrams of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineTotals {
    /// Sent.
    pub sent: u64,
    /// Lost.
    pub lost: u64,
    /// Sent once more.
    pub repeated: u64,
    /// Held up.
    pub overtaken: u64,
}

/// Two lines.
#[derive(Debug)]
pub struct Relay {
    faults: [LineFaults; 2],
    totals: [LineTotals; 2],
    random: Random,
    under_way: BinaryHeap<Reverse<Arrived>>,
    order: u64,
}

impl Relay {
    /// Lines with these faults.
    pub fn new(seed: u64, faults: [LineFaults; 2]) -> Self {
        let (totals, under_way) = ([LineTotals::default(); 2], BinaryHeap::new());
        Self { faults, totals, random: Random::new(seed), under_way, order: 0 }
    }

    /// Other faults from here on.
    pub fn set_faults(&mut self, faults: [LineFaults; 2]) {
        self.faults = faults;
    }

    /// What became of the datagrams of lines A and B.
    pub fn totals(&self) -> [LineTotals; 2] {
        self.totals
    }

    /// Sends a datagram on both lines.
    pub fn send(&mut self, now: Nanos, port: u16, bytes: &[u8]) {
        for line in 0..2 {
            let (faults, totals) = (self.faults[line], &mut self.totals[line]);
            totals.sent += 1;
            if faults.dies_at.is_some_and(|end| now >= end) || self.random.chance(faults.loss) {
                totals.lost += 1;
                continue;
            }
            let mut late_ns = 0;
            if self.random.chance(faults.reorder) {
                totals.overtaken += 1;
                late_ns = self.random.below(faults.late_ns.max(1));
            }
            let time = Nanos(now.0 + faults.delay_ns + late_ns);
            let mut arrive = |time| {
                self.order += 1;
                let (order, line) = (self.order, line as u8);
                self.under_way.push(Reverse(Arrived { time, order, port, line, bytes: bytes.to_vec() }));
            };
            arrive(time);
            if self.random.chance(faults.duplicate) {
                totals.repeated += 1;
                arrive(Nanos(time.0 + self.random.below(faults.late_ns.max(1))));
            }
        }
    }

    /// The next datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Nanos) -> Option<Arrived> {
        let has_arrived = self.under_way.peek().is_some_and(|next| next.0.time <= now);
        if has_arrived { self.under_way.pop().map(|next| next.0) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, faults: [LineFaults; 2]) -> (Vec<Arrived>, [LineTotals; 2]) {
        let mut relay = Relay::new(seed, faults);
        let mut arrived = Vec::new();
        for n in 0..10_000_u64 {
            relay.send(Nanos(1_000 * n), 1, &n.to_le_bytes());
            while let Some(datagram) = relay.receive(Nanos(1_000 * n)) {
                arrived.push(datagram);
            }
        }
        (arrived, relay.totals())
    }

    #[test]
    fn each_line_has_its_own_faults_and_a_seed_repeats_them() {
        let bad = LineFaults { loss: 0.1, duplicate: 0.05, reorder: 0.2, delay_ns: 500, late_ns: 9_000, dies_at: None };
        let dies = LineFaults { dies_at: Some(Nanos(5_000_000)), ..LineFaults::default() };
        let (arrived, [a, b]) = run(7, [bad, dies]);
        assert!((800..1_200).contains(&a.lost) && (1_500..2_200).contains(&a.overtaken) && a.repeated > 300, "{a:?}");
        assert_eq!((b.lost, b.repeated, b.overtaken), (5_000, 0, 0));
        let clean: Vec<_> = arrived.iter().filter(|d| d.line() == Line::B).map(|d| d.bytes.clone()).collect();
        assert!(clean.is_sorted_by_key(|bytes| u64::from_le_bytes(bytes[..8].try_into().unwrap())));
        assert!(arrived.is_sorted_by_key(|d| d.time));
        assert_eq!(run(7, [bad, dies]).0, arrived);
        assert_ne!(run(8, [bad, dies]).0, arrived);
    }
}
