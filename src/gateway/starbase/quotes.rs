//! Quotes and the venue's protection of them: what stands where, and what the venue says of it.
//!
//! On the wire both sides of a quote have one number; here they are two orders, the bid's number and the one after it.
//! Between them stands the side, or the venue's number of the order where a message has no side. A quote that is answered
//! ends what it replaced.
//!
//! Cost: 56 bytes an instrument, found by index; a report looks at its own entries. What stands is learned only once a
//! whole response is delivered, so that one offered again reads the same.

use super::super::listing::Listing;
use super::super::local_reason;
use super::config::SessionConfig;
use super::reports::{Reports, order_id};
use crate::event::{Body, Event, Protected};
use crate::instrument::INSTRUMENTS_MAX;
use crate::order::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, FROZEN_UNTIL_ASKED, offer_of};
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, InstrumentId, Nanos, Side, VenueOrderId};
use crate::wire::starbase::orders::{
    Decimal72, Group, MassQuoteResponse, NO_TIME, PlacedFill, PlacedQuote, QuoteFill, QuoteGroups, QuoteResult,
    order_status, quote_status, side_from_wire,
};

/// One side that stands at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) order: ClientOrderId,
    pub(super) venue: i64,
}

/// What is quoted in one instrument.
#[derive(Clone, Copy, Debug, Default)]
struct Quoted {
    bid: Option<Leg>,
    ask: Option<Leg>,
    /// The bid's number of a quote that is not answered.
    asked: Option<ClientOrderId>,
}

/// What an order of ours is among the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// No quote.
    Nowhere,
    /// A side of a quote that is not answered.
    Asked,
    /// A side that stands under this number of the venue's.
    Standing(i64),
}

/// What is quoted, by instrument.
#[derive(Debug)]
pub(super) struct Quotes(Box<[Quoted]>);

impl Quotes {
    pub(super) fn new() -> Self {
        Self(vec![Quoted::default(); INSTRUMENTS_MAX].into_boxed_slice())
    }

    pub(super) fn asked(&mut self, instrument: InstrumentId, bid: ClientOrderId) {
        if let Some(quoted) = self.0.get_mut(instrument.index()) {
            quoted.asked = Some(bid);
        }
    }

    /// The connection is gone, and with it the answers that were due.
    pub(super) fn forget_asked(&mut self) {
        self.0.iter_mut().for_each(|quoted| quoted.asked = None);
    }

    pub(super) fn place(&self, instrument: InstrumentId, order: ClientOrderId) -> Place {
        let Some(quoted) = self.0.get(instrument.index()) else { return Place::Nowhere };
        let standing = [quoted.bid, quoted.ask].into_iter().flatten().find(|leg| leg.order == order);
        match (standing, quoted.asked) {
            (Some(leg), _) => Place::Standing(leg.venue),
            (None, Some(bid)) if order == bid || order == offer_of(bid) => Place::Asked,
            _ => Place::Nowhere,
        }
    }

    /// Whose the venue's order is, when it is a side of a quote.
    pub(super) fn order(&self, instrument: InstrumentId, venue: i64) -> Option<ClientOrderId> {
        let quoted = self.0.get(instrument.index())?;
        [quoted.bid, quoted.ask].into_iter().flatten().find(|leg| leg.venue == venue).map(|leg| leg.order)
    }

    fn leg(&self, instrument: InstrumentId, side: Side) -> Option<Leg> {
        let quoted = self.0.get(instrument.index())?;
        if side == Side::Buy { quoted.bid } else { quoted.ask }
    }

    /// Learns how both sides stand after an answer.
    fn stands(&mut self, instrument: InstrumentId, bid: Option<Leg>, ask: Option<Leg>) {
        if let Some(quoted) = self.0.get_mut(instrument.index()) {
            *quoted = Quoted { bid, ask, asked: None };
        }
    }

    /// The venue's order is over.
    pub(super) fn ended(&mut self, instrument: InstrumentId, venue: i64) {
        if let Some(quoted) = self.0.get_mut(instrument.index()) {
            quoted.bid = quoted.bid.filter(|leg| leg.venue != venue);
            quoted.ask = quoted.ask.filter(|leg| leg.venue != venue);
        }
    }

    /// Nothing came of the quote that waits.
    pub(super) fn refused(&mut self, instrument: InstrumentId) {
        if let Some(quoted) = self.0.get_mut(instrument.index()) {
            quoted.asked = None;
        }
    }
}

/// One side of a [`QuoteResult`].
struct Answered {
    side: Side,
    order: ClientOrderId,
    venue: i64,
    status: i8,
    filled: Decimal72,
    reason: i8,
}

impl Answered {
    fn both(bid: ClientOrderId, result: &QuoteResult) -> [Self; 2] {
        [
            Self {
                side: Side::Buy,
                order: bid,
                venue: result.bid_order_id.get(),
                status: result.bid_status,
                filled: result.bid_filled_qty,
                reason: result.bid_reject_reason,
            },
            Self {
                side: Side::Sell,
                order: offer_of(bid),
                venue: result.ask_order_id.get(),
                status: result.ask_status,
                filled: result.ask_filled_qty,
                reason: result.ask_reject_reason,
            },
        ]
    }

    /// Where it stands from here on.
    fn leg(&self) -> Option<Leg> {
        let stands = matches!(
            self.status,
            quote_status::UNMODIFIED | quote_status::QTY_REDUCED | quote_status::UPDATED | quote_status::SPEED_BUMPED
        );
        stands.then_some(Leg { order: self.order, venue: self.venue })
    }
}

impl<O: Outbox<Event>> Reports<'_, O> {
    /// What became of each side of each instrument, and of what it replaced.
    pub(super) fn quoted(
        &mut self,
        r: &MassQuoteResponse,
        groups: &QuoteGroups<'_>,
        quotes: &mut Quotes,
    ) -> Result<(), Full> {
        let bid = order_id(r.quote_id.get());
        for result in groups.quotes.iter() {
            for answered in Answered::both(bid, result) {
                let fills = if answered.side == Side::Buy { &groups.bid_fills } else { &groups.ask_fills };
                self.side(result, &answered, fills, quotes)?;
            }
        }
        for result in groups.quotes.iter() {
            if let Some(listed) = self.0.listing.find_venue(result.instrument_id.get()) {
                let [bid, ask] = Answered::both(bid, result);
                quotes.stands(listed.instrument, bid.leg(), ask.leg());
            }
        }
        Ok(())
    }

    fn side(
        &mut self,
        result: &QuoteResult,
        answered: &Answered,
        fills: &Group<'_, QuoteFill>,
        quotes: &Quotes,
    ) -> Result<(), Full> {
        let Some(listed) = self.listed(result.instrument_id.get())? else { return Ok(()) };
        let &Answered { side, order, venue, status, filled, reason } = answered;
        let instrument = listed.instrument;
        if let Some(before) = quotes.leg(instrument, side).filter(|leg| leg.order != order) {
            let (cum_lots, reason) = (CUM_LOTS_UNKNOWN, CANCELLED_ON_REQUEST);
            self.0.deliver(Body::Cancelled { order: before.order, instrument, cum_lots, reason })?;
        }
        let ended_by = match status {
            quote_status::CANCELED_BY_MMP => Some(crate::wire::starbase::orders::cancel_reason::MM_PROTECTION),
            quote_status::CANCELED_BY_SELF_MATCH => {
                Some(crate::wire::starbase::orders::cancel_reason::SELF_MATCH_PREVENTION)
            }
            quote_status::FILLED => None,
            _ if answered.leg().is_some() => None,
            _ => return self.0.deliver(Body::Rejected { order, instrument, reason: reason as u8 }),
        };
        self.0.deliver(Body::Accepted { order, venue_order: VenueOrderId(venue as u64), instrument })?;
        for fill in fills.iter().filter(|fill| fill.instrument_id == result.instrument_id) {
            self.fill(order, &listed, Some(side), fill.match_id.get(), fill.fill_price.get(), fill.fill_qty)?;
        }
        match ended_by {
            Some(reason) => self.ended(order, &listed, order_status::CANCELED, reason, filled),
            None => Ok(()),
        }
    }

    /// Out of the speed bump.
    pub(super) fn quotes_placed(
        &mut self,
        orders: &Group<'_, PlacedQuote>,
        fills: &Group<'_, PlacedFill>,
    ) -> Result<(), Full> {
        for placed in orders.iter() {
            let Some(listed) = self.listed(placed.instrument_id.get())? else { continue };
            let side = side_from_wire(placed.side);
            let order = side_of_quote(placed.client_order_id.get(), side);
            for fill in fills.iter().filter(|fill| fill.order_id == placed.order_id) {
                self.fill(order, &listed, side, fill.match_id.get(), fill.fill_price.get(), fill.fill_qty)?;
            }
            self.ended(order, &listed, placed.status, placed.cancel_reason, placed.total_filled)?;
        }
        Ok(())
    }

    /// The protection froze, thawed, or was asked how it is.
    pub(super) fn protection(&mut self, scope: Option<Protected>, until: Nanos) -> Result<(), Full> {
        match scope {
            Some(scope) => self.0.deliver(Body::Protection { scope, until }),
            None => self.0.unlisted(),
        }
    }
}

/// The order that a side of a quote is.
pub(super) fn side_of_quote(number: i64, side: Option<Side>) -> ClientOrderId {
    let bid = order_id(number);
    if side == Some(Side::Sell) { offer_of(bid) } else { bid }
}

/// What the venue's currency pair stands for, among the underlyings listed.
pub(super) fn underlying_of(config: &SessionConfig, listing: &Listing, pair: i64) -> Option<Protected> {
    let mut underlyings = listing.underlyings();
    let underlying = underlyings.find(|one| pair != 0 && config.pair_of(*one, listing.symbol_of(*one)) == pair)?;
    Some(Protected::Orders { underlying })
}

/// The end of a freeze as the venue has it: none, or as long as nobody asks, where it names no time.
pub(super) fn frozen_until(time: i64) -> Nanos {
    match u64::try_from(time) {
        Ok(until @ 1..) if time < i64::MAX => Nanos(until),
        _ => FROZEN_UNTIL_ASKED,
    }
}

/// The same in the answer to a question, where no time means no freeze.
pub(super) fn still_frozen(time: i64) -> Nanos {
    if time == NO_TIME { Nanos(0) } else { frozen_until(time) }
}

/// Why a quote cannot be sent, if the session quotes at all.
pub(super) fn quoting(group: i64) -> Result<i64, u8> {
    if group == 0 { Err(local_reason::UNSUPPORTED) } else { Ok(group) }
}
