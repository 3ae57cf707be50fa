//! A small venue that knows its own books, and the feed that listens to it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use crate::event::Body;
use crate::feed::{Feed, FeedCounters};
use crate::wire::deribit_multicast::{
    BookBlock, BookEntry, InstrumentV2Block, PacketBuilder, SnapshotBlock, SnapshotEntry, SnapshotStartBlock, Terms,
    ascii,
};

pub(super) const CHANGES: u16 = 6_100;
pub(super) const SNAPSHOTS: u16 = 6_101;

/// What was sent on one port, by the venue's number.
#[derive(Clone, Default)]
pub(super) struct VenueBook {
    pub(super) change_id: u64,
    /// Price to amount; bids, then asks.
    pub(super) sides: [BTreeMap<i64, i64>; 2],
}

impl VenueBook {
    pub(super) fn top(&self) -> [(i64, i64); 2] {
        let level = |level: Option<(&i64, &i64)>| level.map_or((0, 0), |(&price, &amount)| (price, amount));
        [level(self.sides[0].last_key_value()), level(self.sides[1].first_key_value())]
    }

    pub(super) fn entries(&self) -> Vec<SnapshotEntry> {
        let side = |side: usize| {
            let levels = self.sides[side].iter();
            levels.map(move |(&price, &amount)| SnapshotEntry {
                side: 1 - side as u8,
                price: (price as f64).into(),
                amount: (amount as f64).into(),
            })
        };
        side(0).chain(side(1)).collect()
    }
}

/// A venue and the feed that listens to it.
pub(super) struct Rig {
    pub(super) feed: Feed,
    pub(super) events: Vec<Event>,
    pub(super) now: Nanos,
    pub(super) sequences: [u32; 2],
    pub(super) books: Vec<VenueBook>,
    /// Whether more packets follow that come together with the next ones.
    pub(super) more_follow: bool,
}

impl Rig {
    pub(super) fn new(instruments: u32) -> Self {
        let mut rig = Self {
            feed: Feed::new(FeedConfig {
                stale_after_ns: Nanos::PER_SECOND,
                future_depth: 64,
                option_depth: 64,
                levels_max: 4_096,
                ..FeedConfig::default()
            }),
            events: Vec::new(),
            now: Nanos::from_secs(1_700_000_000),
            sequences: [0; 2],
            books: vec![VenueBook::default(); instruments as usize],
            more_follow: false,
        };
        for venue in 0..instruments {
            rig.define(venue, &format!("BTC-{venue}"), |_| {});
        }
        rig
    }

    /// Builds the next packet of a port; delivers it unless it is to be lost.
    pub(super) fn send(&mut self, port: u16, is_lost: bool, write: impl FnOnce(&mut PacketBuilder<'_>)) {
        let sequence = &mut self.sequences[usize::from(port - CHANGES)];
        let mut buffer = [0; 4_096];
        let mut packet = PacketBuilder::new(&mut buffer, port - CHANGES, *sequence).unwrap();
        *sequence += 1;
        write(&mut packet);
        let bytes = packet.finish();
        self.now.0 += 1_000_000;
        if !is_lost {
            let packet = Packet { time: self.now, received: Ticks(7), port, line: Line::A, bytes };
            self.feed.step_of_many(&packet, !self.more_follow, &mut self.events);
        }
    }

    pub(super) fn define(&mut self, venue: u32, name: &str, change: impl FnOnce(&mut InstrumentV2Block)) {
        let mut block = InstrumentV2Block {
            instrument_id: venue.into(),
            state: 1,
            kind: 0,
            instrument_type: 1,
            option_type: 0,
            terms: Terms {
                base_currency: ascii("BTC"),
                counter_currency: ascii("USD"),
                settlement_currency: ascii("BTC"),
                contract_size: 10.0.into(),
                min_trade_amount: 1.0.into(),
                tick_size: 0.5.into(),
                strike: f64::NAN.into(),
                maker_commission: (-0.0001).into(),
                taker_commission: 0.0005.into(),
                ..Terms::default()
            },
        };
        change(&mut block);
        self.send(SNAPSHOTS, false, |packet| packet.instrument_v2(&block, &[], name.as_bytes()).unwrap());
    }

    /// Changes one level of the venue's book and publishes it, in `parts` messages of one packet each.
    pub(super) fn change(&mut self, venue: u32, side: usize, price: i64, amount: i64, lost: &[bool]) {
        let now_ms = self.now.0 / Nanos::PER_MILLI;
        let book = &mut self.books[venue as usize];
        let prev = book.change_id;
        book.change_id += 3;
        let change_id = book.change_id;
        for (part, &is_lost) in lost.iter().enumerate() {
            let price = price + part as i64;
            let book = &mut self.books[venue as usize];
            let before =
                if amount == 0 { book.sides[side].remove(&price) } else { book.sides[side].insert(price, amount) };
            let change = match (before, amount) {
                (None, 0) => None,
                (Some(_), 0) => Some(2),
                (Some(_), _) => Some(1),
                (None, _) => Some(0),
            };
            let entry = change.map(|change| BookEntry {
                side: 1 - side as u8,
                change,
                price: (price as f64).into(),
                amount: (amount as f64).into(),
            });
            let block = BookBlock {
                instrument_id: venue.into(),
                timestamp_ms: now_ms.into(),
                prev_change_id: prev.into(),
                change_id: change_id.into(),
                is_last: u8::from(part + 1 == lost.len()),
            };
            self.send(CHANGES, is_lost, |packet| packet.book(&block, entry.as_slice()).unwrap());
        }
    }

    /// Publishes a book as it is, split after `split` levels into two packets when there are more.
    pub(super) fn snapshot(&mut self, venue: u32, split: usize, lost: [bool; 2]) {
        let (book, now_ms) = (self.books[venue as usize].clone(), self.now.0 / Nanos::PER_MILLI);
        self.snapshot_of(venue, &book, now_ms, split, lost);
    }

    pub(super) fn snapshot_of(&mut self, venue: u32, book: &VenueBook, now_ms: u64, split: usize, lost: [bool; 2]) {
        let entries = book.entries();
        let block = SnapshotBlock {
            instrument_id: venue.into(),
            timestamp_ms: now_ms.into(),
            change_id: book.change_id.into(),
            is_book_complete: 1,
            is_last_in_book: 1,
        };
        let (first, second) = entries.split_at(split.min(entries.len()));
        if !second.is_empty() {
            let part = SnapshotBlock { is_last_in_book: 0, ..block };
            self.send(SNAPSHOTS, lost[0], |packet| packet.snapshot(&part, first).unwrap());
        }
        let last = if second.is_empty() { first } else { second };
        self.send(SNAPSHOTS, lost[1], |packet| packet.snapshot(&block, last).unwrap());
    }

    pub(super) fn round(&mut self) {
        self.send(SNAPSHOTS, false, |packet| packet.snapshot_start(&SnapshotStartBlock::default()).unwrap());
        for venue in 0..self.books.len() as u32 {
            self.snapshot(venue, 3, [false; 2]);
        }
        self.send(SNAPSHOTS, false, |packet| packet.snapshot_end().unwrap());
    }

    /// The last top sent of an instrument: quality and levels.
    pub(super) fn top(&self, venue: u32) -> (BookQuality, [(i64, i64); 2]) {
        let id = self.feed.board.listings.find(venue).unwrap();
        let tops = self.events.iter().rev().filter_map(|event| match event.body {
            Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } if instrument == id => Some((
                quality,
                [(bid, bid_lots), (ask, ask_lots)].map(|(p, lots)| (p.0 / 1_000_000_000, i64::from(lots))),
            )),
            _ => None,
        });
        tops.into_iter().next().unwrap_or((BookQuality::Unknown, [(0, 0); 2]))
    }

    pub(super) fn counters(&self) -> &FeedCounters {
        self.feed.counters()
    }

    pub(super) fn quality(&self, venue: u32) -> BookQuality {
        self.top(venue).0
    }

    /// Every book shown as good must be the venue's.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        for (venue, book) in self.books.iter().enumerate() {
            let (quality, top) = self.top(venue as u32);
            if quality <= BookQuality::Crossed {
                prop_assert_eq!(top, book.top(), "instrument {}", venue);
                let [bid, ask] = top;
                let is_crossed = bid.1 > 0 && ask.1 > 0 && bid.0 >= ask.0;
                prop_assert_eq!(quality == BookQuality::Crossed, is_crossed);
            }
        }
        Ok(())
    }
}
