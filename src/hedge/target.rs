//! What is known of an underlying, and of the orders that hedge it.

use arrayvec::ArrayVec;

use crate::event::Body;
use crate::instrument::BookQuality;
use crate::order::OrderStore;
use crate::units::{ClientOrderId, Coins, InstrumentId, Nanos, Price};

/// Orders in flight an underlying at most.
pub const IN_FLIGHT_MAX: usize = 4;

/// An order whose end is not known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) order: ClientOrderId,
    pub(super) instrument: InstrumentId,
    pub(super) since: Nanos,
    /// When it was last asked back.
    pub(super) asked_back: Option<Nanos>,
}

/// An underlying to be hedged.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The contract that hedges its delta.
    pub instrument: Option<InstrumentId>,
    /// Net delta as last told by the greeks.
    pub net_delta: Coins,
    /// Half-width of the no-trade band at the last decision, coins.
    pub half_width: f64,
    pub(super) log_gamma: Coins,
    pub(super) spot: Price,
    pub(super) quality: BookQuality,
    /// A fill was seen, and the exposure that includes it was not.
    pub(super) fill_pending: bool,
    pub(super) in_flight: ArrayVec<InFlight, IN_FLIGHT_MAX>,
    /// An order found less than it asked for, and the book has not been told anew since.
    pub(super) book_spent: bool,
}

impl Target {
    /// Takes in an exposure, which includes every fill seen before it.
    pub(super) fn see_exposure(&mut self, body: &Body) {
        if let Body::Exposure { quality, net_delta, log_gamma, spot, .. } = *body {
            self.net_delta = net_delta;
            self.log_gamma = log_gamma;
            self.spot = spot;
            self.quality = quality;
            self.fill_pending = false;
        }
    }

    /// Forgets what reached a terminal state.
    pub(super) fn release_terminal(&mut self, store: &OrderStore) {
        if !self.in_flight.is_empty() {
            self.in_flight.retain(|flight| store.is_live(flight.order));
        }
    }
}
