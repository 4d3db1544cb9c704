//! Secrets: a canary comes in by every way that there is, and stands in nothing that goes out: no
//! output of any format, no argument, no child, no file.

use crate::faults::site::Site;
use crate::faults::{is_full, tally};
use crate::tds::endpoint::Endpoint;
use crate::tds::reply::Reply;
use blobdelta::backend::{Connection, Credentials};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Holds what a naive quoting would break on.
const CANARY: &str = "Canary-7f3a'\"%s{0}$HOME";
const PLAIN: &str = "Canary-7f3a";

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Password,
    PasswordFile,
    AdoNet,
    Jdbc,
    AccessToken,
}

const WAYS: [Way; 5] = [Way::Password, Way::PasswordFile, Way::AdoNet, Way::Jdbc, Way::AccessToken];

/// What the server does to the login.
const OUTCOMES: [&str; 4] = ["accepted", "refused", "cut", "nobody there"];

const FORMATS: [&[&str]; 4] = [&[], &["--json"], &["--log-format", "json"], &["--json", "--log-format", "json"]];

pub fn canary() {
    let commands: [&[&str]; 5] =
        [&["status"], &["deploy"], &["doctor"], &["run", "--out", "out"], &["prune", "--plan"]];
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    std::fs::write(folder.path().join("secret"), format!("{CANARY}\n")).unwrap();
    let mut nth = 0;
    for way in WAYS {
        let mut reached = 0;
        for outcome in OUTCOMES {
            // One command in one format, other ones each time; all of them in a campaign.
            for (command, format) in commands.iter().flat_map(|command| FORMATS.map(|format| (command, format))) {
                nth += 1;
                if is_full() || nth % 21 == 1 {
                    reached += logged_in(folder.path(), way, outcome, &[command, format].concat());
                }
            }
        }
        assert!(reached > 0 || way == Way::AccessToken, "{way:?}: the canary never came to the server");
    }
}

/// One call against a server that does this to it; how many logins had the canary.
fn logged_in(folder: &Path, way: Way, outcome: &str, args: &[&str]) -> usize {
    let endpoint = Endpoint::start();
    match outcome {
        "refused" => endpoint.refuses(Reply::error(18456, 14, "Login failed for user 'tester'.")),
        "cut" => endpoint.refuses(Reply::login_accepted().cut()),
        _ => {}
    }
    let closed = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = if outcome == "nobody there" { closed() } else { endpoint.port() };
    let plain = format!("Server=tcp:127.0.0.1,{port};User ID=tester;Encrypt=DANGER_PLAINTEXT");
    let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
    command.args(args).current_dir(folder).env("RUST_BACKTRACE", "full").env("BLOBDELTA_CONNECTION", &plain);
    match way {
        Way::Password => {
            command.env("BLOBDELTA_PASSWORD", CANARY);
        }
        Way::PasswordFile => {
            command.args(["--password-file", "secret"]);
        }
        // Quoted as ADO.NET wants it: in doubled quotation marks.
        Way::AdoNet => {
            let text = format!("{plain};Password=\"{}\"", CANARY.replace('"', "\"\""));
            command.env("BLOBDELTA_CONNECTION", text);
        }
        Way::Jdbc => {
            let text =
                format!("jdbc:sqlserver://127.0.0.1:{port};user=tester;password={PLAIN};encrypt=DANGER_PLAINTEXT");
            command.env("BLOBDELTA_CONNECTION", text);
        }
        Way::AccessToken => {
            command.env("BLOBDELTA_ACCESS_TOKEN", CANARY);
        }
    }
    let ended = watched(&mut command);
    let reported = said(&ended);
    assert!(!reported.contains(PLAIN), "{way:?}, {outcome}, {args:?}: {reported}");
    assert!(!reported.contains("panicked"), "{way:?}, {outcome}, {args:?}: {reported}");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, 2, "{way:?}, {outcome}, {args:?} left a file behind");
    tally("a secret that stays in", (0, 0));
    endpoint.logins().iter().filter(|login| login.password.contains(PLAIN)).count()
}

fn said(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr)
}

/// Runs it, and looks at its arguments and for children while it does.
fn watched(command: &mut Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = Path::new("/proc").join(child.id().to_string());
    let args = std::fs::read(process.join("cmdline")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&args).contains(PLAIN));
    let children = std::fs::read_to_string(process.join("task").join(child.id().to_string()).join("children"));
    assert_eq!(children.unwrap_or_default(), "", "whoever starts no child tells it nothing");
    child.wait_with_output().unwrap()
}

/// A run, a signed bundle, a replay and their failures with every secret in the environment: no file
/// that they leave holds it.
pub fn in_no_file() {
    let site = Site::new();
    let call = |args: &[&str]| {
        let mut command = site.command(args);
        for name in ["BLOBDELTA_PASSWORD", "BLOBDELTA_ACCESS_TOKEN", "BLOBDELTA_SIGN_PASSPHRASE"] {
            command.env(name, CANARY);
        }
        let ended = watched(&mut command);
        assert!(!said(&ended).contains(PLAIN), "{args:?}: {}", said(&ended));
        ended.status.success()
    };
    let keygen = Command::new("ssh-keygen")
        .args(["-q", "-a", "1", "-t", "ed25519", "-N", CANARY, "-f"])
        .arg(site.path("key"))
        .status();
    let is_signed = keygen.is_ok_and(|status| status.success());
    let run: &[&str] = if is_signed { &["run", "--out", "out", "--sign-key", "key"] } else { &["run", "--out", "out"] };
    assert!(call(run), "{is_signed}");
    assert!(call(&["verify", "--deep", "out"]));
    assert!(call(&["replay", "--create", "--into", "sqlite:target", "out", "--log-format", "json"]));
    assert!(call(&["status", "--json"]));
    assert!(!call(&["run", "--table", "Src.dbo.Nothing", "--out", "out"]));
    for (path, bytes) in crate::world::tree(&site.path(".")) {
        let holds = bytes.windows(PLAIN.len()).any(|window| window == PLAIN.as_bytes());
        assert!(!holds, "{}", path.display());
        assert!(!path.to_string_lossy().contains("core"), "{}", path.display());
        tally("a file without a secret", (0, 0));
    }
}

/// What cannot be understood is not quoted, and what was understood shows nothing.
pub fn in_no_text() {
    for text in [
        format!("oracle://tester:{CANARY}@host"),
        format!("Server=x;User ID=tester;Password={CANARY};Port=nonsense;;="),
        format!("Server=tcp:host,nonsense;User ID=tester;Password={PLAIN}"),
        format!("Server=;User ID=tester;Password={PLAIN}"),
        format!("jdbc:sqlserver://host:nonsense;user=tester;password={PLAIN}"),
        format!("jdbc:nonsense;password={PLAIN}"),
        format!("Server=x;Password={PLAIN}"),
        format!("Server=x;User ID=tester;Encrypt=nonsense;Password={PLAIN}"),
        format!("Server=x;User ID=tester;Password={PLAIN}"),
    ] {
        let credentials = Credentials { password: None, access_token: None };
        let shown = match Connection::parse(&text, &credentials) {
            Ok(connection) => format!("{connection} {connection:?} {:?}", connection.warnings()),
            Err(error) => format!("{error} {error:?} {:?}", error.what_to_do()),
        };
        assert!(!shown.contains(PLAIN), "{shown}");
        tally("a connection string that is not quoted", (0, 0));
    }
}
