//! The stage itself.

use super::clerk::Clerk;
use super::counters::GatewayCounters;
use super::fix::{Fix, FixConfig};
use super::listing::Listed;
use super::numbers::{AccountStatement, ResetPolicy, SequenceNumbers};
use super::outgoing::{Note, OrderTraffic};
use super::reasons::DisconnectReason;
use super::starbase::{SessionConfig, Starbase};
use crate::event::{Event, KillLevel};
use crate::order::Request;
use crate::risk::Instruction;
use crate::stage::{Full, Outbox};
use crate::units::{Nanos, Ticks};

/// What a protocol adds to the clerk's work: its session, and how its messages read.
pub(super) trait Protocol {
    fn connected(&mut self, clerk: &mut Clerk);
    /// The messages from `unsent` on never left.
    fn disconnected(&mut self, unsent: Option<i64>);
    /// Encodes a request other than a mass cancel, or says why not.
    fn send(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8>;
    /// Sends the mass cancel that is due; it stays due until it fits.
    fn cancel_all(&mut self, clerk: &mut Clerk);
    /// Takes back the orders that wait in the send buffer.
    fn withdraw_orders(&mut self, clerk: &mut Clerk);
    /// Whether orders may be sent again.
    fn hold_orders(&mut self, hold: bool);
    /// Handles what stands at the start of the stream and says how many bytes it took: none when it is not whole. On
    /// `Full` it is offered again.
    fn receive(&mut self, stream: &[u8], clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<usize, Full>;
    fn tick(&mut self, clerk: &mut Clerk);
    fn log_out(&mut self, reason: &[u8], clerk: &mut Clerk);
    fn is_down(&self) -> bool;
    fn is_up(&self) -> bool;
    /// Up, and nothing of the past missing.
    fn is_whole(&self) -> bool;
    fn failed(&self) -> Option<DisconnectReason>;
    /// Why the connection before this one was closed.
    fn failed_before(&self) -> Option<DisconnectReason>;
    fn numbers(&self) -> SequenceNumbers;
    /// Asks for the account; false where the protocol has no such question.
    fn ask_account(&mut self, _clerk: &mut Clerk) -> bool {
        false
    }
    fn account(&self) -> AccountStatement {
        AccountStatement::default()
    }
}

/// What a gateway is made from.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct GatewayConfig {
    /// Whether orders leave. Otherwise there is no session: the hedge is told that it is up, and every order is answered as
    /// one that found nothing to take.
    pub armed: bool,
    /// The protocol, and what the session is opened with.
    pub protocol: ProtocolConfig,
}

/// Which protocol a session speaks, and what it is opened with.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum ProtocolConfig {
    /// Binary order entry.
    Starbase(Box<SessionConfig>),
    /// FIX 4.4.
    Fix(Box<FixConfig>),
}

impl From<SessionConfig> for GatewayConfig {
    fn from(config: SessionConfig) -> Self {
        Self { armed: true, protocol: ProtocolConfig::Starbase(Box::new(config)) }
    }
}

impl From<FixConfig> for GatewayConfig {
    fn from(config: FixConfig) -> Self {
        Self { armed: true, protocol: ProtocolConfig::Fix(Box::new(config)) }
    }
}

impl GatewayConfig {
    /// The protocol's name.
    pub fn protocol_name(&self) -> &'static str {
        match self.protocol {
            ProtocolConfig::Starbase(_) => "Starbase",
            ProtocolConfig::Fix(_) => "FIX 4.4",
        }
    }

    /// When sequence numbers start again, and where they start if they never do.
    pub fn numbers(&self) -> (ResetPolicy, SequenceNumbers) {
        match &self.protocol {
            ProtocolConfig::Starbase(session) => (session.reset, session.resume),
            ProtocolConfig::Fix(session) => (session.reset, session.resume),
        }
    }

    /// The same session, going on from these numbers; one that starts again at every logon does so all the same.
    pub fn resuming(mut self, numbers: SequenceNumbers) -> Self {
        let (reset, resume) = match &mut self.protocol {
            ProtocolConfig::Starbase(session) => (&mut session.reset, &mut session.resume),
            ProtocolConfig::Fix(session) => (&mut session.reset, &mut session.resume),
        };
        if *reset == ResetPolicy::EveryLogon {
            resume.logon_ms = numbers.logon_ms;
        } else {
            (*reset, *resume) = (ResetPolicy::Never, numbers);
        }
        self
    }
}

#[derive(Debug)]
enum Spoken {
    Starbase(Box<Starbase>),
    Fix(Box<Fix>),
}

/// One order session. See the [module](super) for its contract.
#[derive(Debug)]
pub struct Gateway {
    armed: bool,
    clerk: Clerk,
    protocol: Spoken,
}

/// Asks the protocol that is spoken.
macro_rules! ask {
    ($self:ident, |$protocol:ident, $clerk:ident| $answer:expr) => {{
        let $clerk = &mut $self.clerk;
        match &mut $self.protocol {
            Spoken::Starbase($protocol) => $answer,
            Spoken::Fix($protocol) => $answer,
        }
    }};
    ($self:ident, $protocol:ident => $answer:expr) => {
        match &$self.protocol {
            Spoken::Starbase($protocol) => $answer,
            Spoken::Fix($protocol) => $answer,
        }
    };
}

impl Gateway {
    /// A session that is down. Allocates all it will ever use.
    pub fn new(config: impl Into<GatewayConfig>) -> Self {
        let GatewayConfig { armed, protocol } = config.into();
        let protocol = match protocol {
            ProtocolConfig::Starbase(config) => Spoken::Starbase(Box::new(Starbase::new(*config))),
            ProtocolConfig::Fix(config) => Spoken::Fix(Box::new(Fix::new(*config))),
        };
        Self { armed, clerk: Clerk::new(), protocol }
    }

    /// The connection stands: asks to log on.
    pub fn connected(&mut self, time: Nanos) {
        self.clerk.connected(time);
        let before = self.sequence_numbers().outgoing;
        ask!(self, |protocol, clerk| protocol.connected(clerk));
        if self.sequence_numbers().outgoing < before {
            self.clerk.forget_requests();
        }
    }

    /// The connection is gone. What was not wholly written is answered as never sent; what was written keeps its fate
    /// until the venue tells it.
    pub fn disconnected(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        self.clerk.time = time;
        self.clerk.delivered = 0;
        self.clerk.counters.disconnects += 1;
        let unsent = self.clerk.take_back();
        ask!(self, |protocol, _clerk| protocol.disconnected(unsent));
        self.announce();
        self.clerk.flush(out);
    }

    /// Whether the answers that an instruction may need have room. While they have not, instructions wait.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.clerk.has_room()
    }

    /// Takes an instruction; an order that cannot be sent is answered with a [`local_reason`](super::local_reason).
    #[inline]
    pub fn step(&mut self, instruction: &Instruction, time: Nanos, out: &mut impl Outbox<Event>) {
        self.clerk.time = time;
        match instruction {
            Instruction::Reference { instrument, underlying, venue, lot, contract, symbol } => {
                let listed = Listed::new(*instrument, *underlying, *venue, *lot, *contract, *symbol);
                if self.clerk.listing.put(listed).is_err() {
                    self.clerk.counters.listings_refused += 1;
                }
            }
            Instruction::Send(approved) if !self.armed => {
                self.clerk.withhold(approved.request());
                self.clerk.flush(out);
            }
            Instruction::Send(approved) => {
                if let Err((note, reason)) = self.send(approved.request()) {
                    self.clerk.refuse(&note, reason);
                    self.clerk.flush(out);
                }
            }
            Instruction::Level(level) => {
                self.set_level(*level);
                self.clerk.flush(out);
            }
        }
    }

    /// Stamps what the last step encoded.
    #[inline]
    pub fn encoded(&mut self, at: Ticks) {
        self.clerk.outgoing.stamp_encoded(at);
    }

    /// Bytes for the socket, oldest first.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        self.clerk.outgoing.pending()
    }

    /// The socket took this many of the pending bytes. Each order whose last byte is among them is reported `Sent`.
    pub fn written(&mut self, bytes: usize, at: Ticks, out: &mut impl Outbox<Event>) {
        self.clerk.outgoing.advance(bytes, at);
        self.clerk.flush(out);
    }

    /// Handles the whole frames at the start of `bytes` and returns how many bytes they took. The rest is to be offered
    /// again, with what arrived since: an incomplete frame, or one whose reports the outbox has no room for.
    pub fn receive(&mut self, bytes: &[u8], time: Nanos, out: &mut impl Outbox<Event>) -> usize {
        self.clerk.time = time;
        let mut consumed = 0;
        while !self.wants_disconnect() && self.is_connected() && self.clerk.flush(out) {
            match ask!(self, |protocol, clerk| protocol.receive(&bytes[consumed..], clerk, out)) {
                Ok(0) | Err(Full) => break,
                Ok(taken) => {
                    consumed += taken;
                    self.clerk.delivered = 0;
                    ask!(self, |protocol, clerk| protocol.cancel_all(clerk));
                }
            }
        }
        self.announce();
        self.clerk.flush(out);
        consumed
    }

    /// Time passes: heartbeats, test requests, time-outs, and what waits for room.
    pub fn tick(&mut self, time: Nanos, out: &mut impl Outbox<Event>) {
        self.clerk.time = time;
        ask!(self, |protocol, clerk| {
            protocol.tick(clerk);
            protocol.cancel_all(clerk);
        });
        self.announce();
        self.clerk.flush(out);
    }

    /// How much may still leave.
    pub fn level(&self) -> KillLevel {
        self.clerk.level
    }

    /// What had been handed to the socket of orders and amendments when the way out was last shut. While it is shut, no
    /// more follows.
    pub fn shut_at(&self) -> Option<OrderTraffic> {
        self.clerk.shut_at
    }

    /// What was handed to the socket of orders and amendments.
    pub fn order_traffic(&mut self) -> OrderTraffic {
        self.clerk.outgoing.order_traffic()
    }

    /// Asks the venue to end the session; [`wants_disconnect`](Self::wants_disconnect) follows.
    pub fn log_out(&mut self, time: Nanos) {
        self.clerk.time = time;
        ask!(self, |protocol, clerk| protocol.log_out(b"done", clerk));
        self.announce();
    }

    /// Whether orders leave at all.
    pub fn is_armed(&self) -> bool {
        self.armed
    }

    /// Whether a new order would be encoded.
    pub fn ready(&self) -> bool {
        ask!(self, protocol => protocol.is_whole()) && !self.clerk.counters.untrusted() && !self.clerk.is_shut()
    }

    /// Between [`connected`](Self::connected) and [`disconnected`](Self::disconnected).
    pub fn is_connected(&self) -> bool {
        !ask!(self, protocol => protocol.is_down())
    }

    /// Whether the connection has to be closed.
    pub fn wants_disconnect(&self) -> bool {
        ask!(self, protocol => protocol.failed()).is_some()
    }

    /// Why it has to be, or why the one before was.
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        ask!(self, protocol => protocol.failed().or(protocol.failed_before()))
    }

    /// The next number of each direction, from which a later process may resume.
    pub fn sequence_numbers(&self) -> SequenceNumbers {
        ask!(self, protocol => protocol.numbers())
    }

    /// Asks the venue to state the account, on a session that is not to trade: what is held comes as `Position` events.
    /// False where the protocol has no such question, or the session is not whole.
    pub fn ask_account(&mut self, time: Nanos) -> bool {
        self.clerk.time = time;
        ask!(self, |protocol, clerk| protocol.ask_account(clerk))
    }

    /// What the venue has said of the account.
    pub fn account(&self) -> AccountStatement {
        ask!(self, protocol => protocol.account())
    }

    /// What was counted.
    pub fn counters(&self) -> &GatewayCounters {
        &self.clerk.counters
    }

    /// Encodes a request, or says why not.
    #[inline]
    fn send(&mut self, request: &Request) -> Result<(), (Note, u8)> {
        let note = match *request {
            Request::New { order, instrument, trail, decided, .. } => Note::New { order, instrument, trail, decided },
            Request::Amend { order, instrument, .. } => Note::Amend { order, instrument },
            Request::Cancel { order, instrument } => Note::Cancel { order, instrument },
            Request::Quote { order, instrument, .. } => Note::Quote { order, instrument },
            Request::Thaw { .. } => Note::Thaw,
            Request::CancelAll => {
                self.clerk.cancel_all_due = true;
                ask!(self, |protocol, clerk| protocol.cancel_all(clerk));
                return Ok(());
            }
        };
        let sent = ask!(self, |protocol, clerk| protocol.send(request, clerk));
        sent.map_err(|reason| (note, reason))
    }

    /// Shuts or opens the way out for orders; what waits in the send buffer is taken back. A halt is for good.
    fn set_level(&mut self, level: KillLevel) {
        if self.clerk.level == KillLevel::Halt || self.clerk.level == level {
            return;
        }
        self.clerk.level = level;
        let shut = self.clerk.is_shut();
        ask!(self, |protocol, clerk| {
            protocol.hold_orders(shut);
            if shut {
                protocol.withdraw_orders(clerk);
            }
        });
    }

    fn announce(&mut self) {
        let (is_up, is_whole) =
            if self.armed { ask!(self, protocol => (protocol.is_up(), protocol.is_whole())) } else { (true, true) };
        self.clerk.announce(is_up, is_whole);
    }
}
