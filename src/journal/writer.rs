//! Writes a run's records into segments.
//!
//! Enters: records, and the time now and then. Leaves: frames in segments of a fixed length, reserved in advance, the last
//! one cut to what it holds when the run is closed. Frames are gathered and written a turn at a time; a frame never spans
//! two segments.
//!
//! ```text
//!  000001-000000.journal          000001-000001.journal
//!  [Head][Settings][ ... ]        [Head][ ... ][Closed]
//!    0       1       2 … 911        912   913 …            sequence
//! ```
//!
//! **Durability** is what a crash may take. [`Durability::None`] leaves it to the system when bytes reach the disk: the
//! death of the process takes what was not yet written, the loss of power a good deal more. [`Durability::Batched`] makes
//! the journal durable every so often. [`Durability::BeforeSend`] does so every turn, and the gateway takes no instruction
//! beyond [`Writer::durable_decisions`]: no order leaves that a restart would not know of. The head and the settings are
//! durable before anything runs, in every mode.
//!
//! **Failure** is final: after the first refusal, short write or failed sync nothing more is written, since what a disk
//! says after that is not to be believed. [`Writer::failure`] says what it was; what follows from it is the caller's policy.

use std::io;

use super::disk::{Disk, EXTENSION, Segment};
use super::frame::{self, ALIGNMENT, FRAME_BYTES_MAX, HEADER_BYTES};
use super::record::{Head, Record};
use crate::units::Nanos;

/// What a crash may take from the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Whatever the system had not written.
    None,
    /// The last few milliseconds.
    #[default]
    Batched,
    /// Nothing that an order depends on.
    BeforeSend,
}

/// How a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterConfig {
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// What a crash may take.
    pub durability: Durability,
    /// How long [`Durability::Batched`] gathers, nanoseconds.
    pub batch_ns: u64,
    /// Runs before this one that are kept; older ones are removed when it begins.
    pub runs_kept: usize,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            durability: Durability::default(),
            batch_ns: 5 * Nanos::PER_MILLI,
            runs_kept: 16,
        }
    }
}

/// Why nothing more is written.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot {doing} {segment}: {source}")]
pub struct WriteError {
    /// What failed.
    pub doing: &'static str,
    /// Where.
    pub segment: String,
    /// What the disk said.
    pub source: io::Error,
}

/// Writes one run.
#[derive(Debug)]
pub struct Writer<D: Disk> {
    disk: D,
    config: WriterConfig,
    head: Head,
    segment: Option<D::Segment>,
    /// Bytes of this segment that are written.
    written: u64,
    /// Frames that are not.
    gathered: Vec<u8>,
    record: Vec<u8>,
    sequence: u64,
    synced_at: Nanos,
    /// Something was written since the last sync.
    unsynced: bool,
    bytes: u64,
    decisions: u64,
    durable_decisions: u64,
    dropped: u64,
    failure: Option<WriteError>,
}

impl<D: Disk> Writer<D> {
    /// Begins a run: `head` says which. Its head and `settings` are durable when this returns.
    pub fn begin(disk: D, config: WriterConfig, head: Head, settings: &[u8]) -> Result<Self, WriteError> {
        let mut writer = Self {
            disk,
            config,
            head: Head { segment: 0, ..head },
            segment: None,
            written: 0,
            gathered: Vec::new(),
            record: Vec::new(),
            sequence: 0,
            synced_at: Nanos(0),
            unsynced: false,
            bytes: 0,
            decisions: 0,
            durable_decisions: 0,
            dropped: 0,
            failure: None,
        };
        writer.open_segment();
        writer.append(&Record::Settings { json: settings.into() });
        writer.write_out();
        writer.sync();
        match writer.failure.take() {
            Some(failure) => Err(failure),
            None => {
                writer.retire();
                Ok(writer)
            }
        }
    }

    /// Appends a record, to be written at the next turn.
    pub fn append(&mut self, record: &Record) {
        if self.failure.is_some() {
            self.dropped += 1;
            return;
        }
        self.record.clear();
        record.encode(&mut self.record);
        let length = HEADER_BYTES + self.record.len();
        debug_assert!(length <= FRAME_BYTES_MAX, "a record of {length} bytes");
        let behind = self.written + self.gathered.len() as u64;
        if behind + length.next_multiple_of(ALIGNMENT) as u64 > self.config.segment_bytes && behind > 0 {
            self.rotate();
        }
        self.gather();
        self.decisions += u64::from(matches!(record, Record::Decision { .. }));
    }

    /// Writes what was gathered, and makes it durable when that is due.
    pub fn turn(&mut self, now: Nanos) {
        self.write_out();
        if self.failure.is_some() {
            return;
        }
        let due = match self.config.durability {
            Durability::None => {
                self.durable_decisions = self.decisions;
                false
            }
            Durability::Batched => now.since(self.synced_at) >= self.config.batch_ns,
            Durability::BeforeSend => true,
        };
        if due && self.unsynced {
            self.sync();
            self.synced_at = now;
        }
    }

    /// Ends the run in order.
    pub fn close(&mut self) {
        self.append(&Record::Closed);
        self.write_out();
        self.trim();
    }

    /// Decisions that no crash takes, as far as the durability says.
    pub fn durable_decisions(&self) -> u64 {
        self.durable_decisions
    }

    /// Why nothing more is written, once that is so.
    pub fn failure(&self) -> Option<&WriteError> {
        self.failure.as_ref()
    }

    /// The same, for good.
    pub fn into_failure(self) -> Option<WriteError> {
        self.failure
    }

    /// Frames appended.
    pub fn frames(&self) -> u64 {
        self.sequence
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that came after a failure.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The settings of the writer.
    pub fn config(&self) -> &WriterConfig {
        &self.config
    }

    fn gather(&mut self) {
        let record = &self.record;
        frame::encode(&mut self.gathered, self.sequence, |out| out.extend_from_slice(record));
        self.sequence += 1;
    }

    fn open_segment(&mut self) {
        let name = segment_name(self.head.run, self.head.segment);
        match self.disk.create(&name, self.config.segment_bytes) {
            Ok(segment) => self.segment = Some(segment),
            Err(source) => return self.fail("create", source),
        }
        self.written = 0;
        let mut head = std::mem::take(&mut self.record);
        head.clear();
        Record::Head { head: self.head }.encode(&mut head);
        self.record = head;
        self.gather();
    }

    /// Ends this segment and begins the next; the record at hand comes after the new head.
    fn rotate(&mut self) {
        let record = std::mem::take(&mut self.record);
        self.write_out();
        self.trim();
        self.head.segment += 1;
        if self.failure.is_none() {
            self.open_segment();
        }
        self.record = record;
    }

    fn write_out(&mut self) {
        let mut from = 0;
        while from < self.gathered.len() && self.failure.is_none() {
            let Some(segment) = &mut self.segment else { break };
            match segment.write(&self.gathered[from..]) {
                Ok(0) => self.fail("write all of", io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    from += taken;
                    self.written += taken as u64;
                    self.bytes += taken as u64;
                    self.unsynced = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => self.fail("write to", source),
            }
        }
        self.gathered.clear();
    }

    fn sync(&mut self) {
        let Some(segment) = self.segment.as_mut().filter(|_| self.failure.is_none()) else { return };
        match segment.sync() {
            Ok(()) => {
                self.unsynced = false;
                self.durable_decisions = self.decisions;
            }
            Err(source) => self.fail("make durable", source),
        }
    }

    fn trim(&mut self) {
        let Some(segment) = self.segment.as_mut().filter(|_| self.failure.is_none()) else { return };
        match segment.trim(self.written) {
            Ok(()) => {
                self.unsynced = false;
                self.durable_decisions = self.decisions;
            }
            Err(source) => self.fail("cut", source),
        }
    }

    fn fail(&mut self, doing: &'static str, source: io::Error) {
        let segment = segment_name(self.head.run, self.head.segment);
        self.failure.get_or_insert(WriteError { doing, segment, source });
    }

    /// Removes runs that are no longer kept. What cannot be removed does no harm.
    fn retire(&mut self) {
        let Ok(names) = self.disk.list() else { return };
        let mut runs: Vec<u32> = names.iter().filter_map(|name| parse_name(name)).map(|(run, _)| run).collect();
        runs.dedup();
        let retired = runs.len().saturating_sub(self.config.runs_kept + 1);
        for name in names.iter().filter(|name| parse_name(name).is_some_and(|(run, _)| runs[..retired].contains(&run)))
        {
            let _ = self.disk.remove(name);
        }
    }
}

/// What a segment is called.
pub fn segment_name(run: u32, segment: u32) -> String {
    format!("{run:06}-{segment:06}.{EXTENSION}")
}

/// Run and segment of a name.
pub fn parse_name(name: &str) -> Option<(u32, u32)> {
    let (run, segment) = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split_once('-')?;
    Some((run.parse().ok()?, segment.parse().ok()?))
}
