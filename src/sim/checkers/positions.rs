//! Position = opening + unique executions, in the greeks, in the hedge, and in the end at the venue.

use std::collections::{BTreeMap, HashSet};

use super::Findings;
use crate::event::Body;
use crate::instrument::Catalogue;
use crate::runtime::Stamp;
use crate::sim::process::Process;
use crate::units::{ExecutionId, InstrumentId, Lots, VenueInstrumentId};

/// Steps after which what nothing has moved is looked at all the same.
const EVERY: u32 = 64;

/// A ledger of our own.
#[derive(Debug, Default)]
pub struct Positions {
    held: BTreeMap<InstrumentId, i64>,
    executions: HashSet<ExecutionId>,
    busts: HashSet<ExecutionId>,
    /// Steps until every position is looked at; none after something traded.
    rest: u32,
}

impl Positions {
    /// Lots held of an instrument.
    pub fn of(&self, instrument: InstrumentId) -> i64 {
        self.held.get(&instrument).copied().unwrap_or(0)
    }

    /// Everything held, flat positions included.
    pub fn all(&self) -> impl Iterator<Item = (InstrumentId, i64)> {
        self.held.iter().map(|(&instrument, &lots)| (instrument, lots))
    }

    pub(super) fn opened(&mut self, instrument: InstrumentId, lots: Lots) {
        *self.held.entry(instrument).or_default() += lots.0;
        self.rest = 0;
    }

    pub(super) fn consumed(&mut self, body: &Body) {
        if matches!(body, Body::Filled { .. } | Body::Busted { .. }) {
            self.rest = 0;
        }
        if let Body::Filled { execution, instrument, side, lots, .. } = *body
            && self.executions.insert(execution)
        {
            *self.held.entry(instrument).or_default() += side.sign() * i64::from(lots);
        }
        if let Body::Busted { execution, instrument, side, lots, .. } = *body
            && self.busts.insert(execution)
        {
            *self.held.entry(instrument).or_default() -= side.sign() * i64::from(lots);
        }
    }

    pub(super) fn look<C: Stamp>(&mut self, process: &Process<C>, findings: &mut Findings) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.rest = EVERY;
        for (instrument, lots) in self.all() {
            let greeks = process.greeks().position(instrument).0;
            let hedge = process.hedge().position(instrument).0;
            if greeks != lots || hedge != lots {
                findings.add(1, || {
                    format!("instrument {} holds {lots}; the greeks say {greeks}, the hedge {hedge}", instrument.0)
                });
            }
        }
    }

    pub(super) fn healed(
        &self,
        theirs: &BTreeMap<VenueInstrumentId, Lots>,
        catalogue: &Catalogue,
        findings: &mut Findings,
    ) {
        let named = |(id, lots): (InstrumentId, i64)| catalogue.find(id).map(|i| (i.venue, Lots(lots)));
        let ours: BTreeMap<_, _> = self.all().filter(|(_, lots)| *lots != 0).filter_map(named).collect();
        if &ours != theirs {
            let differ: Vec<_> = theirs
                .keys()
                .chain(ours.keys())
                .filter(|venue| ours.get(venue) != theirs.get(venue))
                .map(|venue| (venue.0, ours.get(venue).map(|l| l.0), theirs.get(venue).map(|l| l.0)))
                .collect();
            findings.add(1, || format!("positions differ from the venue's (number, ours, theirs): {differ:?}"));
        }
    }
}
