//! Crashes: a real process killed in the middle of a session, and a journal cut or damaged anywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hedgecore::event::{Body, Event};
use hedgecore::feed::FeedConfig;
use hedgecore::gateway::{ResetPolicy, SessionConfig};
use hedgecore::hedge::HedgeConfig;
use hedgecore::instrument::OptionKind;
use hedgecore::journal::recovery::{Account, Policy, Recovery, Witness, reconcile, recover};
use hedgecore::journal::replay::{Topology, replay};
use hedgecore::journal::{Directory, Disk, Durability, End, Place, Reader, Record, WriterConfig, segment_name};
use hedgecore::order::ClientOrderIds;
use hedgecore::portfolio::{GreeksConfig, OpeningBook};
use hedgecore::runtime::control::ControlConfig;
use hedgecore::runtime::placement::{self, Request};
use hedgecore::runtime::socket::{FeedAddress, OrderAddress};
use hedgecore::runtime::{JournalConfig, OnFailure, Pipeline, PipelineConfig, catch_up};
use hedgecore::sim::MemorySegment;
use hedgecore::sim::venue::{Statement, Universe, VenueConfig, VenueHandle, VenueServer};
use hedgecore::surface::SurfaceConfig;
use hedgecore::units::{ClientOrderId, ExecutionId, Lots, Nanos, VenueInstrumentId};

/// How long a session may take to trade.
const PATIENCE: Duration = Duration::from_secs(90);

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recovery-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn now_s() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32
}

/// The book that the venue says we hold: short calls, long puts.
fn book(start: Nanos) -> Vec<(VenueInstrumentId, String, Lots)> {
    let universe = Universe::new(&VenueConfig::default().universe, start);
    let options = universe.contracts.into_iter().filter_map(|contract| {
        let lots = if contract.option? == OptionKind::Call { Lots(-3) } else { Lots(2) };
        Some((contract.venue, contract.name, lots))
    });
    options.collect()
}

fn venue(start: Nanos) -> VenueHandle {
    let positions = book(start).into_iter().map(|(_, name, lots)| (name, lots)).collect();
    VenueServer::spawn(VenueConfig { start, positions, ..VenueConfig::default() }).unwrap()
}

fn credentials() -> SessionConfig {
    let venue = VenueConfig::default();
    SessionConfig::new(&venue.session.client_id, &venue.session.secret).unwrap()
}

fn config(feeds: Vec<FeedAddress>, orders: SocketAddr, start: Nanos, directory: &Path) -> PipelineConfig {
    let request = Request { topology: "fused".parse().unwrap(), cores: None, idle: None };
    let opening = book(start).into_iter().map(|(venue, _, lots)| (venue, lots)).collect();
    let writer = WriterConfig { segment_bytes: 8 << 10, durability: Durability::Batched, ..WriterConfig::default() };
    PipelineConfig {
        plan: placement::plan(&request, &placement::available_cores()).unwrap(),
        feeds,
        orders: OrderAddress::new(orders),
        feed: FeedConfig::default(),
        greeks: GreeksConfig { opening: OpeningBook::Positions(opening), ..GreeksConfig::default() },
        surface: SurfaceConfig::default(),
        hedge: HedgeConfig { started_s: now_s(), ..HedgeConfig::default() },
        session: credentials().into(),
        control: ControlConfig { silence_max_ns: 60 * Nanos::PER_SECOND, ..ControlConfig::default() },
        journal: Some(JournalConfig { directory: directory.to_owned(), writer, on_failure: OnFailure::Halt }),
        drop_copy: None,
    }
}

fn account(statement: &Statement) -> Account {
    let held = statement.positions.iter().filter(|position| position.lots.0 != 0);
    let positions = held.map(|position| (position.instrument, position.lots)).collect();
    Account { positions, open_orders: statement.open_orders }
}

/// Waits until the venue has seen so many fills and the journal holds so many bytes.
fn wait_for(venue: &VenueHandle, fills: u64, directory: &Path, bytes: u64) {
    let began = Instant::now();
    let size = || -> u64 {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().map_or(0, |file| file.len())).sum()
    };
    while venue.statement().unwrap().fills < fills || size() < bytes {
        assert!(began.elapsed() < PATIENCE, "{} fills, {} bytes", venue.statement().unwrap().fills, size());
        sleep(Duration::from_millis(20));
    }
}

fn started() -> Nanos {
    Nanos(u64::from(now_s()) * Nanos::PER_SECOND)
}

/// Not a test: the process that [`a_killed_process_starts_again_from_its_journal`] kills.
#[test]
#[ignore = "runs until it is killed"]
fn the_process_that_is_killed() {
    let Ok(setting) = std::env::var("HEDGECORE_TEST_PIPELINE") else { return };
    let [incremental, snapshot, orders, start, directory] = setting.split(' ').collect::<Vec<_>>()[..] else { return };
    let feed = |text: &str| FeedAddress::new(text.parse::<SocketAddrV4>().unwrap(), Ipv4Addr::LOCALHOST);
    let start = Nanos(start.parse().unwrap());
    let feeds = vec![feed(incremental), feed(snapshot)];
    let _pipeline = Pipeline::start(config(feeds, orders.parse().unwrap(), start, Path::new(directory))).unwrap();
    sleep(2 * PATIENCE);
}

#[test]
fn the_demo_loses_its_pipeline_and_goes_on() {
    let directory = scratch("demo");
    let run = Command::new(env!("CARGO_BIN_EXE_hedgecore"))
        .args(["demo", "--seconds", "4", "--crash-after", "2", "--out", directory.to_str().unwrap()])
        .output()
        .unwrap();
    let (printed, told) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    assert!(printed.contains("lost the pipeline, and read its journal back to frame"), "{told}\n{printed}");
    assert!(printed.contains("positions equal the venue's"), "{told}\n{printed}");
    let disk = Directory::open(&directory.join("journal")).unwrap();
    assert_eq!(hedgecore::journal::runs(&disk).unwrap(), [1, 2]);
}

#[test]
fn a_killed_process_starts_again_from_its_journal() {
    let (start, directory) = (started(), scratch("killed"));
    let venue = venue(start);
    let [incremental, snapshot] = [0, 1].map(|line: usize| venue.feed_addresses()[line].address);
    let setting =
        format!("{incremental} {snapshot} {} {} {}", venue.order_address(), start.0, directory.to_str().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--ignored", "--nocapture"])
        .env("HEDGECORE_TEST_PIPELINE", setting)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&venue, 3, &directory, 0);
    // On a machine with much else to do the recorder may be seconds behind.
    let disk = Directory::open(&directory).unwrap();
    let began = Instant::now();
    while recover(&disk).unwrap().last.is_none_or(|run| run.orders.is_empty()) {
        assert!(began.elapsed() < PATIENCE, "no order reached the journal");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let recovered = recover(&disk).unwrap();
    let last = recovered.last.clone().unwrap();
    assert!(!last.closed && recovered.end != End::Closed, "{}", recovered.end);
    let config = config(venue.feed_addresses().to_vec(), venue.order_address(), start, &directory);
    let witness = catch_up(venue.order_address(), &last, credentials()).unwrap();
    let account = account(&venue.statement().unwrap());
    let (agreement, differences) = reconcile(&witness, &account, Policy::Halt);
    let agreement = agreement.unwrap_or_else(|| panic!("{differences:?}"));
    assert_eq!(agreement.opening, account.positions);
    assert!(witness.unwitnessed.is_empty() && witness.agreed.open.is_empty());

    let opening = OpeningBook::Positions(agreement.opening.into_iter().collect());
    let pipeline = Pipeline::start(PipelineConfig {
        greeks: GreeksConfig { opening, ..config.greeks },
        hedge: HedgeConfig { started_s: recovered.next_start(now_s()), ..config.hedge },
        session: SessionConfig { reset: ResetPolicy::Never, resume: agreement.numbers, ..credentials() }.into(),
        ..config
    })
    .unwrap();
    let fills = venue.statement().unwrap().fills;
    wait_for(&venue, fills + 1, &directory, 0);
    venue.freeze();
    let (mut fills, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        let present = venue.statement().unwrap().fills;
        if present != fills {
            (fills, since) = (present, Instant::now());
        }
        sleep(Duration::from_millis(20));
    }
    let finished = pipeline.stop().unwrap();
    assert!(finished.journal.unwrap().failure.is_none());
    let theirs = self::account(&venue.stop().unwrap()).positions;
    let catalogue = finished.greeks.catalogue();
    let ours: BTreeMap<_, _> = finished
        .greeks
        .positions()
        .filter_map(|(id, lots)| Some((catalogue.find(id)?.venue, lots)))
        .filter(|(_, lots)| lots.0 != 0)
        .collect();
    assert_eq!(ours, theirs, "after the second run");

    let second = recover(&disk).unwrap().last.unwrap();
    assert_eq!((last.head.run, second.head.run, second.closed), (1, 2, true));
    assert!(!last.orders.is_empty(), "the first run decided on something");
    assert!(last.orders.is_disjoint(&second.orders), "an order id was used twice");
    for run in [1, 2] {
        let replayed = replay(&disk, run, Topology::Fused, &mut |_| {}).unwrap();
        assert!(replayed.is_verified() && replayed.bytes_equal > 0, "run {run}: {:?}", replayed.difference);
    }
}

/// A session of at least a megabyte of journal, and everything that later tests compare with.
struct Session {
    segments: Vec<Vec<u8>>,
    /// Each record with the place behind it.
    records: Vec<(Place, Record)>,
    /// What the fold held at the beginning of each segment, and the number of its first frame.
    checkpoints: Vec<(Option<Recovery>, u64)>,
    /// Every report of the session, as the venue would send them again.
    reports: Vec<Event>,
    orders: BTreeSet<ClientOrderId>,
    account: Account,
    /// The witness as one real session had it.
    witness: Witness,
}

fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let (start, directory) = (started(), scratch("session"));
        let venue = venue(start);
        let config = config(venue.feed_addresses().to_vec(), venue.order_address(), start, &directory);
        let pipeline = Pipeline::start(config).unwrap();
        wait_for(&venue, 3, &directory, 9 << 17);
        pipeline.abandon();

        let disk = Directory::open(&directory).unwrap();
        let (mut records, mut checkpoints, mut recovery) = (Vec::new(), Vec::new(), None);
        let mut reader = Reader::open(&disk, 1).unwrap();
        while let Some((place, record)) = reader.read().unwrap() {
            if place.offset == 0 {
                checkpoints.push((recovery.clone(), place.sequence));
            }
            Recovery::take(&mut recovery, &record).unwrap();
            records.push((reader.place(), record));
        }
        let recovery = recovery.unwrap();
        let witness = catch_up(venue.order_address(), &recovery, credentials()).unwrap();
        let inputs = records.iter().filter_map(|(_, record)| match record {
            Record::Input { event } if event.body.is_report() => Some(*event),
            _ => None,
        });
        let reports = inputs.chain(witness.missed.iter().copied()).collect();
        let segments = (0..checkpoints.len() as u32).map(|n| disk.read(&segment_name(1, n)).unwrap()).collect();
        let account = account(&venue.stop().unwrap());
        Session { segments, records, checkpoints, reports, orders: recovery.orders, account, witness }
    })
}

/// The session's journal with everything behind a byte gone, or one bit the other way.
struct Hurt<'a> {
    segments: &'a [Vec<u8>],
    cut: Option<(usize, usize)>,
    flipped: Option<(usize, usize)>,
}

impl Disk for Hurt<'_> {
    type Segment = MemorySegment;

    fn create(&mut self, _: &str, _: u64) -> io::Result<MemorySegment> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let last = self.cut.map_or(self.segments.len() - 1, |(segment, _)| segment);
        Ok((0..=last as u32).map(|segment| segment_name(1, segment)).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let segment = hedgecore::journal::parse_name(name).unwrap().1 as usize;
        let mut bytes = self.segments[segment].clone();
        if let Some((_, offset)) = self.cut.filter(|(cut, _)| *cut == segment) {
            bytes.truncate(offset);
        }
        if let Some((_, bit)) = self.flipped.filter(|(flipped, _)| *flipped == segment) {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(bytes)
    }

    fn remove(&mut self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// What is read back of a hurt journal from the segment of the damage on: how many frames in all, how it ends, and what
/// the fold holds.
fn read_back(session: &Session, disk: &Hurt<'_>, segment: usize) -> (u64, End, Option<Recovery>) {
    let (mut recovery, sequence) = session.checkpoints[segment].clone();
    let mut reader = Reader::open_at(disk, 1, segment as u32, sequence).unwrap();
    while let Some((place, record)) = reader.read().unwrap() {
        if place.segment as usize > segment {
            break;
        }
        assert_eq!(record, session.records[place.sequence as usize].1, "not what was written at {place}");
        Recovery::take(&mut recovery, &record).unwrap();
    }
    (reader.place().sequence, reader.end().unwrap_or(End::Open), recovery)
}

/// Position by contract from the first `frames` records alone, added up the plain way.
fn plain_positions(session: &Session, frames: u64, start: &BTreeMap<VenueInstrumentId, Lots>) -> BTreeMap<u32, i64> {
    let (mut held, mut contracts, mut seen) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::<ExecutionId>::new());
    held.extend(start.iter().map(|(venue, lots)| (venue.0, lots.0)));
    for (_, record) in &session.records[..frames as usize] {
        match record {
            Record::Input { event: Event { body: Body::Listed { instrument, venue, .. }, .. } } => {
                contracts.insert(*instrument, venue.0);
            }
            Record::Input { event: Event { body: Body::Filled { execution, instrument, side, lots, .. }, .. } }
                if seen.insert(*execution) =>
            {
                *held.entry(contracts[instrument]).or_default() += side.sign() * i64::from(*lots);
            }
            _ => {}
        }
    }
    held.retain(|_, lots| *lots != 0);
    held
}

#[test]
fn a_journal_cut_at_any_byte_gives_a_prefix_and_the_venues_position_after_reconciliation() {
    let session = session();
    let bytes: usize = session.segments.iter().map(Vec::len).sum();
    assert!(bytes > 1 << 20, "only {bytes} bytes were recorded");
    let settings = session.witness.agreed.settings.as_ref().unwrap();
    let OpeningBook::Positions(opening) = &settings.greeks.opening else { panic!("the book has positions") };
    let opening: BTreeMap<_, _> = opening.iter().copied().collect();
    let highest = *session.orders.last().unwrap();
    let (mut cuts, mut reconciled) = (0, 0);
    let mut behind = 0;
    for (number, (place, _)) in session.records.iter().enumerate() {
        let segment = place.segment as usize;
        if place.offset < behind {
            behind = 0;
        }
        // The boundary, the bytes around it, and one inside that moves along from frame to frame.
        let inside = behind + 1 + number % (place.offset - behind - 1).max(1);
        let offsets = if number % 8 == 0 { vec![place.offset, place.offset - 1, inside] } else { vec![place.offset] };
        for offset in offsets {
            let disk = Hurt { segments: &session.segments, cut: Some((segment, offset)), flipped: None };
            let (frames, end, recovery) = read_back(session, &disk, segment);
            let whole = number as u64 + u64::from(offset == place.offset);
            assert!(frames >= whole && frames <= number as u64 + 1, "{frames} of {whole} frames at {place}");
            // A rest of zeros cannot be told from what was never written.
            let is_torn = frames == whole && session.segments[segment][behind..offset].iter().any(|byte| *byte != 0);
            let is_boundary = offset == place.offset;
            assert_eq!(end, if is_torn && !is_boundary { End::Torn } else { End::Open }, "{place}");
            cuts += 1;
            let Some(recovery) = recovery.filter(Recovery::has_begun) else { continue };
            assert!(ClientOrderIds::new(recovery.head.started_s + 1).next() > highest, "an order id could return");
            if cuts % 97 == 0 {
                let held: BTreeMap<_, _> = recovery.held().into_iter().map(|(venue, lots)| (venue.0, lots.0)).collect();
                assert_eq!(held, plain_positions(session, frames, &opening), "at {place}");
            }
            if cuts % 13 == 0 {
                reconciled += u64::from(agrees_with_the_venue(session, recovery));
            }
        }
        behind = place.offset;
    }
    assert!(cuts > 10_000 && reconciled > 300, "{cuts} cuts, {reconciled} reconciled without a person");
}

/// Whether journal and resend add up to the venue's account; where they cannot, because contracts were listed behind the
/// cut, the venue's account must still be what a person would adopt.
fn agrees_with_the_venue(session: &Session, recovery: Recovery) -> bool {
    let known: BTreeSet<_> = recovery.executions.clone();
    let mut witness = Witness { agreed: recovery, missed: Vec::new(), ..session.witness.clone() };
    for report in &session.reports {
        if witness.agreed.apply(&report.body) {
            witness.missed.push(*report);
        }
    }
    // What the venue answered when every order was asked back.
    witness.agreed.open.retain(|order, _| session.witness.agreed.open.contains_key(order));
    let (adopted, _) = reconcile(&witness, &session.account, Policy::Adopt);
    assert_eq!(adopted.unwrap().opening, session.account.positions);
    let (agreement, differences) = reconcile(&witness, &session.account, Policy::Halt);
    let is_listed = witness.agreed.contracts.len() == session.witness.agreed.contracts.len();
    assert!(agreement.is_some() || !is_listed, "{differences:?} with {} executions known", known.len());
    agreement.is_some()
}

#[test]
fn no_flipped_bit_goes_unreported_or_changes_what_is_read() {
    let session = session();
    let mut flips = 0;
    for (segment, bytes) in session.segments.iter().enumerate() {
        let is_last = segment + 1 == session.segments.len();
        for at in 0..40 {
            let bit = (at * 977 + segment * 131) * 613 % (bytes.len() * 8);
            let disk = Hurt { segments: &session.segments, cut: None, flipped: Some((segment, bit)) };
            let (frames, end, _) = read_back(session, &disk, segment);
            assert!(end.is_fault(), "bit {bit} of segment {segment}: {end}, {frames} frames");
            assert!(matches!(end, End::Damaged(_)) || is_last, "more follows bit {bit} of segment {segment}: {end}");
            flips += 1;
        }
    }
    assert!(flips > 2_000, "{flips}");
}
