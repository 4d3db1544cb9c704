//! Verification of bundles: typed findings.
