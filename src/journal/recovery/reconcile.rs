//! What journal and resend add up to, against the venue's statement.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::catch_up::Witness;
use crate::event::Body;
use crate::gateway::SequenceNumbers;
use crate::units::{ClientOrderId, ExecutionId, Lots, VenueInstrumentId};

/// The account as the venue states it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What is held; contracts without a position are left out.
    pub positions: BTreeMap<VenueInstrumentId, Lots>,
    /// Orders that rest.
    pub open_orders: usize,
}

/// What to do where the venue and we differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Start nothing: a person has to look.
    #[default]
    Halt,
    /// Take the venue's account.
    Adopt,
}

/// One place where the accounts are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The journal lacked an execution; the venue's resend supplied it.
    Missed(ExecutionId, ClientOrderId),
    /// The journal holds an execution that the venue did not repeat.
    Unwitnessed(ExecutionId),
    /// Reports that could not be understood.
    Unreadable(u64),
    /// An order of which no end is known.
    Open(ClientOrderId),
    /// The venue's protocol states no account: what journal and resend add up to is held against nothing.
    Unstated,
    /// Orders that rest at the venue although all were asked back.
    Resting(usize),
    /// A position that is not the venue's: contract, ours, the venue's.
    Position(VenueInstrumentId, Lots, Lots),
}

impl Difference {
    /// Whether it is settled by itself, and only shown.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Missed(..))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed(execution, order) => {
                write!(
                    f,
                    "execution {} of order {} is not in the journal; the venue's resend has it",
                    execution.0, order.0
                )
            }
            Self::Unwitnessed(execution) => {
                write!(f, "execution {} is in the journal, and the venue's resend does not have it", execution.0)
            }
            Self::Unreadable(reports) => write!(f, "{reports} reports of the venue could not be understood"),
            Self::Open(order) => write!(f, "what became of order {} is not known", order.0),
            Self::Unstated => f.write_str(
                "no session of this protocol states the account; journal and resend are all there is to go by",
            ),
            Self::Resting(orders) => write!(f, "{orders} orders rest at the venue"),
            Self::Position(contract, ours, theirs) => {
                write!(
                    f,
                    "contract {}: {} lots by our executions, {} by the venue's account",
                    contract.0, ours.0, theirs.0
                )
            }
        }
    }
}

/// What the next run begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// What is held.
    pub opening: BTreeMap<VenueInstrumentId, Lots>,
    /// With which numbers the session resumes.
    pub numbers: SequenceNumbers,
}

/// Holds our account against the venue's: every difference, and what to begin with unless the policy forbids it. A venue
/// whose account cannot be had is a difference too; adopting it takes what journal and resend add up to.
pub fn reconcile<'a>(
    witness: &Witness,
    venue: impl Into<Option<&'a Account>>,
    policy: Policy,
) -> (Option<Agreement>, Vec<Difference>) {
    let ours = witness.agreed.held();
    let mut differences: Vec<Difference> = Vec::new();
    let assumed;
    let venue = match venue.into() {
        Some(stated) => stated,
        None => {
            differences.push(Difference::Unstated);
            assumed = Account { positions: ours.clone(), open_orders: 0 };
            &assumed
        }
    };
    for event in &witness.missed {
        if let Body::Filled { order, execution, .. } = event.body {
            differences.push(Difference::Missed(execution, order));
        }
    }
    differences.extend(witness.unwitnessed.iter().map(|(_, execution)| Difference::Unwitnessed(*execution)));
    differences.extend((witness.unreadable > 0).then_some(Difference::Unreadable(witness.unreadable)));
    differences.extend(witness.agreed.open.keys().map(|order| Difference::Open(*order)));
    differences.extend((venue.open_orders > 0).then_some(Difference::Resting(venue.open_orders)));
    let contracts: BTreeSet<_> = ours.keys().chain(venue.positions.keys()).copied().collect();
    for contract in contracts {
        let of = |account: &BTreeMap<VenueInstrumentId, Lots>| account.get(&contract).copied().unwrap_or_default();
        if of(&ours) != of(&venue.positions) {
            differences.push(Difference::Position(contract, of(&ours), of(&venue.positions)));
        }
    }
    let agreed = policy == Policy::Adopt || differences.iter().all(|difference| difference.is_settled());
    let agreement = agreed.then(|| Agreement { opening: venue.positions.clone(), numbers: witness.numbers });
    (agreement, differences)
}
