//! `capture` as a program: how a run begins, what it tells, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

fn folder(list: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list.txt"), list).unwrap();
    folder
}

fn capture(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capture"));
    command.current_dir(folder.path()).args(["--torrents", "list.txt", "--no-listen", "--allow-private"]);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn has_segment(folder: &TempDir, table: &str) -> bool {
    let dates = fs::read_dir(folder.path().join("data").join(table));
    dates.into_iter().flatten().any(|date| {
        let files = fs::read_dir(date.unwrap().path()).unwrap();
        files
            .into_iter()
            .any(|file| Path::new(&file.unwrap().file_name()).extension().is_some_and(|e| e == "parquet"))
    })
}

#[test]
fn a_list_with_nothing_usable_is_the_users_mistake() {
    let folder = folder("nowhere.torrent\n");
    let output = capture(&folder, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("list.txt:1: nowhere.torrent: no such file"), "{told}");
    assert!(told.ends_with(
        "capture: list.txt names nothing that can be watched; --dry-run says what each entry is\n"
    ));
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_bad_network_to_exclude_is_the_users_mistake() {
    let folder = folder(HASH);
    fs::write(folder.path().join("ours.txt"), "10.0.0.0/8\nours\n").unwrap();
    let output = capture(&folder, &["--exclude", "ours.txt"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("capture: ours.txt:2: \"ours\" is no network"), "{}", stderr(&output));
}

#[test]
fn a_run_ends_by_itself_and_leaves_its_log() {
    let folder = folder(&format!("{HASH}\nnowhere.torrent\n"));
    let output = capture(&folder, &["--for", "500ms", "--gauge-every", "100ms"]).output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("WARN list.txt:2: nowhere.torrent"), "{told}");
    assert!(told.contains("1 of 1 swarms have no tracker"), "{told}");
    assert!(told.contains("· 1 swarm · 0 peers · 0 contacts open"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
    assert!(output.stdout.is_empty());
    assert!(
        has_segment(&folder, "runs") && has_segment(&folder, "torrents") && has_segment(&folder, "gauges")
    );
}

#[test]
fn messages_are_json_where_that_is_wanted() {
    let folder = folder(HASH);
    let arguments = ["--for", "500ms", "--gauge-every", "100ms", "--log-format", "json"];
    let output = capture(&folder, &arguments).output().unwrap();
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let progress = lines.iter().find(|line| line["message"] == "progress").unwrap();
    assert_eq!((&progress["swarms"], &progress["contacts_open"]), (&1.into(), &0.into()));
}

/// A tracker that answers every announce, and tells of the request lines.
fn http_tracker() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let (send, asked) = std::sync::mpsc::sync_channel(100);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let body = "d8:intervali1800e5:peers0:e";
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .ok();
            if send.send(line).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

#[test]
fn a_signal_ends_the_run_in_good_order() {
    for end in [Signal::INT, Signal::TERM] {
        let (tracker, asked) = http_tracker();
        let folder = folder(&format!("magnet:?xt=urn:btih:{HASH}&tr={tracker}\n"));
        let child = capture(&folder, &[]).spawn().unwrap();
        assert!(asked.recv().unwrap().contains("event=started"));
        signal(&child, end);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(asked.iter().any(|line| line.contains("event=stopped")));
        assert!(has_segment(&folder, "runs") && has_segment(&folder, "requests"));
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    // A tracker that never answers makes the end in good order last.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tracker = format!("udp://{}", silent.local_addr().unwrap());
    let folder = folder(&format!("magnet:?xt=urn:btih:{HASH}&tr={tracker}\n"));
    let mut child = capture(&folder, &[]).spawn().unwrap();
    silent.recv_from(&mut [0; 100]).unwrap();
    signal(&child, Signal::INT);
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("a second signal ends at once") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended without a word");
    }
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    told.read_to_string(&mut line).unwrap();
    assert!(!line.contains("panicked"), "{line}");
}
