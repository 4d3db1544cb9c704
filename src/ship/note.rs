//! [`Note`]: the small object `<name>.pruning-<GUID>` that says that a process removes a bundle.
//!
//! Each process has one of its own, from before it looks for a claim until after its last removal, and takes away no other one
//! behind which a process may be at work. So whoever ships, and looks for notes after its claim and once more after its
//! marker, has met every removal that may still come. Where places have locks, what a note of another process
//! names lies under another name by the time that the lock is had, and the note can go. A store has none: there a
//! process stops half a day after its note, and a note goes when it is a day older than that of who finds it, by the
//! store's clock.

use crate::bundle::BundleName;
use crate::bundle::layout::NOTE_INFIX;
use crate::error::{Error, Kind, Result};
use crate::model::clock::{Clock as _, SystemClock};
use crate::model::digest::Sha256;
use crate::model::id::Guid;
use crate::model::time::Timestamp;
use crate::store::{Location, Object, Store};
use std::time::Duration;

/// 64 digits and a line feed.
const MAX_BYTES: u64 = 256;
/// After which a process removes nothing more, in minutes.
const WORKS_MINUTES: u32 = 12 * 60;
/// After which nobody is at work behind a note.
const DEAD: Duration = Duration::from_secs(24 * 3600);

/// The name of the bundle that a note is about; nothing for what is no note.
///
/// # Errors
/// Verification, for a note of what is no bundle.
pub(super) fn named(at: &Location, path: &str) -> Result<Option<String>> {
    let Some((name, _)) = path.split_once(NOTE_INFIX) else { return Ok(None) };
    match BundleName::of_file(name) {
        Some(_) => Ok(Some(name.to_owned())),
        None => Err(Error::verification("this is not the name of a bundle").file(at.join(path))),
    }
}

/// The notes of a name.
///
/// # Errors
/// Io.
pub(super) fn notes(store: &dyn Store, name: &str) -> Result<Vec<Object>> {
    store.names(&format!("{name}{NOTE_INFIX}"))
}

/// The root digest that a note says.
///
/// # Errors
/// Verification, if it says none; Io.
pub(super) fn root_of(store: &dyn Store, at: &Location, note: &str) -> Result<Sha256> {
    let bytes = store.get(note, MAX_BYTES)?.unwrap_or_default();
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.lines().next());
    text.and_then(|text| Sha256::parse(text).ok())
        .ok_or_else(|| Error::verification("this note of a prune does not say a root digest").file(at.join(note)))
}

/// See the module's text.
pub(super) struct Note<'a> {
    store: &'a dyn Store,
    name: &'a str,
    path: String,
    begun: Timestamp,
}

impl<'a> Note<'a> {
    /// Puts a note of this process.
    ///
    /// # Errors
    /// Io.
    pub(super) fn put(store: &'a dyn Store, name: &'a str, root: Sha256) -> Result<Self> {
        let path = format!("{name}{NOTE_INFIX}{}", Guid::random());
        let begun = SystemClock.now().utc;
        match store.create(&path, format!("{root}\n").as_bytes())? {
            true => Ok(Self { store, name, path, begun }),
            false => Err(Error::new(Kind::Io, "somebody else put something under the name of this prune's own note")
                .file(path)
                .hint("see who else writes at this destination, then prune again")),
        }
    }

    /// Whether this process may go on.
    ///
    /// # Errors
    /// Io, if it took too long.
    pub(super) fn check(&self) -> Result<()> {
        if SystemClock.now().utc.minus_minutes(WORKS_MINUTES) < self.begun {
            return Ok(());
        }
        let text =
            "removing this bundle has taken half a day, after which others may think that nobody is at work on it";
        Err(Error::new(Kind::Io, text).file(&self.path).hint("prune again: it goes on where this one stopped"))
    }

    /// The notes of others behind which nobody is at work any more.
    ///
    /// # Errors
    /// Io.
    pub(super) fn dead(&self, has_lock: bool) -> Result<Vec<Object>> {
        let (own, others): (Vec<Object>, Vec<Object>) =
            notes(self.store, self.name)?.into_iter().partition(|note| note.path == self.path);
        let now = own.first().and_then(|own| own.modified);
        let is_dead = |other: &Object| {
            let age = now.zip(other.modified).and_then(|(now, then)| now.duration_since(then).ok());
            has_lock || age.is_some_and(|age| age >= DEAD)
        };
        Ok(others.into_iter().filter(is_dead).collect())
    }

    /// Nothing more is removed.
    ///
    /// # Errors
    /// Io.
    pub(super) fn end(self) -> Result<()> {
        self.store.delete(&self.path)
    }
}
