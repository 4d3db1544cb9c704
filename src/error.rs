//! The one error type of the crate.
//!
//! An error says *what* failed, *where* (the identities in [`ErrorPlace`]), *why* (the reason or the
//! source) and *what to do* (the hint). Code branches on [`Kind`] and never on text.

use std::fmt;

/// What a caller may want to branch on. Exit codes are an exhaustive match over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A wrong argument, or arguments that contradict each other.
    Usage,
    /// The configuration names something that is not there or cannot be carried.
    Config,
    /// The database refused or could not be reached.
    Database,
    /// A file could not be created, written, synced, renamed or read.
    Io,
    /// A bundle is not what it says it is.
    Verification,
    /// Another run holds the lease.
    LeaseHeld,
    /// The lease or the slice was taken by another run; nothing more was written.
    Superseded,
    /// Bundles of a chain do not touch.
    ChainGap,
    /// The complete slice of a table is in no bundle; nothing of it was emptied.
    NotPacked,
    /// An open transaction reaches back to before the window; nothing was emptied.
    Blocked,
    /// Some tables failed, the others are done.
    PartlyFailed,
    /// The operator asked to stop.
    Cancelled,
    /// An invariant of this program does not hold; nothing was published.
    Internal,
}

/// Where something failed. Only what is known is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorPlace {
    /// The run.
    pub run: Option<String>,
    /// The configured table.
    pub table: Option<String>,
    /// The step: 1 Roots, 2 MissingParents, 3 Children.
    pub step: Option<u8>,
    /// The script, as the script tables name it.
    pub script: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The key of the row.
    pub key: Option<String>,
    /// The file or folder.
    pub file: Option<String>,
}

/// What was begun, stands half done, and is gone on with by a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// A run that did not complete: it is resumed.
    Run(String),
    /// A run that completed, and is not in a bundle yet: it is packed.
    Pack(String),
}

/// See the module's text.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    place: ErrorPlace,
    hint: Option<String>,
    lines: Vec<String>,
    server_number: Option<u32>,
    unfinished: Option<Unfinished>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind; `what` is a whole clause without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            what: what.into(),
            place: ErrorPlace::default(),
            hint: None,
            lines: Vec::new(),
            server_number: None,
            unfinished: None,
            source: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// A wrong argument.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// A configuration that cannot work.
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(Kind::Config, what)
    }

    /// A bundle that is not what it says.
    pub fn verification(what: impl Into<String>) -> Self {
        Self::new(Kind::Verification, what)
    }

    /// A broken invariant of ours.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Kind::Internal, what)
    }

    /// A file operation that failed; `doing` is an infinitive, such as "write".
    pub fn io(doing: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        let hint = io_hint(&source);
        let mut error = Self::new(Kind::Io, format!("cannot {doing} this file or folder")).file(path).caused_by(source);
        error.inner.hint = hint;
        error
    }

    /// The same error, to be branched on as this kind.
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// Adds the run.
    pub fn run(mut self, run: impl fmt::Display) -> Self {
        self.inner.place.run.get_or_insert(run.to_string());
        self
    }

    /// Adds the configured table.
    pub fn table(mut self, table: impl fmt::Display) -> Self {
        self.inner.place.table.get_or_insert(table.to_string());
        self
    }

    /// Adds the step.
    pub fn step(mut self, step: u8) -> Self {
        self.inner.place.step.get_or_insert(step);
        self
    }

    /// Adds the script.
    pub fn script(mut self, script: impl fmt::Display) -> Self {
        self.inner.place.script.get_or_insert(script.to_string());
        self
    }

    /// Adds the column.
    pub fn column(mut self, column: impl fmt::Display) -> Self {
        self.inner.place.column.get_or_insert(column.to_string());
        self
    }

    /// Adds the row's key.
    pub fn key(mut self, key: impl fmt::Display) -> Self {
        self.inner.place.key.get_or_insert(key.to_string());
        self
    }

    /// Adds the file or folder.
    pub fn file(mut self, path: impl AsRef<std::path::Path>) -> Self {
        self.inner.place.file.get_or_insert(path.as_ref().display().to_string());
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds lines that are to be copied as they are, behind what to do.
    pub fn lines(mut self, lines: Vec<String>) -> Self {
        self.inner.lines = lines;
        self
    }

    /// Adds the number under which a server knows the error.
    pub fn server_number(mut self, number: u32) -> Self {
        self.inner.server_number = Some(number);
        self
    }

    /// Adds what was begun and is to be gone on with.
    pub fn unfinished(mut self, what: Unfinished) -> Self {
        self.inner.unfinished.get_or_insert(what);
        self
    }

    /// Adds the reason. What could not be read because of a disk, a network or a right says nothing of the bundle: where that is the
    /// reason, it is no finding of a verification.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        if self.inner.kind == Kind::Verification && is_of_reading(&source) {
            self.inner.kind = Kind::Io;
        }
        self.inner.source = Some(Box::new(source));
        self
    }

    /// What to branch on.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// What failed, without place, reason and hint.
    pub fn what(&self) -> &str {
        &self.inner.what
    }

    /// Where it failed.
    pub fn place(&self) -> &ErrorPlace {
        &self.inner.place
    }

    /// The number that a server gave (sys.messages of SQL Server).
    pub fn number_of_server(&self) -> Option<u32> {
        self.inner.server_number
    }

    /// What was begun and is to be gone on with, by a command that only the caller can spell.
    pub fn what_is_unfinished(&self) -> Option<&Unfinished> {
        self.inner.unfinished.as_ref()
    }

    /// Lines that are to be copied as they are.
    pub fn lines_to_copy(&self) -> &[String] {
        &self.inner.lines
    }

    /// What to do next, if anything is known to help.
    pub fn what_to_do(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
}

/// Whether something below failed to read, and not to understand.
fn is_of_reading(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if error.downcast_ref::<Error>().is_some_and(|error| error.kind() == Kind::Io) {
            return true;
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            // Its own source is that of what it wraps.
            let wrapped = io.get_ref().is_some_and(|inner| is_of_reading(inner));
            if io.raw_os_error().is_some() || wrapped {
                return true;
            }
        }
        at = error.source();
    }
    false
}

fn io_hint(source: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind as E;
    let text = match source.kind() {
        E::NotFound => "correct the path: it, or a folder above it, is not there",
        E::PermissionDenied => "give this account the right to do so, or choose another place",
        E::StorageFull | E::QuotaExceeded => "free some space or choose another folder",
        E::ReadOnlyFilesystem => "choose a folder that can be written",
        _ => return None,
    };
    Some(text.to_owned())
}

impl fmt::Display for ErrorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.map(|step| step.to_string());
        let named = [
            ("run", &self.run),
            ("table", &self.table),
            ("step", &step),
            ("script", &self.script),
            ("column", &self.column),
            ("key", &self.key),
            ("file", &self.file),
        ];
        let mut first = true;
        for (name, value) in named {
            if let Some(value) = value {
                write!(f, "{}{name} {value}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.what)?;
        if self.inner.place != ErrorPlace::default() {
            write!(f, " ({})", self.inner.place)?;
        }
        if let Some(source) = &self.inner.source {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = &self.inner.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_where_why_and_what_to_do() {
        let why = std::io::Error::other("the disk is gone");
        let error = Error::config("this column is not in the source")
            .table("Db.dbo.T")
            .column("ModifiedOn")
            .caused_by(why)
            .hint("correct it with table set");
        assert_eq!(
            error.to_string(),
            "this column is not in the source (table Db.dbo.T, column ModifiedOn): the disk is gone; \
             correct it with table set"
        );
    }

    #[test]
    fn what_could_not_be_read_is_no_finding() {
        let net = || Error::new(Kind::Io, "the store does not answer");
        let unread = |source| Error::verification("this part cannot be decoded").caused_by(source).kind();
        assert_eq!(unread(std::io::Error::other(net())), Kind::Io);
        assert_eq!(unread(std::io::Error::other(std::io::Error::other(net()))), Kind::Io);
        assert_eq!(unread(std::io::Error::from_raw_os_error(5)), Kind::Io);
        let wrong = || Error::verification("the archive was changed");
        assert_eq!(unread(std::io::Error::other(wrong())), Kind::Verification);
        assert_eq!(unread(std::io::Error::from(std::io::ErrorKind::InvalidData)), Kind::Verification);
    }

    #[test]
    fn the_first_place_named_is_kept() {
        let error = Error::internal("x").table("inner").table("outer");
        assert_eq!(error.place().table.as_deref(), Some("inner"));
    }
}
