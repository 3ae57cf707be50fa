//! Books against naive ones: every good top must be one that the venue's book had, in the order in which it had them.
//!
//! The naive books are built from what was published before the network lost any of it. A feed may skip tops (it
//! conflates), it may not go back, and it may not show one that never was.

use std::collections::BTreeMap;

use super::Findings;
use super::truths::{self, Truths};
use crate::event::Body;
use crate::feed::Protocol;
use crate::instrument::{BookQuality, Catalogue};
use crate::order::Request;
use crate::risk::Instruction;
use crate::sim::venue::{Channel, Venue};
use crate::units::{InstrumentId, Price, Quantity, Side, VenueInstrumentId};

/// Best bid and its lots, best offer and its lots; zero for an empty side.
type Top = (i64, u32, i64, u32);

/// What the feed shows of one instrument.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    quality: BookQuality,
    /// The best it was since the last step: an order and the top after it may come from one packet.
    best: BookQuality,
    top: Top,
    /// The lowest bid and the highest offer since the last step.
    reach: (i64, i64),
}

/// The naive books.
#[derive(Debug)]
pub struct Tops {
    truths: Truths,
    shown: BTreeMap<InstrumentId, Shown>,
    /// What was shown anew in this step.
    fresh: Vec<InstrumentId>,
}

impl Tops {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { truths: Truths::new(protocol), shown: BTreeMap::new(), fresh: Vec::new() }
    }

    pub(super) fn restarted(&mut self) {
        self.shown.clear();
        self.fresh.clear();
    }

    pub(super) fn published(&mut self, channel: Channel, bytes: &[u8]) {
        self.truths.published(channel, bytes);
    }

    pub(super) fn consumed(&mut self, body: &Body, catalogue: &Catalogue, findings: &mut Findings) {
        let Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } = *body else { return };
        let top = (bid.0, bid_lots, ask.0, ask_lots);
        let known = self.shown.get(&instrument);
        let best = known.map_or(quality, |shown| shown.best.min(quality));
        let reach = known.map_or((bid.0, ask.0), |shown| (shown.reach.0.min(bid.0), shown.reach.1.max(ask.0)));
        self.shown.insert(instrument, Shown { quality, best, top, reach });
        self.fresh.push(instrument);
        if !matches!(quality, BookQuality::Good | BookQuality::Crossed) {
            return;
        }
        let Some(listed) = catalogue.find(instrument) else {
            return findings.add(7, || format!("a top of instrument {}, which was never listed", instrument.0));
        };
        let truth = self.truths.of(listed.venue.0);
        let lots = |amount: Quantity| amount.to_lots(listed.lot).0.magnitude_u32();
        let same = |true_top: &truths::Top| {
            true_top.0 == top.0 && true_top.2 == top.2 && lots(true_top.1) == top.1 && lots(true_top.3) == top.3
        };
        match truth.tops.iter().skip(truth.at).position(same) {
            Some(steps) => truth.at += steps,
            None if truth.tops.iter().take(truth.at).any(same) => {
                findings
                    .add(7, || format!("instrument {} shows {top:?} again, which the venue has left", instrument.0));
            }
            None => findings.add(7, || format!("instrument {} shows {top:?}, which the venue never had", instrument.0)),
        }
    }

    pub(super) fn decided(&mut self, instruction: &Instruction, findings: &mut Findings) {
        let Instruction::Send(approved) = instruction else { return };
        let Request::New { order, instrument, .. } = *approved.request() else { return };
        let shown = self.shown.get(&instrument).copied().unwrap_or_default();
        if shown.best != BookQuality::Good {
            findings.add(5, || format!("order {} was decided on a book that is {:?}", order.0, shown.quality));
        }
    }

    /// The furthest that the best price opposite to an order was in this step; zero when there is none.
    pub(super) fn touch(&self, instrument: InstrumentId, side: Side) -> Price {
        let (bid, ask) = self.shown.get(&instrument).copied().unwrap_or_default().reach;
        Price(if side == Side::Buy { ask } else { bid })
    }

    /// What one step brought is done with.
    pub(super) fn settled(&mut self) {
        for instrument in self.fresh.drain(..) {
            if let Some(shown) = self.shown.get_mut(&instrument) {
                shown.best = shown.quality;
                shown.reach = (shown.top.0, shown.top.2);
            }
        }
    }

    /// Every book is good again and is the venue's.
    pub(super) fn healed(&self, catalogue: &Catalogue, venue: &Venue, findings: &mut Findings) {
        for listed in catalogue.instruments() {
            let shown = self.shown.get(&listed.id).copied().unwrap_or_default();
            let best = |side| venue.best(VenueInstrumentId(listed.venue.0), side).unwrap_or(Price::ZERO).0;
            let (bid, ask) = (best(Side::Buy), best(Side::Sell));
            if shown.quality != BookQuality::Good {
                findings.add(7, || format!("instrument {} is still {:?}", listed.id.0, shown.quality));
            } else if (shown.top.0, shown.top.2) != (bid, ask) {
                findings
                    .add(7, || format!("instrument {} shows {:?}, the venue has {bid} {ask}", listed.id.0, shown.top));
            }
        }
    }
}
