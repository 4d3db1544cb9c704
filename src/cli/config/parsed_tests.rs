//! Files that are right, and files that are wrong in one way each.

use super::*;

fn parsed(text: &str) -> Result<ConfigFile> {
    ConfigFile::parse(Path::new("/etc/blobdelta/blobdelta.toml"), text, true)
}

#[test]
fn a_profile_is_words_of_a_command_line() {
    let file = parsed(
        "default_profile = 'week'\n[profile.week]\nconnection = \"Server=tcp:h,1;User ID=u\"\nout = '/srv/b'\n\
         archive = true\nwide = false\nencrypt_to = ['age1a', 'age1b']\nzstd_level = 0x10\n[profile.other]\nout = '/o'\n",
    )
    .unwrap();
    let (name, week) = file.profile(None).unwrap().unwrap();
    assert_eq!(name, "week");
    let words: Vec<&str> = week.settings.values().flatten().map(String::as_str).collect();
    assert_eq!(
        words,
        [
            "--archive",
            "--connection=Server=tcp:h,1;User ID=u",
            "--encrypt-to=age1a",
            "--encrypt-to=age1b",
            "--out=/srv/b",
            "--zstd-level=16"
        ]
    );
    assert_eq!(file.profile(Some("other")).unwrap().unwrap().1.settings["out"], ["--out=/o"]);
    assert!(file.profile(Some("othr")).unwrap_err().to_string().contains("did you mean other?"));
    let path = Path::new("/c.toml");
    let hooks = ConfigFile::parse(path, "[profile.default]\nnotify = ['https://h/x', '@/f']", false).unwrap();
    assert_eq!(hooks.profile(None).unwrap().unwrap().1.settings["notify"], ["--notify=https://h/x", "--notify=@/f"]);
    assert!(parsed("").unwrap().profile(None).unwrap().is_none());
    assert!(parsed("[profile.a]").unwrap().profile(None).unwrap().is_none());
    assert_eq!(parsed("[profile.default]").unwrap().profile(None).unwrap().unwrap().0, "default");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("a = ", 1, "not TOML"),
        ("\n\nprofil = 1", 3, "did you mean profile?"),
        ("out = '/x'", 1, "[profile.NAME]"),
        ("default_profile = 3", 1, "in quotes"),
        ("default_profile = 'x'\n[profile.y]\n", 0, "these profiles: y"),
        ("[profile.a]\nconection = 'x'", 2, "did you mean connection?"),
        ("[profile.a]\npassword = 'x'", 2, "password_file"),
        ("[profile.a]\nnonsense = 'x'", 2, "config show"),
        ("[profile.a]\nout = 'relative'", 2, "path from the root on"),
        ("[profile.a]\nout = ''", 2, "path from the root on"),
        ("[profile.a]\nout = 3", 2, "path from the root on"),
        ("[profile.a]\nship = 'relative'", 2, "from the root on"),
        ("[profile.a]\nship = 's3://k:s@b/p'", 2, "a user or a key"),
        ("[profile.a]\nconnection = 'sqlite:relative'", 2, "from the root on"),
        ("[profile.a]\nconnection = 'Server=h;User ID=u;Password=x'", 2, "password_command"),
        ("[profile.a]\nthreads = -1", 2, "whole number"),
        ("[profile.a]\nthreads = '1'", 2, "whole number"),
        ("[profile.a]\narchive = 'yes'", 2, "true or false"),
        ("[profile.a]\nencrypt_to = 'age1'", 2, "a list of texts"),
        ("[profile.a]\nidentity = ['/a', 'b']", 2, "a list of paths"),
        ("[profile.a]\nencrypt_to = ['age-secret-key-1Canary']", 2, "which is secret"),
        ("[profile.a]\nout = '/a'\nout = '/b'", 3, "not TOML"),
        ("[profile.a]\nnotify = '@/x'", 2, "a list of URLs"),
        ("[profile.a]\nnotify = ['@x']", 2, "from the root on"),
        ("[profile.a]\nping = 'https://h/Canary'", 2, "chmod o-r"),
        ("[profile.a]\nunit = 3", 2, "[profile.NAME.unit.GUID]"),
        ("[profile.a.unit.London]\nout = '/x'", 1, "GUID"),
        ("[profile.a.unit.6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061]\nthreads = 3", 2, "no setting"),
        ("[profile.a.unit.6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061]\not = '/x'", 2, "did you mean out?"),
        (
            "[profile.a.unit.6f1c2a34-5b6d-4e8f-9a0b-1c2d3e4f5061]\n[profile.a.unit.6F1C2A34-5B6D-4E8F-9A0B-1C2D3E4F5061]",
            2,
            "two sections",
        ),
        ("[profile]\na = 3", 2, "[profile.NAME]"),
        ("profile = 3", 1, "[profile.NAME]"),
    ];
    for (text, line, says) in cases {
        let reported = parsed(text).unwrap_err().to_string();
        assert!(reported.contains(says) && reported.contains("blobdelta.toml"), "{text}: {reported}");
        assert!(line == 0 || reported.contains(&format!("line {line} ")), "{text}: {reported}");
    }
}

#[test]
fn no_value_is_repeated() {
    for text in [
        "[profile.a]\nencrypt_to = ['AGE-SECRET-KEY-1Canary']",
        "[profile.a]\nconnection = 'Server=h;User ID=u;Password=Canary'",
        "[profile.a]\nconnection = 'jdbc:x;password={Can;ary}'",
        "[profile.a]\npassword_command = 'Canary",
        "[profile.a]\npassword_command = \"Canary\\q\"",
        "[profile.a]\npassword_command = ['Canary']",
        "[profile.a]\npassword = 'Canary'",
        "[profile.a]\nship = 's3://Canary:x@b'",
        "[profile.a]\npassword_command = Canary",
        "[profile.a]\nping = 'https://Canary",
        "[profile.a]\nping = 'https://h/Canary'",
        "[profile.a]\nnotify = ['https://h/Canary']",
    ] {
        let error = parsed(text).unwrap_err();
        let reported = format!("{error} {error:?}");
        assert!(!reported.contains("ary"), "{text}: {reported}");
    }
}
