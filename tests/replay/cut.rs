//! A connection that is cut in the middle: a relay stands between the program and the server, and
//! drops the connection at one message, before it or before its answer.

use crate::made::Made;
use crate::replay::bundles::large;
use crate::replay::place::{Into, Place};
use blobdelta::backend::OpenOptions;
use blobdelta::error::Kind;
use blobdelta::monitor::Silent;
use blobdelta::replay::replay;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What is cut: what the program sends is counted in messages, all connections together.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Never,
    /// This message does not arrive.
    Before(usize),
    /// This message arrives, and its answer does not.
    After(usize),
    /// From this byte on nothing arrives. Where rows go by the megabyte, messages are not told apart from
    /// what happens to be read at once.
    FromByte(usize),
    /// From this message on nothing arrives on its connection, which is held.
    Mute(usize),
}

pub struct Relay {
    pub port: u16,
    pub messages: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    /// Which of the messages were a COMMIT, where that can be seen.
    commits: Arc<std::sync::Mutex<Vec<usize>>>,
}

impl Relay {
    pub fn start(server: &str, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Self { port, messages: Arc::default(), bytes: Arc::default(), commits: Arc::default() };
        let address = server.to_socket_addrs().unwrap().next().unwrap();
        let (messages, bytes, commits) = (relay.messages.clone(), relay.bytes.clone(), relay.commits.clone());
        std::thread::spawn(move || {
            for inward in listener.incoming().flatten() {
                let Ok(outward) = TcpStream::connect(address) else { continue };
                let is_mute = Arc::new(AtomicBool::new(false));
                let back = (outward.try_clone().unwrap(), inward.try_clone().unwrap(), is_mute.clone());
                std::thread::spawn(move || answers(back.0, back.1, &back.2));
                let (messages, bytes, commits) = (messages.clone(), bytes.clone(), commits.clone());
                std::thread::spawn(move || {
                    let note = |nth, text: &[u8]| {
                        if contains(text, "COMMIT TRANSACTION") {
                            commits.lock().unwrap().push(nth);
                        }
                    };
                    requests(inward, outward, cut, (&messages, &bytes), &is_mute, note);
                });
            }
        });
        relay
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    let wanted: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn requests(
    mut from: TcpStream,
    mut to: TcpStream,
    cut: Cut,
    (messages, bytes): (&AtomicUsize, &AtomicUsize),
    is_mute: &AtomicBool,
    note: impl Fn(usize, &[u8]),
) {
    let mut block = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut block) {
        let nth = messages.fetch_add(1, Ordering::SeqCst) + 1;
        let sent = bytes.fetch_add(read, Ordering::SeqCst) + read;
        note(nth, &block[..read]);
        match cut {
            Cut::Before(at) if nth == at => break,
            Cut::FromByte(at) if sent >= at => break,
            Cut::Mute(at) if nth == at => {
                // Until the client goes.
                while let Ok(1..) = from.read(&mut block) {}
                break;
            }
            Cut::After(at) if nth == at => {
                is_mute.store(true, Ordering::SeqCst);
                to.write_all(&block[..read]).ok();
                // Until the server has done what it was asked for.
                std::thread::sleep(Duration::from_millis(300));
                break;
            }
            _ if to.write_all(&block[..read]).is_err() => break,
            _ => {}
        }
    }
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}

fn answers(mut from: TcpStream, mut to: TcpStream, is_mute: &AtomicBool) {
    let mut block = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut block) {
        if !is_mute.load(Ordering::SeqCst) && to.write_all(&block[..read]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

/// The host and port of an ADO.NET connection string, and the string with another port of this
/// machine in their place.
pub fn through(string: &str, port: u16) -> (String, String) {
    let (before, rest) = string.split_once("Server=tcp:").expect("an ADO.NET string with Server=tcp:HOST,PORT");
    let (server, after) = rest.split_once(';').unwrap_or((rest, ""));
    let host_and_port = server.replace(',', ":");
    (host_and_port, format!("{before}Server=tcp:127.0.0.1,{port};{after}"))
}

fn relayed(into: &Into, cut: Cut) -> (Into, Relay) {
    let (server, _) = through(&into.at, 0);
    let relay = Relay::start(&server, cut);
    let (_, at) = through(&into.at, relay.port);
    (Into { at, ..into.clone() }, relay)
}

/// A bundle of two parts, one batch each.
fn small() -> Made {
    let mut made = Made::sample();
    // In the order of keys.
    made.tombstones.insert(0, (made.rows[0].key, 9_000));
    made
}

pub fn a_connection_cut_anywhere_costs_that_batch_alone(place: &Place) {
    let bundle = [small().write(place.folder())];
    let into = place.target("Into");
    let (counting, relay) = relayed(&into, Cut::Never);
    let whole = counting.apply(&bundle, false).unwrap();
    let due = into.existing();
    assert_eq!((due.len(), whole.bundles[0].tables[0].tombstones), (6, 3));
    let messages = relay.messages.load(Ordering::SeqCst);
    let commits = relay.commits.lock().unwrap().clone();
    // Nothing can be cut before the session stands; that is an error like any other.
    let first = messages / 3;
    let sampled = (first..messages).step_by((messages - first).div_ceil(4)).map(Cut::Before);
    let at_commits = commits.iter().filter(|nth| **nth >= first).map(|nth| Cut::After(*nth));
    for cut in sampled.chain(at_commits) {
        let into = place.target("Into");
        let (through, relay) = relayed(&into, cut);
        let report = through.apply(&bundle, false);
        let report = report.unwrap_or_else(|error| panic!("{cut:?} of {messages}: {error}"));
        assert!(relay.messages.load(Ordering::SeqCst) > messages, "{cut:?} cut nothing");
        assert_eq!(report.bundles[0].tables, whole.bundles[0].tables, "{cut:?} of {messages}");
        assert_eq!(into.existing(), due, "{cut:?} of {messages}");
    }
}

pub fn a_replay_that_lost_its_server_is_taken_up_where_it_was(place: &Place) {
    let bundle = [large().write(place.folder())];
    // The first makes the database, which takes bytes that no other does.
    place.target("Into").apply(&bundle, false).unwrap();
    let into = place.target("Into");
    let (counting, relay) = relayed(&into, Cut::Never);
    counting.apply(&bundle, false).unwrap();
    let due = into.existing();
    assert_eq!(due.len(), 8999);
    let bytes = relay.bytes.load(Ordering::SeqCst);
    let mut resumed_inside = false;
    // The second batch of a part is a tenth of its rows.
    for at in [50, 94, 97].map(|percent| bytes / 100 * percent) {
        let into = place.target("Into");
        let (through, _relay) = relayed(&into, Cut::FromByte(at));
        // It doesn't come back, however long one waits for it.
        let mut lost = through.open_with(OpenOptions { reconnect: Duration::ZERO, ..OpenOptions::default() }).unwrap();
        let error = replay(&bundle, &mut *lost, &through.options(false), &Silent).unwrap_err();
        assert_eq!(error.kind(), Kind::Database, "{at} of {bytes}: {error}");
        let report = into.apply(&bundle, false).unwrap();
        assert_eq!(into.existing(), due, "{at} of {bytes}");
        resumed_inside |= (1..9000).contains(&report.bundles[0].tables[0].rows);
    }
    assert!(resumed_inside, "nothing was cut between two batches of one part");
}
