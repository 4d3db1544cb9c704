//! What a verification says.

use crate::bundle::signature::SignedBy;
use crate::conform::Deviation;
use crate::error::{Error, Kind, Result};
use crate::model::digest::Sha256;

/// How far a verification goes; each level does what the one before does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyLevel {
    /// The exact set of files, their sizes, the hashes of tag files, the manifest.
    Quick,
    /// All hashes, Parquet footers, row counts.
    Default,
    /// Every row decoded: content hashes, window, order, keys, parents.
    Deep,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    /// Worth knowing; the bundle may be used.
    Notice,
    /// The bundle is not to be used.
    Error,
}

/// One way in which a bundle can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Nothing with `tagmanifest-sha256.txt`.
    NotABundle,
    /// An archive is not in the one form that it can have, is cut off or was changed.
    BadArchive,
    /// A bundle stands under the name of another.
    WrongName,
    /// The declaration of BagIt is missing from the lists, or is another one.
    BadDeclaration,
    /// A list of hashes is not in its one form, or names a path that no bundle can have.
    BadList,
    /// A link, pipe or device.
    LinkOrSpecialFile,
    /// A file or folder that no list names.
    ExtraFile,
    /// A file that a list names is not there.
    MissingFile,
    /// A file is not of the manifest's size.
    WrongSize,
    /// A tag file's bytes were changed.
    ChangedTagFile,
    /// A payload file's bytes were changed.
    ChangedPayloadFile,
    /// A format or a requirement that this program does not know.
    UnknownFormat,
    /// The manifest is not canonical, lacks something, or contradicts itself.
    BadManifest,
    /// Tables failed in the run of the bundle, and are not in it.
    FailedTables,
    /// The manifest and the lists of hashes do not name the same files.
    ListsDisagree,
    /// The text in `schema/` is not the one that makes the table of the manifest.
    WrongSchema,
    /// A file cannot be read: a disk, a network, a right. Nothing is said of what it holds.
    Unreadable,
    /// A signature is there and was not checked.
    SignatureNotChecked,
    /// A signature was asked for, and there is none.
    NotSigned,
    /// The signature is not one of this bundle, or not in its one form.
    BadSignature,
    /// The signature was made for something else than bundles.
    WrongNamespace,
    /// The signature fits, but its key is not one that may sign.
    SignerNotAllowed,
    /// The signature fits, but its key may not sign any more, or not yet.
    SignerExpired,
    /// The signature fits, but its key may not speak for this source or one of these tables.
    SignerOutOfScope,
    /// The root digest is none of those that were asked for, or not the one that the marker at a destination says.
    WrongRoot,
    /// A part is not Parquet, or its footer disagrees with the manifest.
    BadPart,
    /// A row cannot be decoded, or a value does not fit its column.
    BadRow,
    /// A value's hash is not the one beside it.
    WrongContentHash,
    /// A value in `blob/` that a row names is not there, or cannot be read.
    BadBlob,
    /// A value is left out because an earlier bundle holds it, and what is said of it is wrong, or that bundle does not hold it.
    BadKnownContent,
    /// A value in `blob/` that no row names.
    UnusedBlob,
    /// Rows are not in the order (depth, path, key).
    OutOfOrder,
    /// A key comes twice.
    DuplicateKey,
    /// A row of steps 1 or 3 lies outside of the window, unmarked.
    OutsideWindow,
    /// Rows are not as many as the manifest's counts say, by step or kind.
    WrongCount,
    /// A row is from another run.
    WrongRun,
    /// A row is of another business unit than the table's scope says.
    WrongUnit,
    /// A time is later than the start of the run and a day (rule 27).
    InTheFuture,
    /// A parent is neither in the bundle nor listed as absent.
    MissingParent,
    /// A row is not deeper than its parent.
    WrongDepth,
    /// A row is listed as one without parent, and is not there; or a parent as absent, and is.
    WrongAbsentParent,
}

impl From<Deviation> for FindingKind {
    fn from(deviation: Deviation) -> Self {
        match deviation {
            Deviation::WrongContentHash => Self::WrongContentHash,
            Deviation::OutOfOrder => Self::OutOfOrder,
            Deviation::DuplicateKey => Self::DuplicateKey,
            Deviation::OutsideWindow => Self::OutsideWindow,
            Deviation::WrongRun => Self::WrongRun,
            Deviation::WrongUnit => Self::WrongUnit,
            Deviation::BadKnownContent => Self::BadKnownContent,
            Deviation::InTheFuture => Self::InTheFuture,
            Deviation::WrongCount => Self::WrongCount,
            Deviation::MissingParent => Self::MissingParent,
            Deviation::WrongDepth => Self::WrongDepth,
            Deviation::WrongAbsentParent => Self::WrongAbsentParent,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which way.
    pub kind: FindingKind,
    /// How bad.
    pub severity: FindingSeverity,
    /// The file, from the bundle's folder on.
    pub file: Option<String>,
    /// What exactly, for people.
    pub detail: String,
}

impl Finding {
    /// An error.
    pub fn new(kind: FindingKind, file: Option<&str>, detail: impl Into<String>) -> Self {
        Self { kind, severity: FindingSeverity::Error, file: file.map(str::to_owned), detail: detail.into() }
    }

    /// An error that something below reported. What could not be read is [`FindingKind::Unreadable`], whatever was looked for.
    pub fn of(kind: FindingKind, file: Option<&str>, error: &Error) -> Self {
        let kind = if error.kind() == Kind::Io { FindingKind::Unreadable } else { kind };
        let mut detail = error.what().to_owned();
        let place = error.place();
        for (name, value) in [("column", &place.column), ("key", &place.key)] {
            if let Some(value) = value {
                detail = format!("{detail}, {name} {value}");
            }
        }
        if let Some(source) = std::error::Error::source(error) {
            detail = format!("{detail}: {source}");
        }
        Self::new(kind, file, detail)
    }
}

/// What was verified, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The hash of `tagmanifest-sha256.txt`, if there is one.
    pub root_sha256: Option<Sha256>,
    /// Who signed it, if that was asked for and is so.
    pub signed_by: Option<SignedBy>,
    /// What is wrong, in the order of the checks.
    pub findings: Vec<Finding>,
    /// Files looked at.
    pub files: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Rows decoded; 0 unless deep.
    pub rows: u64,
    /// Values that it leaves out, because bundles before it hold them, and their bytes: alone it says no more of them.
    pub left_out: (u64, u64),
    /// Findings of a kind and file beyond the first hundred, which are counted alone.
    pub more: u64,
}

/// Findings of one kind in one file that are told one by one.
const MOST_REPORTED: usize = 100;

/// Findings beyond those that are counted before a check is given up.
const MOST_COUNTED: u64 = 10_000;

impl VerifyReport {
    /// Whether the bundle may be used.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < FindingSeverity::Error)
    }

    /// Whether nothing is known to be wrong, but not all of it could be read: it may be good.
    pub fn is_unread(&self) -> bool {
        let mut wrong = self.findings.iter().filter(|finding| finding.severity == FindingSeverity::Error).peekable();
        wrong.peek().is_some() && wrong.all(|finding| finding.kind == FindingKind::Unreadable)
    }

    /// Adds a finding. A broken bundle has few kinds of wrong, but may have each in every row.
    pub(super) fn add(&mut self, finding: Finding) {
        let alike = |other: &&Finding| other.kind == finding.kind && other.file == finding.file;
        if self.findings.iter().filter(alike).count() < MOST_REPORTED && self.findings.len() < 100 * MOST_REPORTED {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Adds what another report says of rows.
    pub(super) fn absorb_rows(&mut self, other: Self) {
        self.rows += other.rows;
        self.more += other.more;
        other.findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// An error once so much is wrong that the rest is not worth the time: a hostile part of some
    /// kilobytes may say billions of rows.
    pub(super) fn check_hope(&self) -> Result<()> {
        if self.more < MOST_COUNTED {
            return Ok(());
        }
        Err(Error::verification("so much is wrong that the rest of it was not looked at"))
    }

    /// Whether anything is wrong with this file.
    pub(super) fn blames(&self, file: &str) -> bool {
        self.findings.iter().any(|finding| finding.file.as_deref() == Some(file))
    }
}
