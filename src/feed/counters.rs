//! What the feed counts. Every packet, message and refusal ends in exactly one of these.

use super::listing::Refusal;
use crate::wire::deribit_multicast::{DecodeError, Template};
use crate::wire::starbase::market_data as starbase;

/// Totals since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounters {
    /// Packets offered.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages read, by [`Template::index`].
    pub messages: [u64; Template::ALL.len()],
    /// Messages of a template or schema that is not known.
    pub unknown_templates: u64,
    /// Trades inside the trades messages.
    pub trades: u64,
    /// Trades that did not fit the outbox.
    pub trades_dropped: u64,

    /// Times a channel's sequence had a hole.
    pub sequence_gaps: u64,
    /// Packets missing in those holes.
    pub packets_missing: u64,
    /// Packets that came late or twice, dropped.
    pub packets_late: u64,
    /// Times a channel's sequence began anew.
    pub restarts: u64,
    /// Packets of channels beyond the table, dropped.
    pub channels_refused: u64,
    /// Faults met while decoding, by `DecodeError as usize`.
    pub decode_errors: [u64; DecodeError::ALL.len()],

    /// Faults met while decoding Starbase packets, by their `DecodeError as usize`.
    pub starbase_errors: [u64; starbase::DecodeError::ALL.len()],
    /// Starbase messages read.
    pub starbase_messages: u64,
    /// Those about one order.
    pub order_changes: u64,
    /// Packets that only say where their stream stands.
    pub heartbeats: u64,
    /// Messages of a schema version other than the one known here.
    pub other_versions: u64,
    /// The newest of those.
    pub newest_version: u16,

    /// Book changes that did not follow the one before them.
    pub chain_breaks: u64,
    /// Books whose snapshot turned out to be older than the first change received: they wait for the next one.
    pub seeds_outdated: u64,
    /// Book changes older than the book, dropped.
    pub changes_stale: u64,
    /// Book changes that contradicted the book's levels.
    pub level_faults: u64,
    /// Levels given up because a side was full.
    pub level_overflow: u64,
    /// Books that lost their integrity, for any reason.
    pub books_gapped: u64,
    /// Books taken from a snapshot.
    pub books_seeded: u64,
    /// Held-back changes given up because the buffer or a book's share of it was full.
    pub pending_dropped: u64,

    /// Snapshots at the very change id of a whole book, compared with it.
    pub snapshots_compared: u64,
    /// Those in which every level agreed.
    pub snapshots_equal: u64,
    /// Snapshots older than the book, or than what a gapped book needs.
    pub snapshots_behind: u64,
    /// Snapshots newer than the book.
    pub snapshots_ahead: u64,
    /// Snapshots of which a part was missing or wrong.
    pub snapshots_broken: u64,

    /// Definitions refused, by `Refusal as usize`.
    pub refused: [u64; Refusal::ALL.len()],
    /// Tick steps that no table took.
    pub tick_steps_refused: u64,
    /// Messages about instruments that were never listed.
    pub unlisted: u64,
    /// Index prices of no known underlying.
    pub indices_unmatched: u64,
    /// Tickers older than the last one.
    pub tickers_stale: u64,
    /// Trades and tops whose amount was not a whole number of lots.
    pub off_lot: u64,
    /// Channels that fell silent.
    pub silences: u64,

    /// Times the outbox was full and state stayed behind to be sent later.
    pub outbox_full: u64,
    /// Updates of a packet that a later packet replaced before they were sent.
    pub conflated: u64,
}

impl FeedCounters {
    /// Messages of one template.
    pub fn messages_of(&self, template: Template) -> u64 {
        self.messages[template.index()]
    }

    /// Decode errors of every kind.
    pub fn decode_errors_total(&self) -> u64 {
        self.decode_errors.iter().chain(&self.starbase_errors).sum()
    }

    /// Definitions refused for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }
}
