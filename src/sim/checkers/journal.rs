//! Invariant 9: a journal kept as the recorder keeps it, on a disk that fails, and read back when its process dies.
//!
//! What is read has to be a prefix of what was written; what is missing inside has to be said; what the writer called
//! durable has to be there, whatever the power took; recovery has to know the executions of that prefix and no others.

use std::collections::BTreeSet;

use super::Findings;
use crate::event::{Body, Event};
use crate::gateway::SessionConfig;
use crate::hedge::HedgeConfig;
use crate::journal::recovery::recover;
use crate::journal::{Decision, Durability, End, Head, Reader, Record, Settings, Writer, WriterConfig, hash};
use crate::portfolio::GreeksConfig;
use crate::risk::Instruction;
use crate::sim::MemoryDisk;
use crate::units::Nanos;

/// Small enough that a run fills many.
const SEGMENT_BYTES: u64 = 1 << 16;
/// Runs before the one being written that stay on the disk.
const RUNS_KEPT: usize = 1;

/// The journal of a process, and what is known of it besides.
#[derive(Debug, Default)]
pub struct Journal {
    disk: MemoryDisk,
    writer: Option<Writer<MemoryDisk>>,
    run: u32,
    started_s: u32,
    /// What a crash may take.
    pub durability: Durability,
    /// A hash of every record appended, in order.
    appended: Vec<u64>,
    /// How many of them were appended when the writer last had its turn.
    turned: usize,
    encoded: Vec<u8>,
    has_failed: bool,
    is_flipped: bool,
    has_lost_power: bool,
}

impl Journal {
    /// A process starts on a disk that works.
    pub(super) fn started(&mut self, greeks: &GreeksConfig, hedge: &HedgeConfig, findings: &mut Findings) {
        self.run += 1;
        self.disk.heal();
        self.started_s = hedge.started_s;
        (self.has_failed, self.is_flipped, self.has_lost_power) = (false, false, false);
        self.appended.clear();
        let session = SessionConfig::new("hedgecore", "-").expect("short enough").into();
        let json = Settings { greeks: greeks.clone(), hedge: *hedge, session }.to_json();
        let head = Head {
            run: self.run,
            segment: 0,
            started: Nanos(0),
            started_s: hedge.started_s,
            settings: hash(&json),
            binary: [0; 32],
            instruction_set: [0; 16],
        };
        let config = WriterConfig {
            segment_bytes: SEGMENT_BYTES,
            durability: self.durability,
            runs_kept: RUNS_KEPT,
            ..WriterConfig::default()
        };
        match Writer::begin(self.disk.clone(), config, head, &json) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => findings.add(9, || format!("no journal on a disk that works: {error}")),
        }
        self.digest(&Record::Settings { json: json.into() });
        self.turned = 1;
    }

    pub(super) fn consumed(&mut self, event: &Event) {
        self.append(&Record::Input { event: *event });
    }

    pub(super) fn valued(&mut self, event: &Event) {
        self.append(&Record::Output { event: *event });
    }

    pub(super) fn decided(&mut self, instruction: &Instruction) {
        self.append(&Record::Decision { decision: Decision::from(instruction) });
    }

    /// The recorder's turn.
    pub(super) fn turn(&mut self, now: Nanos) {
        let Some(writer) = &mut self.writer else { return };
        writer.turn(now);
        if writer.failure().is_none() {
            self.turned = self.appended.len();
        }
    }

    /// Whether it could be written no more since this was last asked.
    pub fn fails(&mut self) -> bool {
        let has_failed = self.writer.as_ref().is_some_and(|writer| writer.failure().is_some());
        has_failed && !std::mem::replace(&mut self.has_failed, true)
    }

    /// The disk that it lies on, for what goes wrong there without anybody noticing yet.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// One bit of what was written is another from here on.
    pub fn flip_a_bit(&mut self, choice: u64) {
        self.is_flipped |= self.disk.flip_a_bit(choice);
    }

    /// The power fails, with so many bytes of what was not durable on the disk.
    pub fn lose_power(&mut self, torn: usize) {
        self.has_lost_power = true;
        self.disk.lose_power(torn);
    }

    /// The process is gone: what does the disk hold?
    pub(super) fn judge(&mut self, findings: &mut Findings) {
        let Some(writer) = self.writer.take() else { return };
        let (durable, has_failed) = (writer.durable_decisions(), writer.failure().is_some());
        drop(writer);
        let Some((records, end)) = self.read(findings) else { return };
        let count = records.len();
        let mut encoded = Vec::new();
        let mut same = |(at, record): (usize, &Record)| self.appended.get(at) == Some(&digest(record, &mut encoded));
        if let Some(at) = records.iter().enumerate().position(|entry| !same(entry)) {
            return findings.add(9, || format!("record {at} of run {} reads otherwise than it was written", self.run));
        }
        let is_quiet = !has_failed && !self.has_lost_power;
        if is_quiet && count < self.turned && !(self.is_flipped && end.is_fault()) {
            let turned = self.turned;
            findings.add(9, || format!("{count} of {turned} records are there, and the journal ends {end}"));
        }
        let decisions = records.iter().filter(|record| matches!(record, Record::Decision { .. })).count() as u64;
        if decisions < durable && !self.is_flipped && self.durability != Durability::None {
            findings.add(9, || format!("{durable} decisions were durable, {decisions} are there"));
        }
        self.judge_recovery(&records, findings);
    }

    fn judge_recovery(&self, records: &[Record], findings: &mut Findings) {
        let recovered = match recover(&self.disk) {
            Ok(recovered) => recovered,
            Err(error) => return findings.add(9, || format!("what is on the disk cannot be recovered: {error}")),
        };
        // A run of which not even the settings can be read never came to trade, as far as its journal knows.
        let Some(last) = recovered.last.as_ref().filter(|last| last.head.run == self.run) else {
            if !records.is_empty() || !self.is_flipped {
                findings.add(9, || format!("run {} is not the one that was recovered", self.run));
            }
            return;
        };
        let (mut filled, mut busted) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            let Record::Input { event } = record else { continue };
            match event.body {
                Body::Filled { order, execution, .. } => _ = filled.insert((order, execution)),
                Body::Busted { order, execution, .. } => _ = busted.insert((order, execution)),
                _ => {}
            }
        }
        if last.executions != filled || last.busts != busted {
            let ((fills, busts), recovered) = ((filled.len(), busted.len()), (last.executions.len(), last.busts.len()));
            findings.add(9, || format!("{recovered:?} fills and busts recovered of {fills} and {busts}"));
        }
        if recovered.next_start(0) <= self.started_s {
            findings.add(10, || format!("a run after {} would give its order ids again", self.started_s));
        }
    }

    /// The records of the run but for heads, and how it ends; `None` when not even its beginning can be read.
    fn read(&self, findings: &mut Findings) -> Option<(Vec<Record>, End)> {
        let mut reader = Reader::open(&self.disk, self.run).ok()?;
        let mut records = Vec::new();
        loop {
            match reader.read() {
                Ok(Some((_, Record::Head { .. }))) => {}
                Ok(Some((_, record))) => records.push(record),
                Ok(None) => return Some((records, reader.end()?)),
                Err(error) => {
                    findings.add(9, || format!("a disk that reads does not: {error}"));
                    return None;
                }
            }
        }
    }

    fn append(&mut self, record: &Record) {
        let Some(writer) = self.writer.as_mut().filter(|writer| writer.failure().is_none()) else { return };
        writer.append(record);
        self.digest(record);
    }

    fn digest(&mut self, record: &Record) {
        let digest = digest(record, &mut self.encoded);
        self.appended.push(digest);
    }
}

/// FNV-1a over the words of a record as it is written: that two differ is all it has to say.
fn digest(record: &Record, encoded: &mut Vec<u8>) -> u64 {
    encoded.clear();
    record.encode(encoded);
    encoded.chunks(8).fold(0xCBF2_9CE4_8422_2325 ^ encoded.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a judge finds invariant 9 broken in a journal of two hundred events after `change`.
    fn is_blamed(change: impl FnOnce(&mut Journal)) -> bool {
        let (mut journal, mut findings) = (Journal::default(), Findings::default());
        journal.started(&GreeksConfig::default(), &HedgeConfig::default(), &mut findings);
        for at in 0..200 {
            journal.consumed(&Event::clock(Nanos(at)));
            journal.turn(Nanos(at * Nanos::PER_SECOND));
        }
        change(&mut journal);
        journal.judge(&mut findings);
        findings.violations.iter().any(|violation| violation.invariant == 9)
    }

    #[test]
    fn a_disk_that_did_what_it_should_is_not_blamed() {
        assert!(!is_blamed(|_| {}));
        assert!(!is_blamed(|journal| journal.lose_power(0)), "everything was durable");
        assert!(!is_blamed(|journal| journal.flip_a_bit(30_000)), "what is damaged is said to be");
    }

    #[test]
    fn records_that_are_gone_or_others_are_found() {
        assert!(is_blamed(|journal| _ = journal.disk().flip_a_bit(30_000)), "nobody knows of a turned bit");
        assert!(is_blamed(|journal| journal.appended[100] ^= 1), "one reads otherwise");
    }
}
