//! Who vouches for a bundle, as findings: a signature, or a root digest that is known from elsewhere.
//!
//! Both are about the bytes of `tagmanifest-sha256.txt`, from which everything else hangs, so they are
//! checked before anything of the bundle is parsed; and nothing is, if they fail.

use super::finding::{Finding, FindingKind as K, FindingSeverity, VerifyReport};
use crate::bundle::layout::{SIGNATURE, TAG_LIST};
use crate::bundle::signature::{MAX_SIGNATURE_BYTES, SignatureRefusal};
use crate::bundle::{Container, Distrust, Manifest};
use crate::model::digest::Sha256;

/// Checks what is asked. `signature_bytes` is the size of the signature's file, if there is one.
/// Returns whether the bundle may be looked into.
pub(super) fn check(
    container: &Container,
    tag_list: &[u8],
    signature_bytes: Option<u64>,
    report: &mut VerifyReport,
) -> bool {
    let marker = container.check_marker(Sha256::of(tag_list)).err();
    let found = [
        marker.map(|error| Finding::of(K::WrongRoot, Some(TAG_LIST), &error)),
        check_policy(container, tag_list, signature_bytes, report),
    ];
    let is_trusted = found.iter().flatten().all(|finding| finding.severity < FindingSeverity::Error);
    found.into_iter().flatten().for_each(|finding| report.add(finding));
    is_trusted
}

/// Whether whoever signed may speak for what the manifest says.
pub(super) fn check_scope(container: &Container, manifest: &Manifest, report: &mut VerifyReport) -> bool {
    match container.policy().check_scope(report.signed_by.as_ref(), manifest) {
        Ok(()) => true,
        Err(distrust) => {
            report.add(finding_of(&distrust));
            false
        }
    }
}

fn check_policy(
    container: &Container,
    tag_list: &[u8],
    signature_bytes: Option<u64>,
    report: &mut VerifyReport,
) -> Option<Finding> {
    if let Some(bytes) = signature_bytes.filter(|bytes| *bytes > MAX_SIGNATURE_BYTES) {
        return Some(finding_of(&Distrust::LongSignature(bytes)));
    }
    let signature = match signature_bytes.map(|_| container.read(SIGNATURE, MAX_SIGNATURE_BYTES)).transpose() {
        Ok(signature) => signature,
        Err(unreadable) => return Some(Finding::of(K::Unreadable, Some(SIGNATURE), &unreadable)),
    };
    let policy = container.policy();
    let checked = policy.check(tag_list, signature.as_deref());
    if policy.signers.is_none() && signature.is_some() {
        let reported = "check it with --signer FILE, or with ssh-keygen -Y verify";
        let notice = Finding::new(K::SignatureNotChecked, Some(SIGNATURE), reported);
        report.add(Finding { severity: FindingSeverity::Notice, ..notice });
    }
    match checked {
        Ok(signed_by) => {
            report.signed_by = signed_by;
            None
        }
        Err(distrust) => Some(finding_of(&distrust)),
    }
}

fn finding_of(distrust: &Distrust) -> Finding {
    let (kind, file) = match distrust {
        Distrust::OtherRoot(_) => (K::WrongRoot, TAG_LIST),
        Distrust::NotSigned => (K::NotSigned, SIGNATURE),
        Distrust::LongSignature(_) => (K::BadSignature, SIGNATURE),
        Distrust::Signature(refusal) => (kind_of(refusal), SIGNATURE),
        Distrust::NotTheirs(_) => (K::SignerOutOfScope, SIGNATURE),
    };
    Finding::new(kind, Some(file), distrust.to_string())
}

fn kind_of(refusal: &SignatureRefusal) -> K {
    match refusal {
        SignatureRefusal::Unreadable(_) | SignatureRefusal::NotCanonical | SignatureRefusal::DoesNotFit => {
            K::BadSignature
        }
        SignatureRefusal::OtherNamespace(_) => K::WrongNamespace,
        SignatureRefusal::NotAllowed(_) | SignatureRefusal::NamespaceNotAllowed(_) => K::SignerNotAllowed,
        SignatureRefusal::NotYetValid(..) | SignatureRefusal::Expired(..) => K::SignerExpired,
    }
}
