//! How a bundle may be sealed: in plain, signed by one of two keys, or encrypted.

use crate::signatures::keys::{Keys, is_installed};
use blobdelta::bundle::signature::{AllowedSigners, Signer};
use blobdelta::bundle::{Access, Identities, Policy, PublishForm, Recipients};
use blobdelta::engine::PackOptions;
use blobdelta::verify::{VerifyLevel, VerifyOptions};
use std::path::Path;
use std::sync::{Arc, OnceLock};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    Plain,
    Signed,
    SignedByAnother,
    Encrypted,
}

/// The keys of everybody, made once.
struct Made {
    /// Where no key can be made, nothing is signed.
    signers: Vec<(Arc<Signer>, AllowedSigners)>,
    recipients: Arc<Recipients>,
    identities: Identities,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let secret = age::x25519::Identity::generate();
        let path = folder.path().join("identity");
        std::fs::write(&path, age::secrecy::ExposeSecret::expose_secret(&secret.to_string())).unwrap();
        let (identities, public) = (Identities::read(&[path]).unwrap(), secret.to_public().to_string());
        let mut signers = Vec::new();
        if is_installed("ssh-keygen") {
            let keys = Keys::new();
            keys.make("another", "ed25519", "");
            for name in ["key", "another"] {
                let allowed = AllowedSigners::parse(keys.line("", name).as_bytes()).unwrap();
                signers.push((Arc::new(keys.signer(name).unwrap()), allowed));
            }
        }
        Made { signers, recipients: Arc::new(Recipients::parse(&[public]).unwrap()), identities }
    })
}

/// What opens every bundle.
pub(super) fn access() -> Access {
    Access { identities: made().identities.clone(), ..Access::default() }
}

impl Seal {
    fn signer(self) -> Option<&'static (Arc<Signer>, AllowedSigners)> {
        match self {
            Self::Plain | Self::Encrypted => None,
            Self::Signed => made().signers.first(),
            Self::SignedByAnother => made().signers.last(),
        }
    }

    /// Whether what was to go out by one goes out by the other all the same.
    pub(super) fn is_like(self, other: Self) -> bool {
        self == other || (made().signers.is_empty() && ![self, other].contains(&Self::Encrypted))
    }

    pub(super) fn options(self) -> PackOptions {
        let form = match self {
            Self::Encrypted => PublishForm::Encrypted(Arc::clone(&made().recipients)),
            Self::Plain | Self::Signed | Self::SignedByAnother => PublishForm::Folder,
        };
        let signer = self.signer().map(|(signer, _)| Arc::clone(signer));
        PackOptions { form, signer, ..PackOptions::default() }
    }

    /// Whole, and sealed like this.
    pub(super) fn check(self, bundle: &Path) {
        let signers = self.signer().map(|(_, allowed)| allowed.clone());
        let access = Access { policy: Arc::new(Policy { signers, ..Policy::default() }), ..access() };
        let options = VerifyOptions { access, ..VerifyOptions::new(VerifyLevel::Deep) };
        let report = blobdelta::verify::verify_with(bundle, &options, &blobdelta::monitor::Silent).unwrap();
        assert!(report.is_good(), "{}: {:?}", bundle.display(), report.findings);
        let is_encrypted = bundle.to_string_lossy().ends_with(".age");
        assert_eq!(is_encrypted, self == Self::Encrypted, "{}: {self:?} was told", bundle.display());
    }
}
