//! One stream of packets out of two lines that carry the same.
//!
//! ```text
//!  line A ──┐   first copy ─────────────────────────────────────► delivered in order
//!  line B ──┼─► second copy: hash compared, counted, dropped
//!  resent ──┘   ahead of a hole: held until the hole is filled ─► delivered in order
//!                                or patience ends ──────────────► a gap, then what was held
//! ```
//!
//! Packets enter with their sequence and how many numbers they span; they leave once each, in order, each with what is
//! missing before it. **First copy wins**: a packet that is next goes through at once, whichever line brought it. A hole
//! is waited for as long as it may yet be filled: until every line that is alive has shown something beyond it and
//! `reorder_ns` has passed, at most for `hold_ns`; whoever can ask for the missing packets prolongs that with
//! [`Arbiter::wait_until`]. With a single line and no allowance for reordering a hole is a gap at once.
//!
//! **Lines.** A line is down once another was heard for `line_silence_ns` longer, and up again when it is heard. A line
//! that is down is not waited for; there is nothing else to switch, since the other's packets were used all along.
//!
//! **Divergence.** The hash of each delivered packet is kept for the next [`RECENT`] sequences; a second copy of other
//! bytes, from a line that did not go back, is counted as divergent, which is an alarm: one of the lines lies.
//!
//! **Anew.** A line that runs [`RESTART_RUN`] packets in order behind its own position counts anew: the stream follows it,
//! and other lines are ignored until they do the same.
//!
//! **Cost.** In order: one hash and one table entry. Memory is taken at construction: [`HELD_MAX`] packets for all streams.
//! A packet too long to be held, or one more than there is room for, ends the patience of its stream.

mod hash;
mod hold;
#[cfg(test)]
mod tests;

use crate::feed::Packet;
use crate::units::{Nanos, Ticks};
pub use hash::hash;
use hold::Pool;

/// Packets held at most, over all streams.
pub const HELD_MAX: usize = 1_024;
/// Packets one stream may hold.
const STREAM_HELD_MAX: usize = 512;
/// Sequences back to which second copies are compared.
pub const RECENT: usize = 256;
/// Packets in one unbroken run behind a line's own position from which it counts as begun anew.
pub const RESTART_RUN: u32 = 16;
/// Lines a stream has: two that the venue sends, and what is sent again on request.
pub const LINES: usize = 3;

/// Which copy of a stream a packet belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Line {
    /// The first, or the only one.
    #[default]
    A = 0,
    /// The redundant one.
    B = 1,
    /// Sent again on request.
    Resent = 2,
}

/// How long to wait for what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArbiterConfig {
    /// Longest wait for another line to fill a hole, nanoseconds.
    pub hold_ns: u64,
    /// Wait for packets that overtook each other once every line has passed the hole, nanoseconds.
    pub reorder_ns: u64,
    /// A line that was silent for this much longer than another is down, nanoseconds.
    pub line_silence_ns: u64,
}

impl Default for ArbiterConfig {
    /// Two milliseconds; none; half a second.
    fn default() -> Self {
        Self { hold_ns: 2 * Nanos::PER_MILLI, reorder_ns: 0, line_silence_ns: Nanos::PER_SECOND / 2 }
    }
}

/// What stands before a delivered packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Its predecessor; or nothing was heard of the stream before.
    InOrder,
    /// So many numbers are missing.
    Gap(u64),
    /// The venue began to count anew.
    Restart,
}

/// A packet whose turn it is.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// What stands before it.
    pub arrival: Arrival,
    /// The first of its numbers that was not delivered yet; those of a resent packet may overlap.
    pub first: u64,
    /// The packet; `None` when a gap is known and nothing behind it has come.
    pub packet: Option<Packet<'a>>,
}

/// What one line did for one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Packets received.
    pub packets: u64,
    /// Those that were the first copy.
    pub first: u64,
    /// Those that another line, or this one, had brought before.
    pub duplicates: u64,
    /// Those that came after they were given up, or too late to compare.
    pub late: u64,
    /// Holes in the line's own sequence.
    pub gaps: u64,
    /// Numbers missing in those.
    pub missing: u64,
    /// Second copies whose bytes were others.
    pub divergent: u64,
    /// Times it fell silent while another spoke.
    pub downs: u64,
    /// Whether it is silent now.
    pub is_down: bool,
}

impl LineStats {
    /// Adds another's counts; down if either is.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.first += other.first;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.gaps += other.gaps;
        self.missing += other.missing;
        self.divergent += other.divergent;
        self.downs += other.downs;
        self.is_down |= other.is_down;
    }
}

/// Which numbers a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The first.
    pub first: u64,
    /// The first after them; equal to `first` for a packet that only says where the stream stands.
    pub end: u64,
    /// Where the bytes begin that both lines must have in common.
    pub body: usize,
}

/// What is missing in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first number missing.
    pub first: u64,
    /// The first number after it that is known to exist.
    pub end: u64,
    /// When it was noticed.
    pub since: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct LineState {
    stats: LineStats,
    next: u64,
    heard: Nanos,
    late_next: u64,
    late_run: u32,
    /// Whether it still counts as before the stream began anew.
    is_of_the_past: bool,
}

/// One stream.
#[derive(Debug)]
struct Stream {
    next: u64,
    /// The number after the last one known to exist.
    end: u64,
    heard: Nanos,
    /// When the hole at `next` was noticed, and how long it is waited for.
    since: Nanos,
    deadline: Nanos,
    is_waiting: bool,
    lines: [LineState; LINES],
    held: hold::Held,
}

/// A sequence's lower half and the hash of its packet.
type Record = (u32, u32);

/// All streams.
#[derive(Debug)]
pub struct Arbiter {
    config: ArbiterConfig,
    streams: Box<[Stream]>,
    len: usize,
    recent: Box<[Record]>,
    pool: Pool,
    /// Streams with a hole.
    waiting: usize,
    /// Second copies whose bytes were others, over all streams.
    divergent: u64,
    /// Whether a hole whose time has come is given up at once, or left to the caller.
    is_impatient: bool,
}

impl Arbiter {
    /// Room for `streams` streams.
    pub fn new(config: ArbiterConfig, streams: usize) -> Self {
        let stream = || Stream {
            next: 0,
            end: 0,
            heard: Nanos(0),
            since: Nanos(0),
            deadline: Nanos(u64::MAX),
            is_waiting: false,
            lines: [LineState::default(); LINES],
            held: hold::Held::new(STREAM_HELD_MAX),
        };
        Self {
            config,
            streams: (0..streams).map(|_| stream()).collect(),
            len: 0,
            // A blank entry names a sequence that would not stand where it does.
            recent: (0..streams * RECENT).map(|at| ((at % RECENT) as u32 + 1, 0)).collect(),
            pool: Pool::new(HELD_MAX),
            waiting: 0,
            divergent: 0,
            is_impatient: true,
        }
    }

    /// Leaves holes whose time has come to the caller, who may ask for what is missing.
    pub fn patient(self) -> Self {
        Self { is_impatient: false, ..self }
    }

    /// Opens the next stream, which expects `first`. `None` when there is no room.
    pub fn open(&mut self, first: u64) -> Option<usize> {
        let index = self.len;
        let stream = self.streams.get_mut(index)?;
        (stream.next, stream.end) = (first, first);
        self.len += 1;
        Some(index)
    }

    /// A stream was heard for the first time: it expects `first`.
    pub fn begin(&mut self, stream: usize, first: u64) {
        let stream = &mut self.streams[stream];
        (stream.next, stream.end) = (first, first);
    }

    /// The number a stream expects.
    #[inline]
    pub fn next(&self, stream: usize) -> u64 {
        self.streams[stream].next
    }

    /// What is missing before the packets held.
    pub fn hole(&self, stream: usize) -> Option<Hole> {
        let stream = &self.streams[stream];
        let end = stream.held.first(&self.pool).unwrap_or(stream.end);
        stream.is_waiting.then_some(Hole { first: stream.next, end, since: stream.since })
    }

    /// Waits for the hole of a stream until then: what is missing was asked for.
    pub fn wait_until(&mut self, stream: usize, deadline: Nanos) {
        self.streams[stream].deadline = deadline;
    }

    /// Whether any stream waits for something.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether a hole is no longer waited for: [`Arbiter::give_up`] or [`Arbiter::wait_until`] is due.
    pub fn is_due(&self, stream: usize, now: Nanos) -> bool {
        let stream = &self.streams[stream];
        stream.is_waiting && now >= stream.deadline
    }

    /// Streams opened.
    pub fn streams(&self) -> usize {
        self.len
    }

    /// Second copies whose bytes were others, over all streams.
    #[inline]
    pub fn divergent(&self) -> u64 {
        self.divergent
    }

    /// What a line did, over all streams.
    pub fn total(&self, line: Line) -> LineStats {
        let mut total = LineStats::default();
        self.streams[..self.len].iter().for_each(|stream| total.add(&stream.lines[line as usize].stats));
        total
    }

    /// What a line did for a stream.
    pub fn stats(&self, stream: usize, line: Line) -> &LineStats {
        &self.streams[stream].lines[line as usize].stats
    }

    /// Takes a packet and delivers what is next. False when it was a second copy, or too late.
    #[inline]
    pub fn offer(
        &mut self,
        index: usize,
        numbers: Numbers,
        packet: &Packet<'_>,
        mut deliver: impl FnMut(Delivery<'_>),
    ) -> bool {
        let Numbers { first: sequence, end, body } = numbers;
        let stream = &mut self.streams[index];
        stream.heard = stream.heard.max(packet.time);
        let state = &mut stream.lines[packet.line as usize];
        state.stats.packets += 1;
        state.stats.is_down = false;
        state.heard = packet.time;
        match state.arrive(sequence, end, packet.line) {
            Pace::Ahead => {}
            Pace::Past => {
                state.stats.late += 1;
                return false;
            }
            Pace::Restart => {
                self.restart(index, numbers, packet, deliver);
                return true;
            }
        }
        let hash = hash(&packet.bytes[body.min(packet.bytes.len())..]);
        let record = &mut self.recent[index * RECENT + sequence as usize % RECENT];
        if sequence <= stream.next && end > stream.next {
            let first = std::mem::replace(&mut stream.next, end);
            *record = (sequence as u32, hash);
            state.stats.first += 1;
            deliver(Delivery { arrival: Arrival::InOrder, first, packet: Some(*packet) });
            if stream.is_waiting {
                self.drain(index, packet.time, deliver);
            } else {
                stream.end = end;
            }
            return true;
        }
        if end > stream.next {
            return self.hold(index, numbers, packet, hash, &mut deliver);
        }
        if end > sequence {
            if record.0 == sequence as u32 {
                state.stats.duplicates += 1;
                let differs = u64::from(record.1 != hash && state.is_in_order());
                state.stats.divergent += differs;
                self.divergent += differs;
            } else {
                state.stats.late += 1;
            }
        }
        end == sequence
    }

    /// Gives up what a stream waits for: a gap, then what was held up to the next hole.
    pub fn give_up(&mut self, index: usize, now: Nanos, mut deliver: impl FnMut(Delivery<'_>)) {
        let Some(hole) = self.hole(index) else { return };
        let stream = &mut self.streams[index];
        let arrival = Arrival::Gap(hole.end - hole.first);
        stream.next = hole.end;
        match stream.held.pop_if(&self.pool, hole.end) {
            Some(held) => {
                stream.next = stream.next.max(self.pool.end(held));
                deliver(Delivery { arrival, first: hole.end, packet: Some(self.pool.packet(held)) });
                self.pool.release(held);
            }
            None => deliver(Delivery { arrival, first: hole.end, packet: None }),
        }
        self.drain(index, now, deliver);
    }

    /// Gives up every hole whose time has come, and notices lines that fell silent.
    pub fn poll(&mut self, now: Nanos, mut deliver: impl FnMut(usize, Delivery<'_>)) {
        for index in 0..self.len {
            self.watch(index);
            self.reconsider(index);
            while self.is_due(index, now) {
                self.give_up(index, now, |delivery| deliver(index, delivery));
            }
        }
    }

    /// Notices which lines fell silent while another spoke.
    pub fn watch_all(&mut self) {
        (0..self.len).for_each(|index| self.watch(index));
    }

    /// Notices which lines of a stream fell silent while another spoke.
    fn watch(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        for state in &mut stream.lines[..Line::Resent as usize] {
            let silent = stream.heard.since(state.heard) > self.config.line_silence_ns;
            if state.stats.packets > 0 && silent && !state.stats.is_down {
                state.stats.is_down = true;
                state.stats.downs += 1;
            }
        }
    }

    /// Keeps a packet that is ahead of a hole. False when it was kept already.
    #[cold]
    fn hold(
        &mut self,
        index: usize,
        Numbers { first: sequence, end, .. }: Numbers,
        packet: &Packet<'_>,
        hash: u32,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) -> bool {
        let stream = &mut self.streams[index];
        if !stream.is_waiting {
            (stream.since, stream.deadline) = (packet.time, Nanos(packet.time.0.saturating_add(self.config.hold_ns)));
        }
        stream.end = stream.end.max(end);
        self.settle(index);
        let stream = &mut self.streams[index];
        let record = &mut self.recent[index * RECENT + sequence as usize % RECENT];
        let state = &mut stream.lines[packet.line as usize];
        let mut is_taken = true;
        if end > sequence {
            match stream.held.insert(&mut self.pool, (sequence, end), packet) {
                hold::Inserted::Held => {
                    *record = (sequence as u32, hash);
                    state.stats.first += 1;
                }
                hold::Inserted::Already => {
                    is_taken = false;
                    state.stats.duplicates += 1;
                    let differs = u64::from(record.0 == sequence as u32 && record.1 != hash && state.is_in_order());
                    state.stats.divergent += differs;
                    self.divergent += differs;
                }
                hold::Inserted::NoRoom => {
                    state.stats.first += 1;
                    self.force(index, sequence, end, packet, deliver);
                    return true;
                }
            }
        }
        self.reconsider(index);
        while self.is_impatient && self.is_due(index, packet.time) {
            self.give_up(index, packet.time, &mut *deliver);
        }
        is_taken
    }

    /// Delivers a packet for which there is no room, giving up what is missing before it.
    fn force(
        &mut self,
        index: usize,
        sequence: u64,
        end: u64,
        packet: &Packet<'_>,
        deliver: &mut impl FnMut(Delivery<'_>),
    ) {
        // Each round ends one hole, and what is held bounds them.
        while self.hole(index).is_some_and(|hole| hole.end < sequence) {
            self.give_up(index, packet.time, &mut *deliver);
        }
        let stream = &mut self.streams[index];
        let missing = sequence.saturating_sub(stream.next);
        let arrival = if missing > 0 { Arrival::Gap(missing) } else { Arrival::InOrder };
        let first = stream.next.max(sequence);
        if end > stream.next {
            stream.next = end;
            deliver(Delivery { arrival, first, packet: Some(*packet) });
        }
        self.drain(index, packet.time, deliver);
    }

    /// Keeps count of the streams that wait.
    fn settle(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let waits = stream.next < stream.end;
        match (std::mem::replace(&mut stream.is_waiting, waits), waits) {
            (false, true) => self.waiting += 1,
            (true, false) => self.waiting -= 1,
            _ => {}
        }
    }

    /// Shortens the wait when no line can fill the hole any more. A wait prolonged for a request stays.
    pub fn reconsider(&mut self, index: usize) {
        let Some(hole) = self.hole(index) else { return };
        self.watch(index);
        let stream = &mut self.streams[index];
        let may_fill = |state: &LineState| state.stats.packets > 0 && !state.stats.is_down && state.next < hole.end;
        let is_lost = !stream.lines[..Line::Resent as usize].iter().any(may_fill);
        if is_lost && stream.deadline.0 <= stream.since.0.saturating_add(self.config.hold_ns) {
            stream.deadline = stream.deadline.min(Nanos(stream.since.0.saturating_add(self.config.reorder_ns)));
        }
    }

    /// Delivers what is held and next, up to the next hole.
    fn drain(&mut self, index: usize, now: Nanos, mut deliver: impl FnMut(Delivery<'_>)) {
        let stream = &mut self.streams[index];
        while let Some(held) = stream.held.pop_if(&self.pool, stream.next) {
            let (first, end) = (stream.next, self.pool.end(held));
            if end > first {
                stream.next = end;
                deliver(Delivery { arrival: Arrival::InOrder, first, packet: Some(self.pool.packet(held)) });
            }
            self.pool.release(held);
        }
        stream.end = stream.end.max(stream.next);
        // The next hole is as old as the first packet behind it.
        stream.since = stream.held.since(&self.pool).unwrap_or(now);
        stream.deadline = Nanos(stream.since.0.saturating_add(self.config.hold_ns));
        self.settle(index);
        self.reconsider(index);
    }

    /// Follows a line that counts anew.
    #[cold]
    fn restart(
        &mut self,
        index: usize,
        Numbers { first: sequence, end, body }: Numbers,
        packet: &Packet<'_>,
        mut deliver: impl FnMut(Delivery<'_>),
    ) {
        let stream = &mut self.streams[index];
        while let Some(held) = stream.held.pop_if(&self.pool, u64::MAX) {
            self.pool.release(held);
        }
        (stream.next, stream.end) = (end, end);
        for (at, state) in stream.lines.iter_mut().enumerate() {
            state.is_of_the_past = at != packet.line as usize && state.stats.packets > 0;
        }
        stream.lines[packet.line as usize].stats.first += 1;
        self.settle(index);
        let hash = hash(&packet.bytes[body.min(packet.bytes.len())..]);
        self.recent[index * RECENT + sequence as usize % RECENT] = (sequence as u32, hash);
        deliver(Delivery { arrival: Arrival::Restart, first: sequence, packet: Some(*packet) });
    }
}

/// How a packet stands to its own line.
enum Pace {
    Ahead,
    /// The line has not begun anew and the stream has.
    Past,
    Restart,
}

impl LineState {
    /// Whether the line did not go back: a venue that counts anew does, and its bytes are rightly others.
    fn is_in_order(&self) -> bool {
        self.late_run == 0
    }

    #[inline]
    fn arrive(&mut self, sequence: u64, end: u64, line: Line) -> Pace {
        if line == Line::Resent {
            return Pace::Ahead;
        }
        if self.stats.packets == 1 {
            self.next = end;
            return Pace::Ahead;
        }
        if sequence >= self.next {
            let missing = sequence - self.next;
            self.stats.gaps += u64::from(missing > 0);
            self.stats.missing += missing;
            (self.next, self.late_run) = (end, 0);
            return if self.is_of_the_past { Pace::Past } else { Pace::Ahead };
        }
        self.late_run = if sequence == self.late_next { self.late_run + 1 } else { 1 };
        self.late_next = end;
        if self.late_run < RESTART_RUN {
            return if self.is_of_the_past { Pace::Past } else { Pace::Ahead };
        }
        (self.next, self.late_run) = (end, 0);
        if std::mem::take(&mut self.is_of_the_past) { Pace::Ahead } else { Pace::Restart }
    }
}

/// The number near `next` whose lower half is `sequence`: for streams that count in 32 bits.
#[inline]
pub fn unwrapped(next: u64, sequence: u32) -> u64 {
    let ahead = i64::from(sequence.wrapping_sub(next as u32) as i32);
    next.wrapping_add_signed(ahead)
}

/// A packet's stamps without its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Envelope {
    time: Nanos,
    received: Ticks,
    port: u16,
    line: Line,
}
