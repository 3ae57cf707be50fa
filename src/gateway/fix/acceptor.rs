//! A venue's end of a FIX session: what a client asks comes out, reports go in.
//!
//! Bytes are offered as the socket cuts them. [`Acceptor::take`] cuts one message and either deals with it or hands out
//! what it asks; a request whose fields make no sense is rejected here and never seen by the desk.

use super::super::outgoing::{Note, Outgoing};
use super::super::reasons::DisconnectReason;
use super::config::{Credentials, FixRules};
use super::rules::Verdict;
use super::session::{Session, State};
use crate::instrument::Symbol;
use crate::units::{Nanos, Side, Ticks};
use crate::wire::fix::{Fault, Fields, Next, RejectReason, Tape, Writer, decimal_e9, kind, next_frame, number, tag};

/// Bytes and frames that may wait for a client that does not read.
const UNREAD: (usize, usize) = (4 << 20, 1 << 16);

/// What stands at the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Taken {
    /// Nothing whole.
    Incomplete,
    /// So many bytes, which the session dealt with.
    Session(usize),
    /// So many bytes, which ask this.
    Request(usize, ClientRequest),
}

/// Price and size of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderTerms {
    /// Instrument.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// Amount, 1e-9 contracts.
    pub qty: i64,
    /// Limit, 1e-9.
    pub price: i64,
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClientRequest {
    /// A new order.
    New {
        /// The client's number for it.
        order: u64,
        /// Instrument, side, size, limit.
        terms: OrderTerms,
        /// `TimeInForce` (59): `1` until cancelled, `3` immediate or cancel, `4` fill or kill.
        time_in_force: u8,
        /// Whether it must not take, on pain of rejection.
        post_only: bool,
        /// It may have been sent before under another number.
        poss_resend: bool,
    },
    /// Other terms for an order.
    Replace {
        /// The client's number for it.
        order: u64,
        /// The new ones.
        terms: OrderTerms,
    },
    /// Take an order back.
    Cancel {
        /// The client's number for it.
        order: u64,
    },
    /// Take every order back.
    CancelAll {
        /// The client's number for the request.
        request: u64,
    },
    /// Say what is held.
    Positions {
        /// The client's number for the request.
        request: u64,
    },
    /// Say which orders are open.
    OpenOrders {
        /// The client's number for the request.
        request: u64,
    },
}

/// A venue's end.
#[derive(Debug)]
pub struct Acceptor {
    session: Session,
    outgoing: Outgoing,
    tape: Tape,
}

impl Acceptor {
    /// For one client; any that has the right names, when no credentials are given.
    pub fn new(rules: FixRules, client: Option<Credentials>) -> Self {
        let outgoing = Outgoing::with_room(UNREAD.0, UNREAD.1);
        Self { session: Session::acceptor(rules, client), outgoing, tape: Tape::new() }
    }

    /// A connection was opened.
    pub fn connected(&mut self, now: Nanos) {
        self.session.connected(now, &mut self.outgoing);
    }

    /// Both directions start again at 1 with the next logon; what was kept is forgotten.
    pub fn start_again(&mut self) {
        self.session.reset();
    }

    /// The connection is gone, and with it what was not written: it stays in the store.
    pub fn disconnected(&mut self) {
        while self.outgoing.take_back().is_some() {}
        self.session.disconnected(None);
    }

    /// Deals with the message at the start of `stream`.
    pub fn take(&mut self, stream: &[u8], now: Nanos) -> Taken {
        if self.session.failed.is_some() || self.session.state == State::Down {
            return Taken::Incomplete;
        }
        let frame = match next_frame(stream) {
            Next::Frame(frame) => frame,
            Next::Incomplete => return Taken::Incomplete,
            Next::Garbled(bytes) => return Taken::Session(bytes),
        };
        let (fields, fault) = self.tape.read(frame.body);
        let (session, out) = (&mut self.session, &mut self.outgoing);
        let verdict = session.judge(&frame, &fields, fault, now, out);
        let asked = match verdict {
            Verdict::Application(kind) => request(kind, &fields),
            Verdict::Unknown => Ok(None),
            _ => return Taken::Session(frame.bytes),
        };
        let taken = match asked {
            Ok(Some(request)) => Taken::Request(frame.bytes, request),
            Ok(None) => {
                if verdict != Verdict::Application(kind::REJECT) {
                    session.unsupported(&fields, now, out);
                }
                Taken::Session(frame.bytes)
            }
            Err(fault) => {
                session.reject_field(&fields, fault, now, out);
                Taken::Session(frame.bytes)
            }
        };
        session.took();
        taken
    }

    /// Sends a message; it is kept for a resend, whether or not a client is there.
    pub fn send(&mut self, kind: u8, now: Nanos, body: impl FnOnce(&mut Writer<'_>)) {
        if self.session.send(kind, Note::Session, now, &mut self.outgoing, body).is_err() {
            self.session.fail(DisconnectReason::SendBufferFull);
        }
        if self.session.state == State::Down {
            while self.outgoing.take_back().is_some() {}
        }
    }

    /// Heartbeats, test requests, time-outs.
    pub fn tick(&mut self, now: Nanos) {
        self.session.tick(now, &mut self.outgoing);
    }

    /// Asks the client to end the session.
    pub fn log_out(&mut self, reason: &[u8], now: Nanos) {
        self.session.log_out(reason, now, &mut self.outgoing);
    }

    /// Bytes for the socket, oldest first.
    pub fn pending(&self) -> &[u8] {
        self.outgoing.pending()
    }

    /// The socket took so many of them.
    pub fn written(&mut self, bytes: usize) {
        self.outgoing.advance(bytes, Ticks(0));
        while self.outgoing.next_sent().is_some() {
            self.outgoing.forget_sent();
        }
    }

    /// Whether requests are taken.
    pub fn is_up(&self) -> bool {
        self.session.is_up()
    }

    /// Whether the client's orders end with the connection, as its logon asked.
    pub fn cancels_on_disconnect(&self) -> bool {
        self.session.cancels_on_disconnect
    }

    /// Why the connection has to be closed, once what is pending is written.
    pub fn closing(&self) -> Option<DisconnectReason> {
        self.session.failed
    }

    /// The next number of each direction.
    pub fn sequence_numbers(&self) -> super::super::SequenceNumbers {
        self.session.numbers()
    }
}

/// What a message asks; `None` for types that ask nothing of a venue.
fn request(kind: u8, fields: &Fields<'_>) -> Result<Option<ClientRequest>, Fault> {
    let order = || read(fields, tag::CL_ORD_ID, number);
    Ok(Some(match kind {
        kind::NEW_ORDER_SINGLE => {
            let one_of = |tag, allowed: &[u8], default| match fields.find(tag) {
                None => Ok(default),
                Some([value]) if allowed.contains(value) => Ok(*value),
                Some(_) => Err(Fault { tag, reason: RejectReason::ValueIncorrect }),
            };
            one_of(tag::ORD_TYPE, b"2", b'2')?;
            ClientRequest::New {
                order: order()?,
                terms: terms(fields)?,
                time_in_force: one_of(tag::TIME_IN_FORCE, b"134", b'1')?,
                post_only: fields.find(tag::EXEC_INST).is_some_and(|inst| inst.contains(&b'6')),
                poss_resend: fields.find(tag::POSS_RESEND) == Some(b"Y"),
            }
        }
        kind::ORDER_CANCEL_REPLACE_REQUEST => ClientRequest::Replace { order: order()?, terms: terms(fields)? },
        kind::ORDER_CANCEL_REQUEST => ClientRequest::Cancel { order: order()? },
        kind::ORDER_MASS_CANCEL_REQUEST => {
            only(fields, tag::MASS_CANCEL_REQUEST_TYPE, b"7")?;
            ClientRequest::CancelAll { request: order()? }
        }
        kind::REQUEST_FOR_POSITIONS => {
            only(fields, tag::POS_REQ_TYPE, b"0")?;
            ClientRequest::Positions { request: read(fields, tag::POS_REQ_ID, number)? }
        }
        kind::ORDER_MASS_STATUS_REQUEST => {
            only(fields, tag::MASS_STATUS_REQ_TYPE, b"7")?;
            ClientRequest::OpenOrders { request: read(fields, tag::MASS_STATUS_REQ_ID, number)? }
        }
        _ => return Ok(None),
    }))
}

fn terms(fields: &Fields<'_>) -> Result<OrderTerms, Fault> {
    Ok(OrderTerms {
        symbol: read(fields, tag::SYMBOL, Symbol::new)?,
        side: match fields.find(tag::SIDE) {
            Some(b"1") => Side::Buy,
            Some(b"2") => Side::Sell,
            _ => return Err(Fault { tag: tag::SIDE, reason: RejectReason::ValueIncorrect }),
        },
        qty: read(fields, tag::ORDER_QTY, decimal_e9)?,
        price: read(fields, tag::PRICE, decimal_e9)?,
    })
}

/// A field that must be there and has one value that is taken here.
fn only(fields: &Fields<'_>, tag: u32, value: &[u8]) -> Result<(), Fault> {
    let is_it = fields.find(tag) == Some(value);
    if is_it { Ok(()) } else { Err(Fault { tag, reason: RejectReason::ValueIncorrect }) }
}

fn read<T>(fields: &Fields<'_>, tag: u32, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Fault> {
    let value = fields.find(tag).ok_or(Fault { tag, reason: RejectReason::RequiredTagMissing })?;
    read(value).ok_or(Fault { tag, reason: RejectReason::IncorrectFormat })
}
