//! The protocol against packets written by hand: hostile bytes, transactions, versions, and what contradicts a book.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::event::{Body, Event};
use crate::feed::{Feed, FeedConfig, Line, Packet};
use crate::instrument::BookQuality;
use crate::units::{Nanos, Ticks};
use crate::wire::deribit_multicast::ascii;
use crate::wire::starbase::market_data::{
    AskPut, BidDelete, BidPut, IndexDefinition, InstrumentDefinition, InstrumentInfo, MessageMeta, NULL_INT, NoRoom,
    PacketBuilder, SnapshotHeader, SnapshotTrailer, Trade, message_flags, packet_type,
};

const CHANNEL: i32 = 3;
const WHOLE: u16 = message_flags::START_OF_TRANSACTION | message_flags::END_OF_TRANSACTION;

struct Rig {
    feed: Feed,
    events: Vec<Event>,
    now: Nanos,
    next: [i64; 2],
}

impl Rig {
    /// Two perpetuals, their books seeded with one bid and one ask each.
    fn new() -> Self {
        let config = FeedConfig {
            levels_max: 1 << 12,
            orders_max: 1 << 10,
            option_depth: 16,
            future_depth: 64,
            ..FeedConfig::starbase()
        };
        let mut rig = Self { feed: Feed::new(config), events: Vec::new(), now: Nanos(1_000_000_000), next: [1; 2] };
        rig.send(packet_type::INCREMENTAL, |_| Ok(()));
        for instrument in 1..=2 {
            rig.snapshot(instrument, 0, &[(10 * instrument, 99), (10 * instrument + 1, 101)]);
        }
        rig
    }

    fn send(&mut self, kind: u16, write: impl FnOnce(&mut PacketBuilder<'_>) -> Result<(), NoRoom>) {
        let next = &mut self.next[usize::from(kind == packet_type::SNAPSHOT)];
        let mut buffer = [0; 2_048];
        let mut packet = PacketBuilder::new(&mut buffer, kind, CHANNEL, *next, 0).unwrap();
        write(&mut packet).unwrap();
        *next += i64::from(packet.count());
        let bytes = packet.finish();
        self.now.0 += 1_000_000;
        let packet = Packet { time: self.now, received: Ticks(0), port: 1, line: Line::A, bytes };
        self.feed.step(&packet, &mut self.events);
    }

    /// Orders below 100 are bids.
    fn snapshot(&mut self, instrument: i64, as_of: i64, orders: &[(i64, i64)]) {
        let id = instrument.into();
        let definition = InstrumentDefinition {
            instrument_id: id,
            name: ascii(&format!("BTC-{instrument}")),
            index_id: 7.into(),
            underlying: [0; 64],
            quantity_asset: ascii("USD"),
            price_asset: ascii("USD"),
            expiry_time: NULL_INT.into(),
            strike_price: NULL_INT.into(),
            min_order_quantity: 10.into(),
            tick_size: 500_000_000.into(),
            quantity_exponent: 0,
            kind: 0,
            flags: 5,
            status: 0,
        };
        let meta = MessageMeta::default();
        self.send(packet_type::SNAPSHOT, |packet| {
            packet.push(meta, &IndexDefinition { index_id: 7.into(), name: ascii("btc_usd") })?;
            packet.push(
                meta,
                &SnapshotHeader {
                    instrument_id: id,
                    incremental_timestamp: 0.into(),
                    incremental_seq_num: as_of.into(),
                },
            )?;
            packet.definition(meta, &definition, &[], &[])?;
            for &(order, price) in orders {
                let (bid, ask) = puts(instrument, order, price, 10, order);
                if price < 100 { packet.push(meta, &bid)? } else { packet.push(meta, &ask)? }
            }
            packet.push(
                meta,
                &SnapshotTrailer { instrument_id: id, timestamp: 0.into(), increment_seq_num: as_of.into() },
            )
        });
    }

    fn bid(&mut self, flags: u16, instrument: i64, order: i64, price: i64) {
        let (bid, _) = puts(instrument, order, price, 10, order);
        self.send(packet_type::INCREMENTAL, |packet| packet.push(MessageMeta { flags, transact_time_ns: 0 }, &bid));
    }

    /// The last top shown: quality, bid, ask.
    fn top(&self, instrument: i64) -> (BookQuality, i64, i64) {
        let id = self.feed.find(&format!("BTC-{instrument}")).unwrap();
        let tops = self.events.iter().rev().filter_map(|event| match event.body {
            Body::Top { instrument, quality, bid, ask, .. } if instrument == id => Some((quality, bid.0, ask.0)),
            _ => None,
        });
        tops.into_iter().next().unwrap()
    }
}

fn puts(instrument: i64, order: i64, price: i64, quantity: i64, sort: i64) -> (BidPut, AskPut) {
    let (order_id, instrument_id, quantity_mantissa) = (order.into(), instrument.into(), quantity.into());
    let (price, sort_order_id) = (price.into(), sort.into());
    (
        BidPut { order_id, instrument_id, quantity_mantissa, price, sort_order_id },
        AskPut { order_id, instrument_id, quantity_mantissa, price, sort_order_id },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(packets in vec(vec(any::<u8>(), 0..300), 0..40)) {
        let mut rig = Rig::new();
        for bytes in &packets {
            let packet = Packet { time: rig.now, received: Ticks(0), port: 1, line: Line::B, bytes };
            rig.feed.step(&packet, &mut rig.events);
        }
    }

    #[test]
    fn corrupted_packets_never_panic_and_snapshots_heal(faults in vec((24_usize..400, any::<u8>()), 1..60)) {
        let mut rig = Rig::new();
        for (at, byte) in faults {
            let sequence = rig.next[0];
            let mut buffer = [0; 2_048];
            let mut packet = PacketBuilder::new(&mut buffer, packet_type::INCREMENTAL, CHANNEL, sequence, 0).unwrap();
            let meta = MessageMeta { flags: WHOLE, transact_time_ns: 0 };
            let (bid, ask) = puts(1, 500 + sequence, 50, 10, 1);
            packet.push(meta, &bid).unwrap();
            packet.push(meta, &ask).unwrap();
            packet.push(meta, &BidDelete { order_id: 20.into(), instrument_id: 2.into() }).unwrap();
            rig.next[0] += i64::from(packet.count());
            let len = packet.finish().len();
            let at = 24 + at % (len - 24);
            buffer[at] ^= byte;
            rig.now.0 += 1_000;
            let packet = Packet { time: rig.now, received: Ticks(0), port: 1, line: Line::A, bytes: &buffer[..len] };
            rig.feed.step(&packet, &mut rig.events);
        }
        // Whatever the last flags said, a transaction is over.
        rig.bid(WHOLE, 1, 900, 50);
        let as_of = rig.next[0] - 1;
        for _ in 0..3 {
            rig.snapshot(1, as_of, &[(901, 98), (902, 102)]);
            rig.snapshot(2, as_of, &[(903, 97), (904, 103)]);
        }
        prop_assert_eq!(rig.top(1), (BookQuality::Good, 98, 102));
        prop_assert_eq!(rig.top(2), (BookQuality::Good, 97, 103));
    }
}

#[test]
fn a_transaction_is_shown_when_it_ends() {
    let mut rig = Rig::new();
    assert_eq!(rig.top(1), (BookQuality::Good, 99, 101));
    rig.bid(message_flags::START_OF_TRANSACTION, 1, 70, 100);
    assert_eq!(rig.top(1).1, 99, "its middle is nobody's business");
    rig.bid(message_flags::END_OF_TRANSACTION, 1, 71, 98);
    assert_eq!(rig.top(1).1, 100);
}

#[test]
fn a_channel_heard_again_within_a_transaction_shows_no_half_of_it() {
    let mut rig = Rig::new();
    rig.bid(message_flags::START_OF_TRANSACTION, 1, 70, 100);
    rig.now.0 += 20 * Nanos::PER_SECOND;
    rig.feed.tick(rig.now, &mut rig.events);
    assert_eq!(rig.top(1).0, BookQuality::Stale);
    rig.bid(0, 1, 71, 98);
    assert_eq!(rig.top(1).0, BookQuality::Stale, "it goes on");
    assert_eq!(rig.top(2), (BookQuality::Good, 99, 101), "whom it does not touch");
    rig.bid(message_flags::END_OF_TRANSACTION, 1, 72, 97);
    assert_eq!(rig.top(1), (BookQuality::Good, 100, 101));
}

#[test]
fn books_of_a_channel_that_counts_anew_wait_for_a_snapshot_of_the_new_count() {
    let mut rig = Rig::new();
    for order in 100..200 {
        rig.bid(WHOLE, 1, order, 90);
    }
    rig.next[0] = 1;
    for order in 300..340 {
        rig.bid(WHOLE, 2, order, 98);
    }
    assert_eq!(rig.feed.counters().restarts, 1);
    for order in 340..440 {
        rig.bid(WHOLE, 1, order, 98);
    }
    assert_eq!([1, 2].map(|instrument| rig.top(instrument).0), [BookQuality::Gapped; 2], "of the count before");
    let as_of = rig.next[0] - 1;
    for instrument in [1, 2] {
        rig.snapshot(instrument, as_of, &[(1_000 + instrument, 97), (2_000 + instrument, 103)]);
        assert_eq!(rig.top(instrument), (BookQuality::Good, 97, 103));
    }
}

#[test]
fn what_contradicts_one_book_leaves_the_others_alone() {
    let mut rig = Rig::new();
    let delete = BidDelete { order_id: 12_345.into(), instrument_id: 1.into() };
    rig.send(packet_type::INCREMENTAL, |packet| {
        packet.push(MessageMeta { flags: WHOLE, transact_time_ns: 0 }, &delete)
    });
    assert_eq!((rig.top(1).0, rig.top(2).0), (BookQuality::Gapped, BookQuality::Good));
    assert_eq!((rig.feed.counters().level_faults, rig.feed.counters().books_gapped), (1, 1));
    let as_of = rig.next[0] - 1;
    rig.snapshot(1, as_of - 1, &[(1, 98), (2, 102)]);
    assert_eq!(rig.top(1).0, BookQuality::Gapped, "it is of a time before the contradiction");
    rig.bid(WHOLE, 1, 80, 99);
    rig.snapshot(1, as_of, &[(1, 98), (2, 102)]);
    assert_eq!(rig.top(1), (BookQuality::Good, 99, 102), "with what was held back since");
}

#[test]
fn a_snapshot_that_differs_from_a_whole_book_wins_and_is_counted() {
    let mut rig = Rig::new();
    rig.bid(WHOLE, 1, 80, 98);
    let as_of = rig.next[0] - 1;
    rig.snapshot(1, as_of, &[(10, 99), (80, 98), (11, 101)]);
    assert_eq!((rig.feed.counters().snapshots_compared, rig.feed.counters().snapshots_equal), (1, 1));
    rig.snapshot(1, as_of, &[(10, 97), (11, 101)]);
    assert_eq!((rig.feed.counters().snapshots_compared, rig.feed.counters().snapshots_equal), (2, 1));
    assert_eq!(rig.top(1), (BookQuality::Good, 97, 101));
    // Ahead of the messages it proves nothing until they have come that far without a word about the book.
    rig.snapshot(1, as_of + 1, &[(10, 96), (11, 101)]);
    assert_eq!((rig.top(1).1, rig.feed.counters().snapshots_ahead), (97, 1));
    rig.bid(WHOLE, 2, 81, 98);
    rig.snapshot(1, as_of + 2, &[(10, 96), (11, 101)]);
    assert_eq!(rig.top(1).1, 96);
}

#[test]
fn sort_numbers_decide_the_queue_and_arrival_does_not() {
    let mut rig = Rig::new();
    for (order, sort) in [(50, 9), (51, 3), (52, 5)] {
        let (bid, _) = puts(1, order, 90, 10, sort);
        rig.send(packet_type::INCREMENTAL, |packet| {
            packet.push(MessageMeta { flags: WHOLE, transact_time_ns: 0 }, &bid)
        });
    }
    let books = rig.feed.orders().unwrap();
    let queue: Vec<i64> = books.orders(0, crate::units::Side::Buy).filter(|o| o.price.0 == 90).map(|o| o.id).collect();
    assert_eq!(queue, [51, 52, 50]);
    assert_eq!(books.ahead_of(50).map(|quantity| quantity.0), Some(20_000_000_000));
}

#[test]
fn later_versions_are_read_and_counted() {
    let mut rig = Rig::new();
    let info = InstrumentInfo {
        instrument_id: 1.into(),
        min_sell_price: 1.into(),
        max_buy_price: 2.into(),
        index_price: 96_000.into(),
        mark_price: 96_001.into(),
    };
    let mut buffer = [0; 256];
    let mut packet = PacketBuilder::new(&mut buffer, packet_type::INCREMENTAL, CHANNEL, 1, 0).unwrap();
    packet.push(MessageMeta { flags: WHOLE, transact_time_ns: 0 }, &info).unwrap();
    let mut bytes = packet.finish().to_vec();
    // Version 2, eight bytes longer.
    bytes.extend([0xEE; 8]);
    (bytes[24], bytes[28]) = (bytes[24] + 8, 2);
    rig.feed
        .step(&Packet { time: rig.now, received: Ticks(0), port: 1, line: Line::A, bytes: &bytes }, &mut rig.events);
    assert!(rig.events.iter().any(|e| matches!(e.body, Body::Mark { mark, .. } if mark.0 == 96_001)));
    assert_eq!((rig.feed.counters().other_versions, rig.feed.counters().newest_version), (1, 2));
}

#[test]
fn the_aggressor_of_a_trade_is_the_other_side_of_its_maker() {
    let mut rig = Rig::new();
    let trade = Trade {
        match_id: 5.into(),
        instrument_id: 1.into(),
        maker_order_id: 10.into(),
        fill_qty_mantissa: 30.into(),
        fill_price: 99.into(),
        maker_flags: 0.into(),
    };
    rig.send(packet_type::INCREMENTAL, |packet| packet.push(MessageMeta { flags: WHOLE, transact_time_ns: 0 }, &trade));
    let sold = |event: &Event| matches!(event.body, Body::Trade { side: crate::units::Side::Sell, lots: 3, id: 5, .. });
    assert!(rig.events.iter().any(sold));
}

#[test]
fn a_silent_channel_makes_its_books_stale() {
    let mut rig = Rig::new();
    rig.now.0 += 12_000_000_000;
    rig.feed.tick(rig.now, &mut rig.events);
    assert_eq!(rig.top(1).0, BookQuality::Stale);
    rig.bid(WHOLE, 1, 80, 98);
    assert_eq!((rig.top(1).0, rig.top(2).0), (BookQuality::Good, BookQuality::Good));
}
