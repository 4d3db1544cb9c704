//! Attacks of whoever may write in a drop folder, or in the folder of a receiver: links, foreign files and folders in
//! the place of ours (rule 26). Each is reported, nothing outside is touched, and what was found stays where it was.

use crate::List;
use crate::ship::folders::{Site, in_folder, names};
use blobdelta::bundle::{Access, Bundle, archive, extract};
use blobdelta::durable::Local;
use blobdelta::error::{Error, Kind};
use blobdelta::monitor::{Event, Monitor};
use blobdelta::ship::{PruneOptions, ReceiveOptions, ShipOptions, Shipped, prune, receive, ship};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const PART: &str = "data/t001-Files/part-00000.parquet";

/// Adds the cases.
pub fn add_to(list: &mut List) {
    let cases: [(&str, fn()); 16] = [
        ("a_link_in_the_place_of_the_bundle", a_link_for_the_bundle),
        ("a_link_in_the_place_of_the_claim", a_link_for_the_claim),
        ("a_link_in_the_place_of_the_marker", a_link_for_the_marker),
        ("a_link_in_the_place_of_a_folder_of_the_bundle", a_link_for_a_folder),
        ("a_link_in_the_place_of_a_part", a_link_for_a_part),
        ("a_link_in_the_place_of_the_signature", a_link_for_the_signature),
        ("a_file_in_the_place_of_the_bundle", a_file_for_the_bundle),
        ("a_folder_in_the_place_of_a_part", a_folder_for_a_part),
        ("a_foreign_file_under_a_claim_that_was_forged", a_forged_claim),
        ("a_link_under_a_staging_name", a_link_for_a_stage),
        ("links_in_what_a_dead_ship_left", links_in_a_stage),
        ("a_link_in_the_place_of_what_is_pruned", a_link_for_what_is_pruned),
        ("a_prune_finishes_what_a_forged_note_names", a_forged_note),
        ("a_link_to_a_twin_is_not_received_into", a_link_for_what_is_received),
        ("a_link_in_the_place_of_a_receivers_memory", a_link_for_the_memory),
        ("a_link_to_a_twin_is_not_adopted", a_link_for_what_is_published),
    ];
    for (name, case) in cases {
        list.add(&format!("attack_{name}"), None, case);
    }
}

/// Hears what is reported.
#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Monitor for Ears {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }

    fn cancelled(&self) -> bool {
        false
    }
}

/// A site beside which somebody keeps files that nobody else is to touch.
struct Ground {
    site: Site,
    outside: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let site = Site::new();
        let outside = site.path("outside");
        // As in a bundle, so that whoever follows a link finds what it looks for.
        fs::create_dir_all(outside.join("data/t001-Files")).unwrap();
        for file in ["manifest.json", "tagmanifest-sha256.txt", PART, "precious"] {
            fs::write(outside.join(file), "precious").unwrap();
        }
        Self { site, outside }
    }

    /// One that was shipped to.
    fn shipped() -> Self {
        let ground = Self::new();
        ground.site.ship(&ground.site.bundle).unwrap();
        ground
    }

    /// A link to what is outside stands in the place of something.
    fn swap(&self, place: &Path, target: &str) {
        if place.is_dir() {
            fs::remove_dir_all(place).unwrap();
        } else if place.exists() {
            fs::remove_file(place).unwrap();
        }
        symlink(self.outside.join(target), place).unwrap();
    }

    fn assert_untouched(&self) {
        for file in ["manifest.json", "tagmanifest-sha256.txt", PART, "precious"] {
            assert_eq!(fs::read_to_string(self.outside.join(file)).unwrap(), "precious", "{file}");
        }
        assert_eq!(names(&self.outside), ["data", "manifest.json", "precious", "tagmanifest-sha256.txt"]);
        assert_eq!(names(&self.outside.join("data/t001-Files")), ["part-00000.parquet"]);
    }

    /// A ship is refused, and says where; what was found is still there, and nothing else was touched.
    fn assert_refused(&self, found: &Path) -> Error {
        let error = self.site.ship(&self.site.bundle).unwrap_err();
        let name = found.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
        assert!(matches!(error.kind(), Kind::Usage | Kind::Verification), "{error}");
        assert!(error.what_to_do().is_some(), "{error}");
        assert!(found.symlink_metadata().is_ok(), "it was left");
        self.assert_untouched();
        error
    }

    fn assert_no_marker(&self) {
        assert!(self.site.beside(".complete").symlink_metadata().is_err(), "a marker was put");
    }
}

fn heard(site: &Site) -> (Shipped, Vec<String>) {
    let ears = Ears::default();
    let shipped = ship(&site.bundle, &site.drop(), &ShipOptions::default(), &Local, &ears).unwrap();
    (shipped, ears.0.into_inner().unwrap())
}

fn a_link_for_the_bundle() {
    let ground = Ground::new();
    let link = ground.site.path("drop").join(ground.site.name());
    ground.swap(&link, "");
    ground.assert_refused(&link);
    ground.assert_no_marker();
    // The same with a marker, of a bundle that was shipped.
    let ground = Ground::shipped();
    let link = ground.site.path("drop").join(ground.site.name());
    ground.swap(&link, "");
    ground.assert_refused(&link);
}

fn a_link_for_the_claim() {
    let ground = Ground::new();
    ground.swap(&ground.site.beside(".shipping"), "precious");
    ground.assert_refused(&ground.site.beside(".shipping"));
    ground.assert_no_marker();
}

fn a_link_for_the_marker() {
    let ground = Ground::shipped();
    ground.swap(&ground.site.beside(".complete"), "precious");
    ground.assert_refused(&ground.site.beside(".complete"));
}

fn a_link_for_a_folder() {
    for folder in ["data", "data/t001-Files", "schema"] {
        let ground = Ground::shipped();
        ground.swap(&ground.site.there(folder), "data");
        ground.assert_refused(&ground.site.there(folder));
    }
}

fn a_link_for_a_part() {
    let ground = Ground::shipped();
    ground.swap(&ground.site.there(PART), PART);
    ground.assert_refused(&ground.site.there(PART));
    fs::remove_file(ground.site.there(PART)).unwrap();
    assert!(ground.site.ship(&ground.site.bundle).unwrap().mended);
}

fn a_link_for_the_signature() {
    let ground = Ground::shipped();
    let signature = "tagmanifest-sha256.txt.sig";
    fs::write(ground.site.bundle.join(signature), "made here").unwrap();
    ground.swap(&ground.site.there(signature), "precious");
    ground.assert_refused(&ground.site.there(signature));
}

fn a_file_for_the_bundle() {
    let ground = Ground::new();
    let place = ground.site.path("drop").join(ground.site.name());
    fs::write(&place, "mine").unwrap();
    ground.assert_refused(&place);
    assert_eq!(fs::read_to_string(place).unwrap(), "mine");
    ground.assert_no_marker();
}

fn a_folder_for_a_part() {
    let ground = Ground::shipped();
    fs::remove_file(ground.site.there(PART)).unwrap();
    fs::create_dir(ground.site.there(PART)).unwrap();
    ground.assert_refused(&ground.site.there(PART));
    ground.assert_no_marker();
}

/// Whoever knows the root digest can write a claim, and have us take what lies there for ours.
fn a_forged_claim() {
    let ground = Ground::new();
    let root = Bundle::open(&ground.site.bundle).unwrap().root_sha256();
    fs::write(ground.site.beside(".shipping"), format!("{{\"root_sha256\":\"{root}\",\"uploads\":[]}}")).unwrap();
    fs::create_dir_all(ground.site.there("data")).unwrap();
    fs::write(ground.site.there("data/diary.txt"), "mine").unwrap();
    ground.assert_refused(&ground.site.there("data/diary.txt"));
    assert_eq!(fs::read_to_string(ground.site.there("data/diary.txt")).unwrap(), "mine");
    assert_eq!(
        (names(&ground.site.there("")), names(&ground.site.there("data"))),
        (vec!["data".into()], vec!["diary.txt".into()])
    );
    ground.assert_no_marker();
}

fn a_link_for_a_stage() {
    let ground = Ground::new();
    let marks = [".shipping-", ".removing-", ".sending-"];
    let links =
        marks.map(|mark| ground.site.path("drop").join(format!(".{}{mark}0123456789abcdef", ground.site.name())));
    links.iter().for_each(|link| ground.swap(link, ""));
    let (shipped, reported) = heard(&ground.site);
    assert!(!shipped.stood && links.iter().all(|link| link.is_symlink()), "{reported:?}");
    assert!(reported.len() == 3 && reported.iter().all(|text| text.contains("0123456789abcdef")), "{reported:?}");
    ground.assert_untouched();
    assert_eq!(ground.site.found(), []);
}

fn links_in_a_stage() {
    let ground = Ground::new();
    let dead = ground.site.path("drop").join(format!(".{}.removing-0123456789abcdef", ground.site.name()));
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join("bagit.txt"), "left").unwrap();
    fs::write(dead.join("diary.txt"), "mine").unwrap();
    symlink(&ground.outside, dead.join("data")).unwrap();
    symlink(ground.outside.join("precious"), dead.join("manifest.json")).unwrap();
    let (_, reported) = heard(&ground.site);
    assert_eq!(names(&dead), ["data", "diary.txt", "manifest.json"], "what a bundle has went, and nothing else");
    assert_eq!(reported.len(), 3, "{reported:?}");
    ground.assert_untouched();
    // Where it would be gone on with, it is told.
    fs::remove_dir_all(ground.site.there("")).unwrap();
    fs::remove_file(ground.site.beside(".complete")).unwrap();
    let stage = ground.site.path("drop").join(format!(".{}.shipping-0123456789abcdef", ground.site.name()));
    fs::rename(&dead, stage.clone()).unwrap();
    ground.assert_refused(&stage.join("data"));
    ground.assert_no_marker();
}

fn pruned(site: &Site) -> blobdelta::error::Result<blobdelta::ship::PrunedDestination> {
    let options = PruneOptions { keep_weeks: 1, is_plan: false, access: Access::default() };
    prune(&site.drop(), &options, &Local, &blobdelta::monitor::Silent)
}

fn a_link_for_what_is_pruned() {
    let ground = Ground::shipped();
    let link = ground.site.path("drop").join(ground.site.name());
    ground.swap(&link, "");
    let error = pruned(&ground.site).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification, "{error}");
    // A prune that is said to have died on it follows nothing either.
    fs::remove_file(ground.site.beside(".complete")).unwrap();
    fs::write(ground.site.beside(".pruning-1"), format!("{}\n", "0".repeat(64))).unwrap();
    let error = pruned(&ground.site).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification, "{error}");
    assert!(link.is_symlink());
    ground.assert_untouched();
}

/// The note, and the lists whose hashes it says, are the owner's; what goes by them are files of a bundle, there.
fn a_forged_note() {
    let ground = Ground::new();
    let site = &ground.site;
    fs::create_dir_all(site.there("data/t001-Files")).unwrap();
    for file in ["diary.txt", "data/diary.txt", PART] {
        fs::write(site.there(file), "mine").unwrap();
    }
    symlink(&ground.outside, site.there("schema")).unwrap();
    let sha256 = "0".repeat(64);
    let paths = ["../outside/precious", "diary.txt", "data/diary.txt", "schema/t001-Files.sql"];
    let lines: String = paths.iter().map(|path| format!("{sha256}  {path}\n")).collect();
    fs::write(site.there("tagmanifest-sha256.txt"), &lines).unwrap();
    let root = blobdelta::model::digest::Sha256::of(lines.as_bytes());
    fs::write(site.beside(".pruning-1"), format!("{root}\n")).unwrap();
    match pruned(site) {
        Ok(done) => assert!(!done.left.is_empty(), "{done:?}"),
        Err(error) => assert_eq!(error.kind(), Kind::Verification, "{error}"),
    }
    ground.assert_untouched();
    let kept: Vec<String> = names(&site.path("drop"));
    let folder = kept.iter().find(|name| name.contains(".bundle") && site.path("drop").join(name).is_dir()).unwrap();
    let folder = site.path("drop").join(folder);
    assert_eq!(fs::read_to_string(folder.join("diary.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(folder.join("data/diary.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(folder.join(PART)).unwrap(), "mine", "no list names it");
    assert!(folder.join("schema").is_symlink());
}

fn a_link_for_what_is_received() {
    let ground = Ground::shipped();
    let site = &ground.site;
    // To the very bundle: it would be found good now, and be another one later.
    let link = site.path("in").join(site.name());
    symlink(&site.bundle, &link).unwrap();
    let receive = || receive(&site.drop(), &site.path("in"), &ReceiveOptions::default(), &Local, &Ears::default());
    let error = receive().unwrap_err();
    assert!(link.is_symlink() && error.to_string().contains(&site.name()), "{error}");
    fs::remove_file(&link).unwrap();
    // And at the place where it is taken from.
    fs::rename(site.there(""), site.path("moved")).unwrap();
    symlink(site.path("moved"), site.path("drop").join(site.name())).unwrap();
    let error = receive().unwrap_err();
    assert_eq!(error.kind(), Kind::Verification, "{error}");
    assert_eq!(in_folder(&site.path("in")), [] as [&str; 0]);
}

fn a_link_for_the_memory() {
    let ground = Ground::shipped();
    let memory = ground.site.path("in").join(".blobdelta-received.json");
    symlink(ground.outside.join("precious"), &memory).unwrap();
    let error = ground.site.receive().unwrap_err();
    assert!(memory.is_symlink() && error.kind() == Kind::Verification, "{error}");
    ground.assert_untouched();
    // What an earlier one left on the way to it is followed by nobody.
    fs::remove_file(&memory).unwrap();
    symlink(
        ground.outside.join("precious"),
        ground.site.path("in").join(".blobdelta-received.json.new-0123456789abcdef"),
    )
    .unwrap();
    ground.site.receive().unwrap();
    ground.assert_untouched();
}

fn a_link_for_what_is_published() {
    let site = Site::new();
    let bundle = Bundle::open(&site.bundle).unwrap();
    let silent = Ears::default();
    let made = archive(&bundle, &Local, &site.path("made"), None, &silent).unwrap().path().to_owned();
    let twins = [(site.bundle.clone(), site.name()), (made, site.name() + ".tar")];
    for (twin, name) in &twins {
        symlink(twin, site.path("in").join(name)).unwrap();
    }
    let errors = [
        extract(&bundle, &Local, &site.path("in"), &silent).unwrap_err(),
        archive(&bundle, &Local, &site.path("in"), None, &silent).unwrap_err(),
    ];
    for (error, (twin, name)) in errors.iter().zip(&twins) {
        assert!(error.to_string().contains(name.as_str()), "{error}");
        assert!(site.path("in").join(name).is_symlink() && twin.exists());
    }
    assert_eq!(names(&site.path("in")).len(), 2, "nothing half stays: {:?}", names(&site.path("in")));
}
