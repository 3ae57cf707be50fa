//! The account as the venue states it, asked for before a session trades.
//!
//! In: the answers to a request for positions (`AN`) and one for the status of every order (`AF`). Out: a `Position` event for
//! each holding, and an [`AccountStatement`]. Unasked, nothing comes out: a position in the stream of a session that
//! trades would count twice. Cost: nothing where it is not asked for.

use super::super::delivery::Delivery;
use super::super::numbers::{AccountStatement, Answer};
use crate::event::{Body, Event};
use crate::stage::{Full, Outbox};
use crate::units::Quantity;
use crate::wire::fix::{ExecutionReport, Fields, PositionReport, status, tag};

#[derive(Debug, Default)]
pub(super) struct Account {
    /// Number of the first of the two requests; the other one follows.
    asked: Option<u64>,
    /// Position reports taken.
    reports: u64,
    pub(super) statement: AccountStatement,
}

impl Account {
    /// The requests leave under this number and the next.
    pub(super) fn ask(&mut self, request: u64) {
        *self = Self { asked: Some(request), ..Self::default() };
    }

    /// Takes a report of positions: one of several, perhaps.
    pub(super) fn positions(
        &mut self,
        report: &PositionReport<'_>,
        mut delivery: Delivery<'_, impl Outbox<Event>>,
    ) -> Result<(), Full> {
        if self.asked.is_none() || report.request.is_some_and(|request| Some(request) != self.asked) {
            delivery.count(|counters| counters.unused_types += 1);
            return Ok(());
        }
        for holding in report.holdings() {
            let listed = holding.and_then(|holding| delivery.listing.find_symbol(holding.symbol));
            let lots = holding.zip(listed).and_then(|(holding, listed)| {
                let lots = i64::from(listed.lots_of_contracts(Quantity(holding.qty.checked_abs()?))?);
                Some(lots * holding.qty.signum())
            });
            match (listed, lots) {
                (Some(listed), Some(lots)) => {
                    delivery.deliver(Body::Position { instrument: listed.instrument, lots })?;
                }
                (None, _) if holding.is_some() => delivery.count(|counters| counters.unknown_instruments += 1),
                _ => delivery.count(|counters| counters.unrepresentable += 1),
            }
        }
        self.reports += 1;
        if !report.is_valid {
            self.statement.positions = Answer::Refused;
        } else if self.reports >= report.reports {
            self.statement.positions = Answer::Given;
        }
        Ok(())
    }

    /// Whether an execution report is none, but the status of an order that was asked for.
    #[inline]
    pub(super) fn takes(&mut self, report: &ExecutionReport<'_>, fields: &Fields<'_>) -> bool {
        let is_status = self.asked.is_some() && fields.find(tag::MASS_STATUS_REQ_ID).is_some();
        if is_status && !matches!(report.status, status::FILLED | status::CANCELED | status::REJECTED | status::EXPIRED)
        {
            self.statement.open_orders += 1;
        }
        is_status
    }

    /// The venue refused the message under this number.
    pub(super) fn refused(&mut self, number: u64) {
        if self.asked.is_some_and(|asked| (asked..=asked + 1).contains(&number)) {
            self.statement.positions = Answer::Refused;
        }
    }
}
