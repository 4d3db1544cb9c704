//! Commands that meet at an object store, which has no locks: each stands still before any of its requests while the
//! others go on. Whatever comes of it, no marker stands without its exact files once all have ended.

use crate::List;
use crate::faults::is_full;
use crate::ship::prune::Weeks;
use crate::ship::shop::{Door, Shop};
use crate::world::tree;
use std::path::PathBuf;
use std::process::{Child, Output};

const PLACE: &str = "s3://b/weekly";

/// Adds the cases.
pub fn add_to(list: &mut List) {
    list.add("store::two_prunes_and_a_ship_leave_no_marker_without_a_file", None, || {
        Ground::new().meet(false, |ground, at| ground.two_prunes(at));
    });
    list.add("store::two_ships_and_a_prune_leave_no_marker_without_a_file", None, || {
        Ground::new().meet(true, |ground, at| ground.two_ships(at));
    });
    list.add("store::attack_a_claim_ends_no_uploads_of_others", None, a_forged_claim);
    list.add("store::a_note_of_a_prune_that_died_goes_when_it_is_a_day_old", None, a_dead_note);
}

/// Six weeks with a compacted one for the first three, in a store.
struct Ground {
    weeks: Weeks,
    shop: Shop,
    url: String,
}

impl Ground {
    fn new() -> Self {
        let weeks = Weeks::new();
        weeks.compacted(3);
        let url = format!("weekly/{}", weeks.first());
        Self { weeks, shop: Shop::default(), url }
    }

    fn begin(&self, is_gone: bool) {
        self.shop.stock(&self.weeks.site.path("drop"));
        if is_gone {
            self.shop.remove(&self.url);
        }
    }

    fn bundle(&self) -> &PathBuf {
        &self.weeks.bundles[0]
    }

    fn prune(&self, door: &Door) -> Child {
        door.start(&["prune", PLACE, "--keep-weeks", "1"])
    }

    fn ship(&self, door: &Door) -> Child {
        door.start(&["ship", self.bundle().to_str().unwrap(), PLACE])
    }

    /// To its end, without others.
    fn alone(&self, start: impl Fn(&Self, &Door) -> Child) -> (Output, usize) {
        let door = self.shop.door(0);
        (ended(start(self, &door)), door.requests())
    }

    fn is_marked(&self) -> bool {
        self.shop.keys().contains(&format!("{}.complete", self.url))
    }

    /// A marker has its exact files.
    fn assert_whole(&self, context: &str) {
        let files = tree(self.bundle());
        let is_whole =
            files.iter().all(|(path, bytes)| self.shop.has(&format!("{}/{}", self.url, path.display()), bytes));
        assert!(is_whole || !self.is_marked(), "{context}: a marker without its files: {:?}", self.shop.keys());
    }

    /// At many moments of two that stand still; then the same commands one after the other end well, without litter.
    fn meet(&self, is_gone: bool, work: fn(&Self, [usize; 2]) -> Vec<Output>) {
        self.begin(is_gone);
        let shipped = self.alone(Self::ship).1;
        let pruned = self.alone(Self::prune).1;
        assert!(shipped > 5 && pruned > 20, "{shipped}, {pruned}");
        let (firsts, seconds) = if is_gone { (shipped, pruned) } else { (pruned, pruned) };
        // The last requests of each are those that remove, put notes and markers. Without `full`, some of them, however
        // many requests there are.
        let step = if is_full() { 1 } else { (firsts * seconds / 8) | 1 };
        let moments = (1..=firsts).rev().flat_map(|first| (1..=seconds).rev().map(move |second| [first, second]));
        for at in moments.step_by(step) {
            self.begin(is_gone);
            let ends = work(self, at);
            let context = format!("{at:?} of {firsts} and {seconds}: {ends:?}");
            for one in &ends {
                let reported = String::from_utf8_lossy(&one.stderr);
                // Where it took long, lines of progress stand before it.
                let is_told = reported.lines().any(|line| line.starts_with("error"));
                assert!(one.status.success() || is_told, "{context}");
            }
            self.assert_whole(&context);
            let (again, _) = self.alone(Self::ship);
            assert!(again.status.success() && self.is_marked(), "{context}: and again: {again:?}");
            self.assert_whole(&context);
            let (again, _) = self.alone(Self::prune);
            assert!(again.status.success() && !self.is_marked(), "{context}: and again: {again:?}");
            let litter: Vec<String> = self.shop.keys().into_iter().filter(|key| key.starts_with(&self.url)).collect();
            assert!(litter.is_empty(), "{context}: {litter:?}");
        }
    }

    /// One stands still, another begins and stands still; the first ends, a ship comes, the second ends.
    fn two_prunes(&self, [first, second]: [usize; 2]) -> Vec<Output> {
        let doors = [self.shop.door(first), self.shop.door(second)];
        let [mut one, mut two] = [self.prune(&doors[0]), self.prune(&doors[1])];
        doors[0].wait(&mut one);
        doors[1].wait(&mut two);
        doors[0].open();
        let one = ended(one);
        let (ship, _) = self.alone(Self::ship);
        doors[1].open();
        vec![one, ship, ended(two)]
    }

    /// One stands still, another ends; a prune begins and stands still; the first ends, then the prune.
    fn two_ships(&self, [first, second]: [usize; 2]) -> Vec<Output> {
        let doors = [self.shop.door(first), self.shop.door(second)];
        let mut one = self.ship(&doors[0]);
        doors[0].wait(&mut one);
        let (other, _) = self.alone(Self::ship);
        let mut prune = self.prune(&doors[1]);
        doors[1].wait(&mut prune);
        doors[0].open();
        let one = ended(one);
        doors[1].open();
        vec![one, other, ended(prune)]
    }
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Nobody can tell whether a process is dead or slow, so its note stands for a day, by the clock of the store.
fn a_dead_note() {
    let ground = Ground::new();
    ground.begin(false);
    let (_, count) = ground.alone(Ground::prune);
    let mut stood = 0;
    for at in (count.saturating_sub(40)..=count).step_by(if is_full() { 1 } else { 13 }) {
        ground.begin(false);
        let door = ground.shop.door(at);
        let mut dies = ground.prune(&door);
        door.wait(&mut dies);
        dies.kill().unwrap();
        dies.wait().unwrap();
        let is_noted = |ground: &Ground| ground.shop.keys().iter().any(|key| key.contains(".pruning-"));
        let was_noted = is_noted(&ground);
        ground.shop.pass(2);
        let (pruned, _) = ground.alone(Ground::prune);
        assert!(pruned.status.success() && !is_noted(&ground) && !ground.is_marked(), "{at}: {pruned:?}");
        let (shipped, _) = ground.alone(Ground::ship);
        assert!(shipped.status.success(), "{at}: {shipped:?}");
        if was_noted {
            stood += 1;
            ground.begin(false);
            let door = ground.shop.door(at);
            let mut slow = ground.prune(&door);
            door.wait(&mut slow);
            let (pruned, _) = ground.alone(Ground::prune);
            assert!(pruned.status.success() && is_noted(&ground), "{at}: {pruned:?}");
            let (shipped, _) = ground.alone(Ground::ship);
            assert!(!shipped.status.success() || ground.is_marked(), "{at}: {shipped:?}");
            door.open();
            let slow = ended(slow);
            ground.assert_whole(&format!("{at}: {slow:?}"));
        }
    }
    assert!(stood > 2, "{stood}");
}

/// Whoever may write a claim, and nothing else, has whoever ships end uploads or remove objects for them.
fn a_forged_claim() {
    let ground = Ground::new();
    let name = ground.weeks.first();
    let own = format!("{name}/data/t001-Files/part-00000.parquet");
    let root = blobdelta::bundle::Bundle::open(ground.bundle()).unwrap().root_sha256();
    let begun = |path: &str, upload: &str| format!("{{\"path\":\"{path}\",\"upload\":\"{upload}\"}}");
    let uploads = [
        begun(&own, "1"),
        begun("others", "2"),
        begun("others", ""),
        begun(&own, ""),
        begun(&format!("{name}/data/others"), "3"),
        begun(&format!("{name}-others"), "4"),
    ];
    ground.shop.put("weekly/others", b"theirs");
    let claim = format!("{{\"root_sha256\":\"{root}\",\"uploads\":[{}]}}", uploads.join(","));
    ground.shop.put(&format!("weekly/{name}.shipping"), claim.as_bytes());
    let (shipped, _) = ground.alone(Ground::ship);
    assert!(shipped.status.success(), "{shipped:?}");
    assert_eq!(ground.shop.ended(), [(format!("weekly/{own}"), "1".to_owned())]);
    assert!(ground.shop.has("weekly/others", b"theirs"));
}
