//! A small object store of our own, S3 as far as we use it, in memory. Each command enters by a door of its own, which
//! can be shut before any of its requests; and the store's clock can be set.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

struct Thing {
    bytes: Vec<u8>,
    meta: String,
    day: u32,
}

/// What a store answers: a status, more headers, a body.
pub type Said = (&'static str, String, Vec<u8>);
/// What it answers to a request in place of what it should, if anything.
type Whim = Arc<dyn Fn(&Request) -> Option<Said> + Send + Sync>;

type SentParts = BTreeMap<usize, Vec<u8>>;

/// See the module's text.
#[derive(Clone, Default)]
pub struct Shop {
    whim: Arc<Mutex<Option<Whim>>>,
    /// Parts of uploads by name and number.
    parts: Arc<Mutex<BTreeMap<String, SentParts>>>,
    things: Arc<Mutex<BTreeMap<String, Thing>>>,
    day: Arc<Mutex<u32>>,
    /// What uploads in parts were ended, by key and name.
    ended: Arc<Mutex<Vec<(String, String)>>>,
}

#[derive(Default)]
struct Gate {
    /// Requests so far; before which one it shuts, the first being 1; whether one waits.
    count: usize,
    shuts_at: usize,
    is_waiting: bool,
}

/// The way of one command into the store.
pub struct Door {
    port: u16,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

pub struct Request {
    pub method: String,
    pub key: String,
    pub query: BTreeMap<String, String>,
    /// In small letters.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Shop {
    /// Everything in a folder, under `weekly/`.
    pub fn stock(&self, folder: &Path) {
        self.things.lock().unwrap().clear();
        for (path, bytes) in crate::world::tree(folder) {
            self.put(&format!("weekly/{}", path.display()), &bytes);
        }
    }

    pub fn remove(&self, start: &str) {
        self.things.lock().unwrap().retain(|key, _| !key.starts_with(start));
    }

    /// Later by so many days.
    pub fn pass(&self, days: u32) {
        *self.day.lock().unwrap() += days;
    }

    pub fn keys(&self) -> Vec<String> {
        self.things.lock().unwrap().keys().cloned().collect()
    }

    pub fn put(&self, key: &str, bytes: &[u8]) {
        let thing = Thing { bytes: bytes.to_vec(), meta: String::new(), day: *self.day.lock().unwrap() };
        self.things.lock().unwrap().insert(key.to_owned(), thing);
    }

    /// From now on, this store answers some requests as it likes.
    pub fn acts(&self, whim: impl Fn(&Request) -> Option<Said> + Send + Sync + 'static) {
        *self.whim.lock().unwrap() = Some(Arc::new(whim));
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.things.lock().unwrap().get(key).map(|thing| thing.bytes.clone())
    }

    /// Whether a hash was recorded with an object.
    pub fn has_recorded(&self, key: &str) -> bool {
        self.things.lock().unwrap().get(key).is_some_and(|thing| !thing.meta.is_empty())
    }

    pub fn ended(&self) -> Vec<(String, String)> {
        self.ended.lock().unwrap().clone()
    }

    pub fn has(&self, key: &str, bytes: &[u8]) -> bool {
        self.things.lock().unwrap().get(key).is_some_and(|thing| thing.bytes == bytes)
    }

    /// A door that shuts before the n-th request.
    pub fn door(&self, shuts_at: usize) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::new((Mutex::new(Gate { shuts_at, ..Gate::default() }), Condvar::new()));
        let (shop, own) = (self.clone(), Arc::clone(&gate));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shop, gate) = (stream, shop.clone(), Arc::clone(&own)) else { return };
                // Whoever went away is not answered.
                std::thread::spawn(move || drop(shop.serve(stream, &gate)));
            }
        });
        Door { port, gate }
    }

    fn serve(&self, mut stream: TcpStream, gate: &(Mutex<Gate>, Condvar)) -> std::io::Result<()> {
        let request = read(&mut stream)?;
        let mut state = gate.0.lock().unwrap();
        state.count += 1;
        if state.count == state.shuts_at {
            state.is_waiting = true;
            state = gate.1.wait_while(state, |state| state.is_waiting).unwrap();
        }
        drop(state);
        let whim = self.whim.lock().unwrap().clone();
        let (status, more, body) = match whim.and_then(|whim| whim(&request)) {
            Some(said) => said,
            None => self.answer(&request),
        };
        // It did as it was asked, and nobody hears of it.
        if status.is_empty() {
            return Ok(());
        }
        let length =
            if request.method == "HEAD" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{length}{more}\r\n")?;
        stream.write_all(&body)
    }

    pub fn answer(&self, request: &Request) -> Said {
        if let Some(upload) = request.query.get("uploadId").filter(|_| request.method != "DELETE") {
            return self.in_parts(request, upload);
        }
        let mut things = self.things.lock().unwrap();
        let day = *self.day.lock().unwrap();
        match request.method.as_str() {
            "GET" if request.query.contains_key("list-type") => {
                ("200 OK", String::new(), list(&things, &request.query))
            }
            "GET" | "HEAD" => match things.get(&request.key) {
                None => ("404 Not Found", "Content-Length: 0\r\n".into(), Vec::new()),
                Some(thing) => get(thing, request),
            },
            "PUT" if request.headers.contains("if-none-match: *") && things.contains_key(&request.key) => {
                ("412 Precondition Failed", String::new(), Vec::new())
            }
            "PUT" => {
                let line = request.headers.lines().find(|line| line.starts_with("x-amz-meta-sha256"));
                let meta = line.map_or(String::new(), |line| format!("{line}\r\n"));
                things.insert(request.key.clone(), Thing { bytes: request.body.clone(), meta, day });
                ("200 OK", "ETag: \"x\"\r\n".into(), Vec::new())
            }
            "POST" if request.query.contains_key("uploads") => {
                let upload = format!("upload-{}", self.parts.lock().unwrap().len());
                self.parts.lock().unwrap().insert(upload.clone(), BTreeMap::new());
                let xml = "InitiateMultipartUploadResult";
                ("200 OK", String::new(), format!("<{xml}><UploadId>{upload}</UploadId></{xml}>").into_bytes())
            }
            "DELETE" if request.query.get("uploadId").is_some_and(|upload| !upload.is_empty()) => {
                self.ended.lock().unwrap().push((request.key.clone(), request.query["uploadId"].clone()));
                ("204 No Content", String::new(), Vec::new())
            }
            "DELETE" => {
                things.remove(&request.key);
                ("204 No Content", String::new(), Vec::new())
            }
            _ => ("400 Bad Request", String::new(), Vec::new()),
        }
    }
}

impl Shop {
    /// A part, or the request that puts all of them together.
    fn in_parts(&self, request: &Request, upload: &str) -> Said {
        let mut parts = self.parts.lock().unwrap();
        let Some(own) = parts.get_mut(upload) else {
            return ("404 Not Found", String::new(), b"<Error><Code>NoSuchUpload</Code></Error>".to_vec());
        };
        if let Some(number) = request.query.get("partNumber") {
            own.insert(number.parse().unwrap(), request.body.clone());
            return ("200 OK", "ETag: \"x\"\r\n".into(), Vec::new());
        }
        let bytes = parts.remove(upload).unwrap().into_values().flatten().collect::<Vec<u8>>();
        self.put(&request.key, &bytes);
        let xml = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
        ("200 OK", String::new(), xml.into())
    }
}

impl Door {
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// The address of this door.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("AWS_ENDPOINT_URL", self.url()).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_REGION", "eu-1");
        command
    }

    /// Until the command stands at the shut door, or has ended.
    pub fn wait(&self, child: &mut Child) {
        while !self.gate.0.lock().unwrap().is_waiting && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn open(&self) {
        let mut state = self.gate.0.lock().unwrap();
        state.shuts_at = 0;
        state.is_waiting = false;
        self.gate.1.notify_all();
    }

    pub fn requests(&self) -> usize {
        self.gate.0.lock().unwrap().count
    }
}

fn read(stream: &mut TcpStream) -> std::io::Result<Request> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (first, headers) = head.split_once("\r\n").unwrap_or_default();
    let headers = headers.to_lowercase();
    let length =
        headers.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let plain = |text: &str| text.replace("%2F", "/");
    let query = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = query.map(|(name, value)| (name.to_owned(), plain(value))).collect();
    let key = plain(path).trim_start_matches("/storage/v1").trim_start_matches("/b").trim_start_matches('/').to_owned();
    Ok(Request { method: method.to_owned(), key, query, headers, body })
}

fn get(thing: &Thing, request: &Request) -> (&'static str, String, Vec<u8>) {
    let more = format!("ETag: \"x\"\r\nLast-Modified: Sun, 22 Nov 2026 18:00:00 GMT\r\n{}", thing.meta);
    let all = thing.bytes.len();
    let range = request.headers.lines().find_map(|line| line.strip_prefix("range: bytes=")?.split_once('-'));
    match range {
        _ if request.method == "HEAD" => ("200 OK", format!("Content-Length: {all}\r\n{more}"), Vec::new()),
        None => ("200 OK", more, thing.bytes.clone()),
        Some((from, to)) => {
            let from: usize = from.parse().unwrap_or(0);
            let to = to.trim().parse::<usize>().map_or(all, |to| all.min(to + 1));
            let more = format!("Content-Range: bytes {from}-{}/{all}\r\n{more}", to - 1);
            ("206 Partial Content", more, thing.bytes[from..to].to_vec())
        }
    }
}

fn list(things: &BTreeMap<String, Thing>, query: &BTreeMap<String, String>) -> Vec<u8> {
    let start = query.get("prefix").map_or("", String::as_str);
    let mut text = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
    for (key, thing) in things {
        let Some(rest) = key.strip_prefix(start) else { continue };
        if query.contains_key("delimiter") && rest.contains('/') {
            continue;
        }
        let (day, size) = (thing.day + 1, thing.bytes.len());
        text += &format!(
            "<Contents><Key>{key}</Key><LastModified>2026-11-{day:02}T18:00:00.000Z</LastModified><ETag>\"x\"</ETag>\
             <Size>{size}</Size></Contents>"
        );
    }
    (text + "</ListBucketResult>").into_bytes()
}
