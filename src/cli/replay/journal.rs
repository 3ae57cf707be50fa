//! A recorded run through the same stages, verified byte for byte.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::super::CliError;
use super::super::output::Output;
use super::super::records;
use super::ReplayArgs;
use crate::journal::Directory;
use crate::journal::replay::{Replayed, Topology, replay};
use crate::telemetry::OrderDigest;

/// What a replay came to, for a person and, as JSON, for a program.
#[derive(Debug, Serialize)]
struct Report {
    run: u32,
    topology: &'static str,
    /// Hash of all orders, as the recorded run told its own.
    digest: String,
    verified: bool,
    end: String,
    frames: u64,
    lost: u64,
    inputs: u64,
    calls: u64,
    outputs_equal: u64,
    decisions_equal: u64,
    reports_equal: u64,
    bytes_equal: u64,
    unrecorded: u64,
    difference: Option<String>,
}

/// Replays a run, and fails unless everything it sent came out again.
pub(super) fn run(args: &ReplayArgs, directory: &Path) -> Result<(), CliError> {
    let output = Output::open(&args.output)?;
    let disk = Directory::open(directory).map_err(CliError::file(directory))?;
    let run = records::pick(&disk, directory, args.run)?;
    let topology = Topology::from(args.topology);
    let mut digest = OrderDigest::default();
    let replayed = replay(&disk, run, topology, &mut |instruction| digest.add(instruction))
        .map_err(|error| CliError::Input(format!("{}: {error}", directory.display())))?;
    let report = Report::new(run, topology, digest.finish(), &replayed);
    output.write_json(&report)?;
    report.print()?;
    report.check()
}

impl Report {
    fn new(run: u32, topology: Topology, digest: String, replayed: &Replayed) -> Self {
        Self {
            run,
            topology: match topology {
                Topology::Fused => "fused",
                Topology::Split => "split",
            },
            digest,
            verified: replayed.is_verified(),
            end: replayed.end.to_string(),
            frames: replayed.place.sequence,
            lost: replayed.lost,
            inputs: replayed.inputs,
            calls: replayed.calls,
            outputs_equal: replayed.outputs_equal,
            decisions_equal: replayed.decisions_equal,
            reports_equal: replayed.reports_equal,
            bytes_equal: replayed.bytes_equal,
            unrecorded: replayed.unrecorded,
            difference: replayed.difference.as_ref().map(ToString::to_string),
        }
    }

    fn print(&self) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "replayed run {} of {} frames, {}", self.run, self.frames, self.topology)?;
        writeln!(out, "  journal: {}", self.end)?;
        writeln!(out, "  met: {} events by the greeks, {} calls by the gateway", self.inputs, self.calls)?;
        writeln!(
            out,
            "  sent as recorded: {} events, {} decisions, {} reports, {} bytes to the venue",
            self.outputs_equal, self.decisions_equal, self.reports_equal, self.bytes_equal
        )?;
        writeln!(out, "  sent beyond the journal's end: {}", self.unrecorded)?;
        writeln!(out, "  digest of all orders: {}", self.digest)?;
        if let Some(difference) = &self.difference {
            writeln!(out, "{difference}")?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CliError> {
        let faults = [
            (self.difference.is_some(), "the replay differs from what was recorded".to_owned()),
            (self.lost > 0, format!("{} messages never reached the journal", self.lost)),
            (!self.verified, format!("the journal is {}", self.end)),
        ];
        match faults.into_iter().find(|(fault, _)| *fault) {
            Some((_, what)) => Err(CliError::CheckFailed(what)),
            None => Ok(()),
        }
    }
}
