//! Change-id chains: which changes a book may take, and what a snapshot does to it.
//!
//! ```text
//!              snapshot at or beyond the floor
//!   unseeded ────────────────────────────────► whole ──┐ changes that follow; equal snapshots
//!                                              ▲    │◄─┘
//!      snapshot at or beyond the floor, then   │    │ a packet missing on its channel, a change that does not follow,
//!      the changes held back since             │    │ a level that cannot be, a snapshot that differs
//!                                              gapped
//! ```
//!
//! A change follows when its `prev_change_id` is the book's change id. A change may come in several messages with the
//! same ids, the last one marked; a book stands between changes only. While a book is not whole its changes are held
//! back, and the *floor* is the first change id at which a snapshot can restore it: the changes held back are complete
//! beyond the floor. The first change after a loss is below it, for its own first messages may be among what was lost.
//! Snapshots lag: the venue sends them up to seconds after it took them. So one that restores a book after a loss must
//! also have been taken, by the venue's clock, after the packet that made the loss known.
//!
//! A snapshot at the change id of a whole book is compared with it. An older one says nothing. One newer than the book
//! may only be early; a second one in a row, with the book unmoved in between, means that the book has missed what the
//! venue saw, and it is taken from that one. Ids are compared unless times say that the venue began to number anew.

use super::snapshot::Assembly;
use crate::feed::book::{Books, Fault, Level};
use crate::feed::counters::FeedCounters;
use crate::feed::pending::Pending;
use crate::units::{Price, Quantity, Side};
use crate::wire::deribit_multicast::{Book, BookChange, DecodeError, Snapshot};

/// Levels of changes held back for all books,
const PENDING_MAX: usize = 8_192;
/// and for one.
const SHARE_MAX: u32 = 512;

/// A change that is older by its id but this much newer by its time belongs to a chain that began anew, milliseconds.
const ANEW_MS: u64 = 1_000;

/// How much a book is to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Integrity {
    /// No snapshot yet.
    #[default]
    Unseeded,
    /// Every change since its snapshot was applied.
    Whole,
    /// Something is missing.
    Gapped,
}

/// One level of one held-back change.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    prev_change_id: u64,
    change_id: u64,
    timestamp_ms: u64,
    /// `None` for a change that touched no level.
    level: Option<(Side, BookChange, Price, Quantity)>,
    /// Whether the change ends here.
    is_last: bool,
}

/// How a change stands to a book.
enum Standing {
    Follows,
    Stale,
    Breaks,
}

#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    integrity: Integrity,
    /// The last change applied whole.
    change_id: u64,
    /// Whether a change has followed since the snapshot.
    followed: bool,
    /// The venue's time of the latest change seen.
    timestamp_ms: u64,
    /// Ids of a change of which not all messages have come.
    open: Option<(u64, u64)>,
    /// Snapshots before this change do not help.
    floor: u64,
    /// Nor do those taken before this.
    not_before_ms: u64,
    /// Whether the next change to be held back may lack its head.
    headless: bool,
    last_held: u64,
    /// The book's change id when a snapshot was last ahead of it.
    doubted: Option<u64>,
}

impl Chain {
    fn standing(&self, prev: u64, change: u64, timestamp_ms: u64) -> Standing {
        match self.open {
            Some((open_prev, open)) if (prev, change) == (open_prev, open) || prev == open => Standing::Follows,
            None if prev == self.change_id && change > prev => Standing::Follows,
            _ if change <= self.change_id && !self.is_anew(timestamp_ms) => Standing::Stale,
            _ => Standing::Breaks,
        }
    }

    /// Whether a snapshot holds all that was lost.
    fn is_restored_by(&self, change_id: u64, timestamp_ms: u64) -> bool {
        timestamp_ms >= self.not_before_ms && (change_id >= self.floor || self.is_anew(timestamp_ms))
    }

    /// Whether an id that is smaller than expected belongs to a chain that began anew.
    fn is_anew(&self, timestamp_ms: u64) -> bool {
        timestamp_ms > self.timestamp_ms.saturating_add(ANEW_MS)
    }
}

/// All books with their chains.
#[derive(Debug)]
pub(super) struct Chains {
    chains: Box<[Chain]>,
    books: Books,
    pending: Pending<Held>,
    assembly: Assembly,
}

impl Chains {
    /// `books` books of `levels` levels in total; a snapshot is assembled in `staging_depth` levels a side.
    pub(super) fn new(books: usize, levels: usize, staging_depth: usize) -> Self {
        let mut all = Books::new(books + Assembly::SLOTS, levels + 2 * staging_depth * Assembly::SLOTS);
        for slot in 0..Assembly::SLOTS {
            let opened = all.open(books + slot, staging_depth);
            assert!(opened, "room was made for every slot");
        }
        Self {
            chains: vec![Chain { headless: true, ..Chain::default() }; books].into_boxed_slice(),
            books: all,
            pending: Pending::new(books, PENDING_MAX, SHARE_MAX, Held::default()),
            assembly: Assembly::new(books),
        }
    }

    /// Gives a book its levels. False when there are none left.
    pub(super) fn open(&mut self, book: usize, depth: usize) -> bool {
        self.books.open(book, depth)
    }

    #[inline]
    pub(super) fn integrity(&self, book: usize) -> Integrity {
        self.chains[book].integrity
    }

    /// Best bid and offer, as far as known.
    #[inline]
    pub(super) fn top(&self, book: usize) -> [Option<Level>; 2] {
        let best = |side| self.books.best(book, side).ok().flatten();
        [best(Side::Buy), best(Side::Sell)]
    }

    pub(super) fn overflows(&self) -> u64 {
        self.books.overflows()
    }

    /// Takes a message of changes. True when the book's top or integrity may be another than before.
    #[inline]
    pub(super) fn change(&mut self, book: usize, message: &Book<'_>, counters: &mut FeedCounters) -> bool {
        let block = message.block;
        let (prev, change) = (block.prev_change_id.get(), block.change_id.get());
        let chain = &mut self.chains[book];
        let standing = chain.standing(prev, change, block.timestamp_ms.get());
        chain.timestamp_ms = chain.timestamp_ms.max(block.timestamp_ms.get());
        if chain.integrity != Integrity::Whole {
            self.hold(book, message, counters);
            return false;
        }
        match standing {
            Standing::Follows => {
                for entry in message.entries {
                    let applied = match entry.level() {
                        Ok((side, what, price, amount)) => {
                            self.apply(book, (side, what, price, amount), change, counters)
                        }
                        Err(error) => self.reject(book, error, change, counters),
                    };
                    if !applied {
                        return true;
                    }
                }
                self.conclude(book, prev, change, block.is_last != 0, counters)
            }
            Standing::Stale => {
                counters.changes_stale += 1;
                false
            }
            Standing::Breaks => {
                self.count_break(book, counters);
                self.lose(book, 0, counters);
                self.hold(book, message, counters);
                true
            }
        }
    }

    /// Takes a message of a snapshot that came on `channel`. True when the book's top or integrity may be another.
    pub(super) fn snapshot(
        &mut self,
        book: usize,
        channel: u16,
        message: &Snapshot<'_>,
        counters: &mut FeedCounters,
    ) -> bool {
        let (block, change_id) = (message.block, message.block.change_id.get());
        let part = self.assembly.part(book, channel, change_id);
        if part.is_first {
            self.books.clear(part.stage);
        }
        counters.snapshots_broken += u64::from(part.abandons_other);
        for entry in message.entries {
            let level = entry
                .level()
                .map(|(side, price, amount)| self.books.apply(part.stage, side, BookChange::Created, price, amount));
            if let Err(error) = level {
                counters.decode_errors[error as usize] += 1;
            }
            if level != Ok(Ok(())) {
                counters.snapshots_broken += 1;
                self.assembly.spoil(book, change_id);
                break;
            }
        }
        if block.is_last_in_book == 0 || !self.assembly.finish(book) {
            return false;
        }
        // Over several messages "not complete" may speak of the message; a level that is missing after all is a fault
        // when a change touches it.
        if block.is_book_complete == 0 && part.is_first {
            self.books.mark_incomplete(part.stage);
        }
        self.settle(book, part.stage, change_id, block.timestamp_ms.get(), counters)
    }

    /// Forgets the snapshots in progress on a channel that lost a packet.
    pub(super) fn abandon_snapshots(&mut self, channel: u16, counters: &mut FeedCounters) {
        counters.snapshots_broken += self.assembly.abandon(channel);
    }

    /// A change of this book may have been lost; snapshots taken before `not_before_ms` cannot restore it. True when it
    /// was whole.
    pub(super) fn lose(&mut self, book: usize, not_before_ms: u64, counters: &mut FeedCounters) -> bool {
        let floor = self.chains[book].last_held;
        let was_whole = self.gap(book, floor, counters);
        let chain = &mut self.chains[book];
        chain.headless = true;
        chain.not_before_ms = chain.not_before_ms.max(not_before_ms);
        was_whole
    }

    /// The book is not to be trusted until a snapshot at or beyond `floor`.
    fn gap(&mut self, book: usize, floor: u64, counters: &mut FeedCounters) -> bool {
        counters.pending_dropped += self.pending.clear(book);
        let chain = &mut self.chains[book];
        let was_whole = chain.integrity == Integrity::Whole;
        if was_whole {
            counters.books_gapped += 1;
            chain.integrity = Integrity::Gapped;
        }
        chain.open = None;
        chain.doubted = None;
        chain.headless = false;
        chain.last_held = 0;
        chain.floor = if was_whole { floor } else { chain.floor.max(floor) };
        was_whole
    }

    /// Applies one level of a change. False when the book was gapped instead.
    #[inline]
    fn apply(
        &mut self,
        book: usize,
        (side, what, price, amount): (Side, BookChange, Price, Quantity),
        change: u64,
        counters: &mut FeedCounters,
    ) -> bool {
        match self.books.apply(book, side, what, price, amount) {
            Ok(()) => true,
            Err(fault) => self.fault(book, fault, change, counters),
        }
    }

    #[cold]
    fn fault(&mut self, book: usize, _: Fault, change: u64, counters: &mut FeedCounters) -> bool {
        counters.level_faults += 1;
        self.gap(book, change, counters);
        false
    }

    #[cold]
    fn reject(&mut self, book: usize, error: DecodeError, change: u64, counters: &mut FeedCounters) -> bool {
        counters.decode_errors[error as usize] += 1;
        self.gap(book, change, counters);
        false
    }

    /// After the levels of a message: notes how far the book is. True when a change ended here.
    #[inline]
    fn conclude(&mut self, book: usize, prev: u64, change: u64, is_last: bool, counters: &mut FeedCounters) -> bool {
        let chain = &mut self.chains[book];
        if !is_last {
            chain.open = Some((prev, change));
            return false;
        }
        chain.open = None;
        chain.change_id = change;
        chain.followed = true;
        for side in [Side::Buy, Side::Sell] {
            if let Err(fault) = self.books.best(book, side) {
                self.fault(book, fault, change, counters);
            }
        }
        true
    }

    /// A change does not follow. Where none ever did, the snapshot was older than our joining the changes, which breaks
    /// nothing that stood.
    fn count_break(&self, book: usize, counters: &mut FeedCounters) {
        if self.chains[book].followed {
            counters.chain_breaks += 1;
        } else {
            counters.seeds_outdated += 1;
        }
    }

    /// Keeps a change for later.
    fn hold(&mut self, book: usize, message: &Book<'_>, counters: &mut FeedCounters) {
        let (block, change_id) = (message.block, message.block.change_id.get());
        let chain = &mut self.chains[book];
        if chain.headless {
            chain.floor = chain.floor.max(change_id);
            chain.headless = false;
        }
        chain.last_held = chain.last_held.max(change_id);
        let whole = Held {
            prev_change_id: block.prev_change_id.get(),
            change_id,
            timestamp_ms: block.timestamp_ms.get(),
            level: None,
            is_last: block.is_last != 0,
        };
        if message.entries.is_empty() && !self.pending.hold(book, whole) {
            self.give_up(book, change_id, counters);
        }
        let mut left = message.entries.len();
        for entry in message.entries {
            left -= 1;
            let held = entry.level().map(|level| {
                let is_last = whole.is_last && left == 0;
                self.pending.hold(book, Held { level: Some(level), is_last, ..whole })
            });
            if let Err(error) = held {
                counters.decode_errors[error as usize] += 1;
            }
            if held != Ok(true) {
                return self.give_up(book, change_id, counters);
            }
        }
    }

    fn give_up(&mut self, book: usize, change_id: u64, counters: &mut FeedCounters) {
        counters.pending_dropped += self.pending.clear(book) + 1;
        self.chains[book].floor = self.chains[book].floor.max(change_id);
    }

    /// Compares a whole book with a whole snapshot, or takes the book from it.
    fn settle(
        &mut self,
        book: usize,
        stage: usize,
        change_id: u64,
        timestamp_ms: u64,
        counters: &mut FeedCounters,
    ) -> bool {
        let chain = &mut self.chains[book];
        if chain.integrity != Integrity::Whole && !chain.is_restored_by(change_id, timestamp_ms) {
            counters.snapshots_behind += 1;
            return false;
        }
        if chain.integrity == Integrity::Whole {
            if chain.open.is_none() && change_id == chain.change_id {
                counters.snapshots_compared += 1;
                chain.doubted = None;
                if self.books.agree(book, stage) {
                    counters.snapshots_equal += 1;
                    return false;
                }
                return self.gap(book, change_id, counters);
            }
            if change_id <= chain.change_id && !chain.is_anew(timestamp_ms) {
                counters.snapshots_behind += 1;
                return false;
            }
            counters.snapshots_ahead += 1;
            if chain.doubted.replace(chain.change_id) != Some(chain.change_id) {
                return false;
            }
            self.lose(book, 0, counters);
        }
        self.seed(book, stage, change_id, timestamp_ms, counters);
        true
    }

    /// Takes a book from a snapshot, then applies the changes held back since.
    fn seed(&mut self, book: usize, stage: usize, change_id: u64, timestamp_ms: u64, counters: &mut FeedCounters) {
        counters.books_seeded += 1;
        self.books.copy(stage, book);
        let timestamp_ms = timestamp_ms.max(self.chains[book].timestamp_ms);
        self.chains[book] = Chain { integrity: Integrity::Whole, change_id, timestamp_ms, ..Chain::default() };
        while let Some(held) = self.pending.release(book) {
            let (prev, change) = (held.prev_change_id, held.change_id);
            if change <= change_id {
                continue;
            }
            match self.chains[book].standing(prev, change, held.timestamp_ms) {
                Standing::Follows => {
                    if held.level.is_some_and(|level| !self.apply(book, level, change, counters)) {
                        return;
                    }
                    self.conclude(book, prev, change, held.is_last, counters);
                }
                Standing::Stale => {}
                Standing::Breaks => {
                    self.count_break(book, counters);
                    let last_held = self.chains[book].last_held;
                    self.gap(book, change.max(last_held), counters);
                    return;
                }
            }
        }
        if let Err(fault) = self.books.best(book, Side::Buy).and(self.books.best(book, Side::Sell)) {
            self.fault(book, fault, change_id, counters);
        }
    }
}
