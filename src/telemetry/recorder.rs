//! The recorder: everything that is measured about a run, kept by one cold reader of the rings.

use std::sync::{Arc, Mutex};

use super::live::{AccountShown, Recorded};
use super::{Hop, Latencies, Ledger, OrderDigest, Report};
use crate::event::Event;
use crate::risk::Instruction;

/// Latencies, ledger and digest of a run.
#[derive(Debug)]
pub struct Recorder {
    /// Latency of every hop.
    pub latencies: Latencies,
    /// What hedging came to.
    pub ledger: Ledger,
    digest: OrderDigest,
}

/// A look at a run under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Exposures computed.
    pub exposures: u64,
    /// Requests sent.
    pub requests: u64,
    /// Fills received.
    pub fills: u64,
    /// Net delta by underlying, coins.
    pub net_delta: Vec<(String, f64)>,
}

/// Where a running recorder leaves its progress for whoever shows it.
pub type SharedProgress = Arc<Mutex<Progress>>;

impl Recorder {
    /// A recorder of stamps at this rate.
    pub fn new(nanos_per_tick: f64) -> Self {
        Self { latencies: Latencies::new(nanos_per_tick), ledger: Ledger::new(), digest: OrderDigest::default() }
    }

    /// Takes an event that left the greeks or the surface.
    pub fn event(&mut self, event: &Event) {
        self.latencies.record(event);
        self.ledger.step(event);
    }

    /// Takes an instruction that left the hedge.
    pub fn instruction(&mut self, instruction: &Instruction) {
        self.digest.add(instruction);
        self.ledger.instruction(instruction);
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let accounts = || self.ledger.accounts().map(|(_, _, account)| account);
        Progress {
            exposures: accounts().map(|account| account.exposures).sum(),
            requests: self.digest.requests(),
            fills: accounts().map(|account| account.fills).sum(),
            net_delta: self
                .ledger
                .accounts()
                .map(|(_, name, account)| (name.to_owned(), account.delta_after))
                .collect(),
        }
    }

    /// What it knows, for whoever looks at the run; rings and journal are the thread's to tell.
    pub fn recorded(&self) -> Recorded {
        let account = |name: &str, account: &super::Account| AccountShown {
            name: name.to_owned(),
            fills: account.fills,
            cost: account.cost,
            variance_ratio: account.variance_ratio(),
        };
        Recorded {
            hops: Hop::ALL.map(|hop| self.latencies.shown(hop)),
            accounts: self.ledger.accounts().map(|(_, name, of)| account(name, of)).collect(),
            requests: self.digest.requests(),
            ..Recorded::default()
        }
    }

    /// Writes what the recorder knows into `report`; bands are the hedge's to tell.
    pub fn fill(&self, report: &mut Report) {
        report.set_latencies(&self.latencies);
        report.digest = self.digest.clone().finish();
        for (_, name, account) in self.ledger.accounts().filter(|(_, _, account)| account.exposures > 0) {
            report.exposures += account.exposures;
            report.fills += account.fills;
            let delta = report.net_delta.entry(name.to_owned()).or_default();
            delta.before = account.delta_before;
            delta.after = account.delta_after;
            let cost = report.cost.entry(name.to_owned()).or_default();
            (cost.paid, cost.paid_in_quote) = (account.cost, account.cost_in_quote);
            cost.option_fills = account.option_fills;
            if account.variance_ratio().is_some() {
                cost.unhedged_variance = account.unhedged.variance();
                cost.hedged_variance = account.hedged.variance();
            }
        }
    }
}
