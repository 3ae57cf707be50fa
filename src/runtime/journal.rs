//! The way to the journal: what hot threads publish, and how the recorder's thread writes it down.
//!
//! A hot thread pays one ring publish a message. The recorder takes the streams in the opposite order of the pipeline and
//! writes them in its order, so that what caused something stands before it. What a ring has no room for is a gap: it is
//! counted here, written into the journal, and handled like a disk that fails, by [`OnFailure`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::control::Controls;
use super::watched::Witness;
use crate::event::{Event, KillCause, KillLevel, Operator};
use crate::journal::{
    Blank, Decision, Directory, Disk, Durability, NOTE_BYTES, Record, SessionCall, SessionNote, SessionNotes,
    StageName, Stream, WriteError, Writer, WriterConfig,
};
use crate::ring::{self, Consumer, Producer, RingError};
use crate::risk::Instruction;
use crate::stage::{Full, Outbox};
use crate::telemetry::live::JournalShown;
use crate::units::{Nanos, Ticks};

/// Slots of the ring of what the greeks consume.
const INPUT_SLOTS: usize = 1 << 15;
/// Slots of the ring of what is asked of the gateway.
const SESSION_SLOTS: usize = 1 << 14;
/// Slots of the rings that tell of outboxes short of room.
const SHORT_SLOTS: usize = 1 << 12;
/// Messages taken from one ring at a time.
const DRAIN_MAX: usize = 1 << 15;

/// What the pipeline does when its journal has a gap or can be written no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Sends nothing but cancels for the rest of this process. Under [`Durability::BeforeSend`] there is no other choice.
    #[default]
    Halt,
    /// Sends nothing but cancels until a person re-enables trading.
    Pause,
    /// Goes on trading without a journal, and says so in the report.
    Continue,
}

/// How a pipeline keeps its journal.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Where.
    pub directory: PathBuf,
    /// Segments and durability.
    pub writer: WriterConfig,
    /// What follows from a failure.
    pub on_failure: OnFailure,
}

/// What a pipeline's journal came to.
#[derive(Debug)]
pub struct JournalSummary {
    /// Number of the run.
    pub run: u32,
    /// Frames written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Messages that found their ring full.
    pub lost: u64,
    /// Why it could be written no more.
    pub failure: Option<WriteError>,
}

/// What hot threads and the recorder tell each other.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Messages lost, by stream.
    lost: [AtomicU64; STREAMS.len()],
    /// Decisions that no crash takes; [`FAILED`] once the journal has failed.
    durable: AtomicU64,
}

const STREAMS: [Stream; 5] = [Stream::Inputs, Stream::Outputs, Stream::Decisions, Stream::Session, Stream::Shorts];

/// In place of a number of decisions: there will be no more.
const FAILED: u64 = u64::MAX;

impl Health {
    /// Whether an instruction may be taken that has `taken` before it. Once the journal has failed, one may as soon as the
    /// gateway is shut, which then refuses orders and lets cancels go.
    #[inline]
    fn permits(&self, taken: u64, is_shut: bool) -> bool {
        match self.durable.load(Ordering::Acquire) {
            FAILED => is_shut,
            durable => taken < durable,
        }
    }

    #[cold]
    fn lose(&self, stream: Stream) {
        self.lost[stream as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// A ring to the cold side; with a journal behind it, what it has no room for is a gap.
#[derive(Debug)]
pub(super) struct Tap<M> {
    ring: Producer<M>,
    journal: Option<(Arc<Health>, Stream)>,
}

impl<M> Tap<M> {
    pub(super) fn new(ring: Producer<M>, health: Option<&Arc<Health>>, stream: Stream) -> Self {
        Self { ring, journal: health.map(|health| (Arc::clone(health), stream)) }
    }
}

impl<M: Copy + Send + Sync> Outbox<M> for Tap<M> {
    #[inline]
    fn send(&mut self, message: M) -> Result<(), Full> {
        self.ring.try_push(message).inspect_err(|Full| {
            if let Some((health, stream)) = &self.journal {
                health.lose(*stream);
            }
        })
    }

    fn room(&self) -> usize {
        self.ring.room()
    }
}

/// A step whose outbox was short of room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    stage: StageName,
    step: u64,
    room: u32,
}

/// Publishes what a stage meets. The hedge's input is the greeks' output, which is published already.
#[derive(Debug)]
pub struct StageTap {
    stage: StageName,
    inputs: Option<Tap<Event>>,
    shorts: Tap<Short>,
}

impl StageTap {
    /// The tap of the greeks, and where it publishes their input, with no journal behind it: so its cost is measured.
    pub fn apart() -> Result<(Self, Consumer<Event>), RingError> {
        let (inputs, [consumer]) = ring::broadcast(INPUT_SLOTS)?;
        let (shorts, [_]) = ring::broadcast(SHORT_SLOTS)?;
        let inputs = Some(Tap::new(inputs, None, Stream::Inputs));
        Ok((Self { stage: StageName::Greeks, inputs, shorts: Tap::new(shorts, None, Stream::Shorts) }, consumer))
    }
}

impl Witness for StageTap {
    #[inline]
    fn consumed(&mut self, event: &Event) {
        if let Some(inputs) = &mut self.inputs {
            // What it has no room for it has counted.
            let _ = inputs.send(*event);
        }
    }

    #[cold]
    fn short(&mut self, step: u64, room: usize) {
        let _ = self.shorts.send(Short { stage: self.stage, step, room: room as u32 });
    }
}

/// Publishes what is asked of the gateway.
#[derive(Debug)]
pub(super) struct SessionTap {
    ring: Producer<SessionNote>,
    health: Arc<Health>,
    /// Instructions taken, if each has to be durable first.
    taken: Option<u64>,
}

impl SessionTap {
    /// Whether the next instruction may be taken.
    #[inline]
    pub(super) fn permits(&self, is_shut: bool) -> bool {
        self.taken.is_none_or(|taken| self.health.permits(taken, is_shut))
    }

    /// An instruction was taken.
    #[inline]
    pub(super) fn instruction(&mut self, time: Nanos, encoded: Ticks) {
        self.taken = self.taken.map(|taken| taken + 1);
        self.note(SessionNote::Instruction(time, encoded));
    }

    #[inline]
    pub(super) fn note(&mut self, note: SessionNote) {
        if self.ring.try_push(note).is_err() {
            self.health.lose(Stream::Session);
        }
    }

    /// The socket took these bytes.
    #[inline]
    pub(super) fn written(&mut self, at: Ticks, bytes: &[u8]) {
        self.with_bytes(SessionNote::Written(at, bytes.len() as u32), bytes);
    }

    /// The gateway was offered these bytes behind those that it had left.
    #[inline]
    pub(super) fn received(&mut self, time: Nanos, bytes: &[u8]) {
        self.with_bytes(SessionNote::Received(time, bytes.len() as u32), bytes);
    }

    fn with_bytes(&mut self, note: SessionNote, bytes: &[u8]) {
        let pieces = bytes.chunks(NOTE_BYTES);
        let Some(mut claim) = self.ring.claim(1 + pieces.len()) else { return self.health.lose(Stream::Session) };
        // As many slots were claimed as are written.
        let _ = claim.write(note);
        for piece in pieces {
            let mut slot = [0; NOTE_BYTES];
            slot[..piece.len()].copy_from_slice(piece);
            let _ = claim.write(SessionNote::Bytes(slot));
        }
        claim.commit();
    }
}

/// The hot ends of a journal, if there is one.
#[derive(Debug, Default)]
pub(super) struct HotTaps {
    pub(super) greeks: Option<StageTap>,
    pub(super) hedge: Option<StageTap>,
    pub(super) session: Option<SessionTap>,
}

/// The recorder's end: takes what the taps published, and writes it down.
#[derive(Debug)]
pub(super) struct Keeper<D: Disk = Directory> {
    run: u32,
    inputs: Consumer<Event>,
    shorts: [Consumer<Short>; 2],
    session: Consumer<SessionNote>,
    notes: SessionNotes,
    blank: Blank,
    gathered: Vec<Record>,
    health: Arc<Health>,
    /// Losses written down, by stream.
    told: [u64; STREAMS.len()],
    writer: Writer<D>,
    on_failure: OnFailure,
    acted: bool,
    controls: Option<Arc<Controls>>,
}

/// Both ends of a journal that `writer` writes; `blank` knows what of the session is not to be written.
pub(super) fn join<D: Disk>(
    run: u32,
    writer: Writer<D>,
    on_failure: OnFailure,
    blank: Blank,
    health: Arc<Health>,
) -> Result<(HotTaps, Keeper<D>), RingError> {
    let taken = (writer.config().durability == Durability::BeforeSend).then_some(0);
    let (inputs, [inputs_in]) = ring::broadcast(INPUT_SLOTS)?;
    let (greeks_shorts, [greeks_shorts_in]) = ring::broadcast(SHORT_SLOTS)?;
    let (hedge_shorts, [hedge_shorts_in]) = ring::broadcast(SHORT_SLOTS)?;
    let (session, [session_in]) = ring::broadcast(SESSION_SLOTS)?;
    let shorts = |ring| Tap::new(ring, Some(&health), Stream::Shorts);
    let inputs = Some(Tap::new(inputs, Some(&health), Stream::Inputs));
    let taps = HotTaps {
        greeks: Some(StageTap { stage: StageName::Greeks, inputs, shorts: shorts(greeks_shorts) }),
        hedge: Some(StageTap { stage: StageName::Hedge, inputs: None, shorts: shorts(hedge_shorts) }),
        session: Some(SessionTap { ring: session, health: Arc::clone(&health), taken }),
    };
    let keeper = Keeper {
        run,
        inputs: inputs_in,
        shorts: [greeks_shorts_in, hedge_shorts_in],
        session: session_in,
        notes: SessionNotes::default(),
        blank,
        gathered: Vec::new(),
        health,
        told: [0; STREAMS.len()],
        writer,
        on_failure,
        acted: false,
        controls: None,
    };
    Ok((taps, keeper))
}

impl<D: Disk> Keeper<D> {
    /// Whom a failure is told to.
    pub(super) fn answering_to(self, controls: Arc<Controls>) -> Self {
        Self { controls: Some(controls), ..self }
    }

    /// Takes what the gateway's thread published. To be called before anything else of the same turn is taken.
    pub(super) fn take_session(&mut self) {
        let (notes, blank, gathered) = (&mut self.notes, &mut self.blank, &mut self.gathered);
        self.session.drain(DRAIN_MAX, |note| {
            let mut record = notes.take(note);
            match &mut record {
                Some(Record::Session { call: SessionCall::Written { bytes, .. } }) => blank.pass(bytes),
                Some(Record::Session { call: SessionCall::Connected { .. } }) => blank.restart(),
                _ => {}
            }
            gathered.extend(record);
        });
    }

    /// Writes down a turn: what the greeks consumed, then `outputs` and `decisions`, taken before, then what
    /// [`take_session`](Self::take_session) took. Says whether there was anything.
    pub(super) fn write(&mut self, outputs: &[Event], decisions: &[Instruction], now: Nanos) -> bool {
        let frames = self.writer.frames() + self.writer.dropped();
        let Self { writer, inputs, shorts, .. } = self;
        inputs.drain(DRAIN_MAX, |event| writer.append(&Record::Input { event: *event }));
        for shorts in shorts {
            shorts.drain(DRAIN_MAX, |&Short { stage, step, room }| {
                writer.append(&Record::Short { stage, step, room });
            });
        }
        for event in outputs {
            writer.append(&Record::Output { event: *event });
        }
        for instruction in decisions {
            writer.append(&Record::Decision { decision: Decision::from(instruction) });
        }
        for record in self.gathered.drain(..) {
            writer.append(&record);
        }
        self.tell_losses();
        self.writer.turn(now);
        self.act();
        self.writer.frames() + self.writer.dropped() > frames
    }

    /// Whether every hot thread is gone and all it published was taken.
    pub(super) fn is_drained(&self) -> bool {
        self.inputs.is_drained() && self.shorts.iter().all(Consumer::is_drained) && self.session.is_drained()
    }

    /// What was given to a stage, and came out of it, after its thread had ended.
    pub(super) fn append_late(&mut self, record: &Record) {
        self.writer.append(record);
    }

    /// How it stands.
    pub(super) fn shown(&self) -> JournalShown {
        JournalShown {
            run: self.run,
            frames: self.writer.frames(),
            bytes: self.writer.bytes(),
            lost: self.told.iter().sum(),
            dropped: self.writer.dropped(),
            has_failed: self.writer.failure().is_some(),
        }
    }

    /// Ends the journal in order.
    pub(super) fn close(mut self) -> JournalSummary {
        self.tell_losses();
        self.writer.close();
        let (frames, bytes, lost) = (self.writer.frames(), self.writer.bytes(), self.told.iter().sum());
        JournalSummary { run: self.run, frames, bytes, lost, failure: self.writer.into_failure() }
    }

    fn tell_losses(&mut self) {
        for stream in STREAMS {
            let lost = self.health.lost[stream as usize].load(Ordering::Relaxed);
            let messages = lost - std::mem::replace(&mut self.told[stream as usize], lost);
            if messages > 0 {
                self.writer.append(&Record::Lost { stream, messages });
            }
        }
    }

    /// Does what the policy says, until it is done.
    fn act(&mut self) {
        let is_whole = self.writer.failure().is_none() && self.told.iter().all(|lost| *lost == 0);
        if is_whole {
            self.health.durable.store(self.writer.durable_decisions(), Ordering::Release);
            return;
        }
        self.health.durable.store(FAILED, Ordering::Release);
        if self.acted {
            return;
        }
        // A pause would wait behind orders that may no longer go.
        let before_send = self.writer.config().durability == Durability::BeforeSend;
        let level = match self.on_failure {
            _ if before_send => KillLevel::Halt,
            OnFailure::Halt => KillLevel::Halt,
            OnFailure::Pause => KillLevel::Pause,
            OnFailure::Continue => KillLevel::Open,
        };
        let command = |controls: &Arc<Controls>| controls.command(level, KillCause::Journal, Operator::NOBODY);
        self.acted = level == KillLevel::Open || self.controls.as_ref().is_some_and(command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Body;
    use crate::gateway::SessionConfig;
    use crate::journal::{Head, Reader};
    use crate::runtime::clock::StampClock;
    use crate::runtime::control::Board;
    use crate::sim::{DiskFaults, MemoryDisk};

    struct Rig {
        disk: MemoryDisk,
        taps: HotTaps,
        keeper: Keeper<MemoryDisk>,
        board: Arc<Board>,
        commands: Consumer<Event>,
    }

    fn rig(durability: Durability, on_failure: OnFailure) -> Rig {
        rig_on(MemoryDisk::default(), durability, on_failure)
    }

    fn rig_on(disk: MemoryDisk, durability: Durability, on_failure: OnFailure) -> Rig {
        let config = WriterConfig { segment_bytes: 1 << 20, durability, ..WriterConfig::default() };
        let writer = Writer::begin(disk.clone(), config, Head::of_this_process(1, 1, b"{}"), b"{}").unwrap();
        let blank = Blank::new(&SessionConfig::new("client", "secret").unwrap().into());
        let (taps, keeper) = join(1, writer, on_failure, blank, Arc::default()).unwrap();
        let (commands, [commands_in]) = ring::broadcast(8).unwrap();
        let board = Arc::new(Board::default());
        let controls = Arc::new(Controls::new(commands, Arc::clone(&board), StampClock::calibrate()));
        Rig { disk, taps, keeper: keeper.answering_to(controls), board, commands: commands_in }
    }

    fn clock(time: u64) -> Event {
        Event::clock(Nanos(time))
    }

    fn decision() -> Instruction {
        Instruction::Level(KillLevel::Open)
    }

    fn kill(commands: &mut Consumer<Event>) -> Option<(KillLevel, KillCause)> {
        match commands.try_pop()?.body {
            Body::Kill { level, cause, .. } => Some((level, cause)),
            _ => None,
        }
    }

    #[test]
    fn a_disk_that_refuses_leads_to_the_chosen_state_once() {
        for (policy, expected, halted) in [
            (OnFailure::Halt, Some((KillLevel::Halt, KillCause::Journal)), true),
            (OnFailure::Pause, Some((KillLevel::Pause, KillCause::Journal)), false),
            (OnFailure::Continue, None, false),
        ] {
            let mut rig = rig(Durability::Batched, policy);
            rig.disk.refuse_syncs();
            for turn in 1..5 {
                rig.taps.greeks.as_mut().unwrap().consumed(&clock(turn));
                rig.keeper.write(&[], &[], Nanos(turn * Nanos::PER_SECOND));
            }
            assert_eq!(kill(&mut rig.commands), expected, "{policy:?}");
            assert_eq!((kill(&mut rig.commands), rig.board.is_halted()), (None, halted), "{policy:?}");
            assert!(rig.keeper.close().failure.is_some());
        }
    }

    #[test]
    fn a_disk_that_is_full_cuts_a_write_short_or_fails_a_sync_halts_under_every_durability() {
        let faults = [
            DiskFaults { full_at_write: Some(5), ..DiskFaults::default() },
            DiskFaults { short_at_write: Some(5), ..DiskFaults::default() },
            DiskFaults { fail_at_sync: Some(5), ..DiskFaults::default() },
        ];
        for durability in [Durability::None, Durability::Batched, Durability::BeforeSend] {
            for faults in faults {
                let mut rig = rig_on(MemoryDisk::with_faults(faults), durability, OnFailure::Halt);
                for turn in 1..50 {
                    rig.taps.greeks.as_mut().unwrap().consumed(&clock(turn));
                    rig.keeper.write(&[], &[], Nanos(turn * Nanos::PER_SECOND));
                }
                // Without durability nothing is synced before the end, so that nothing can fail to be.
                let meets_it = durability != Durability::None || faults.fail_at_sync.is_none();
                let expected = meets_it.then_some((KillLevel::Halt, KillCause::Journal));
                assert_eq!(kill(&mut rig.commands), expected, "{durability:?}, {faults:?}");
                assert_eq!(rig.board.is_halted(), meets_it);
            }
        }
    }

    #[test]
    fn a_message_that_finds_its_ring_full_is_a_gap_that_is_told_and_halts() {
        let mut rig = rig(Durability::None, OnFailure::Halt);
        for turn in 0..=INPUT_SLOTS as u64 {
            rig.taps.greeks.as_mut().unwrap().consumed(&clock(turn));
        }
        rig.keeper.write(&[], &[], Nanos(1));
        assert_eq!(kill(&mut rig.commands), Some((KillLevel::Halt, KillCause::Journal)));
        assert_eq!(rig.keeper.close().lost, 1);
        let mut reader = Reader::open(&rig.disk, 1).unwrap();
        let mut gaps = Vec::new();
        while let Some((_, record)) = reader.read().unwrap() {
            gaps.extend(matches!(record, Record::Lost { .. }).then_some(record));
        }
        assert_eq!(gaps, [Record::Lost { stream: Stream::Inputs, messages: 1 }]);
    }

    #[test]
    fn before_send_no_instruction_is_taken_that_a_crash_would_forget() {
        let mut rig = rig(Durability::BeforeSend, OnFailure::Continue);
        let session = rig.taps.session.as_mut().unwrap();
        assert!(!session.permits(false), "nothing is decided");
        rig.keeper.write(&[], &[decision()], Nanos(1));
        assert!(session.permits(false));
        session.instruction(Nanos(1), Ticks(0));
        assert!(!session.permits(false), "one decision, one instruction");

        rig.disk.refuse_syncs();
        rig.keeper.write(&[], &[decision()], Nanos(2));
        assert!(!session.permits(false), "the second is not durable and never will be");
        assert!(session.permits(true), "behind a shut gateway cancels go");
        assert!(rig.board.is_halted(), "whatever the policy says");
    }

    #[test]
    fn without_that_durability_the_gateway_waits_for_nothing() {
        let rig = rig(Durability::Batched, OnFailure::Halt);
        assert!(rig.taps.session.unwrap().permits(false));
    }
}
