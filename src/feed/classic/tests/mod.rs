//! The feed against a small venue that knows its own books, loses packets, and misbehaves on request.

mod rig;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::Body;
use crate::feed::NAME_BYTES_MAX;
use crate::instrument::InstrumentState;
use crate::wire::deribit_multicast::{
    BookBlock, BookEntry, InstrumentBlock, InstrumentV2Block, PacketBuilder, PriceIndexBlock, SnapshotBlock,
    SnapshotEntry, Terms, TickStep, TradesBlock, ascii,
};
use rig::{CHANGES, Rig, SNAPSHOTS, VenueBook};

/// One thing the venue does.
#[derive(Clone, Debug)]
enum Action {
    Change { venue: u32, side: usize, price: i64, amount: i64, lost: Vec<bool> },
    Snapshot { venue: u32, split: usize, lost: [bool; 2] },
    Remember,
    Replay { venue: u32 },
}

fn any_action() -> impl Strategy<Value = Action> {
    let lost = || prop::bool::weighted(0.04);
    let change = (0_u32..3, 0_usize..2, 1_i64..9, 0_i64..4, vec(lost(), 1..4));
    prop_oneof![
        12 => change.prop_map(|(venue, side, price, amount, lost)| {
            Action::Change { venue, side, price: price + 8 * side as i64, amount, lost }
        }),
        3 => (0_u32..3, 1_usize..6, [lost(), lost()])
            .prop_map(|(venue, split, lost)| Action::Snapshot { venue, split, lost }),
        1 => Just(Action::Remember),
        1 => (0_u32..3).prop_map(|venue| Action::Replay { venue }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Invariant: after any delivered packet of the changes, what is shown as good is the venue's book; and once
    /// nothing is lost any more, two rounds of snapshots make everything good.
    #[test]
    fn a_good_top_is_the_venues_whatever_was_lost(actions in vec(any_action(), 0..250)) {
        let mut rig = Rig::new(3);
        rig.round();
        rig.send(CHANGES, false, |_| {});
        let mut remembered = (rig.books.clone(), 0);
        for action in actions {
            match action {
                Action::Change { venue, side, price, amount, lost } => {
                    rig.change(venue, side, price, amount, &lost);
                    // A loss at the very end of the channel is not known before its next packet.
                    if lost.last() == Some(&true) {
                        rig.send(CHANGES, false, |_| {});
                    }
                    rig.check()?;
                }
                Action::Snapshot { venue, split, lost } => rig.snapshot(venue, split, lost),
                Action::Remember => remembered = (rig.books.clone(), rig.now.0 / Nanos::PER_MILLI),
                Action::Replay { venue } => {
                    let (books, now_ms) = remembered.clone();
                    rig.snapshot_of(venue, &books[venue as usize], now_ms, 4, [false; 2]);
                }
            }
        }
        rig.round();
        rig.round();
        rig.check()?;
        for venue in 0..3 {
            prop_assert!(rig.quality(venue) <= BookQuality::Crossed, "healed: {:?}", rig.quality(venue));
        }
        let counters = rig.counters();
        prop_assert_eq!(counters.snapshots_compared, counters.snapshots_equal);
        prop_assert_eq!((counters.level_faults, counters.decode_errors_total()), (0, 0));
    }

    #[test]
    fn arbitrary_bytes_never_panic(packets in vec((6_100_u16..6_103, vec(any::<u8>(), 0..300)), 0..40)) {
        let mut rig = Rig::new(2);
        rig.round();
        for (port, bytes) in packets {
            rig.feed.step(&Packet { time: rig.now, received: Ticks(0), port, line: Line::A, bytes: &bytes }, &mut rig.events);
        }
    }

    #[test]
    fn corrupted_packets_never_panic_and_a_clean_round_heals(
        faults in vec((0_usize..400, any::<u8>(), any::<bool>()), 1..60),
    ) {
        let mut rig = Rig::new(2);
        rig.round();
        for (at, byte, on_changes) in faults {
            let port = if on_changes { CHANGES } else { SNAPSHOTS };
            let sequence = &mut rig.sequences[usize::from(port - CHANGES)];
            let mut buffer = [0; 4_096];
            let mut packet = PacketBuilder::new(&mut buffer, port - CHANGES, *sequence).unwrap();
            *sequence += 1;
            let block = BookBlock { instrument_id: 1.into(), change_id: 9.into(), is_last: 1, ..BookBlock::default() };
            packet.book(&block, &[BookEntry { price: 1.0.into(), amount: 2.0.into(), side: 1, change: 0 }]).unwrap();
            packet.trades(&TradesBlock::default(), &[TradeEntry::default()]).unwrap();
            packet.ticker(&TickerBlock::default()).unwrap();
            packet.snapshot(&SnapshotBlock::default(), &[SnapshotEntry::default()]).unwrap();
            packet.instrument(&InstrumentBlock::default(), b"BTC-1").unwrap();
            let len = packet.finish().len();
            // The channel and sequence stay whole: what they say when corrupted is tested apart.
            let at = 8 + at % (len - 8);
            buffer[at] ^= byte;
            rig.feed.step(&Packet { time: rig.now, received: Ticks(0), port, line: Line::A, bytes: &buffer[..len] }, &mut rig.events);
        }
        for venue in 0..2 {
            rig.define(venue, &format!("BTC-{venue}"), |_| {});
            rig.books[venue as usize].change_id += 1_000_000_000_000_000_000 * 18;
        }
        for _ in 0..3 {
            rig.round();
        }
        rig.check()?;
    }
}

#[test]
fn a_lost_change_gaps_its_book_and_a_snapshot_restores_it() {
    let mut rig = Rig::new(2);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.change(1, 0, 5, 1, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Good);
    rig.change(0, 0, 6, 1, &[true]);
    rig.change(1, 0, 6, 1, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Gapped);
    assert_eq!((rig.counters().sequence_gaps, rig.counters().packets_missing), (1, 1));
    rig.round();
    assert_eq!(rig.top(0), (BookQuality::Good, [(6, 1), (0, 0)]));
}

#[test]
fn a_change_that_does_not_follow_gaps_its_book_even_without_a_sequence_gap() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.books[0].change_id += 40;
    rig.change(0, 0, 6, 1, &[false]);
    assert_eq!((rig.quality(0), rig.counters().chain_breaks), (BookQuality::Gapped, 1));
    rig.change(0, 0, 7, 1, &[false]);
    rig.round();
    assert_eq!(rig.top(0), (BookQuality::Good, [(7, 1), (0, 0)]));
}

#[test]
fn changes_held_back_are_applied_to_an_older_snapshot() {
    let mut rig = Rig::new(1);
    rig.change(0, 0, 4, 1, &[false]);
    let (old, now_ms) = (rig.books[0].clone(), rig.now.0 / Nanos::PER_MILLI);
    rig.change(0, 0, 5, 1, &[false, false]);
    rig.change(0, 1, 9, 2, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Unknown);
    rig.snapshot_of(0, &old, now_ms, 9, [false; 2]);
    assert_eq!(rig.top(0), (BookQuality::Good, [(6, 1), (9, 2)]));
}

#[test]
fn a_snapshot_that_differs_gaps_the_book() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.snapshot(0, 9, [false; 2]);
    let counters = rig.counters();
    assert_eq!((counters.snapshots_compared, counters.snapshots_equal), (1, 1), "the first seeded the book");
    rig.books[0].sides[0].insert(4, 1);
    rig.snapshot(0, 9, [false; 2]);
    let counters = rig.counters();
    assert_eq!((counters.snapshots_compared, counters.snapshots_equal), (2, 1));
    assert_eq!(rig.quality(0), BookQuality::Gapped);
    rig.snapshot(0, 9, [false; 2]);
    assert_eq!(rig.top(0), (BookQuality::Good, [(5, 1), (0, 0)]));
}

#[test]
fn two_snapshots_that_leave_an_unmoved_book_behind_replace_it() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.change(0, 0, 6, 1, &[true]);
    rig.snapshot(0, 9, [false; 2]);
    assert_eq!((rig.quality(0), rig.counters().snapshots_ahead), (BookQuality::Good, 1), "it may only be early");
    rig.snapshot(0, 9, [false; 2]);
    assert_eq!(rig.top(0), (BookQuality::Good, [(6, 1), (0, 0)]));
    assert_eq!(rig.counters().books_gapped, 1);
}

#[test]
fn a_venue_that_numbers_changes_anew_is_followed() {
    let mut rig = Rig::new(1);
    rig.books[0].change_id = 1_000;
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.now.0 += 5 * Nanos::PER_SECOND;
    rig.books[0] = VenueBook::default();
    rig.change(0, 0, 7, 1, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Gapped);
    rig.round();
    assert_eq!(rig.top(0), (BookQuality::Good, [(7, 1), (0, 0)]));
}

#[test]
fn a_silent_channel_makes_its_books_stale_until_it_is_heard() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.feed.tick(Nanos(rig.now.0 + Nanos::PER_SECOND), &mut rig.events);
    assert_eq!(rig.quality(0), BookQuality::Good);
    rig.feed.tick(Nanos(rig.now.0 + 3 * Nanos::PER_SECOND), &mut rig.events);
    assert_eq!((rig.quality(0), rig.counters().silences), (BookQuality::Stale, 1));
    rig.now.0 += 3 * Nanos::PER_SECOND;
    rig.send(CHANGES, false, |_| {});
    assert_eq!(rig.quality(0), BookQuality::Good, "an empty packet is a sign of life");
}

#[test]
fn a_crossed_book_says_so() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    rig.change(0, 1, 5, 1, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Crossed);
    rig.change(0, 1, 5, 0, &[false]);
    assert_eq!(rig.quality(0), BookQuality::Good);
}

#[test]
fn a_level_that_is_no_number_gaps_its_book_alone() {
    let mut rig = Rig::new(2);
    rig.round();
    for bad in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        rig.change(0, 0, 5, 1, &[false]);
        rig.change(1, 0, 5, 1, &[false]);
        let prev = rig.books[0].change_id;
        rig.books[0].change_id += 1;
        let block = BookBlock {
            instrument_id: 0.into(),
            timestamp_ms: 0.into(),
            prev_change_id: prev.into(),
            change_id: (prev + 1).into(),
            is_last: 1,
        };
        let entry = BookEntry { side: 1, change: 0, price: 3.0.into(), amount: bad.into() };
        rig.send(CHANGES, false, |packet| packet.book(&block, &[entry]).unwrap());
        assert_eq!((rig.quality(0), rig.quality(1)), (BookQuality::Gapped, BookQuality::Good));
        rig.round();
        assert_eq!(rig.quality(0), BookQuality::Good);
    }
    assert_eq!(rig.counters().decode_errors[DecodeError::Number as usize], 4);
}

#[test]
fn a_packet_that_lies_about_its_lengths_counts_and_gaps_what_it_may_have_held() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    let mut buffer = [0; 64];
    let mut packet = PacketBuilder::new(&mut buffer, 0, rig.sequences[0]).unwrap();
    packet.snapshot_end().unwrap();
    let len = packet.finish().len();
    buffer[8] = 200;
    let packet = Packet { time: rig.now, received: Ticks(0), port: CHANGES, line: Line::A, bytes: &buffer[..len] };
    rig.feed.step(&packet, &mut rig.events);
    assert_eq!(rig.counters().decode_errors[DecodeError::BlockOverrun as usize], 1);
    assert_eq!(rig.quality(0), BookQuality::Gapped);
}

#[test]
fn of_packets_that_come_together_the_last_state_alone_goes_out_and_the_others_are_counted() {
    let mut rig = Rig::new(2);
    rig.round();
    rig.events.clear();
    rig.more_follow = true;
    for amount in 1..=3 {
        rig.change(0, 0, 5, amount, &[false]);
    }
    rig.change(1, 0, 7, 1, &[false]);
    assert_eq!((rig.events.len(), rig.counters().conflated), (0, 2));
    rig.more_follow = false;
    rig.change(0, 0, 5, 4, &[false]);
    assert_eq!((rig.events.len(), rig.counters().conflated), (2, 3));
    assert_eq!((rig.top(0).1[0], rig.top(1).1[0]), ((5, 4), (7, 1)));
    rig.change(0, 0, 5, 5, &[false, false]);
    assert_eq!(rig.counters().conflated, 3, "what went out is not replaced");
}

#[test]
fn definitions_without_sense_are_refused_each_for_its_reason() {
    let mut rig = Rig::new(0);
    let mut refused = |reason: Refusal, name: &str, change: &dyn Fn(&mut InstrumentV2Block)| {
        let before = rig.counters().refused[reason as usize];
        rig.define(9, name, change);
        assert_eq!(rig.counters().refused[reason as usize], before + 1, "{reason:?}");
    };
    refused(Refusal::Tick, "A", &|block| block.terms.tick_size = f64::NAN.into());
    refused(Refusal::Tick, "A", &|block| block.terms.tick_size = 0.0.into());
    refused(Refusal::Lot, "A", &|block| block.terms.min_trade_amount = 0.0.into());
    refused(Refusal::Contract, "A", &|block| block.terms.contract_size = f64::INFINITY.into());
    refused(Refusal::Kind, "A", &|block| block.kind = 9);
    refused(Refusal::Kind, "A", &|block| block.kind = 1);
    refused(Refusal::Strike, "A", &|block| (block.kind, block.option_type) = (1, 1));
    refused(Refusal::Fee, "A", &|block| block.terms.taker_commission = 2.0.into());
    refused(Refusal::Fee, "A", &|block| block.terms.maker_commission = f64::NAN.into());
    refused(Refusal::Currency, "A", &|block| block.terms.base_currency = [0; 8]);
    refused(Refusal::Currency, "A", &|block| {
        (block.terms.base_currency, block.terms.counter_currency) = ([b'X'; 8], [b'Y'; 8]);
    });
    refused(Refusal::Name, "", &|_| {});
    refused(Refusal::Name, "has space", &|_| {});
    refused(Refusal::Name, &"X".repeat(NAME_BYTES_MAX + 1), &|_| {});
    refused(Refusal::Expiry, "A", &|block| {
        (block.kind, block.option_type) = (1, 1);
        (block.terms.strike, block.terms.expiration_ms) = (1.0.into(), u64::MAX.into());
    });
    assert_eq!(rig.feed.catalogue().instruments().len(), 0);
    assert_eq!(rig.feed.catalogue().underlyings().len(), 0, "nothing of a refused definition is kept");
}

#[test]
fn a_full_level_arena_refuses_listings_and_no_more() {
    let mut rig = Rig::new(64);
    let listed = rig.feed.catalogue().instruments().len();
    assert_eq!(listed, 4_096 / (2 * 64));
    assert_eq!(rig.counters().refused[Refusal::Room as usize], 64 - listed as u64);
    rig.round();
    assert_eq!(rig.quality(listed as u32 - 1), BookQuality::Good);
}

#[test]
fn a_definition_seen_before_changes_nothing_and_one_that_differs_is_listed_again() {
    let mut rig = Rig::new(1);
    let listings = |rig: &Rig| rig.events.iter().filter(|e| matches!(e.body, Body::Listed { .. })).count();
    assert_eq!(listings(&rig), 1);
    rig.define(0, "BTC-0", |_| {});
    assert_eq!(listings(&rig), 1);
    rig.round();
    rig.change(0, 0, 5, 8, &[false]);
    rig.define(0, "BTC-0", |block| block.terms.min_trade_amount = 4.0.into());
    assert_eq!(listings(&rig), 2);
    assert_eq!(rig.top(0), (BookQuality::Good, [(5, 2), (0, 0)]), "the top is told again in the new lots");
}

#[test]
fn tick_steps_survive_the_definition_that_has_none() {
    let mut rig = Rig::new(1);
    let terms = Terms { tick_size: 0.5.into(), ..plain_terms() };
    let v2 = InstrumentV2Block { instrument_id: 5.into(), state: 1, terms, ..InstrumentV2Block::default() };
    let v1 = InstrumentBlock { instrument_id: 5.into(), state: 1, terms, ..InstrumentBlock::default() };
    let step = TickStep { above_price: 100.0.into(), tick_size: 1.0.into() };
    let absurd = TickStep { above_price: f64::NAN.into(), tick_size: 1.0.into() };
    rig.send(SNAPSHOTS, false, |packet| packet.instrument_v2(&v2, &[step, absurd], b"BTC-5").unwrap());
    rig.send(SNAPSHOTS, false, |packet| packet.instrument(&v1, b"BTC-5").unwrap());
    let id = rig.feed.find("BTC-5").unwrap();
    assert_eq!(rig.feed.catalogue().find(id).unwrap().ticks.steps().len(), 1);
    assert_eq!(rig.counters().tick_steps_refused, 1);
    let coarser = InstrumentBlock { terms: Terms { tick_size: 2.0.into(), ..terms }, ..v1 };
    rig.send(SNAPSHOTS, false, |packet| packet.instrument(&coarser, b"BTC-5").unwrap());
    assert_eq!(rig.feed.catalogue().find(id).unwrap().ticks.steps().len(), 0, "steps of another base tick");
}

fn plain_terms() -> Terms {
    Terms {
        base_currency: ascii("BTC"),
        counter_currency: ascii("USD"),
        settlement_currency: ascii("BTC"),
        contract_size: 10.0.into(),
        min_trade_amount: 1.0.into(),
        ..Terms::default()
    }
}

#[test]
fn a_number_given_to_another_contract_never_moves_an_index() {
    let mut rig = Rig::new(2);
    rig.round();
    let (first, second) = (rig.feed.find("BTC-0").unwrap(), rig.feed.find("BTC-1").unwrap());
    rig.define(0, "BTC-NEW", |_| {});
    let new = rig.feed.find("BTC-NEW").unwrap();
    assert_eq!(rig.feed.board.listings.find(0), Some(new));
    assert_eq!((rig.feed.find("BTC-0"), new.0), (Some(first), 2));
    assert_eq!(rig.feed.catalogue().find(first).unwrap().state, InstrumentState::Closed);
    let closed = |event: &Event| matches!(event.body, Body::Status { instrument, state: InstrumentState::Closed } if instrument == first);
    assert!(rig.events.iter().any(closed));
    rig.define(77, "BTC-1", |_| {});
    assert_eq!(rig.feed.board.listings.find(77), Some(second), "a known contract keeps its index under a new number");
    assert_eq!(rig.feed.catalogue().find(second).unwrap().venue.0, 77);
}

#[test]
fn an_index_price_goes_to_the_underlying_it_names() {
    let mut rig = Rig::new(1);
    for (name, price) in [("btc_usd", 26_000.5), ("eth_usd", 1.0), ("btc_usd", f64::NAN), ("btc_usd", f64::INFINITY)] {
        let block = PriceIndexBlock { name: ascii(name), price: price.into(), timestamp_ms: 0.into() };
        rig.send(CHANGES, false, |packet| packet.price_index(&block).unwrap());
    }
    let prices: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event.body {
            Body::Index { underlying, price } => Some((underlying.0, price)),
            _ => None,
        })
        .collect();
    assert_eq!(prices, [(0, Price(26_000_500_000_000))]);
    assert_eq!((rig.counters().indices_unmatched, rig.counters().decode_errors_total()), (1, 1));
}

#[test]
fn marks_and_states_come_from_tickers_in_their_order() {
    let mut rig = Rig::new(1);
    let mut ticker = |state: u8, timestamp_ms: u64, mark: f64| {
        let block = TickerBlock {
            instrument_id: 0.into(),
            state,
            timestamp_ms: timestamp_ms.into(),
            mark_price: mark.into(),
            ..TickerBlock::default()
        };
        rig.send(CHANGES, false, |packet| packet.ticker(&block).unwrap());
    };
    ticker(1, 10, 5.0);
    ticker(1, 9, 6.0);
    ticker(1, 11, f64::NAN);
    ticker(2, 12, 5.0);
    ticker(2, 13, 1e300);
    let seen: Vec<_> =
        rig.events.iter().filter(|e| matches!(e.body, Body::Mark { .. } | Body::Status { .. })).collect();
    let id = InstrumentId(0);
    let bodies: Vec<_> = seen.iter().map(|event| event.body).collect();
    assert_eq!(
        bodies,
        [
            Body::Status { instrument: id, state: InstrumentState::Open },
            Body::Mark { instrument: id, mark: Price(5_000_000_000) },
            Body::Status { instrument: id, state: InstrumentState::Closed },
        ]
    );
    assert_eq!((rig.counters().tickers_stale, rig.counters().decode_errors_total()), (1, 1));
}

#[test]
fn a_late_packet_changes_nothing() {
    let mut rig = Rig::new(1);
    rig.round();
    rig.change(0, 0, 5, 1, &[false]);
    let before = rig.events.len();
    rig.sequences[0] -= 1;
    rig.books[0].change_id -= 3;
    rig.change(0, 0, 6, 1, &[false]);
    assert_eq!((rig.events.len(), rig.counters().packets_late), (before, 1));
}

#[test]
fn the_trail_and_time_are_the_packets() {
    let mut rig = Rig::new(1);
    rig.round();
    assert!(rig.events.iter().all(|event| event.trail.received == Ticks(7)));
    assert!(rig.events.iter().all(|event| event.time <= rig.now));
}
