//! Sequence numbers as they outlive a connection, and a process.

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
