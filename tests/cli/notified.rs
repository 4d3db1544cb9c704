//! Hooks and metrics of runs: what they are told, that they never change how a run ends, and that no URL is shown.

use crate::world::{DOCS, Ended, World};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A hook on this machine, which keeps each request as its path and its body.
struct Hook {
    port: u16,
    told: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    /// One that answers with these lines of status, in turn; the last one again and again.
    fn answering(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = Self { port: listener.local_addr().unwrap().port(), told: Arc::default() };
        let told = Arc::clone(&hook.told);
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let (mut text, mut block) = (Vec::new(), [0; 4096]);
                let body = loop {
                    let read = stream.read(&mut block).unwrap();
                    text.extend_from_slice(&block[..read]);
                    let whole = String::from_utf8_lossy(&text).into_owned();
                    let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if read == 0 || body.len() >= length.unwrap_or(0) {
                        break body.to_owned();
                    }
                };
                let path = String::from_utf8_lossy(&text).split(' ').nth(1).unwrap().to_owned();
                told.lock().unwrap().push((path, serde_json::from_str(&body).unwrap()));
                let answer = answers[nth.min(answers.len() - 1)];
                let elsewhere = "location: http://127.0.0.1:1/elsewhere\r\n";
                _ = stream.write_all(
                    format!("HTTP/1.1 {answer}\r\n{elsewhere}content-length: 0\r\nconnection: close\r\n\r\n")
                        .as_bytes(),
                );
            }
        });
        hook
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/Canary", self.port)
    }

    fn told(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn paths(&self) -> Vec<String> {
        self.told().into_iter().map(|(path, _)| path).collect()
    }
}

fn without_canary(ended: Ended) -> Ended {
    assert!(!format!("{ended:?}").contains("Canary"), "{ended:?}");
    ended
}

#[test]
fn a_hook_is_told_how_a_run_ended() {
    let world = World::new();
    let hook = Hook::answering(&["200 OK"]);
    let out = world.out();
    let url = hook.url();
    let run = ["run", "--out", &out, "--notify", &url];
    assert_eq!(without_canary(world.call(&run)).code, 0);
    let told = hook.told();
    assert_eq!(told.len(), 1, "{told:?}");
    let (path, document) = &told[0];
    assert_eq!((path.as_str(), document["event"].as_str()), ("/Canary", Some("success")));
    assert_eq!((document["exit_code"].as_u64(), document["tables"][0]["table"].as_str()), (Some(0), Some(DOCS)));
    assert!(document["run"].is_string() && document["text"].as_str().unwrap().contains("succeeded"), "{document}");
    assert_eq!(document["bundles"].as_array().unwrap().len(), 1, "{document}");
    // What fails before anything is run, and what fails in a run.
    let failed =
        without_canary(world.call(&["run", "--out", "nowhere", "--notify", &url, "--notify-on", "start,failure"]));
    assert_eq!(failed.code, 2);
    let told = hook.told();
    assert_eq!(
        told.iter().map(|(_, document)| document["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["start", "failure"]
    );
    let document = &told[1].1;
    assert_eq!((document["exit_code"].as_u64(), document["error"]["kind"].as_str()), (Some(2), Some("usage")));
    let text = document["text"].as_str().unwrap();
    assert!(text.contains("failed (exit code 2)") && text.contains("--out"), "{text}");
    // Nobody is told of a plan.
    assert_eq!(world.call(&["run", "--plan", "--notify", &url]).code, 0);
    assert!(hook.told().is_empty());
    // The command that goes on shows no URL.
    world.good(&["table", "set", DOCS, "SchemaDrift=Refuse"]);
    let database = rusqlite::Connection::open(world.path("source/Src.sqlite")).unwrap();
    database.execute_batch("ALTER TABLE \"dbo.Docs\" ADD COLUMN more TEXT").ok();
    without_canary(world.call(&run));
}

#[test]
fn a_dead_mans_switch_is_pinged_below_its_path() {
    let world = World::new();
    let hook = Hook::answering(&["200 OK"]);
    let file = world.path("hook");
    std::fs::write(&file, format!("{}\n", hook.url())).unwrap();
    let ping = format!("@{}", file.display());
    assert_eq!(without_canary(world.call(&["run", "--out", &world.out(), "--ping", &ping])).code, 0);
    assert_eq!(hook.paths(), ["/Canary/start", "/Canary"]);
    assert_eq!(without_canary(world.call(&["run", "--out", "nowhere", "--ping", &ping])).code, 2);
    assert_eq!(hook.paths(), ["/Canary/start", "/Canary/fail"]);
}

#[test]
fn a_hook_that_fails_is_a_warning() {
    let world = World::new();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://127.0.0.1:{}/Canary", listener.local_addr().unwrap().port())
    };
    let (again, gone) = (Hook::answering(&["503 Wait", "429 Wait", "200 OK"]), Hook::answering(&["404 Canary"]));
    let redirect = Hook::answering(&["302 Canary"]);
    let mut args = vec!["run".to_owned(), "--out".to_owned(), world.out()];
    for url in
        [&again.url(), &gone.url(), &redirect.url(), &nobody, "Canary", "http://example.org/Canary", "@/nowhere/x"]
    {
        args.extend(["--notify".to_owned(), url.to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = without_canary(world.call(&args));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stderr.matches("warning: nobody was told by a hook").count(), 6, "{ended:?}");
    // What may get better is tried again, what was refused is not, and no redirect is followed.
    assert_eq!((again.told().len(), gone.told().len(), redirect.told().len()), (3, 1, 1));
}

#[test]
fn metrics_are_written_as_a_whole_and_readable_as_their_folder_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let folder = world.path("textfile");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.join("week.prom");
    let metrics = file.display().to_string();
    let read = || std::fs::read_to_string(&file).unwrap();
    assert_eq!(world.call(&["run", "--out", &world.out(), "--metrics", &metrics]).code, 0);
    let good = read();
    for line in [
        "blobdelta_run_exit_code 0\n".to_owned(),
        format!("blobdelta_run_rows{{table=\"{DOCS}\",scope=\"all\"}} 3\n"),
        format!("blobdelta_watermark_timestamp_seconds{{table=\"{DOCS}\",scope=\"all\"}} "),
        "blobdelta_unshipped_bundles 0\n".to_owned(),
    ] {
        assert!(good.contains(&line), "{line}: {good}");
    }
    let bytes = good.lines().find_map(|line| line.strip_prefix("blobdelta_run_bytes ")?.parse::<u64>().ok());
    assert!(bytes.unwrap() > 1000, "{good}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    let success = |text: &str| text.lines().find(|line| line.starts_with("blobdelta_run_success_")).unwrap().to_owned();
    assert_eq!(world.call(&["run", "--out", "nowhere", "--metrics", &metrics]).code, 2);
    assert_eq!(success(&read()), success(&good), "it is known from before");
    assert!(read().contains("blobdelta_run_exit_code 2\n"));
    // Nothing else is left in the folder, a link is replaced and not followed, and what cannot be written is a warning.
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let victim = world.path("victim");
    std::fs::write(&victim, "kept").unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    let ended = world.call(&["run", "--out", &world.out(), "--metrics", &metrics]);
    assert_eq!((ended.code, std::fs::read_to_string(&victim).unwrap().as_str()), (0, "kept"), "{ended:?}");
    for wrong in ["/nowhere/week.prom", "week.txt"] {
        let ended = world.call(&["run", "--out", &world.out(), "--metrics", wrong]);
        assert!(ended.code == 0 && ended.stderr.contains("warning: no metrics were written"), "{wrong}: {ended:?}");
    }
}

/// In a profile, too.
#[test]
fn a_profile_names_hooks_and_metrics() {
    let world = World::new();
    let hook = Hook::answering(&["200 OK"]);
    let (folder, metrics) = (world.path("conf"), world.path("m.prom"));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("c.toml");
    let text = format!(
        "[profile.week]\nconnection = '{}'\nout = '{}'\nnotify = ['{}']\nnotify_on = ['success']\nmetrics = '{}'\n",
        world.connection(),
        world.out(),
        hook.url(),
        metrics.display()
    );
    std::fs::write(&file, text).unwrap();
    let call = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blobdelta"));
        command.args(args).arg("--config").arg(&file).args(["--profile", "week"]).env_remove("BLOBDELTA_CONNECTION");
        let done = command.output().unwrap();
        (
            done.status.code().unwrap(),
            String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap(),
        )
    };
    chmod(&file, 0o644);
    let (code, said) = call(&["run"]);
    assert!(code == 2 && said.contains("chmod o-r") && !said.contains("Canary"), "{said}");
    chmod(&file, 0o640);
    let (code, said) = call(&["run"]);
    assert!(code == 0 && !said.contains("Canary"), "{said}");
    assert_eq!(hook.told()[0].1["profile"], "week");
    assert!(std::fs::read_to_string(&metrics).unwrap().contains("blobdelta_run_exit_code{profile=\"week\"} 0\n"));
    let (code, said) = call(&["config", "show"]);
    assert!(code == 0 && said.contains("http://127.0.0.1/…") && !said.contains("Canary"), "{said}");
}

fn chmod(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
