//! One check of the folders in which commands make something: none of them is, or lies in, an embedded instance or a
//! bundle. What is made there would stand among files that somebody else counts, and in the way of an instance's databases.

use super::args::Command;
use crate::error::{Error, Result};
use crate::store::Location;
use std::path::{Path, PathBuf};

/// The job database of an embedded instance.
const JOB_DATABASE: &str = "BlobDeltaJobs.sqlite";
/// What a folder of SQLite files has.
const DATABASE: &str = "sqlite";

/// What comes into a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FolderContent {
    /// Bundles or files.
    Files,
    /// The databases of an instance: there may be one.
    Instance,
}

/// That nothing is made in an instance or in a bundle.
///
/// # Errors
/// Usage, with the folder.
pub fn check(command: &Command) -> Result<()> {
    made_by(command).iter().try_for_each(|(folder, made)| check_one(folder, *made))
}

/// The folders in which a command makes something.
fn made_by(command: &Command) -> Vec<(PathBuf, FolderContent)> {
    let files = |folder: &Path| (folder.to_owned(), FolderContent::Files);
    let place = |text: Option<&str>| {
        let location = text.and_then(|text| Location::parse(text).ok());
        location.and_then(|location| location.folder().map(files))
    };
    match command {
        Command::Run(args) => args.out.as_deref().map(files).into_iter().chain(place(args.shipping.given())).collect(),
        Command::Pack(args) => args.out.as_deref().map(files).into_iter().chain(place(args.shipping.given())).collect(),
        Command::Archive(args) => args.out.as_deref().map(files).into_iter().collect(),
        Command::Extract(args) => vec![files(&args.out)],
        Command::Compact(args) => vec![files(&args.out)],
        Command::Mask(args) => args.out.as_deref().map(files).into_iter().collect(),
        Command::Unpack(args) => vec![files(&args.out)],
        Command::Receive(args) => vec![files(&args.out)],
        Command::Report(args) => args.out.parent().map(files).into_iter().collect(),
        Command::Demo(args) => vec![files(&args.dir)],
        Command::Ship(args) => place(Some(&args.destination)).into_iter().collect(),
        Command::Replay(args) => {
            args.into.strip_prefix("sqlite:").map(|at| (at.into(), FolderContent::Instance)).into_iter().collect()
        }
        Command::Deploy(args) => args
            .instance
            .missing_folder()
            .ok()
            .flatten()
            .map(|folder| (folder, FolderContent::Instance))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

fn check_one(folder: &Path, made: FolderContent) -> Result<()> {
    let Ok(absolute) = std::path::absolute(folder) else { return Ok(()) };
    // Of a folder that is not there yet, the nearest one above it says where it really lies.
    let there = absolute.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or_else(|| absolute.clone());
    let is_there = absolute.exists();
    for (nth, above) in there.ancestors().enumerate() {
        let is_itself = is_there && nth == 0;
        if is_bundle(above) {
            return Err(refused(folder, above, "a bundle, whose files are counted"));
        }
        let is_instance = match is_itself {
            true => made == FolderContent::Files && has_databases(above),
            false => above.join(JOB_DATABASE).is_file(),
        };
        if is_instance {
            return Err(refused(folder, above, "an embedded instance"));
        }
    }
    Ok(())
}

fn is_bundle(folder: &Path) -> bool {
    folder.join("bagit.txt").is_file() && folder.join("manifest.json").is_file()
}

fn has_databases(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|extension| extension == DATABASE))
}

fn refused(folder: &Path, above: &Path, what: &str) -> Error {
    let what = match folder == above {
        true => format!("this folder is {what}; nothing was written"),
        false => format!("this folder is or lies in {}, {what}; nothing was written", above.display()),
    };
    Error::usage(what).file(folder).hint("name a folder of its own, beside it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: PathBuf) -> PathBuf {
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn nothing_is_made_in_an_instance_or_a_bundle() {
        let dir = tempfile::tempdir().unwrap();
        let instance = made(dir.path().join("instance"));
        std::fs::write(instance.join(JOB_DATABASE), b"").unwrap();
        let target = made(dir.path().join("target"));
        std::fs::write(target.join("Files.sqlite"), b"").unwrap();
        let bundle = made(dir.path().join("one.bundle"));
        for file in ["bagit.txt", "manifest.json"] {
            std::fs::write(bundle.join(file), b"").unwrap();
        }
        let free = made(dir.path().join("free"));
        std::os::unix::fs::symlink(&instance, dir.path().join("link")).unwrap();
        let may = |path: PathBuf, made: FolderContent| check_one(&path, made).is_ok();
        for made_there in [FolderContent::Files, FolderContent::Instance] {
            assert!(!may(instance.join("inside"), made_there) && !may(bundle.join("data"), made_there));
            assert!(!may(bundle.clone(), made_there) && !may(dir.path().join("link/below/it"), made_there));
            assert!(
                may(free.clone(), made_there)
                    && may(free.join("new/one"), made_there)
                    && may(dir.path().into(), made_there)
            );
        }
        assert!(!may(instance.clone(), FolderContent::Files) && !may(target.clone(), FolderContent::Files));
        assert!(may(instance.clone(), FolderContent::Instance) && may(target, FolderContent::Instance));
    }
}
