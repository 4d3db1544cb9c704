//! Rule 18: where a run was told to publish and to ship its bundle, and how it was to be sealed; and
//! the commands that go on with it.

use super::id::Guid;
use super::name::TableName;
use super::shell::word;
use std::collections::BTreeSet;

/// What a run was told, as its row of `BlobDeltaRun` keeps it. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The folder in which its bundle is published, from the root on.
    pub out_folder: String,
    /// Where its bundle is shipped, as it was given; `None` where it is not to be shipped.
    pub ship_to: Option<String>,
    /// The form in which it is published.
    pub form: BundleForm,
    /// Who vouches for it, and who may open it.
    pub seal: Seal,
}

/// Whether a folder or one file is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleForm {
    /// A folder.
    Folder,
    /// An archive, encrypted where the seal names recipients.
    Archive,
}

impl BundleForm {
    /// Its text in the job database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "Folder",
            Self::Archive => "Archive",
        }
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Folder, Self::Archive].into_iter().find(|form| form.as_str() == text)
    }
}

/// Who vouches for a bundle, and who may open it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// The fingerprint of the key that signs it, as `ssh-keygen -l` prints it.
    pub signed_by: Option<String>,
    /// The recipients of age that it is encrypted to; none where it is not encrypted.
    pub encrypted_to: BTreeSet<String>,
}

impl Seal {
    /// The recipients in one text, in order; `None` where there are none.
    pub fn recipients_text(&self) -> Option<String> {
        let recipients: Vec<&str> = self.encrypted_to.iter().map(String::as_str).collect();
        (!recipients.is_empty()).then(|| recipients.join(" "))
    }

    /// The other way of [`Seal::recipients_text`].
    pub fn recipients_of(text: Option<&str>) -> BTreeSet<String> {
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }
}

/// `signed by SHA256:…, encrypted to age1…`.
impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.signed_by {
            Some(key) => write!(f, "signed by {key}, ")?,
            None => f.write_str("not signed, ")?,
        }
        match self.recipients_text() {
            Some(recipients) => write!(f, "encrypted to {recipients}"),
            None => f.write_str("not encrypted"),
        }
    }
}

/// The command that packs what a run left, as the run was told; where it was told nothing, or nobody
/// knows, the folder is for whoever types it to name.
pub fn pack_command(run: Guid, recorded: Option<&Destination>) -> String {
    format!("blobdelta pack --run {run}{}", options(recorded))
}

/// The command that goes on with a run that did not complete, as it was told.
pub fn resume_command(run: Guid, recorded: Option<&Destination>) -> String {
    format!("blobdelta run --resume {run}{}", options(recorded))
}

/// The command that ships what a run published in this folder and has still to ship to a destination.
pub fn ship_command(run: Guid, folder: &str, ship_to: &str) -> String {
    format!("blobdelta pack --run {run} --out {} --ship {}", word(folder), word(ship_to))
}

/// The command that takes back what the bundles of a run owe to destinations.
pub fn waive_command(run: Guid) -> String {
    format!("blobdelta pack --run {run} --waive-shipment")
}

/// The command that gives up the slice of a table that a run left.
pub fn give_up_command(run: Guid, table: &TableName) -> String {
    format!("blobdelta pack --run {run} --give-up --table {}", table.shell_word())
}

fn options(recorded: Option<&Destination>) -> String {
    let Some(recorded) = recorded else { return " --out FOLDER".to_owned() };
    let mut text = format!(" --out {}", word(&recorded.out_folder));
    if let Some(ship_to) = &recorded.ship_to {
        text += &format!(" --ship {}", word(ship_to));
    }
    if recorded.form == BundleForm::Archive {
        text += " --archive";
    }
    for recipient in &recorded.seal.encrypted_to {
        text += &format!(" --encrypt-to {}", word(recipient));
    }
    if recorded.seal.signed_by.is_some() {
        text += " --sign-key FILE";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Destination {
        Destination {
            out_folder: "/out/it's all".into(),
            ship_to: Some("s3://acme/weekly".into()),
            form: BundleForm::Archive,
            seal: Seal { signed_by: Some("SHA256:abc".into()), encrypted_to: Seal::recipients_of(Some("age1b age1a")) },
        }
    }

    #[test]
    fn the_commands_can_be_pasted_into_a_shell() {
        let run = Guid::from_bytes([1; 16]);
        assert_eq!(
            pack_command(run, Some(&recorded())),
            format!(
                "blobdelta pack --run {run} --out '/out/it'\\''s all' --ship s3://acme/weekly --archive \
                 --encrypt-to age1a --encrypt-to age1b --sign-key FILE"
            )
        );
        assert_eq!(pack_command(run, None), format!("blobdelta pack --run {run} --out FOLDER"));
        let table = TableName::parse("D.s.[it's a $HOME]").unwrap();
        let command = give_up_command(run, &table);
        assert!(command.ends_with(r"--give-up --table 'D.s.it'\''s a $HOME'"), "{command}");
    }

    #[test]
    fn recipients_are_a_set_and_come_back_from_their_text() {
        let seal = recorded().seal;
        assert_eq!(seal.recipients_text().unwrap(), "age1a age1b");
        assert_eq!(Seal::recipients_of(seal.recipients_text().as_deref()), seal.encrypted_to);
        assert_eq!(seal.to_string(), "signed by SHA256:abc, encrypted to age1a age1b");
        assert_eq!(Seal::default().to_string(), "not signed, not encrypted");
        assert_eq!(Seal::default().recipients_text(), None);
    }
}
