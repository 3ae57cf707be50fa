//! Every order that may still matter.
//!
//! In: orders before they leave, reports as they come. Out: what each report did, and the lots that may still fill.
//! Capacity [`ORDERS_MAX`]: live orders keep their slot; of the ended ones the oldest gives way, so that late reports find
//! their order for as long as possible. A report costs one lookup of at most 64 slots and constant work; the loss of the
//! session costs one step for each live order. Nothing is allocated after construction.

use super::UNKNOWN_TO_VENUE;
use super::executions::Executions;
use super::index::Index;
use super::standing::Standing;
use super::state::{AppliedFill, NewOrder, Order, OrderState, Outcome, Terms};
use super::{Request, TimeInForce};
use crate::event::Body;
use crate::instrument::INSTRUMENTS_MAX;
use crate::table::table;
use crate::units::{ClientOrderId, ExecutionId, InstrumentId, Price, Side};

/// Orders kept, live and ended.
pub const ORDERS_MAX: usize = 1_024;

const NOT_LIVE: u16 = u16::MAX;

/// Every slot holds a live order, or the number is taken, or beyond what an instrument table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFull;

/// What was counted since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounters {
    /// Reports told before.
    pub duplicates: u64,
    /// Reports after an order's end.
    pub late: u64,
    /// Of those, fills.
    pub late_fills: u64,
    /// Reports on orders that are not here.
    pub unknown: u64,
    /// Reports that contradict what is known.
    pub inconsistent: u64,
    /// Orders that the venue ended of its own accord.
    pub unsolicited: u64,
    /// Fills taken back.
    pub busts: u64,
    /// Orders given up as unknown, their end having been waited for in vain.
    pub alarmed: u64,
    /// Lots that the venue counted as filled and never told, on orders that gave way to others.
    pub owed_forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    order: Order,
    /// Its place in `live`, or [`NOT_LIVE`].
    live_at: u16,
}

/// The orders of one session.
#[derive(Debug)]
pub struct OrderStore {
    slots: Box<[Slot; ORDERS_MAX]>,
    index: Index<{ 4 * ORDERS_MAX }>,
    used: usize,
    /// The largest number entered. Numbers ascend, so that a new one need not be looked for.
    highest: ClientOrderId,
    /// Slots of live orders, the first `live_count` of them.
    live: Box<[u16; ORDERS_MAX]>,
    live_count: usize,
    /// Slots of ended orders in order of their end: `ended_count` of them from `ended_first` on, wrapping.
    ended: Box<[u16; ORDERS_MAX]>,
    ended_first: usize,
    ended_count: usize,
    executions: Executions,
    /// By instrument: buying, selling.
    sides: Box<[[Standing; 2]; INSTRUMENTS_MAX]>,
    counters: OrderCounters,
}

impl Default for OrderStore {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderStore {
    /// An empty store. Allocates all it will ever use.
    pub fn new() -> Self {
        let nothing = NewOrder {
            order: ClientOrderId(0),
            instrument: InstrumentId(0),
            side: Side::Buy,
            time_in_force: TimeInForce::ImmediateOrCancel,
            price: Price::ZERO,
            lots: 0,
        };
        let empty = Slot { order: Order::new(nothing), live_at: NOT_LIVE };
        Self {
            slots: table(empty),
            index: Index::new(),
            used: 0,
            highest: ClientOrderId(0),
            live: table(0),
            live_count: 0,
            ended: table(0),
            ended_first: 0,
            ended_count: 0,
            executions: Executions::new(),
            sides: table([Standing::NONE; 2]),
            counters: OrderCounters::default(),
        }
    }

    /// Enters an order before it leaves; from here on it counts as working at its full size.
    #[inline(always)]
    pub fn insert(&mut self, new: NewOrder) -> Result<(), StoreFull> {
        let is_taken = new.order <= self.highest && self.find_slot(new.order).is_some();
        if is_taken || new.instrument.index() >= self.sides.len() {
            return Err(StoreFull);
        }
        let at = self.vacant().ok_or(StoreFull)?;
        if self.index.insert(new.order.0, at as u16).is_err() {
            // The slot stays with those of ended orders, under a number that no lookup finds.
            self.put_ended(at as u16);
            return Err(StoreFull);
        }
        self.highest = self.highest.max(new.order);
        let order = Order::new(new);
        self.sides[new.instrument.index()][new.side as usize].enter(&order);
        self.slots[at] = Slot { order, live_at: self.live_count as u16 };
        self.live[self.live_count] = at as u16;
        self.live_count += 1;
        Ok(())
    }

    /// Notes that a request leaves that changes what is here: from then on an amendment counts at the larger of both
    /// sizes. False when there is no such order, or it may not be amended now.
    pub fn ask(&mut self, request: &Request) -> bool {
        match *request {
            Request::New { .. } | Request::Quote { .. } | Request::Thaw { .. } => false,
            Request::Amend { order, price, lots, .. } => {
                let mut allowed = false;
                self.update(order, |o| {
                    allowed = o.ask_amend(Terms { price, lots });
                    Outcome::Ignored
                });
                allowed
            }
            Request::Cancel { order, .. } => {
                self.update(order, |o| {
                    o.ask_cancel();
                    Outcome::Ignored
                }) == Outcome::Ignored
            }
            Request::CancelAll => {
                self.for_each_live(Order::ask_cancel);
                true
            }
        }
    }

    /// Gives up on every live order: what may still fill keeps counting, and each is counted as alarmed once.
    pub fn alarm(&mut self) {
        let alarmed = self.all_live().filter(|order| order.state != OrderState::Unknown).count();
        self.counters.alarmed += alarmed as u64;
        self.for_each_live(Order::lose);
    }

    /// Hears a report, or that the session came or went.
    #[inline]
    pub fn apply(&mut self, body: &Body) -> Outcome {
        let outcome = match *body {
            Body::Sent { order, .. } => self.update(order, Order::sent),
            Body::Accepted { order, venue_order, instrument } => {
                self.update(order, |o| o.accepted(venue_order, instrument))
            }
            Body::Filled { order, execution, instrument, side, price, lots } => {
                self.execute(order, execution, fill_of(instrument, side, lots, price), Order::filled, false)
            }
            Body::Busted { order, execution, instrument, side, price, lots } => {
                // Remembered under the complement of its fill's number, so that each of the two counts once.
                let outcome = self.execute(
                    order,
                    ExecutionId(!execution.0),
                    fill_of(instrument, side, lots, price),
                    Order::busted,
                    true,
                );
                self.counters.busts += u64::from(outcome.fill().is_some());
                outcome
            }
            Body::Cancelled { order, cum_lots, reason, .. } => self.update(order, |o| o.cancelled(cum_lots, reason)),
            Body::Rejected { order, .. } => self.update(order, Order::rejected),
            Body::Amended { order, instrument, price, lots } => {
                self.update(order, |o| o.amended(instrument, Terms { price, lots }))
            }
            Body::AmendRejected { order, .. } => self.update(order, Order::amend_rejected),
            Body::CancelRejected { order, reason, .. } => {
                self.update(order, |o| o.cancel_rejected(reason == UNKNOWN_TO_VENUE))
            }
            Body::Session { up } => {
                if !up {
                    self.for_each_live(Order::lose);
                }
                Outcome::Applied(None)
            }
            _ => Outcome::Ignored,
        };
        self.count(&outcome);
        outcome
    }

    /// An order, live or lately ended.
    pub fn find(&self, order: ClientOrderId) -> Option<&Order> {
        self.find_slot(order).map(|at| &self.slots[at].order)
    }

    /// Whether an order is here and has not ended.
    pub fn is_live(&self, order: ClientOrderId) -> bool {
        self.find(order).is_some_and(|order| !order.state.is_terminal())
    }

    /// Lots that may still fill in an instrument, buying and selling: everything not acknowledged, working, of unknown
    /// fate, or counted by the venue and not told yet.
    #[inline]
    pub fn working_lots(&self, instrument: InstrumentId) -> (u64, u64) {
        self.sides.get(instrument.index()).map_or((0, 0), |[buying, selling]| (buying.lots, selling.lots))
    }

    /// The same of one side.
    #[inline(always)]
    pub fn working_on(&self, instrument: InstrumentId, side: Side) -> u64 {
        self.sides.get(instrument.index()).map_or(0, |sides| sides[side as usize].lots)
    }

    /// Whether an order at these terms might meet a live one of ours, or be one once more that is not answered. No is
    /// certain; yes asks for a look at the orders, before which [`tighten`](Self::tighten) makes the next yes rarer.
    #[inline(always)]
    pub fn may_clash(&self, instrument: InstrumentId, side: Side, price: Price, lots: u32) -> bool {
        let Some(sides) = self.sides.get(instrument.index()) else { return false };
        let (own, other) = (&sides[side as usize], &sides[side.opposite() as usize]);
        other.may_meet(side, price) || own.may_hold(Terms { price, lots })
    }

    /// Makes what [`may_clash`](Self::may_clash) goes by as tight as the live orders allow. Looks at every live order.
    pub fn tighten(&mut self, instrument: InstrumentId) {
        let Some(sides) = self.sides.get_mut(instrument.index()) else { return };
        sides.iter_mut().for_each(Standing::forget_bounds);
        for at in &self.live[..self.live_count] {
            let order = &self.slots[usize::from(*at)].order;
            if order.new.instrument == instrument {
                sides[order.new.side as usize].note(order);
            }
        }
    }

    /// How many orders are live.
    pub fn open_orders(&self) -> u32 {
        self.live_count as u32
    }

    /// The live orders of an instrument, in no particular order. Looks at every live order.
    pub fn live(&self, instrument: InstrumentId) -> impl Iterator<Item = &Order> {
        self.all_live().filter(move |order| order.new.instrument == instrument)
    }

    /// Every live order, in no particular order.
    pub fn all_live(&self) -> impl Iterator<Item = &Order> {
        self.live[..self.live_count].iter().map(|at| &self.slots[usize::from(*at)].order)
    }

    /// What was counted.
    pub fn counters(&self) -> &OrderCounters {
        &self.counters
    }

    #[inline]
    fn find_slot(&self, order: ClientOrderId) -> Option<usize> {
        self.index.find(order.0, |at| self.slots[usize::from(at)].order.new.order == order).map(usize::from)
    }

    /// Applies an execution, or its reversal, once by its number. Where the order is not here it still belongs to the
    /// position.
    #[inline]
    fn execute(
        &mut self,
        order: ClientOrderId,
        number: ExecutionId,
        fill: AppliedFill,
        change: impl FnOnce(&mut Order, AppliedFill) -> Outcome,
        reverses: bool,
    ) -> Outcome {
        if self.executions.contains(order, number) {
            return Outcome::Duplicate;
        }
        let mut outcome = self.update(order, |o| change(o, fill));
        if outcome == Outcome::UnknownOrder(None) && fill.lots > 0 {
            let side = if reverses { fill.side.opposite() } else { fill.side };
            outcome = Outcome::UnknownOrder(Some(AppliedFill { side, ..fill }));
        }
        if outcome.fill().is_some() {
            self.executions.remember(order, number);
        }
        outcome
    }

    /// Changes an order and everything that is kept about it.
    #[inline]
    fn update(&mut self, order: ClientOrderId, change: impl FnOnce(&mut Order) -> Outcome) -> Outcome {
        let Some(at) = self.find_slot(order) else { return Outcome::UnknownOrder(None) };
        let slot = &mut self.slots[at];
        let before = (slot.order.leaves_lots(), slot.order.is_unanswered(), !slot.order.state.is_terminal());
        let price = slot.order.terms.price;
        let outcome = change(&mut slot.order);
        let order = &slot.order;
        let (leaves, is_unanswered, is_live) = (order.leaves_lots(), order.is_unanswered(), !order.state.is_terminal());
        let side = &mut self.sides[order.new.instrument.index()][order.new.side as usize];
        side.lots = side.lots - u64::from(before.0) + u64::from(leaves);
        if before.1 && !is_unanswered {
            side.answer();
        }
        if is_live && (order.amending.is_some() || order.terms.price != price) {
            side.note(order);
        }
        if before.2 && !is_live {
            side.end();
            self.end(at);
        }
        outcome
    }

    /// Changes every live order in a way that neither ends it nor alters what may still fill.
    fn for_each_live(&mut self, change: impl Fn(&mut Order)) {
        for at in &self.live[..self.live_count] {
            change(&mut self.slots[usize::from(*at)].order);
        }
    }

    /// Moves an order from the live to the ended.
    fn end(&mut self, at: usize) {
        let place = usize::from(std::mem::replace(&mut self.slots[at].live_at, NOT_LIVE));
        self.live_count -= 1;
        let moved = self.live[self.live_count];
        if place != self.live_count {
            self.live[place] = moved;
            self.slots[usize::from(moved)].live_at = place as u16;
        }
        self.put_ended(at as u16);
    }

    fn put_ended(&mut self, at: u16) {
        self.ended[(self.ended_first + self.ended_count) % ORDERS_MAX] = at;
        self.ended_count += 1;
    }

    /// A slot never used, or that of the order which ended longest ago.
    #[inline(always)]
    fn vacant(&mut self) -> Option<usize> {
        if self.used < ORDERS_MAX {
            self.used += 1;
            return Some(self.used - 1);
        }
        self.reuse()
    }

    /// The slot of the order which ended longest ago.
    fn reuse(&mut self) -> Option<usize> {
        self.ended_count = self.ended_count.checked_sub(1)?;
        let at = self.ended[self.ended_first];
        self.ended_first = (self.ended_first + 1) % ORDERS_MAX;
        let Order { new, owed_lots, .. } = self.slots[usize::from(at)].order;
        if owed_lots > 0 {
            self.sides[new.instrument.index()][new.side as usize].lots -= u64::from(owed_lots);
            self.slots[usize::from(at)].order.owed_lots = 0;
            self.counters.owed_forgotten += u64::from(owed_lots);
        }
        let slots = &self.slots;
        let number_of = |at: u16| slots[usize::from(at)].order.new.order.0;
        self.index.remove(number_of(at), at, number_of);
        Some(usize::from(at))
    }

    #[inline]
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(_) | Outcome::Ignored => {}
            Outcome::Late(fill) => {
                self.counters.late += 1;
                self.counters.late_fills += u64::from(fill.is_some());
            }
            Outcome::Duplicate => self.counters.duplicates += 1,
            Outcome::Unsolicited => self.counters.unsolicited += 1,
            Outcome::UnknownOrder(_) => self.counters.unknown += 1,
            Outcome::Inconsistent(_) => self.counters.inconsistent += 1,
        }
    }
}

const fn fill_of(instrument: InstrumentId, side: Side, lots: u32, price: Price) -> AppliedFill {
    AppliedFill { instrument, side, lots, price }
}
