//! `capture --dry-run` as a program: what it writes where, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// A folder with a list and two torrent files, one of them with a name that turns the terminal red.
fn folder(list: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let torrent = |name: &str, announce: &str, extra: &str| {
        format!(
            "d{announce}4:infod6:lengthi40000e4:name{}:{name}12:piece lengthi16384e6:pieces60:{}{extra}ee",
            name.len(),
            "a".repeat(60),
        )
    };
    let announce = "8:announce17:http://t/announce";
    fs::write(folder.path().join("one.torrent"), torrent("one", announce, "7:privatei1e")).unwrap();
    fs::write(folder.path().join("red.torrent"), torrent("\u{1b}[31mred\u{9b}", "", "")).unwrap();
    fs::write(folder.path().join("list.txt"), list).unwrap();
    folder
}

fn capture(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capture"));
    command.current_dir(folder.path()).args(["--torrents", "list.txt", "--dry-run"]).args(arguments);
    command
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "{}----\n{}----\nexit {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

fn mixed() -> TempDir {
    folder(&format!(
        "# two files, a link and a hash\none.torrent\nred.torrent\n{HASH}\n\
         magnet:?xt=urn:btih:{}&dn=a%1Blink&tr=udp%3A%2F%2Ft%3A1&tr=http%3A%2F%2Ft%2Fannounce\n",
        HASH.replace('0', "f")
    ))
}

#[test]
fn a_table_to_read() {
    insta::assert_snapshot!(told(&capture(&mixed(), &[]).output().unwrap()));
}

#[test]
fn json_lines() {
    insta::assert_snapshot!(told(&capture(&mixed(), &["--format", "json"]).output().unwrap()));
}

#[test]
fn bad_lines_are_told_and_the_others_shown() {
    let folder = folder(&format!("{HASH}\nnowhere.torrent\n{HASH}\nmagnet:?xt=urn:btih:12\n"));
    insta::assert_snapshot!(told(&capture(&folder, &["--format", "json"]).output().unwrap()));
}

#[test]
fn a_missing_list_is_the_users_mistake() {
    let folder = folder("");
    let output = capture(&folder, &["--torrents", "other.txt"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the option is given twice");
    fs::remove_file(folder.path().join("list.txt")).unwrap();
    insta::assert_snapshot!(told(&capture(&folder, &[]).output().unwrap()));
}

#[test]
fn a_mistake_in_the_options_file_is_a_mistake_of_usage() {
    let folder = folder("");
    fs::write(folder.path().join("capture.toml"), "max-opne = 3\n").unwrap();
    insta::assert_snapshot!(told(&capture(&folder, &["--config", "capture.toml"]).output().unwrap()));
}

#[test]
fn a_reader_that_leaves_is_no_mistake() {
    let hashes: Vec<String> = (0..20_000).map(|n| format!("{n:040x}")).collect();
    let folder = folder(&hashes.join("\n"));
    let mut child = capture(&folder, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(told(&output), "----\n----\nexit 0\n");
}
