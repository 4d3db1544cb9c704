//! Keys made by `ssh-keygen`, an agent that ends with its test, and what those programs say.

use blobdelta::bundle::signature::{AllowedSigners, NAMESPACE, SignatureRefusal, SignedBy, Signer, check};
use blobdelta::error::{Error, Result};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What is signed: the list of one bundle.
pub const MESSAGE: &[u8] = b"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  bagit.txt\n";

pub fn is_installed(program: &str) -> bool {
    // An unknown option: usage and an exit code, of a program that is there.
    let run = Command::new(program).arg("-?").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    !matches!(run, Err(error) if error.kind() == ErrorKind::NotFound)
}

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A folder with keys.
pub struct Keys {
    pub folder: TempDir,
}

impl Keys {
    /// With the key `key`.
    pub fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        keys.make("key", "ed25519", "");
        keys
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn make(&self, name: &str, key_type: &str, passphrase: &str) -> PathBuf {
        let path = self.path(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-a", "1", "-t", key_type, "-C", name, "-N", passphrase, "-f"]).arg(&path);
        assert_success(&run(&mut keygen, b""));
        path
    }

    /// The type and base64 of a key.
    pub fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(name).with_extension("pub")).unwrap();
        text.rsplit_once(' ').unwrap().0.to_owned()
    }

    pub fn signer(&self, name: &str) -> Result<Signer> {
        Signer::open(&self.path(name), None, &mut || Err(Error::usage("a passphrase was asked for")))
    }

    /// By `ssh-keygen -Y sign`.
    pub fn keygen_sign(&self, name: &str, namespace: &str, options: &[&str], message: &[u8]) -> Vec<u8> {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-Y", "sign", "-n", namespace]).args(options).arg("-f").arg(self.path(name));
        let output = run(&mut keygen, message);
        assert_success(&output);
        output.stdout
    }

    /// By `ssh-keygen -Y verify`, as `me`.
    pub fn keygen_accepts(&self, signature: &[u8], allowed: &str, message: &[u8]) -> bool {
        let (signature_file, allowed_file) = (self.path("checked.sig"), self.path("allowed"));
        fs::write(&signature_file, signature).unwrap();
        fs::write(&allowed_file, allowed).unwrap();
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-Y", "verify", "-n", NAMESPACE, "-I", "me", "-f"]).arg(&allowed_file);
        run(keygen.arg("-s").arg(&signature_file), message).status.success()
    }

    /// A line that allows a key.
    pub fn line(&self, options: &str, name: &str) -> String {
        let gap = if options.is_empty() { "" } else { " " };
        format!("me{gap}{options} {}\n", self.public(name))
    }
}

/// What this program says of a signature of [`MESSAGE`].
pub fn ours(signature: &[u8], allowed: &str) -> std::result::Result<SignedBy, SignatureRefusal> {
    check(signature, MESSAGE, &AllowedSigners::parse(allowed.as_bytes()).unwrap(), now())
}

/// An agent; it ends when dropped.
pub struct Agent {
    process: Child,
    pub socket: PathBuf,
}

impl Agent {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut command = Command::new("ssh-agent");
        let process = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { process, socket };
        for _ in 0..500 {
            // The file is there before anybody listens.
            if UnixStream::connect(&agent.socket).is_ok() {
                return agent;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("ssh-agent did not start within ten seconds");
    }

    pub fn add(&self, key: &Path) {
        assert_success(&run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket), b""));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a program with no agent and no terminal to ask.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    if !command.get_envs().any(|(name, _)| name == "SSH_AUTH_SOCK") {
        command.env_remove("SSH_AUTH_SOCK");
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // A program that does not read its input to the end has closed it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
