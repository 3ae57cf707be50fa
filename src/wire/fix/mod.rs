//! FIX 4.4 as Deribit speaks it: tag=value text over a stream.
//!
//! In: bytes of a TCP stream. Out: a [`Frame`] cut from it, its [`Fields`] on a [`Tape`], and typed views of them
//! ([`ExecutionReport`], [`PositionReport`]). The other way round, a [`Header`] is a template: its bytes are copied and the type, number and
//! time patched where they stand; a [`Writer`] appends the body, then length and checksum are patched in place.
//!
//! ```text
//!  8=FIX.4.4␁9=0178␁35=D␁49=DESK␁56=DERIBITSERVER␁34=000000007␁52=20261122-19:00:00.123␁ …body… 10=042␁
//!            └length of ├─────────────────────────────────────────────────────────────────────┤   └ sum of all
//!             4 digits                                        9 digits  21 characters                bytes before it
//! ```
//!
//! Numbers are written with leading zeros where they are patched, which FIX 4.4 allows of every integer (volume 1, data
//! types). Amounts and prices are decimals; both directions are exact in 1e-9 units or refused.
//!
//! Invariants: no copy of what is read, no allocation after construction, every loop bounded by the frame, which is at
//! most [`FRAME_BYTES_MAX`]; every index is checked against it. Failure: [`Next::Garbled`] says how much of the stream to
//! pass over, a [`Fault`] names the field and the reason that a session-level reject carries.

mod decimal;
mod dictionary;
mod encode;
mod fields;
mod frame;
mod logon;
mod position;
mod report;
mod scan;
mod tags;
mod time;

pub use decimal::{decimal_e9, number};
pub use dictionary::{Spec, spec};
pub use encode::{Header, NoRoom, Text, Writer};
pub use fields::{FIELDS_MAX, Fault, Fields, RejectReason, Tape};
pub use frame::{BEGIN_STRING, FRAME_BYTES_MAX, Frame, Next, SOH, next_frame};
pub use logon::{Password, RAW_DATA_BYTES_MAX, RawData, SecretText};
pub use position::{Holding, PositionReport};
pub use report::{ExecutionReport, Fill, Fills};
pub use tags::{kind, status, tag};
pub use time::{TIME_BYTES, TimeReader, TimeWriter};
