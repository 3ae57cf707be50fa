//! The page over HTTP, on a thread of its own.
//!
//! Written by hand over the standard library: one fixed page for one kind of client needs a request line read and a
//! header written, and an HTTP library would bring a runtime of threads beside the pipeline's.
//!
//! A hostile client costs little. At most [`CONNECTIONS_MAX`] are served side by side, none waits for another; one more
//! replaces the oldest, so that a crowd of silent ones keeps nobody out. A request is at most [`HEAD_BYTES_MAX`] long, a
//! connection is closed after [`PATIENCE`], and a page is made at most once every [`FRESH`], however many ask. Nothing here
//! touches a hot thread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{CONTENT_TYPE, page};
use crate::telemetry::live::Snapshot;

/// Connections served side by side.
pub const CONNECTIONS_MAX: usize = 32;
/// Longest request, bytes.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long a connection may last.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How old a page may be that is sent again.
const FRESH: Duration = Duration::from_millis(100);
/// Connections accepted in one turn.
const ACCEPTED_MAX: usize = 64;
/// Between two turns.
const NAP: Duration = Duration::from_millis(10);

/// An open port that nobody answers at yet.
#[derive(Debug)]
pub struct MetricsPort {
    listener: TcpListener,
    address: SocketAddr,
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct MetricsServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The metrics could not be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics at {address}: {source}")]
pub struct MetricsError {
    address: String,
    source: io::Error,
}

impl MetricsPort {
    /// Opens `address`, such as `127.0.0.1:9464`; port 0 takes any that is free.
    pub fn open(address: &str) -> Result<Self, MetricsError> {
        let fail = |source| MetricsError { address: address.to_owned(), source };
        let none = || fail(io::Error::new(ErrorKind::InvalidInput, "it names no address"));
        let place = address.to_socket_addrs().map_err(fail)?.next().ok_or_else(none)?;
        let listener = TcpListener::bind(place).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves what `look` sees.
    pub fn serve(self, look: impl Fn() -> Snapshot + Send + 'static) -> io::Result<MetricsServer> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || serve(&self.listener, look, || stopped.load(Ordering::Acquire));
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(work)?;
        Ok(MetricsServer { stop, thread: Some(thread) })
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A server that panicked has been told of by the panic itself.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, look: impl Fn() -> Snapshot, is_stopped: impl Fn() -> bool) {
    let mut clients: VecDeque<Client> = VecDeque::new();
    let mut latest: Option<(Instant, Arc<str>)> = None;
    let mut fresh_page = || match &latest {
        Some((made, text)) if made.elapsed() < FRESH => Arc::clone(text),
        _ => {
            let text: Arc<str> = page(&look()).into();
            latest = Some((Instant::now(), Arc::clone(&text)));
            text
        }
    };
    while !is_stopped() {
        for _ in 0..ACCEPTED_MAX {
            let Ok((stream, _)) = listener.accept() else { break };
            if stream.set_nonblocking(true).is_ok() {
                if clients.len() == CONNECTIONS_MAX {
                    clients.pop_front();
                }
                clients.push_back(Client::new(stream));
            }
        }
        clients.retain_mut(|client| client.turn(&mut fresh_page).is_ok_and(|state| state == State::Open));
        thread::sleep(NAP);
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Done,
}

/// One connection.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    since: Instant,
    head: Vec<u8>,
    answer: Option<Vec<u8>>,
    sent: usize,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self { stream, since: Instant::now(), head: Vec::new(), answer: None, sent: 0 }
    }

    /// Goes on as far as the socket lets it. An error ends the connection, like its end.
    fn turn(&mut self, page: &mut impl FnMut() -> Arc<str>) -> io::Result<State> {
        if self.since.elapsed() > PATIENCE {
            return Ok(State::Done);
        }
        if self.answer.is_none() {
            let is_over = self.read()?;
            self.answer = answer(&self.head, page);
            if self.answer.is_none() && is_over {
                return Ok(State::Done);
            }
        }
        self.write()
    }

    /// Reads what is there, up to the longest request; true at the client's end.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 1 << 10];
        while self.head.len() < HEAD_BYTES_MAX {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(true),
                Ok(count) => self.head.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn write(&mut self) -> io::Result<State> {
        let Some(answer) = &self.answer else { return Ok(State::Open) };
        while self.sent < answer.len() {
            match self.stream.write(&answer[self.sent..]) {
                Ok(0) => return Ok(State::Done),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(State::Open),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        Ok(State::Done)
    }
}

/// The answer to a request, once its head is whole or too long.
fn answer(head: &[u8], page: &mut impl FnMut() -> Arc<str>) -> Option<Vec<u8>> {
    let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n");
    if !is_whole {
        return (head.len() >= HEAD_BYTES_MAX).then(|| refusal("431 Request Header Fields Too Large", true));
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let has_body = method != "HEAD";
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Some(refusal("400 Bad Request", true));
    }
    if method != "GET" && method != "HEAD" {
        return Some(refusal("405 Method Not Allowed", true));
    }
    match target.split('?').next() {
        Some("/metrics") => Some(response("200 OK", CONTENT_TYPE, &page(), has_body)),
        Some("/") => {
            let body =
                "<html><head><title>hedgecore</title></head><body><a href=\"/metrics\">metrics</a></body></html>\n";
            Some(response("200 OK", "text/html; charset=utf-8", body, has_body))
        }
        _ => Some(refusal("404 Not Found", has_body)),
    }
}

fn refusal(status: &str, has_body: bool) -> Vec<u8> {
    response(status, "text/plain; charset=utf-8", &format!("{status}\n"), has_body)
}

fn response(status: &str, content: &str, body: &str, has_body: bool) -> Vec<u8> {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    let mut answer = head.into_bytes();
    if has_body {
        answer.extend_from_slice(body.as_bytes());
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Rig {
        address: SocketAddr,
        looks: Arc<AtomicUsize>,
        _server: MetricsServer,
    }

    fn server() -> Rig {
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let look = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Snapshot { topology: "fused", ..Snapshot::default() }
        };
        let port = MetricsPort::open("127.0.0.1:0").unwrap();
        Rig { address: port.address(), looks, _server: port.serve(look).unwrap() }
    }

    fn ask(server: &Rig, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A connection may end in a reset when the server had no patience for all of the request.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";

    #[test]
    fn the_page_is_served_with_its_length_and_type() {
        let server = server();
        let answer = ask(&server, GET);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(CONTENT_TYPE) && head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("hedgecore_build_info{version="), "{body}");
        let head = ask(&server, b"HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn what_is_no_request_for_the_page_is_refused() {
        let server = server();
        for (request, status) in [
            (&b"GET /secret HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\xff\xfe\x00\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\r\n\r\n", "200"),
        ] {
            let answer = ask(&server, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }

    #[test]
    fn a_request_without_end_is_cut_off() {
        let line = |bytes: usize| answer(&vec![b'x'; bytes], &mut || "".into());
        assert!(line(HEAD_BYTES_MAX - 1).is_none());
        assert!(line(HEAD_BYTES_MAX).unwrap().starts_with(b"HTTP/1.1 431 "));
        let server = server();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut written = 0;
        while stream.write(&[b'x'; 4_096]).is_ok_and(|count| count > 0) {
            written += 4_096;
            assert!(written < 256 << 20, "the server reads on");
        }
    }

    #[test]
    fn a_crowd_of_silent_clients_keeps_nobody_out_and_is_sent_home() {
        let server = server();
        let crowd: Vec<TcpStream> =
            (0..4 * CONNECTIONS_MAX).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        assert!(ask(&server, GET).starts_with("HTTP/1.1 200 OK"));
        for mut stream in crowd {
            stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(10))).unwrap();
            let end = stream.read(&mut [0]);
            assert!(end.is_ok_and(|count| count == 0), "still open");
        }
    }

    #[test]
    fn many_that_ask_at_once_get_the_same_page() {
        let server = server();
        let began = Instant::now();
        (0..20).for_each(|_| assert!(ask(&server, GET).starts_with("HTTP/1.1 200 OK")));
        let pages = began.elapsed().as_millis() / FRESH.as_millis() + 1;
        assert!(server.looks.load(Ordering::Relaxed) as u128 <= pages);
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_it() {
        let server = server();
        let error = MetricsPort::open(&server.address.to_string()).unwrap_err();
        assert!(error.to_string().contains(&server.address.to_string()), "{error}");
        assert!(MetricsPort::open("nowhere").is_err());
    }
}
