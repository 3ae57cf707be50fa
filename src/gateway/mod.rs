//! The order session: approved instructions become bytes, the venue's bytes become execution reports.
//!
//! In: [`Instruction`](crate::risk::Instruction)s from the hedge, bytes from the stream, the time. Out: bytes for the
//! stream, [`Event`](crate::event::Event)s toward the greeks and the hedge. No socket, clock or thread: the runtime owns
//! those, offers what it has read with [`Gateway::receive`] and writes what [`Gateway::pending`] shows.
//!
//! ```text
//!   Instruction ──step──►  listing ──► session ──► send buffer ──pending──► socket
//!                                        │  ▲            └─written──► Sent
//!   Event ◄──────────── reports ◄────────┴──┴────────────receive────── socket
//! ```
//!
//! Invariants:
//! - An order is answered: it is sent, or rejected with a [`local_reason`]. Nothing is dropped in silence.
//! - A message of the venue is handled once per sequence number, resends and reconnections included.
//! - No new order leaves before the session is up and whole, or after an execution that could not be represented.
//! - After a kill no byte of an order or amendment leaves that had not begun to: what waits in the send buffer is taken
//!   back and answered, and its number goes out with a heartbeat.
//! - Cancels have bytes of the send buffer to themselves, and a mass cancel asked for while the session is down goes out
//!   first when it comes up.
//!
//! The protocol is chosen by [`GatewayConfig`]: Starbase's binary order entry, or FIX 4.4 ([`fix`]). What does not depend
//! on it (the send buffer, the listing, whose request is under which number, answers owed) is the clerk's; a protocol adds
//! its session and how its messages read.
//!
//! Cost: 64 KiB send buffer, 1,024 frames in it, 4,096 instruments, all allocated at construction; a step encodes in place
//! and probes at most 64 slots. Back-pressure: a report that the outbox does not take stays in the stream, as does one on
//! an instrument that is not listed yet, for the first ten seconds; while answers of the gateway's own wait,
//! [`Gateway::has_room`] asks for no more instructions.
//!
//! What differs by protocol, each an explicit setting of the session:
//!
//! | setting | Starbase | FIX 4.4 |
//! |---|---|---|
//! | `cancel_on_disconnect`, on unless said otherwise | a flag of every order and quote | `CancelOnDisconnect` (9001) of the logon: orders end with a logout too |
//! | `market_maker_protection`, `quote_group` | a flag of orders that rest, the group of quotes; frozen until its time is over or a thaw is asked for | not spoken: the configuration refuses it, and quotes are answered with [`local_reason::UNSUPPORTED`] |
//! | [`Gateway::ask_account`] | no such question | positions (`AN`) and open orders (`AF`) |
//!
//! Failure: [`Gateway::wants_disconnect`], with the session rule that was broken; the runtime closes the connection, calls
//! [`Gateway::disconnected`], and may connect again: sequence numbers live on.

mod clerk;
mod counters;
mod delivery;
pub mod fix;
mod listing;
mod numbers;
mod outgoing;
mod queue;
mod reasons;
mod stage;
mod starbase;

pub use counters::GatewayCounters;
pub use numbers::{AccountStatement, Answer, ResetPolicy, SequenceNumbers};
pub use outgoing::{FRAMES_MAX, OrderTraffic, SEND_BUFFER_BYTES};
pub use reasons::DisconnectReason;
pub use stage::{Gateway, GatewayConfig, ProtocolConfig};
pub use starbase::{ConfigError, SessionConfig, pair_name};

/// Reasons in `Rejected` and `CancelRejected` that come from this side of the wire. The venue's own are below 128.
pub mod local_reason {
    /// The session is not up, or its past is not yet recovered.
    pub const NOT_READY: u8 = 200;
    /// The send buffer is full.
    pub const BUFFER_FULL: u8 = 201;
    /// The instrument's reference data never came.
    pub const UNKNOWN_INSTRUMENT: u8 = 202;
    /// The connection was lost before the last byte was written.
    pub const NEVER_SENT: u8 = 203;
    /// The venue could not read the message.
    pub const UNREADABLE: u8 = 204;
    /// A number does not fit the wire.
    pub const OUT_OF_RANGE: u8 = 205;
    /// An execution could not be represented, so the position is not known.
    pub const UNTRUSTED: u8 = 206;
    /// The kill switch is latched.
    pub const KILLED: u8 = 207;
    /// The protocol spoken, or the session's configuration, has no place for the request.
    pub const UNSUPPORTED: u8 = 208;
}
