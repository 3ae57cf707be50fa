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

/// The next number of each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SequenceNumbers {
    /// Of the next message sent.
    pub outgoing: i64,
    /// Of the next message expected.
    pub incoming: i64,
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
