//! The session before the first order, on a socket: what the venue knows of the run that the journal holds. Cold.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::clock::StampClock;
use super::socket::{OrderSocket, SocketError};
use crate::gateway::GatewayConfig;
use crate::journal::recovery::{CatchUp, CatchUpError, Recovery, Witness};
use crate::units::Nanos;

/// Pause between two looks at the socket.
const LOOK: Duration = Duration::from_millis(1);
/// Sessions tried.
pub const ATTEMPTS: u32 = 4;

/// Why the venue's account could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The venue could not be reached.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The connection was lost.
    #[error("the connection was lost before the venue had said everything: {0}")]
    Lost(#[from] io::Error),
    /// The venue did not say everything.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
}

/// Opens a session at `address` that trades nothing, and comes back with everything the venue says of the run.
///
/// Sequence numbers that the venue finds too low are what a journal without its end, or an earlier attempt, leaves behind:
/// it tries again with higher ones, [`ATTEMPTS`] times.
pub fn catch_up(
    address: SocketAddr,
    recovery: &Recovery,
    session: impl Into<GatewayConfig>,
) -> Result<Witness, WitnessError> {
    let session = session.into();
    let mut attempts = 0;
    loop {
        let mut catch_up = CatchUp::new(recovery.clone(), session.clone(), attempts);
        let refused = match converse(address, &mut catch_up) {
            Ok(time) => return Ok(catch_up.finish(time)),
            Err(error) => error,
        };
        attempts += 1;
        if catch_up.has_begun() || attempts == ATTEMPTS {
            return Err(refused);
        }
    }
}

/// One session, to its end; the time of which comes back.
fn converse(address: SocketAddr, catch_up: &mut CatchUp) -> Result<Nanos, WitnessError> {
    let clock = StampClock::calibrate();
    let mut socket = OrderSocket::connect(address)?;
    let (mut inbox, mut filled, mut connected) = (vec![0; 1 << 17], 0, false);
    while !catch_up.tick(clock.now())? {
        if !connected && socket.is_connected() {
            connected = true;
            catch_up.connected(clock.now());
        }
        let written = socket.write(catch_up.pending())?;
        catch_up.written(written);
        match socket.read(&mut inbox[filled..]) {
            Ok(received) => filled += received,
            // The venue hangs up behind its parting message, which may be among what was read before.
            Err(_) if catch_up.tick(clock.now())? => break,
            Err(error) => return Err(error.into()),
        }
        let taken = catch_up.receive(&inbox[..filled], clock.now());
        inbox.copy_within(taken..filled, 0);
        filled -= taken;
        if taken == 0 {
            thread::sleep(LOOK);
        }
    }
    Ok(clock.now())
}
