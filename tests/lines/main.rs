//! Redundant lines and recovery: the embedded venue's packets through a bad network into the feed, whose books must be
//! the venue's.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod desk;

use desk::{Desk, Service};
use hedgecore::feed::{FeedConfig, Line, Protocol};
use hedgecore::instrument::BookQuality;
use hedgecore::sim::relay::LineFaults;
use hedgecore::units::Nanos;

const CLEAN: LineFaults =
    LineFaults { loss: 0.0, duplicate: 0.0, reorder: 0.0, delay_ns: 20_000, late_ns: 0, dies_at: None };
const LOSSY: LineFaults = LineFaults { loss: 0.01, ..CLEAN };
/// One in a hundred is lost,
const BAD: LineFaults =
    LineFaults { loss: 0.01, duplicate: 0.02, reorder: 0.05, delay_ns: 30_000, late_ns: 400_000, dies_at: None };
/// or one in ten.
const WORSE: LineFaults = LineFaults { loss: 0.1, ..BAD };

fn config(protocol: Protocol) -> FeedConfig {
    match protocol {
        Protocol::Classic => FeedConfig::default(),
        Protocol::Starbase => FeedConfig::starbase(),
    }
}

#[test]
fn a_perfect_network_gives_the_venues_books() {
    for protocol in [Protocol::Classic, Protocol::Starbase] {
        let mut desk = Desk::new(1, protocol, config(protocol), [CLEAN; 2]);
        desk.run_ms(1_500);
        desk.settle();
        desk.assert_books_equal();
        let counters = *desk.feed.counters();
        assert_eq!((counters.sequence_gaps, counters.decode_errors_total(), counters.level_faults), (0, 0, 0));
        assert_eq!(counters.snapshots_compared, counters.snapshots_equal);
        assert!(counters.snapshots_equal > 500 && counters.trades > 0, "{counters:?}");
        let (a, b) = (desk.feed.line(Line::A), desk.feed.line(Line::B));
        let heartbeats = counters.heartbeats / 2;
        assert_eq!((a.first + heartbeats, b.duplicates + heartbeats), (a.packets, b.packets));
        assert_eq!((a.divergent, b.divergent), (0, 0));
    }
}

#[test]
fn one_per_cent_loss_on_one_line_is_not_seen_by_any_book() {
    for protocol in [Protocol::Classic, Protocol::Starbase] {
        for faults in [[LOSSY, CLEAN], [CLEAN, LOSSY]] {
            let mut desk = Desk::new(2, protocol, config(protocol), faults);
            desk.run_ms(2_000);
            let lost: u64 = desk.relay.totals().iter().map(|line| line.lost).sum();
            assert!(lost > 20, "{lost} datagrams were lost");
            let counters = desk.feed.counters();
            assert_eq!((counters.sequence_gaps, counters.books_gapped), (0, 0));
            assert_eq!(desk.tops_of(BookQuality::Gapped), 0);
            assert_eq!(desk.feed.recovery().requests, 0, "nothing had to be asked for");
            desk.settle();
            desk.assert_books_equal();
        }
    }
}

#[test]
fn independent_loss_on_both_lines_with_reordering_and_duplicates_is_recovered() {
    for (seed, faults, ms) in [(1, BAD, 12_000), (2, WORSE, 2_000), (3, WORSE, 2_000)] {
        let mut desk = Desk::new(seed, Protocol::Starbase, config(Protocol::Starbase), [faults; 2]);
        desk.run_ms(ms);
        desk.relay.set_faults([CLEAN; 2]);
        desk.settle();
        desk.assert_books_equal();
        let (recovery, counters) = (desk.feed.recovery(), *desk.feed.counters());
        let [a, b] = desk.relay.totals();
        println!(
            "seed {seed}, {:.0}% lost: {} and {} datagrams; {} holes, {} recovered in {} µs on average and {} µs at most, {} given up; \
             {} book outages of {} µs at most; {} snapshots compared",
            faults.loss * 100.0,
            a.lost,
            b.lost,
            recovery.holes,
            recovery.recovered,
            recovery.recovery_mean_ns() / 1_000,
            recovery.recovery_max_ns / 1_000,
            recovery.given_up,
            recovery.books_restored,
            recovery.stale_max_ns / 1_000,
            counters.snapshots_compared,
        );
        assert!(a.lost > 50 && b.lost > 50 && a.repeated > 50 && a.overtaken > 50, "{a:?} {b:?}");
        assert!(recovery.holes > 0, "both lines must lose the same packet now and then");
        assert_eq!((recovery.holes, recovery.given_up, counters.sequence_gaps), (recovery.recovered, 0, 0));
        assert!(recovery.stale_max_ns > 0 && recovery.stale_max_ns < 100_000_000, "{recovery:?}");
        assert_eq!(counters.snapshots_compared, counters.snapshots_equal);
        assert_eq!(counters.level_faults, 0);
        assert!(desk.is_quality(BookQuality::Good), "every book is whole at the end");
    }
}

#[test]
fn without_the_service_snapshots_heal_every_book() {
    for protocol in [Protocol::Classic, Protocol::Starbase] {
        let mut desk = Desk::new(4, protocol, config(protocol), [WORSE; 2]);
        desk.service = Service::Dead;
        desk.run_ms(2_000);
        desk.relay.set_faults([CLEAN; 2]);
        desk.settle();
        desk.assert_books_equal();
        let (recovery, counters) = (desk.feed.recovery(), *desk.feed.counters());
        println!("{protocol:?}: {} gaps, {recovery:?}", counters.sequence_gaps);
        assert!(counters.sequence_gaps > 0 && counters.books_gapped > 0);
        assert_eq!((counters.snapshots_compared, counters.level_faults), (counters.snapshots_equal, 0));
        assert!(desk.is_quality(BookQuality::Good));
    }
}

#[test]
fn while_a_book_waits_for_its_snapshot_those_already_healed_are_good() {
    let mut desk = Desk::new(5, Protocol::Starbase, config(Protocol::Starbase), [CLEAN; 2]);
    desk.service = Service::Dead;
    desk.run_ms(1_500);
    assert!(desk.is_quality(BookQuality::Good));
    desk.cut_once();
    let mut mixed = 0;
    for _ in 0..30 {
        desk.run_ms(50);
        let (good, gapped) = desk.qualities();
        mixed += usize::from(good > 50 && gapped > 50);
    }
    assert!(mixed >= 3, "books heal one by one, not all at once");
    desk.settle();
    desk.assert_books_equal();
}

#[test]
fn a_refused_request_is_obeyed_and_asked_again() {
    let mut desk = Desk::new(6, Protocol::Starbase, config(Protocol::Starbase), [WORSE; 2]);
    desk.service = Service::Alive { requests_per_second: 40 };
    desk.run_ms(2_000);
    desk.relay.set_faults([CLEAN; 2]);
    desk.settle();
    desk.assert_books_equal();
    let recovery = desk.feed.recovery();
    assert!(recovery.rejects > 0, "the service must have refused some: {recovery:?}");
    assert!(recovery.recovered > 0);
}

#[test]
fn a_line_that_is_cut_costs_no_book_anything() {
    for protocol in [Protocol::Classic, Protocol::Starbase] {
        for cut in 0..2 {
            let mut faults = [CLEAN; 2];
            let mut desk = Desk::new(7, protocol, config(protocol), faults);
            faults[cut].dies_at = Some(Nanos(desk.now.0 + 1_000_000_000));
            desk.relay.set_faults(faults);
            desk.run_ms(3_000);
            let counters = *desk.feed.counters();
            assert_eq!((counters.sequence_gaps, counters.books_gapped, desk.tops_of(BookQuality::Gapped)), (0, 0, 0));
            let dead = desk.feed.line(if cut == 0 { Line::A } else { Line::B });
            assert!(dead.is_down && dead.downs >= 1, "{dead:?}");
            assert!(!desk.feed.line(if cut == 0 { Line::B } else { Line::A }).is_down);
            desk.settle();
            desk.assert_books_equal();
        }
    }
}

#[test]
fn copies_that_differ_are_an_alarm_told_once() {
    use hedgecore::event::{Body, Event};
    use hedgecore::feed::{Feed, Packet};
    use hedgecore::units::Ticks;

    // Heads alone: nothing follows in the first copy, one byte in the second.
    let head = |length: u16, sequence: u32| {
        let mut bytes = [length.to_le_bytes(), 7u16.to_le_bytes()].concat();
        bytes.extend(sequence.to_le_bytes());
        bytes.resize(8 + usize::from(length), 0xEE);
        bytes
    };
    let (mut feed, mut events): (_, Vec<Event>) = (Feed::new(config(Protocol::Classic)), Vec::new());
    let mut hear = |line, bytes: &[u8]| {
        let packet = Packet { time: Nanos(1_000), received: Ticks(0), port: 6_100, line, bytes };
        feed.step(&packet, &mut events);
    };
    for sequence in 1..=3 {
        hear(Line::A, &head(0, sequence));
        hear(Line::B, &head(if sequence == 2 { 1 } else { 0 }, sequence));
    }
    let alarms: Vec<Body> =
        events.iter().map(|event| event.body).filter(|body| matches!(body, Body::Diverged { .. })).collect();
    assert_eq!(alarms, [Body::Diverged { copies: 1 }]);
    assert_eq!(feed.line(Line::B).divergent, 1);
}
