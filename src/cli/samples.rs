//! The files of `fixtures/files`, as they were when this program was built, for a demo without
//! a folder. A test holds the list against the folder.

use crate::durable::{Disk, write_file};
use crate::error::Result;
use std::collections::BTreeSet;
use std::path::Path;

macro_rules! samples {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!("../../fixtures/files/", $path)))),*]
    };
}

/// Paths, with `/`, and bytes.
const SAMPLES: &[(&str, &[u8])] = samples![
    "Clients/Anders, Åsa/Scans/page 1.png"
    "Clients/Anders, Åsa/Scans/page 2.png"
    "Clients/Anders, Åsa/profile.json"
    "Clients/Anders, Åsa/visit 2026-01-04.txt"
    "Clients/Anders, Åsa/visit 2026-02-11.txt"
    "Clients/Brown/Correspondence/in/2026-03-01.eml"
    "Clients/Brown/Correspondence/in/2026-03-09.eml"
    "Clients/Brown/Correspondence/out/2026-03-02.eml"
    "Clients/Brown/plan final FINAL.txt"
    "Clients/Brown/plan final.txt"
    "Clients/Brown/plan.txt"
    "Clients/Brown/recording.raw"
    "Clients/Unsorted/.hidden"
    "Clients/Unsorted/no extension"
    "Clients/Unsorted/one byte"
    "Clients/Unsorted/zeros.bin"
    "Clients/日本語/table.csv"
    "Clients/日本語/メモ.txt"
    "Index of folders.txt"
    "Licence of these files.txt"
    "Referrals/2025/Intake form 1001.txt"
    "Referrals/2025/Intake form 1002.txt"
    "Referrals/2025/Notes/README"
    "Referrals/2025/Notes/first call.md"
    "Referrals/2025/Notes/second call.md"
    "Referrals/2025/empty.dat"
    "Referrals/2025/scan 1001.png"
    "Referrals/2025/Überweisung Müller.txt"
    "Referrals/2026/Drafts/only draft.txt"
    "Referrals/2026/Intake form 2001.txt"
    "Referrals/2026/Intake form 2002.txt"
    "Referrals/2026/Letters/Letter to GP.txt"
    "Referrals/2026/Letters/Letter to school.txt"
    "Referrals/2026/Letters/signed/letter (signed) v2.bin"
    "Referrals/2026/Letters/signed/receipt"
    "Referrals/2026/figures.csv"
    "Referrals/2026/photo.png"
    "Referrals/Archive/a/b/c/deep 1.txt"
    "Referrals/Archive/a/b/c/deep 2.txt"
    "Referrals/Archive/a/b/c/deep 3.txt"
    "Referrals/Archive/a/b/c/deep 4.txt"
];

/// Writes all of them under a folder that is made for it.
///
/// # Errors
/// Io.
pub fn write(disk: &dyn Disk, folder: &Path) -> Result<()> {
    disk.create_dir(folder)?;
    let mut folders = BTreeSet::new();
    for (path, _) in SAMPLES {
        folders.extend(Path::new(path).ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()));
    }
    // In the order of paths, a folder comes before what lies in it.
    for inner in folders {
        disk.create_dir(&folder.join(inner))?;
    }
    SAMPLES.iter().try_for_each(|(path, bytes)| write_file(disk, &folder.join(path), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Local;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
        while let Some(next) = folders.pop() {
            for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().to_owned();
                    found.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        found
    }

    #[test]
    fn the_list_is_the_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let written = temporary.path().join("files");
        write(&Local, &written).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/files");
        assert_eq!(tree(&written), tree(&shipped));
    }
}
