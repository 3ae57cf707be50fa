//! Naive books, built from what the venue published before the network touched it: every top that was ever true.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::feed::Protocol;
use crate::sim::venue::Channel;
use crate::sim::venue::publish::starbase::QUANTITY_UNIT;
use crate::units::{Price, Quantity, Side};
use crate::wire::deribit_multicast::{self as classic, BookChange, BookSide};
use crate::wire::starbase::market_data::{self as starbase, message_flags};

/// Best bid and its amount, best offer and its amount; zero for an empty side.
pub(super) type Top = (i64, Quantity, i64, Quantity);

/// What the venue's book of one instrument was.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Bids and offers by price.
    sides: [BTreeMap<i64, Quantity>; 2],
    /// Where the orders stand that make up the levels, in a protocol that has orders.
    orders: HashMap<i64, (Side, i64, Quantity)>,
    /// Every top, oldest first.
    pub(super) tops: Vec<Top>,
    /// The top last shown by the feed.
    pub(super) at: usize,
}

impl Truth {
    fn note(&mut self) {
        let [bids, asks] = &self.sides;
        let (bid, bid_amount) = bids.last_key_value().map_or((0, Quantity(0)), |(p, a)| (*p, *a));
        let (ask, ask_amount) = asks.first_key_value().map_or((0, Quantity(0)), |(p, a)| (*p, *a));
        self.tops.push((bid, bid_amount, ask, ask_amount));
    }

    /// An order stands so, or is gone.
    fn order(&mut self, id: i64, stands: Option<(Side, i64, Quantity)>) {
        if let Some((side, price, amount)) = self.orders.remove(&id) {
            let level = self.sides[side as usize].entry(price).or_default();
            level.0 -= amount.0;
            if level.0 == 0 {
                self.sides[side as usize].remove(&price);
            }
        }
        if let Some((side, price, amount)) = stands {
            self.sides[side as usize].entry(price).or_default().0 += amount.0;
            self.orders.insert(id, (side, price, amount));
        }
    }
}

/// The naive books by the venue's number.
#[derive(Debug)]
pub(super) struct Truths {
    protocol: Protocol,
    books: HashMap<u32, Truth>,
    /// Books that a transaction under way has touched.
    open: HashSet<u32>,
}

impl Truths {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, books: HashMap::new(), open: HashSet::new() }
    }

    /// The book of an instrument.
    pub(super) fn of(&mut self, venue: u32) -> &mut Truth {
        self.books.entry(venue).or_default()
    }

    /// Takes what was published.
    pub(super) fn published(&mut self, channel: Channel, bytes: &[u8]) {
        match (channel, self.protocol) {
            (Channel::Incremental, Protocol::Classic) => self.levels(bytes),
            (Channel::Incremental, Protocol::Starbase) => self.orders(bytes),
            (Channel::Snapshot, _) => {}
        }
    }

    fn levels(&mut self, bytes: &[u8]) {
        let Ok((_, messages)) = classic::Packet::parse(bytes) else { return };
        for message in messages.flatten() {
            let classic::Message::Book(book) = message else { continue };
            let truth = self.of(book.block.instrument_id.get());
            for entry in book.entries {
                let Some(price) = Price::from_f64(entry.price.get()) else { continue };
                let side = if entry.side == u8::from(BookSide::Bid) { Side::Buy } else { Side::Sell };
                if entry.change == u8::from(BookChange::Deleted) {
                    truth.sides[side as usize].remove(&price.0);
                } else {
                    let amount = Quantity::from_f64(entry.amount.get()).unwrap_or_default();
                    truth.sides[side as usize].insert(price.0, amount);
                }
            }
            truth.note();
        }
    }

    fn orders(&mut self, bytes: &[u8]) {
        use starbase::Message;
        let Ok((_, messages)) = starbase::Packet::parse(bytes) else { return };
        for sequenced in messages.flatten() {
            let Ok(message) = sequenced.message else { continue };
            let amount = |mantissa: i64| Quantity(mantissa * QUANTITY_UNIT);
            let put = |side, price, mantissa| Some(Some((side, price, amount(mantissa))));
            // The order, its instrument, and where it stands: at its own place when only its amount is said.
            let (id, instrument, stands, shrinks) = match message {
                Message::BidPut(m) => {
                    (m.order_id, m.instrument_id, put(Side::Buy, m.price.get(), m.quantity_mantissa.get()), None)
                }
                Message::AskPut(m) => {
                    (m.order_id, m.instrument_id, put(Side::Sell, m.price.get(), m.quantity_mantissa.get()), None)
                }
                Message::BidQtyReduced(m) => {
                    (m.order_id, m.instrument_id, None, Some(amount(m.quantity_mantissa.get())))
                }
                Message::AskQtyReduced(m) => {
                    (m.order_id, m.instrument_id, None, Some(amount(m.quantity_mantissa.get())))
                }
                Message::BidDelete(m) => (m.order_id, m.instrument_id, Some(None), None),
                Message::AskDelete(m) => (m.order_id, m.instrument_id, Some(None), None),
                _ => (0.into(), (-1).into(), None, None),
            };
            if let Ok(venue) = u32::try_from(instrument.get()) {
                let truth = self.books.entry(venue).or_default();
                let known = truth.orders.get(&id.get()).copied();
                let shrunk = shrinks.zip(known).map(|(amount, (side, price, _))| Some((side, price, amount)));
                if let Some(stands) = stands.or(shrunk) {
                    truth.order(id.get(), stands);
                }
                self.open.insert(venue);
            }
            if sequenced.header.flags.get() & message_flags::END_OF_TRANSACTION != 0 {
                for venue in self.open.drain() {
                    if let Some(truth) = self.books.get_mut(&venue) {
                        truth.note();
                    }
                }
            }
        }
    }
}
