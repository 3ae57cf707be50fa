//! The arbiter against two lines that lose, repeat, reorder and lag, and against a single one.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const CONFIG: ArbiterConfig = ArbiterConfig { hold_ns: 1_000, reorder_ns: 0, line_silence_ns: 10_000 };
/// The first number of the streams here.
const FIRST: u64 = 1 << 32;

/// A stream, and what it delivered: the numbers in order, and the gaps between them.
struct Rig {
    arbiter: Arbiter,
    now: u64,
    delivered: Vec<u64>,
    gaps: Vec<u64>,
    restarts: usize,
}

impl Rig {
    fn new(config: ArbiterConfig) -> Self {
        let mut arbiter = Arbiter::new(config, 1);
        assert_eq!(arbiter.open(FIRST), Some(0));
        Self { arbiter, now: 0, delivered: Vec::new(), gaps: Vec::new(), restarts: 0 }
    }

    fn send(&mut self, line: Line, sequence: u64) -> bool {
        self.send_span(line, sequence, 1, sequence as u8)
    }

    fn send_span(&mut self, line: Line, sequence: u64, span: u64, content: u8) -> bool {
        self.now += 1;
        let bytes = [content; 40];
        let packet = Packet { time: Nanos(self.now), received: Ticks(0), port: 1, line, bytes: &bytes };
        let numbers = Numbers { first: FIRST + sequence, end: FIRST + sequence + span, body: 8 };
        let (delivered, gaps, restarts) = (&mut self.delivered, &mut self.gaps, &mut self.restarts);
        let mut next = self.arbiter.next(0);
        self.arbiter.offer(0, numbers, &packet, |delivery| note(&delivery, &mut next, delivered, gaps, restarts))
    }

    fn wait(&mut self, ns: u64) {
        self.now += ns;
        let (delivered, gaps, restarts) = (&mut self.delivered, &mut self.gaps, &mut self.restarts);
        let mut next = self.arbiter.next(0);
        self.arbiter.poll(Nanos(self.now), |_, delivery| note(&delivery, &mut next, delivered, gaps, restarts));
    }

    fn stats(&self, line: Line) -> LineStats {
        *self.arbiter.stats(0, line)
    }
}

fn note(delivery: &Delivery<'_>, next: &mut u64, delivered: &mut Vec<u64>, gaps: &mut Vec<u64>, restarts: &mut usize) {
    match delivery.arrival {
        Arrival::InOrder => assert!(delivery.first >= *next),
        Arrival::Gap(missing) => {
            assert!(delivery.first >= *next + missing);
            gaps.push(missing);
        }
        Arrival::Restart => *restarts += 1,
    }
    *next = delivery.first + u64::from(delivery.packet.is_some());
    if delivery.packet.is_some() {
        delivered.push(delivery.first - FIRST);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What was sent on either line is delivered once and in order, whatever was lost on the other, as long as the lines
    /// are not further apart than the patience.
    #[test]
    fn what_either_line_has_is_delivered_once_and_in_order(
        losses in vec((prop::bool::weighted(0.2), prop::bool::weighted(0.2)), 1..300),
        lag in 0_usize..20,
    ) {
        let mut rig = Rig::new(ArbiterConfig { hold_ns: 100_000, ..CONFIG });
        // Both lines are heard before anything is lost.
        let losses: Vec<_> = [(false, false)].into_iter().chain(losses).collect();
        rig.send(Line::A, 0);
        rig.send(Line::B, 0);
        let total = losses.len();
        for step in 1..total + lag {
            if step < total && !losses[step].0 {
                rig.send(Line::A, step as u64);
            }
            if let Some(step) = step.checked_sub(lag).filter(|&step| step > 0) && !losses[step].1 {
                rig.send(Line::B, step as u64);
            }
        }
        rig.wait(200_000);
        let sent: Vec<u64> = (0..total as u64).filter(|&n| !losses[n as usize].0 || !losses[n as usize].1).collect();
        prop_assert_eq!(&rig.delivered, &sent);
        let missing = sent.last().map_or(0, |last| last + 1 - sent.len() as u64);
        prop_assert_eq!(rig.gaps.iter().sum::<u64>(), missing);
        let (a, b) = (rig.stats(Line::A), rig.stats(Line::B));
        prop_assert_eq!(a.first + b.first, sent.len() as u64);
        prop_assert_eq!(a.packets + b.packets, a.first + a.duplicates + a.late + b.first + b.duplicates + b.late);
        prop_assert_eq!((a.divergent, b.divergent), (0, 0));
        prop_assert!(!rig.arbiter.is_waiting());
    }

    /// Packets of several numbers, grouped differently on each line, in any order: still every number once.
    #[test]
    fn spans_may_overlap(order in vec((0_u64..60, 1_u64..5, any::<bool>()), 1..200)) {
        let mut rig = Rig::new(ArbiterConfig { reorder_ns: 50, ..CONFIG });
        let mut next = rig.arbiter.next(0);
        for (sequence, span, is_a) in order {
            let line = if is_a { Line::A } else { Line::B };
            rig.now += 1;
            let numbers = Numbers { first: FIRST + sequence, end: FIRST + sequence + span, body: 0 };
            let packet = Packet { time: Nanos(rig.now), received: Ticks(0), port: 1, line, bytes: &[0; 8] };
            let mut seen = Vec::new();
            rig.arbiter.offer(0, numbers, &packet, |delivery| seen.push((delivery.arrival, delivery.first)));
            for (arrival, first) in seen {
                if arrival != Arrival::Restart {
                    prop_assert!(first >= next, "{first} was delivered before");
                }
                next = first;
            }
            prop_assert!(rig.arbiter.hole(0).is_none_or(|hole| hole.first < hole.end));
        }
        rig.wait(10_000);
        prop_assert!(!rig.arbiter.is_waiting());
    }

    #[test]
    fn any_change_of_bytes_changes_the_hash(mut bytes in vec(any::<u8>(), 1..300), at in 0_usize..300, flip in 1_u8..=255) {
        let before = hash(&bytes);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert_ne!(hash(&bytes), before);
    }
}

#[test]
fn with_one_line_a_hole_is_measured_at_once_and_what_comes_late_is_dropped() {
    let mut rig = Rig::new(CONFIG);
    let taken: Vec<_> = [0, 1, 4, 2, 3, 4, 5].map(|n| rig.send(Line::A, n)).into();
    assert_eq!(taken, [true, true, true, false, false, false, true]);
    assert_eq!((rig.delivered, rig.gaps), (vec![0, 1, 4, 5], vec![2]));
}

#[test]
fn an_allowance_for_reordering_puts_one_line_in_order() {
    let mut rig = Rig::new(ArbiterConfig { reorder_ns: 5, ..CONFIG });
    for n in [0, 2, 1, 4, 5, 3, 6, 8, 9, 10, 11, 12, 13] {
        rig.send(Line::A, n);
    }
    rig.wait(6);
    assert_eq!((rig.delivered, rig.gaps), (vec![0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], vec![1]));
}

#[test]
fn a_hole_waits_for_the_other_line_and_no_longer_than_it_is_alive() {
    let mut rig = Rig::new(CONFIG);
    rig.send(Line::A, 0);
    rig.send(Line::B, 0);
    rig.send(Line::A, 2);
    assert_eq!(rig.delivered, [0], "the other line may have it");
    assert_eq!(rig.arbiter.hole(0), Some(Hole { first: FIRST + 1, end: FIRST + 2, since: Nanos(3) }));
    rig.send(Line::B, 1);
    assert_eq!(rig.delivered, [0, 1, 2]);
    rig.send(Line::A, 4);
    rig.send(Line::B, 4);
    assert_eq!((rig.delivered.last(), rig.gaps.as_slice()), (Some(&4), &[1][..]), "both have shown that they lack it");
    // The other line falls silent: it is waited for as long as allowed, then never again.
    rig.send(Line::A, 6);
    rig.wait(999);
    assert_eq!(rig.gaps, [1]);
    rig.wait(1);
    assert_eq!(rig.gaps, [1, 1]);
    rig.now += 10_000;
    rig.send(Line::A, 7);
    rig.send(Line::A, 9);
    assert_eq!(rig.gaps, [1, 1, 1], "no wait for a line that is down");
    assert!(rig.stats(Line::B).is_down && rig.stats(Line::B).downs == 1 && !rig.stats(Line::A).is_down);
    rig.send(Line::B, 10);
    assert!(!rig.stats(Line::B).is_down, "it is back");
}

#[test]
fn a_line_that_is_cut_costs_nothing() {
    let mut rig = Rig::new(CONFIG);
    for n in 0..1_000 {
        if n < 400 {
            rig.send(Line::A, n);
        }
        rig.send(Line::B, n);
        rig.now += 50;
    }
    rig.wait(1);
    assert_eq!((rig.delivered.len(), rig.gaps.len()), (1_000, 0));
    assert_eq!((rig.stats(Line::A).downs, rig.stats(Line::B).first), (1, 600));
}

#[test]
fn a_wait_may_be_prolonged_and_what_is_sent_again_fills_it() {
    let mut rig = Rig::new(CONFIG);
    rig.send(Line::A, 0);
    rig.send(Line::B, 0);
    rig.send(Line::A, 5);
    rig.arbiter.wait_until(0, Nanos(1_000_000));
    rig.send(Line::B, 5);
    rig.wait(5_000);
    assert_eq!(rig.delivered, [0]);
    rig.send_span(Line::Resent, 1, 2, 1);
    assert_eq!(rig.arbiter.hole(0).map(|hole| hole.first), Some(FIRST + 3));
    rig.send_span(Line::Resent, 2, 3, 2);
    assert_eq!((rig.delivered, rig.gaps), (vec![0, 1, 3, 5], vec![]));
}

#[test]
fn a_heartbeat_tells_of_what_is_missing_at_the_end() {
    let mut rig = Rig::new(CONFIG);
    rig.send(Line::A, 0);
    rig.send_span(Line::A, 1, 0, 0);
    assert!(rig.arbiter.hole(0).is_none());
    rig.send_span(Line::A, 3, 0, 0);
    assert_eq!((rig.delivered.as_slice(), rig.gaps.as_slice()), (&[0][..], &[2][..]));
    rig.send(Line::A, 3);
    assert_eq!(rig.delivered, [0, 3]);
}

#[test]
fn lines_that_differ_are_noticed() {
    let mut rig = Rig::new(CONFIG);
    rig.send_span(Line::A, 0, 1, 7);
    rig.send_span(Line::B, 0, 1, 7);
    rig.send_span(Line::A, 1, 1, 7);
    rig.send_span(Line::B, 1, 1, 8);
    assert_eq!((rig.stats(Line::B).duplicates, rig.stats(Line::B).divergent), (2, 1));
    // In the bytes before the body lines may differ: they say when they were sent.
    let packet = |line, head| {
        let mut bytes = [7; 40];
        bytes[0] = head;
        (line, bytes)
    };
    for (line, bytes) in [packet(Line::A, 1), packet(Line::B, 2)] {
        let packet = Packet { time: Nanos(9), received: Ticks(0), port: 1, line, bytes: &bytes };
        rig.arbiter.offer(0, Numbers { first: FIRST + 2, end: FIRST + 3, body: 8 }, &packet, |_| {});
    }
    assert_eq!(rig.stats(Line::B).divergent, 1);
}

#[test]
fn the_first_packets_of_a_venue_that_counts_anew_are_no_lie() {
    let mut rig = Rig::new(CONFIG);
    for line in [Line::A, Line::B] {
        for sequence in 0..20 {
            rig.send_span(line, sequence, 1, 7);
        }
    }
    for line in [Line::A, Line::B] {
        for sequence in 0..20 {
            rig.send_span(line, sequence, 1, 8);
        }
    }
    assert_eq!((rig.stats(Line::A).divergent, rig.stats(Line::B).divergent), (0, 0));
}

#[test]
fn a_venue_that_counts_anew_is_followed_after_a_run_and_not_before() {
    let mut rig = Rig::new(CONFIG);
    let base = 1_000_000;
    rig.arbiter = Arbiter::new(CONFIG, 1);
    rig.arbiter.open(FIRST + base);
    for n in [base].into_iter().chain(0..40) {
        rig.send(Line::A, n);
    }
    assert_eq!((rig.restarts, rig.delivered.len()), (1, 1 + 40 - (RESTART_RUN as usize - 1)));
    assert_eq!(rig.delivered[1], u64::from(RESTART_RUN) - 1);
}

#[test]
fn a_line_of_the_past_is_ignored_until_it_counts_anew_too() {
    let mut rig = Rig::new(CONFIG);
    for n in 100..110 {
        rig.send(Line::A, n - 100 + 100_000);
        rig.send(Line::B, n - 100 + 100_000);
    }
    rig.gaps.clear();
    for n in 0..30 {
        rig.send(Line::A, n);
    }
    assert_eq!((rig.restarts, rig.delivered.last()), (1, Some(&29)));
    rig.send(Line::B, 100_010);
    assert_eq!(rig.delivered.last(), Some(&29), "not a hole of a hundred thousand");
    for n in 0..40 {
        rig.send(Line::B, n);
    }
    assert_eq!((rig.delivered.last(), rig.gaps.len(), rig.restarts), (Some(&39), 0, 1));
}

#[test]
fn a_duplicated_line_never_looks_like_a_restart() {
    let mut rig = Rig::new(CONFIG);
    for n in 0..200 {
        rig.send(Line::A, n + 50);
        rig.send(Line::A, n);
    }
    assert_eq!(rig.restarts, 0);
}

#[test]
fn a_stream_of_32_bits_goes_on_after_its_lap() {
    let mut next = FIRST + u64::from(u32::MAX - 1);
    for sequence in [u32::MAX - 1, u32::MAX, 0, 2] {
        let number = unwrapped(next, sequence);
        assert!(number >= next && number - next <= 1, "{number} after {next}");
        next = number + 1;
    }
    assert_eq!(unwrapped(FIRST + 5, 3), FIRST + 3);
}

#[test]
fn when_the_pool_is_full_a_hole_becomes_a_gap_and_nothing_held_is_lost() {
    let mut rig = Rig::new(CONFIG);
    rig.send(Line::A, 0);
    rig.send(Line::B, 0);
    rig.arbiter.wait_until(0, Nanos(u64::MAX));
    let sent = STREAM_HELD_MAX as u64 + 10;
    for n in 2..2 + sent {
        rig.send(Line::A, n);
        rig.arbiter.wait_until(0, Nanos(u64::MAX));
    }
    assert_eq!(rig.gaps, [1]);
    assert_eq!(rig.delivered.len() as u64, 1 + sent);
}
