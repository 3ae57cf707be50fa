//! One instrument's order book with price-time priority.
//!
//! Orders enter and fills leave. A better price trades first, and at one price the earlier order; a fill happens at the
//! resting order's price. Invariant: the book is never crossed after a call, levels hold at least one order, and every
//! order holds at least one lot. Submitting walks the levels it trades through; inserting and cancelling cost a binary
//! search over the levels and a walk of one level's queue.

use std::collections::VecDeque;

use crate::order::TimeInForce;
use crate::units::{Lots, Price, Side, VenueOrderId};

/// Who an order belongs to; two orders of one owner never trade with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u32);

/// What happens when an order meets one of its own owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfTrade {
    /// The rest of the incoming order is cancelled.
    #[default]
    CancelTaker,
    /// The resting order is cancelled and matching goes on.
    CancelMaker,
}

/// What an order that must not take does when it would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostOnly {
    /// It may take.
    #[default]
    Off,
    /// It is moved to one tick behind the opposite best.
    Slide {
        /// The tick to stay behind by.
        tick: Price,
    },
    /// It is refused.
    Reject,
}

/// An order on its way into the book.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Its number, unique in the book.
    pub id: VenueOrderId,
    /// Whose it is.
    pub owner: Owner,
    /// Which way.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Size, at least one.
    pub lots: Lots,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Whether it must not take.
    pub post_only: PostOnly,
    /// What happens when it meets its own owner.
    pub self_trade: SelfTrade,
}

/// An order in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Its number.
    pub id: VenueOrderId,
    /// Whose it is.
    pub owner: Owner,
    /// Lots left.
    pub lots: Lots,
}

/// One match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The resting order's number.
    pub maker: VenueOrderId,
    /// Whose it was.
    pub maker_owner: Owner,
    /// Whether it is now fully filled.
    pub maker_done: bool,
    /// The resting order's price.
    pub price: Price,
    /// Lots traded.
    pub lots: Lots,
}

/// What became of an order when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left of it.
    Filled,
    /// What was not filled rests at this price.
    Resting {
        /// Where, which differs from the limit only for a post-only order that slid.
        price: Price,
        /// How much.
        lots: Lots,
    },
    /// Immediate-or-cancel: this much found no counterpart.
    Expired(Lots),
    /// This much was cancelled because it would have traded with its own owner.
    SelfTrade(Lots),
    /// Post-only, and it would have taken.
    WouldTake,
}

/// One price of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// Sum of the queue.
    pub lots: Lots,
    queue: VecDeque<Resting>,
}

impl Level {
    /// The orders, earliest first.
    pub fn orders(&self) -> impl Iterator<Item = &Resting> {
        self.queue.iter()
    }
}

/// A book. Levels are kept with the best price last, where changes are cheapest.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Book {
    /// Matches an order against the other side and rests what is left. Fills are appended to `fills`, best first;
    /// orders cancelled by [`SelfTrade::CancelMaker`] to `cancelled`.
    pub fn submit(&mut self, order: &Incoming, fills: &mut Vec<Fill>, cancelled: &mut Vec<Resting>) -> Outcome {
        let price = match (order.post_only, self.best(order.side.opposite())) {
            (PostOnly::Reject, Some(best)) if crosses(order.side, order.price, best) => return Outcome::WouldTake,
            (PostOnly::Slide { tick }, Some(best)) if crosses(order.side, order.price, best) => {
                Price(best.0 - order.side.sign() * tick.0)
            }
            _ => order.price,
        };
        let mut left = order.lots.0;
        let opposite = self.side_mut(order.side.opposite());
        while left > 0 {
            let Some(level) = opposite.last_mut().filter(|level| crosses(order.side, price, level.price)) else {
                break;
            };
            let Some(maker) = level.queue.front_mut() else { break };
            if maker.owner == order.owner {
                if order.self_trade == SelfTrade::CancelTaker {
                    return Outcome::SelfTrade(Lots(left));
                }
                level.lots.0 -= maker.lots.0;
                cancelled.extend(level.queue.pop_front());
            } else {
                let traded = left.min(maker.lots.0);
                maker.lots.0 -= traded;
                level.lots.0 -= traded;
                left -= traded;
                fills.push(Fill {
                    maker: maker.id,
                    maker_owner: maker.owner,
                    maker_done: maker.lots.0 == 0,
                    price: level.price,
                    lots: Lots(traded),
                });
                if maker.lots.0 == 0 {
                    level.queue.pop_front();
                }
            }
            if level.queue.is_empty() {
                opposite.pop();
            }
        }
        match order.time_in_force {
            _ if left == 0 => Outcome::Filled,
            TimeInForce::ImmediateOrCancel => Outcome::Expired(Lots(left)),
            TimeInForce::GoodTilCancel => {
                self.rest(order.side, price, Resting { id: order.id, owner: order.owner, lots: Lots(left) });
                Outcome::Resting { price, lots: Lots(left) }
            }
        }
    }

    /// Takes a resting order out. `None` when it is not there.
    pub fn cancel(&mut self, side: Side, price: Price, id: VenueOrderId) -> Option<Resting> {
        let levels = self.side_mut(side);
        let at = find(levels, side, price).ok()?;
        let level = &mut levels[at];
        let place = level.queue.iter().position(|order| order.id == id)?;
        let order = level.queue.remove(place)?;
        level.lots.0 -= order.lots.0;
        if level.queue.is_empty() {
            levels.remove(at);
        }
        Some(order)
    }

    /// Sets a resting order's size without losing its place, unless it grows, which sends it to the back. False when it
    /// is not there or `lots` is not positive.
    pub fn resize(&mut self, side: Side, price: Price, id: VenueOrderId, lots: Lots) -> bool {
        let levels = self.side_mut(side);
        let Ok(at) = find(levels, side, price) else { return false };
        let level = &mut levels[at];
        let Some(place) = level.queue.iter().position(|order| order.id == id).filter(|_| lots.0 > 0) else {
            return false;
        };
        let grows = lots > level.queue[place].lots;
        level.lots.0 += lots.0 - level.queue[place].lots.0;
        level.queue[place].lots = lots;
        if grows && let Some(order) = level.queue.remove(place) {
            level.queue.push_back(order);
        }
        true
    }

    /// Best price of a side.
    pub fn best(&self, side: Side) -> Option<Price> {
        self.side(side).last().map(|level| level.price)
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl ExactSizeIterator<Item = &Level> {
        self.side(side).iter().rev()
    }

    /// Empties the book, handing out every order that was in it.
    pub fn clear(&mut self) -> impl Iterator<Item = Resting> {
        let levels = std::mem::take(&mut self.bids).into_iter().chain(std::mem::take(&mut self.asks));
        levels.flat_map(|level| level.queue)
    }

    /// Rests an order without a look at the other side.
    pub(super) fn rest(&mut self, side: Side, price: Price, order: Resting) {
        let levels = self.side_mut(side);
        match find(levels, side, price) {
            Ok(at) => {
                levels[at].lots.0 += order.lots.0;
                levels[at].queue.push_back(order);
            }
            Err(at) => levels.insert(at, Level { price, lots: order.lots, queue: VecDeque::from([order]) }),
        }
    }

    fn side(&self, side: Side) -> &Vec<Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Vec<Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

/// Whether an order of `side` limited to `limit` may trade at `price`.
fn crosses(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

fn find(levels: &[Level], side: Side, price: Price) -> Result<usize, usize> {
    levels.binary_search_by(|level| match side {
        Side::Buy => level.price.cmp(&price),
        Side::Sell => price.cmp(&level.price),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Price = Price(10);

    fn order(id: u64, owner: u32, side: Side, price: i64, lots: i64) -> Incoming {
        Incoming {
            id: VenueOrderId(id),
            owner: Owner(owner),
            side,
            price: Price(price),
            lots: Lots(lots),
            time_in_force: TimeInForce::GoodTilCancel,
            post_only: PostOnly::Off,
            self_trade: SelfTrade::CancelTaker,
        }
    }

    fn submit(book: &mut Book, order: &Incoming) -> (Outcome, Vec<(u64, i64, i64)>) {
        let (mut fills, mut cancelled) = (Vec::new(), Vec::new());
        let outcome = book.submit(order, &mut fills, &mut cancelled);
        (outcome, fills.iter().map(|f| (f.maker.0, f.price.0, f.lots.0)).collect())
    }

    #[test]
    fn better_price_trades_first_then_the_earlier_order() {
        let mut book = Book::default();
        submit(&mut book, &order(1, 1, Side::Sell, 110, 5));
        submit(&mut book, &order(2, 1, Side::Sell, 100, 5));
        submit(&mut book, &order(3, 2, Side::Sell, 100, 5));
        let (outcome, fills) = submit(&mut book, &order(4, 3, Side::Buy, 110, 12));
        assert_eq!(outcome, Outcome::Filled);
        assert_eq!(fills, [(2, 100, 5), (3, 100, 5), (1, 110, 2)]);
        assert_eq!(book.levels(Side::Sell).map(|l| (l.price.0, l.lots.0)).collect::<Vec<_>>(), [(110, 3)]);
    }

    #[test]
    fn immediate_or_cancel_never_rests() {
        let mut book = Book::default();
        submit(&mut book, &order(1, 1, Side::Sell, 100, 5));
        let ioc = Incoming { time_in_force: TimeInForce::ImmediateOrCancel, ..order(2, 2, Side::Buy, 100, 8) };
        assert_eq!(submit(&mut book, &ioc), (Outcome::Expired(Lots(3)), vec![(1, 100, 5)]));
        assert_eq!(book.best(Side::Buy), None);
    }

    #[test]
    fn post_only_slides_or_is_refused_but_never_takes() {
        let mut book = Book::default();
        submit(&mut book, &order(1, 1, Side::Sell, 100, 5));
        let reject = Incoming { post_only: PostOnly::Reject, ..order(2, 2, Side::Buy, 100, 1) };
        assert_eq!(submit(&mut book, &reject), (Outcome::WouldTake, vec![]));
        let slide = Incoming { post_only: PostOnly::Slide { tick: TICK }, ..order(3, 2, Side::Buy, 120, 1) };
        assert_eq!(submit(&mut book, &slide), (Outcome::Resting { price: Price(90), lots: Lots(1) }, vec![]));
    }

    #[test]
    fn an_owner_never_trades_with_itself() {
        let mut book = Book::default();
        submit(&mut book, &order(1, 1, Side::Sell, 100, 5));
        submit(&mut book, &order(2, 2, Side::Sell, 100, 5));
        let taker = order(3, 1, Side::Buy, 100, 2);
        assert_eq!(submit(&mut book, &taker), (Outcome::SelfTrade(Lots(2)), vec![]));
        let (mut fills, mut cancelled) = (Vec::new(), Vec::new());
        let maker_yields = Incoming { self_trade: SelfTrade::CancelMaker, ..taker };
        assert_eq!(book.submit(&maker_yields, &mut fills, &mut cancelled), Outcome::Filled);
        assert_eq!((fills[0].maker.0, cancelled[0].id.0), (2, 1));
    }

    #[test]
    fn shrinking_keeps_the_place_and_growing_loses_it() {
        let mut book = Book::default();
        submit(&mut book, &order(1, 1, Side::Buy, 100, 5));
        submit(&mut book, &order(2, 1, Side::Buy, 100, 5));
        assert!(book.resize(Side::Buy, Price(100), VenueOrderId(1), Lots(2)));
        assert_eq!(submit(&mut book, &order(3, 9, Side::Sell, 100, 1)).1, [(1, 100, 1)]);
        assert!(book.resize(Side::Buy, Price(100), VenueOrderId(1), Lots(4)));
        assert_eq!(submit(&mut book, &order(4, 9, Side::Sell, 100, 6)).1, [(2, 100, 5), (1, 100, 1)]);
        assert!(!book.resize(Side::Buy, Price(100), VenueOrderId(1), Lots(0)));
        assert!(!book.resize(Side::Buy, Price(110), VenueOrderId(1), Lots(1)));
    }

    /// The book as a flat list of orders, matched by scanning all of it.
    #[derive(Default)]
    struct Naive {
        orders: Vec<(Side, i64, Resting)>,
    }

    impl Naive {
        fn submit(&mut self, order: &Incoming) -> Vec<(u64, i64, i64)> {
            let (mut left, mut fills) = (order.lots.0, Vec::new());
            while left > 0 {
                let best = (0..self.orders.len())
                    .filter(|&i| self.orders[i].0 != order.side)
                    .min_by_key(|&i| (self.orders[i].1 * order.side.sign(), i));
                let Some(best) = best else { break };
                let (_, price, maker) = &mut self.orders[best];
                if (*price - order.price.0) * order.side.sign() > 0 || maker.owner == order.owner {
                    if (*price - order.price.0) * order.side.sign() <= 0 {
                        return fills;
                    }
                    break;
                }
                let traded = left.min(maker.lots.0);
                fills.push((maker.id.0, *price, traded));
                maker.lots.0 -= traded;
                left -= traded;
                if maker.lots.0 == 0 {
                    self.orders.remove(best);
                }
            }
            if left > 0 && order.time_in_force == TimeInForce::GoodTilCancel {
                let rest = Resting { id: order.id, owner: order.owner, lots: Lots(left) };
                self.orders.push((order.side, order.price.0, rest));
            }
            fills
        }

        fn cancel(&mut self, id: u64) -> Option<Resting> {
            let at = self.orders.iter().position(|(_, _, order)| order.id.0 == id)?;
            Some(self.orders.remove(at).2)
        }

        fn levels(&self, side: Side) -> Vec<(i64, i64)> {
            let mut levels: Vec<(i64, i64)> = Vec::new();
            for (_, price, order) in self.orders.iter().filter(|(s, _, _)| *s == side) {
                match levels.iter_mut().find(|(p, _)| p == price) {
                    Some((_, lots)) => *lots += order.lots.0,
                    None => levels.push((*price, order.lots.0)),
                }
            }
            levels.sort_by_key(|(price, _)| -price * side.sign());
            levels
        }
    }

    proptest! {
        #[test]
        fn matches_like_the_naive_book(
            steps in prop::collection::vec((0_u8..4, 0_u32..3, any::<bool>(), 95_i64..105, 1_i64..9, 0_u64..200), 1..200),
        ) {
            let (mut book, mut naive) = (Book::default(), Naive::default());
            let mut placed: Vec<(Side, Price)> = Vec::new();
            for (kind, owner, buy, price, lots, pick) in steps {
                let side = if buy { Side::Buy } else { Side::Sell };
                if kind == 0 && !placed.is_empty() {
                    let id = pick % placed.len() as u64;
                    let (side, price) = placed[id as usize];
                    prop_assert_eq!(book.cancel(side, price, VenueOrderId(id)), naive.cancel(id));
                } else {
                    let mut incoming = order(placed.len() as u64, owner, side, price, lots);
                    if kind == 1 {
                        incoming.time_in_force = TimeInForce::ImmediateOrCancel;
                    }
                    placed.push((side, Price(price)));
                    prop_assert_eq!(submit(&mut book, &incoming).1, naive.submit(&incoming));
                }
                for side in [Side::Buy, Side::Sell] {
                    let levels: Vec<_> = book.levels(side).map(|l| (l.price.0, l.lots.0)).collect();
                    prop_assert_eq!(levels, naive.levels(side));
                    for level in book.levels(side) {
                        prop_assert_eq!(level.orders().map(|o| o.lots.0).sum::<i64>(), level.lots.0);
                    }
                }
            }
        }
    }
}
