//! A test that runs again as a child, on a small file system in a mount namespace of its own.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The folder of a child's file system; without it, the children's tests do nothing.
const MOUNTED: &str = "WHOLE_SYSTEM_MOUNTED";
/// What a child says at its end.
const DONE: &str = "child done";

/// The file system of this child; `None` where the test was not started as one.
pub fn mounted() -> Option<PathBuf> {
    std::env::var_os(MOUNTED).map(PathBuf::from)
}

/// Ends a child well.
pub fn done() {
    eprintln!("{DONE}");
}

/// Runs a child on a file system of this size.
pub fn in_namespace(child: &str, mebibytes: u32) {
    let has_tools =
        ["unshare", "mount"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if !rustix::process::geteuid().is_root() || !has_tools {
        let why = "a mount namespace needs root, and unshare and mount of util-linux";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "cannot run: {why}");
        eprintln!("skipped: {why}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script =
        format!("mount -t tmpfs -o size={mebibytes}m swarmtally \"${MOUNTED}\" && exec \"$0\" \"$@\"");
    let Output { status, stdout, stderr } = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--include-ignored", "--nocapture"])
        .env(MOUNTED, folder.path())
        .output()
        .unwrap();
    let told = [stdout, stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(status.success() && told.contains(DONE), "{told}");
}

/// Runs a program of the system.
pub fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
