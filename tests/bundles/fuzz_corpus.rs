//! What was found by fuzzing, and what fuzzing starts from, once more: `fixtures/fuzz/<target>/`.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("every target has a corpus") {
        let path = entry.expect("the folder can be read").path();
        run(&std::fs::read(&path).expect("the file can be read"));
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn manifests() {
    replay("manifest", targets::manifest);
}

#[test]
fn lists_of_hashes() {
    replay("checksums", targets::checksums);
}

#[test]
fn archives() {
    replay("archive", targets::archive);
}

#[test]
fn parts() {
    replay("part", targets::part);
}

#[test]
fn answers_of_stores() {
    replay("answer", targets::answer);
}

/// Where no nightly toolchain is: answers of the corpus, changed at random, the same each time. `BLOBDELTA_MUTATIONS` is
/// how many are made of each.
#[test]
fn answers_of_stores_that_were_changed() {
    let most = std::env::var("BLOBDELTA_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_u64);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz/answer");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut random = Random(1);
    for nth in 0..most {
        for one in &corpus {
            let mut bytes = one.clone();
            for _ in 0..=random.below(1 + nth as usize % 6) {
                random.change(&mut bytes, &corpus);
            }
            targets::answer(&bytes);
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }

    /// One change: a bit, a byte, a piece taken out, doubled, or put in the place of another of any answer; a number.
    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let (from, other) = (self.below(bytes.len()), self.below(bytes.len()));
        let (from, to) = (from.min(other), (from.max(other) + 1).min(bytes.len()));
        match self.below(7) {
            0 if from < bytes.len() => bytes[from] ^= 1 << self.below(8),
            1 if from < bytes.len() => bytes[from] = self.below(256) as u8,
            2 => drop(bytes.drain(from..to)),
            3 => {
                let chunk = bytes[from..to].to_vec();
                bytes.splice(from..from, chunk);
            }
            4 => {
                let theirs = &corpus[self.below(corpus.len())];
                let start = self.below(theirs.len());
                let end = (start + 1 + self.below(200)).min(theirs.len());
                bytes.splice(from..to, theirs[start..end].iter().copied());
            }
            5 => {
                let numbers =
                    ["-1", "0", "18446744073709551616", "9223372036854775807", "1e9", "\u{202e}", "../..", "//", "\0"];
                let number = numbers[self.below(numbers.len())].bytes();
                bytes.splice(from..from, number);
            }
            _ => bytes.truncate(to),
        }
    }
}
