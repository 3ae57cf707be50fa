//! Commands as text, and the asking end of the control socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::event::{KillLevel, Operator};

/// How long the asking end waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an operator may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say what is in force.
    Status,
    /// Put this level in force.
    Level(KillLevel, Operator),
    /// Ask the venue to end whatever its market-maker protection has frozen.
    Thaw(Operator),
}

/// The names of levels as commands.
const LEVELS: [(&str, KillLevel); 5] = [
    ("re-enable", KillLevel::Open),
    ("reduce-only", KillLevel::ReduceOnly),
    ("flatten", KillLevel::Flatten),
    ("pause", KillLevel::Pause),
    ("kill", KillLevel::Halt),
];

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Thaw(by) => write!(f, "thaw {}", by.name()),
            Self::Level(level, by) => write!(f, "{} {}", LEVELS[*level as usize].0, by.name()),
        }
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let (verb, name) = (words.next().unwrap_or_default(), words.next());
        if words.next().is_some() {
            return Err("a command is a word and the operator's name".to_owned());
        }
        if verb == "status" {
            return Ok(Self::Status);
        }
        let level = LEVELS.iter().find(|(name, _)| *name == verb).map(|(_, level)| *level);
        if level.is_none() && verb != "thaw" {
            return Err(format!("no command {verb:?}"));
        }
        let by = name.and_then(Operator::new).ok_or("who asks is missing, or not 1 to 16 printable letters")?;
        Ok(level.map_or(Self::Thaw(by), |level| Self::Level(level, by)))
    }
}

/// Asks the pipeline that listens at `socket`; its answer.
pub fn ask(socket: &Path, command: Command) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{command}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_survives_the_socket() {
        let alice = Operator::new("alice").unwrap();
        for level in KillLevel::ALL {
            let command = Command::Level(level, alice);
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        assert_eq!(Command::Thaw(alice).to_string().parse(), Ok(Command::Thaw(alice)));
        assert_eq!("status".parse(), Ok(Command::Status));
        assert_eq!("status bob".parse(), Ok(Command::Status));
    }

    #[test]
    fn a_command_without_a_name_or_sense_is_refused() {
        for bad in
            ["", "kill", "thaw", "kill an-operator-of-many-letters", "halt alice", "kill alice now", "pause \u{7f}"]
        {
            assert!(bad.parse::<Command>().is_err(), "{bad:?}");
        }
    }
}
