//! `--metrics HOST:PORT`: a running pipeline's metrics for Prometheus.

use std::io::{self, Write};

use clap::Args;

use super::CliError;
use crate::runtime::Pipeline;
use crate::telemetry::metrics::{MetricsPort, MetricsServer};

/// Where to serve metrics.
#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Serve metrics for Prometheus at this address, under /metrics, while the pipeline runs; port 0 takes any that is free
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
}

impl MetricsArgs {
    /// Opens the port, if one is wanted, before anything is started that would have to be stopped again. What the command
    /// line says goes before `configured`.
    pub(super) fn open(&self, configured: Option<&str>) -> Result<Option<MetricsPort>, CliError> {
        Ok(self.metrics.as_deref().or(configured).map(MetricsPort::open).transpose()?)
    }
}

/// Serves a pipeline until the answer is dropped, and says where.
pub(super) fn serve(port: Option<MetricsPort>, pipeline: &Pipeline) -> Result<Option<MetricsServer>, CliError> {
    let Some(port) = port else { return Ok(None) };
    let mut out = io::stdout();
    writeln!(out, "metrics: http://{}/metrics", port.address())?;
    out.flush()?;
    let observer = pipeline.observer();
    Ok(Some(port.serve(move || observer.snapshot())?))
}
