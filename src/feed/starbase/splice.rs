//! How books lose their standing and get it back: gaps, quarantine, and snapshots spliced to the messages held back.

use super::Carries;
use super::market::{Integrity, Market};
use super::snapshot::Broken;
use crate::feed::board::Board;
use crate::units::{InstrumentId, Nanos};

/// How far a snapshot may be ahead of the messages.
const AHEAD_MAX: u64 = 1_000_000;

impl Market {
    /// A snapshot is complete: compares it with the book, or takes the book from it.
    pub(super) fn settle(&mut self, channel: usize, instrument: i64, as_of: u64, now: Nanos, board: &mut Board) {
        let Some(id) = self.listed(instrument, channel, board) else {
            self.staged[channel].abandon();
            return;
        };
        let orders = match self.staged[channel].finish(instrument, as_of) {
            Ok(Some(orders)) => orders,
            Ok(None) => return,
            Err(Broken) => {
                board.counters.snapshots_broken += 1;
                return;
            }
        };
        let (standing, last) = (&mut self.standings[id.index()], self.channels[channel].last);
        let is_whole = standing.integrity == Integrity::Whole;
        if as_of < standing.floor || (is_whole && as_of < standing.touched) {
            board.counters.snapshots_behind += 1;
            return;
        }
        if as_of > last + AHEAD_MAX {
            board.counters.snapshots_ahead += 1;
            return;
        }
        if is_whole {
            if self.books.agrees(id.index(), orders.iter().copied()) {
                board.counters.snapshots_compared += 1;
                board.counters.snapshots_equal += 1;
                return;
            }
            let doubt = standing.doubted.replace((as_of, standing.touched));
            let is_proven = doubt.is_some_and(|(seen, touched)| touched == standing.touched && seen <= last);
            if as_of > last && !is_proven {
                board.counters.snapshots_ahead += 1;
                return;
            }
            board.counters.snapshots_compared += 1;
            board.counters.books_gapped += 1;
            standing.gapped_since = now;
        }
        self.seed(id, channel, as_of, now, board);
        if self.channels[channel].is_amid {
            self.touch(id, board);
        } else {
            self.show(id, board);
        }
    }

    /// Takes a book from the snapshot staged on a channel, then applies the messages held back since.
    fn seed(&mut self, id: InstrumentId, channel: usize, as_of: u64, now: Nanos, board: &mut Board) {
        let book = id.index();
        board.counters.books_seeded += 1;
        self.books.clear(book);
        for (side, order) in self.staged[channel].orders() {
            if self.books.put(book, *side, order).is_err() {
                board.counters.level_faults += 1;
                return self.quarantine(id, as_of, now, board);
            }
        }
        let standing = &mut self.standings[book];
        (standing.as_of, standing.doubted) = (as_of, None);
        standing.touched = standing.touched.max(as_of);
        // The list holds a bounded number.
        while let Some((sequence, change)) = self.pending.release(book) {
            if sequence <= as_of {
                continue;
            }
            if self.apply(id, change).is_err() {
                board.counters.level_faults += 1;
                let touched = self.standings[book].touched;
                return self.quarantine(id, touched, now, board);
            }
            self.standings[book].as_of = sequence;
        }
        let standing = &mut self.standings[book];
        if standing.integrity == Integrity::Gapped {
            note_restored(&mut self.restored, now.since(standing.gapped_since));
        }
        standing.integrity = Integrity::Whole;
    }

    /// One book is not to be used until a snapshot reaches `floor`.
    pub(super) fn quarantine(&mut self, id: InstrumentId, floor: u64, now: Nanos, board: &mut Board) {
        let standing = &mut self.standings[id.index()];
        if standing.integrity == Integrity::Whole {
            board.counters.books_gapped += 1;
            (standing.integrity, standing.gapped_since) = (Integrity::Gapped, now);
        }
        standing.floor = standing.floor.max(floor);
        self.pending.clear(id.index());
    }

    /// Numbers before `first` are missing.
    #[cold]
    pub(super) fn miss(&mut self, channel: usize, carries: Carries, first: u64, now: Nanos, board: &mut Board) {
        match carries {
            Carries::Changes => {
                self.channels[channel].is_amid = false;
                self.show_touched(channel, board);
                self.lose(channel, first.saturating_sub(1), now, board);
            }
            Carries::Snapshots => board.counters.snapshots_broken += u64::from(self.staged[channel].abandon()),
        }
    }

    /// The venue counts a channel's messages anew from `first`: what its books were true as of compares with nothing to
    /// come, so that every one of them waits for a snapshot.
    #[cold]
    pub(super) fn begin_anew(&mut self, channel: usize, first: u64, now: Nanos, board: &mut Board) {
        let last = first.saturating_sub(1);
        (self.channels[channel].last, self.channels[channel].is_amid) = (last, false);
        for index in 0..board.listings.catalogue().instruments().len() {
            let standing = &mut self.standings[index];
            if standing.home == channel as u16 {
                (standing.as_of, standing.touched, standing.floor, standing.doubted) = (0, 0, 0, None);
                let id = InstrumentId(index as u16);
                self.quarantine(id, last, now, board);
                self.show(id, board);
            }
        }
        self.show_touched(channel, board);
    }

    /// Messages of a channel up to `last` are lost: every book of it that does not stand beyond waits for its snapshot.
    pub(super) fn lose(&mut self, channel: usize, last: u64, now: Nanos, board: &mut Board) {
        for index in 0..board.listings.catalogue().instruments().len() {
            let standing = &self.standings[index];
            if standing.home == channel as u16 && standing.as_of < last {
                let id = InstrumentId(index as u16);
                self.quarantine(id, last, now, board);
                self.show(id, board);
            }
        }
    }
}

fn note_restored((count, total_ns, max_ns): &mut (u64, u64, u64), stale_ns: u64) {
    *count += 1;
    *total_ns += stale_ns;
    *max_ns = (*max_ns).max(stale_ns);
}
