//! Captures into an S3-compatible server on loopback, as it is there, as it refuses, and as it comes and goes.
//!
//! The server is s3s-fs, which checks signatures and keeps objects as files. `./test object` installs it and runs
//! these; alone they need its path in `S3S_FS`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use schema::{
    segment,
    table::{Row, RunEvent, Table},
};
use tempfile::{TempDir, tempdir};

use crate::{
    log::{Log, files_below},
    namespace::{done, in_namespace, mounted},
    pause::{PAUSED, RESUMED, whole},
    programs::{Lab, Program, program, wait_until},
};

const KEY: &str = "test-key";
const SECRET: &str = "test-secret";
const URL: &str = "s3://bucket/some/prefix";

/// A server that may be stopped and started again on the same port.
struct Server {
    root: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn start(root: &Path) -> Self {
        // The port is free at this moment; nothing else in these tests asks for one so.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { root: root.to_owned(), port, child: None };
        fs::create_dir_all(root.join("bucket")).unwrap();
        server.come();
        server
    }

    fn come(&mut self) {
        let Some(path) = std::env::var_os("S3S_FS") else {
            panic!("S3S_FS is the path of s3s-fs; run ./test object")
        };
        let mut command = Command::new(path);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--access-key", KEY, "--secret-key", SECRET]).arg(&self.root);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let port = self.port;
        wait_until("the server is there", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    fn go(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn environment(&self, secret: &str) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ]
    }

    /// The prefix as the folder that the server keeps it in.
    fn prefix(&self) -> PathBuf {
        self.root.join("bucket/some/prefix")
    }

    fn segments(&self) -> Vec<PathBuf> {
        files_below(&self.prefix(), ".parquet")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.go();
    }
}

/// A folder, a server, and captures of a swarm that nobody is in.
struct Scene {
    folder: TempDir,
    staging: PathBuf,
    server: Server,
}

impl Scene {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let staging = folder.path().join("staging");
        Self::staged(folder, staging)
    }

    fn staged(folder: TempDir, staging: PathBuf) -> Self {
        fs::write(folder.path().join("list.txt"), "0123456789abcdef0123456789abcdef01234567\n").unwrap();
        let server = Server::start(&folder.path().join("server"));
        Self { folder, staging, server }
    }

    fn waiting(&self) -> Vec<PathBuf> {
        files_below(&self.staging, ".parquet")
    }

    fn told(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    fn capture(&self, url: &str, secret: &str, for_: &str) -> Program {
        let mut command = program("capture");
        command.arg("--torrents").arg(self.folder.path().join("list.txt"));
        command.args(["--no-dht", "--no-listen", "--rotate-every", "1s", "--gauge-every", "100ms"]);
        command.args(["--out", url, "--for", for_, "--staging"]).arg(&self.staging);
        command.envs(self.server.environment(secret));
        command.stderr(File::create(self.folder.path().join("stderr")).unwrap());
        Program::start("capture", &mut command)
    }

    /// What `analyze` says, and whether it says so with exit code 0.
    fn analyze_says(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = program("analyze");
        let output = command.args(arguments).envs(self.server.environment(SECRET)).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(told).unwrap())
    }

    /// The tables of a report on this data.
    fn report(&self, data: &str) -> Vec<Vec<u8>> {
        let out = self.folder.path().join("report");
        fs::remove_dir_all(&out).ok();
        self.analyze(&["report", data, "--out", out.to_str().unwrap()])
            .ends_well_within(Duration::from_mins(1));
        files_below(&out, ".csv").into_iter().map(|file| fs::read(file).unwrap()).collect()
    }

    fn analyze(&self, arguments: &[&str]) -> Program {
        let mut command = program("analyze");
        command.args(arguments).envs(self.server.environment(SECRET)).stdout(Stdio::null());
        Program::start("analyze", &mut command)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn a_capture_is_uploaded_and_a_report_reads_it_there() {
    let scene = Scene::new();
    let mut lab =
        Lab::start(&scene.folder.path().join("lab"), &["--peers", "40", "--swarms", "2", "--for", "20s"]);
    let mut command =
        lab.capture_command(Path::new(URL), &["--for", "19s", "--rotate-every", "3s", "--no-dht"]);
    command.arg("--staging").arg(&scene.staging).envs(scene.server.environment(SECRET));
    Program::start("capture", &mut command).ends_well_within(Duration::from_mins(1));
    lab.ends_well();
    assert_eq!(scene.waiting(), Vec::<PathBuf>::new(), "everything is uploaded");
    assert!(scene.server.segments().len() > 10);

    let here = scene.report(scene.server.prefix().to_str().unwrap());
    assert!(here == scene.report(URL) && here.len() > 10);
    scene.analyze(&["verify", URL]).ends_well_within(PATIENCE);
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn a_wrong_secret_or_bucket_is_told_and_loses_nothing() {
    let scene = Scene::new();
    let status = scene.capture(URL, "wrong", "3s").ends_within(PATIENCE);
    let told = scene.told();
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("segments cannot be uploaded, the capture goes on"), "{told}");
    assert!(told.contains("access is denied (SignatureDoesNotMatch)"), "{told}");
    assert!(!told.contains(SECRET) && !told.contains("wrong"), "{told}");
    assert!(told.lines().last().unwrap().contains("are not uploaded"), "{told}");
    let waiting = scene.waiting().len();
    assert!(waiting > 3, "{waiting}");

    // This server takes what is put into a bucket that is not there, but does not list it.
    let mut report = program("analyze");
    report.args(["report", "s3://nowhere/p", "--out"]).arg(scene.folder.path().join("report"));
    let output = report.envs(scene.server.environment(SECRET)).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("there is no such bucket"), "{told}");

    scene.capture(URL, SECRET, "1s").ends_well_within(PATIENCE);
    assert_eq!(scene.waiting(), Vec::<PathBuf>::new());
    assert!(scene.server.segments().len() > waiting);
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn an_object_that_is_there_is_compared_and_never_replaced() {
    let mut scene = Scene::new();
    scene.server.go();
    assert_eq!(scene.capture(URL, SECRET, "3s").ends_within(PATIENCE).code(), Some(1));
    assert!(scene.told().contains("the server cannot be reached"), "{}", scene.told());
    let waiting = scene.waiting();
    let (same, other, longer) = (&waiting[0], &waiting[1], &waiting[2]);
    let object = |file: &Path| scene.server.prefix().join(file.strip_prefix(&scene.staging).unwrap());
    for file in [same, other, longer] {
        fs::create_dir_all(object(file).parent().unwrap()).unwrap();
    }
    fs::copy(same, object(same)).unwrap();
    let mut bytes = fs::read(other).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(object(other), &bytes).unwrap();
    fs::write(object(longer), [fs::read(longer).unwrap(), vec![0]].concat()).unwrap();

    scene.server.come();
    assert_eq!(scene.capture(URL, SECRET, "2s").ends_within(PATIENCE).code(), Some(1));
    let told = scene.told();
    assert!(told.contains("exists and is another file"), "{told}");
    let mut left = vec![other.clone(), longer.clone()];
    left.sort();
    assert_eq!(scene.waiting(), left, "{told}");
    let object = |file: &Path| scene.server.prefix().join(file.strip_prefix(&scene.staging).unwrap());
    assert_eq!(fs::read(object(other)).unwrap(), bytes, "what is there is not replaced");
    assert!(scene.server.segments().len() >= waiting.len());
}

/// Passes everything on to a server and counts the objects that are asked for, by name.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<u8>>>::default());
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(to) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
                let (mut answers, mut back) = (to.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || {
                    io::copy(&mut answers, &mut back).ok();
                    back.shutdown(Shutdown::Both).ok();
                });
                let heard = Arc::clone(&heard);
                thread::spawn(move || pass_on(client, to, &heard));
            }
        });
        Self { port, asked }
    }

    /// How often an object was read whole.
    fn reads_of(&self, object: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        // In a request, what stands between the slashes is encoded.
        let wanted = format!("GET /bucket/some/prefix/{} ", object.replace('=', "%3D"));
        String::from_utf8_lossy(&asked).matches(&wanted).count()
    }
}

fn pass_on(mut client: TcpStream, mut to: TcpStream, heard: &Mutex<Vec<u8>>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        heard.lock().unwrap().extend(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn an_object_that_differs_is_compared_once_and_holds_nobody_up() {
    let mut scene = Scene::new();
    scene.server.go();
    assert_eq!(scene.capture(URL, SECRET, "3s").ends_within(PATIENCE).code(), Some(1));
    let first = scene.waiting()[0].clone();
    let name = first.strip_prefix(&scene.staging).unwrap().to_str().unwrap().to_owned();
    let mut bytes = fs::read(&first).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let object = scene.server.prefix().join(&name);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, bytes).unwrap();

    scene.server.come();
    let (proxy, server) = (Proxy::to(scene.server.port), scene.server.port);
    scene.server.port = proxy.port;
    let mut capture = scene.capture(URL, SECRET, "5m");
    wait_until("all others are uploaded", || scene.waiting() == [first.clone()]);
    let uploaded = scene.server.segments().len();
    // Each second or so one more is closed: many a look at the folder.
    wait_until("later ones are uploaded", || scene.server.segments().len() > uploaded + 8);
    assert_eq!(proxy.reads_of(&name), 1, "an object is compared once, and much later again");
    capture.terminate();
    assert_eq!(capture.ends_within(PATIENCE).code(), Some(1));
    assert_eq!(scene.waiting(), [first]);
    assert!(scene.told().contains("exists and is another file"), "{}", scene.told());
    scene.server.port = server;
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn what_waits_for_its_upload_is_not_taken_for_a_log() {
    let mut scene = Scene::new();
    scene.server.go();
    assert_eq!(scene.capture(URL, SECRET, "3s").ends_within(PATIENCE).code(), Some(1));
    let waiting: Vec<_> = scene.waiting().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    let (staging, out) = (scene.staging.to_str().unwrap(), scene.folder.path().join("copy"));
    for arguments in [
        &["compact", "--open-days", staging][..],
        &["anonymize", staging, "--out", out.to_str().unwrap()],
        &["anonymize", scene.folder.path().to_str().unwrap(), "--out", staging],
    ] {
        let (is_well, told) = scene.analyze_says(arguments);
        assert!(!is_well && told.lines().count() == 1, "{told}");
        assert!(told.contains(&format!("has not uploaded to {URL} yet")), "{told}");
    }
    let still: Vec<_> = scene.waiting().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    assert!(still == waiting && !waiting.is_empty());
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn a_log_in_a_store_is_compacted_there_queried_and_anonymized() {
    let scene = Scene::new();
    let prefix = scene.server.prefix();
    let options = lab::log::LogOptions {
        of: None,
        rows: 30_000,
        out: prefix.clone(),
        swarms: 20,
        length: Duration::from_hours(60),
        ipv6: 0.15,
        seed: 7,
    };
    lab::log::generate(&options).unwrap();
    let raw = scene.server.segments();
    let (one, bytes) = (&raw[0], fs::read(&raw[0]).unwrap());
    let tables = scene.report(URL);

    // Killed when the first merged one is there, before the last raw one is removed or after.
    let merged = || scene.server.segments().iter().filter(|path| is_merged(path)).count();
    let mut killed = scene.analyze(&["compact", URL]);
    wait_until("an object is merged", || merged() > 0);
    killed.kill();
    assert!(scene.report(URL) == tables, "an interrupted compaction shows");
    scene.analyze(&["compact", URL]).ends_well_within(Duration::from_mins(2));
    assert!(scene.report(URL) == tables, "a compaction shows");
    let days: BTreeSet<_> = raw.iter().map(|path| path.parent().unwrap()).collect();
    assert_eq!(scene.server.segments().len(), days.len(), "one object a table and day");
    scene.analyze(&["verify", URL]).ends_well_within(PATIENCE);

    // A capture that was killed between an upload and its end may upload what is merged already.
    fs::write(one, bytes).unwrap();
    assert!(scene.report(URL) == tables, "what is merged counts once");
    scene.analyze(&["compact", URL]).ends_well_within(PATIENCE);
    assert!(!one.exists());
    assert_eq!(scene.analyze_says(&["compact", URL]), (true, "nothing to compact\n".to_owned()));

    let (is_well, views) = scene.analyze_says(&["sql", URL]);
    assert!(
        is_well && views.contains("read_parquet(['s3://bucket/some/prefix/contacts/**/*.parquet']"),
        "{views}"
    );
    assert!(views.contains("USE_SSL false") && !views.contains(SECRET), "{views}");
    assert!(views.find("CREATE OR REPLACE SECRET") < views.find("read_parquet("), "{views}");
    let (_, views) = scene.analyze_says(&["sql", "--engine", "spark", URL]);
    assert!(views.contains("FROM parquet.`s3a://bucket/some/prefix/contacts`"), "{views}");

    let out = scene.folder.path().join("shared");
    let (is_well, told) = scene.analyze_says(&["anonymize", URL, "--out", out.to_str().unwrap()]);
    assert!(is_well && told.contains(" rows in "), "{told}");
    assert_eq!(scene.report(out.to_str().unwrap()).len(), tables.len());
    scene.analyze(&["verify", out.to_str().unwrap()]).ends_well_within(PATIENCE);
}

fn is_merged(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("compacted-"))
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn a_server_that_goes_away_and_comes_back_gets_everything() {
    let mut scene = Scene::new();
    let mut capture = scene.capture(URL, SECRET, "60s");
    wait_until("segments are uploaded", || !scene.server.segments().is_empty());
    scene.server.go();
    // The gauges know what the last attempt counted, and attempts grow rare: half as much at least.
    wait_until("segments wait", || scene.waiting().len() > 13);
    assert!(scene.told().contains("the server cannot be reached"), "{}", scene.told());
    scene.server.come();
    wait_until("what waited is uploaded", || scene.told().contains("segments are uploaded again"));
    capture.terminate();
    capture.ends_well_within(PATIENCE);
    assert_eq!(scene.waiting(), Vec::<PathBuf>::new());
    assert!(backlog(&scene.server) > Some(6), "the gauges show what waited");
    scene.analyze(&["verify", URL]).ends_well_within(PATIENCE);
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn child_staging_on_a_disk_that_fills() {
    const ROOM: usize = 300 << 10;
    let Some(disk) = mounted() else { return };
    fs::write(disk.join("ballast"), vec![0; (1 << 20) - ROOM]).unwrap();
    let mut scene = Scene::staged(tempdir().unwrap(), disk.join("staging"));
    scene.server.go();
    let mut capture = scene.capture(URL, SECRET, "5m");
    wait_until("the disk is full", || scene.told().contains(PAUSED));
    assert!(scene.told().contains("No space left on device"), "{}", scene.told());
    assert_eq!(scene.server.segments(), Vec::<PathBuf>::new());
    // Nothing but the uploads makes room.
    scene.server.come();
    wait_until("the log is written again", || scene.told().contains(RESUMED));
    let uploaded = scene.server.segments().len();
    wait_until("later segments are uploaded", || scene.server.segments().len() > uploaded + 10);
    capture.terminate();
    capture.ends_well_within(PATIENCE);
    assert_eq!(scene.waiting(), Vec::<PathBuf>::new());
    whole(&Log::at(&scene.server.prefix()));
    scene.analyze(&["verify", URL]).ends_well_within(PATIENCE);
    done();
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn a_staging_disk_that_fills_pauses_the_capture_until_uploads_make_room() {
    in_namespace("store::child_staging_on_a_disk_that_fills", 1);
}

/// The most segments that waited, by the gauges.
fn backlog(server: &Server) -> Option<u64> {
    let rows = |file: &PathBuf| segment::read(Table::Gauges, File::open(file).unwrap()).unwrap();
    let gauges = files_below(&server.prefix().join("gauges"), ".parquet");
    let waiting = gauges.iter().flat_map(rows).filter_map(|(_, event)| match event.row {
        Row::Gauge(gauge) => gauge.uploads_waiting,
        _ => None,
    });
    waiting.max()
}

#[test]
#[ignore = "needs s3s-fs: ./test object"]
fn kill_9_at_any_moment_uploads_every_row_once() {
    const LIVES: usize = 8;
    let scene = Scene::new();
    // A large one goes in parts: the first life is likely to end between two of them.
    let large = scene.staging.join("gauges/date=2026-01-02/20260102T000000Z-00000000-000000.parquet");
    fs::create_dir_all(large.parent().unwrap()).unwrap();
    let bytes: Vec<u8> =
        (0..40_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::write(&large, &bytes).unwrap();
    let mut capture = scene.capture(URL, SECRET, "60s");
    wait_until("a part is uploaded", || {
        !files_below(&scene.server.root, ".part-1").is_empty() || !large.exists()
    });
    capture.kill();
    for life in 1..LIVES {
        let before = scene.server.segments().len();
        let mut capture = scene.capture(URL, SECRET, "60s");
        // Each life ends a little later in the upload of what the one before left.
        wait_until("something is uploaded", || scene.server.segments().len() >= before + life);
        capture.kill();
    }
    scene.capture(URL, SECRET, "2s").ends_well_within(PATIENCE);
    assert_eq!(scene.waiting(), Vec::<PathBuf>::new());

    let object = scene.server.prefix().join(large.strip_prefix(&scene.staging).unwrap());
    assert!(fs::read(&object).unwrap() == bytes, "the large one is whole");
    fs::remove_file(object).unwrap();
    let mut times = BTreeSet::new();
    let mut starts = 0;
    for table in [Table::Gauges, Table::Runs] {
        for file in files_below(&scene.server.prefix().join(table.name()), ".parquet") {
            for (run, event) in segment::read(table, File::open(&file).unwrap()).unwrap() {
                assert!(times.insert((table, run, event.time)), "{} repeats a row", file.display());
                starts += usize::from(matches!(&event.row, Row::Run(run) if run.event == RunEvent::Started));
            }
        }
    }
    // A life that is killed within the first second may not have had a durable row; no row is there twice.
    assert!((2..=LIVES + 1).contains(&starts), "{starts}");
    scene.analyze(&["verify", URL]).ends_well_within(PATIENCE);
}
