//! Redundant lines that lose, repeat, reorder and contradict each other: every number once, in order, and no gap that was
//! not one.

use std::collections::BTreeSet;

use hedgecore::feed::arbiter::{Arbiter, ArbiterConfig, Arrival, Delivery, Numbers};
use hedgecore::feed::{Line, Packet};
use hedgecore::units::{Nanos, Ticks};

use super::script::{Script, chances};

const STEPS_MAX: usize = 2_000;
const FIRST: u64 = 1 << 32;

/// What was offered since the stream last began anew, and what came of it.
#[derive(Default)]
struct Account {
    offered: BTreeSet<Vec<u8>>,
    next: u64,
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let config = ArbiterConfig {
        hold_ns: 1 + script.below(2_000),
        reorder_ns: script.below(500),
        line_silence_ns: 1 + script.below(20_000),
    };
    let mut arbiter = Arbiter::new(config, 1);
    assert_eq!(arbiter.open(FIRST), Some(0));
    let (mut account, mut now, mut heads) = (Account { next: FIRST, ..Account::default() }, 0, [FIRST; 2]);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        now += 1 + if script.once_in(4) { script.below(3_000) } else { 0 };
        let at = script.below(2) as usize;
        let line = [Line::A, Line::B][at];
        let sequence = match script.below(16) {
            0 => {
                arbiter.poll(Nanos(now), |_, delivery| account.take(&delivery));
                continue;
            }
            // Lost, late, early, from another age.
            1..=2 => {
                heads[at] += 1 + script.below(5);
                continue;
            }
            3 => (heads[at] + 1).saturating_sub(script.below(40)).max(FIRST),
            4 => heads[at] + script.below(600),
            5 if script.once_in(8) => {
                heads[at] = FIRST + script.below(20);
                heads[at]
            }
            _ => heads[at],
        };
        heads[at] = heads[at].max(sequence + 1);
        let span = 1 + if script.once_in(4) { script.below(4) } else { 0 };
        // Now and then the two lines do not say the same.
        let content = sequence as u8 ^ u8::from(script.once_in(16));
        let bytes = [&[content; 8][..], &sequence.to_le_bytes(), &span.to_le_bytes(), &[content; 8]].concat();
        let packet = Packet { time: Nanos(now), received: Ticks(0), port: 1, line, bytes: &bytes };
        account.offered.insert(bytes.clone());
        arbiter.offer(0, Numbers { first: sequence, end: sequence + span, body: 8 }, &packet, |delivery| {
            account.take(&delivery);
        });
        assert_eq!(arbiter.next(0), account.next);
    }
    let lines = [arbiter.stats(0, Line::A), arbiter.stats(0, Line::B)];
    let [a, b] = lines.map(|line| (line.packets, line.first + line.duplicates + line.late));
    assert!(a.0 >= a.1 && b.0 >= b.1, "{lines:?}");
    // Patience ends: nothing is waited for for ever.
    arbiter.poll(Nanos(now + 10_000_000), |_, delivery| account.take(&delivery));
    assert!(!arbiter.is_waiting());
}

impl Account {
    fn take(&mut self, delivery: &Delivery<'_>) {
        match delivery.arrival {
            Arrival::Restart => self.next = delivery.first,
            Arrival::InOrder => assert_eq!(delivery.first, self.next, "the next number is the next"),
            Arrival::Gap(missing) => {
                assert_eq!(delivery.first, self.next + missing, "a gap is as long as it says");
                self.next = delivery.first;
            }
        }
        if let Some(packet) = delivery.packet {
            assert!(self.offered.contains(packet.bytes), "a packet is delivered as it was offered");
            let word = |at: usize| u64::from_le_bytes(packet.bytes[at..at + 8].try_into().expect("eight bytes"));
            let (sequence, end) = (word(8), word(8) + word(16));
            assert!((sequence..end).contains(&delivery.first), "it holds the number that is delivered");
            assert!(delivery.first == self.next);
            self.next = end;
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 500)
}
