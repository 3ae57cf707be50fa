//! Real captures of the venue's feed, decoded to their last byte and followed by the feed.
//!
//! The captures lie beside the repository and are not part of it; where they are absent each test says so and passes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use hedgecore::capture::Capture;
use hedgecore::event::{Body, Event};
use hedgecore::feed::{Feed, FeedConfig, FeedCounters, Line, Packet};
use hedgecore::instrument::{BookQuality, Catalogue, InstrumentKind, Payoff};
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::{Nanos, Price, Quantity, Ticks};
use hedgecore::wire::deribit_multicast::{self as wire, Template};

/// A capture as received packets, or `None` with a notice.
fn packets(name: &str) -> Option<Vec<(Nanos, u16, Vec<u8>)>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/deribit_multicast");
    let path = PathBuf::from(root).join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    let mut capture = Capture::open(&path).unwrap();
    let mut packets = Vec::new();
    while let Some(datagram) = capture.next_datagram().unwrap() {
        packets.push((datagram.time, datagram.destination.port(), datagram.payload.to_vec()));
    }
    assert_eq!(capture.counters().datagrams, capture.counters().packets, "{name} holds UDP and nothing else");
    Some(packets)
}

fn replay(packets: &[(Nanos, u16, Vec<u8>)], out: &mut impl Outbox<Event>) -> Feed {
    let mut feed = Feed::new(FeedConfig::default());
    for (time, port, bytes) in packets {
        feed.step(&Packet { time: *time, received: Ticks(time.0), port: *port, line: Line::A, bytes }, out);
    }
    feed
}

fn message_counts(counters: &FeedCounters) -> Vec<(&'static str, u64)> {
    let counts = Template::ALL.map(|template| (template.name(), counters.messages_of(template)));
    counts.into_iter().filter(|&(_, count)| count > 0).collect()
}

/// What a receiver of the events knows: the latest of everything.
#[derive(Default)]
struct Known {
    catalogue: Catalogue,
    tops: BTreeMap<u16, Body>,
    marks: BTreeMap<u16, Price>,
    trades: u64,
}

impl Known {
    fn take(&mut self, event: &Event) {
        match event.body {
            Body::Top { instrument, .. } => drop(self.tops.insert(instrument.0, event.body)),
            Body::Mark { instrument, mark } => drop(self.marks.insert(instrument.0, mark)),
            Body::Trade { .. } => self.trades += 1,
            _ => drop(self.catalogue.apply(&event.body).expect("reference data in order")),
        }
    }
}

/// Has room for a number of events, then is full until emptied.
struct Narrow {
    events: Vec<Event>,
    capacity: usize,
}

impl Outbox<Event> for Narrow {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        if self.room() == 0 {
            return Err(Full);
        }
        self.events.push(event);
        Ok(())
    }

    fn room(&self) -> usize {
        self.capacity - self.events.len()
    }
}

#[test]
fn the_first_seconds_of_a_session_decode_whole_and_unbroken() {
    let Some(packets) = packets("sample_first42s.pcapng") else { return };
    let mut events = Vec::new();
    let feed = replay(&packets, &mut events);
    let counters = feed.counters();

    assert_eq!(
        message_counts(counters),
        [
            ("instrument", 84),
            ("book", 137),
            ("trades", 36),
            ("ticker", 1_837),
            ("snapshot", 84),
            ("snapshot_start", 21),
            ("snapshot_end", 21),
            ("price_index", 231),
            ("instrument_v2", 84),
        ]
    );
    assert_eq!((counters.trades, feed.channels()), (45, 29));
    assert_eq!((counters.sequence_gaps, counters.chain_breaks, counters.decode_errors_total()), (0, 0, 0));
    assert_eq!((counters.level_faults, counters.books_gapped, counters.level_overflow), (0, 0, 0));
    assert_eq!((counters.books_seeded, counters.snapshots_compared, counters.snapshots_equal), (84, 0, 0));
    assert_eq!((counters.refused_total(), counters.tick_steps_refused, counters.off_lot), (0, 0, 0));
    assert_eq!((counters.unknown_templates, counters.packets_late, counters.trades_dropped), (0, 0, 0));

    let catalogue = feed.catalogue();
    let of_kind = |kind| catalogue.instruments().iter().filter(|i| i.kind == kind).count();
    assert_eq!(catalogue.instruments().len(), 84);
    assert_eq!(of_kind(InstrumentKind::Option), 76);
    assert_eq!((of_kind(InstrumentKind::Perpetual), of_kind(InstrumentKind::Future)), (4, 2));
    let underlyings: Vec<_> = catalogue.underlyings().map(|(_, u)| u.name().to_string()).collect();
    assert_eq!(underlyings.len(), 4, "{underlyings:?}");

    let perpetual = catalogue.find(feed.find("BTC-PERPETUAL").unwrap()).unwrap();
    assert_eq!((perpetual.kind, perpetual.payoff), (InstrumentKind::Perpetual, Payoff::Inverse));
    assert_eq!((perpetual.expiry_s, perpetual.lot), (0, Quantity(10_000_000_000)));
    let option = catalogue.find(feed.find("BTC-16JUN23-25800-C").unwrap()).unwrap();
    assert_eq!((option.expiry_s, option.strike), (1_686_902_400, Price(25_800_000_000_000)));
    assert_eq!(option.ticks.steps(), [(Price(1_000_000), Price(200_000))], "steps survive the other definition");

    let mut known = Known::default();
    events.iter().for_each(|event| known.take(event));
    assert_eq!(known.catalogue.instruments(), catalogue.instruments());
    assert_eq!(known.trades, 45);
    assert_eq!(known.tops.len(), 84, "every book was seeded");
    let good = |body: &&Body| matches!(body, Body::Top { quality: BookQuality::Good, .. });
    assert_eq!(known.tops.values().filter(good).count(), 84);
}

/// The books as a map would build them, without the feed.
#[test]
fn tops_are_those_of_a_naive_book() {
    let Some(packets) = packets("sample_first42s.pcapng") else { return };
    let mut events = Vec::new();
    let feed = replay(&packets, &mut events);
    let mut books: BTreeMap<(u32, u8), BTreeMap<i64, f64>> = BTreeMap::new();
    for (_, _, bytes) in &packets {
        for message in wire::Packet::parse(bytes).unwrap().1 {
            match message.unwrap() {
                wire::Message::Snapshot(snapshot) => {
                    for level in snapshot.entries {
                        let book = books.entry((snapshot.block.instrument_id.get(), level.side)).or_default();
                        book.insert((level.price.get() * 1e9).round() as i64, level.amount.get());
                    }
                }
                wire::Message::Book(changes) => {
                    for level in changes.entries {
                        let book = books.entry((changes.block.instrument_id.get(), level.side)).or_default();
                        let price = (level.price.get() * 1e9).round() as i64;
                        match level.change {
                            2 => book.remove(&price),
                            _ => book.insert(price, level.amount.get()),
                        };
                    }
                }
                _ => {}
            }
        }
    }
    let mut known = Known::default();
    events.iter().for_each(|event| known.take(event));
    let mut two_sided = 0;
    for instrument in feed.catalogue().instruments() {
        let side = |side: u8| books.get(&(instrument.venue.0, side)).cloned().unwrap_or_default();
        let (bids, asks) = (side(1), side(0));
        let Body::Top { bid, ask, bid_lots, ask_lots, .. } = known.tops[&instrument.id.0] else { unreachable!() };
        let lots = |amount: f64| (amount * 1e9 / instrument.lot.0 as f64).round() as u32;
        let naive_bid = bids.last_key_value().map_or((0, 0), |(&p, &a)| (p, lots(a)));
        let naive_ask = asks.first_key_value().map_or((0, 0), |(&p, &a)| (p, lots(a)));
        assert_eq!(((bid.0, bid_lots), (ask.0, ask_lots)), (naive_bid, naive_ask));
        two_sided += usize::from(bid_lots > 0 && ask_lots > 0);
    }
    println!("{two_sided} of 84 books have both sides at the end");
    assert!(two_sided > 0);
}

#[test]
fn two_runs_give_the_same_events() {
    let Some(packets) = packets("sample_first42s.pcapng") else { return };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    replay(&packets, &mut first);
    replay(&packets, &mut second);
    assert_eq!(first, second);
}

#[test]
fn a_receiver_that_is_often_full_ends_up_knowing_the_same() {
    let Some(packets) = packets("sample_first42s.pcapng") else { return };
    let mut events = Vec::new();
    replay(&packets, &mut events);
    let (mut fast, mut slow) = (Known::default(), Known::default());
    events.iter().for_each(|event| fast.take(event));

    let mut feed = Feed::new(FeedConfig::default());
    let mut narrow = Narrow { events: Vec::new(), capacity: 7 };
    for (n, (time, port, bytes)) in packets.iter().enumerate() {
        feed.step(&Packet { time: *time, received: Ticks(0), port: *port, line: Line::A, bytes }, &mut narrow);
        if n % 13 == 0 {
            narrow.events.drain(..).for_each(|event| slow.take(&event));
        }
    }
    let end = packets.last().unwrap().0;
    for _ in 0..1_000 {
        narrow.events.drain(..).for_each(|event| slow.take(&event));
        feed.tick(end, &mut narrow);
    }
    assert!(feed.counters().outbox_full > 0 && feed.counters().conflated > 0, "the test must meet a full outbox");
    assert_eq!(slow.catalogue.instruments(), fast.catalogue.instruments());
    assert_eq!(slow.tops, fast.tops);
    assert_eq!(slow.marks, fast.marks);
    assert_eq!(slow.trades + feed.counters().trades_dropped, 45);
}

#[test]
fn every_lost_packet_of_the_changes_is_noticed() {
    let Some(packets) = packets("sample_first42s.pcapng") else { return };
    let books: Vec<_> = (0..packets.len())
        .filter(|&n| {
            let (_, mut messages) = wire::Packet::parse(&packets[n].2).unwrap();
            messages.any(|message| matches!(message, Ok(wire::Message::Book(_))))
        })
        .collect();
    assert!(books.len() > 100);
    for &lost in books.iter().step_by(7) {
        let kept: Vec<_> = packets.iter().enumerate().filter(|&(n, _)| n != lost).map(|(_, p)| p.clone()).collect();
        let feed = replay(&kept, &mut Vec::new());
        let counters = feed.counters();
        let is_last_of_channel = counters.sequence_gaps == 0;
        assert!(is_last_of_channel || (counters.packets_missing == 1 && counters.books_gapped > 0), "packet {lost}");
    }
}

#[test]
fn captures_of_single_kinds_decode_whole() {
    let expected = [
        ("price_index.pcapng", vec![("price_index", 1_277)], 0),
        ("combo_legs.pcapng", vec![("instrument", 125), ("ticker", 125), ("snapshot", 125), ("combo_legs", 1)], 15),
        ("rfq.pcapng", vec![("rfq", 2)], 1),
    ];
    for (name, messages, gaps) in expected {
        let Some(packets) = packets(name) else { continue };
        let feed = replay(&packets, &mut Vec::new());
        let counters = feed.counters();
        assert_eq!(message_counts(counters), messages, "{name}");
        assert_eq!(counters.sequence_gaps, gaps, "{name}");
        assert_eq!((counters.decode_errors_total(), counters.refused_total(), counters.chain_breaks), (0, 0, 0));
        assert_eq!(counters.snapshots_equal, counters.snapshots_compared, "{name}");
    }
}
