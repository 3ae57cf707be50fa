//! The venue's own account of a session: everything it reported, once more, the end of every order, and what is held.
//!
//! A session is opened with the numbers of the journal, so that the venue sends every report of the run again; then all
//! orders are asked back, those that the journal holds one by one, and last one that never was: its refusal says that the
//! answers to all others have come. Then it is asked what is held and which orders are open, where the protocol has such
//! questions: FIX has, Starbase has none. In: bytes and time. Out: bytes, and at the end a [`Witness`]. No socket.

use std::collections::{BTreeMap, BTreeSet};

use super::fold::Recovery;
use super::reconcile::Account;
use crate::event::{Body, Event};
use crate::gateway::{Answer, DisconnectReason, Gateway, GatewayConfig, ResetPolicy, SequenceNumbers};
use crate::instrument::Symbol;
use crate::order::{ClientOrderIds, OrderStore, Request};
use crate::risk::{Gate, Instruction, Limits, View};
use crate::units::{ClientOrderId, ExecutionId, InstrumentId, Lots, Nanos, Ticks, VenueInstrumentId};
use crate::wire::fix::{FIELDS_MAX, FRAME_BYTES_MAX};

/// How long the venue may take for all of it, nanoseconds.
const PATIENCE_NS: u64 = 30 * Nanos::PER_SECOND;

/// Why the venue's account could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatchUpError {
    /// The session ended first.
    #[error("the order session ended before everything was asked for again: {0:?}")]
    Session(DisconnectReason),
    /// It took too long.
    #[error("the venue did not answer everything within {} s", PATIENCE_NS / Nanos::PER_SECOND)]
    Patience,
    /// The statement of the account, or what came with it, is no message that can be read.
    #[error(
        "what the venue sent as the statement of the account cannot be read: a message of more than {FRAME_BYTES_MAX} \
         bytes or {FIELDS_MAX} fields, or a damaged one. Nothing was started: ask the venue to state the positions in \
         several messages, or hold fewer in this account"
    )]
    Unreadable,
}

/// What the venue said.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The journal's account with what the venue added.
    pub agreed: Recovery,
    /// Executions that the journal did not hold.
    pub missed: Vec<Event>,
    /// Executions that the venue did not repeat.
    pub unwitnessed: Vec<(ClientOrderId, ExecutionId)>,
    /// Reports on contracts that the journal never listed, or that could not be read.
    pub unreadable: u64,
    /// The account as the venue states it, where its protocol does.
    pub account: Option<Account>,
    /// Numbers with which the next session resumes.
    pub numbers: SequenceNumbers,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connecting,
    Recovering,
    Cancelling,
    Stating,
    LoggingOut,
}

/// A session that trades nothing.
#[derive(Debug)]
pub struct CatchUp {
    gateway: Gateway,
    agreed: Recovery,
    known: BTreeSet<(ClientOrderId, ExecutionId)>,
    witnessed: BTreeSet<(ClientOrderId, ExecutionId)>,
    missed: Vec<Event>,
    held: BTreeMap<VenueInstrumentId, Lots>,
    barrier: ClientOrderId,
    /// How often the barrier was asked back, and how often that was refused.
    asked: u32,
    refusals: u32,
    gate: Gate,
    orders: OrderStore,
    step: Step,
    since: Option<Nanos>,
    /// What could not be read of what came before the account was asked for.
    unread: u64,
    reports: Vec<Event>,
}

impl CatchUp {
    /// A session with the credentials of `session` and the numbers of `recovery`, `attempts` having been refused. A session
    /// whose numbers start again at every logon is told what became of orders, and nothing of what was reported before.
    pub fn new(recovery: Recovery, session: impl Into<GatewayConfig>, attempts: u32) -> Self {
        let session = session.into().resuming(recovery.numbers(attempts));
        let repeats = session.numbers().0 != ResetPolicy::EveryLogon;
        let mut gateway = Gateway::new(session);
        let mut reports = Vec::new();
        for reference in recovery.references() {
            gateway.step(&reference, Nanos(0), &mut reports);
        }
        // The number before the first that the run could give.
        let barrier = ClientOrderId(ClientOrderIds::new(recovery.head.started_s).next().0 - 1);
        Self {
            gateway,
            known: recovery.executions.iter().copied().filter(|_| repeats).collect(),
            agreed: recovery,
            witnessed: BTreeSet::new(),
            missed: Vec::new(),
            held: BTreeMap::new(),
            barrier,
            asked: 0,
            refusals: 0,
            gate: Gate::new(Limits::default()),
            orders: OrderStore::new(),
            step: Step::Connecting,
            since: None,
            unread: 0,
            reports,
        }
    }

    /// The connection stands.
    pub fn connected(&mut self, time: Nanos) {
        self.since = Some(time);
        self.step = Step::Recovering;
        self.gateway.connected(time);
    }

    /// Bytes for the venue.
    pub fn pending(&self) -> &[u8] {
        self.gateway.pending()
    }

    /// So many of them were sent.
    pub fn written(&mut self, bytes: usize) {
        self.gateway.written(bytes, Ticks::default(), &mut self.reports);
    }

    /// Takes bytes of the venue; how many were whole messages.
    pub fn receive(&mut self, bytes: &[u8], time: Nanos) -> usize {
        let taken = self.gateway.receive(bytes, time, &mut self.reports);
        self.go_on(time);
        taken
    }

    /// Time passes. True once the venue has said everything.
    pub fn tick(&mut self, time: Nanos) -> Result<bool, CatchUpError> {
        self.gateway.tick(time, &mut self.reports);
        self.go_on(time);
        match (self.gateway.wants_disconnect(), self.gateway.disconnect_reason()) {
            (true, _) if self.step == Step::LoggingOut => Ok(true),
            _ if self.step == Step::Stating && self.unread() > self.unread => Err(CatchUpError::Unreadable),
            (true, Some(reason)) => Err(CatchUpError::Session(reason)),
            _ if time.since(*self.since.get_or_insert(time)) > PATIENCE_NS => Err(CatchUpError::Patience),
            _ => Ok(false),
        }
    }

    /// Whether the session came up.
    pub fn has_begun(&self) -> bool {
        !matches!(self.step, Step::Connecting | Step::Recovering)
    }

    /// What the venue said.
    pub fn finish(mut self, time: Nanos) -> Witness {
        self.gateway.disconnected(time, &mut self.reports);
        let (counters, stated) = (self.gateway.counters(), self.gateway.account());
        Witness {
            account: (stated.positions == Answer::Given).then(|| self.stated(stated.open_orders)),
            unreadable: counters.unknown_instruments + counters.unrepresentable + counters.malformed,
            unwitnessed: self.known.difference(&self.witnessed).copied().collect(),
            numbers: self.gateway.sequence_numbers(),
            agreed: self.agreed,
            missed: self.missed,
        }
    }

    fn go_on(&mut self, time: Nanos) {
        let mut is_whole = false;
        for event in std::mem::take(&mut self.reports) {
            if let Body::Filled { order, execution, .. } = event.body {
                self.witnessed.insert((order, execution));
            }
            if self.agreed.apply(&event.body) {
                self.missed.push(event);
            }
            match event.body {
                Body::Session { up } => is_whole = up,
                Body::Position { instrument, lots } => {
                    let contract = self.agreed.contracts.get(&instrument);
                    self.held.extend(contract.map(|contract| (contract.venue, Lots(lots))));
                }
                Body::CancelRejected { order, .. } if order == self.barrier => self.refusals += 1,
                // The venue does not know it: it never came there, or is long over.
                Body::CancelRejected { order, .. } => drop(self.agreed.open.remove(&order)),
                _ => {}
            }
        }
        match self.step {
            Step::Recovering if is_whole => {
                self.step = Step::Cancelling;
                self.cancel_all(time);
            }
            Step::Cancelling if self.is_answered() => {
                if self.gateway.ask_account(time) {
                    self.step = Step::Stating;
                    self.unread = self.unread();
                    // Behind its refusal no order's status can be on its way.
                    self.cancel(self.barrier, time);
                } else {
                    self.log_out(time);
                }
            }
            Step::Stating if self.is_answered() && self.gateway.account().positions != Answer::Awaited => {
                self.log_out(time);
            }
            _ => {}
        }
    }

    /// Whether the order that never was has been refused as often as it was asked back. Without a contract it is not.
    fn is_answered(&self) -> bool {
        self.refusals == self.asked
    }

    /// Bytes that were no message, and messages that could not be read.
    fn unread(&self) -> u64 {
        let counters = self.gateway.counters();
        counters.garbled_bytes + counters.malformed
    }

    fn log_out(&mut self, time: Nanos) {
        self.step = Step::LoggingOut;
        self.gateway.log_out(time);
    }

    /// What the venue says is held. Of contracts whose names the journal never learned it cannot be understood: there we say.
    fn stated(&self, open_orders: usize) -> Account {
        let named = self.agreed.contracts.values().filter(|contract| contract.symbol != Symbol::default());
        let named: BTreeSet<_> = named.map(|contract| contract.venue).collect();
        let ours = self.agreed.held().into_iter().filter(|(contract, _)| !named.contains(contract));
        let positions = self.held.iter().map(|(contract, lots)| (*contract, *lots)).chain(ours).collect();
        Account { positions, open_orders }
    }

    /// A contract for the order that never was: of one that has a name, which FIX asks for. Without any, nothing was traded.
    fn anchor(&self) -> Option<InstrumentId> {
        let mut contracts = self.agreed.contracts.iter();
        let named = contracts.clone().find(|(_, contract)| contract.symbol != Symbol::default());
        named.or_else(|| contracts.next()).map(|(instrument, _)| *instrument)
    }

    /// Asks every order back, and last the one that never was.
    fn cancel_all(&mut self, time: Nanos) {
        self.send(Request::CancelAll, time);
        let open: Vec<_> = self.agreed.open.keys().copied().collect();
        open.into_iter().chain([self.barrier]).for_each(|order| self.cancel(order, time));
    }

    fn cancel(&mut self, order: ClientOrderId, time: Nanos) {
        let known = self.agreed.open.get(&order).map(|open| open.instrument);
        if let Some(instrument) = known.or(self.anchor()) {
            self.asked += u32::from(order == self.barrier);
            self.send(Request::Cancel { order, instrument }, time);
        }
    }

    fn send(&mut self, request: Request, time: Nanos) {
        if let Ok(approved) = self.gate.approve(request, &View::of_nothing(), &mut self.orders, time) {
            self.gateway.step(&Instruction::Send(approved), time, &mut self.reports);
        }
    }
}
