//! Where reports go: standard output, `--json`, `--out`. Paths are tried before the work begins, so that a run of minutes
//! does not end in a file that cannot be written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::CliError;
use crate::telemetry::{Latencies, Report};

/// Outlets that every measuring subcommand has.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct OutputArgs {
    /// Write the report's figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the histograms (.hgrm, .hlog) and report.json into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// The outlets, open.
#[derive(Debug)]
pub(super) struct Output {
    json: Option<(PathBuf, File)>,
    directory: Option<PathBuf>,
}

impl Output {
    /// Creates the file and the directory, or says why they cannot be written.
    pub(super) fn open(args: &OutputArgs) -> Result<Self, CliError> {
        let create = |path: &Path| File::create(path).map_err(CliError::file(path));
        let json = args.json.as_deref().map(|path| create(path).map(|file| (path.to_owned(), file))).transpose()?;
        if let Some(directory) = &args.out {
            fs::create_dir_all(directory).map_err(CliError::file(directory))?;
            create(&directory.join("report.json"))?;
        }
        Ok(Self { json, directory: args.out.clone() })
    }

    /// Writes a run's report and histograms wherever they were asked for, then prints the report under its title. A reader
    /// of standard output that has gone away takes nothing from the files, nor from the checks that follow.
    pub(super) fn publish(
        &self,
        title: &str,
        report: &Report,
        latencies: &Latencies,
        started: SystemTime,
    ) -> Result<(), CliError> {
        self.write_json(report)?;
        if let Some(directory) = &self.directory {
            let lasted = started.elapsed().unwrap_or_default();
            latencies.write_files(directory, started, lasted).map_err(CliError::file(directory))?;
        }
        let mut out = io::stdout().lock();
        match writeln!(out, "{title}\n").and_then(|()| report.print(&mut out)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes `report` wherever it was asked for.
    pub(super) fn write_json(&self, report: &impl Serialize) -> Result<(), CliError> {
        let write = |path: &Path, file: &File| {
            serde_json::to_writer_pretty(file, report).map_err(|error| CliError::file(path)(error.into()))
        };
        if let Some((path, file)) = &self.json {
            write(path, file)?;
        }
        if let Some(directory) = &self.directory {
            let path = directory.join("report.json");
            write(&path, &File::create(&path).map_err(CliError::file(&path))?)?;
        }
        Ok(())
    }
}
