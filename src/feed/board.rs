//! What every protocol of the feed shares: the listings, the latest state of each instrument on its way out, the counters.

use super::book::Level;
use super::counters::FeedCounters;
use super::listing::{Definition, Listings, Refusal, Taken};
use super::publish::{Publisher, Stamp, Top, part};
use crate::event::{Body, Event};
use crate::instrument::{BookQuality, InstrumentKind, InstrumentState};
use crate::stage::Outbox;
use crate::units::{InstrumentId, Price, Quantity, Side};
use crate::wire::deribit_multicast::DecodeError;

/// A public trade as a protocol read it; `side` is the aggressor's.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicTrade {
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) amount: Quantity,
    pub(super) id: u64,
}

/// Shared by the protocols.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) listings: Listings,
    pub(super) publisher: Publisher,
    pub(super) counters: FeedCounters,
}

impl Board {
    /// Room for so many instruments.
    pub(super) fn new(instruments: usize) -> Self {
        let (listings, publisher) = (Listings::new(instruments), Publisher::new(instruments));
        Self { listings, publisher, counters: FeedCounters::default() }
    }

    /// Sends what changed, as far as there is room.
    #[inline]
    pub(super) fn flush(&mut self, stamp: Stamp, out: &mut impl Outbox<Event>) {
        self.publisher.flush(&self.listings, stamp, out, &mut self.counters);
    }

    /// Sends what found no room, as far as there is some by now; whether something still waits.
    pub(super) fn resume(&mut self, out: &mut impl Outbox<Event>) -> bool {
        if self.publisher.owes() {
            self.publisher.resume(&self.listings, out, &mut self.counters);
        }
        self.publisher.owes()
    }

    /// Notes an instrument's trading state.
    pub(super) fn set_state(&mut self, id: InstrumentId, state: InstrumentState) {
        if self.listings.set_state(id, state) {
            self.publisher.touch(id, part::STATUS, &mut self.counters);
        }
    }

    /// Enters a definition. `open_book` is asked for a new instrument's book. `None` when it is refused, which is counted.
    pub(super) fn define(
        &mut self,
        definition: Result<Definition<'_>, Refusal>,
        open_book: impl FnOnce(InstrumentId, InstrumentKind) -> bool,
    ) -> Option<Taken> {
        let entered = definition.and_then(|definition| Ok((self.listings.take(&definition, open_book)?, definition)));
        let (taken, definition) = match entered {
            Ok(entered) => entered,
            Err(refusal) => {
                self.counters.refused[refusal as usize] += 1;
                return None;
            }
        };
        if taken.is_changed {
            self.counters.tick_steps_refused += u64::from(definition.steps_refused);
            self.publisher.touch(taken.id, part::LISTING | part::STATUS, &mut self.counters);
            self.publisher.resend_top(taken.id, &mut self.counters);
        }
        if let Some(state) = definition.state {
            self.set_state(taken.id, state);
        }
        if let Some(displaced) = taken.displaced {
            self.set_state(displaced, InstrumentState::Closed);
        }
        Some(taken)
    }

    /// Sends a trade, after everything about its instrument that it rests on.
    pub(super) fn trade(&mut self, trade: &PublicTrade, stamp: Stamp, out: &mut impl Outbox<Event>) {
        let &PublicTrade { instrument, side, price, amount, id } = trade;
        if self.publisher.is_listing_due(instrument) {
            self.flush(stamp, out);
        }
        let lot = self.listings.catalogue().find(instrument).map_or(Quantity(0), |listed| listed.lot);
        let (lots, is_odd) = amount.to_lots(lot);
        self.counters.off_lot += u64::from(is_odd);
        let body = Body::Trade { instrument, side, price, lots: lots.magnitude_u32(), id };
        let is_sent = !self.publisher.is_listing_due(instrument) && out.send(stamp.event(body)).is_ok();
        self.counters.trades_dropped += u64::from(!is_sent);
    }

    pub(super) fn count(&mut self, error: DecodeError) {
        self.counters.decode_errors[error as usize] += 1;
    }

    /// Notes an instrument's best levels. A book that is good by itself may yet be crossed.
    #[inline]
    pub(super) fn show(&mut self, id: InstrumentId, quality: BookQuality, [bid, ask]: [Option<Level>; 2]) {
        let is_crossed = bid.zip(ask).is_some_and(|(bid, ask)| bid.price >= ask.price);
        let quality = if quality == BookQuality::Good && is_crossed { BookQuality::Crossed } else { quality };
        let (bid, ask) = (bid.unwrap_or_default(), ask.unwrap_or_default());
        let top = Top { quality, bid: bid.price, ask: ask.price, bid_amount: bid.amount, ask_amount: ask.amount };
        self.publisher.set_top(id, top, &mut self.counters);
    }
}
