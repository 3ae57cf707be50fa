//! How a live run keeps its journal.

use super::schema::{DurabilityName, JournalTable, OnFailureName};
use super::{ConfigError, Page};
use crate::journal::recovery::Policy;
use crate::journal::{Durability, WriterConfig};
use crate::runtime::{JournalConfig, OnFailure};
use crate::units::Nanos;

/// Where a run is written down, and what a start does with the run before.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// Where and how.
    pub journal: JournalConfig,
    /// What to do where the venue and the journal differ.
    pub on_difference: Policy,
}

impl JournalSettings {
    /// The usual journal, kept in `directory`.
    pub fn new(directory: impl Into<std::path::PathBuf>) -> Self {
        let (writer, on_failure) = (WriterConfig::default(), OnFailure::default());
        let journal = JournalConfig { directory: directory.into(), writer, on_failure };
        Self { journal, on_difference: Policy::default() }
    }
}

pub(super) fn settings(page: &Page<'_>, table: &JournalTable) -> Result<JournalSettings, ConfigError> {
    let usual = WriterConfig::default();
    if table.directory.get_ref().as_os_str().is_empty() {
        return Err(page.fault(table.directory.span(), "name the directory that the journal is kept in".to_owned()));
    }
    let durability = table.durability.map_or(usual.durability, |name| match name {
        DurabilityName::None => Durability::None,
        DurabilityName::Batched => Durability::Batched,
        DurabilityName::BeforeSend => Durability::BeforeSend,
    });
    let batch_ms = page.within(&table.batch_ms, 1..=1_000, usual.batch_ns / Nanos::PER_MILLI)?;
    let writer = WriterConfig {
        segment_bytes: page.within(&table.segment_mib, 1..=4_096, usual.segment_bytes >> 20)? << 20,
        durability,
        batch_ns: batch_ms * Nanos::PER_MILLI,
        // The last run is what a start goes on from.
        runs_kept: page.within(&table.runs_kept, 1..=100_000, usual.runs_kept)?,
    };
    let on_failure = table.on_failure.map_or(OnFailure::default(), |name| match name {
        OnFailureName::Halt => OnFailure::Halt,
        OnFailureName::Pause => OnFailure::Pause,
        OnFailureName::Continue => OnFailure::Continue,
    });
    let on_difference = table.on_difference.map(Into::into).unwrap_or_default();
    let journal = JournalConfig { directory: table.directory.get_ref().clone(), writer, on_failure };
    Ok(JournalSettings { journal, on_difference })
}
