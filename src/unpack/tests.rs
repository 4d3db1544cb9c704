//! Names, by themselves.

use super::names::{MAX_NAME_BYTES, file_name, original_name};
use proptest::prelude::*;

#[test]
fn what_windows_reserves_is_escaped_and_what_only_looks_so_is_not() {
    for name in ["CON", "con.txt", "Aux .tar.gz", "COM1", "lpt9.x", "COM¹", "CONIN$", "NUL."] {
        assert!(file_name(name, None).starts_with('%'), "{name}");
    }
    for name in ["CONSOLE", "COM", "COM10", "a.con", "LPTX", "nul-1", ".con"] {
        assert_eq!(file_name(name, None), name);
    }
}

#[test]
fn marks_stand_before_the_extension_and_cut_names_keep_it() {
    assert_eq!(file_name("a.tar.gz", Some("1b4e28ba")), "a.tar (1b4e28ba).gz");
    assert_eq!(file_name(".hidden", Some("1")), ".hidden (1)");
    assert_eq!(file_name("v1.2 final", Some("1")), "v1.2 final (1)");
    assert_eq!(file_name("", None), "%");
    let long = format!("{}.pdf", "日".repeat(200));
    let (cut, marked) = (file_name(&long, None), file_name(&long, Some("1")));
    assert!(cut.len() <= MAX_NAME_BYTES && cut.ends_with(".pdf") && cut.contains("%~"), "{cut}");
    assert_ne!(cut, marked);
    assert_eq!(original_name(&cut), None);
    assert_eq!(original_name("a%2fb"), None, "not as we write it");
    assert_eq!(original_name("a b").as_deref(), Some("a b"));
}

proptest! {
    #[test]
    fn any_text_is_one_safe_component_and_reads_back(name in any::<String>(), tail in "[. /]{0,3}") {
        let name = name + &tail;
        let file = file_name(&name, None);
        prop_assert!(!file.is_empty() && file.len() <= MAX_NAME_BYTES);
        prop_assert!(!file.contains(['<', '>', ':', '"', '/', '\\', '|', '?', '*']), "{file:?}");
        prop_assert!(!file.ends_with(['.', ' ']) && !file.chars().any(char::is_control), "{file:?}");
        match original_name(&file) {
            Some(read) => prop_assert_eq!(read, name),
            None => prop_assert!(file.contains("%~")),
        }
    }
}
