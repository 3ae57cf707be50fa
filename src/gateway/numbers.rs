//! What outlives a connection, and a process: sequence numbers, and the account as the venue states it.

/// When both directions start again at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ResetPolicy {
    /// At the first logon of this process; later ones resume.
    FirstLogon,
    /// At every logon. Reports that the venue sent while the session was down are lost.
    EveryLogon,
    /// Never: the first logon resumes from the numbers given.
    Never,
}

/// Where a session goes on: the next number of each direction, and what the next logon must bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SequenceNumbers {
    /// Of the next message sent.
    pub outgoing: i64,
    /// Of the next message expected.
    pub incoming: i64,
    /// The time that the last logon bore, Unix milliseconds: the venue takes none that does not bear a later one, and a
    /// clock may have gone back since. FIX only, else 0.
    #[serde(default)]
    pub logon_ms: u64,
}

impl SequenceNumbers {
    /// Of a session that was never opened.
    pub const FIRST: Self = Self { outgoing: 1, incoming: 1, logon_ms: 0 };
}

/// What became of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked, or not yet answered in full.
    #[default]
    Awaited,
    /// In full.
    Given,
    /// The venue does not say.
    Refused,
}

/// The account, as far as the venue has stated it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStatement {
    /// What is held, each contract told as a `Position` event.
    pub positions: Answer,
    /// Orders told to be open.
    pub open_orders: usize,
}
