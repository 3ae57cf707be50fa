//! A journal on a disk that fails, and whatever bytes may stand in its place: what is read is a prefix of what was
//! written, what is missing inside is said, what was called durable is there.

use hedgecore::event::{Body, Event, KillLevel, Trail};
use hedgecore::gateway::SessionConfig;
use hedgecore::hedge::HedgeConfig;
use hedgecore::journal::{
    Decision, Disk, Durability, Head, Reader, Record, SessionCall, Settings, Writer, WriterConfig, recovery,
    segment_name,
};
use hedgecore::portfolio::GreeksConfig;
use hedgecore::sim::{DiskFaults, MemoryDisk};
use hedgecore::units::{InstrumentId, Nanos, Price};

use super::script::{Script, chances};

const STEPS_MAX: usize = 300;
const RUN: u32 = 1;

pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, segment)) => anything(segment),
        Some((_, script)) => failing_disk(&mut Script::new(script)),
        None => {}
    }
}

/// A segment of somebody else's making.
fn anything(segment: &[u8]) {
    let disk = MemoryDisk::default();
    disk.replace(&segment_name(RUN, 0), segment.to_vec());
    let (records, _) = read(&disk);
    assert!(records.len() <= segment.len());
    let _ = recovery::recover(&disk);
}

fn failing_disk(script: &mut Script<'_>) {
    let at = |script: &mut Script<'_>, most| (script.below(3) == 0).then(|| script.below(most));
    let faults = DiskFaults {
        capacity: at(script, 200_000),
        full_at_write: at(script, 60),
        short_at_write: at(script, 60),
        fail_at_sync: at(script, 60),
    };
    let disk = MemoryDisk::with_faults(faults);
    let durability = [Durability::None, Durability::Batched, Durability::BeforeSend][script.below(3) as usize];
    let config = WriterConfig { segment_bytes: 1_024 << script.below(4), durability, ..WriterConfig::default() };
    let settings = Settings {
        greeks: GreeksConfig::default(),
        hedge: HedgeConfig::default(),
        session: SessionConfig::new("desk", "secret").expect("both fit").into(),
    };
    let settings = settings.to_json();
    let head = Head::of_this_process(RUN, 7, &settings);
    let Ok(mut writer) = Writer::begin(disk.clone(), config, head, &settings) else { return };
    let mut written = vec![Record::Settings { json: settings.into() }];
    let mut now = Nanos(0);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        match script.below(8) {
            0 => {
                now.0 += script.below(10_000_000);
                writer.turn(now);
            }
            choice => {
                let record = record(choice, script);
                if writer.failure().is_none() {
                    written.push(record.clone());
                }
                writer.append(&record);
            }
        }
    }
    let durable = writer.durable_decisions();
    let failed = writer.failure().is_some();
    let (mut is_whole, mut is_flipped) = (!failed, false);
    match script.below(4) {
        0 => {
            writer.close();
            is_whole &= writer.failure().is_none();
            written.push(Record::Closed);
        }
        // The process dies: what was gathered is gone.
        1 => is_whole = false,
        2 => {
            disk.lose_power(script.below(200) as usize);
            is_whole = false;
        }
        _ => {
            writer.turn(Nanos(u64::MAX));
            is_whole &= writer.failure().is_none();
            is_flipped = flip(&disk, script);
        }
    }
    let (read, is_fault) = read(&disk);
    let read: Vec<&Record> = read.iter().filter(|record| !matches!(record, Record::Head { .. })).collect();
    assert!(read.len() <= written.len(), "more was read than written");
    assert!(read.iter().zip(&written).all(|(read, written)| *read == written), "what is read is a prefix");
    if is_whole {
        assert!(read.len() == written.len() || is_flipped, "nothing happened, and something is missing");
        assert!(read.len() == written.len() || is_fault, "something inside is missing, and nobody says so");
    }
    if !is_flipped {
        let decisions = read.iter().filter(|record| matches!(record, Record::Decision { .. })).count() as u64;
        // Without durability it is the system that keeps what was written, until the power fails.
        assert!(decisions >= durable || durability == Durability::None, "{decisions} of {durable} are there");
    }
    let _ = recovery::recover(&disk);
}

fn record(choice: u64, script: &mut Script<'_>) -> Record {
    let number = script.word();
    match choice {
        1..=2 => Record::Decision { decision: Decision::Level { level: KillLevel::ALL[number as usize % 5] } },
        3 => Record::Session { call: SessionCall::Received { time: Nanos(number), bytes: script.bytes(300).into() } },
        _ => {
            let body = Body::Mark { instrument: InstrumentId(number as u16), mark: Price(number as i64) };
            Record::Input { event: Event { trail: Trail::default(), time: Nanos(number), body } }
        }
    }
}

/// One bit of what stands on the disk is another.
fn flip(disk: &MemoryDisk, script: &mut Script<'_>) -> bool {
    let names = disk.list().expect("a list");
    let Some(name) = script.pick(&names) else { return false };
    let mut bytes = disk.read(name).expect("it is listed");
    let Some(bits) = (bytes.len() as u64).checked_mul(8).filter(|bits| *bits > 0) else { return false };
    let bit = script.below(bits) as usize;
    bytes[bit / 8] ^= 1 << (bit % 8);
    disk.replace(name, bytes);
    true
}

/// Every record, and whether the end is one that should not be.
fn read(disk: &MemoryDisk) -> (Vec<Record>, bool) {
    let Ok(mut reader) = Reader::open(disk, RUN) else { return (Vec::new(), true) };
    let mut records = Vec::new();
    while let Some((_, record)) = reader.read().expect("a disk in memory reads") {
        records.push(record);
    }
    (records, reader.end().expect("it has come to the end").is_fault())
}

/// Stories of chance, and segments as a writer leaves them.
pub fn seeds() -> Vec<Vec<u8>> {
    let disk = MemoryDisk::default();
    let config = WriterConfig { segment_bytes: 4_096, ..WriterConfig::default() };
    let head = Head { binary: [0; 32], started: Nanos(1), ..Head::of_this_process(RUN, 7, b"{}") };
    let mut writer = Writer::begin(disk.clone(), config, head, b"{}").expect("a disk without faults");
    let story = chances(1, 2_000).remove(0);
    let mut script = Script::new(&story);
    (1..8).for_each(|choice| writer.append(&record(choice, &mut script)));
    writer.close();
    let segment = disk.read(&segment_name(RUN, 0)).expect("it was written");
    let mut seeds = vec![[&[0], &segment[..]].concat()];
    seeds.extend(chances(6, 800).into_iter().map(|story| [&[1], &story[..]].concat()));
    seeds
}
