//! The listed contracts with their books: where orders of every participant meet.
//!
//! Orders come from the [`crowd`](super::crowd) and from sessions; each match leaves a [`Print`] behind, from which the
//! publisher makes trades and a session its reports. Nothing here knows time except as a label.

use super::matching::{Book, Fill, Incoming, Outcome, Owner, PostOnly, Resting, SelfTrade};
use super::spec::{Contract, Universe};
use crate::order::TimeInForce;
use crate::units::{ExecutionId, Lots, Nanos, Price, Side, VenueOrderId};

/// One contract and its market.
#[derive(Debug)]
pub struct Listing {
    /// What it is.
    pub contract: Contract,
    /// Its book.
    pub book: Book,
    /// Whether it is listed; false once expired.
    pub open: bool,
    /// Whether trading is halted.
    pub halted: bool,
    /// Price of the latest trade.
    pub last: Option<Price>,
    /// Whether the book changed since [`Exchange::take_touched`].
    touched: bool,
}

impl Listing {
    /// Whether orders are taken.
    pub fn trades(&self) -> bool {
        self.open && !self.halted
    }
}

/// One match, as the venue records it.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    /// Index of the listing.
    pub listing: usize,
    /// Its number, unique for the venue.
    pub execution: ExecutionId,
    /// Who took.
    pub taker: Owner,
    /// Which way the taker went.
    pub side: Side,
    /// The match.
    pub fill: Fill,
}

/// An order to be submitted.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// Whose it is.
    pub owner: Owner,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Size.
    pub lots: Lots,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Whether it must not take.
    pub post_only: PostOnly,
    /// What happens when it meets its own owner.
    pub self_trade: SelfTrade,
}

impl Ticket {
    /// An ordinary limit order.
    pub fn limit(owner: Owner, side: Side, price: Price, lots: Lots) -> Self {
        let (post_only, self_trade) = (PostOnly::Off, SelfTrade::CancelTaker);
        Self { owner, side, price, lots, time_in_force: TimeInForce::GoodTilCancel, post_only, self_trade }
    }
}

/// Every listing, and the counters that number orders and matches.
#[derive(Debug)]
pub struct Exchange {
    listings: Vec<Listing>,
    prints: Vec<Print>,
    evicted: Vec<Resting>,
    touched: Vec<usize>,
    orders: u64,
    executions: u64,
}

impl Exchange {
    /// Empty books for everything in the universe.
    pub fn new(universe: &Universe) -> Self {
        let listing = |contract: &Contract| Listing {
            contract: contract.clone(),
            book: Book::default(),
            open: true,
            halted: false,
            last: None,
            touched: false,
        };
        let listings = universe.contracts.iter().map(listing).collect();
        Self { listings, prints: Vec::new(), evicted: Vec::new(), touched: Vec::new(), orders: 0, executions: 0 }
    }

    /// Every listing, by index.
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// Submits an order to the book of `listing`. Its prints are the last ones of [`Self::prints`]; orders of its own
    /// owner that yielded to it are in [`Self::evicted`].
    pub fn submit(&mut self, listing: usize, ticket: &Ticket) -> (VenueOrderId, Outcome) {
        self.orders += 1;
        let id = VenueOrderId(self.orders);
        (id, self.resubmit(listing, id, ticket))
    }

    /// Submits an order that was taken out of its book, under its own number: it is the last of its price again.
    pub fn resubmit(&mut self, listing: usize, id: VenueOrderId, ticket: &Ticket) -> Outcome {
        let incoming = Incoming {
            id,
            owner: ticket.owner,
            side: ticket.side,
            price: ticket.price,
            lots: ticket.lots,
            time_in_force: ticket.time_in_force,
            post_only: ticket.post_only,
            self_trade: ticket.self_trade,
        };
        let mut fills = Vec::new();
        self.evicted.clear();
        let entry = &mut self.listings[listing];
        let outcome = entry.book.submit(&incoming, &mut fills, &mut self.evicted);
        if let Some(last) = fills.last() {
            entry.last = Some(last.price);
        }
        for fill in fills {
            self.executions += 1;
            let execution = ExecutionId(self.executions);
            self.prints.push(Print { listing, execution, taker: ticket.owner, side: ticket.side, fill });
        }
        self.touch(listing);
        outcome
    }

    /// Halts trading of a listing; false when it does not trade.
    pub fn halt(&mut self, listing: usize) -> bool {
        let entry = &mut self.listings[listing];
        let trades = entry.trades();
        entry.halted |= trades;
        trades
    }

    /// Ends a halt.
    pub fn reopen(&mut self, listing: usize) {
        self.listings[listing].halted = false;
    }

    /// Rests a bid of one lot above the best offer without matching the two, as no venue should; its price and number, or
    /// `None` when there is nothing to cross.
    pub fn cross(&mut self, listing: usize, owner: Owner) -> Option<(Price, VenueOrderId)> {
        let entry = &mut self.listings[listing];
        let offer = entry.book.best(Side::Sell).filter(|_| entry.trades())?;
        let price = Price(offer.0 + entry.contract.ticks.at(offer).0);
        self.orders += 1;
        let id = VenueOrderId(self.orders);
        entry.book.rest(Side::Buy, price, Resting { id, owner, lots: Lots(1) });
        self.touch(listing);
        Some((price, id))
    }

    /// Takes a number for an order that never reaches a book.
    pub fn skip_order(&mut self) -> VenueOrderId {
        self.evicted.clear();
        self.orders += 1;
        VenueOrderId(self.orders)
    }

    /// Takes an order out of a book.
    pub fn cancel(&mut self, listing: usize, side: Side, price: Price, id: VenueOrderId) -> Option<Resting> {
        let order = self.listings[listing].book.cancel(side, price, id)?;
        self.touch(listing);
        Some(order)
    }

    /// Sets the size of an order in a book.
    pub fn resize(&mut self, listing: usize, side: Side, price: Price, id: VenueOrderId, lots: Lots) {
        if self.listings[listing].book.resize(side, price, id, lots) {
            self.touch(listing);
        }
    }

    /// Closes what has expired by `now` and hands out the orders that were in its book.
    pub fn expire(&mut self, now: Nanos) -> Vec<Resting> {
        let due = |l: &Listing| l.open && l.contract.expiry.is_some_and(|expiry| expiry <= now);
        let expired: Vec<usize> = (0..self.listings.len()).filter(|&i| due(&self.listings[i])).collect();
        let mut orphans = Vec::new();
        for listing in expired {
            self.listings[listing].open = false;
            orphans.extend(self.listings[listing].book.clear());
            self.touch(listing);
        }
        orphans
    }

    /// Matches since [`Self::clear_prints`], in order.
    pub fn prints(&self) -> &[Print] {
        &self.prints
    }

    /// Forgets the matches, once everyone has been told.
    pub fn clear_prints(&mut self) {
        self.prints.clear();
    }

    /// Orders that yielded to the latest submission of their own owner.
    pub fn evicted(&self) -> &[Resting] {
        &self.evicted
    }

    /// Whether any book changed since the last [`Self::take_touched`].
    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The listings whose books changed since the last call, in the order of their first change.
    pub fn take_touched(&mut self) -> Vec<usize> {
        for &listing in &self.touched {
            self.listings[listing].touched = false;
        }
        std::mem::take(&mut self.touched)
    }

    fn touch(&mut self, listing: usize) {
        if !std::mem::replace(&mut self.listings[listing].touched, true) {
            self.touched.push(listing);
        }
    }
}
