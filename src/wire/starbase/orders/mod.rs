//! Starbase order entry, schema 2101 version 11 (semantic version 1.3): every message, both ways.
//!
//! In: bytes of a TCP stream. Out: [`Frame`]s cut from it, and each frame's [`Message`] as references into the same
//! bytes. The other way round, [`Encoder`] lays a message into a caller's buffer. A client encodes requests and decodes
//! reports; an embedded venue does the opposite with the same types.
//!
//! ```text
//!  0   1   2       4       6       8              16             24             32
//!  +---+---+-------+-------+-------+--------------+--------------+--------------+----------------------
//!  |xDB|flg| length| type  |version| sequence     |last processed| send time ns | block, groups, text
//!  +---+---+-------+-------+-------+--------------+--------------+--------------+----------------------
//!           length counts the header                                             group: u16 entry length, u16 count
//!           all integers little-endian                                           text:  u8 length
//! ```
//!
//! The header carries no block length. A message of one block may be longer than its block, and an entry of a group
//! longer than its struct: what a later version appended is stepped over. Where groups or text follow, the block ends
//! where this version of the schema says, and everything behind it must lie within the frame.
//!
//! Cost: no copy, no allocation; decoding touches the header, the block and the dimensions of its groups. Every length
//! and count is checked against the frame before it is used, and each loop is bounded by a `u16` count that fits it.
//! Failure: [`FrameError`] means that the stream has lost its framing and must be dropped; [`Malformed`] concerns one
//! message and leaves the stream whole.

#![allow(
    missing_debug_implementations,
    reason = "zerocopy's KnownLayout derive emits hidden helper types without Debug"
)]

mod decimal;
mod encode;
pub(super) mod frame;
mod message;
mod quotes;
mod reports;
mod requests;
#[cfg(test)]
pub(super) mod schema;
mod session;

pub use decimal::{Decimal72, DecimalError};
pub use encode::{Encoder, Envelope, NoRoom};
pub use frame::{Block, FRAME_BYTES_MAX, FrameError, Group, HEADER_BYTES, Header, Malformed, next_frame};
pub use frame::{FLAG_RESEND, Frame, PROTOCOL_ID, SCHEMA_VERSION};
pub use message::{Message, QuoteGroups};
pub use quotes::{
    CancelOrderByIdRequest, Double, GetMassQuoteMmpStatusReject, GetMassQuoteMmpStatusRequest,
    GetMassQuoteMmpStatusResponse, GetOrdersMmpStatusReject, GetOrdersMmpStatusRequest, GetOrdersMmpStatusResponse,
    MassQuoteCancelRequest, MassQuoteMmpTriggered, MassQuoteMmpUnfrozen, MassQuoteOrdersPlaced, MassQuoteReject,
    MassQuoteRequest, MassQuoteResponse, NO_TIME, OrdersMmpTriggered, OrdersMmpUnfrozen, PlacedFill, PlacedQuote,
    Quote, QuoteFill, QuoteResult, mass_quote_reject_reason, quote_flags, quote_status,
};
pub use reports::{
    AmendOrderReject, AmendOrderResponse, CancelOrderReject, CancelOrderResponse, CanceledOrder, Fill, FilledOrder,
    Leg, MassCancelReject, MassCancelResponse, NewOrderReject, NewOrderResponse, OrderFilled, OrderPlaced,
    OrdersCanceled, cancel_reason, fill_flags, order_status, reject_reason,
};
pub use requests::{
    AmendOrderRequest, CancelOrderRequest, MassCancelRequest, NewOrderRequest, order_flags, time_in_force,
};
pub use session::{
    GapFill, Heartbeat, LoggedOut, Logon, LogonConf, Logout, Reject, ResendRequest, Secret, TestRequest,
};

use crate::units::Side;

/// A side on the wire.
pub const fn side_to_wire(side: Side) -> i8 {
    match side {
        Side::Buy => 1,
        Side::Sell => -1,
    }
}

/// The side behind a wire byte; `None` for "both" and for what the schema does not know.
pub const fn side_from_wire(side: i8) -> Option<Side> {
    match side {
        1 => Some(Side::Buy),
        -1 => Some(Side::Sell),
        _ => None,
    }
}
