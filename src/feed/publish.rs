//! What leaves the feed: the latest state of each instrument, sent when there is room.
//!
//! State is conflatable. A touched instrument has a bit set for each part that changed and stands once in a queue that
//! has room for all; the queue is flushed at the end of every step, or once for several packets that came together. When
//! the outbox is full the rest stays queued and goes out with a later flush, then as it stands at that time: a full ring
//! and a late reader cost intermediate states, which are counted, never the last one. Listings go out in index order,
//! underlyings before them, and an instrument's listing before all else about it.

use super::counters::FeedCounters;
use super::listing::Listings;
use crate::event::{Body, Event, Trail};
use crate::feed::Packet;
use crate::instrument::{BookQuality, Instrument, Symbol, UNDERLYINGS_MAX};
use crate::stage::{Full, Outbox};
use crate::units::{InstrumentId, Nanos, Price, Quantity, Ticks, UnderlyingId};

/// Parts of an instrument's state.
pub(in crate::feed) mod part {
    pub(in crate::feed) const LISTING: u8 = 1;
    pub(in crate::feed) const STATUS: u8 = 2;
    pub(in crate::feed) const MARK: u8 = 4;
    pub(in crate::feed) const TOP: u8 = 8;
}

/// Best bid and offer with their amounts, and how far to trust them. A zero amount is an empty side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::feed) struct Top {
    pub(in crate::feed) quality: BookQuality,
    pub(in crate::feed) bid: Price,
    pub(in crate::feed) ask: Price,
    pub(in crate::feed) bid_amount: Quantity,
    pub(in crate::feed) ask_amount: Quantity,
}

/// One instrument's state as it is, as it was sent, and what of it waits.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    top: Top,
    sent_top: Top,
    mark: Price,
    has_mark: bool,
    touched: u8,
    /// Of those, what packets before that one touched.
    older: u8,
    /// The packet that touched it last.
    packet: u32,
}

/// When and whence, for the events of one step.
#[derive(Clone, Copy, Debug)]
pub(in crate::feed) struct Stamp {
    pub(in crate::feed) time: Nanos,
    pub(in crate::feed) received: Ticks,
}

impl Stamp {
    /// What a packet causes bears its stamp.
    #[inline]
    pub(in crate::feed) fn of(packet: &Packet<'_>) -> Self {
        Self { time: packet.time, received: packet.received }
    }

    pub(in crate::feed) fn event(self, body: Body) -> Event {
        Event { trail: Trail { received: self.received, ..Trail::default() }, time: self.time, body }
    }
}

/// The state of every instrument and the queue of those touched.
#[derive(Debug)]
pub(in crate::feed) struct Publisher {
    shown: Box<[Shown]>,
    queue: Box<[u16]>,
    queue_head: usize,
    queue_len: usize,
    /// Packets taken, wrapping.
    packets: u32,
    underlyings_sent: usize,
    indices: [Price; UNDERLYINGS_MAX],
    indices_touched: u32,
    /// Of the flush that last found no room.
    refused: Stamp,
}

impl Publisher {
    /// Room for so many instruments.
    pub(in crate::feed) fn new(instruments: usize) -> Self {
        Self {
            shown: vec![Shown::default(); instruments].into_boxed_slice(),
            queue: vec![0; instruments].into_boxed_slice(),
            queue_head: 0,
            queue_len: 0,
            packets: 0,
            underlyings_sent: 0,
            indices: [Price::ZERO; UNDERLYINGS_MAX],
            indices_touched: 0,
            refused: Stamp { time: Nanos(0), received: Ticks(0) },
        }
    }

    /// Marks parts of an instrument's state as changed.
    #[inline]
    pub(in crate::feed) fn touch(&mut self, id: InstrumentId, parts: u8, counters: &mut FeedCounters) {
        let shown = &mut self.shown[id.index()];
        if shown.packet != self.packets {
            (shown.packet, shown.older) = (self.packets, shown.touched);
        }
        counters.conflated += u64::from((shown.older & parts).count_ones());
        shown.older &= !parts;
        if shown.touched == 0 {
            // An instrument is queued once, so a queue of one place each cannot overflow.
            let tail = self.queue_head + self.queue_len;
            let tail = if tail < self.queue.len() { tail } else { tail - self.queue.len() };
            self.queue[tail] = id.0;
            self.queue_len += 1;
        }
        shown.touched |= parts;
    }

    /// Sets an instrument's top. Nothing is touched when it is what it was.
    #[inline]
    pub(in crate::feed) fn set_top(&mut self, id: InstrumentId, top: Top, counters: &mut FeedCounters) {
        let shown = &mut self.shown[id.index()];
        if shown.top != top {
            shown.top = top;
            self.touch(id, part::TOP, counters);
        }
    }

    /// Has an instrument's top sent again in any case: its unit changed.
    pub(in crate::feed) fn resend_top(&mut self, id: InstrumentId, counters: &mut FeedCounters) {
        let shown = &mut self.shown[id.index()];
        if shown.top != Top::default() {
            shown.sent_top = Top::default();
            self.touch(id, part::TOP, counters);
        }
    }

    /// Sets an instrument's mark. Nothing is touched when it is what it was.
    #[inline]
    pub(in crate::feed) fn set_mark(&mut self, id: InstrumentId, mark: Price, counters: &mut FeedCounters) {
        let shown = &mut self.shown[id.index()];
        if !shown.has_mark || shown.mark != mark {
            (shown.mark, shown.has_mark) = (mark, true);
            self.touch(id, part::MARK, counters);
        }
    }

    /// Sets an underlying's index price. Sent even when unchanged: it is also the sign that the index lives.
    pub(in crate::feed) fn set_index(&mut self, id: UnderlyingId, price: Price, counters: &mut FeedCounters) {
        counters.conflated += u64::from(self.indices_touched >> id.index() & 1);
        self.indices[id.index()] = price;
        self.indices_touched |= 1 << id.index();
    }

    /// What is touched from here on is touched by another packet.
    #[inline]
    pub(in crate::feed) fn end_packet(&mut self) {
        self.packets = self.packets.wrapping_add(1);
    }

    /// Whether something about this instrument must go out before a trade of it may.
    pub(in crate::feed) fn is_listing_due(&self, id: InstrumentId) -> bool {
        self.shown[id.index()].touched & part::LISTING != 0
    }

    /// Sends what was touched, in order, until the outbox is full.
    #[inline]
    pub(in crate::feed) fn flush(
        &mut self,
        listings: &Listings,
        stamp: Stamp,
        out: &mut impl Outbox<Event>,
        counters: &mut FeedCounters,
    ) {
        if self.queue_len == 0 && self.indices_touched == 0 {
            return;
        }
        if self.flush_all(listings, stamp, out, counters).is_err() {
            counters.outbox_full += 1;
            self.refused = stamp;
        }
    }

    /// Whether something that was touched waits.
    pub(in crate::feed) fn owes(&self) -> bool {
        self.queue_len > 0 || self.indices_touched != 0
    }

    /// Sends what a flush found no room for, under that flush's stamp, as far as there is room by now.
    pub(in crate::feed) fn resume(
        &mut self,
        listings: &Listings,
        out: &mut impl Outbox<Event>,
        counters: &mut FeedCounters,
    ) {
        // What still finds no room was counted by its flush.
        let _ = self.flush_all(listings, self.refused, out, counters);
    }

    fn flush_all(
        &mut self,
        listings: &Listings,
        stamp: Stamp,
        out: &mut impl Outbox<Event>,
        counters: &mut FeedCounters,
    ) -> Result<(), Full> {
        for (id, underlying) in listings.catalogue().underlyings().skip(self.underlyings_sent) {
            let mut name = [0; 16];
            name[..underlying.name().len()].copy_from_slice(underlying.name().as_bytes());
            out.send(stamp.event(Body::Underlying { id, name }))?;
            self.underlyings_sent += 1;
        }
        while self.indices_touched != 0 {
            let index = self.indices_touched.trailing_zeros();
            let (underlying, price) = (UnderlyingId(index as u8), self.indices[index as usize]);
            out.send(stamp.event(Body::Index { underlying, price }))?;
            self.indices_touched &= self.indices_touched - 1;
        }
        while self.queue_len > 0 {
            let id = InstrumentId(self.queue[self.queue_head]);
            if let Some(instrument) = listings.catalogue().find(id) {
                self.shown[id.index()].flush(listings, instrument, stamp, out, counters)?;
            }
            self.queue_head = if self.queue_head + 1 < self.queue.len() { self.queue_head + 1 } else { 0 };
            self.queue_len -= 1;
        }
        Ok(())
    }
}

impl Shown {
    /// Sends the parts touched, each cleared once sent. A listing is several events: it goes out whole, or again.
    fn flush(
        &mut self,
        listings: &Listings,
        instrument: &Instrument,
        stamp: Stamp,
        out: &mut impl Outbox<Event>,
        counters: &mut FeedCounters,
    ) -> Result<(), Full> {
        let mut send = |body| out.send(stamp.event(body));
        let id = instrument.id;
        if self.touched & part::LISTING != 0 {
            let symbol = listings.name(id).and_then(|name| Symbol::new(name.as_bytes()));
            send_listing(instrument, symbol, &mut send)?;
            self.clear(part::LISTING);
        }
        if self.touched & part::STATUS != 0 {
            send(Body::Status { instrument: id, state: instrument.state })?;
            self.clear(part::STATUS);
        }
        if self.touched & part::MARK != 0 {
            send(Body::Mark { instrument: id, mark: self.mark })?;
            self.clear(part::MARK);
        }
        if self.touched & part::TOP != 0 {
            if self.top != self.sent_top {
                let Top { quality, bid, ask, bid_amount, ask_amount } = self.top;
                let ((bid_lots, bid_odd), (ask_lots, ask_odd)) =
                    (bid_amount.to_lots(instrument.lot), ask_amount.to_lots(instrument.lot));
                let (bid_lots, ask_lots) = (bid_lots.magnitude_u32(), ask_lots.magnitude_u32());
                send(Body::Top { instrument: id, quality, bid, ask, bid_lots, ask_lots })?;
                counters.off_lot += u64::from(bid_odd) + u64::from(ask_odd);
                self.sent_top = self.top;
            }
            self.clear(part::TOP);
        }
        Ok(())
    }

    fn clear(&mut self, part: u8) {
        self.touched &= !part;
    }
}

fn send_listing(
    instrument: &Instrument,
    symbol: Option<Symbol>,
    send: &mut impl FnMut(Body) -> Result<(), Full>,
) -> Result<(), Full> {
    send(instrument.listing())?;
    send(Body::Terms {
        instrument: instrument.id,
        tick: instrument.ticks.base(),
        contract: instrument.contract,
        maker_fee_e9: instrument.maker_fee_e9,
        taker_fee_e9: instrument.taker_fee_e9,
    })?;
    for &(above, tick) in instrument.ticks.steps() {
        send(Body::TickStep { instrument: instrument.id, above, tick })?;
    }
    match symbol {
        Some(symbol) => send(Body::Named { instrument: instrument.id, symbol }),
        None => Ok(()),
    }
}
