//! TLS over the order session's connection, by rustls, without waiting.
//!
//! Enters: ciphertext of the socket and plaintext of the session. Leaves: the other of each. A record is handed to rustls
//! only when the socket has taken all of the one before, so that what counts as written is at most one record ahead of the
//! kernel. The handshake is part of connecting, and under its deadline.
//!
//! Cost: rustls allocates a buffer a record, and a record costs microseconds: this is for venues across the internet, not
//! beside the matching engine. Failure: a certificate that does not hold, or a record that does not decrypt, ends the
//! connection as `InvalidData`.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use thiserror::Error;

/// Plaintext of one record at most.
const RECORD_BYTES_MAX: usize = 16_384;

/// Whom to believe, and who the peer has to be.
#[derive(Clone)]
pub struct Tls {
    server: ServerName<'static>,
    config: Arc<ClientConfig>,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The name is neither a host's nor an address.
    #[error("{0:?} is no name of a host, and no address")]
    ServerName(String),
    /// The file of authorities cannot be used.
    #[error("{}: {why}", .file.display())]
    Authorities {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The library refuses.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

impl Tls {
    /// A peer that proves to be `server`: to the authorities of a PEM file, or to those that browsers trust.
    pub fn new(server: &str, authorities: Option<&Path>) -> Result<Self, TlsError> {
        let name = ServerName::try_from(server.to_owned()).map_err(|_| TlsError::ServerName(server.to_owned()))?;
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(file) => {
                let fail = |why: String| TlsError::Authorities { file: file.to_owned(), why };
                for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fail(error.to_string()))? {
                    let certificate = certificate.map_err(|error| fail(error.to_string()))?;
                    roots.add(certificate).map_err(|error| fail(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(fail("holds no certificate".to_owned()));
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        Ok(Self { server: name, config })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Settings are equal when they are the same ones.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server && Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for Tls {}

/// One connection's records.
#[derive(Debug)]
pub(super) struct Records(Box<ClientConnection>);

impl Records {
    pub(super) fn new(tls: &Tls) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(&tls.config), tls.server.clone());
        connection.map(|connection| Self(Box::new(connection))).map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    /// Moves the handshake on; true when it is done.
    pub(super) fn shake_hands(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while self.0.is_handshaking() {
            let sent = self.flush(stream)?;
            if !self.0.is_handshaking() || !sent || !self.take(stream)? {
                break;
            }
        }
        // What the last step left to say.
        self.flush(stream)?;
        Ok(!self.0.is_handshaking())
    }

    /// Takes up to a record of plaintext once the socket has taken all before it; how much.
    pub(super) fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(stream)? {
            return Ok(0);
        }
        let taken = self.0.writer().write(&bytes[..bytes.len().min(RECORD_BYTES_MAX)])?;
        self.flush(stream)?;
        Ok(taken)
    }

    /// Plaintext that has come; `None` when nothing more waits, 0 when the peer has said that it ends.
    pub(super) fn read(&mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.flush(stream)?;
        loop {
            match self.0.reader().read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.kind().into()),
            }
            if !self.take(stream)? {
                return Ok(None);
            }
        }
    }

    /// Hands ciphertext to the socket; true when none is left.
    fn flush(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(stream) {
                Ok(_) => {}
                Err(error) if is_transient(&error) => return Ok(false),
                Err(error) => return Err(error.kind().into()),
            }
        }
        Ok(true)
    }

    /// Takes ciphertext from the socket; false when none waits.
    fn take(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        match self.0.read_tls(stream) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if is_transient(&error) => return Ok(false),
            Err(error) => return Err(error.kind().into()),
        }
        if self.0.process_new_packets().is_err() {
            // The peer is told why, if it still listens.
            let _ = self.0.write_tls(stream);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(true)
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
