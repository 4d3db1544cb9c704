//! What `--version` says: the version, the commit that the program was built of, and for what it was built.

use std::sync::LazyLock;

/// The commit, where whoever built it said so; asked of nobody else, so that a commit alone builds nothing again.
const COMMIT: Option<&str> = option_env!("BLOBDELTA_COMMIT");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = COMMIT.filter(|commit| !commit.is_empty()).unwrap_or("not named");
    format!("{} (commit {commit}, {})", env!("CARGO_PKG_VERSION"), target())
});

/// As the module's text says.
pub fn version() -> &'static str {
    &VERSION
}

/// `x86_64-linux-gnu`.
fn target() -> String {
    let environment = match (cfg!(target_env = "gnu"), cfg!(target_env = "musl"), cfg!(target_env = "msvc")) {
        (true, ..) => "-gnu",
        (_, true, _) => "-musl",
        (.., true) => "-msvc",
        _ => "",
    };
    format!("{}-{}{environment}", std::env::consts::ARCH, std::env::consts::OS)
}
