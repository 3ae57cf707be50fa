//! Orders over TLS: the gateway's own socket against an acceptor behind rustls' server end.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hedgecore::event::{Body, Event};
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Acceptor, Credentials, FixConfig, FixRules, NonceSeed, Taken};
use hedgecore::runtime::socket::{OrderAddress, OrderSocket, Tls};
use hedgecore::units::{Nanos, Ticks};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/authority.pem");
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/server.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/server.key");
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> Nanos {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).expect("after 1970");
    Nanos(since.as_nanos() as u64)
}

fn server_config() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(CERTIFICATE).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("a pair"))
}

/// Lets one client in and hands its stream to `talk`.
fn server(
    talk: impl FnOnce(StreamOwned<ServerConnection, std::net::TcpStream>) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a time-out");
        talk(StreamOwned::new(ServerConnection::new(server_config()).expect("a connection"), stream));
    });
    (address, thread)
}

/// A venue that answers session messages until the client is gone.
fn accept_fix(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) {
    let client = Credentials::new("key", "swordfish").expect("both fit");
    let mut venue = Acceptor::new(FixRules::new("VENUE", "DESK").expect("names"), Some(client));
    venue.connected(now());
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let mut at = 0;
        loop {
            match venue.take(&bytes[at..], now()) {
                Taken::Incomplete => break,
                Taken::Session(taken) | Taken::Request(taken, _) => at += taken,
            }
        }
        bytes.drain(..at);
        let pending = venue.pending().len();
        if stream.write_all(venue.pending()).and_then(|()| stream.flush()).is_err() {
            return;
        }
        venue.written(pending);
    }
}

fn address(at: SocketAddr, server: &str, authorities: Option<&str>) -> OrderAddress {
    let tls = Tls::new(server, authorities.map(Path::new)).expect("settings");
    OrderAddress { tls: Some(tls), ..OrderAddress::new(at) }
}

/// How a connection that never comes up ends.
fn ends_with(address: &OrderAddress) -> ErrorKind {
    let mut socket = OrderSocket::open(address).expect("a socket");
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        assert!(!socket.is_connected(), "it must not come up");
        if let Err(error) = socket.write(b"a secret") {
            return error.kind();
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("stuck");
}

#[test]
fn a_session_comes_up_and_ends_over_tls() {
    let (at, venue) = server(accept_fix);
    let mut socket = OrderSocket::open(&address(at, "localhost", Some(AUTHORITY))).expect("a socket");
    let credentials = Credentials::new("key", "swordfish").expect("both fit");
    let rules = FixRules::new("DESK", "VENUE").expect("names");
    let mut gateway = Gateway::new(FixConfig::new(rules, credentials, NonceSeed([9; 32])));
    let (mut events, mut inbox): (Vec<Event>, Vec<u8>) = (Vec::new(), Vec::new());
    let (start, mut is_up, mut connected) = (Instant::now(), false, false);
    while !gateway.wants_disconnect() {
        assert!(start.elapsed() < PATIENCE, "stuck: {:?}", socket.state());
        if !connected && socket.is_connected() {
            connected = true;
            gateway.connected(now());
        }
        let written = socket.write(gateway.pending()).expect("an open connection");
        gateway.written(written, Ticks(0), &mut events);
        let mut buffer = [0; 512];
        let read = socket.read(&mut buffer).expect("an open connection");
        inbox.extend_from_slice(&buffer[..read]);
        let taken = gateway.receive(&inbox, now(), &mut events);
        inbox.drain(..taken);
        if !is_up && events.iter().any(|event| event.body == Body::Session { up: true }) {
            is_up = true;
            gateway.log_out(now());
        }
    }
    assert!(is_up);
    drop(socket);
    venue.join().expect("a venue");
}

#[test]
fn a_certificate_of_strangers_ends_the_connection_before_a_byte_is_said() {
    for (server_name, authorities) in [("localhost", None), ("elsewhere.example", Some(AUTHORITY))] {
        let (at, venue) = server(|mut stream| {
            let heard = stream.read(&mut [0; 64]);
            assert!(!matches!(heard, Ok(1..)), "the client must say nothing: {heard:?}");
        });
        assert_eq!(ends_with(&address(at, server_name, authorities)), ErrorKind::InvalidData);
        venue.join().expect("a venue");
    }
}

#[test]
fn a_peer_that_speaks_in_clear_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"8=FIX.4.4\x019=5\x0135=0\x01").expect("a client that listens");
        // Until the client has gone.
        let _ = stream.read(&mut [0; 4_096]);
        thread::sleep(Duration::from_millis(50));
    });
    assert_eq!(ends_with(&address(at, "localhost", Some(AUTHORITY))), ErrorKind::InvalidData);
    peer.join().expect("a peer");
}

#[test]
fn a_peer_that_says_nothing_runs_into_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = address(listener.local_addr().expect("bound"), "localhost", Some(AUTHORITY));
    let address = OrderAddress { connect_time_out: Duration::from_millis(200), ..address };
    assert_eq!(ends_with(&address), ErrorKind::TimedOut);
}
