//! Stores that answer as nobody should: bodies and lists without an end, redirects, more than was asked
//! for, nonsense. Each is told as an error, in bounded time and of bounded size.

use crate::List;
use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// More than any answer may have, and more than a socket keeps.
const MANY_BYTES: u64 = 1 << 30;
/// No case takes so long on whatever machine: one that does never ends.
const LONGEST: Duration = Duration::from_secs(900);

/// A request: its first line and headers.
type Answer = fn(&str, &mut dyn Write, u16) -> std::io::Result<()>;

/// A store that answers each request in one way.
struct Hostile {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicU64>,
}

struct Counting<'a>(&'a mut TcpStream, &'a AtomicU64);

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Hostile {
    /// `other` is the port of another host.
    fn new(answer: Answer, other: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let hostile = Self { port, requests: Arc::default(), sent: Arc::default() };
        let (requests, sent) = (Arc::clone(&hostile.requests), Arc::clone(&hostile.sent));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), requests, sent) = (stream, Arc::clone(&requests), Arc::clone(&sent)) else {
                    return;
                };
                std::thread::spawn(move || {
                    let head = head_of(&mut stream);
                    requests.lock().unwrap().push(head.clone());
                    // Whoever was told too much goes away.
                    let _ = answer(&head, &mut Counting(&mut stream, &sent), other);
                });
            }
        });
        hostile
    }

    /// Calls a command on it that is to be refused, and gives what it told.
    fn refused(&self, args: &[&str]) -> String {
        let (code, reported) = self.called(args);
        assert!(matches!(code, Some(1..=3)), "{code:?}: {reported}");
        reported
    }

    /// The same, in an address space of 1 GB.
    fn in_little(&self, args: &[&str]) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 1000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_blobdelta")]);
        let (code, reported) = self.called_by(command, args);
        assert!(matches!(code, Some(1..=3)), "{code:?}: {reported}");
        reported
    }

    /// Calls a command on it, and gives its code and what it told.
    fn called(&self, args: &[&str]) -> (Option<i32>, String) {
        let started = Instant::now();
        let called = self.called_by(Command::new(env!("CARGO_BIN_EXE_blobdelta")), args);
        assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
        called
    }

    fn called_by(&self, mut command: Command, args: &[&str]) -> (Option<i32>, String) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        command.args(args).current_dir(dir.path()).env("HOME", dir.path());
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_REGION", "eu-1");
        command.env("AWS_SESSION_TOKEN", "secret-token");
        let done = command.output().unwrap();
        let reported = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(reported.len() < 4_000, "{} bytes were told", reported.len());
        assert_eq!(std::fs::read_dir(dir.path().join("in")).unwrap().count(), 0, "{reported}");
        assert!(self.sent.load(Ordering::SeqCst) < MANY_BYTES / 4, "it read on");
        (done.status.code(), reported)
    }
}

fn head_of(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn endless(out: &mut dyn Write, head: &str, start: &str, chunk: &str) -> std::io::Result<()> {
    write!(out, "{head}\r\nConnection: close\r\n\r\n{start}")?;
    let block = chunk.repeat((64 << 10) / chunk.len());
    for _ in 0..MANY_BYTES / block.len() as u64 {
        out.write_all(block.as_bytes())?;
    }
    Ok(())
}

fn whole(out: &mut dyn Write, status: &str, more: &str, body: &str) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
}

const XML: &str = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";

fn page(contents: &str, next: Option<&str>) -> String {
    let next = next.map_or(String::new(), |token| format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    format!("{XML}<Name>b</Name><IsTruncated>{}</IsTruncated>{next}{contents}</ListBucketResult>", !next.is_empty())
}

fn object(key: &str, bytes: usize) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2026-11-22T18:00:00.000Z</LastModified><ETag>\"x\"</ETag>\
         <Size>{bytes}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
}

fn a_list_without_an_end() {
    let store = Hostile::new(|_, out, _| endless(out, "HTTP/1.1 200 OK", XML, &object("weekly/x", 1)), 0);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(reported.contains("longer than"), "{reported}");
}

fn an_error_without_an_end() {
    let store = Hostile::new(|_, out, _| endless(out, "HTTP/1.1 403 Forbidden", "<Error>", "no \u{1b}[31m"), 0);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(!reported.contains('\u{1b}'), "{reported}");
}

fn pages_without_an_end() {
    fn answer(head: &str, out: &mut dyn Write, _: u16) -> std::io::Result<()> {
        let next = format!("t{}", head.len() % 7 + head.bytes().map(usize::from).sum::<usize>());
        whole(out, "200 OK", "", &page("", Some(&next)))
    }
    let store = Hostile::new(answer, 0);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(reported.contains("no end") || reported.contains("again and again"), "{reported}");
    assert!(store.requests.lock().unwrap().len() < 5_000);
}

fn one_page_again_and_again() {
    let store = Hostile::new(|_, out, _| whole(out, "200 OK", "", &page("", Some("same"))), 0);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(reported.contains("again and again"), "{reported}");
}

fn a_redirect_to_another_host() {
    let other = Hostile::new(|_, out, _| whole(out, "200 OK", "", &page("", None)), 0);
    fn answer(_: &str, out: &mut dyn Write, other: u16) -> std::io::Result<()> {
        whole(out, "307 Temporary Redirect", &format!("Location: http://127.0.0.1:{other}/b?list-type=2\r\n"), "")
    }
    let store = Hostile::new(answer, other.port);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(reported.contains("redirect"), "{reported}");
    assert!(other.requests.lock().unwrap().is_empty(), "keys went along");
}

const MARKER: &str = "weekly/20261122T180000Z-1b4e28ba-1.bundle.tar.complete";

/// The list names a marker of 65 bytes; reading it gives more than was asked for.
fn more_than_was_asked_for() {
    fn answer(head: &str, out: &mut dyn Write, _: u16) -> std::io::Result<()> {
        let first = head.lines().next().unwrap_or_default();
        if first.contains("list-type") {
            return whole(out, "200 OK", "", &page(&object(MARKER, 65), None));
        }
        let about = "ETag: \"x\"\r\nLast-Modified: Sun, 22 Nov 2026 18:00:00 GMT\r\n";
        if first.starts_with("HEAD") {
            return write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 65\r\n{about}\r\n");
        }
        endless(
            out,
            &format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-64/65\r\nContent-Length: {MANY_BYTES}\r\n{}",
                about.trim_end()
            ),
            "",
            "0",
        )
    }
    let store = Hostile::new(answer, 0);
    let reported = store.refused(&["receive", "s3://b/weekly", "--out", "in"]);
    assert!(reported.contains("longer than the 65 bytes"), "{reported}");
}

/// Lists a bundle with its marker; what is in it lies in an archive tier.
fn archived(head: &str, out: &mut dyn Write, _: u16) -> std::io::Result<()> {
    const BUNDLE: &str = "weekly/20261122T180000Z-1b4e28ba-1.bundle";
    let first = head.lines().next().unwrap_or_default();
    let marker = format!("{BUNDLE}.complete");
    if first.contains("list-type") {
        let objects = object(&marker, 65) + &object(&format!("{BUNDLE}/tagmanifest-sha256.txt"), 100);
        return whole(out, "200 OK", "", &page(&objects, None));
    }
    let about = "ETag: \"x\"\r\nLast-Modified: Sun, 22 Nov 2026 18:00:00 GMT\r\n";
    match (first.contains(".complete"), first.starts_with("HEAD")) {
        (true, true) => {
            write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 65\r\n{about}\r\n")
        }
        (true, false) => {
            let more = format!("Content-Range: bytes 0-64/65\r\n{about}");
            whole(out, "206 Partial Content", &more, &format!("{}\n", "0".repeat(64)))
        }
        _ => whole(out, "403 Forbidden", "", "<Error><Code>InvalidObjectState</Code></Error>"),
    }
}

fn what_could_not_be_read_is_not_called_bad() {
    let url = "s3://b/weekly/20261122T180000Z-1b4e28ba-1.bundle";
    for command in [&["verify", url][..], &["chain", url], &["replay", url, "--into", "sqlite:in"]] {
        let (code, reported) = Hostile::new(archived, 0).called(command);
        assert_eq!(code, Some(1), "{command:?}: {reported}");
        assert!(!reported.contains("NOT TO BE USED"), "{reported}");
    }
}

fn a_place_that_holds_nothing_is_reported() {
    let empty: Answer = |_, out, _| whole(out, "200 OK", "", &page("", None));
    let receive = ["receive", "s3://b/weekly", "--out", "in"];
    let (code, reported) = Hostile::new(empty, 0).called(&receive);
    assert!(code == Some(2) && reported.contains("--allow-empty"), "{code:?}: {reported}");
    let (code, reported) = Hostile::new(empty, 0).called(&[&receive[..], &["--allow-empty"]].concat());
    assert_eq!(code, Some(0), "{reported}");
}

fn nonsense_is_no_empty_place() {
    let answers: [Answer; 4] = [
        |_, out, _| whole(out, "200 OK", "", ""),
        |_, out, _| whole(out, "200 OK", "", "hello"),
        |_, out, _| whole(out, "200 OK", "", "<html><body>Welcome</body></html>"),
        |_, out, _| whole(out, "404 Not Found", "", "<html>"),
    ];
    for answer in answers {
        let store = Hostile::new(answer, 0);
        for command in [&["receive", "s3://b/weekly", "--out", "in"][..], &["chain", "s3://b/weekly"]] {
            let reported = store.refused(command);
            assert!(!reported.contains("no bundle"), "{reported}");
        }
    }
}

/// Pages as full as they may be, of names as long as they may be, or as short; where there is little memory.
fn a_list_of_everything() {
    fn answer(head: &str, out: &mut dyn Write, _: u16) -> std::io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nth = COUNT.fetch_add(1, Ordering::SeqCst);
        let long = if head.contains("long") { "n".repeat(900) } else { String::new() };
        let objects = 20_000_000 / (long.len() + 150);
        // Put together by hand: it is most of what this test does.
        let one = object("short/@", 1);
        let (before, after) = one.split_once('@').unwrap();
        let mut text = String::with_capacity(21_000_000);
        for at in 0..objects {
            [before, &at.to_string(), "-", &nth.to_string(), &long, after]
                .iter()
                .for_each(|piece| text.push_str(piece));
        }
        whole(out, "200 OK", "", &page(&text, Some(&format!("t{nth}"))))
    }
    for place in ["s3://b/long", "s3://b/short"] {
        let store = Hostile::new(answer, 0);
        let reported = store.in_little(&["receive", place, "--out", "in"]);
        assert!(reported.contains("over 400,000 objects"), "{place}: {reported}");
    }
}

/// Adds the cases.
pub fn add_to(list: &mut List) {
    let cases: [(&str, fn()); 10] = [
        ("attack_a_list_of_everything_fits_into_little", a_list_of_everything),
        ("attack_a_list_without_an_end", a_list_without_an_end),
        ("attack_an_error_without_an_end", an_error_without_an_end),
        ("attack_pages_without_an_end", pages_without_an_end),
        ("attack_one_page_again_and_again", one_page_again_and_again),
        ("attack_a_redirect_to_another_host", a_redirect_to_another_host),
        ("attack_more_than_was_asked_for", more_than_was_asked_for),
        ("attack_nonsense_is_no_empty_place", nonsense_is_no_empty_place),
        ("what_could_not_be_read_is_not_called_bad", what_could_not_be_read_is_not_called_bad),
        ("a_place_that_holds_nothing_is_reported", a_place_that_holds_nothing_is_reported),
    ];
    for (name, case) in cases {
        list.add(&format!("hostile::{name}"), None, case);
    }
}
