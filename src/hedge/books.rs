//! The best prices of every instrument that may be traded.

use crate::canary::canary;
use crate::instrument::BookQuality;
use crate::units::{InstrumentId, Price, Side};

/// Best prices of a contract, and how much stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) bid: Price,
    pub(super) ask: Price,
    pub(super) bid_lots: u32,
    pub(super) ask_lots: u32,
    pub(super) quality: BookQuality,
    /// An order found less than it asked for, and the book has not been told anew since.
    pub(super) is_spent: bool,
}

impl Top {
    /// Whether it is whole, two-sided and not crossed.
    pub(super) fn is_sound(&self) -> bool {
        (self.quality == BookQuality::Good || canary!(BlindToQuality)) && self.bid.0 > 0 && self.ask > self.bid
    }

    /// The middle between the best prices.
    pub(super) fn mid(&self) -> f64 {
        (self.bid.to_f64() + self.ask.to_f64()) / 2.0
    }

    /// The best price on an order's own side.
    pub(super) fn own(&self, side: Side) -> Price {
        if side == Side::Buy { self.bid } else { self.ask }
    }

    /// The price an order of this side takes.
    pub(super) fn opposite(&self, side: Side) -> Price {
        if side == Side::Buy { self.ask } else { self.bid }
    }
}

/// The top of every book, by instrument.
#[derive(Debug)]
pub(super) struct Books(Box<[Top]>);

impl Books {
    /// No book is known. Allocates all it will ever use.
    pub(super) fn new(instruments: usize) -> Self {
        Self(vec![Top::default(); instruments].into_boxed_slice())
    }

    /// Takes in a top; one of an instrument beyond the table is dropped.
    pub(super) fn set(&mut self, instrument: InstrumentId, top: Top) {
        if let Some(entry) = self.0.get_mut(instrument.index()) {
            *entry = top;
        }
    }

    /// An order found less here than it asked for.
    pub(super) fn spend(&mut self, instrument: InstrumentId) {
        if let Some(entry) = self.0.get_mut(instrument.index()) {
            entry.is_spent = true;
        }
    }

    /// The top of a book; of unknown quality before it was told.
    pub(super) fn top(&self, instrument: InstrumentId) -> Top {
        self.0.get(instrument.index()).copied().unwrap_or_default()
    }
}
