//! What needs no server: destinations that are folders.

use crate::made::{Content, Made, Row};
use blobdelta::bundle::{Access, Bundle, Container, PublishForm, Recipients, archive, list as entries, places};
use blobdelta::chain::survey;
use blobdelta::durable::Local;
use blobdelta::error::{Kind, Result};
use blobdelta::monitor::Silent;
use blobdelta::ship::{ReceiveOptions, Received, ShipOptions, Shipped, receive, ship};
use blobdelta::store::Location;
use blobdelta::verify::{FindingKind, VerifyLevel, verify};
use std::fs;
use std::path::{Path, PathBuf};

/// A producer's folder, a destination, and a consumer's folder.
pub struct Site {
    folder: tempfile::TempDir,
    pub bundle: PathBuf,
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["made", "drop", "in"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let bundle = Made::sample().write(&folder.path().join("made"));
        Self { folder, bundle }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn drop(&self) -> Location {
        Location::of_folder(&self.path("drop")).unwrap()
    }

    pub fn name(&self) -> String {
        self.bundle.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// The bundle's files at the destination.
    pub fn there(&self, file: &str) -> PathBuf {
        self.path("drop").join(self.name()).join(file)
    }

    /// The bundle's URL.
    pub fn url(&self) -> PathBuf {
        self.drop().join(&self.name())
    }

    pub fn beside(&self, suffix: &str) -> PathBuf {
        self.path("drop").join(self.name() + suffix)
    }

    pub fn ship(&self, bundle: &Path) -> Result<Shipped> {
        ship(bundle, &self.drop(), &ShipOptions::default(), &Local, &Silent)
    }

    pub fn receive(&self) -> Result<Vec<Received>> {
        receive(&self.drop(), &self.path("in"), &ReceiveOptions::default(), &Local, &Silent)
    }

    pub fn found(&self) -> Vec<FindingKind> {
        verify(&self.url(), VerifyLevel::Default, &Silent)
            .unwrap()
            .findings
            .iter()
            .map(|finding| finding.kind)
            .collect()
    }

    /// Another bundle of the same name.
    pub fn other(&self) -> PathBuf {
        let mut made = Made::sample();
        made.row(1).content = Content::Inline(b"another".to_vec());
        fs::create_dir(self.path("other")).unwrap();
        made.write(&self.path("other"))
    }
}

/// What lies in a folder, those with a dot too.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What lies in the folder of a receiver, beside what it remembers.
pub fn in_folder(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| name != ".blobdelta-received.json").collect()
}

pub fn assert_same(one: &Path, other: &Path) {
    let (all, others) = (entries(&Local, one).unwrap(), entries(&Local, other).unwrap());
    assert_eq!(all, others);
    for entry in all.iter().filter(|entry| one.join(&entry.path).is_file()) {
        assert!(fs::read(one.join(&entry.path)).unwrap() == fs::read(other.join(&entry.path)).unwrap(), "{entry:?}");
    }
}

pub fn what_arrives_is_what_was_shipped(site: &Site) {
    let shipped = site.ship(&site.bundle).unwrap();
    let root = Bundle::open(&site.bundle).unwrap().root_sha256();
    assert_eq!((shipped.root_sha256, shipped.bytes_skipped, shipped.stood), (root, 0, false));
    assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"]);
    assert_eq!(fs::read_to_string(site.beside(".complete")).unwrap(), format!("{root}\n"));
    assert_eq!(site.found(), []);
    let received = site.receive().unwrap();
    assert_eq!((received.len(), received[0].root_sha256, received[0].stood), (1, root, false));
    assert_same(&site.bundle, &received[0].path);
    assert!(site.receive().unwrap()[0].stood);
    assert_eq!(in_folder(&site.path("in")), [site.name()]);
}

pub fn an_archive_arrives_as_it_is(site: &Site) {
    let to = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()];
    let forms = [PublishForm::Archive, PublishForm::Encrypted(Recipients::parse(&to).unwrap().into())];
    for form in forms {
        let bundle = Bundle::open(&site.bundle).unwrap();
        let made = archive(&bundle, &Local, &site.path("made"), form.recipients(), &Silent).unwrap();
        let name = made.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(site.ship(made.path()).unwrap().files_sent, 1);
        assert!(site.ship(made.path()).unwrap().stood);
        site.receive().unwrap();
        assert_eq!(fs::read(made.path()).unwrap(), fs::read(site.path("in").join(&name)).unwrap());
        assert!(site.receive().unwrap().iter().all(|one| one.stood));
        fs::write(site.path("in").join(&name), "something else").unwrap();
        assert_eq!(site.receive().unwrap_err().kind(), Kind::Usage);
        fs::remove_file(site.path("in").join(&name)).unwrap();
        let mut bytes = fs::read(site.path("drop").join(&name)).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(site.path("drop").join(&name), bytes).unwrap();
        assert_eq!(site.receive().unwrap_err().kind(), Kind::Verification);
        assert_eq!(in_folder(&site.path("in")), [] as [&str; 0]);
        fs::remove_file(site.path("drop").join(name + ".complete")).unwrap();
        fs::remove_file(site.path("in").join(".blobdelta-received.json")).unwrap();
    }
}

pub fn a_second_ship_sends_nothing(site: &Site) {
    let first = site.ship(&site.bundle).unwrap();
    let second = site.ship(&site.bundle).unwrap();
    assert!(second.stood);
    assert_eq!((second.bytes_sent, second.bytes_skipped), (0, first.bytes_sent));
}

pub fn a_ship_goes_on_where_it_was(site: &Site) {
    let whole = site.ship(&site.bundle).unwrap();
    let bytes = |file: &str| fs::metadata(site.there(file)).unwrap().len();
    let (changed, removed) = ("schema/t001-Files.sql", "data/t001-Files/part-00000.parquet");
    let due = bytes(changed) + bytes(removed);
    fs::remove_file(site.beside(".complete")).unwrap();
    fs::write(site.beside(".shipping"), format!("{{\"root_sha256\":\"{}\",\"uploads\":[]}}", whole.root_sha256))
        .unwrap();
    fs::write(site.there(changed), "x".repeat(bytes(changed) as usize)).unwrap();
    fs::remove_file(site.there(removed)).unwrap();
    fs::write(site.there("data/stray"), "left by somebody").unwrap();
    let refused = site.ship(&site.bundle).unwrap_err();
    assert!(refused.what().contains("foreign"), "what no list names is none of ours: {refused}");
    fs::remove_file(site.there("data/stray")).unwrap();
    let resumed = site.ship(&site.bundle).unwrap();
    assert_eq!((resumed.files_sent, resumed.bytes_sent), (2, due));
    assert_eq!(resumed.bytes_skipped, whole.bytes_sent - due);
    assert_eq!(site.found(), []);
    assert_same(&site.bundle, &site.there(""));
    assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"]);
}

/// Part and tag files, deleted, cut and changed; and all of it gone but the marker.
pub fn a_damaged_bundle_is_mended_by_shipping_it_again(site: &Site) {
    let part = "data/t001-Files/part-00000.parquet";
    let cut = |file: &str| {
        let bytes = fs::read(site.there(file)).unwrap();
        fs::write(site.there(file), &bytes[..bytes.len() / 2]).unwrap();
    };
    let damages: [&dyn Fn(); 6] = [
        &|| fs::remove_file(site.there(part)).unwrap(),
        &|| cut(part),
        &|| fs::remove_file(site.there("manifest.json")).unwrap(),
        &|| cut("tagmanifest-sha256.txt"),
        // Of its size; tag files are read.
        &|| fs::write(site.there("bagit.txt"), vec![b'x'; fs::read(site.there("bagit.txt")).unwrap().len()]).unwrap(),
        &|| fs::remove_dir_all(site.there("")).unwrap(),
    ];
    for (nth, damage) in damages.iter().enumerate() {
        site.ship(&site.bundle).unwrap();
        damage();
        let mended = site.ship(&site.bundle).unwrap();
        assert!(mended.mended && !mended.stood, "{nth}: {mended:?}");
        assert_eq!(mended.files_sent == 1, nth != 5, "{nth}: only what was wrong is sent: {mended:?}");
        assert_eq!(site.found(), [], "{nth}");
        assert_same(&site.bundle, &site.there(""));
        assert_eq!(names(&site.path("drop")), [site.name(), site.name() + ".complete"], "{nth}");
        assert!(site.ship(&site.bundle).unwrap().stood, "{nth}");
    }
}

pub fn a_damaged_archive_is_mended_by_shipping_it_again(site: &Site) {
    let bundle = Bundle::open(&site.bundle).unwrap();
    let made = archive(&bundle, &Local, &site.path("made"), None, &Silent).unwrap();
    let there = site.path("drop").join(made.path().file_name().unwrap());
    let due = fs::read(made.path()).unwrap();
    for damage in [None, Some(due.len() / 2)] {
        site.ship(made.path()).unwrap();
        match damage {
            None => fs::remove_file(&there).unwrap(),
            Some(most) => fs::write(&there, &due[..most]).unwrap(),
        }
        assert!(site.ship(made.path()).unwrap().mended);
        assert_eq!(fs::read(&there).unwrap(), due);
        assert_eq!(site.receive().unwrap().len(), 1);
    }
}

pub fn what_is_foreign_in_a_bundle_that_stands_is_reported_and_kept(site: &Site) {
    site.ship(&site.bundle).unwrap();
    fs::write(site.there("data/notes.txt"), "mine").unwrap();
    fs::remove_file(site.there("data/t001-Files/part-00000.parquet")).unwrap();
    let refused = site.ship(&site.bundle).unwrap_err();
    assert_eq!((refused.kind(), refused.what().contains("foreign")), (Kind::Usage, true), "{refused}");
    assert_eq!(fs::read_to_string(site.there("data/notes.txt")).unwrap(), "mine");
    fs::remove_file(site.there("data/notes.txt")).unwrap();
    assert!(site.ship(&site.bundle).unwrap().mended);
    assert_eq!(site.found(), []);
}

/// No list of a bundle names its signature, and whoever receives may be the one who makes it.
pub fn a_signature_that_was_made_there_stays(site: &Site) {
    site.ship(&site.bundle).unwrap();
    let signature = site.there("tagmanifest-sha256.txt.sig");
    fs::write(&signature, "made there").unwrap();
    assert!(site.ship(&site.bundle).unwrap().stood);
    fs::remove_file(site.there("manifest.json")).unwrap();
    assert!(site.ship(&site.bundle).unwrap().mended);
    assert_eq!(fs::read_to_string(&signature).unwrap(), "made there");
    fs::write(site.bundle.join("tagmanifest-sha256.txt.sig"), "made here").unwrap();
    let refused = site.ship(&site.bundle).unwrap_err();
    assert!(refused.what().contains("another signature"), "{refused}");
}

pub fn another_root_under_the_name_is_refused(site: &Site) {
    site.ship(&site.bundle).unwrap();
    let (other, before) = (site.other(), fs::read(site.there("manifest.json")).unwrap());
    let refused = site.ship(&other).unwrap_err();
    assert_eq!((refused.kind(), refused.what().contains("another bundle")), (Kind::Usage, true), "{refused}");
    // A claim of another one does the same, before there is a marker.
    fs::rename(site.beside(".complete"), site.path("marker")).unwrap();
    let root = Bundle::open(&site.bundle).unwrap().root_sha256();
    fs::write(site.beside(".shipping"), format!("{{\"root_sha256\":\"{root}\",\"uploads\":[]}}")).unwrap();
    let refused = site.ship(&other).unwrap_err();
    assert_eq!((refused.kind(), refused.what().contains("claimed")), (Kind::Usage, true), "{refused}");
    assert_eq!(fs::read(site.there("manifest.json")).unwrap(), before);
    // And so does a folder into which it is received.
    assert!(!site.ship(&site.bundle).unwrap().stood);
    fs::create_dir(site.path("in").join(site.name())).unwrap();
    assert_eq!(site.receive().unwrap_err().kind(), Kind::Usage);
}

pub fn what_is_foreign_is_not_overwritten(site: &Site) {
    fs::create_dir(site.there("")).unwrap();
    fs::write(site.there("manifest.json"), "mine").unwrap();
    let refused = site.ship(&site.bundle).unwrap_err();
    assert_eq!((refused.kind(), refused.what().contains("foreign")), (Kind::Usage, true), "{refused}");
    assert_eq!(fs::read_to_string(site.there("manifest.json")).unwrap(), "mine");
    assert_eq!(names(&site.path("drop")), [site.name()], "no claim stays on what is not ours");
}

pub fn what_has_no_marker_is_not_there(site: &Site) {
    site.ship(&site.bundle).unwrap();
    fs::remove_file(site.beside(".complete")).unwrap();
    let all = PathBuf::from(site.drop().to_string());
    assert!(places(&[all]).unwrap().is_empty());
    assert_eq!(site.receive().unwrap(), []);
    assert_eq!(Container::open(&site.url(), &Access::default()).err().unwrap().kind(), Kind::Usage);
    assert_eq!(in_folder(&site.path("in")), [] as [&str; 0]);
}

pub fn a_changed_object_is_found_and_not_received(site: &Site) {
    site.ship(&site.bundle).unwrap();
    let part = site.there("data/t001-Files/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    assert_eq!(site.found(), [FindingKind::ChangedPayloadFile]);
    assert_eq!(site.receive().unwrap_err().kind(), Kind::Verification);
    assert_eq!(in_folder(&site.path("in")), [] as [&str; 0]);
}

pub fn attack_a_marker_of_another_bundle_is_found(site: &Site) {
    site.ship(&site.bundle).unwrap();
    fs::write(site.beside(".complete"), format!("{}\n", "0".repeat(64))).unwrap();
    assert_eq!(site.found(), [FindingKind::WrongRoot]);
    assert_eq!(site.receive().unwrap_err().kind(), Kind::Verification);
    for text in ["", "0", &"0".repeat(64), &format!("{}\r\n", "0".repeat(64)), &format!("{}\n\n", "0".repeat(64))] {
        fs::write(site.beside(".complete"), text).unwrap();
        let refused = site.receive().unwrap_err();
        assert_eq!(refused.kind(), Kind::Verification, "{text:?}: {refused}");
    }
}

pub fn a_changed_bundle_is_not_shipped(site: &Site) {
    let part = site.bundle.join("data/t001-Files/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, &bytes).unwrap();
    assert_eq!(site.ship(&site.bundle).unwrap_err().kind(), Kind::Verification);
    assert!(!site.beside(".complete").exists() && !site.there("").exists());
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    site.ship(&site.bundle).unwrap();
    assert_eq!(site.found(), []);
}

pub fn looking_reads_no_part(site: &Site) {
    site.ship(&site.bundle).unwrap();
    let mut next = Made::new(2, 2000, (500, 900));
    next.rows = vec![Row::root(40, Some(600), b"next")];
    site.ship(&next.write(&site.path("made"))).unwrap();
    // What is not there cannot be read.
    fs::remove_dir_all(site.there("data")).unwrap();
    assert_eq!(Bundle::open(&site.url()).unwrap().manifest().tables.len(), 1);
    let all = survey(&[site.drop().to_string().into()], &Access::default(), &Silent).unwrap();
    assert_eq!((all.members.len(), all.broken.len(), all.chains.len()), (2, 0, 1));
    assert!(site.found().contains(&FindingKind::MissingFile));
}

pub fn a_location_that_is_not_there_is_reported(site: &Site) {
    let nowhere = Location::of_folder(&site.path("nowhere")).unwrap();
    let reported = ship(&site.bundle, &nowhere, &ShipOptions::default(), &Local, &Silent).unwrap_err();
    assert_eq!(reported.kind(), Kind::Config, "{reported}");
    assert_eq!(places(&[nowhere.to_string().into()]).unwrap_err().kind(), Kind::Config);
    assert_eq!(places(&["sftp://host/x".into()]).unwrap_err().kind(), Kind::Usage);
    assert_eq!(site.ship(&site.path("nowhere.bundle")).unwrap_err().kind(), Kind::Usage);
}
