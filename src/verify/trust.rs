//! Who vouches for a bundle: a signature, or a root digest that is known from elsewhere.
//!
//! Both are about the bytes of `tagmanifest-sha256.txt`, from which everything else hangs, so they are
//! checked before anything of the bundle is parsed; and nothing is, if they fail.

use super::finding::{Finding, FindingKind as K, Report, Severity};
use crate::bundle::Container;
use crate::bundle::layout::{SIGNATURE, TAG_LIST};
use crate::bundle::signature::{AllowedSigners, MAX_SIGNATURE_BYTES, Refusal, check as check_signature};
use crate::model::digest::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is asked of a bundle. By default nothing is, and a signature is told of.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// It has to be signed by one of these, who may sign now.
    pub signers: Option<AllowedSigners>,
    /// Its root digest has to be this one.
    pub root_sha256: Option<Sha256>,
}

/// Checks what is asked. `signature_bytes` is the size of the signature's file, if there is one.
/// Returns whether the bundle may be looked into.
pub(super) fn check(
    container: &Container,
    tag_list: &[u8],
    signature_bytes: Option<u64>,
    trust: &Trust,
    report: &mut Report,
) -> bool {
    let found =
        [wrong_root(container, tag_list, trust), check_signer(container, tag_list, signature_bytes, trust, report)];
    let is_trusted = found.iter().flatten().all(|finding| finding.severity < Severity::Error);
    found.into_iter().flatten().for_each(|finding| report.add(finding));
    is_trusted
}

fn wrong_root(container: &Container, tag_list: &[u8], trust: &Trust) -> Option<Finding> {
    let found = Sha256::of(tag_list);
    if let Err(error) = container.check_marker(found) {
        return Some(Finding::of(K::WrongRoot, Some(TAG_LIST), &error));
    }
    let due = trust.root_sha256?;
    let detail = format!("its root digest is {found}, and {due} was asked for");
    (due != found).then(|| Finding::new(K::WrongRoot, Some(TAG_LIST), detail))
}

fn check_signer(
    container: &Container,
    tag_list: &[u8],
    signature_bytes: Option<u64>,
    trust: &Trust,
    report: &mut Report,
) -> Option<Finding> {
    let error = |kind: K, detail: String| Some(Finding::new(kind, Some(SIGNATURE), detail));
    match (signature_bytes, &trust.signers) {
        (None, None) => None,
        (None, Some(_)) => error(K::NotSigned, "a signature was asked for, and there is none".into()),
        (Some(bytes), _) if bytes > MAX_SIGNATURE_BYTES => {
            error(K::BadSignature, format!("this file has {bytes} bytes, and no signature has over 64 KiB"))
        }
        (Some(_), None) => {
            let told = "check it with --signer FILE, or with ssh-keygen -Y verify";
            let mut notice = Finding::new(K::SignatureNotChecked, Some(SIGNATURE), told);
            notice.severity = Severity::Notice;
            Some(notice)
        }
        (Some(_), Some(allowed)) => {
            let signature = match container.read(SIGNATURE, MAX_SIGNATURE_BYTES) {
                Ok(signature) => signature,
                Err(unreadable) => return Some(Finding::of(K::Unreadable, Some(SIGNATURE), &unreadable)),
            };
            match check_signature(&signature, tag_list, allowed, seconds_now()) {
                Ok(signed_by) => {
                    report.signed_by = Some(signed_by);
                    None
                }
                Err(refusal) => error(kind_of(&refusal), refusal.to_string()),
            }
        }
    }
}

fn kind_of(refusal: &Refusal) -> K {
    match refusal {
        Refusal::Unreadable(_) | Refusal::NotCanonical | Refusal::DoesNotFit => K::BadSignature,
        Refusal::OtherNamespace(_) => K::WrongNamespace,
        Refusal::NotAllowed(_) | Refusal::NamespaceNotAllowed(_) => K::SignerNotAllowed,
        Refusal::NotYetValid(..) | Refusal::Expired(..) => K::SignerExpired,
    }
}

/// The time of checking, in seconds since 1970, UTC.
fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
