//! A journal's table as Parquet, read back by the library's own reader and held against what was written.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, Symbol};
use hedgecore::journal::{Decision, Directory, Head, Record, SessionCall, Writer, WriterConfig};
use hedgecore::order::{Request, TimeInForce};
use hedgecore::units::{ClientOrderId, Coins, ExecutionId, InstrumentId, Nanos, Price, Side, UnderlyingId};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

/// Records beyond the head and the settings: more than one row group of them.
const RECORDS: u64 = 70_000;
const MIDNIGHT_NS: u64 = 1_800_000_000 * Nanos::PER_SECOND;

/// The record written at a sequence number.
fn record(sequence: u64) -> Record {
    let (instrument, order) = (InstrumentId((sequence % 7) as u16), ClientOrderId(u64::MAX - sequence));
    let (price, lots) = (Price(i64::MAX - sequence as i64), sequence as u32);
    let event = |body| Event { trail: Trail::default(), time: Nanos(MIDNIGHT_NS + sequence), body };
    match sequence % 6 {
        0 => Record::Input { event: event(Body::Named { instrument, symbol: Symbol::new(b"BTC-PERPETUAL").unwrap() }) },
        1 => Record::Input {
            event: event(Body::Filled {
                order,
                execution: ExecutionId(sequence),
                instrument,
                side: Side::Sell,
                price,
                lots,
            }),
        },
        2 => Record::Input {
            event: event(Body::Top {
                instrument,
                quality: BookQuality::Good,
                bid: price,
                ask: Price(-5),
                bid_lots: lots,
                ask_lots: u32::MAX,
            }),
        },
        3 => Record::Output {
            event: event(Body::Exposure {
                underlying: UnderlyingId(3),
                quality: BookQuality::Good,
                net_delta: Coins(-(sequence as i64)),
                log_gamma: Coins(0),
                spot: price,
                delta_bound: 0.5,
                expiries: 1,
            }),
        },
        4 => Record::Decision {
            decision: Decision::Send {
                request: Request::New {
                    trail: Trail::default(),
                    decided: 0,
                    order,
                    instrument,
                    side: Side::Buy,
                    time_in_force: TimeInForce::ImmediateOrCancel,
                    post_only: false,
                    price,
                    lots,
                },
            },
        },
        _ => Record::Session {
            call: SessionCall::Received { time: Nanos(MIDNIGHT_NS), bytes: sequence.to_le_bytes().into() },
        },
    }
}

/// What a column must hold at a sequence number; `None` for columns that this does not say.
fn expected(column: &str, sequence: u64) -> Option<Field> {
    let signed = sequence as i64;
    let event = ["Named", "Filled", "Top", "Exposure", "New", "Received"][(sequence % 6) as usize];
    Some(match (column, event) {
        ("sequence", _) => Field::ULong(sequence),
        ("event", _) => Field::Str(event.to_owned()),
        ("time_ns", "New") => Field::Null,
        ("time_ns", "Received") => Field::Long(MIDNIGHT_NS as i64),
        ("time_ns", _) => Field::Long((MIDNIGHT_NS + sequence) as i64),
        ("instrument", "Exposure" | "Received") => Field::Null,
        ("instrument", _) => Field::ULong(sequence % 7),
        ("underlying", "Exposure") => Field::ULong(3),
        ("order", "Filled" | "New") => Field::ULong(u64::MAX - sequence),
        ("execution", "Filled") => Field::ULong(sequence),
        ("price_e9", "Filled" | "New" | "Exposure") | ("bid_e9", "Top") => Field::Long(i64::MAX - signed),
        ("ask_e9", "Top") => Field::Long(-5),
        ("bid_lots", "Top") | ("lots", "New") => Field::Long(signed),
        ("ask_lots", "Top") => Field::Long(u32::MAX.into()),
        ("lots", "Filled") => Field::Long(-signed),
        ("net_delta_coins_e9", "Exposure") => Field::Long(-signed),
        ("segment" | "offset_bytes" | "kind" | "detail", _) => return None,
        // Every instrument has been named by then.
        ("symbol", "Named" | "Filled" | "Top" | "New") if sequence > 100 => Field::Str("BTC-PERPETUAL".to_owned()),
        ("symbol", _) if sequence <= 100 => return None,
        _ => Field::Null,
    })
}

#[test]
fn every_record_comes_back_from_the_file_in_typed_columns() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parquet");
    let _ = std::fs::remove_dir_all(&directory);
    let head = Head::of_this_process(1, 1, b"{}");
    let mut writer =
        Writer::begin(Directory::create(&directory).unwrap(), WriterConfig::default(), head, b"{}").unwrap();
    for sequence in 2..RECORDS {
        writer.append(&record(sequence));
        if sequence % 1_000 == 0 {
            writer.turn(Nanos(sequence));
        }
    }
    writer.turn(Nanos(u64::MAX));
    assert!(writer.failure().is_none());

    let tables = ["table.parquet", "table.csv"].map(|name| directory.join(name));
    for table in &tables {
        let arguments = ["inspect", directory.to_str().unwrap(), "--table", table.to_str().unwrap()];
        let run = Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(arguments).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let file = SerializedFileReader::new(File::open(&tables[0]).unwrap()).unwrap();
    assert_eq!((file.num_row_groups(), file.metadata().file_metadata().num_rows()), (2, RECORDS as i64));
    let mut csv = csv::Reader::from_path(&tables[1]).unwrap();
    let mut seen = 0;
    for (row, line) in file.get_row_iter(None).unwrap().zip(csv.records()) {
        let (row, line) = (row.unwrap(), line.unwrap());
        for ((name, field), text) in row.get_column_iter().zip(&line) {
            if let Some(expected) = expected(name, seen).filter(|_| seen >= 2) {
                assert_eq!(field, &expected, "{name} of record {seen}");
            }
            let told = match field {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                number => number.to_string(),
            };
            assert_eq!(told, text, "{name} of record {seen}");
        }
        seen += 1;
    }
    assert_eq!(seen, RECORDS);
}
