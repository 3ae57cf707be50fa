//! A pipeline lost without a word, and a new one from its journal.

use std::io::Write;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use super::CliError;
use crate::gateway::{ProtocolConfig, ResetPolicy, SessionConfig};
use crate::hedge::HedgeConfig;
use crate::journal::recovery::{Account, Policy, Recovered, Witness, reconcile, recover};
use crate::journal::{Directory, Durability};
use crate::portfolio::{GreeksConfig, OpeningBook};
use crate::runtime::{Pipeline, PipelineConfig, catch_up};
use crate::sim::venue::{Statement, VenueHandle};

/// As the command line names a [`Policy`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OnDifference {
    /// Start nothing.
    Halt,
    /// Take the venue's account.
    Adopt,
}

impl From<OnDifference> for Policy {
    fn from(on_difference: OnDifference) -> Self {
        match on_difference {
            OnDifference::Halt => Self::Halt,
            OnDifference::Adopt => Self::Adopt,
        }
    }
}

/// As the command line names a [`Durability`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DurabilityChoice {
    /// Left to the system.
    None,
    /// Every few milliseconds.
    Batched,
    /// Each order before it leaves.
    BeforeSend,
}

impl From<DurabilityChoice> for Durability {
    fn from(choice: DurabilityChoice) -> Self {
        match choice {
            DurabilityChoice::None => Self::None,
            DurabilityChoice::Batched => Self::Batched,
            DurabilityChoice::BeforeSend => Self::BeforeSend,
        }
    }
}

/// Starts a pipeline, abandons it `after` a while, and starts another from what its journal and the venue agree on.
pub(super) fn crash_and_recover(
    config: PipelineConfig,
    venue: &VenueHandle,
    after: Duration,
    policy: Policy,
) -> Result<Pipeline, CliError> {
    let Some(journal) = config.journal.clone() else { return Ok(Pipeline::start(config)?) };
    let pipeline = Pipeline::start(config.clone())?;
    thread::sleep(after);
    pipeline.abandon();

    let unusable = |error: &dyn std::fmt::Display| CliError::Input(format!("{}: {error}", journal.directory.display()));
    let disk = Directory::open(&journal.directory).map_err(CliError::file(&journal.directory))?;
    let recovered = recover(&disk).map_err(|error| unusable(&error))?;
    let Some(recovery) = &recovered.last else { return Err(unusable(&"holds no run that began")) };
    let ProtocolConfig::Starbase(session) = &config.session.protocol else {
        return Err(CliError::Input("only a Starbase session can be caught up with".to_owned()));
    };
    let session = **session;
    let witness = catch_up(config.orders.address, recovery, session).map_err(|error| unusable(&error))?;
    let account = account(&venue.statement()?);
    let (agreement, differences) = reconcile(&witness, &account, policy);
    let mut out = std::io::stdout().lock();
    tell(&mut out, &recovered, &witness)?;
    for difference in &differences {
        writeln!(out, "  difference: {difference}")?;
    }
    let Some(agreement) = agreement else {
        return Err(CliError::CheckFailed("the venue's account is not the journal's; nothing was started".to_owned()));
    };
    writeln!(out, "  {} contracts held, as the venue says\n", agreement.opening.len())?;
    drop(out);

    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
    let opening = OpeningBook::Positions(agreement.opening.into_iter().collect());
    Ok(Pipeline::start(PipelineConfig {
        greeks: GreeksConfig { opening, ..config.greeks },
        hedge: HedgeConfig { started_s: recovered.next_start(now_s), ..config.hedge },
        session: SessionConfig { reset: ResetPolicy::Never, resume: agreement.numbers, ..session }.into(),
        ..config
    })?)
}

/// The venue's account, as reconciliation takes it.
fn account(statement: &Statement) -> Account {
    let held = statement.positions.iter().filter(|position| position.lots.0 != 0);
    Account {
        positions: held.map(|position| (position.instrument, position.lots)).collect(),
        open_orders: statement.open_orders,
    }
}

fn tell(out: &mut impl Write, recovered: &Recovered, witness: &Witness) -> Result<(), CliError> {
    writeln!(out, "lost the pipeline, and read its journal back to {}: {}", recovered.place, recovered.end)?;
    writeln!(
        out,
        "  {} orders decided, {} executions, {} of them known only to the venue",
        witness.agreed.orders.len(),
        witness.agreed.executions.len(),
        witness.missed.len()
    )?;
    Ok(())
}
