//! From a frame to its message.

use super::frame::{Frame, block, group, text};
use super::*;

/// The groups of a [`MassQuoteResponse`].
#[derive(Clone, Copy, Debug)]
pub struct QuoteGroups<'a> {
    /// How each instrument stands.
    pub quotes: Group<'a, QuoteResult>,
    /// Matches of bids.
    pub bid_fills: Group<'a, QuoteFill>,
    /// Matches of offers.
    pub ask_fills: Group<'a, QuoteFill>,
}

/// What a frame says. Everything borrows from the receive buffer.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// Client.
    Logon(&'a Logon),
    /// Venue.
    LogonConf(&'a LogonConf),
    /// Client, with its reason.
    Logout(&'a [u8]),
    /// Venue, with its reason.
    LoggedOut(&'a [u8]),
    /// Either.
    Heartbeat(&'a Heartbeat),
    /// Either.
    TestRequest(&'a TestRequest),
    /// Client.
    ResendRequest(&'a ResendRequest),
    /// Venue.
    GapFill(&'a GapFill),
    /// Venue, with details.
    Reject(&'a Reject, &'a [u8]),
    /// Client.
    NewOrderRequest(&'a NewOrderRequest),
    /// Client.
    AmendOrderRequest(&'a AmendOrderRequest),
    /// Client.
    CancelOrderRequest(&'a CancelOrderRequest),
    /// Client.
    MassCancelRequest(&'a MassCancelRequest),
    /// Venue.
    NewOrderResponse(&'a NewOrderResponse, Group<'a, Fill>),
    /// Venue, with details.
    NewOrderReject(&'a NewOrderReject, &'a [u8]),
    /// Venue.
    AmendOrderResponse(&'a AmendOrderResponse, Group<'a, Fill>),
    /// Venue, with details.
    AmendOrderReject(&'a AmendOrderReject, &'a [u8]),
    /// Venue.
    CancelOrderResponse(&'a CancelOrderResponse),
    /// Venue, with details.
    CancelOrderReject(&'a CancelOrderReject, &'a [u8]),
    /// Venue.
    MassCancelResponse(&'a MassCancelResponse),
    /// Venue, with details.
    MassCancelReject(&'a MassCancelReject, &'a [u8]),
    /// Venue.
    OrderFilled(&'a OrderFilled, Group<'a, FilledOrder>),
    /// Venue.
    OrdersCanceled(&'a OrdersCanceled, Group<'a, CanceledOrder>),
    /// Venue.
    OrderPlaced(&'a OrderPlaced, Group<'a, Fill>),
    /// Client.
    CancelOrderByIdRequest(&'a CancelOrderByIdRequest),
    /// Client.
    MassQuoteRequest(&'a MassQuoteRequest, Group<'a, Quote>),
    /// Client.
    MassQuoteCancelRequest(&'a MassQuoteCancelRequest),
    /// Client.
    GetMassQuoteMmpStatusRequest(&'a GetMassQuoteMmpStatusRequest),
    /// Client.
    GetOrdersMmpStatusRequest(&'a GetOrdersMmpStatusRequest),
    /// Venue.
    MassQuoteResponse(&'a MassQuoteResponse, QuoteGroups<'a>),
    /// Venue, with details.
    MassQuoteReject(&'a MassQuoteReject, &'a [u8]),
    /// Venue.
    GetMassQuoteMmpStatusResponse(&'a GetMassQuoteMmpStatusResponse),
    /// Venue.
    GetMassQuoteMmpStatusReject(&'a GetMassQuoteMmpStatusReject),
    /// Venue.
    GetOrdersMmpStatusResponse(&'a GetOrdersMmpStatusResponse),
    /// Venue.
    GetOrdersMmpStatusReject(&'a GetOrdersMmpStatusReject),
    /// Venue.
    MassQuoteOrdersPlaced(&'a MassQuoteOrdersPlaced, Group<'a, PlacedQuote>, Group<'a, PlacedFill>),
    /// Venue.
    MassQuoteMmpTriggered(&'a MassQuoteMmpTriggered),
    /// Venue.
    OrdersMmpTriggered(&'a OrdersMmpTriggered),
    /// Venue.
    MassQuoteMmpUnfrozen(&'a MassQuoteMmpUnfrozen),
    /// Venue.
    OrdersMmpUnfrozen(&'a OrdersMmpUnfrozen),
    /// A type that this version of the schema does not know.
    Other(u16),
}

impl<'a> Frame<'a> {
    /// Reads the body. Groups are checked whole; legs of combinations are stepped over.
    #[inline]
    pub fn message(&self) -> Result<Message<'a>, Malformed> {
        let body = self.body;
        Ok(match self.header.message_type_id.get() {
            Logon::TYPE => Message::Logon(block(body)?.0),
            LogonConf::TYPE => Message::LogonConf(block(body)?.0),
            Logout::TYPE => Message::Logout(text(body)?),
            LoggedOut::TYPE => Message::LoggedOut(text(body)?),
            Heartbeat::TYPE => Message::Heartbeat(block(body)?.0),
            TestRequest::TYPE => Message::TestRequest(block(body)?.0),
            ResendRequest::TYPE => Message::ResendRequest(block(body)?.0),
            GapFill::TYPE => Message::GapFill(block(body)?.0),
            Reject::TYPE => with_text(body, Message::Reject)?,
            NewOrderRequest::TYPE => Message::NewOrderRequest(block(body)?.0),
            AmendOrderRequest::TYPE => Message::AmendOrderRequest(block(body)?.0),
            CancelOrderRequest::TYPE => Message::CancelOrderRequest(block(body)?.0),
            MassCancelRequest::TYPE => Message::MassCancelRequest(block(body)?.0),
            NewOrderResponse::TYPE => with_fills(body, Message::NewOrderResponse)?,
            NewOrderReject::TYPE => with_text(body, Message::NewOrderReject)?,
            AmendOrderResponse::TYPE => with_fills(body, Message::AmendOrderResponse)?,
            AmendOrderReject::TYPE => with_text(body, Message::AmendOrderReject)?,
            CancelOrderResponse::TYPE => Message::CancelOrderResponse(block(body)?.0),
            CancelOrderReject::TYPE => with_text(body, Message::CancelOrderReject)?,
            MassCancelResponse::TYPE => Message::MassCancelResponse(block(body)?.0),
            MassCancelReject::TYPE => with_text(body, Message::MassCancelReject)?,
            OrderFilled::TYPE => with_fills(body, Message::OrderFilled)?,
            OrdersCanceled::TYPE => {
                let (report, rest) = block(body)?;
                Message::OrdersCanceled(report, group(rest)?.0)
            }
            OrderPlaced::TYPE => with_fills(body, Message::OrderPlaced)?,
            CancelOrderByIdRequest::TYPE => Message::CancelOrderByIdRequest(block(body)?.0),
            MassQuoteRequest::TYPE => {
                let (request, rest) = block(body)?;
                Message::MassQuoteRequest(request, group(rest)?.0)
            }
            MassQuoteCancelRequest::TYPE => Message::MassQuoteCancelRequest(block(body)?.0),
            GetMassQuoteMmpStatusRequest::TYPE => Message::GetMassQuoteMmpStatusRequest(block(body)?.0),
            GetOrdersMmpStatusRequest::TYPE => Message::GetOrdersMmpStatusRequest(block(body)?.0),
            MassQuoteResponse::TYPE => {
                let (response, rest) = block(body)?;
                let (quotes, rest) = group(rest)?;
                let (bid_fills, rest) = group(rest)?;
                let (ask_fills, rest) = group(rest)?;
                group::<Leg>(rest)?;
                Message::MassQuoteResponse(response, QuoteGroups { quotes, bid_fills, ask_fills })
            }
            MassQuoteReject::TYPE => with_text(body, Message::MassQuoteReject)?,
            GetMassQuoteMmpStatusResponse::TYPE => Message::GetMassQuoteMmpStatusResponse(block(body)?.0),
            GetMassQuoteMmpStatusReject::TYPE => Message::GetMassQuoteMmpStatusReject(block(body)?.0),
            GetOrdersMmpStatusResponse::TYPE => Message::GetOrdersMmpStatusResponse(block(body)?.0),
            GetOrdersMmpStatusReject::TYPE => Message::GetOrdersMmpStatusReject(block(body)?.0),
            MassQuoteOrdersPlaced::TYPE => {
                let (report, rest) = block(body)?;
                let (orders, rest) = group(rest)?;
                let (fills, rest) = group(rest)?;
                group::<Leg>(rest)?;
                Message::MassQuoteOrdersPlaced(report, orders, fills)
            }
            MassQuoteMmpTriggered::TYPE => Message::MassQuoteMmpTriggered(block(body)?.0),
            OrdersMmpTriggered::TYPE => Message::OrdersMmpTriggered(block(body)?.0),
            MassQuoteMmpUnfrozen::TYPE => Message::MassQuoteMmpUnfrozen(block(body)?.0),
            OrdersMmpUnfrozen::TYPE => Message::OrdersMmpUnfrozen(block(body)?.0),
            other => Message::Other(other),
        })
    }
}

#[inline]
fn with_text<'a, B: Block>(body: &'a [u8], make: fn(&'a B, &'a [u8]) -> Message<'a>) -> Result<Message<'a>, Malformed> {
    let (report, rest) = block(body)?;
    Ok(make(report, text(rest)?))
}

/// A block, its fills, and legs that must be whole for the fills to be believed.
#[inline]
fn with_fills<'a, B: Block, F>(
    body: &'a [u8],
    make: fn(&'a B, Group<'a, F>) -> Message<'a>,
) -> Result<Message<'a>, Malformed> {
    let (report, rest) = block(body)?;
    let (fills, rest) = group(rest)?;
    group::<Leg>(rest)?;
    Ok(make(report, fills))
}
