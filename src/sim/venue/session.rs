//! The venue's end of the order session: logon, sequence numbers, heartbeats, and requests handed to the desk.
//!
//! Bytes enter as the socket cuts them; whole messages are taken out of them in order. A message that cannot be read is
//! rejected and the session goes on; a stream that has lost its framing, a wrong secret, or a number out of sequence
//! ends it with a text that says why. Numbers and undelivered reports outlive a connection: a client that logs on
//! without a reset may ask for what it missed.

use super::desk::{Desk, Floor, Whim};
use super::exchange::{Exchange, Print};
use super::link::Link;
use super::matching::Resting;
pub use super::protection::ProtectionConfig;
use crate::gateway::SequenceNumbers;
use crate::units::{Nanos, Side};
use crate::wire::starbase::orders::{
    Frame, FrameError, Heartbeat, LoggedOut, Logon, LogonConf, Message, Reject, TestRequest, next_frame, reject_reason,
};

pub use super::desk::CLIENT;

/// Which resting orders are cancelled when a connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CancelOnDisconnect {
    /// What the client asks for: of the binary protocol those that carry the flag, of FIX all, where the logon says so.
    #[default]
    AsAsked,
    /// Every one.
    Always,
    /// None.
    Never,
}

/// Who may trade, and how.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The client's name, at most 16 bytes.
    pub client_id: String,
    /// Its secret, at most 48 bytes.
    pub secret: String,
    /// Longest silence either side allows itself.
    pub heartbeat_s: u32,
    /// What becomes of resting orders.
    pub cancel_on_disconnect: CancelOnDisconnect,
    /// New orders a second, and at once.
    pub orders_per_second: u32,
    /// Market-maker protection: of the quotes, and of each underlying's protected orders. Without it neither is taken.
    pub protection: Option<ProtectionConfig>,
    /// Orders come by FIX, between these names; by the binary protocol when `None`.
    pub fix: Option<FixNames>,
    /// By FIX: so many executions are told before one is lost on the way to the order session.
    pub lose_execution: Option<u64>,
}

/// Names of the two ends of a FIX session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixNames {
    /// The venue.
    pub sender: String,
    /// The client. Without a [`SessionConfig::client_id`] whoever bears this name is let in.
    pub target: String,
    /// Whether every logon starts both directions again.
    pub reset_on_logon: bool,
    /// The client on a second session, its drop copy, if it has one.
    pub drop_copy: Option<String>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            client_id: "hedgecore".to_owned(),
            secret: "loopback-only".to_owned(),
            heartbeat_s: 5,
            cancel_on_disconnect: CancelOnDisconnect::AsAsked,
            orders_per_second: 500,
            protection: None,
            fix: None,
            lose_execution: None,
        }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none.
    Down,
    /// It has not said who it is.
    AwaitLogon,
    /// Orders are taken.
    Up,
    /// It will be closed once its bytes are sent.
    Closing,
}

/// The session of one client.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: State,
    link: Link,
    desk: Desk,
    incoming: Vec<u8>,
    heard: Nanos,
    test_requests: i64,
    /// Whether a test request waits for its answer.
    testing: bool,
}

impl Session {
    /// A session that nobody has connected to.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            desk: Desk::new(config.orders_per_second, config.protection),
            state: State::Down,
            link: Link::default(),
            incoming: Vec::new(),
            heard: Nanos(0),
            test_requests: 0,
            testing: false,
            config,
        }
    }

    /// A connection was opened.
    pub fn connect(&mut self, now: Nanos) {
        self.state = State::AwaitLogon;
        self.link.connected = true;
        self.link.last_sent = now;
        (self.heard, self.testing) = (now, false);
    }

    /// The connection is gone, and what was not delivered with it.
    pub fn disconnect(&mut self, exchange: &mut Exchange, now: Nanos) {
        if self.state == State::Down {
            return;
        }
        self.state = State::Down;
        self.link.connected = false;
        self.link.outgoing.clear();
        self.incoming.clear();
        if self.config.cancel_on_disconnect != CancelOnDisconnect::Never {
            let all = self.config.cancel_on_disconnect == CancelOnDisconnect::Always;
            self.desk.disconnected(all, exchange, now, &mut self.link);
        }
    }

    /// Bytes from the client.
    pub fn receive(&mut self, bytes: &[u8], floor: &mut Floor<'_>) {
        if matches!(self.state, State::Down | State::Closing) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.incoming);
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        while matches!(self.state, State::AwaitLogon | State::Up) {
            match next_frame(&buffer[at..]) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    at += frame.bytes();
                    self.heard = floor.now;
                    self.testing = false;
                    self.message(&frame, floor);
                }
                Err(FrameError::Protocol(_)) => self.log_out("stream out of frame: wrong protocol id", floor.now),
                Err(FrameError::Length(_)) => self.log_out("stream out of frame: impossible length", floor.now),
            }
        }
        buffer.drain(..at);
        self.incoming = buffer;
    }

    /// Time passed: heartbeats, test requests, and the end of a silent connection.
    pub fn tick(&mut self, now: Nanos) {
        let interval_ns = u64::from(self.config.heartbeat_s) * Nanos::PER_SECOND;
        let silent_ns = now.since(self.heard);
        self.desk.tick(now, &mut self.link);
        match self.state {
            State::Down | State::Closing => {}
            State::AwaitLogon if silent_ns >= 2 * interval_ns => self.log_out("no logon in time", now),
            State::AwaitLogon => {}
            State::Up if silent_ns >= 3 * interval_ns => {
                self.log_out("nothing heard for three heartbeat intervals", now)
            }
            State::Up => {
                if silent_ns >= 3 * interval_ns / 2 && !self.testing {
                    self.testing = true;
                    self.test_requests += 1;
                    self.link.send(now, &TestRequest { correlation_id: self.test_requests.into() });
                }
                if now.since(self.link.last_sent) >= interval_ns {
                    self.link.send(now, &Heartbeat { correlation_id: 0.into() });
                }
            }
        }
    }

    /// Bytes for the client.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.link.outgoing
    }

    /// Whether the connection should be closed once [`Self::outgoing`] is sent.
    pub fn wants_close(&self) -> bool {
        self.state == State::Closing
    }

    /// The next number of each direction.
    pub fn numbers(&self) -> SequenceNumbers {
        self.link.numbers()
    }

    /// How many orders rest.
    pub fn open_orders(&self) -> usize {
        self.desk.open_orders()
    }

    /// A resting order was taken.
    pub fn filled(&mut self, print: &Print, floor: &mut Floor<'_>) {
        self.desk.filled(print, floor, &mut self.link);
    }

    /// A resting order's contract has expired.
    pub fn expired(&mut self, order: &Resting, exchange: &Exchange, now: Nanos) {
        self.desk.expired(order, exchange, now, &mut self.link);
    }

    /// The next order will meet this.
    pub fn arm(&mut self, whim: Whim) {
        self.desk.arm(whim);
    }

    /// Orders meet what they deserve.
    pub fn disarm(&mut self) {
        self.desk.disarm();
    }

    /// Whether a whim came true since this was asked last.
    pub fn came_true(&mut self, whim: Whim) -> bool {
        self.desk.came_true(whim)
    }

    /// Somebody else trades on the client's account; false when nobody offers any.
    pub fn trade_unasked(&mut self, listing: usize, side: Side, floor: &mut Floor<'_>) -> bool {
        self.desk.trade_unasked(listing, side, floor, &mut self.link)
    }

    /// The protection of an underlying's orders triggers; false when there is none, or it has.
    pub fn trip_protection(&mut self, underlying: usize, floor: &mut Floor<'_>) -> bool {
        self.desk.trip_protection(underlying, floor, &mut self.link)
    }

    fn message(&mut self, frame: &Frame<'_>, floor: &mut Floor<'_>) {
        let sequence = frame.header.sequence_number.get();
        let message = frame.message();
        if self.state == State::AwaitLogon {
            return match message {
                Ok(Message::Logon(logon)) => self.log_on(logon, sequence, floor.now),
                _ => self.log_out("the first message must be a logon", floor.now),
            };
        }
        let expected = self.link.last_processed + 1;
        if sequence != expected {
            return self.log_out(&format!("sequence number {sequence}, expected {expected}"), floor.now);
        }
        self.link.last_processed = sequence;
        if matches!(
            message,
            Ok(Message::NewOrderRequest(_) | Message::AmendOrderRequest(_) | Message::MassQuoteRequest(..))
        ) {
            floor.account.order_messages += 1;
            floor.account.order_bytes += frame.bytes() as u64;
        }
        match message {
            Ok(Message::NewOrderRequest(request)) => self.desk.new_order(request, floor, &mut self.link),
            Ok(Message::AmendOrderRequest(request)) => self.desk.amend(request, floor, &mut self.link),
            Ok(Message::CancelOrderRequest(request)) => self.desk.cancel(request, floor, &mut self.link),
            Ok(Message::MassCancelRequest(request)) => self.desk.mass_cancel(request, floor, &mut self.link),
            Ok(Message::CancelOrderByIdRequest(request)) => self.desk.cancel_by_id(request, floor, &mut self.link),
            Ok(Message::MassQuoteRequest(request, quotes)) => {
                self.desk.mass_quote(request, &quotes, floor, &mut self.link)
            }
            Ok(Message::MassQuoteCancelRequest(request)) => self.desk.cancel_quotes(request, floor, &mut self.link),
            Ok(Message::GetMassQuoteMmpStatusRequest(request)) => {
                self.desk.quotes_status(request, floor.now, &mut self.link)
            }
            Ok(Message::GetOrdersMmpStatusRequest(request)) => {
                self.desk.orders_status(request, floor.now, &mut self.link)
            }
            Ok(Message::Heartbeat(_)) => {}
            Ok(Message::TestRequest(request)) => {
                self.link.send(floor.now, &Heartbeat { correlation_id: request.correlation_id });
            }
            Ok(Message::ResendRequest(request)) => {
                let (from, to) = (request.from_sequence_number.get(), request.to_sequence_number.get());
                self.link.resend(from, to, floor.now);
            }
            Ok(Message::Logout(_)) => self.log_out("logged out on request", floor.now),
            Ok(Message::Logon(_)) => self.log_out("already logged on", floor.now),
            Ok(_) => self.reject(sequence, reject_reason::MESSAGE_TYPE, "message type is not taken here", floor.now),
            Err(_) => {
                self.reject(sequence, reject_reason::MESSAGE_LENGTH, "message is shorter than it says", floor.now)
            }
        }
    }

    /// A reset starts both directions at this logon; otherwise its number may only be too high, and what lies between
    /// was lost with the last connection.
    fn log_on(&mut self, logon: &Logon, sequence: i64, now: Nanos) {
        let known = padded::<16>(&self.config.client_id) == logon.client_id;
        if !known || padded::<48>(&self.config.secret) != logon.secret.0 {
            return self.log_out("unknown client or wrong secret", now);
        }
        if logon.reset_seq_num == 1 {
            self.link.reset();
        } else if sequence <= self.link.last_processed {
            let expected = self.link.last_processed + 1;
            return self.log_out(&format!("sequence number {sequence}, expected {expected}"), now);
        }
        self.link.last_processed = sequence;
        self.state = State::Up;
        let heartbeat_interval_seconds = (self.config.heartbeat_s as i32).into();
        self.link.send(now, &LogonConf { heartbeat_interval_seconds });
    }

    fn reject(&mut self, sequence: i64, reason: i8, text: &str, now: Nanos) {
        let block = Reject { ref_sequence_number: sequence.into(), reason };
        self.link.send_text(now, &block, Some(text));
    }

    fn log_out(&mut self, reason: &str, now: Nanos) {
        self.link.send_text(now, &LoggedOut {}, Some(reason));
        self.state = State::Closing;
    }
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(0))
}
