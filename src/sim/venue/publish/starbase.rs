//! The market-by-order feed of the venue: orders one by one, snapshots in rounds, and what was sent once more on request.
//!
//! Each channel has an incremental sequence of messages and a snapshot sequence. What happened to a book in one step is a
//! transaction: its trades, then the orders that went, shrank or came. An order keeps its sort number while it keeps its
//! place; one that loses it gets a new one, so that smaller always executes first. Snapshots show what was told, as of the
//! channel's last incremental message. The last [`HISTORY_MAX`] messages of a channel can be asked for again.

mod blocks;
mod line;

use std::collections::BTreeMap;

use super::round::Round;
use super::{PublishConfig, Scene, Sink};
use crate::sim::venue::exchange::{Listing, Print};
use crate::sim::venue::spec::Universe;
use crate::units::{Lots, Nanos, Price, Side, VenueOrderId};
use crate::wire::starbase::market_data::{
    AskDelete, AskPut, AskQtyReduced, BidDelete, BidPut, BidQtyReduced, EndOfCycle, InstrumentStatusUpdate, Message,
    NULL_INT, Packet, RejectReason, RetransmitReject, SnapshotHeader, SnapshotTrailer, Trade, TradeSummary,
    trade_flags,
};
pub use blocks::QUANTITY_UNIT;
use line::Line;

/// Messages of a channel that can be asked for again.
pub const HISTORY_MAX: usize = 1 << 16;

/// An order as the world was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ToldOrder {
    side: Side,
    price: Price,
    lots: Lots,
    sort: i64,
}

/// What the world has been told of one listing.
#[derive(Debug, Default)]
struct Told {
    orders: BTreeMap<VenueOrderId, ToldOrder>,
    is_closed: bool,
    next_info: Nanos,
}

/// Turns the exchange into packets.
#[derive(Debug)]
pub struct Publisher {
    config: PublishConfig,
    lines: Vec<Line>,
    told: Vec<Told>,
    sorts: i64,
    round: Round,
    /// Earliest time at which a further request is answered.
    budget: Nanos,
}

impl Publisher {
    /// A publisher that has said nothing yet.
    pub fn new(config: PublishConfig, universe: &Universe) -> Self {
        let round = Round::new(universe);
        let listings = universe.contracts.len() as u64;
        // Infos are spread over their interval from the start.
        let told = (0..listings).map(|at| Told {
            next_info: Nanos(universe.start.0 + at * config.option_ticker_ns / listings),
            ..Told::default()
        });
        Self {
            lines: round.channels().into_iter().map(Line::new).collect(),
            told: told.collect(),
            sorts: 0,
            round,
            budget: Nanos(0),
            config,
        }
    }

    /// Publishes the matches and the `touched` books of the scene, and what falls due by now.
    pub fn publish(&mut self, scene: &Scene<'_>, touched: &[usize], sink: &mut Sink<'_>) {
        for &listing in touched {
            self.book(scene, listing);
            self.status(scene, listing);
        }
        for (listing, entry) in scene.exchange.listings().iter().enumerate() {
            self.status(scene, listing);
            if scene.now >= self.told[listing].next_info && entry.open {
                let every_ns = match entry.contract.option {
                    Some(_) => self.config.option_ticker_ns,
                    None => self.config.future_ticker_ns,
                };
                self.told[listing].next_info = Nanos(scene.now.0 + every_ns);
                self.line(entry).transaction(scene.now, |line| line.incremental(&scene.info(entry)));
            }
        }
        for line in &mut self.lines {
            line.flush(scene.now, self.config.heartbeat_ns, sink);
        }
        for at in self.round.due(&self.config, scene.now) {
            self.take_turn(scene, at, sink);
        }
        for line in &mut self.lines {
            line.flush_snapshot(scene.now, sink);
        }
    }

    /// A channel counts anew from 1, or all do.
    pub fn count_anew(&mut self, choice: Option<u64>) {
        super::chosen(&mut self.lines, choice).for_each(Line::count_anew);
    }

    /// Nothing that was sent can be asked for any more.
    pub fn forget(&mut self) {
        self.lines.iter_mut().for_each(Line::forget);
    }

    /// Answers a request: with one packet of what it asks for, or with the reason why not.
    pub fn answer(&mut self, request: &[u8], now: Nanos, reply: &mut dyn FnMut(&[u8])) {
        let Ok((header, mut messages)) = Packet::parse(request) else { return };
        let Some(Ok(first)) = messages.next() else { return };
        let Ok(Message::RetransmitRequest(asked)) = first.message else { return };
        let (channel, correlation) = (header.channel_id.get(), header.sequence.get());
        let line = self.lines.iter().find(|line| i32::from(line.id) == channel);
        let every_ns = Nanos::PER_SECOND / self.config.requests_per_second.max(1);
        let earliest = Nanos(self.budget.0.max(now.0.saturating_sub(Nanos::PER_SECOND / 10)));
        let refusal = if earliest > now {
            Some((RejectReason::RateLimitExceeded, earliest.since(now)))
        } else {
            self.budget = Nanos(earliest.0 + every_ns);
            let outcome = line.ok_or(RejectReason::OtherError);
            let outcome =
                outcome.and_then(|line| line.resend(asked.begin_seq_num.get(), asked.message_count, now, reply));
            outcome.err().map(|reason| (reason, every_ns))
        };
        if let Some((reason, delay_ns)) = refusal {
            let mut details = [0; 40];
            let words: &[u8] = match reason {
                RejectReason::SequenceTooLow => b"no longer kept",
                RejectReason::SequenceTooHigh => b"not sent yet",
                RejectReason::RateLimitExceeded => b"too many requests",
                RejectReason::OtherError => b"no such channel",
            };
            details[..words.len()].copy_from_slice(words);
            let reject =
                RetransmitReject { retry_delay_nanos: (delay_ns as i64).into(), details, reason: reason.into() };
            line::send_reject(channel, correlation, &reject, now, reply);
        }
    }

    /// What changed in a book since it was last told, as one transaction.
    fn book(&mut self, scene: &Scene<'_>, listing: usize) {
        let entry = &scene.exchange.listings()[listing];
        let (told, sorts) = (&mut self.told[listing].orders, &mut self.sorts);
        let instrument = i64::from(entry.contract.venue.0);
        let Some(line) = self.lines.iter_mut().find(|line| line.id == entry.contract.channel) else { return };
        line.transaction(scene.now, |line| {
            trades(scene, listing, line);
            let mut current = BTreeMap::new();
            for side in [Side::Buy, Side::Sell] {
                for level in entry.book.levels(side) {
                    for order in level.orders() {
                        // An order that grew went to the back of its queue.
                        let known =
                            told.get(&order.id).filter(|known| known.price == level.price && known.lots >= order.lots);
                        let sort = known.map_or_else(
                            || {
                                *sorts += 1;
                                *sorts
                            },
                            |known| known.sort,
                        );
                        current.insert(order.id, ToldOrder { side, price: level.price, lots: order.lots, sort });
                    }
                }
            }
            for (id, gone) in told.iter().filter(|(id, _)| !current.contains_key(*id)) {
                let (order_id, instrument_id) = ((id.0 as i64).into(), instrument.into());
                match gone.side {
                    Side::Buy => line.incremental(&BidDelete { order_id, instrument_id }),
                    Side::Sell => line.incremental(&AskDelete { order_id, instrument_id }),
                }
            }
            for (id, now) in &current {
                match told.get(id) {
                    Some(before) if before == now => {}
                    Some(before) if before.sort == now.sort => {
                        let (order_id, instrument_id) = ((id.0 as i64).into(), instrument.into());
                        let quantity_mantissa = mantissa(entry, now.lots).into();
                        match now.side {
                            Side::Buy => {
                                line.incremental(&BidQtyReduced { order_id, instrument_id, quantity_mantissa })
                            }
                            Side::Sell => {
                                line.incremental(&AskQtyReduced { order_id, instrument_id, quantity_mantissa })
                            }
                        }
                    }
                    _ => {
                        let (bid, ask) = put_blocks(entry, *id, now);
                        match now.side {
                            Side::Buy => line.incremental(&bid),
                            Side::Sell => line.incremental(&ask),
                        }
                    }
                }
            }
            *told = current;
        });
    }

    fn status(&mut self, scene: &Scene<'_>, listing: usize) {
        let entry = &scene.exchange.listings()[listing];
        if self.told[listing].is_closed == entry.open {
            self.told[listing].is_closed = !entry.open;
            let update = InstrumentStatusUpdate {
                instrument_id: i64::from(entry.contract.venue.0).into(),
                trading_status: blocks::status(entry).into(),
            };
            self.line(entry).transaction(scene.now, |line| line.incremental(&update));
        }
    }

    /// One listing's turn in the round; the first and the last of a channel open and close it.
    fn take_turn(&mut self, scene: &Scene<'_>, at: usize, sink: &mut Sink<'_>) {
        let turn = self.round.turn(at);
        let entry = &scene.exchange.listings()[turn.listing];
        let active =
            scene.exchange.listings().iter().filter(|l| l.open && l.contract.channel == entry.contract.channel);
        let active = active.count() as i32;
        let told = &self.told[turn.listing].orders;
        let Some(line) = self.lines.iter_mut().find(|line| line.id == entry.contract.channel) else { return };
        let (instrument_id, as_of, time) = (i64::from(entry.contract.venue.0), line.last(), scene.now.0 as i64);
        if turn.opens {
            for index in 0..scene.universe.underlyings.len() {
                line.snapshot(scene.now, sink, &scene.index_definition(index));
            }
        }
        line.snapshot(
            scene.now,
            sink,
            &SnapshotHeader {
                instrument_id: instrument_id.into(),
                incremental_timestamp: time.into(),
                incremental_seq_num: as_of.into(),
            },
        );
        let (block, steps) = scene.instrument_definition(entry);
        line.snapshot_definition(scene.now, sink, &block, &steps);
        line.snapshot(scene.now, sink, &scene.info(entry));
        let mut orders: Vec<_> = told.iter().collect();
        orders.sort_by_key(|(_, order)| (order.side as u8, -order.side.sign() * order.price.0, order.sort));
        for (id, order) in orders {
            let (bid, ask) = put_blocks(entry, *id, order);
            match order.side {
                Side::Buy => line.snapshot(scene.now, sink, &bid),
                Side::Sell => line.snapshot(scene.now, sink, &ask),
            }
        }
        line.snapshot(
            scene.now,
            sink,
            &SnapshotTrailer {
                instrument_id: instrument_id.into(),
                timestamp: time.into(),
                increment_seq_num: as_of.into(),
            },
        );
        if turn.closes {
            line.snapshot(scene.now, sink, &EndOfCycle { active_instrument_count: active.into() });
        }
    }

    /// The line of a listing; one was made for every channel of the universe.
    fn line(&mut self, entry: &Listing) -> &mut Line {
        let at = self.lines.iter().position(|line| line.id == entry.contract.channel).unwrap_or_default();
        &mut self.lines[at]
    }
}

/// The matches of a listing: each aggressor's summary, then its trades.
fn trades(scene: &Scene<'_>, listing: usize, line: &mut Line) {
    let entry = &scene.exchange.listings()[listing];
    let prints: Vec<&Print> = scene.exchange.prints().iter().filter(|print| print.listing == listing).collect();
    let info = scene.info(entry);
    for run in prints.chunk_by(|a, b| a.taker == b.taker && a.side == b.side) {
        let side_flag = |side| if side == Side::Sell { trade_flags::IS_SELL } else { 0 };
        let lots = run.iter().map(|print| print.fill.lots.0).sum();
        line.incremental(&TradeSummary {
            instrument_id: info.instrument_id,
            taker_order_id: NULL_INT.into(),
            total_filled_mantissa: mantissa(entry, Lots(lots)).into(),
            deepest_price: run[run.len() - 1].fill.price.0.into(),
            mark_price: info.mark_price,
            index_price: info.index_price,
            trade_count: (run.len() as i32).into(),
            taker_flags: side_flag(run[0].side).into(),
        });
        for print in run {
            line.incremental(&Trade {
                match_id: (print.execution.0 as i64).into(),
                instrument_id: info.instrument_id,
                maker_order_id: (print.fill.maker.0 as i64).into(),
                fill_qty_mantissa: mantissa(entry, print.fill.lots).into(),
                fill_price: print.fill.price.0.into(),
                maker_flags: side_flag(print.side.opposite()).into(),
            });
        }
    }
}

/// A quantity in units of ten to the power of [`blocks::QUANTITY_EXPONENT`].
fn mantissa(entry: &Listing, lots: Lots) -> i64 {
    blocks::mantissa(lots.to_quantity(entry.contract.lot))
}

fn put_blocks(entry: &Listing, id: VenueOrderId, order: &ToldOrder) -> (BidPut, AskPut) {
    let (order_id, instrument_id) = ((id.0 as i64).into(), i64::from(entry.contract.venue.0).into());
    let (quantity_mantissa, price) = (mantissa(entry, order.lots).into(), order.price.0.into());
    let sort_order_id = order.sort.into();
    (
        BidPut { order_id, instrument_id, quantity_mantissa, price, sort_order_id },
        AskPut { order_id, instrument_id, quantity_mantissa, price, sort_order_id },
    )
}
