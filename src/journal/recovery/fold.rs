//! What a run had come to, record by record.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Decision, Head, Record, SessionCall, Settings};
use crate::event::Body;
use crate::gateway::{ProtocolConfig, ResetPolicy, SequenceNumbers};
use crate::instrument::Symbol;
use crate::order::Request;
use crate::portfolio::OpeningBook;
use crate::risk::Instruction;
use crate::units::{
    ClientOrderId, ExecutionId, InstrumentId, Lots, Nanos, Quantity, Side, UnderlyingId, VenueInstrumentId,
};
use crate::wire::{fix, starbase};

/// Numbers that are left out where the journal may lack messages that were sent: the venue takes a number that is too
/// high, and none that is too low. An attempt that was refused leaps 16 times as far, three times: a FIX number has nine
/// digits.
const LEAP: i64 = 1 << 16;
const LEAP_GROWTH_BITS: u32 = 4;
const LEAP_GROWTHS_MAX: u32 = 3;
/// By how much later than the journal's last event the next logon is at the least, milliseconds; four times as much after
/// each attempt that was refused.
const LOGON_LEAP_MS: u64 = 1_000;

/// A contract as the run knew it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contract {
    /// What it is written on.
    pub underlying: UnderlyingId,
    /// The venue's number.
    pub venue: VenueInstrumentId,
    /// Amount of a lot.
    pub lot: Quantity,
    /// Seconds since the epoch; 0 when it never expires.
    pub expiry_s: u32,
    /// Amount of one contract, in which some protocols count; zero until it is known.
    pub contract: Quantity,
    /// The venue's name; empty until it is known.
    pub symbol: Symbol,
}

/// An order of which no end was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// What it trades.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// Size in lots.
    pub lots: u32,
    /// Of those, filled.
    pub filled: u32,
}

/// What a run had come to.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Which run.
    pub head: Head,
    /// What it was made from, without the secret.
    pub settings: Option<Settings>,
    /// Contracts listed.
    pub contracts: BTreeMap<InstrumentId, Contract>,
    /// Position by contract: the opening and every execution applied.
    pub positions: BTreeMap<VenueInstrumentId, Lots>,
    /// Executions applied, by order and number.
    pub executions: BTreeSet<(ClientOrderId, ExecutionId)>,
    /// Those that were taken back, of this run or of one before whose positions it began with.
    pub busts: BTreeSet<(ClientOrderId, ExecutionId)>,
    /// Orders that may still be open.
    pub open: BTreeMap<ClientOrderId, OpenOrder>,
    /// Every order decided.
    pub orders: BTreeSet<ClientOrderId>,
    /// Messages that never reached the journal.
    pub lost: u64,
    /// Whether the run was closed in order.
    pub closed: bool,
    /// The latest time of an event.
    pub time: Nanos,
    /// Highest number sent.
    sent: i64,
    /// Bytes of the last frame that was not wholly written.
    outgoing: Vec<u8>,
}

impl Recovery {
    /// Takes the next record; the first, a head, makes the recovery.
    pub fn take(recovery: &mut Option<Self>, record: &Record) -> Result<(), serde_json::Error> {
        match (recovery.as_mut(), record) {
            (None, Record::Head { head }) => *recovery = Some(Self::new(*head)),
            (Some(recovery), record) => recovery.fold(record)?,
            (None, _) => {}
        }
        Ok(())
    }

    /// Whether the run came to the point of having settings, before which nothing was sent.
    pub fn has_begun(&self) -> bool {
        self.settings.is_some()
    }

    /// The numbers with which the next session resumes, `attempts` having been refused: every report of this run is asked
    /// for again.
    pub fn numbers(&self, attempts: u32) -> SequenceNumbers {
        let session = self.settings.as_ref().map(|settings| settings.session.numbers());
        let resumed = session.filter(|(reset, _)| *reset == ResetPolicy::Never);
        let resume = resumed.map_or(SequenceNumbers::FIRST, |(_, resume)| resume);
        let sent = self.sent.max(resume.outgoing - 1);
        let is_certain = self.closed && attempts == 0;
        let growths = attempts.min(LEAP_GROWTHS_MAX);
        let leap = if is_certain { 1 } else { LEAP << (LEAP_GROWTH_BITS * growths) };
        // The clock of this run was no later than its last event, and one that had gone back made each logon a
        // millisecond later than the one before; what a journal lost of its end is behind that again.
        let latest_ms = session.map_or(0, |(_, resume)| resume.logon_ms).max(self.time.0 / Nanos::PER_MILLI);
        let logon_ms = latest_ms + (LOGON_LEAP_MS << (2 * growths));
        SequenceNumbers { outgoing: sent + leap, incoming: resume.incoming, logon_ms }
    }

    /// What a gateway must be told to understand reports of this run.
    pub fn references(&self) -> impl Iterator<Item = Instruction> {
        self.contracts.iter().map(|(&instrument, contract)| {
            let &Contract { underlying, venue, lot, contract, symbol, .. } = contract;
            Instruction::Reference { instrument, underlying, venue, lot, contract, symbol }
        })
    }

    /// Applies an execution report; true when it was new.
    pub fn apply(&mut self, body: &Body) -> bool {
        match *body {
            Body::Filled { order, execution, instrument, side, lots, .. } => {
                if !self.executions.insert((order, execution)) {
                    return false;
                }
                self.add(instrument, side.sign() * i64::from(lots));
                if let Some(open) = self.open.get_mut(&order) {
                    open.filled = open.filled.saturating_add(lots);
                    if open.filled >= open.lots {
                        self.open.remove(&order);
                    }
                }
                true
            }
            Body::Busted { order, execution, instrument, side, lots, .. } => {
                let is_first = self.busts.insert((order, execution));
                if is_first {
                    self.add(instrument, -side.sign() * i64::from(lots));
                }
                is_first
            }
            Body::Amended { order, lots, .. } => {
                if let Some(open) = self.open.get_mut(&order) {
                    open.lots = lots;
                }
                false
            }
            Body::Cancelled { order, .. } | Body::Rejected { order, .. } => {
                self.open.remove(&order);
                false
            }
            _ => false,
        }
    }

    /// What is held now: contracts that have expired hold nothing.
    pub fn held(&self) -> BTreeMap<VenueInstrumentId, Lots> {
        let now_s = self.time.0 / Nanos::PER_SECOND;
        let is_over = |contract: &Contract| contract.expiry_s != 0 && u64::from(contract.expiry_s) <= now_s;
        let over: BTreeSet<_> = self.contracts.values().filter(|contract| is_over(contract)).map(|c| c.venue).collect();
        let held = self.positions.iter().filter(|(venue, lots)| lots.0 != 0 && !over.contains(venue));
        held.map(|(venue, lots)| (*venue, *lots)).collect()
    }

    fn new(head: Head) -> Self {
        Self {
            head,
            settings: None,
            contracts: BTreeMap::new(),
            positions: BTreeMap::new(),
            executions: BTreeSet::new(),
            busts: BTreeSet::new(),
            open: BTreeMap::new(),
            orders: BTreeSet::new(),
            lost: 0,
            closed: false,
            time: Nanos(0),
            sent: 0,
            outgoing: Vec::new(),
        }
    }

    fn fold(&mut self, record: &Record) -> Result<(), serde_json::Error> {
        match record {
            Record::Settings { json } => {
                let settings = Settings::from_json(json)?;
                if let OpeningBook::Positions(positions) = &settings.greeks.opening {
                    self.positions = positions.iter().copied().collect();
                }
                self.settings = Some(settings);
            }
            Record::Input { event } => {
                self.time = self.time.max(event.time);
                self.list(&event.body);
                self.apply(&event.body);
            }
            // Other openings become positions as contracts are listed.
            Record::Output { event } => {
                let listed =
                    self.settings.as_ref().is_some_and(|s| matches!(s.greeks.opening, OpeningBook::Positions(_)));
                if let (Body::Position { instrument, lots }, false) = (event.body, listed) {
                    self.add(instrument, lots);
                }
            }
            Record::Decision { decision: Decision::Send { request } } => self.decide(request),
            Record::Session { call: SessionCall::Written { bytes, .. } } => self.written(bytes),
            Record::Session { call: SessionCall::Connected { .. } } => self.outgoing.clear(),
            Record::Lost { messages, .. } => self.lost += messages,
            Record::Closed => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    fn list(&mut self, body: &Body) {
        match *body {
            Body::Listed { instrument, underlying, expiry_s, lot, venue, .. } => {
                let (contract, symbol) = (Quantity::default(), Symbol::default());
                self.contracts.insert(instrument, Contract { underlying, venue, lot, expiry_s, contract, symbol });
            }
            Body::Terms { instrument, contract, .. } => {
                if let Some(known) = self.contracts.get_mut(&instrument) {
                    known.contract = contract;
                }
            }
            Body::Named { instrument, symbol } => {
                if let Some(known) = self.contracts.get_mut(&instrument) {
                    known.symbol = symbol;
                }
            }
            _ => {}
        }
    }

    fn decide(&mut self, request: &Request) {
        if let Request::New { order, instrument, side, lots, .. } = *request {
            self.orders.insert(order);
            self.open.insert(order, OpenOrder { instrument, side, lots, filled: 0 });
        }
    }

    fn written(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
        let is_fix = self.settings.as_ref().is_some_and(|s| matches!(s.session.protocol, ProtocolConfig::Fix(_)));
        let next = if is_fix { next_fix } else { next_starbase };
        let mut at = 0;
        while let Some((bytes, number)) = next(&self.outgoing[at..]) {
            at += bytes;
            // A session that was reset counts from 1 again.
            self.sent = if number == 1 { 1 } else { self.sent.max(number) };
        }
        self.outgoing.drain(..at);
    }

    fn add(&mut self, instrument: InstrumentId, lots: i64) {
        let Some(contract) = self.contracts.get(&instrument) else { return };
        let position = self.positions.entry(contract.venue).or_default();
        position.0 = position.0.saturating_add(lots);
    }
}

/// Bytes and number of the next message, if it is whole.
fn next_starbase(stream: &[u8]) -> Option<(usize, i64)> {
    let frame = starbase::orders::next_frame(stream).ok().flatten()?;
    Some((frame.bytes(), frame.header.sequence_number.get()))
}

/// The same in FIX. What is no message has no number; what is sent again has one below the highest.
fn next_fix(stream: &[u8]) -> Option<(usize, i64)> {
    match fix::next_frame(stream) {
        fix::Next::Frame(frame) => {
            let mut fields = frame.body.split(|byte| *byte == fix::SOH);
            let number = fields.find_map(|field| fix::number(field.strip_prefix(b"34=")?));
            let is_again = frame.body.windows(6).any(|field| field == b"\x0143=Y\x01");
            let number = number.filter(|_| !is_again).and_then(|number| i64::try_from(number).ok());
            Some((frame.bytes, number.unwrap_or_default()))
        }
        fix::Next::Garbled(bytes) => Some((bytes, 0)),
        fix::Next::Incomplete => None,
    }
}
