//! A pipeline that goes on where its journal ends, after a word of the venue's; and one lost on purpose.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use super::CliError;
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

    let mut out = std::io::stdout().lock();
    let statement = || Ok(Some(account(&venue.statement()?)));
    Ok(Pipeline::start(resume(config, &journal.directory, statement, policy, &mut out)?)?)
}

/// What a pipeline is made from that goes on where the last run in `directory` ended: the same, where there was none.
/// `statement` is the venue's account, asked for once nothing of ours rests there any more; without it, what the session
/// itself was told.
pub(super) fn resume(
    config: PipelineConfig,
    directory: &Path,
    statement: impl FnOnce() -> Result<Option<Account>, CliError>,
    policy: Policy,
    out: &mut impl Write,
) -> Result<PipelineConfig, CliError> {
    let unusable = |error: &dyn std::fmt::Display| CliError::Input(format!("{}: {error}", directory.display()));
    let disk = Directory::create(directory).map_err(CliError::file(directory))?;
    let recovered = recover(&disk).map_err(|error| unusable(&error))?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
    let hedge = HedgeConfig { started_s: recovered.next_start(now_s), ..config.hedge };
    let Some(recovery) = &recovered.last else {
        return Ok(PipelineConfig { hedge, ..config });
    };
    let witness =
        catch_up(config.orders.address, recovery, config.session.clone()).map_err(|error| unusable(&error))?;
    let stated = statement()?.or(witness.account.clone());
    let (agreement, differences) = reconcile(&witness, stated.as_ref(), policy);
    tell(out, &recovered, &witness)?;
    for difference in &differences {
        writeln!(out, "  difference: {difference}")?;
    }
    let Some(agreement) = agreement else {
        let refusal = "the venue's account is not the journal's, and the policy is to halt; nothing was started";
        return Err(CliError::CheckFailed(refusal.to_owned()));
    };
    writeln!(out, "  {} contracts held\n", agreement.opening.len())?;
    out.flush()?;
    let opening = OpeningBook::Positions(agreement.opening.into_iter().collect());
    Ok(PipelineConfig {
        greeks: GreeksConfig { opening, ..config.greeks },
        hedge,
        session: config.session.resuming(agreement.numbers),
        ..config
    })
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
