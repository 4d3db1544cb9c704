//! The binary: everything is in [`blobdelta::cli`].

fn main() -> std::process::ExitCode {
    blobdelta::cli::main()
}
