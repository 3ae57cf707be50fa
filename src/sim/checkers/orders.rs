//! A naive ledger of orders: what was decided, what the reports said of it.

use std::collections::{BTreeMap, HashSet};

use super::Findings;
use super::positions::Positions;
use crate::event::{Body, KillCause, KillLevel};
use crate::instrument::{Catalogue, Instrument, Payoff, UNDERLYINGS_MAX};
use crate::order::{CUM_LOTS_UNKNOWN, Request, UNKNOWN_TO_VENUE};
use crate::risk::{Instruction, Limits};
use crate::sim::OrderProtocol;
use crate::units::{ClientOrderId, ExecutionId, InstrumentId, ONE_E9, Price, Side, UnderlyingId};

/// An order as the ledger knows it.
#[derive(Clone, Copy, Debug)]
struct Known {
    instrument: InstrumentId,
    side: Side,
    lots: u32,
    filled: u32,
    terminal: bool,
}

/// The ledger.
#[derive(Debug)]
pub struct Orders {
    limits: Limits,
    protocol: OrderProtocol,
    known: BTreeMap<ClientOrderId, Known>,
    used: HashSet<ClientOrderId>,
    executions: HashSet<ExecutionId>,
    /// What the operator last asked for, or a journal that failed.
    level: KillLevel,
    /// Of each underlying, as the greeks last told it.
    spots: [Price; UNDERLYINGS_MAX],
    /// Bytes sent that are no whole frame yet.
    torn: Vec<u8>,
}

impl Orders {
    /// A ledger without orders, which leave by this protocol.
    pub fn new(limits: Limits, protocol: OrderProtocol) -> Self {
        Self {
            limits,
            protocol,
            known: BTreeMap::new(),
            used: HashSet::new(),
            executions: HashSet::new(),
            level: KillLevel::Open,
            spots: [Price::ZERO; UNDERLYINGS_MAX],
            torn: Vec::new(),
        }
    }

    /// A new process knows none of the orders; their ids stay used.
    pub(super) fn restarted(&mut self, limits: Limits) {
        let used = std::mem::take(&mut self.used);
        *self = Self { used, ..Self::new(limits, self.protocol) };
    }

    pub(super) fn consumed(&mut self, body: &Body, findings: &mut Findings) {
        match *body {
            Body::Kill { level, cause: KillCause::Operator | KillCause::Journal, .. }
                if self.level != KillLevel::Halt =>
            {
                self.level = level
            }
            Body::Filled { order, execution, lots, .. } => {
                let is_new = self.executions.insert(execution);
                if let Some(known) = self.known.get_mut(&order).filter(|_| is_new) {
                    known.filled = known.filled.saturating_add(lots);
                    if known.filled > known.lots {
                        let Known { filled, lots, .. } = *known;
                        findings.add(2, || format!("order {} of {lots} lots was filled {filled}", order.0));
                    }
                    known.terminal |= known.filled == known.lots;
                }
            }
            Body::Cancelled { order, cum_lots, .. } => {
                if let Some(known) = self.known.get_mut(&order) {
                    known.terminal = true;
                    if cum_lots != CUM_LOTS_UNKNOWN && cum_lots > known.lots {
                        let lots = known.lots;
                        findings.add(2, || format!("order {} of {lots} lots ended with {cum_lots} filled", order.0));
                    }
                }
            }
            // The venue does not know an order after all: it never got there.
            Body::Rejected { order, .. } | Body::CancelRejected { order, reason: UNKNOWN_TO_VENUE, .. } => {
                if let Some(known) = self.known.get_mut(&order) {
                    known.terminal = true;
                }
            }
            _ => {}
        }
    }

    /// A frame that was begun before the way out was shut may end after it: half a frame would end the session.
    pub(super) fn sent(&mut self, bytes: &[u8], is_shut: bool, findings: &mut Findings) {
        let mut is_begun = !self.torn.is_empty();
        self.torn.extend_from_slice(bytes);
        while let Some(length) = self.protocol.frame_bytes(&self.torn) {
            let order = self.protocol.new_order(&self.torn[..length]);
            if let (Some(order), true, false) = (order, is_shut, is_begun) {
                findings.add(4, || format!("order {order} left after a kill"));
            }
            self.torn.drain(..length);
            is_begun = false;
        }
    }

    pub(super) fn valued(&mut self, underlying: UnderlyingId, spot: Price) {
        if let Some(known) = self.spots.get_mut(underlying.index()) {
            *known = spot;
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.torn.clear();
    }

    pub(super) fn decided(
        &mut self,
        instruction: &Instruction,
        catalogue: &Catalogue,
        positions: &Positions,
        findings: &mut Findings,
    ) {
        let Instruction::Send(approved) = instruction else { return };
        let Request::New { order, instrument, side, lots, .. } = *approved.request() else { return };
        if self.level >= KillLevel::Pause {
            findings.add(4, || format!("order {} was decided after a kill", order.0));
        }
        if !self.used.insert(order) {
            findings.add(10, || format!("order id {} was used before", order.0));
        }
        self.known.insert(order, Known { instrument, side, lots, filled: 0, terminal: false });
        let working: i64 = self
            .known
            .values()
            .filter(|known| known.instrument == instrument && known.side == side && !known.terminal)
            .map(|known| i64::from(known.lots - known.filled.min(known.lots)))
            .sum();
        let worst = positions.of(instrument) + side.sign() * working;
        let Some(listed) = catalogue.find(instrument) else {
            return findings.add(5, || format!("order {} is on an instrument that was never listed", order.0));
        };
        let is_growing = worst.abs() > positions.of(instrument).abs();
        let notional = notional_e9(listed, self.spots[listed.underlying.index()], worst);
        if is_growing && notional > i128::from(self.limits.position_notional_max_e9) {
            findings.add(3, || {
                format!(
                    "order {} takes instrument {} to {worst} lots at worst, beyond its limit",
                    order.0, instrument.0
                )
            });
        }
    }
}

/// Notional of so many lots in quote currency, 1e-9: of what is measured in coins, at the spot.
fn notional_e9(instrument: &Instrument, spot: Price, lots: i64) -> i128 {
    let amount = i128::from(instrument.lot.0) * i128::from(lots.abs());
    match instrument.payoff {
        Payoff::Inverse if instrument.is_future() => amount,
        _ => amount * i128::from(spot.0) / i128::from(ONE_E9),
    }
}
