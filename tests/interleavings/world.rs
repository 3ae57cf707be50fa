//! A world of orders in which everything happens that may happen to them, and a naive account of it.

use std::collections::{BTreeMap, BTreeSet};

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, Instrument};
use hedgecore::order::{
    CANCELLED_ON_REQUEST, OrderState, OrderStore, Outcome, Request, TIME_IN_FORCE_ENDED, TimeInForce,
};
use hedgecore::risk::{Gate, Limits, View};
use hedgecore::units::*;

/// Instruments of a history.
const INSTRUMENTS: u16 = 2;
/// Ten dollars a lot.
const LIMIT_LOTS: i64 = 60;

/// Where a history's choices come from: a seed, or bytes that somebody else chose.
pub(crate) trait Chance {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64;
}

fn pick<'a, T>(chance: &mut impl Chance, of: &'a [T]) -> Option<&'a T> {
    if of.is_empty() { None } else { of.get(chance.below(of.len() as u64) as usize) }
}

fn instrument(id: u16) -> Instrument {
    Instrument::inverse_perpetual(
        InstrumentId(id),
        VenueInstrumentId(u32::from(id) + 1),
        UnderlyingId(0),
        Quantity(10 * ONE_E9),
        Price(ONE_E9),
    )
}

/// What the venue has of an order.
#[derive(Clone, Copy)]
struct AtVenue {
    order: ClientOrderId,
    instrument: InstrumentId,
    side: Side,
    lots: u32,
    filled: u32,
    is_open: bool,
}

/// What a history has to meet to prove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Situation {
    /// A fill of an order that nothing was heard of.
    FillBeforeAcceptance,
    /// An acceptance of an order that has filled.
    AcceptanceAfterFill,
    /// A fill while other terms are asked for.
    FillWhileAmending,
    /// A fill while a cancel is asked for.
    FillWhileCancelling,
    /// An end while other terms are asked for.
    EndWhileAmending,
    /// A fill after the order's end.
    FillAfterEnd,
    /// An end that tells of fills not told yet.
    EndBeforeFill,
    /// An end that nobody asked for.
    UnsolicitedEnd,
    /// A report told before.
    ToldAgain,
    /// A fill taken back.
    Bust,
    /// A fill taken back before it was told.
    BustBeforeFill,
    /// A report on an order that is not here.
    UnknownOrder,
    /// A report that contradicts what is known.
    Contradiction,
    /// A report on an order whose fate was not known.
    NewsOfTheLost,
}

/// What is known without cleverness.
#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) positions: [i64; INSTRUMENTS as usize],
    pub(crate) told: BTreeSet<(u64, u64, bool)>,
    ended: BTreeMap<u64, OrderState>,
}

/// Orders, the gate before them, a venue that is not always honest, and the naive account.
pub(crate) struct World {
    gate: Gate,
    pub(crate) store: OrderStore,
    venue: Vec<AtVenue>,
    /// Reports on their way; a random one arrives next.
    wire: Vec<Body>,
    /// Reports that arrived, to arrive again.
    past: Vec<Body>,
    pub(crate) naive: Naive,
    executions: u64,
    pub(crate) orders: u64,
    /// Of them, those of earlier histories.
    pub(crate) earlier: u64,
    /// The history's first instrument.
    first: u16,
    now: Nanos,
    /// Contradictions that the venue was made to tell, after which limits may be passed by what it then says.
    lied: bool,
    /// How often each situation was met, in all histories.
    pub(crate) met: BTreeMap<Situation, u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let limits = Limits {
            position_notional_max_e9: LIMIT_LOTS * 10 * ONE_E9,
            messages_per_second: 1_000_000,
            repeats_max: u32::MAX,
            ..Limits::default()
        };
        Self {
            gate: Gate::new(limits),
            store: OrderStore::new(),
            venue: Vec::new(),
            wire: Vec::new(),
            past: Vec::new(),
            naive: Naive::default(),
            executions: 0,
            orders: 0,
            earlier: 0,
            first: 0,
            now: Nanos::from_secs(1_000),
            lied: false,
            met: BTreeMap::new(),
        }
    }

    /// Begins the `nth` history on these tables, with everything before it ended.
    pub(crate) fn begin(&mut self, nth: u16) {
        self.venue.clear();
        self.wire.clear();
        self.past.clear();
        self.naive = Naive::default();
        self.lied = false;
        (self.earlier, self.first) = (self.orders, nth * INSTRUMENTS);
        for id in self.first..self.first + INSTRUMENTS {
            let instrument = instrument(id);
            self.see(instrument.listing());
            let (bid, ask) = (Price(99 * ONE_E9), Price(101 * ONE_E9));
            let quality = BookQuality::Good;
            self.see(Body::Top { instrument: instrument.id, quality, bid, ask, bid_lots: 1, ask_lots: 1 });
        }
    }

    fn any_instrument(&self, random: &mut impl Chance) -> InstrumentId {
        InstrumentId(self.first + random.below(u64::from(INSTRUMENTS)) as u16)
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&Event { trail: Trail::default(), time: self.now, body });
    }

    fn ask(&mut self, request: Request) -> bool {
        let id = match request {
            Request::New { instrument, .. } | Request::Amend { instrument, .. } | Request::Quote { instrument, .. } => {
                instrument
            }
            Request::Cancel { .. } | Request::CancelAll | Request::Thaw { .. } => InstrumentId(0),
        };
        let instrument = instrument(id.0);
        let view = View {
            instrument: Some(&instrument),
            quality: BookQuality::Good,
            bid: Price(99 * ONE_E9),
            ask: Price(101 * ONE_E9),
            spot: Price(100 * ONE_E9),
        };
        self.now.0 += 1_000;
        self.gate.approve(request, &view, &mut self.store, self.now).is_ok()
    }

    /// One thing happens.
    pub(crate) fn step(&mut self, random: &mut impl Chance) {
        match random.below(17) {
            0..=3 => self.order(random),
            4 => self.amend(random),
            5 => self.cancel(random),
            6..=7 => self.trade(random),
            8 => self.bust(random),
            9 => self.lie(random),
            16 => self.end_unasked(random),
            10 => {
                if let Some(&again) = pick(random, &self.past) {
                    self.arrive(again);
                }
            }
            11 if random.below(8) == 0 => {
                self.arrive(Body::Session { up: false });
                self.arrive(Body::Session { up: true });
            }
            _ => {
                if !self.wire.is_empty() {
                    let at = random.below(self.wire.len() as u64) as usize;
                    let body = self.wire.swap_remove(at);
                    self.past.push(body);
                    self.arrive(body);
                }
            }
        }
    }

    fn order(&mut self, random: &mut impl Chance) {
        self.orders += 1;
        let (order, instrument) = (ClientOrderId(self.orders), self.any_instrument(random));
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let lots = 1 + random.below(30) as u32;
        let price = Price((100 - side.sign()) * ONE_E9);
        let request = Request::New {
            trail: Trail::default(),
            decided: 0,
            order,
            instrument,
            side,
            time_in_force: TimeInForce::GoodTilCancel,
            post_only: false,
            price,
            lots,
        };
        if !self.ask(request) {
            return;
        }
        if random.below(8) == 0 {
            self.wire.push(Body::Rejected { order, instrument, reason: 3 });
        } else {
            self.venue.push(AtVenue { order, instrument, side, lots, filled: 0, is_open: true });
            self.wire.push(Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument });
        }
    }

    fn amend(&mut self, random: &mut impl Chance) {
        let Some(at) = self.open(random) else { return };
        let AtVenue { order, instrument, side, .. } = self.venue[at];
        let lots = 1 + random.below(40) as u32;
        let price = Price((100 - side.sign()) * ONE_E9);
        let (trail, decided) = (Trail::default(), 0);
        if !self.ask(Request::Amend { trail, decided, order, instrument, side, price, lots }) {
            return;
        }
        if lots <= self.venue[at].filled || random.below(4) == 0 {
            self.wire.push(Body::AmendRejected { order, instrument, reason: 5 });
        } else {
            self.venue[at].lots = lots;
            self.wire.push(Body::Amended { order, instrument, price, lots });
        }
    }

    fn cancel(&mut self, random: &mut impl Chance) {
        let Some(at) = self.open(random) else { return };
        let AtVenue { order, instrument, filled, .. } = self.venue[at];
        self.ask(Request::Cancel { order, instrument });
        if random.below(4) == 0 {
            self.wire.push(Body::CancelRejected { order, instrument, reason: 4 });
        } else {
            self.venue[at].is_open = false;
            self.wire.push(Body::Cancelled { order, instrument, cum_lots: filled, reason: CANCELLED_ON_REQUEST });
        }
    }

    /// The venue ends an order of its own accord.
    fn end_unasked(&mut self, random: &mut impl Chance) {
        let Some(at) = self.open(random) else { return };
        let AtVenue { order, instrument, filled, .. } = self.venue[at];
        self.venue[at].is_open = false;
        let reason = if random.below(4) == 0 { TIME_IN_FORCE_ENDED } else { 7 };
        self.wire.push(Body::Cancelled { order, instrument, cum_lots: filled, reason });
    }

    fn trade(&mut self, random: &mut impl Chance) {
        let Some(at) = self.open(random) else { return };
        let AtVenue { order, instrument, side, lots, filled, .. } = self.venue[at];
        let traded = 1 + random.below(u64::from(lots - filled)) as u32;
        self.venue[at].filled += traded;
        self.venue[at].is_open = filled + traded < lots;
        self.executions += 1;
        let (execution, price) = (ExecutionId(self.executions), Price(100 * ONE_E9));
        self.wire.push(Body::Filled { order, execution, instrument, side, price, lots: traded });
    }

    fn bust(&mut self, random: &mut impl Chance) {
        let fills: Vec<Body> =
            self.wire.iter().chain(&self.past).filter(|body| matches!(body, Body::Filled { .. })).copied().collect();
        if let Some(&Body::Filled { order, execution, instrument, side, price, lots }) = pick(random, &fills) {
            let bust = Body::Busted { order, execution, instrument, side, price, lots };
            if !self.wire.contains(&bust) && !self.past.contains(&bust) {
                self.wire.push(bust);
            }
        }
    }

    /// Something that no venue should say.
    fn lie(&mut self, random: &mut impl Chance) {
        if random.below(6) > 0 {
            return;
        }
        let order = ClientOrderId(self.earlier + 1 + random.below(self.orders - self.earlier + 2));
        let instrument = self.any_instrument(random);
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        self.executions += 1;
        let (execution, price, lots) = (ExecutionId(self.executions), Price(ONE_E9), random.below(50) as u32);
        self.lied = true;
        self.arrive(match random.below(5) {
            0 => Body::Filled { order, execution, instrument, side, price, lots },
            1 => Body::Amended { order, instrument, price, lots },
            2 => Body::Cancelled { order, instrument, cum_lots: lots, reason: 7 },
            3 => Body::Busted { order, execution, instrument, side, price, lots },
            _ => Body::Accepted { order, venue_order: VenueOrderId(execution.0), instrument },
        });
    }

    fn open(&self, random: &mut impl Chance) -> Option<usize> {
        let open: Vec<usize> = (0..self.venue.len()).filter(|at| self.venue[*at].is_open).collect();
        pick(random, &open).copied()
    }

    fn arrive(&mut self, body: Body) {
        if let Body::Session { .. } = body {
            self.see(body);
            self.store.apply(&body);
            return;
        }
        let event = Event { trail: Trail::default(), time: self.now, body };
        self.look_at(&body);
        let outcome = self.gate.hear(&event, &mut self.store);
        match outcome {
            Outcome::Duplicate => self.meet(Situation::ToldAgain),
            Outcome::Unsolicited => self.meet(Situation::UnsolicitedEnd),
            Outcome::UnknownOrder(_) => self.meet(Situation::UnknownOrder),
            Outcome::Inconsistent(_) => self.meet(Situation::Contradiction),
            _ => {}
        }
        let (execution, sign) = match body {
            Body::Filled { order, execution, instrument, side, lots, .. } => {
                (Some((order, execution, instrument, lots, false)), side.sign())
            }
            Body::Busted { order, execution, instrument, side, lots, .. } => {
                (Some((order, execution, instrument, lots, true)), -side.sign())
            }
            _ => (None, 0),
        };
        if let Some((order, execution, instrument, lots, is_bust)) = execution
            && lots > 0
        {
            let is_new = self.naive.told.insert((order.0, execution.0, is_bust));
            assert_eq!(is_new, outcome != Outcome::Duplicate, "an execution counts once: {body:?}");
            if is_new {
                self.naive.positions[instrument.index() - usize::from(self.first)] += sign * i64::from(lots);
            }
        }
    }

    fn meet(&mut self, situation: Situation) {
        *self.met.entry(situation).or_default() += 1;
    }

    /// Notes what a report is about to meet.
    fn look_at(&mut self, body: &Body) {
        let Some(known) = order_of(body).and_then(|order| self.store.find(order)).copied() else { return };
        let is_live = !known.state.is_terminal();
        if known.state == OrderState::Unknown {
            self.meet(Situation::NewsOfTheLost);
        }
        match *body {
            Body::Accepted { .. } if known.venue_order.is_none() && known.cum_lots > 0 => {
                self.meet(Situation::AcceptanceAfterFill);
            }
            Body::Filled { order, execution, .. } if !self.naive.told.contains(&(order.0, execution.0, false)) => {
                match known.state {
                    _ if !is_live => self.meet(Situation::FillAfterEnd),
                    _ if known.is_unanswered() => self.meet(Situation::FillBeforeAcceptance),
                    OrderState::AmendPending => self.meet(Situation::FillWhileAmending),
                    OrderState::CancelPending => self.meet(Situation::FillWhileCancelling),
                    _ => {}
                }
            }
            Body::Cancelled { cum_lots, .. } if is_live => {
                if known.amending.is_some() {
                    self.meet(Situation::EndWhileAmending);
                }
                if cum_lots > known.cum_lots {
                    self.meet(Situation::EndBeforeFill);
                }
            }
            Body::Busted { order, execution, .. } => {
                let is_told = self.naive.told.contains(&(order.0, execution.0, false));
                self.meet(if is_told { Situation::Bust } else { Situation::BustBeforeFill });
            }
            _ => {}
        }
    }

    /// What must hold at every step does.
    pub(crate) fn hold(&mut self, history: u64) {
        let mut open = [(0, 0); INSTRUMENTS as usize];
        for number in self.earlier + 1..=self.orders {
            let Some(order) = self.store.find(ClientOrderId(number)) else { continue };
            let (cum, leaves) = (order.cum_lots, order.leaves_lots());
            assert!(cum + leaves <= order.lots_max(), "history {history}: {order:?}");
            assert!(order.busted_lots <= order.lots_max(), "history {history}: {order:?}");
            if order.state.is_terminal() {
                let ended = *self.naive.ended.entry(number).or_insert(order.state);
                assert_eq!(ended, order.state, "history {history}: an ended order stays as it ended");
            } else {
                assert!(!self.naive.ended.contains_key(&number), "history {history}: {number} came back");
            }
            let (buying, selling) = &mut open[order.new.instrument.index() - usize::from(self.first)];
            *(if order.new.side == Side::Buy { buying } else { selling }) += i64::from(leaves);
        }
        for at in 0..INSTRUMENTS {
            let (id, position) = (InstrumentId(self.first + at), self.naive.positions[usize::from(at)]);
            assert_eq!(self.gate.position(id), Lots(position), "history {history}");
            let (buying, selling) = open[usize::from(at)];
            let working = self.store.working_lots(id);
            assert_eq!(working, (buying as u64, selling as u64), "history {history}");
            if !self.lied {
                // A bust of what a reducing order relied on may pass the limit by what it took back, and by no more.
                let slack = self.busted(id);
                assert!(position + buying <= LIMIT_LOTS + slack, "history {history}: {position} + {buying}");
                assert!(selling - position <= LIMIT_LOTS + slack, "history {history}: {position} - {selling}");
            }
        }
    }

    /// Lots that busts have moved.
    fn busted(&self, id: InstrumentId) -> i64 {
        let moved = self.past.iter().chain(&self.wire).map(|body| match body {
            Body::Busted { instrument, lots, .. } if *instrument == id => i64::from(*lots),
            _ => 0,
        });
        moved.sum()
    }

    /// Ends every order that is live.
    pub(crate) fn settle(&mut self) {
        for number in self.earlier + 1..=self.orders {
            let order = ClientOrderId(number);
            if self.store.is_live(order)
                && let Some(instrument) = self.store.find(order).map(|order| order.new.instrument)
            {
                let cum_lots = self.store.find(order).map_or(0, |order| order.cum_lots);
                self.arrive(Body::Cancelled { order, instrument, cum_lots, reason: CANCELLED_ON_REQUEST });
            }
        }
    }
}

/// Which order a report is about.
fn order_of(body: &Body) -> Option<ClientOrderId> {
    match *body {
        Body::Accepted { order, .. }
        | Body::Filled { order, .. }
        | Body::Busted { order, .. }
        | Body::Cancelled { order, .. }
        | Body::Rejected { order, .. }
        | Body::CancelRejected { order, .. }
        | Body::Amended { order, .. }
        | Body::AmendRejected { order, .. } => Some(order),
        _ => None,
    }
}
