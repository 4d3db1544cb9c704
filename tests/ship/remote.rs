//! What has to hold at real servers: one list of cases, run on each that is installed here.

use crate::List;
use crate::made::{Made, Row};
use crate::ship::folders::in_folder;
use crate::ship::proxy::{Cut, Proxy};
use crate::ship::servers::{Place, Server, Store};
use crate::world::{Ended, World, tree};
use blobdelta::bundle::Bundle;
use blobdelta::model::clock::{Clock as _, SystemClock};
use blobdelta::model::id::Guid;
use blobdelta::model::time::{TICKS_PER_MINUTE, Timestamp};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// What a case works with.
pub struct Site {
    pub place: Place,
    pub proxy: Proxy,
    /// A folder of its own.
    dir: tempfile::TempDir,
    /// A chain of two bundles: one of several megabytes, so that it goes in parts, and a small one.
    big: PathBuf,
    small: PathBuf,
}

type Case = fn(&Site);

const LIST: &[(&str, Case)] = &[
    ("what_arrives_is_what_was_shipped", what_arrives_is_what_was_shipped),
    ("a_connection_that_was_cut_is_made_again", a_connection_that_was_cut_is_made_again),
    ("a_ship_that_died_goes_on_where_it_was", a_ship_that_died_goes_on_where_it_was),
    ("a_ship_cut_at_any_request_leaves_all_or_nothing", a_ship_cut_at_any_request_leaves_all_or_nothing),
    ("what_was_damaged_there_is_found_and_not_received", what_was_damaged_there_is_found_and_not_received),
    ("what_was_damaged_there_is_mended_by_shipping_it_again", what_was_damaged_there_is_mended),
    ("what_has_no_marker_is_not_there", what_has_no_marker_is_not_there),
    ("a_name_with_another_root_is_never_overwritten", a_name_with_another_root_is_never_overwritten),
    ("inspect_and_chain_fetch_no_part", inspect_and_chain_fetch_no_part),
    ("a_bundle_is_opened_once_to_be_received", a_bundle_is_opened_once_to_be_received),
    ("a_replay_from_there_equals_one_from_the_folder", a_replay_from_there_equals_one_from_the_folder),
    ("a_prune_leaves_a_chain_without_a_gap", a_prune_leaves_a_chain_without_a_gap),
];

/// Adds the cases, for each kind of server.
pub fn add_to(list: &mut List) {
    let is_ci = std::env::var_os("CI").is_some();
    for store in Store::ALL {
        let absent = store.program().is_none().then(|| format!("not installed here: {}", store.package()));
        for (nth, (name, case)) in LIST.iter().enumerate() {
            let skipped = absent.clone().filter(|_| !is_ci);
            list.add(&format!("{}::{name}", store.name()), skipped, move || case(&Site::new(store, nth)));
        }
    }
}

impl Site {
    fn new(store: Store, nth: usize) -> Self {
        let server = store.server();
        let (big, small) = bundles(server);
        let place = server.place(&format!("case-{nth}"));
        Self { place, proxy: Proxy::of(server.port), dir: tempfile::tempdir().unwrap(), big, small }
    }

    fn url(&self) -> String {
        self.place.url("weekly")
    }

    fn url_of(&self, bundle: &Path) -> String {
        format!("{}/{}", self.url(), name_of(bundle))
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(args).arg("--json").current_dir(self.dir.path()).env_remove("BLOBDELTA_CONNECTION");
        command.envs(self.place.server.environment(self.proxy.port)).env("HOME", self.dir.path());
        command
    }

    fn call(&self, args: &[&str]) -> Ended {
        let done = self.command(args).output().unwrap();
        Ended {
            code: done.status.code().unwrap(),
            stdout: String::from_utf8(done.stdout).unwrap(),
            stderr: String::from_utf8(done.stderr).unwrap(),
        }
    }

    fn good(&self, args: &[&str]) -> Ended {
        let ended = self.call(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended
    }

    fn ship(&self, bundle: &Path) -> Ended {
        self.good(&["ship", &bundle.display().to_string(), &self.url()])
    }

    /// Calls the command, and kills it when the network is cut.
    fn die_at_cut(&self, args: &[&str]) {
        let mut child = self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !self.proxy.is_cut() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before the cut");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Objects under the name of a bundle, without its marker.
    fn objects_of(&self, bundle: &Path) -> Vec<String> {
        let folder = format!("weekly/{}/", name_of(bundle));
        self.place.names().into_iter().filter(|name| name.starts_with(&folder)).collect()
    }
}

fn name_of(bundle: &Path) -> String {
    bundle.file_name().unwrap().to_string_lossy().into_owned()
}

fn bytes_of(bundle: &Path) -> u64 {
    tree(bundle).values().map(|bytes| bytes.len() as u64).sum()
}

/// The chain that all cases of a server share.
fn bundles(server: &Server) -> (PathBuf, PathBuf) {
    static MADE: [OnceLock<(PathBuf, PathBuf)>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[usize::from(server.store == Store::Azure)].get_or_init(|| make_bundles(&server.folder.join("made"))).clone()
}

fn make_bundles(folder: &Path) -> (PathBuf, PathBuf) {
    std::fs::create_dir(folder).unwrap();
    let world = World::new();
    // Twelve values in a part, which has to go in pieces, and two in files of their own.
    for (number, kib) in (10..22).map(|number| (number, 900)).chain([(30, 1500), (31, 1500)]) {
        add_row(&world, number, &noise(u64::from(number), kib * 1024), Timestamp::parse("2021-01-01").unwrap());
    }
    let run = || {
        let document = world.good(&["run", "--inline-mib", "1", "--out", &world.out(), "--json"]).json();
        let made = PathBuf::from(document["bundles"][0].as_str().unwrap());
        let kept = folder.join(name_of(&made));
        std::fs::rename(&made, &kept).unwrap();
        kept
    };
    let big = run();
    // Windows overlap by the buffer of 240 minutes, so that the second run takes it, and little else.
    add_row(&world, 40, b"of the second week", SystemClock.now().utc.plus_ticks(-300 * TICKS_PER_MINUTE));
    (big, run())
}

/// Bytes that no compression makes fewer.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn add_row(world: &World, number: u8, bytes: &[u8], at: Timestamp) {
    world.add_rows(&[(Guid::from_bytes([number; 16]), &[number], bytes)], at);
}

fn what_arrives_is_what_was_shipped(site: &Site) {
    for bundle in [&site.big, &site.small] {
        site.ship(bundle);
        site.good(&["verify", "--deep", &site.url_of(bundle)]);
    }
    site.proxy.start(Cut::Never);
    site.ship(&site.big);
    assert!(site.proxy.sent() < 64 * 1024, "what is there is not sent again: {} bytes", site.proxy.sent());
    let into = site.path("received");
    std::fs::create_dir(&into).unwrap();
    site.good(&["receive", &site.url(), "--out", &into]);
    for bundle in [&site.big, &site.small] {
        assert_eq!(tree(&Path::new(&into).join(name_of(bundle))), tree(bundle));
    }
    assert_eq!(site.place.abandoned(), 0);
}

fn a_connection_that_was_cut_is_made_again(site: &Site) {
    site.proxy.start(Cut::OnceAfter(bytes_of(&site.big) / 2));
    site.ship(&site.big);
    assert!(site.proxy.is_cut());
    site.good(&["verify", &site.url_of(&site.big)]);
    assert_eq!(site.place.abandoned(), 0);
}

/// The network goes, and then the process.
fn a_ship_that_died_goes_on_where_it_was(site: &Site) {
    let whole = bytes_of(&site.big);
    site.proxy.start(Cut::ForGoodAfter(whole * 7 / 10));
    site.die_at_cut(&["ship", &site.big.display().to_string(), &site.url()]);
    let first = site.proxy.sent();
    site.proxy.start(Cut::Never);
    let stood = site.objects_of(&site.big);
    assert!(!stood.is_empty(), "nothing had arrived after {first} bytes");
    assert_ne!(site.call(&["verify", &site.url_of(&site.big)]).code, 0, "without its marker it is not there");
    site.proxy.start(Cut::Never);
    site.ship(&site.big);
    let second = site.proxy.sent();
    println!("{}: {whole} bytes; {first} sent before the cut, {second} after it", site.place.server.store.name());
    assert!(second < whole * 8 / 10, "{second} of {whole} bytes were sent once more, {first} before");
    for request in site.proxy.requests().iter().filter(|request| request.method == "PUT") {
        let again = stood.iter().find(|name| request.path.split('?').next().unwrap().ends_with(name.as_str()));
        assert_eq!(again, None, "it stood there already");
    }
    assert_eq!(site.place.abandoned(), 0);
    site.good(&["verify", "--deep", &site.url_of(&site.big)]);
}

/// A slice of the requests; all of them with `BLOBDELTA_TEST_ALL_CUTS`.
fn a_ship_cut_at_any_request_leaves_all_or_nothing(site: &Site) {
    site.proxy.start(Cut::Never);
    site.ship(&site.small);
    let requests = site.proxy.requests().len();
    let step = if std::env::var_os("BLOBDELTA_TEST_ALL_CUTS").is_some() { 1 } else { 5 };
    for at in (1..=requests).rev().step_by(step) {
        let (bundle, url) = (site.small.display().to_string(), site.place.url(&format!("cut-{at}")));
        site.proxy.start(Cut::FromRequest(at));
        site.die_at_cut(&["ship", &bundle, &url]);
        site.proxy.start(Cut::Never);
        let marker = format!("cut-{at}/{}.complete", name_of(&site.small));
        let there = format!("{url}/{}", name_of(&site.small));
        let is_marked = site.place.names().contains(&marker);
        assert_eq!(site.call(&["verify", &there]).code == 0, is_marked, "cut at {at} of {requests}");
        site.good(&["ship", &bundle, &url]);
        site.good(&["verify", &there]);
    }
    assert_eq!(site.place.abandoned(), 0);
}

fn what_was_damaged_there_is_found_and_not_received(site: &Site) {
    site.ship(&site.small);
    let part = site.objects_of(&site.small).into_iter().find(|name| name.ends_with(".parquet")).unwrap();
    let mut bytes = site.place.get(&part);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    site.place.put(&part, &bytes);
    let ended = site.call(&["verify", &site.url_of(&site.small)]);
    assert_eq!(ended.code, 3, "{ended:?}");
    let into = site.path("received");
    std::fs::create_dir(&into).unwrap();
    let ended = site.call(&["receive", &site.url_of(&site.small), "--out", &into]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(!Path::new(&into).join(name_of(&site.small)).exists(), "nothing that is wrong gets its name");
    let shipped_over = site.call(&["ship", &site.small.display().to_string(), &site.url()]);
    assert!(shipped_over.code == 0 || site.place.get(&part) == bytes, "{shipped_over:?}");
}

/// Deleted, cut, and changed within its size by somebody else, who recorded no hash or another.
fn what_was_damaged_there_is_mended(site: &Site) {
    site.ship(&site.small);
    let part = site.objects_of(&site.small).into_iter().find(|name| name.ends_with(".parquet")).unwrap();
    let manifest = site.objects_of(&site.small).into_iter().find(|name| name.ends_with("manifest.json")).unwrap();
    let (bytes, tag) = (site.place.get(&part), site.place.get(&manifest));
    let damages: [&dyn Fn(); 3] =
        [&|| site.place.delete(&part), &|| site.place.put(&part, &bytes[..bytes.len() / 2]), &|| {
            site.place.put(&manifest, &vec![b'x'; tag.len()])
        }];
    for damage in damages {
        damage();
        let reported = site.ship(&site.small).json()["bundles"][0].clone();
        assert_eq!((&reported["mended"], &reported["files_sent"]), (&true.into(), &1.into()), "{reported}");
        assert_eq!((site.place.get(&part), site.place.get(&manifest)), (bytes.clone(), tag.clone()));
        site.good(&["verify", &site.url_of(&site.small)]);
        assert_eq!(site.ship(&site.small).json()["bundles"][0]["stood"], true);
    }
}

fn what_has_no_marker_is_not_there(site: &Site) {
    site.ship(&site.big);
    site.ship(&site.small);
    site.place.delete(&format!("weekly/{}.complete", name_of(&site.small)));
    let ended = site.call(&["verify", &site.url_of(&site.small)]);
    assert_ne!(ended.code, 0, "{ended:?}");
    let chain = site.good(&["chain", &site.url()]).stdout;
    assert!(chain.contains(&name_of(&site.big)) && !chain.contains(&name_of(&site.small)), "{chain}");
    let into = site.path("received");
    std::fs::create_dir(&into).unwrap();
    site.good(&["receive", &site.url(), "--out", &into]);
    assert_eq!(in_folder(Path::new(&into)), [name_of(&site.big)]);
    let ended = site.call(&["receive", &site.url_of(&site.small), "--out", &into]);
    assert_ne!(ended.code, 0, "{ended:?}");
    site.ship(&site.small);
    site.good(&["verify", &site.url_of(&site.small)]);
}

fn a_name_with_another_root_is_never_overwritten(site: &Site) {
    site.ship(&site.small);
    let marker = format!("weekly/{}.complete", name_of(&site.small));
    let text = String::from_utf8(site.place.get(&marker)).unwrap();
    let first = text.chars().find(char::is_ascii_hexdigit).unwrap();
    let other = text.replacen(first, if first == '0' { "1" } else { "0" }, 1);
    site.place.put(&marker, other.as_bytes());
    let everything = || site.place.names().into_iter().map(|name| (site.place.get(&name), name)).collect::<Vec<_>>();
    let before = everything();
    let ended = site.call(&["ship", &site.small.display().to_string(), &site.url()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stdout.contains("another root digest"), "{ended:?}");
    assert_eq!(everything(), before);
}

fn inspect_and_chain_fetch_no_part(site: &Site) {
    site.ship(&site.big);
    site.ship(&site.small);
    let (big, all) = (site.url_of(&site.big), site.url());
    for args in [["inspect", big.as_str()], ["chain", all.as_str()]] {
        site.proxy.start(Cut::Never);
        site.good(&args);
        let touched: Vec<_> = site.proxy.requests().into_iter().map(|request| request.path).collect();
        assert!(
            !touched.iter().any(|path| path.contains(".parquet") || path.contains(".zst")),
            "{args:?}: {touched:?}"
        );
        assert!(!touched.is_empty() && site.proxy.received() < 256 * 1024, "{} bytes", site.proxy.received());
    }
}

fn a_bundle_is_opened_once_to_be_received(site: &Site) {
    site.ship(&site.big);
    site.ship(&site.small);
    site.proxy.start(Cut::Never);
    let received = site.path("received");
    std::fs::create_dir(&received).unwrap();
    site.good(&["receive", &site.url(), "--out", &received]);
    let requests = site.proxy.requests().into_iter().filter(|request| request.method == "GET");
    let lists =
        requests.filter(|request| request.path.contains("tagmanifest-sha256.txt") && !request.path.contains(".sig"));
    let read = lists.map(|request| request.path).collect::<Vec<_>>();
    // Once to be opened, and once to be copied.
    assert_eq!(read.len(), 4, "{read:?}");
}

fn a_replay_from_there_equals_one_from_the_folder(site: &Site) {
    site.ship(&site.big);
    site.ship(&site.small);
    let folder = site.big.parent().unwrap().display().to_string();
    let replay = |from: &str, into: &str| {
        let into = format!("sqlite:{}", site.path(into));
        site.good(&["replay", from, "--into", &into, "--database", "Copy", "--create"]);
    };
    replay(&site.url(), "there");
    replay(&folder, "here");
    let check = |from: &str, of: &str| {
        let of = format!("sqlite:{}", site.path(of));
        let mut document = site.good(&["replay", from, "--into", &of, "--database", "Copy", "--check"]).json();
        document["into"].take();
        document
    };
    assert_eq!(check(&folder, "there"), check(&folder, "here"));
    assert_eq!(check(&site.url(), "here"), check(&folder, "here"), "values are hashed over the network too");
}

fn a_prune_leaves_a_chain_without_a_gap(site: &Site) {
    const WEEK_MICROS: i64 = 7 * 24 * 3600 * 1_000_000;
    let folder = site.dir.path().join("made");
    std::fs::create_dir(&folder).unwrap();
    let mut previous = None;
    let made: Vec<String> = (2..7)
        .map(|nth| {
            let at = i64::from(nth) * WEEK_MICROS;
            let mut made = Made::new(nth, at, (at - WEEK_MICROS, at));
            made.rows = vec![Row::root(nth, Some(at - 1), &[nth])];
            made.previous = previous;
            let path = made.write(&folder);
            previous = Some(Bundle::open(&path).unwrap().root_sha256());
            path.display().to_string()
        })
        .collect();
    let out = site.path("compacted");
    std::fs::create_dir(&out).unwrap();
    site.good(&["compact", &made[0], &made[1], &made[2], "--out", &out]);
    let url = site.url();
    for bundle in made.iter().chain([&out]) {
        site.good(&["ship", bundle, &url]);
    }
    let prune = |more: &[&str]| {
        let ended = site.good(&[&["prune", url.as_str(), "--keep-weeks", "1"], more].concat()).json();
        ended["removed"].as_array().unwrap().iter().map(|one| one["place"].to_string()).collect::<Vec<_>>()
    };
    let before = site.place.names();
    let planned = prune(&["--plan"]);
    assert_eq!(site.place.names(), before, "a plan changes nothing");
    assert_eq!(planned.len(), 3);
    assert_eq!(prune(&[]), planned);
    for (nth, bundle) in made.iter().enumerate() {
        assert_eq!(site.objects_of(Path::new(bundle)).is_empty(), nth < 3, "{bundle}");
    }
    // Made by hand, they name no bundle before them, which chain tells; what it draws has no gap.
    let chain = site.call(&["chain", &url]).json();
    assert_eq!((&chain["bundles"], &chain["chains"][0]["gaps"]), (&3.into(), &serde_json::json!([])), "{chain}");
    site.good(&["verify", "--deep", &url]);
    assert_eq!(prune(&[]), [] as [String; 0]);
}
