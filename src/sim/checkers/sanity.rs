//! Hedging sanity: an order costs no more than a share of what it trades, and a market that stands still is left alone.
//!
//! An order may reach beyond the best opposite price by the configured slippage and no further, so that whatever is paid
//! beyond the touch is at most that share of the volume traded. And once nothing has moved for a while, nothing is decided:
//! an order that the next one takes back pays the spread for ever without ever leaving the band.

use super::Findings;
use crate::units::{ClientOrderId, ONE_E9, Price, Side};

/// Orders that may still be decided in a market that stands still.
const LATE_MAX: u32 = 8;

/// What orders may cost.
#[derive(Debug)]
pub(super) struct Sanity {
    slippage_e9: i64,
    /// Orders decided since the hedge may rest; `None` before.
    late: Option<u32>,
}

impl Sanity {
    pub(super) fn new(slippage_e9: i64) -> Self {
        Self { slippage_e9, late: None }
    }

    /// From here on there is nothing left to do.
    pub(super) fn may_rest(&mut self) {
        self.late = Some(0);
    }

    /// An order to trade up to `limit`, where `touch` is the best that the other side shows and `tick` its grid.
    pub(super) fn decided(
        &mut self,
        order: ClientOrderId,
        side: Side,
        limit: Price,
        (touch, tick): (Price, Price),
        findings: &mut Findings,
    ) {
        self.late = self.late.map(|late| late + 1);
        let beyond = i128::from(side.sign() * (limit.0 - touch.0));
        let allowed = i128::from(touch.0) * i128::from(self.slippage_e9) / i128::from(ONE_E9) + i128::from(tick.0);
        if beyond > allowed {
            findings.add(0, || {
                format!("order {} may pay {} beyond a touch of {}: more than its share", order.0, beyond, touch.0)
            });
        }
    }

    pub(super) fn healed(&self, findings: &mut Findings) {
        let late = self.late.unwrap_or(0);
        if late > LATE_MAX {
            findings.add(12, || format!("{late} orders were decided while nothing moved"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOUCH: (Price, Price) = (Price(1_000), Price(5));

    fn findings(orders: &[(Side, i64)], may_rest: bool) -> usize {
        let (mut sanity, mut findings) = (Sanity::new(10_000_000), Findings::default());
        if may_rest {
            sanity.may_rest();
        }
        for (side, limit) in orders {
            sanity.decided(ClientOrderId(1), *side, Price(*limit), TOUCH, &mut findings);
        }
        sanity.healed(&mut findings);
        findings.violations.len()
    }

    #[test]
    fn an_order_reaches_as_far_as_its_slippage_and_no_further() {
        assert_eq!(findings(&[(Side::Buy, 1_015), (Side::Sell, 985), (Side::Buy, 990)], false), 0);
        assert_eq!(findings(&[(Side::Buy, 1_016), (Side::Sell, 984)], false), 2);
    }

    #[test]
    fn trading_on_while_nothing_moves_is_found() {
        let churn = [(Side::Buy, 1_000); LATE_MAX as usize + 1];
        assert_eq!((findings(&churn[1..], true), findings(&churn, false), findings(&churn, true)), (0, 0, 1));
    }
}
