//! A network that fails: a proxy between a client and a server on loopback, that counts what passes,
//! notes each request, and cuts connections where it is told to.
//!
//! It reads as much of HTTP/1.1 as it needs to know where a request begins and ends. What it is told
//! can change while it runs; it ends with the value.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BLOCK_BYTES: usize = 64 * 1024;
/// Requests without an end are no requests.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing: all goes through.
    Never,
    /// When so many bytes of bodies went to the server, the connection that sent the last is cut, once.
    OnceAfter(u64),
    /// From the n-th request on, the first being 1, everything is cut until the proxy is told otherwise.
    FromRequest(usize),
    /// When so many bytes of bodies went to the server, everything is cut until the proxy is told otherwise.
    ForGoodAfter(u64),
}

/// One request, as far as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Bytes of its body that went to the server.
    pub body_bytes: u64,
}

#[derive(Debug)]
struct State {
    cut: Cut,
    is_cut: bool,
    sent: u64,
    received: u64,
    requests: Vec<Request>,
    open: Vec<TcpStream>,
    ended: bool,
}

/// See the module's text.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// In front of a server on this port of loopback.
    pub fn of(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            cut: Cut::Never,
            is_cut: false,
            sent: 0,
            received: 0,
            requests: Vec::new(),
            open: Vec::new(),
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if accepting.lock().ended {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.serve(client, server_port));
            }
        });
        Self { port, shared }
    }

    /// Counts from nothing, and cuts like this from now on.
    pub fn start(&self, cut: Cut) {
        let mut state = self.shared.lock();
        state.cut = cut;
        (state.is_cut, state.sent, state.received) = (false, 0, 0);
        state.requests.clear();
    }

    /// Bytes of bodies that went to the server.
    pub fn sent(&self) -> u64 {
        self.shared.lock().sent
    }

    /// Bytes that came from the server.
    pub fn received(&self) -> u64 {
        self.shared.lock().received
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Whether a connection was cut since the start.
    pub fn is_cut(&self) -> bool {
        self.shared.lock().is_cut
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.close_all();
        drop(state);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in self.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn is_down(&self) -> bool {
        self.ended || self.is_cut && matches!(self.cut, Cut::ForGoodAfter(_) | Cut::FromRequest(_))
    }

    /// Takes what a client sent of a body. False: the connection is to be cut before it.
    fn body(&mut self, request: usize, bytes: u64) -> bool {
        let (limit, once) = match self.cut {
            Cut::OnceAfter(limit) => (limit, true),
            Cut::ForGoodAfter(limit) => (limit, false),
            Cut::Never | Cut::FromRequest(_) => (u64::MAX, false),
        };
        if self.sent + bytes > limit && !(once && self.is_cut) {
            self.is_cut = true;
            return false;
        }
        self.sent += bytes;
        if let Some(request) = self.requests.get_mut(request) {
            request.body_bytes += bytes;
        }
        true
    }

    /// Notes a request; gives its number. `None`: it is to be cut.
    fn request(&mut self, line: &str) -> Option<usize> {
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.requests.push(Request { method, path, body_bytes: 0 });
        let number = self.requests.len();
        if matches!(self.cut, Cut::FromRequest(from) if number >= from) {
            self.is_cut = true;
            return None;
        }
        Some(number - 1)
    }
}

/// Where a client stands in its stream of requests.
#[derive(Default)]
struct Reading {
    head: Vec<u8>,
    body_left: u64,
    request: usize,
}

impl Reading {
    /// False: the connection is to be cut, and none of these bytes go on.
    fn take(&mut self, mut bytes: &[u8], state: &mut State) -> bool {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let part = self.body_left.min(bytes.len() as u64);
                if !state.body(self.request, part) {
                    return false;
                }
                self.body_left -= part;
                bytes = &bytes[part as usize..];
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            if self.head.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.head).into_owned();
                let Some(request) = state.request(head.lines().next().unwrap_or_default()) else { return false };
                self.request = request;
                self.body_left = length_of(&head);
                self.head.clear();
            }
            assert!(self.head.len() < MAX_HEAD_BYTES, "no end of a request's head");
        }
        true
    }
}

fn length_of(head: &str) -> u64 {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    line.unwrap_or(0)
}

impl Shared {
    fn serve(self: Arc<Self>, client: TcpStream, server_port: u16) {
        if self.lock().is_down() {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { return };
        let (to_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            self.lock().open.push(stream.try_clone().unwrap());
        }
        let back = Arc::clone(&self);
        std::thread::spawn(move || {
            let mut to_client = to_client;
            back.pump(from_server, |shared, bytes| {
                shared.lock().received += bytes.len() as u64;
                to_client.write_all(bytes).is_ok()
            });
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let mut reading = Reading::default();
        let mut to_server = &server;
        self.pump(client.try_clone().unwrap(), |shared, bytes| {
            let goes_on = {
                let mut state = shared.lock();
                let goes_on = !state.is_down() && reading.take(bytes, &mut state);
                if state.is_down() {
                    state.close_all();
                }
                goes_on
            };
            goes_on && to_server.write_all(bytes).is_ok()
        });
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn pump(&self, mut from: TcpStream, mut take: impl FnMut(&Self, &[u8]) -> bool) {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match from.read(&mut block) {
                Ok(0) => return,
                Ok(count) if take(self, &block[..count]) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}
