//! The files of an embedded instance that one connection has open, and whether they are still there.

use crate::durable::{file_number, make_private};
use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// A database that is open.
pub(super) struct Attached {
    name: String,
    file: PathBuf,
    number: Option<(u64, u64)>,
}

impl Attached {
    /// To be called before SQLite opens the file: whatever comes in its place in between is another one, too.
    pub(super) fn of(name: &str, file: &Path) -> Self {
        Self { name: name.to_owned(), file: file.to_owned(), number: file_number(file) }
    }

    fn is_in_place(&self) -> bool {
        file_number(&self.file) == self.number
    }
}

/// All that one connection has open, the main one first.
pub(super) struct AttachedFiles(Vec<Attached>);

impl AttachedFiles {
    /// The main database alone.
    pub(super) fn of(main: Attached) -> Self {
        Self(vec![main])
    }

    pub(super) fn add(&mut self, one: Attached) {
        self.0.push(one);
    }

    /// One that is not attached any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.retain(|known| !known.name.eq_ignore_ascii_case(name));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|known| known.name.as_str())
    }

    /// Whether this database is attached; names compare without case, as in SQLite.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// Whether a database's name still leads to the file that is open.
    pub(super) fn is_in_place(&self, name: &str) -> bool {
        self.0.iter().find(|known| known.name.eq_ignore_ascii_case(name)).is_some_and(Attached::is_in_place)
    }

    /// What is written into a file that somebody removed or replaced meanwhile would be lost without a word. A replay
    /// that takes back the empty file that it made does so under the lock that whoever writes waits for.
    ///
    /// # Errors
    /// Database.
    pub(super) fn check(&self) -> Result<()> {
        let Some(gone) = self.0.iter().find(|known| !known.is_in_place()) else { return Ok(()) };
        let text = format!("the file of the database {} was removed or replaced while it was open", gone.name);
        Err(Error::new(Kind::Database, text).file(&gone.file).hint(
            "nothing was written into it; another command that failed may have taken back what it had made: repeat this one",
        ))
    }
}

/// Makes the file of a database, empty, for its user alone. None is made where a link leads that somebody put here.
///
/// # Errors
/// Config, for such a link; Io.
pub(super) fn make(file: &Path) -> Result<()> {
    if file.is_symlink() {
        return Err(Error::config(
            "a link that leads to no file is in the place of a database; nothing was made there",
        )
        .file(file)
        .hint("see who put it there, and remove it, or make the database that it is to lead to"));
    }
    make_private(file)
}

/// The file of a database.
pub(super) fn file_of(folder: &Path, database: &str) -> Result<PathBuf> {
    crate::model::name::check_identifier(database)?;
    if database.contains(['/', '\\', ':']) || database.starts_with('.') {
        let text = format!("the database name {database:?} cannot be the name of a file");
        return Err(
            Error::config(text).hint("an embedded instance needs names without slashes, colons and leading dots")
        );
    }
    if ["main", "temp"].iter().any(|reserved| database.eq_ignore_ascii_case(reserved)) {
        return Err(
            Error::config(format!("SQLite reserves the database name {database:?}")).hint("choose another name")
        );
    }
    Ok(folder.join(format!("{database}.sqlite")))
}

/// The database of this folder that differs from a name in the case of letters alone, where none has that name.
pub(super) fn spelled(folder: &Path, database: &str) -> String {
    let is_there = |name: &str| folder.join(format!("{name}.sqlite")).exists();
    let names = || {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name().into_string().ok()?.strip_suffix(".sqlite")?.to_owned()))
    };
    match is_there(database) {
        true => database.to_owned(),
        false => {
            names().filter(|name| name.eq_ignore_ascii_case(database)).min().unwrap_or_else(|| database.to_owned())
        }
    }
}
