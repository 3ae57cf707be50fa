//! How a session ends.

/// Why the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// No answer to the logon.
    LogonTimeout,
    /// The other side refused the logon, or closed the session.
    LoggedOut,
    /// The logon was answered by something else.
    LogonExpected,
    /// No answer to the logout.
    LogoutTimeout,
    /// The stream lost its framing.
    Framing,
    /// A number below the one expected, on a message that is no resend: the two sides disagree about the past.
    SequenceTooLow,
    /// More gaps than are remembered.
    TooManyGaps,
    /// What was missed was asked for, and did not come.
    ResendUnanswered,
    /// The venue speaks another version of the protocol.
    Version,
    /// A message without a number.
    NoSequence,
    /// Messages from somebody else, or for somebody else.
    CompIds,
    /// The two clocks are too far apart.
    SendingTime,
    /// The client is unknown, or its proof does not hold.
    Refused,
    /// A logon within a session.
    SecondLogon,
    /// The venue began to count again though nobody asked for it.
    ResetUnasked,
    /// Nothing heard, a test request included.
    Silence,
    /// The socket takes nothing: not even the session's own messages fit the send buffer.
    SendBufferFull,
}
