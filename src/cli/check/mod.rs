//! `hedgecore check`: a configuration validated, and the host inspected. Nothing is changed, here or there.

mod cores;
mod host;
mod resources;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::CliError;
use crate::config::Settings;
use crate::runtime::placement::{self, Request, Topology};
use host::Host;

/// What a line asks the kernel to hold, unless a configuration says otherwise.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration of the live run; without one, the host alone is inspected for what `auto` would do
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the findings to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail if anything costs latency
    #[arg(long)]
    strict: bool,
    /// Inspect the files of another host, below this directory
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Good,
    /// It costs latency.
    Costs,
    /// The host does not tell.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    item: &'static str,
    verdict: Verdict,
    found: String,
    why: &'static str,
    /// What changes it, for a person to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn judged(item: &'static str, holds: bool, found: String, why: &'static str, fix: String) -> Self {
        let verdict = if holds { Verdict::Good } else { Verdict::Costs };
        Self { item, verdict, found, why, fix: (!holds).then_some(fix) }
    }

    fn unknown(item: &'static str, found: String, why: &'static str) -> Self {
        Self { item, verdict: Verdict::Unknown, found, why, fix: None }
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Findings {
    /// The configuration that holds, if one was given.
    config: Option<PathBuf>,
    /// What would run where.
    layout: String,
    notices: Vec<String>,
    findings: Vec<Finding>,
}

/// Validates, inspects and tells.
pub(super) fn run(args: &CheckArgs) -> Result<(), CliError> {
    let json = args.json.as_deref().map(|path| File::create(path).map_err(CliError::file(path))).transpose()?;
    let settings = match &args.config {
        Some(path) => Some(Settings::read(path, super::unguessable()?)?),
        None => None,
    };
    let found = look(settings.as_ref(), args)?;
    if let (Some(file), Some(path)) = (json, &args.json) {
        serde_json::to_writer_pretty(file, &found).map_err(|error| CliError::file(path)(error.into()))?;
    }
    match print(&found, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let costs: Vec<&str> = found.findings.iter().filter(|f| f.verdict == Verdict::Costs).map(|f| f.item).collect();
    if args.strict && !costs.is_empty() {
        return Err(CliError::CheckFailed(format!("these cost latency: {}", costs.join(", "))));
    }
    Ok(())
}

fn look(settings: Option<&Settings>, args: &CheckArgs) -> Result<Findings, CliError> {
    let request = Request {
        topology: settings.map_or(Topology::Auto, |settings| settings.topology),
        cores: settings.and_then(|settings| settings.cores.clone()),
        idle: None,
    };
    let available = available(&args.root);
    let plan = placement::plan(&request, &available)?;
    let lines = settings.map_or(&[][..], |settings| &settings.lines);
    let interfaces: Vec<[u8; 4]> = lines.iter().map(|line| line.interface.octets()).collect();
    let buffer = lines.iter().map(|line| line.receive_buffer_bytes).max().unwrap_or(RECEIVE_BUFFER_BYTES);
    let mut hot: Vec<usize> = plan.threads.iter().filter_map(|thread| thread.core).collect();
    if hot.is_empty() {
        // Threads that are not pinned may come to any core.
        hot = available;
    }
    let host = Host::new(&args.root, hot, &interfaces, buffer);
    let findings = cores::inspect(&host).into_iter().chain(resources::inspect(&host)).collect();
    Ok(Findings { config: args.config.clone(), layout: plan.to_string(), notices: plan.notices, findings })
}

/// The cores of the host below `root`: this process's own, or those that another host has online.
fn available(root: &Path) -> Vec<usize> {
    if root == Path::new("/") {
        return placement::available_cores();
    }
    Host::new(root, Vec::new(), &[], 0).cores("sys/devices/system/cpu/online").unwrap_or_default()
}

fn print(found: &Findings, out: &mut impl Write) -> io::Result<()> {
    if let Some(config) = &found.config {
        writeln!(out, "{}: valid", config.display())?;
    }
    writeln!(out, "{}\n", found.layout)?;
    found.notices.iter().try_for_each(|notice| writeln!(out, "note: {notice}"))?;
    for finding in &found.findings {
        let mark = match finding.verdict {
            Verdict::Good => "good",
            Verdict::Costs => "COSTS",
            Verdict::Unknown => "?",
        };
        writeln!(out, "{mark:<6} {:<24} {}", finding.item, finding.found)?;
        if let Some(fix) = &finding.fix {
            writeln!(out, "       {:<24} {}\n       {:<24} {fix}", "", finding.why, "")?;
        }
    }
    let count = |verdict| found.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (good, costs) = (count(Verdict::Good), count(Verdict::Costs));
    writeln!(out, "\n{good} good, {costs} cost latency, {} not told; nothing was changed", count(Verdict::Unknown))
}
