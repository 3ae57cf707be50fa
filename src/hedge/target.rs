//! What is known of an underlying, and of the orders that hedge it.

use arrayvec::ArrayVec;

use super::factors::{Unit, bucket_of};
use super::policy::Width;
use super::program::FACTORS_MAX;
use super::program::HEDGES_MAX;
use super::volatility::Volatility;
use crate::event::Body;
use crate::instrument::BookQuality;
use crate::order::OrderStore;
use crate::units::{ClientOrderId, Coins, InstrumentId, Nanos, Price, Side};

/// Orders in flight an underlying at most: what rests of one decision of the program, and all of the next.
pub const IN_FLIGHT_MAX: usize = 2 * HEDGES_MAX;

/// An order whose end is not known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) order: ClientOrderId,
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) price: Price,
    /// It rests, and never takes.
    pub(super) is_passive: bool,
    pub(super) since: Nanos,
    /// When it was last asked back.
    pub(super) asked_back: Option<Nanos>,
    /// Greeks of a lot when it was made.
    pub(super) unit: Unit,
    pub(super) expiry_s: u32,
}

impl InFlight {
    /// Whether it is an option that rests: its delta is not there before it fills, and nothing waits for it.
    pub(super) fn is_resting_option(&self) -> bool {
        self.is_passive && self.unit.vega != 0.0
    }
}

/// An underlying to be hedged.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The contract that hedges its delta.
    pub instrument: Option<InstrumentId>,
    /// Net delta as last told by the greeks.
    pub net_delta: Coins,
    /// Whether the last decision that was free to trade was to leave the exposure as it is.
    pub is_at_rest: bool,
    /// The no-trade band at the last decision.
    pub(super) width: Width,
    pub(super) log_gamma: Coins,
    pub(super) spot: Price,
    pub(super) index: Price,
    pub(super) quality: BookQuality,
    /// Expiries of which options are held.
    pub(super) expiries: u8,
    /// A fill was seen, and the exposure that includes it was not.
    pub(super) fill_pending: bool,
    pub(super) in_flight: ArrayVec<InFlight, IN_FLIGHT_MAX>,
    pub(super) volatility: Volatility,
    /// λS over the half-width: what one coin of delta outside zero costs, per coin.
    pub(super) stiffness: f64,
    /// What the other underlyings' exposures are worth in coins of this one.
    pub(super) abroad: f64,
}

impl Target {
    /// Half-width of the no-trade band at the last decision, coins.
    pub fn half_width(&self) -> f64 {
        self.width.coins()
    }

    /// Takes in an exposure, which includes every fill seen before it.
    pub(super) fn see_exposure(&mut self, body: &Body) {
        if let Body::Exposure { quality, net_delta, log_gamma, spot, expiries, .. } = *body {
            self.net_delta = net_delta;
            self.log_gamma = log_gamma;
            self.spot = spot;
            self.quality = quality;
            self.expiries = expiries;
            self.fill_pending = false;
        }
    }

    /// Forgets what reached a terminal state.
    pub(super) fn release_terminal(&mut self, store: &OrderStore) {
        if !self.in_flight.is_empty() {
            self.in_flight.retain(|flight| store.is_live(flight.order));
        }
    }

    /// What the orders in flight would add to each factor if all of them filled; those that rest only if `with_passive`.
    /// An option that rests may wait long, and its delta is not there before it fills: it counts with everything else, so
    /// that no other is asked for in its place, but what it would do to delta is not hedged in advance.
    pub(super) fn working(&self, store: &OrderStore, with_passive: bool, now: Nanos) -> [f64; FACTORS_MAX] {
        let (mut working, spot) = ([0.0; FACTORS_MAX], self.spot.to_f64());
        for flight in self.in_flight.iter().filter(|flight| with_passive || !flight.is_passive) {
            let leaves = store.find(flight.order).map_or(0, |order| order.leaves_lots());
            let lots = flight.side.sign() as f64 * f64::from(leaves);
            let mut loading = flight.unit.loading(bucket_of(flight.expiry_s, now), spot);
            if flight.is_resting_option() {
                loading[0] = 0.0;
            }
            for (sum, one) in working.iter_mut().zip(&loading) {
                *sum += lots * one;
            }
        }
        working
    }
}
