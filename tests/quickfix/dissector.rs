//! What tshark makes of our bytes.

use std::path::PathBuf;
use std::process::Command;

use crate::{PERPETUAL, PRICE, approved, gateway};
use etherparse::PacketBuilder;
use hedgecore::event::Trail;
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Acceptor, FixRules, Taken};
use hedgecore::order::{OrderStore, Request, TimeInForce};
use hedgecore::units::*;
use hedgecore::wire::fix::kind;

const START: Nanos = Nanos(1_795_374_000 * Nanos::PER_SECOND);
const PORT: u16 = 9_881;

/// A capture of segments from the client or from the venue.
#[derive(Default)]
struct Capture {
    bytes: Vec<u8>,
    sequences: [u32; 2],
}

impl Capture {
    fn segment(&mut self, from_client: bool, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let (ours, theirs) = (self.sequences[usize::from(!from_client)], self.sequences[usize::from(from_client)]);
        let (from, to) = if from_client { (40_000, PORT) } else { (PORT, 40_000) };
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
            .tcp(from, to, 1 + ours, 65_000)
            .ack(1 + theirs);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).expect("a vector takes it");
        self.sequences[usize::from(!from_client)] += payload.len() as u32;
        for field in [1_795_374_000u32, 0, packet.len() as u32, packet.len() as u32] {
            self.bytes.extend(field.to_le_bytes());
        }
        self.bytes.extend(packet);
    }

    fn write(&self) -> PathBuf {
        let mut file = Vec::new();
        for field in [0xA1B2_C3D4u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(field.to_le_bytes());
        }
        file.extend(&self.bytes);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("session.pcap");
        std::fs::write(&path, file).expect("the test folder is writable");
        path
    }
}

/// Everything the client has to say, heard by the venue and recorded.
fn carry(gateway: &mut Gateway, venue: &mut Acceptor, capture: &mut Capture) {
    let mut events = Vec::new();
    let up = gateway.pending().to_vec();
    gateway.written(up.len(), Ticks(1), &mut events);
    capture.segment(true, &up);
    let mut at = 0;
    loop {
        match venue.take(&up[at..], START) {
            Taken::Incomplete => break,
            Taken::Session(taken) => at += taken,
            Taken::Request(taken, _) => {
                at += taken;
                venue.send(kind::EXECUTION_REPORT, START, |report| {
                    report.number(b"37=", 1).number(b"11=", 1).number(b"41=", 7).byte(b"39=", b'2').byte(b"54=", b'1');
                    report.decimal_e9(b"14=", 5 * ONE_E9).bytes(b"55=", b"BTC-PERPETUAL");
                });
            }
        }
    }
    let down = venue.pending().to_vec();
    venue.written(down.len());
    capture.segment(false, &down);
    gateway.receive(&down, START, &mut events);
}

#[test]
fn tshark_reads_every_message_as_it_was_meant() {
    if Command::new("tshark").arg("--version").output().is_err() {
        return eprintln!("skipped: tshark is not installed");
    }
    let (mut capture, mut events) = (Capture::default(), Vec::new());
    let mut gateway = gateway(START, &mut events);
    let mut venue = Acceptor::new(FixRules::new("VENUE", "DESK").expect("names"), None);
    venue.connected(START);
    gateway.connected(START);
    carry(&mut gateway, &mut venue, &mut capture);
    let mut orders = OrderStore::new();
    let new = Request::New {
        trail: Trail::default(),
        decided: 0,
        order: ClientOrderId(7),
        instrument: PERPETUAL,
        side: Side::Buy,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        price: PRICE,
        lots: 5,
    };
    for request in [new, Request::Cancel { order: ClientOrderId(7), instrument: PERPETUAL }, Request::CancelAll] {
        let instruction = approved(&mut orders, request, START);
        gateway.step(&instruction, START, &mut events);
        carry(&mut gateway, &mut venue, &mut capture);
    }
    gateway.tick(Nanos(START.0 + 3 * Nanos::PER_SECOND), &mut events);
    carry(&mut gateway, &mut venue, &mut capture);
    gateway.log_out(START);
    carry(&mut gateway, &mut venue, &mut capture);

    let fields = ["fix.MsgType", "fix.MsgSeqNum", "fix.checksum_good", "fix.Price", "fix.OrderQty", "fix.Username"];
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture.write()).args(["-d", &format!("tcp.port=={PORT},fix"), "-Y", "fix", "-T", "fields"]);
    tshark.args(["-E", "separator=;", "-E", "occurrence=a", "-E", "aggregator=,"]);
    tshark.args(fields.iter().flat_map(|field| ["-e", field])).args([
        "-e",
        "_ws.malformed",
        "-e",
        "_ws.expert.message",
    ]);
    let done = tshark.output().expect("it ran before");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8_lossy(&done.stdout);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(';').collect()).collect();
    let column =
        |at: usize| rows.iter().flat_map(|row| row[at].split(',')).filter(|v| !v.is_empty()).collect::<Vec<_>>();
    let types = column(0);
    for expected in ["A", "D", "8", "F", "q", "1", "0", "5"] {
        assert!(types.contains(&expected), "{expected} is not in {types:?}");
    }
    assert_eq!(column(1).len(), types.len(), "every message has a number");
    // 1 is good; 0 is bad, 2 unverified.
    assert!(column(2).iter().all(|status| matches!(*status, "1" | "True")), "{text}");
    assert_eq!((column(3), column(4), column(5)), (vec!["97650.5"], vec!["5"], vec!["key"]), "{text}");
    assert!(rows.iter().all(|row| row[6].is_empty()), "{text}");
}
