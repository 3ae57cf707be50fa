//! Reads a run back: a prefix of what was written, and how it ends.
//!
//! Enters: the segments of a run. Leaves: its records in order, up to the first place where no whole frame with the next
//! number stands, and an [`End`] that says what stands there. Nothing behind that place is ever handed out. Cost: a
//! segment in memory at a time; damage is searched behind once, for whether anything follows it.

use std::fmt;
use std::io;

use super::disk::Disk;
use super::frame::{self, Found};
use super::record::{Head, Record};
use super::writer::{parse_name, segment_name};

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Run.
    pub run: u32,
    /// Segment of the run.
    pub segment: u32,
    /// Byte of the segment.
    pub offset: usize,
    /// Number of the frame.
    pub sequence: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {} ({}, byte {})", self.sequence, segment_name(self.run, self.segment), self.offset)
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Closed,
    /// Between two frames, without having been closed: the process died, or still runs.
    Open,
    /// Inside a frame that was not wholly written, or whose end was overwritten; nothing follows.
    Torn,
    /// In damage that more of the journal follows.
    Damaged(Damage),
}

/// What is wrong where a journal goes on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Bytes that are no frame, and frames behind them.
    Frame,
    /// A frame with another number than the next.
    Sequence,
    /// A segment is missing, or does not say that it is the next of its run.
    Segment,
    /// A whole frame that this version cannot read.
    Record,
}

impl End {
    /// Whether bytes were found that should not be there, or not found that should.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Torn | Self::Damaged(_))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed in order",
            Self::Open => "not closed: the process died, or still runs",
            Self::Torn => "torn: the last frame is not whole",
            Self::Damaged(Damage::Frame) => "damaged: bytes that are no frame, with frames behind them",
            Self::Damaged(Damage::Sequence) => "damaged: a frame is missing, or stands twice",
            Self::Damaged(Damage::Segment) => "damaged: a segment is missing, or is not what its name says",
            Self::Damaged(Damage::Record) => "unreadable: a record that this version does not know",
        })
    }
}

/// Reads one run.
#[derive(Debug)]
pub struct Reader<'a, D> {
    disk: &'a D,
    place: Place,
    bytes: Vec<u8>,
    closed: bool,
    end: Option<End>,
}

/// The numbers of the runs on a disk, ascending.
pub fn runs(disk: &impl Disk) -> io::Result<Vec<u32>> {
    let mut runs: Vec<u32> = disk.list()?.iter().filter_map(|name| parse_name(name)).map(|(run, _)| run).collect();
    runs.sort_unstable();
    runs.dedup();
    Ok(runs)
}

impl<'a, D: Disk> Reader<'a, D> {
    /// The beginning of a run.
    pub fn open(disk: &'a D, run: u32) -> io::Result<Self> {
        let bytes = disk.read(&segment_name(run, 0))?;
        Ok(Self { disk, place: Place { run, ..Place::default() }, bytes, closed: false, end: None })
    }

    /// A later segment, the first frame of which has this number.
    pub fn open_at(disk: &'a D, run: u32, segment: u32, sequence: u64) -> io::Result<Self> {
        let bytes = disk.read(&segment_name(run, segment))?;
        Ok(Self { disk, place: Place { run, segment, offset: 0, sequence }, bytes, closed: false, end: None })
    }

    /// The next record and where it stands; `None` at the [`end`](Self::end).
    pub fn read(&mut self) -> io::Result<Option<(Place, Record)>> {
        if self.end.is_some() {
            return Ok(None);
        }
        if self.place.offset == self.bytes.len() && !self.next_segment()? {
            return Ok(None);
        }
        let place = self.place;
        match self.take() {
            Ok(record) => Ok(Some((place, record))),
            Err(end) => {
                let behind = end != End::Closed && self.goes_on()?;
                self.end =
                    Some(if behind && !matches!(end, End::Damaged(_)) { End::Damaged(Damage::Frame) } else { end });
                Ok(None)
            }
        }
    }

    /// How the run ends, once [`read`](Self::read) has come to it.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where the next record stands, or what ends the run.
    pub fn place(&self) -> Place {
        self.place
    }

    fn take(&mut self) -> Result<Record, End> {
        let at_start = self.place.offset == 0;
        match frame::decode(&self.bytes[self.place.offset..]) {
            Found::Nothing if self.closed => Err(End::Closed),
            Found::Nothing => Err(End::Open),
            Found::Damage => Err(End::Torn),
            Found::Frame { sequence, .. } if sequence != self.place.sequence => Err(End::Damaged(Damage::Sequence)),
            Found::Frame { .. } if self.closed => Err(End::Damaged(Damage::Sequence)),
            Found::Frame { record, stride, .. } => {
                let record = Record::decode(record).ok_or(End::Damaged(Damage::Record))?;
                let expected = |head: &Head| head.run == self.place.run && head.segment == self.place.segment;
                let is_head = matches!(&record, Record::Head { head } if expected(head));
                if is_head != at_start || (!is_head && matches!(record, Record::Head { .. })) {
                    return Err(End::Damaged(Damage::Segment));
                }
                self.closed = record == Record::Closed;
                self.place.offset += stride;
                self.place.sequence += 1;
                Ok(record)
            }
        }
    }

    /// Goes on in the next segment; at the end of the last one says how the run ends.
    fn next_segment(&mut self) -> io::Result<bool> {
        let name = segment_name(self.place.run, self.place.segment + 1);
        if !self.disk.list()?.contains(&name) {
            let missing = self.has_later_segment()?;
            self.end = Some(match (missing, self.closed) {
                (true, _) => End::Damaged(Damage::Segment),
                (false, true) => End::Closed,
                (false, false) => End::Open,
            });
            return Ok(false);
        }
        self.bytes = self.disk.read(&name)?;
        self.place = Place { segment: self.place.segment + 1, offset: 0, ..self.place };
        Ok(true)
    }

    /// Whether anything whole stands behind this place.
    fn goes_on(&self) -> io::Result<bool> {
        let behind = &self.bytes[self.place.offset..];
        Ok(self.place.sequence.checked_sub(1).is_some_and(|last| frame::follows(behind, last))
            || self.has_later_segment()?)
    }

    fn has_later_segment(&self) -> io::Result<bool> {
        let later = |name: &String| {
            parse_name(name).is_some_and(|(run, segment)| run == self.place.run && segment > self.place.segment)
        };
        Ok(self.disk.list()?.iter().any(later))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Settings, Writer, WriterConfig};
    use super::*;
    use crate::event::{Body, Event, Trail};
    use crate::sim::{DiskFaults, MemoryDisk};
    use crate::units::{InstrumentId, Nanos, Price};

    fn input(number: u64) -> Record {
        let body = Body::Mark { instrument: InstrumentId(1), mark: Price(number as i64) };
        Record::Input { event: Event { trail: Trail::default(), time: Nanos(number), body } }
    }

    fn small(durability: Durability) -> WriterConfig {
        WriterConfig { segment_bytes: 1_024, durability, ..WriterConfig::default() }
    }

    fn begin(disk: &MemoryDisk, run: u32, durability: Durability) -> Writer<MemoryDisk> {
        Writer::begin(disk.clone(), small(durability), Head::of_this_process(run, 7, b"{}"), b"{}").unwrap()
    }

    /// The inputs that are read back, by number, and how the run ends.
    fn read(disk: &MemoryDisk, run: u32) -> (Vec<u64>, End) {
        let mut reader = Reader::open(disk, run).unwrap();
        let mut numbers = Vec::new();
        while let Some((_, record)) = reader.read().unwrap() {
            if let Record::Input { event } = record {
                numbers.push(event.time.0);
            }
        }
        (numbers, reader.end().unwrap())
    }

    fn write(disk: &MemoryDisk, run: u32, count: u64) {
        let mut writer = begin(disk, run, Durability::None);
        for number in 0..count {
            writer.append(&input(number));
            writer.turn(Nanos(number));
        }
        writer.close();
        assert!(writer.failure().is_none());
    }

    #[test]
    fn a_run_of_many_segments_comes_back_whole_and_in_order() {
        let disk = MemoryDisk::default();
        write(&disk, 1, 200);
        assert!(disk.list().unwrap().len() > 10);
        assert_eq!(read(&disk, 1), ((0..200).collect(), End::Closed));
    }

    #[test]
    fn runs_do_not_mix() {
        let disk = MemoryDisk::default();
        write(&disk, 1, 30);
        write(&disk, 2, 3);
        assert_eq!(runs(&disk).unwrap(), [1, 2]);
        assert_eq!(read(&disk, 1), ((0..30).collect(), End::Closed));
        assert_eq!(read(&disk, 2), ((0..3).collect(), End::Closed));
    }

    #[test]
    fn power_lost_at_any_moment_leaves_a_prefix_that_reaches_the_last_sync() {
        for torn in 0..200 {
            let disk = MemoryDisk::default();
            let mut writer = begin(&disk, 1, Durability::BeforeSend);
            (0..20).for_each(|number| writer.append(&input(number)));
            writer.turn(Nanos(1));
            disk.refuse_syncs();
            (20..23).for_each(|number| writer.append(&input(number)));
            writer.turn(Nanos(2));
            assert!(writer.failure().is_some());
            disk.lose_power(torn);
            let (numbers, end) = read(&disk, 1);
            assert!(numbers.len() >= 20 && numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
            assert!(matches!(end, End::Open | End::Torn), "{end:?}");
        }
    }

    #[test]
    fn each_durability_keeps_what_it_promises_when_the_power_fails_and_all_when_the_process_does() {
        // A turn each millisecond, and a batch of five of them.
        for (durability, kept) in [(Durability::None, 0), (Durability::Batched, 16), (Durability::BeforeSend, 20)] {
            let disk = MemoryDisk::default();
            let config = WriterConfig { durability, batch_ns: 5 * Nanos::PER_MILLI, ..WriterConfig::default() };
            let head = Head::of_this_process(1, 7, b"{}");
            let mut writer = Writer::begin(disk.clone(), config, head, b"{}").unwrap();
            for number in 0..20 {
                writer.append(&input(number));
                writer.turn(Nanos((10 + number) * Nanos::PER_MILLI));
            }
            assert_eq!(read(&disk, 1).0, (0..20).collect::<Vec<_>>(), "{durability:?}: the system has all of it");
            disk.lose_power(0);
            assert_eq!(read(&disk, 1), ((0..kept).collect(), End::Open), "{durability:?}");
        }
    }

    #[test]
    fn a_missing_segment_and_a_doubled_one_are_damage() {
        let disk = MemoryDisk::default();
        write(&disk, 1, 200);
        let whole = disk.read(&segment_name(1, 4)).unwrap();
        disk.clone().remove(&segment_name(1, 4)).unwrap();
        assert_eq!(read(&disk, 1).1, End::Damaged(Damage::Segment));
        disk.replace(&segment_name(1, 4), disk.read(&segment_name(1, 3)).unwrap());
        assert_eq!(read(&disk, 1).1, End::Damaged(Damage::Sequence));
        disk.replace(&segment_name(1, 4), whole);
        assert_eq!(read(&disk, 1).1, End::Closed);
    }

    #[test]
    fn every_way_a_disk_fails_is_told_and_leaves_a_prefix() {
        let cases = [
            DiskFaults { capacity: Some(4_096), ..DiskFaults::default() },
            DiskFaults { full_at_write: Some(5), ..DiskFaults::default() },
            DiskFaults { short_at_write: Some(5), ..DiskFaults::default() },
            DiskFaults { fail_at_sync: Some(5), ..DiskFaults::default() },
        ];
        for faults in cases {
            let disk = MemoryDisk::with_faults(faults);
            let mut writer = begin(&disk, 1, Durability::BeforeSend);
            for number in 0..100 {
                writer.append(&input(number));
                writer.turn(Nanos(number));
            }
            assert!(writer.failure().is_some() && writer.dropped() > 0, "{faults:?}");
            let (numbers, end) = read(&disk, 1);
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{faults:?}: {numbers:?}");
            assert!(numbers.len() < 100 && end != End::Closed, "{faults:?}: {end:?}");
        }
    }

    #[test]
    fn a_disk_that_is_full_from_the_start_begins_no_run() {
        let disk = MemoryDisk::with_faults(DiskFaults { capacity: Some(100), ..DiskFaults::default() });
        let head = Head::of_this_process(1, 7, b"{}");
        let error = Writer::begin(disk, small(Durability::None), head, b"{}").unwrap_err();
        assert_eq!(error.doing, "create");
    }

    #[test]
    fn only_the_latest_runs_are_kept() {
        let disk = MemoryDisk::default();
        for run in 1..=5 {
            let config = WriterConfig { runs_kept: 2, ..small(Durability::None) };
            let head = Head::of_this_process(run, 7, b"{}");
            Writer::begin(disk.clone(), config, head, b"{}").unwrap().close();
        }
        assert_eq!(runs(&disk).unwrap(), [3, 4, 5]);
    }

    #[test]
    fn settings_come_back_and_the_secret_does_not() {
        let session = crate::gateway::SessionConfig::new("client", "swordfish").unwrap().into();
        let settings = Settings { greeks: Default::default(), hedge: Default::default(), session };
        let json = settings.to_json();
        assert!(!String::from_utf8_lossy(&json).contains("swordfish") && !json.windows(4).any(|w| w == b"115,"));
        let back = Settings::from_json(&json).unwrap();
        assert_eq!((back.greeks, back.hedge), (settings.greeks, settings.hedge));
        let crate::gateway::ProtocolConfig::Starbase(session) = back.session.protocol else {
            panic!("another protocol")
        };
        assert_eq!(session.secret.0, [0; 48]);
    }

    #[test]
    fn settings_that_do_not_say_for_how_many_instruments_mean_as_many_as_there_can_be() {
        let session = crate::gateway::SessionConfig::new("client", "swordfish").unwrap().into();
        let settings = Settings { greeks: Default::default(), hedge: Default::default(), session };
        let mut json: serde_json::Value = serde_json::from_slice(&settings.to_json()).unwrap();
        for holder in ["/hedge", "/greeks/capacity"] {
            let fields = json.pointer_mut(holder).and_then(serde_json::Value::as_object_mut).unwrap();
            assert!(fields.remove("instruments").is_some(), "{holder}");
        }
        let back = Settings::from_json(json.to_string().as_bytes()).unwrap();
        assert_eq!((back.greeks, back.hedge), (settings.greeks, settings.hedge));
    }
}
