//! The hedge's way to the venue: every request is approved, entered and sent here, and every report is heard here.
//!
//! Invariants: an order is entered in the store before it leaves; without room on the way out it is not made at all; the
//! gateway hears how the venue names an instrument before the first order on it; a position is its opening and every fill
//! applied, once.

use super::books::Top;
use super::counters::Hold;
use crate::canary::canary;
use crate::event::{Body, Event, KillCause, KillLevel};
use crate::instrument::{Catalogue, INSTRUMENTS_MAX, Instrument, Symbol};
use crate::order::{AppliedFill, ClientOrderIds, OrderStore, Outcome, Request, TimeInForce};
use crate::risk::{Due, Gate, Instruction, Latch, Limits, View, WindDown};
use crate::stage::Outbox;
use crate::units::{ClientOrderId, InstrumentId, Lots, Nanos, Price, Side};

/// An order to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Child {
    pub(super) side: Side,
    pub(super) lots: u32,
    pub(super) price: Price,
    /// Rest at the price and never take, instead of taking what is there.
    pub(super) is_passive: bool,
}

/// Instruments of which the gateway is told at one clock event.
const NAMES_A_CLOCK: usize = 8;

/// What a report came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    pub(super) fill: Option<AppliedFill>,
    pub(super) is_strange: bool,
    /// Why trading must not go on, and at which level it stops.
    pub(super) kill: Option<(KillLevel, KillCause)>,
}

/// Orders, positions and the gate before the session.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) store: OrderStore,
    pub(super) gate: Gate,
    ids: ClientOrderIds,
    /// Whether the gateway knows how the venue names an instrument.
    is_named: Box<[bool]>,
    /// All before this one are.
    named: usize,
    session_up: bool,
    /// The level of the kill switch that was acted on last.
    followed: KillLevel,
    level_due: bool,
    thaw_due: bool,
    wind_down: WindDown,
    rejects_in_a_row: u32,
    rejects_in_a_row_max: u32,
}

impl Orders {
    /// Nothing held, nothing working, the session down. Allocates all it will ever use.
    pub(super) fn new(limits: Limits, started_s: u32, rejects_in_a_row_max: u32) -> Self {
        Self {
            store: OrderStore::new(),
            gate: Gate::new(limits),
            ids: ClientOrderIds::new(if canary!(ReusedId) { 7 } else { started_s }),
            is_named: vec![false; INSTRUMENTS_MAX].into_boxed_slice(),
            named: 0,
            session_up: false,
            followed: KillLevel::Open,
            level_due: false,
            thaw_due: false,
            wind_down: WindDown::new(limits.settle_ns),
            rejects_in_a_row: 0,
            rejects_in_a_row_max,
        }
    }

    /// Position in a contract.
    pub(super) fn position(&self, instrument: InstrumentId) -> Lots {
        self.gate.position(instrument)
    }

    /// Lets the gate see what the hedge sees.
    #[inline]
    pub(super) fn see(&mut self, event: &Event) {
        self.gate.see(event);
    }

    /// A listing is new or has changed: the gateway has to hear of it again.
    pub(super) fn listed(&mut self, instrument: InstrumentId) {
        if let Some(is_named) = self.is_named.get_mut(instrument.index()) {
            *is_named = false;
            self.named = self.named.min(instrument.index());
        }
    }

    /// Tells the gateway of a few more instruments, traded yet or not: an earlier run's may be reported on. Half of the room is
    /// left to orders.
    pub(super) fn name_some(&mut self, catalogue: &Catalogue, out: &mut impl Outbox<Instruction>) {
        let room = out.room() / 2;
        for _ in 0..room.min(NAMES_A_CLOCK) {
            let Some(instrument) = catalogue.instruments().get(self.named) else { return };
            if !self.name(instrument, catalogue.symbol(instrument.id), out) {
                return;
            }
            self.named += 1;
        }
    }

    /// Tells the gateway how the venue names an instrument, unless it knows; whether it does then.
    pub(super) fn name(&mut self, instrument: &Instrument, symbol: Symbol, out: &mut impl Outbox<Instruction>) -> bool {
        let Some(is_named) = self.is_named.get_mut(instrument.id.index()) else { return false };
        if !*is_named {
            let Instrument { id, underlying, venue, lot, contract, .. } = *instrument;
            let reference = Instruction::Reference { instrument: id, underlying, venue, lot, contract, symbol };
            *is_named = out.send(reference).is_ok();
        }
        *is_named
    }

    /// The session came or went. An order that was live when it went is of unknown fate and stays in flight.
    pub(super) fn session(&mut self, event: &Event, up: bool) {
        self.session_up = up;
        // A session's coming and going is about no order in particular: there is no outcome to act on.
        let _ = self.store.apply(&event.body);
    }

    /// Hears an execution report.
    pub(super) fn hear(&mut self, event: &Event) -> Heard {
        let outcome = self.gate.hear(event, &mut self.store);
        let fill = outcome.fill();
        match event.body {
            // An order that was to rest is refused when it would have taken: that is the market's doing.
            Body::Rejected { order, .. } if self.rests(order) => {}
            Body::Rejected { .. } => self.rejects_in_a_row += 1,
            Body::Accepted { .. } => self.rejects_in_a_row = 0,
            _ => {}
        }
        let kill = match outcome {
            Outcome::Inconsistent(_) => Some((KillLevel::Halt, KillCause::Invariant)),
            // Somebody trades in our name: a person has to say who.
            Outcome::UnknownOrder(Some(_)) => Some((KillLevel::Pause, KillCause::Invariant)),
            _ if self.rejects_in_a_row > self.rejects_in_a_row_max => Some((KillLevel::Halt, KillCause::Rejects)),
            _ => None,
        };
        Heard { fill, is_strange: outcome.is_strange(), kill }
    }

    /// Whether an order, live or lately ended, was made to rest.
    pub(super) fn rests(&self, order: ClientOrderId) -> bool {
        self.store.find(order).is_some_and(|order| order.new.time_in_force == TimeInForce::GoodTilCancel)
    }

    /// Why no order may leave now, whatever it is for.
    pub(super) fn may_send(&self) -> Result<(), Hold> {
        match (self.gate.is_shut(), self.session_up) {
            (true, _) => Err(Hold::Killed),
            (false, false) => Err(Hold::SessionDown),
            (false, true) => Ok(()),
        }
    }

    /// Has an order that `event` caused approved, enters it and sends it.
    pub(super) fn place(
        &mut self,
        child: &Child,
        instrument: &Instrument,
        top: &Top,
        spot: Price,
        event: &Event,
        out: &mut impl Outbox<Instruction>,
    ) -> Result<ClientOrderId, Hold> {
        let Event { trail, time: now, .. } = *event;
        let Child { side, lots, price, is_passive } = *child;
        let is_named = self.is_named.get(instrument.id.index()).copied().unwrap_or_default();
        if !is_named || out.room() == 0 {
            return Err(Hold::NoRoom);
        }
        let view = View { instrument: Some(instrument), quality: top.quality, bid: top.bid, ask: top.ask, spot };
        let order = self.ids.next();
        let time_in_force = if is_passive { TimeInForce::GoodTilCancel } else { TimeInForce::ImmediateOrCancel };
        let request = Request::New {
            trail,
            decided: 0,
            order,
            instrument: instrument.id,
            side,
            time_in_force,
            post_only: is_passive,
            price,
            lots,
        };
        let approved = self.gate.approve(request, &view, &mut self.store, now).map_err(|_| Hold::Refused)?;
        // Room was seen above and only this stage sends: if the order does not fit now, what we believe is wrong.
        match out.send(Instruction::Send(approved)) {
            Ok(()) => Ok(order),
            Err(_) => {
                self.kill(Latch::by_the_program(KillLevel::Halt, KillCause::Invariant, now), out);
                Err(Hold::NoRoom)
            }
        }
    }

    /// Asks for an order back; whether the request left.
    pub(super) fn cancel(
        &mut self,
        order: ClientOrderId,
        instrument: InstrumentId,
        now: Nanos,
        out: &mut impl Outbox<Instruction>,
    ) -> bool {
        let request = Request::Cancel { order, instrument };
        out.room() > 0
            && self
                .gate
                .approve(request, &View::of_nothing(), &mut self.store, now)
                .is_ok_and(|approved| out.send(Instruction::Send(approved)).is_ok())
    }

    /// Asks the venue to end each freeze by its protection. Those that find no room are asked for by the clock.
    #[cold]
    #[inline(never)]
    pub(super) fn thaw(&mut self, now: Nanos, out: &mut impl Outbox<Instruction>) {
        self.thaw_due = false;
        for scope in self.gate.frozen(now) {
            if out.room() == 0 {
                self.thaw_due = true;
                return;
            }
            // A refusal has its reason, and is counted.
            if let Ok(approved) = self.gate.approve(Request::Thaw { scope }, &View::of_nothing(), &mut self.store, now)
            {
                self.thaw_due |= out.send(Instruction::Send(approved)).is_err();
            }
        }
    }

    /// Throws the kill switch: the gateway is told, and everything is asked back unless trading goes on.
    pub(super) fn kill(&mut self, latch: Latch, out: &mut impl Outbox<Instruction>) {
        if self.gate.kill(latch) {
            self.follow(latch.since, out);
        }
    }

    /// Whether the gateway has not been told the level yet, or what may be live not been asked back.
    pub(super) fn owes(&self, now: Nanos) -> bool {
        self.level_due || self.wind_down.due(now, 0) != Due::Nothing
    }

    /// Follows the gate's kill switch, which the gate may have thrown by itself: tells the gateway how much may leave, asks
    /// everything back and alarms what does not end, as far as each is due and fits.
    pub(super) fn follow(&mut self, now: Nanos, out: &mut impl Outbox<Instruction>) {
        let level = self.gate.latch().level;
        if level != self.followed {
            self.followed = level;
            self.level_due = true;
            match level {
                KillLevel::Open => self.wind_down.end(),
                _ => self.wind_down.begin(now),
            }
        }
        if self.level_due {
            self.level_due = out.send(Instruction::Level(level)).is_err();
        }
        if self.thaw_due {
            self.thaw(now, out);
        }
        let due = self.wind_down.due(now, self.store.open_orders());
        if due == Due::Alarm {
            self.store.alarm();
            self.wind_down.alarmed();
        }
        if due != Due::Nothing
            && out.room() > 0
            && let Ok(approved) = self.gate.approve(Request::CancelAll, &View::of_nothing(), &mut self.store, now)
            && out.send(Instruction::Send(approved)).is_ok()
        {
            self.wind_down.asked(now);
        }
    }
}
