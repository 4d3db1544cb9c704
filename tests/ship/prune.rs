//! Pruning a destination: what may go, what stays, and a crash at every operation of it.

use crate::List;
use crate::made::{Content, Made, Row, key};
use crate::ship::crashes::{assert_whole, faults};
use crate::ship::folders::{Site, names};
use blobdelta::bundle::manifest::{Manifest, ScopeText};
use blobdelta::bundle::{Access, Bundle};
use blobdelta::chain::survey;
use blobdelta::compact::{CompactOptions, compact};
use blobdelta::durable::{Disk, Faulty, Local, When};
use blobdelta::error::{Kind, Result};
use blobdelta::model::digest::Sha256;
use blobdelta::model::run::Scope;
use blobdelta::monitor::Silent;
use blobdelta::ship::{PruneOptions, PrunedDestination, ReceiveOptions, prune, receive};
use blobdelta::unpack::{UnpackOptions, unpack};
use std::path::{Path, PathBuf};

const WEEK_MICROS: i64 = 7 * 24 * 3600 * 1_000_000;

pub fn add_to(list: &mut List) {
    let mut add = |name, case: fn()| list.add(&format!("prune::{name}"), None, case);
    add("what_a_compacted_bundle_lists_goes", what_is_listed_goes);
    add("what_nobody_stands_for_stays", what_nobody_stands_for_stays);
    add("a_compacted_bundle_that_is_not_whole_stands_for_nothing", not_whole);
    add("attack_a_list_of_root_digests_is_a_claim_and_no_cover", a_claim_is_no_cover);
    add("attack_a_run_that_is_still_to_come_makes_no_bundle_old", the_future);
    add("attack_a_place_that_withholds_what_it_showed_is_reported", withheld);
    add("attack_a_list_that_nobody_vouches_for_hides_nothing_that_is_withheld", claimed);
    add("attack_a_place_whose_newest_bundle_is_too_old_is_reported", too_old);
    add("no_other_unit_s_rows_are_received_into_a_unit_s_folder", of_other_units);
    add("the_larger_of_two_compacted_bundles_stays", the_larger_stays);
    add("what_stands_for_others_holds_what_is_left_out_because_of_them", what_is_leaned_on);
    add("a_prune_that_died_at_any_operation_is_taken_up", crashes);
}

/// Six weeks, at their destination.
pub struct Weeks {
    pub site: Site,
    pub bundles: Vec<PathBuf>,
}

impl Weeks {
    pub fn new() -> Self {
        let site = Site::new();
        let week = |nth: u8| {
            let at = i64::from(nth) * WEEK_MICROS;
            let mut made = Made::new(nth, at, (at - WEEK_MICROS, at));
            made.rows = vec![Row::root(nth, Some(at - 1), &[nth])];
            made.tombstones = vec![(key(100 + nth), at - 2)];
            made.write(&site.path("made"))
        };
        let bundles: Vec<_> = (2..8).map(week).collect();
        bundles.iter().for_each(|path| drop(site.ship(path).unwrap()));
        Self { site, bundles }
    }

    /// Compacts the first of them, and ships that.
    pub fn compacted(&self, first: usize) -> PathBuf {
        let bundles = self.bundles[..first].iter().map(|path| Bundle::open(path).unwrap()).collect();
        let out = self.site.path("in");
        let made = compact(bundles, &Local, &out, &CompactOptions::default(), &Silent).unwrap();
        self.site.ship(made.path()).unwrap();
        made.path().to_owned()
    }

    /// The name of the first of them.
    pub fn first(&self) -> String {
        name(&self.bundles[0])
    }

    pub fn prune(&self, is_plan: bool, disk: &dyn Disk) -> Result<PrunedDestination> {
        let options = PruneOptions { keep_weeks: 1, is_plan, access: Access::default() };
        prune(&self.site.drop(), &options, disk, &Silent)
    }

    /// The names of bundles with a marker, and that nothing else lies there.
    pub fn there(&self) -> Vec<String> {
        let all = names(&self.site.path("drop"));
        let marked: Vec<String> =
            all.iter().filter_map(|name| name.strip_suffix(".complete")).map(str::to_owned).collect();
        assert_eq!(all.len(), 2 * marked.len(), "{all:?}");
        marked
    }

    /// The chain has no gap, and reaches from the first week to the last.
    fn assert_chain(&self, at: &str) {
        let found = survey(&[self.site.drop().to_string().into()], &Access::default(), &Silent).unwrap();
        let chain = &found.chains[0];
        // In the order of links, a bundle whose own first ones went stands before the one that stands for them.
        let span = chain.span();
        assert_eq!((found.chains.len(), found.broken.len(), chain.gaps.len()), (1, 0, 0), "{at}");
        assert_eq!((span.start, span.end), (crate::made::at(WEEK_MICROS), crate::made::at(7 * WEEK_MICROS)), "{at}");
    }
}

/// Four weeks of one row, whose value the first of them holds alone. It goes, and what stands for it has the value.
fn what_is_leaned_on() {
    const VALUE: &[u8] = b"the value that the first week brought";
    let (site, mut roots, mut bundles) = (Site::new(), Vec::new(), Vec::new());
    for nth in 2..6_u8 {
        let end = i64::from(nth) * WEEK_MICROS;
        let mut made = Made::new(nth, end, (end - WEEK_MICROS, end));
        made.previous = roots.last().copied();
        let known = |root: &Sha256| Content::Known(VALUE.to_vec(), *root);
        let content = roots.first().map_or(Content::Inline(VALUE.to_vec()), known);
        made.rows = vec![Row { content, ..Row::root(1, Some(end - 1), b"") }];
        bundles.push(made.write(&site.path("made")));
        roots.push(Bundle::open(&bundles[bundles.len() - 1]).unwrap().root_sha256());
        site.ship(&bundles[bundles.len() - 1]).unwrap();
    }
    let weeks = Weeks { site, bundles };
    let compacted = weeks.compacted(3);
    let pruned = weeks.prune(false, &Local).unwrap();
    let removed: Vec<Sha256> = pruned.removed.iter().map(|one| one.root_sha256).collect();
    assert!(removed.contains(&roots[0]), "{pruned:?}");
    // What is left gives all values: the last week leans on what is gone.
    let left = [compacted, weeks.bundles[3].clone()];
    assert_eq!(Bundle::open(&left[1]).unwrap().manifest().left_out(), (1, VALUE.len() as u64));
    let options = UnpackOptions { latest: true, ..UnpackOptions::new(weeks.site.path("files")) };
    let report = unpack(&left, &options, &Local, &Silent, &mut |_| ()).unwrap();
    assert_eq!((report.files, report.bytes), (1, VALUE.len() as u64));
    let refused = unpack(&left[1..], &UnpackOptions::new(weeks.site.path("none")), &Local, &Silent, &mut |_| ());
    assert_eq!(refused.unwrap_err().kind(), Kind::ChainGap);
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn what_is_listed_goes() {
    let weeks = Weeks::new();
    let compacted = weeks.compacted(3);
    let before = weeks.there();
    let plan = weeks.prune(true, &Local).unwrap();
    assert_eq!((plan.removed.len(), plan.kept.len(), plan.young), (3, 2, 2));
    assert_eq!(weeks.there(), before, "a plan changes nothing");
    let pruned = weeks.prune(false, &Local).unwrap();
    assert_eq!(pruned, plan);
    assert!(pruned.removed.iter().all(|one| name(&one.covered_by) == name(&compacted)));
    let mut due: Vec<String> = weeks.bundles[3..].iter().chain([&compacted]).map(|path| name(path)).collect();
    due.sort();
    assert_eq!(weeks.there(), due);
    weeks.assert_chain("pruned");
    assert!(weeks.prune(false, &Local).unwrap().removed.is_empty());
}

fn what_nobody_stands_for_stays() {
    let weeks = Weeks::new();
    let pruned = weeks.prune(false, &Local).unwrap();
    assert_eq!((pruned.removed.len(), pruned.kept.len(), weeks.there().len()), (0, 4, 6));
    // One that was never shipped, or has no marker, stands for nothing.
    let compacted = weeks.compacted(3);
    std::fs::remove_file(weeks.site.path("drop").join(name(&compacted) + ".complete")).unwrap();
    assert_eq!(weeks.prune(false, &Local).unwrap().removed.len(), 0);
    // Beside one that cannot be opened, nothing is removed.
    weeks.site.ship(&compacted).unwrap();
    let broken = weeks.site.path("drop").join(name(&weeks.bundles[5])).join("manifest.json");
    std::fs::write(broken, "{}").unwrap();
    assert_eq!(weeks.prune(false, &Local).unwrap_err().kind(), Kind::Verification);
    assert_eq!(weeks.there().len(), 7);
}

fn not_whole() {
    let weeks = Weeks::new();
    let compacted = weeks.compacted(3);
    let part = weeks.site.path("drop").join(name(&compacted)).join("data/t001-Files/deletes-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[50] ^= 1;
    std::fs::write(part, bytes).unwrap();
    let pruned = weeks.prune(false, &Local).unwrap();
    assert_eq!((pruned.removed.len(), weeks.there().len()), (0, 7));
    assert!(pruned.kept.iter().any(|(_, why)| why.contains("does not stand for it")), "{:?}", pruned.kept);
}

/// What somebody makes who can write there: a compacted bundle by its manifest, that lists genuine roots.
fn a_claim_is_no_cover() {
    let weeks = Weeks::new();
    let root = |nth: usize| Bundle::open(&weeks.bundles[nth]).unwrap().root_sha256();
    let forge = |weeks_in: usize, change: &dyn Fn(&mut Made)| {
        let mut made = Made::new(4, 4 * WEEK_MICROS, (WEEK_MICROS, 4 * WEEK_MICROS));
        made.inputs = (0..weeks_in).map(root).collect();
        made.inputs.sort();
        let stamp = |nth: u8| i64::from(nth) * WEEK_MICROS - 1;
        made.rows = (2..5).map(|nth| Row::root(nth, Some(stamp(nth)), &[nth])).collect();
        made.tombstones = (2..5).map(|nth| (key(100 + nth), stamp(nth) - 1)).collect();
        change(&mut made);
        made.write(&weeks.site.path("in"))
    };
    type Forged = (&'static str, usize, fn(&mut Made));
    let forged: [Forged; 8] = [
        ("does not have", 3, |made| made.rows.clear()),
        ("does not have", 3, |made| _ = made.rows.pop()),
        ("does not have", 3, |made| _ = made.tombstones.pop()),
        ("an older version", 3, |made| made.rows[1].modified = Some(2 * WEEK_MICROS)),
        ("another row of the same version", 1, |made| {
            of_the_first(made);
            made.rows[0].content = crate::made::Content::Inline(b"forged".to_vec());
        }),
        ("another row of the same version", 1, |made| {
            of_the_first(made);
            made.rows[0].path = vec![99];
        }),
        ("another row of the same version", 1, |made| {
            of_the_first(made);
            made.unit = Some(key(0xA));
        }),
        ("says that it is of it", 1, |made| {
            of_the_first(made);
            made.rows.push(Row::root(99, Some(2 * WEEK_MICROS - 1), b"made up"));
        }),
    ];
    for (why, weeks_in, change) in forged {
        let path = forge(weeks_in, &change);
        weeks.site.ship(&path).unwrap();
        let pruned = weeks.prune(false, &Local).unwrap();
        assert_eq!((pruned.removed.len(), weeks.there().len()), (0, 7), "{why}");
        assert!(pruned.kept.iter().any(|(_, reported)| reported.contains(why)), "{why}: {:?}", pruned.kept);
        let there = weeks.site.path("drop").join(name(&path));
        std::fs::remove_dir_all(&there).unwrap();
        std::fs::remove_file(weeks.site.path("drop").join(name(&path) + ".complete")).unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }
    // And a run id of the forger's choice is no bundle at all.
    let mut manifest = Bundle::open(&weeks.compacted(3)).unwrap().manifest().clone();
    manifest.run.run_id = key(9);
    assert!(manifest.to_bytes().is_err());
}

/// As if it had been compacted from the first week alone.
fn of_the_first(made: &mut Made) {
    (made.started, made.row_run, made.end) = (2 * WEEK_MICROS, 2, 2 * WEEK_MICROS);
    made.rows.truncate(1);
    made.tombstones.truncate(1);
}

fn receive_all(weeks: &Weeks, not_before: Option<i64>) -> Result<usize> {
    let out = weeks.site.path("received");
    std::fs::create_dir_all(&out).unwrap();
    let options = ReceiveOptions { not_before: not_before.map(crate::made::at), ..ReceiveOptions::default() };
    receive(&weeks.site.drop(), &out, &options, &Local, &Silent).map(|received| received.len())
}

/// The owner of a store shows an older state of it; nothing in that is wrong.
fn withheld() {
    let weeks = Weeks::new();
    assert_eq!(receive_all(&weeks, None).unwrap(), 6);
    let drop = weeks.site.path("drop");
    let (newest, aside) = (name(&weeks.bundles[5]) + ".complete", weeks.site.path("aside"));
    std::fs::rename(drop.join(&newest), &aside).unwrap();
    for _ in 0..2 {
        let error = receive_all(&weeks, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Verification, "{error}");
        assert!(error.to_string().contains("withholds it"), "{error}");
    }
    // Another folder has never seen it, and another place is another one.
    let elsewhere = weeks.site.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    assert!(receive(&weeks.site.drop(), &elsewhere, &ReceiveOptions::default(), &Local, &Silent).is_ok());
    std::fs::rename(aside, drop.join(&newest)).unwrap();
    assert_eq!(receive_all(&weeks, None).unwrap(), 6);
    // A compacted bundle that lists it stands for it; an older one that went is no matter.
    weeks.compacted(6);
    for nth in [0, 5] {
        std::fs::remove_file(drop.join(name(&weeks.bundles[nth]) + ".complete")).unwrap();
    }
    assert_eq!(receive_all(&weeks, None).unwrap(), 5);
    // A memory that is none is told.
    std::fs::write(weeks.site.path("received").join(".blobdelta-received.json"), "{").unwrap();
    assert_eq!(receive_all(&weeks, None).unwrap_err().kind(), Kind::Config);
}

/// The owner of a store withholds the newest bundle, and lists it in another.
fn claimed() {
    let weeks = Weeks::new();
    assert_eq!(receive_all(&weeks, None).unwrap(), 6);
    let (drop, received) = (weeks.site.path("drop"), weeks.site.path("received"));
    let newest = name(&weeks.bundles[5]);
    std::fs::remove_file(drop.join(newest.clone() + ".complete")).unwrap();
    let is_withheld = |why: &str| {
        for _ in 0..2 {
            let error = receive_all(&weeks, None).unwrap_err();
            assert!(error.kind() == Kind::Verification && error.to_string().contains(why), "{error}");
        }
    };
    // A compacted one that holds the oldest rows alone.
    let mut made = Made::new(4, 7 * WEEK_MICROS, (WEEK_MICROS, 7 * WEEK_MICROS));
    made.inputs = weeks.bundles.iter().map(|path| Bundle::open(path).unwrap().root_sha256()).collect();
    made.inputs.sort();
    (made.row_run, made.rows) = (2, vec![Row::root(2, Some(2 * WEEK_MICROS - 1), &[2])]);
    let forged = made.write(&weeks.site.path("in"));
    weeks.site.ship(&forged).unwrap();
    is_withheld("which nobody vouches for");
    // Nor does it take the place of the one that it hides.
    for path in [drop.join(name(&forged)), received.join(name(&forged)), forged.clone()] {
        std::fs::remove_dir_all(path).unwrap();
    }
    std::fs::remove_file(drop.join(name(&forged) + ".complete")).unwrap();
    is_withheld("nor does a compacted bundle list it");
    // A true one stands for it, as long as what was received is there to be compared.
    weeks.compacted(6);
    std::fs::rename(received.join(&newest), weeks.site.path("moved")).unwrap();
    is_withheld("which nobody vouches for");
    std::fs::rename(weeks.site.path("moved"), received.join(&newest)).unwrap();
    assert_eq!(receive_all(&weeks, None).unwrap(), 6);
}

fn too_old() {
    let weeks = Weeks::new();
    assert_eq!(receive_all(&weeks, Some(7 * WEEK_MICROS)).unwrap(), 6);
    let error = receive_all(&weeks, Some(7 * WEEK_MICROS + 1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Verification, "{error}");
}

fn of_unit(manifest: &mut Manifest, letter: u8) {
    manifest.tables[0].scope = ScopeText(Scope::BusinessUnit(key(letter)));
}

/// Rule 18, at the receiver's door.
fn of_other_units() {
    let site = Site::new();
    let week = |nth: u8, spoil: fn(&mut Manifest)| {
        let mut made = Made::new(nth, i64::from(nth) * 1000, (0, 500));
        made.spoil = spoil;
        made.write(&site.path("made"))
    };
    let bundles =
        [week(2, |manifest| of_unit(manifest, 0xA)), week(3, |manifest| of_unit(manifest, 0xB)), week(4, |_| {})];
    let [one, other, all] = bundles;
    let folder = site.path("units");
    std::fs::create_dir(&folder).unwrap();
    let receive = |shared_place| {
        let options = ReceiveOptions { shared_place, ..ReceiveOptions::default() };
        receive(&site.drop(), &folder, &options, &Local, &Silent).map(|received| received.len())
    };
    site.ship(&one).unwrap();
    assert_eq!(receive(false).unwrap(), 1);
    for (nth, stranger) in [other, all].into_iter().enumerate() {
        site.ship(&stranger).unwrap();
        let error = receive(false).unwrap_err();
        assert!(error.kind() == Kind::Usage && error.to_string().contains("--shared-place"), "{error}");
        assert!(!folder.join(name(&stranger)).exists(), "nothing was received");
        assert_eq!(receive(true).unwrap(), nth + 2);
        assert_eq!(receive(false).unwrap(), nth + 2, "it was said once");
    }
}

fn the_future() {
    let weeks = Weeks::new();
    let far = 9899 * 365 * 24 * 3600 * 1_000_000;
    let future = Made::new(200, far, (far - WEEK_MICROS, far)).write(&weeks.site.path("made"));
    // What ships it looks at the clock too: somebody else put it there.
    let there = weeks.site.path("drop").join(name(&future));
    copy(&future, &there);
    let marker = Bundle::open(&future).unwrap().root_sha256().to_string() + "\n";
    std::fs::write(weeks.site.path("drop").join(name(&future) + ".complete"), marker).unwrap();
    let pruned = weeks.prune(false, &Local).unwrap();
    assert_eq!((pruned.removed.len(), pruned.young, pruned.kept.len()), (0, 2, 4), "{pruned:?}");
    assert_eq!(pruned.future.iter().map(|path| name(path)).collect::<Vec<_>>(), [name(&future)]);
}

fn the_larger_stays() {
    let weeks = Weeks::new();
    let (smaller, larger) = (weeks.compacted(2), weeks.compacted(4));
    let pruned = weeks.prune(false, &Local).unwrap();
    let removed: Vec<String> = pruned.removed.iter().map(|one| name(&one.path)).collect();
    assert!(
        removed.contains(&name(&smaller)) && !removed.contains(&name(&larger)) && removed.len() == 5,
        "{removed:?}"
    );
    assert!(pruned.removed.iter().all(|one| name(&one.covered_by) == name(&larger)));
    weeks.assert_chain("the larger stays");
}

/// Copies a folder; nothing of it has to survive a loss of power.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        match from.is_dir() {
            true => copy(&from, &to),
            false => _ = std::fs::copy(from, to).unwrap(),
        }
    }
}

fn crashes() {
    let weeks = Weeks::new();
    weeks.compacted(3);
    let (there, before) = (weeks.site.path("drop"), weeks.site.path("before"));
    std::fs::rename(&there, &before).unwrap();
    let pruned_on = |disk: &dyn Disk| {
        copy(&before, &there);
        weeks.prune(false, disk)
    };
    let counting = Faulty::new(When::Never);
    pruned_on(&counting).unwrap();
    let due = weeks.there();
    assert!(counting.count() > 20, "{}", counting.count());
    for when in faults(counting.count()) {
        let at = format!("{when:?}");
        std::fs::remove_dir_all(&there).unwrap();
        assert!(pruned_on(&Faulty::new(when)).is_err(), "{at}");
        assert_whole(weeks.site.drop().to_string().into(), &at);
        assert_whole(there.clone(), &at);
        weeks.assert_chain(&at);
        weeks.prune(false, &Local).unwrap();
        assert_eq!(weeks.there(), due, "{at}");
    }
}
