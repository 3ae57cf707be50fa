//! Paper fills: an acceptor of the order session that takes immediate orders against the books of a capture.
//!
//! What enters: the market events of the replayed feed and the gateway's bytes. What leaves: the bytes a venue would
//! answer. An order takes what the best opposite level shows, at that level's price, if its limit reaches it; what it took
//! stays taken until the level is told anew. The rest is cancelled. Nothing rests here, and nothing that happens here
//! moves the captured market: paper fills flatter, and a report should say that they are paper.

use super::venue::link::Link;
use crate::event::Body;
use crate::instrument::{BookQuality, Catalogue};
use crate::units::{InstrumentId, Lots, Nanos, Price, Quantity, Side};
use crate::wire::starbase::orders::{
    Decimal72, Fill, Heartbeat, Leg, LogonConf, MassCancelResponse, Message, NewOrderReject, NewOrderRequest,
    NewOrderResponse, cancel_reason, next_frame, order_status, reject_reason, side_from_wire,
};

/// Heartbeat interval told at logon; a replay's session never falls silent for so long.
const HEARTBEAT_S: i32 = 3_600;

/// What the best levels of a book still hold.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    bid: (Price, Lots),
    ask: (Price, Lots),
    good: bool,
}

/// The acceptor.
#[derive(Debug, Default)]
pub struct PaperVenue {
    catalogue: Catalogue,
    shown: Vec<Shown>,
    link: Link,
    orders: i64,
    executions: i64,
}

impl PaperVenue {
    /// A venue that has seen no book.
    pub fn new() -> Self {
        let mut venue = Self::default();
        venue.link.connected = true;
        venue
    }

    /// Takes an event of the replayed market.
    pub fn market(&mut self, body: &Body) {
        if let Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } = *body {
            if self.shown.len() <= instrument.index() {
                self.shown.resize(instrument.index() + 1, Shown::default());
            }
            self.shown[instrument.index()] = Shown {
                bid: (bid, Lots(bid_lots.into())),
                ask: (ask, Lots(ask_lots.into())),
                good: quality == BookQuality::Good,
            };
        } else {
            // The catalogue refuses what the stages refuse too; an order on it is answered with a reject.
            let _ = self.catalogue.apply(body);
        }
    }

    /// Takes whole messages from `bytes` and says how many bytes those were.
    pub fn receive(&mut self, bytes: &[u8], now: Nanos) -> usize {
        let mut taken = 0;
        while let Ok(Some(frame)) = next_frame(&bytes[taken..]) {
            taken += frame.bytes();
            self.link.last_processed = frame.header.sequence_number.get();
            match frame.message() {
                Ok(Message::Logon(_)) => {
                    self.link.send(now, &LogonConf { heartbeat_interval_seconds: HEARTBEAT_S.into() })
                }
                Ok(Message::TestRequest(request)) => {
                    self.link.send(now, &Heartbeat { correlation_id: request.correlation_id });
                }
                Ok(Message::NewOrderRequest(request)) => self.new_order(request, now),
                Ok(Message::MassCancelRequest(request)) => {
                    self.executions += 1;
                    let block = MassCancelResponse {
                        timestamp: (now.0 as i64).into(),
                        exec_id: self.executions.into(),
                        correlation_id: request.correlation_id,
                        receive_time: (now.0 as i64).into(),
                        total_order_count: 0.into(),
                    };
                    self.link.report(now, &block, |encoder| Ok(encoder));
                }
                _ => {}
            }
        }
        taken
    }

    /// Bytes for the gateway; what was taken is removed by the caller.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.link.outgoing
    }

    fn new_order(&mut self, request: &NewOrderRequest, now: Nanos) {
        self.orders += 1;
        match self.execute(request) {
            Ok((price, taken, asked)) => self.respond(request, price, taken, asked, now),
            Err(reason) => self.reject(request, reason, now),
        }
    }

    /// Price, amount taken, amount asked for; or why not.
    fn execute(&mut self, request: &NewOrderRequest) -> Result<(Price, Quantity, Quantity), i8> {
        let venue = request.instrument_id.get();
        let instrument = self.catalogue.instruments().iter().find(|instrument| i64::from(instrument.venue.0) == venue);
        let instrument = instrument.ok_or(reject_reason::INVALID_INSTRUMENT)?;
        let side = side_from_wire(request.side).ok_or(reject_reason::INVALID_FIELD)?;
        let asked = request.quantity.to_quantity().map_err(|_| reject_reason::INVALID_QUANTITY)?;
        let (lots, left_over) = asked.to_lots(instrument.lot);
        if left_over || lots.0 <= 0 {
            return Err(reject_reason::INVALID_QUANTITY);
        }
        let limit = Price(request.price.get());
        let InstrumentId(index) = instrument.id;
        let shown = self.shown.get_mut(usize::from(index)).filter(|shown| shown.good);
        let shown = shown.ok_or(reject_reason::NOT_ALLOWED_BY_MARKET_STATE)?;
        let level = if side == Side::Buy { &mut shown.ask } else { &mut shown.bid };
        let reaches = if side == Side::Buy { limit >= level.0 } else { limit <= level.0 };
        let taken = if reaches { lots.min(level.1) } else { Lots(0) };
        level.1.0 -= taken.0;
        Ok((level.0, taken.to_quantity(instrument.lot), asked))
    }

    fn respond(&mut self, request: &NewOrderRequest, price: Price, taken: Quantity, asked: Quantity, now: Nanos) {
        self.executions += 1;
        let filled = taken == asked;
        let total_filled = Decimal72::from(taken);
        let block = NewOrderResponse {
            timestamp: (now.0 as i64).into(),
            exec_id: self.executions.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: self.orders.into(),
            instrument_id: request.instrument_id,
            price: request.price,
            quantity: request.quantity,
            total_filled,
            visible_qty: Decimal72::from(Quantity(0)),
            receive_time: (now.0 as i64).into(),
            side: request.side,
            status: if filled { order_status::FILLED } else { order_status::CANCELED },
            cancel_reason: if filled { cancel_reason::UNKNOWN } else { cancel_reason::TIME_IN_FORCE },
        };
        let fill = Fill { match_id: self.executions.into(), fill_price: price.0.into(), fill_qty: total_filled };
        let fills = if taken.0 > 0 { &[fill][..] } else { &[] };
        self.link.report(now, &block, |encoder| encoder.group(fills)?.group::<Leg>(&[]));
    }

    fn reject(&mut self, request: &NewOrderRequest, reason: i8, now: Nanos) {
        self.executions += 1;
        let block = NewOrderReject {
            timestamp: (now.0 as i64).into(),
            exec_id: self.executions.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: self.orders.into(),
            instrument_id: request.instrument_id,
            reason,
        };
        self.link.report(now, &block, |encoder| encoder.text(b""));
    }
}
