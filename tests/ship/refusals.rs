//! Stores as they are: what they refuse is told as what it is, and what they lack is done otherwise. Each fault is played by
//! a store of our own.

use crate::List;
use crate::made::{Content, Made};
use crate::ship::folders::Site;
use crate::ship::prune::Weeks;
use crate::ship::shop::{Door, Request, Said, Shop};
use crate::world::tree;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

const PLACE: &str = "s3://b/weekly";

/// Adds the cases.
pub fn add_to(list: &mut List) {
    let mut add = |name, case: fn()| list.add(&format!("refusals::{name}"), None, case);
    add("a_conflict_of_two_requests_is_tried_again_and_no_claim_of_another", conflict);
    add("a_store_without_checksums_is_told_and_then_read_again", no_checksums);
    add("what_a_store_changed_is_found_by_reading_it_again", changed_on_the_way);
    add("a_store_that_replaces_what_is_only_to_be_created_is_told", replaces);
    add("an_archived_object_is_to_be_brought_back", archived);
    add("a_wrong_clock_and_an_expired_token_are_told", denied);
    add("a_locked_bundle_stays_whole_when_it_is_to_be_pruned", locked);
    add("an_upload_whose_last_answer_was_lost_is_whole", lost_answer);
    add("endpoints_with_a_path_and_with_a_bucket_in_the_host_are_reached", endpoints);
    add("no_proxy_is_kept_to", no_proxy);
    add("a_bandwidth_changes_nothing_but_the_time", bandwidth);
}

fn xml(code: &str, message: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>").into_bytes()
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A bundle and a store.
struct Ground {
    site: Site,
    shop: Shop,
    door: Door,
}

impl Ground {
    fn new() -> Self {
        let shop = Shop::default();
        let door = shop.door(0);
        Self { site: Site::new(), shop, door }
    }

    fn called(&self, args: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.door.command(args);
        command.envs(environment.iter().copied()).current_dir(self.site.path("in")).env("HOME", self.site.path("in"));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output))
    }

    fn ship_with(&self, environment: &[(&str, &str)]) -> (i32, String) {
        self.called(&["ship", self.site.bundle.to_str().unwrap(), PLACE], environment)
    }

    fn shipped(&self, environment: &[(&str, &str)]) -> String {
        let (code, told) = self.ship_with(environment);
        assert_eq!(code, 0, "{told}");
        self.assert_whole(&self.site.bundle);
        told
    }

    /// Marker and files are there, and nothing else is.
    fn assert_whole(&self, bundle: &Path) {
        let name = bundle.file_name().unwrap().to_str().unwrap();
        let files = tree(bundle);
        for (path, bytes) in &files {
            assert!(self.shop.has(&format!("weekly/{name}/{}", path.display()), bytes), "{path:?}");
        }
        assert_eq!(self.shop.keys().len(), files.len() + 1, "{:?}", self.shop.keys());
        assert!(self.shop.get(&format!("weekly/{name}.complete")).is_some());
    }

    fn is_empty(&self) -> bool {
        self.shop.keys().iter().all(|key| key.ends_with(".shipping"))
    }
}

fn is_conditional(request: &Request) -> bool {
    request.headers.contains("if-none-match: *")
}

fn conflict() {
    let ground = Ground::new();
    let told = AtomicUsize::new(0);
    ground.shop.acts(move |request| {
        let is_told = is_conditional(request) && told.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        is_told.then(|| ("409 Conflict", String::new(), xml("ConditionalRequestConflict", "at the same time")))
    });
    let told = ground.shipped(&[]);
    assert!(!told.contains("warning"), "{told}");
}

/// As Backblaze B2 answers.
fn refuses_checksums(request: &Request) -> Option<Said> {
    let header = "x-amz-checksum-sha256";
    let what = format!("Unsupported header '{header}' received for this API call.");
    request.headers.contains(header).then(|| ("400 Bad Request", String::new(), xml("InvalidArgument", &what)))
}

const WITHOUT_CHECKSUMS: (&str, &str) = ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required");

fn no_checksums() {
    let ground = Ground::new();
    ground.shop.acts(refuses_checksums);
    let (code, told) = ground.ship_with(&[]);
    assert!(code == 2 && told.contains("AWS_REQUEST_CHECKSUM_CALCULATION=when_required"), "{code}: {told}");
    ground.shipped(&[WITHOUT_CHECKSUMS]);
    // Nobody trusts a hash that nobody checked: what is there is read again.
    assert!(!ground.shop.keys().iter().any(|key| ground.shop.has_recorded(key)));
    // The same by a profile.
    let ground = Ground::new();
    ground.shop.acts(refuses_checksums);
    let config = ground.site.path("config");
    std::fs::write(&config, "[default]\nregion = eu-1\nrequest_checksum_calculation = WHEN_REQUIRED\n").unwrap();
    let credentials = ground.site.path("credentials");
    std::fs::write(&credentials, "[default]\naws_access_key_id = k\naws_secret_access_key = s\n").unwrap();
    let files = [("AWS_CONFIG_FILE", config.to_str().unwrap()), ("AWS_ACCESS_KEY_ID", "")];
    let more = [("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()), ("AWS_SECRET_ACCESS_KEY", "")];
    ground.shipped(&[files, more].concat());
}

fn changed_on_the_way() {
    let ground = Ground::new();
    let shop = ground.shop.clone();
    ground.shop.acts(move |request| {
        let is_part = request.method == "GET" && request.key.ends_with(".parquet");
        is_part.then(|| {
            let (status, more, mut body) = shop.answer(request);
            body[0] ^= 1;
            (status, more, body)
        })
    });
    let (code, told) = ground.ship_with(&[WITHOUT_CHECKSUMS]);
    assert!(code == 1 && told.contains("gives back other bytes than were sent"), "{code}: {told}");
    assert!(!ground.shop.keys().iter().any(|key| key.ends_with(".parquet")), "{:?}", ground.shop.keys());
}

/// As a store that takes a condition for an unknown header.
fn forget_conditions(shop: &Shop) {
    let own = shop.clone();
    shop.acts(move |request| {
        is_conditional(request).then(|| {
            own.put(&request.key, &request.body);
            ("200 OK", "ETag: \"x\"\r\n".into(), Vec::new())
        })
    });
}

fn replaces() {
    let does_not_know = |request: &Request| {
        is_conditional(request).then(|| ("501 Not Implemented", String::new(), xml("NotImplemented", "A header")))
    };
    for nth in 0..2 {
        let ground = Ground::new();
        if nth == 0 {
            ground.shop.acts(does_not_know);
        } else {
            forget_conditions(&ground.shop);
        }
        let told = ground.shipped(&[]);
        assert!(told.contains("replaces an object that is to be created only where there is none"), "{told}");
        // Another bundle of that name is still refused.
        let marker = format!("weekly/{}.complete", ground.site.name());
        ground.shop.put(&marker, format!("{}\n", "0".repeat(64)).as_bytes());
        let (code, told) = ground.ship_with(&[]);
        assert!(code != 0 && told.contains("another"), "{code}: {told}");
    }
}

fn archived() {
    let ground = Ground::new();
    ground.shipped(&[]);
    for (status, code) in [("403 Forbidden", "InvalidObjectState"), ("409 Conflict", "BlobArchived")] {
        ground.shop.acts(move |request| {
            let is_part = request.method == "GET" && request.key.ends_with(".parquet");
            is_part.then(|| (status, String::new(), xml(code, "not valid for the storage class")))
        });
        let (code, told) = ground.called(&["receive", PLACE, "--out", "."], &[]);
        assert!(code != 0 && told.contains("archive tier") && told.contains("rehydrate it"), "{code}: {told}");
    }
}

fn denied() {
    let ground = Ground::new();
    ground.shop.acts(|_| {
        let date = "Date: Mon, 30 Nov 2099 12:00:00 GMT\r\n".to_owned();
        Some(("403 Forbidden", date, xml("RequestTimeTooSkewed", "The difference is too large.")))
    });
    let (code, told) = ground.ship_with(&[]);
    assert!(code == 2 && told.contains("the clock of this machine is ") && told.contains(" minutes behind"), "{told}");
    ground
        .shop
        .acts(|_| Some(("400 Bad Request", String::new(), xml("ExpiredToken", "The provided token has expired."))));
    let (code, told) = ground.ship_with(&[]);
    assert!(code == 2 && told.contains("has expired") && told.contains("get a new one"), "{code}: {told}");
    assert!(ground.is_empty());
}

fn locked() {
    let weeks = Weeks::new();
    weeks.compacted(3);
    let ground = Ground::new();
    ground.shop.stock(&weeks.site.path("drop"));
    let before = ground.shop.keys();
    ground.shop.acts(|request| {
        let is_kept =
            request.method == "DELETE" && !request.key.contains(".pruning-") && !request.key.contains("-tried-");
        let what = "Access Denied because object protected by object lock.";
        is_kept.then(|| ("403 Forbidden", String::new(), xml("AccessDenied", what)))
    });
    let (code, told) = ground.called(&["prune", PLACE, "--keep-weeks", "1"], &[]);
    assert!(code == 0 && told.contains("a retention or a legal hold of the store keeps it"), "{code}: {told}");
    assert_eq!(ground.shop.keys(), before, "{told}");
}

/// A bundle with a part that is sent in parts.
fn large(site: &Site) -> PathBuf {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    let mut made = Made::sample();
    made.row(1).content = Content::Inline((0..9 << 20).map(|_| next()).collect());
    std::fs::create_dir(site.path("large")).unwrap();
    made.write(&site.path("large"))
}

fn lost_answer() {
    let ground = Ground::new();
    let bundle = large(&ground.site);
    let (shop, lost) = (ground.shop.clone(), AtomicUsize::new(0));
    ground.shop.acts(move |request| {
        let is_last = request.method == "POST" && request.query.contains_key("uploadId");
        (is_last && lost.fetch_add(1, Ordering::SeqCst) == 0).then(|| {
            shop.answer(request);
            ("", String::new(), Vec::new())
        })
    });
    let (code, told) = ground.called(&["ship", bundle.to_str().unwrap(), PLACE], &[WITHOUT_CHECKSUMS]);
    assert_eq!(code, 0, "{told}");
    ground.assert_whole(&bundle);
}

fn endpoints() {
    let ground = Ground::new();
    let url = format!("{}/storage/v1/", ground.door.url());
    ground.shipped(&[("AWS_ENDPOINT_URL", &url)]);
    let ground = Ground::new();
    ground.shipped(&[("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")]);
}

fn no_proxy() {
    let ground = Ground::new();
    let proxy = Shop::default().door(0);
    let environment =
        [("http_proxy", &*proxy.url()), ("HTTP_PROXY", &proxy.url()), ("NO_PROXY", "localhost,127.0.0.1")]
            .map(|(name, value)| (name, value.to_owned()));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ground.shipped(&environment);
    assert_eq!(proxy.requests(), 0);
    let ground = Ground::new();
    let _ = ground.ship_with(&environment[..2]);
    assert!(proxy.requests() > 0, "without it, the proxy is asked");
}

fn bandwidth() {
    let ground = Ground::new();
    let bundle = large(&ground.site);
    let args = ["ship", bundle.to_str().unwrap(), PLACE, "--bandwidth", "900M"];
    let (code, told) = ground.called(&args, &[]);
    assert_eq!(code, 0, "{told}");
    ground.assert_whole(&bundle);
    let (code, told) = ground.called(&["receive", PLACE, "--out", ".", "--bandwidth", "1G"], &[]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(tree(&ground.site.path("in").join(bundle.file_name().unwrap())), tree(&bundle));
    let folder = ground.site.path("drop");
    let args = ["ship", bundle.to_str().unwrap(), folder.to_str().unwrap(), "--bandwidth", "1G"];
    let (code, told) = ground.called(&args, &[]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(tree(&folder.join(bundle.file_name().unwrap())), tree(&bundle));
}
