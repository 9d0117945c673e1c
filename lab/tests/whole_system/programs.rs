//! The programs under test as child processes, each ended by its own id at the latest when it is dropped.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything that is to happen soon.
const SOON: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Waits until something is so, or fails after a minute.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = deadline(SOON);
    while !is_so() {
        assert!(!is_over(deadline), "in vain: waited until {what}");
        sleep(POLL);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's patience is measured in real time")]
fn deadline(patience: Duration) -> Instant {
    Instant::now() + patience
}

#[expect(clippy::disallowed_methods, reason = "a test's patience is measured in real time")]
fn is_over(deadline: Instant) -> bool {
    Instant::now() > deadline
}

/// A program of the workspace, built beside this test.
pub fn program(name: &str) -> Command {
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    let path = lab.with_file_name(name);
    assert!(
        path.exists(),
        "{} is missing: this test needs the whole workspace built (cargo nextest run --workspace)",
        path.display()
    );
    Command::new(path)
}

/// A running program.
pub struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts a program.
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self { name, child: child.unwrap_or_else(|error| panic!("cannot start {name}: {error}")) }
    }

    /// `analyze report` of this log into this folder.
    pub fn analyze(log: &Path, report: &Path) -> Self {
        Self::start("analyze", program("analyze").arg("report").arg(log).arg("--out").arg(report))
    }

    /// `analyze` with these arguments.
    pub fn analyze_with(arguments: &[&str]) -> Self {
        Self::start("analyze", program("analyze").args(arguments))
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, which is to come within this time and with exit code 0.
    pub fn ends_well_within(&mut self, patience: Duration) {
        let status = self.ends_within(patience);
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Waits for its end, which is to come within this time.
    pub fn ends_within(&mut self, patience: Duration) -> ExitStatus {
        let deadline = deadline(patience);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(!is_over(deadline), "{} did not end within {patience:?}", self.name);
            sleep(POLL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A running lab.
pub struct Lab {
    folder: PathBuf,
    program: Program,
}

impl Lab {
    /// Starts one and waits until it is ready; its schedules start with the first announce.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command.args(["swarm", "--wait-for-capture", "--out"]).arg(folder).args(options);
        let mut program = Program::start("lab", command.stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(program.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready "), "the lab said {line:?}");
        Self { folder: folder.to_owned(), program }
    }

    /// A file it writes.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a capture of its swarms.
    pub fn capture(&self, log: &Path, options: &[&str]) -> Program {
        Program::start("capture", &mut self.capture_command(log, options))
    }

    /// Starts a capture that writes its messages of every level to a file.
    pub fn capture_telling_everything(&self, log: &Path, options: &[&str], told: &Path) -> Program {
        let mut command = self.capture_command(log, options);
        let told = File::create(told).unwrap();
        Program::start("capture", command.env("CAPTURE_LOG", "trace").stderr(told))
    }

    /// A capture of its swarms, to be started.
    pub fn capture_command(&self, log: &Path, options: &[&str]) -> Command {
        let mut command = program("capture");
        command.arg("--torrents").arg(self.file("list.txt")).arg("--out").arg(log);
        command.args(["--allow-private", "--listen", "127.0.0.1:0", "--revisit", "5s"]);
        if !options.contains(&"--vantage") {
            command.args(["--vantage", "lab"]);
        }
        command.args(options);
        command
    }

    /// Waits for its end.
    pub fn ends_well(&mut self) {
        self.program.ends_well_within(SOON);
    }
}
