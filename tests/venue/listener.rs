//! A subscriber that believes nothing: every sequence, chain and snapshot is checked as it comes.

use std::collections::HashMap;

use hedgecore::sim::venue::{Channel, Venue};
use hedgecore::units::Side;
use hedgecore::wire::deribit_multicast as feed;

/// What a subscriber of both lines makes of the packets.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) sequences: HashMap<(Channel, u16), u32>,
    pub(super) books: HashMap<u32, (u64, [HashMap<i64, i64>; 2])>,
    pub(super) definitions: HashMap<u32, String>,
    pub(super) counts: HashMap<&'static str, u64>,
    pub(super) packets: u64,
    pub(super) largest: usize,
    pub(super) snapshots_equal: u64,
}

impl Listener {
    pub(super) fn take(&mut self, channel: Channel, packet: &[u8]) {
        self.packets += 1;
        self.largest = self.largest.max(packet.len());
        let (header, messages) = feed::Packet::parse(packet).expect("framed packet");
        let line = self.sequences.entry((channel, header.channel_id.get())).or_default();
        *line += 1;
        assert_eq!(header.sequence.get(), *line, "sequence of {channel:?} {}", header.channel_id);
        for message in messages {
            let message = message.expect("decodable message");
            *self.counts.entry(message.template().expect("known template").name()).or_default() += 1;
            match message {
                feed::Message::InstrumentV2(instrument) => {
                    let name = String::from_utf8(instrument.name.to_vec()).expect("a name");
                    self.definitions.insert(instrument.block.instrument_id.get(), name);
                }
                feed::Message::Book(book) => {
                    let (change_id, sides) = self.books.entry(book.block.instrument_id.get()).or_default();
                    assert_eq!(book.block.prev_change_id.get(), *change_id, "chain of {}", book.block.instrument_id);
                    *change_id = book.block.change_id.get();
                    for entry in book.entries.iter() {
                        let (side, change, price, amount) = entry.level().expect("usable level");
                        let side = &mut sides[side as usize];
                        match change {
                            feed::BookChange::Created => {
                                assert_eq!(side.insert(price.0, amount.0), None, "created twice");
                            }
                            feed::BookChange::Changed => {
                                assert!(side.insert(price.0, amount.0).is_some_and(|old| old != amount.0));
                            }
                            feed::BookChange::Deleted => assert!(side.remove(&price.0).is_some()),
                        }
                    }
                }
                feed::Message::Snapshot(snapshot) => {
                    let (change_id, sides) = self.books.entry(snapshot.block.instrument_id.get()).or_default();
                    if snapshot.block.change_id.get() == *change_id && snapshot.block.is_last_in_book == 1 {
                        let mut shown: [HashMap<i64, i64>; 2] = Default::default();
                        for entry in snapshot.entries.iter() {
                            let (side, price, amount) = entry.level().expect("usable level");
                            shown[side as usize].insert(price.0, amount.0);
                        }
                        assert_eq!(&shown, sides, "snapshot of {}", snapshot.block.instrument_id);
                        self.snapshots_equal += 1;
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn assert_holds_the_books_of(&self, venue: &Venue) {
        for listing in venue.exchange().listings() {
            let held = self.books.get(&listing.contract.venue.0).cloned().unwrap_or_default().1;
            for side in [Side::Buy, Side::Sell] {
                let levels = listing.book.levels(side);
                let actual: HashMap<i64, i64> =
                    levels.map(|l| (l.price.0, l.lots.to_quantity(listing.contract.lot).0)).collect();
                assert_eq!(held[side as usize], actual, "{}", listing.contract.name);
            }
        }
    }
}
