//! Real servers of object stores on loopback, started for these tests and ended with them.
//!
//! Azurite (npm, found as `azurite-blob`) and moto (PyPI, `moto_server`) are looked for where a
//! variable says, in `PATH`, and in `.venv`, where `.ci/run` installs them. A server is started once
//! in a process, on a free port, in a folder of its own. A shell holds its life: it ends the server
//! when its own stdin ends, which it does however this process ends.

use crate::ship::http::{self, AZURE_ACCOUNT, AZURE_KEY, Answer, azure_headers};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START_SECONDS: u64 = 60;

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    S3,
    Azure,
}

impl Store {
    pub const ALL: [Self; 2] = [Self::S3, Self::Azure];

    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "azure",
        }
    }

    /// What has to be installed.
    pub fn package(self) -> &'static str {
        match self {
            Self::S3 => "moto[server] (PyPI)",
            Self::Azure => "azurite (npm)",
        }
    }

    /// Its program, if it is here.
    pub fn program(self) -> Option<PathBuf> {
        let (variable, name, home) = match self {
            Self::S3 => ("BLOBDELTA_TEST_MOTO", "moto_server", ".venv/bin"),
            Self::Azure => ("BLOBDELTA_TEST_AZURITE", "azurite-blob", ".venv/node/node_modules/.bin"),
        };
        if let Some(named) = std::env::var_os(variable) {
            return Some(PathBuf::from(named));
        }
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(home);
        let found = std::env::split_paths(&folders).chain([here]).map(|folder| folder.join(name));
        found.into_iter().find(|path| path.is_file())
    }

    /// The one of this process; its program has to be here.
    pub fn server(self) -> &'static Server {
        static S3: OnceLock<Server> = OnceLock::new();
        static AZURE: OnceLock<Server> = OnceLock::new();
        match self {
            Self::S3 => S3.get_or_init(|| Server::start(self)),
            Self::Azure => AZURE.get_or_init(|| Server::start(self)),
        }
    }
}

/// A server that answers.
pub struct Server {
    pub store: Store,
    pub port: u16,
    /// Where it keeps its files, and tests what they share. The shell removes it.
    pub folder: PathBuf,
    /// Ends with the pipe to its stdin, which ends with this process.
    _shell: Child,
}

/// Where a test keeps its things: a bucket or container of its own.
pub struct Place {
    pub server: &'static Server,
    pub bucket: String,
}

impl Server {
    fn start(store: Store) -> Self {
        let program = store.program().unwrap();
        // Somebody else may take the port before the server does.
        for _ in 0..3 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let text = port.to_string();
            let arguments: &[&str] = match store {
                Store::S3 => &["-H", "127.0.0.1", "-p", &text],
                Store::Azure => &[
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    &text,
                    "--location",
                    ".",
                    "--silent",
                    "--skipApiVersionCheck",
                    "--disableTelemetry",
                ],
            };
            let folder = tempfile::tempdir().unwrap().keep();
            let shell = shell(&program, arguments, &folder);
            let server = Self { store, port, folder, _shell: shell };
            if server.answers() {
                return server;
            }
        }
        panic!("{} was started and did not answer within {START_SECONDS} s", program.display());
    }

    fn answers(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(START_SECONDS);
        while Instant::now() < until {
            if self.call("GET", "?comp=list", &[], b"").is_ok_and(|answer| answer.status == 200) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// A signed request; `path` is what follows the root of the account, and begins with `/` or `?`.
    fn call(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
        match self.store {
            Store::S3 => {
                let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
                // Nobody checks it, but without one only what is public may be read.
                let key = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
                http::call(self.port, method, &path, &[("Authorization".into(), key.into())], body)
            }
            Store::Azure => {
                let path = format!("/{AZURE_ACCOUNT}{path}");
                http::call(self.port, method, &path, &azure_headers(method, &path, body.len(), more), body)
            }
        }
    }

    /// What a client has in its environment to reach this server through a port.
    pub fn environment(&self, port: u16) -> Vec<(&'static str, String)> {
        let url = format!("http://127.0.0.1:{port}");
        match self.store {
            Store::S3 => vec![
                ("AWS_ENDPOINT_URL", url),
                ("AWS_ALLOW_HTTP", "true".into()),
                ("AWS_ACCESS_KEY_ID", "test".into()),
                ("AWS_SECRET_ACCESS_KEY", "test".into()),
                ("AWS_REGION", "us-east-1".into()),
            ],
            Store::Azure => vec![
                ("AZURE_STORAGE_ENDPOINT", format!("{url}/{AZURE_ACCOUNT}")),
                ("AZURE_ALLOW_HTTP", "true".into()),
                ("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT.into()),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY.into()),
            ],
        }
    }

    /// A new bucket or container.
    pub fn place(&'static self, bucket: &str) -> Place {
        let path = match self.store {
            Store::S3 => format!("/{bucket}"),
            Store::Azure => format!("/{bucket}?restype=container"),
        };
        let made = self.call("PUT", &path, &[], b"").unwrap();
        assert!(matches!(made.status, 200 | 201), "{made:?}");
        Place { server: self, bucket: bucket.into() }
    }
}

/// The program under a shell that ends it, and removes its folder, when its own stdin ends.
fn shell(program: &Path, arguments: &[&str], folder: &Path) -> Child {
    let script = r#""$@" </dev/null >/dev/null 2>&1 & read -r _; kill $!; wait; rm -r "$PWD""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program).args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Place {
    /// The destination for the command.
    pub fn url(&self, prefix: &str) -> String {
        let scheme = match self.server.store {
            Store::S3 => "s3",
            Store::Azure => "az",
        };
        format!("{scheme}://{}/{prefix}", self.bucket)
    }

    fn call(&self, method: &str, tail: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        self.server.call(method, &format!("/{}{tail}", self.bucket), more, body).unwrap()
    }

    /// The names of all objects, sorted.
    pub fn names(&self) -> Vec<String> {
        let (tail, mark) = match self.server.store {
            Store::S3 => ("?list-type=2", "Key"),
            Store::Azure => ("?comp=list&restype=container", "Name"),
        };
        let answer = self.call("GET", tail, &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(!text.contains("<IsTruncated>true") && !text.contains("<NextMarker>1"), "more than one page");
        let mut names: Vec<String> = between(&text, &format!("<{mark}>"), &format!("</{mark}>"));
        names.sort();
        names
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        let answer = self.call("GET", &format!("/{name}"), &[], b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.body
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let answer = self.call("PUT", &format!("/{name}"), &[("x-ms-blob-type", "BlockBlob")], bytes);
        assert!(matches!(answer.status, 200 | 201), "{name}: {}", answer.text());
    }

    pub fn delete(&self, name: &str) {
        let answer = self.call("DELETE", &format!("/{name}"), &[], b"");
        assert!(matches!(answer.status, 202 | 204), "{name}: {}", answer.text());
    }

    /// Uploads that were begun and neither completed nor aborted. Azure drops blocks by itself after a
    /// week, and has no list of them that a client could empty.
    pub fn abandoned(&self) -> usize {
        match self.server.store {
            Store::S3 => self.call("GET", "?uploads", &[], b"").text().matches("<UploadId>").count(),
            Store::Azure => 0,
        }
    }
}

/// What stands between two marks, each time.
fn between(text: &str, from: &str, to: &str) -> Vec<String> {
    let parts = text.split(from).skip(1).filter_map(|rest| rest.split_once(to));
    parts.map(|(inner, _)| inner.to_owned()).collect()
}
