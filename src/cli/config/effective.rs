//! Which options of this process came from a profile: for those who have to tell them from typed ones.

use std::collections::BTreeSet;
use std::sync::OnceLock;

static FROM_PROFILE: OnceLock<BTreeSet<&'static str>> = OnceLock::new();

/// Keeps which settings were given to the parser. Once a process; what is said later does not count.
pub(super) fn keep(settings: impl Iterator<Item = &'static str>) {
    _ = FROM_PROFILE.set(settings.collect());
}

/// Whether the value of this setting came from a profile.
pub fn is_from_profile(setting: &str) -> bool {
    FROM_PROFILE.get().is_some_and(|settings| settings.contains(setting))
}
