//! The client's account as the venue keeps it: what reconciliation is held against.
//!
//! A position is the sum of the executions booked here and of what the client brought. Cash and value follow one rule
//! for every contract: a trade moves `lots × value(price)` from cash into the position, so equity is cash plus positions
//! at their marks, less fees. An inverse future of Q dollars is worth −Q/price coins; everything else is worth
//! amount × price. Coins for inverse underlyings, dollars for linear ones.

use super::exchange::{Exchange, Listing};
use super::market::Market;
use super::spec::{Contract, Universe};
use crate::instrument::{InstrumentKind, Payoff};
use crate::units::{ExecutionId, Lots, Nanos, Price, Side, VenueInstrumentId};

/// Option fees never exceed this share of the premium.
const OPTION_FEE_CAP: f64 = 0.125;

/// One execution of the client's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Execution {
    /// The venue's number for it.
    pub id: ExecutionId,
    /// Index of the listing.
    pub listing: usize,
    /// The client's side.
    pub side: Side,
    /// Price.
    pub price: Price,
    /// Size.
    pub lots: Lots,
    /// Whether the client took.
    pub taker: bool,
    /// Fee in the settlement currency.
    pub fee: f64,
}

/// A holding.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The venue's number of the contract.
    pub instrument: VenueInstrumentId,
    /// Its name.
    pub name: String,
    /// How much; negative is short.
    pub lots: Lots,
}

/// One underlying's account, in its settlement currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Equity {
    /// Such as `BTC_USD`.
    pub underlying: String,
    /// Such as `BTC`.
    pub currency: &'static str,
    /// What trades have moved out of positions, fees included.
    pub cash: f64,
    /// Fees paid.
    pub fees: f64,
    /// Positions at their marks.
    pub value: f64,
}

impl Equity {
    /// What the account is worth.
    pub fn total(&self) -> f64 {
        self.cash + self.value
    }
}

/// A contract's prices at the time of the statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// The venue's number of the contract.
    pub instrument: VenueInstrumentId,
    /// Its name.
    pub name: String,
    /// Best bid.
    pub bid: Option<Price>,
    /// Best offer.
    pub ask: Option<Price>,
    /// Fair value in the contract's quote unit.
    pub mark: f64,
}

/// The venue's side of the story.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// When.
    pub time: Nanos,
    /// Everything held, by instrument number.
    pub positions: Vec<Position>,
    /// One for each underlying.
    pub equity: Vec<Equity>,
    /// Index price of each underlying.
    pub index: Vec<f64>,
    /// The client's executions since the start.
    pub fills: u64,
    /// Orders taken since the start, rejected ones not counted.
    pub orders: u64,
    /// Orders refused.
    pub rejects: u64,
    /// New orders and amendments that arrived, whatever became of them.
    pub order_messages: u64,
    /// Their bytes.
    pub order_bytes: u64,
    /// Orders resting now.
    pub open_orders: usize,
    /// Every contract, by number.
    pub quotes: Vec<Quote>,
}

/// The books of one client.
#[derive(Debug)]
pub struct Account {
    positions: Vec<Lots>,
    cash: Vec<f64>,
    fees: Vec<f64>,
    executions: Vec<Execution>,
    /// Orders taken since the start.
    pub orders: u64,
    /// Orders refused.
    pub rejects: u64,
    /// New orders and amendments that arrived.
    pub order_messages: u64,
    /// Their bytes.
    pub order_bytes: u64,
}

impl Account {
    /// An empty account.
    pub fn new(universe: &Universe) -> Self {
        Self {
            positions: vec![Lots(0); universe.contracts.len()],
            cash: vec![0.0; universe.underlyings.len()],
            fees: vec![0.0; universe.underlyings.len()],
            executions: Vec::new(),
            orders: 0,
            rejects: 0,
            order_messages: 0,
            order_bytes: 0,
        }
    }

    /// Brings in a holding at `price`, without a fee.
    pub fn open(&mut self, listing: usize, contract: &Contract, lots: Lots, price: f64) {
        self.positions[listing].0 += lots.0;
        self.cash[contract.underlying] -= value(contract, lots, price);
    }

    /// Books an execution; `index` is the price of the underlying, which option fees depend on.
    pub fn book(&mut self, contract: &Contract, execution: Execution, index: f64) {
        let (price, signed) = (execution.price.to_f64(), Lots(execution.side.sign() * execution.lots.0));
        let rate = if execution.taker { contract.taker_fee } else { contract.maker_fee };
        let size = value(contract, execution.lots, price).abs();
        let fee = match (contract.kind, contract.payoff) {
            (InstrumentKind::Option, payoff) => {
                let amount = execution.lots.to_quantity(contract.lot).to_f64();
                let unit = if payoff == Payoff::Inverse { 1.0 } else { index };
                (rate * unit * amount).min(OPTION_FEE_CAP * size)
            }
            _ => rate * size,
        };
        self.positions[execution.listing].0 += signed.0;
        self.cash[contract.underlying] -= value(contract, signed, price) + fee;
        self.fees[contract.underlying] += fee;
        self.executions.push(Execution { fee, ..execution });
    }

    /// Takes an execution back, as if it had never been; `None` when it is not here.
    pub fn bust(&mut self, id: ExecutionId, listings: &[Listing]) -> Option<Execution> {
        let at = self.executions.iter().position(|execution| execution.id == id)?;
        let execution = self.executions.remove(at);
        let contract = &listings[execution.listing].contract;
        let signed = Lots(execution.side.sign() * execution.lots.0);
        self.positions[execution.listing].0 -= signed.0;
        self.cash[contract.underlying] += value(contract, signed, execution.price.to_f64()) + execution.fee;
        self.fees[contract.underlying] -= execution.fee;
        Some(execution)
    }

    /// How much of a listing is held.
    pub fn position(&self, listing: usize) -> Lots {
        self.positions[listing]
    }

    /// Every execution, in order.
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// The account at the marks of `now`.
    pub fn statement(
        &self,
        exchange: &Exchange,
        market: &Market,
        universe: &Universe,
        now: Nanos,
        open_orders: usize,
    ) -> Statement {
        let listings = exchange.listings();
        let marks: Vec<f64> = listings.iter().map(|l| market.mark(&l.contract, now).price).collect();
        let held = || (0..listings.len()).filter(|&at| self.positions[at].0 != 0);
        let equity = universe.underlyings.iter().enumerate().map(|(underlying, spec)| Equity {
            underlying: format!("{}_{}", spec.base, spec.counter),
            currency: if spec.payoff == Payoff::Inverse { spec.base } else { spec.counter },
            cash: self.cash[underlying],
            fees: self.fees[underlying],
            value: held()
                .filter(|&at| listings[at].contract.underlying == underlying)
                .map(|at| value(&listings[at].contract, self.positions[at], marks[at]))
                .sum(),
        });
        let quote = |(at, listing): (usize, &Listing)| Quote {
            instrument: listing.contract.venue,
            name: listing.contract.name.clone(),
            bid: listing.book.best(Side::Buy),
            ask: listing.book.best(Side::Sell),
            mark: marks[at],
        };
        let position = |at: usize| Position {
            instrument: listings[at].contract.venue,
            name: listings[at].contract.name.clone(),
            lots: self.positions[at],
        };
        Statement {
            time: now,
            positions: held().map(position).collect(),
            equity: equity.collect(),
            index: (0..universe.underlyings.len()).map(|at| market.index(at)).collect(),
            fills: self.executions.len() as u64,
            orders: self.orders,
            rejects: self.rejects,
            order_messages: self.order_messages,
            order_bytes: self.order_bytes,
            open_orders,
            quotes: listings.iter().enumerate().map(quote).collect(),
        }
    }
}

/// What `lots` are worth at `price`, in the settlement currency.
fn value(contract: &Contract, lots: Lots, price: f64) -> f64 {
    let amount = lots.to_quantity(contract.lot).to_f64();
    match (contract.kind, contract.payoff) {
        (InstrumentKind::Future | InstrumentKind::Perpetual, Payoff::Inverse) => -amount / price,
        _ => amount * price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::venue::spec::UniverseConfig;

    fn universe() -> Universe {
        Universe::new(&UniverseConfig::default(), Nanos::from_secs(1_795_348_800))
    }

    fn execution(listing: usize, side: Side, price: f64, lots: i64) -> Execution {
        let price = Price::from_f64(price).unwrap();
        Execution { id: ExecutionId(1), listing, side, price, lots: Lots(lots), taker: true, fee: 0.0 }
    }

    #[test]
    fn an_inverse_round_trip_earns_coins_less_fees() {
        let universe = universe();
        let mut account = Account::new(&universe);
        let perpetual = &universe.contracts[0];
        assert_eq!(perpetual.name, "BTC-PERPETUAL");
        account.book(perpetual, execution(0, Side::Buy, 50_000.0, 1_000), 50_000.0);
        account.book(perpetual, execution(0, Side::Sell, 40_000.0, 1_000), 40_000.0);
        let fees = 0.0005 * (10_000.0 / 50_000.0 + 10_000.0 / 40_000.0);
        let expected = 10_000.0 / 50_000.0 - 10_000.0 / 40_000.0 - fees;
        assert!((account.cash[0] - expected).abs() < 1e-12, "{}", account.cash[0]);
        assert_eq!(account.position(0), Lots(0));
    }

    #[test]
    fn a_linear_position_is_marked_in_dollars() {
        let universe = universe();
        let mut account = Account::new(&universe);
        let at = universe.contracts.iter().position(|c| c.name == "ETH_USDC-PERPETUAL").unwrap();
        account.book(&universe.contracts[at], execution(at, Side::Sell, 3_000.0, 200), 3_000.0);
        let value = value(&universe.contracts[at], account.position(at), 2_900.0);
        assert!((account.cash[1] + value - (2.0 * 100.0 - 0.0005 * 6_000.0)).abs() < 1e-9);
    }

    #[test]
    fn option_fees_are_capped_by_the_premium() {
        let universe = universe();
        let mut account = Account::new(&universe);
        let at = universe.contracts.iter().position(|c| c.option.is_some()).unwrap();
        account.book(&universe.contracts[at], execution(at, Side::Buy, 0.001, 10), 90_000.0);
        assert!((account.fees[0] - 0.125 * 0.001).abs() < 1e-15, "{}", account.fees[0]);
        account.book(&universe.contracts[at], execution(at, Side::Buy, 0.05, 10), 90_000.0);
        assert!((account.fees[0] - 0.125 * 0.001 - 0.0003).abs() < 1e-15);
    }
}
