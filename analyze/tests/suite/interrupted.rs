//! What an interrupted program leaves behind.

use std::{fs, net::TcpListener, process::Command};

#[test]
fn an_interrupted_report_leaves_no_addresses_in_temporary_folders() {
    // A store that never answers: the folder for what it holds is made before it is asked.
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let temporary = tempfile::tempdir().unwrap();
        let mut report = Command::new(env!("CARGO_BIN_EXE_analyze"))
            .args(["report", "s3://bucket/log"])
            .env("TMPDIR", temporary.path())
            .env("AWS_ENDPOINT_URL", format!("http://{}", store.local_addr().unwrap()))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .spawn()
            .unwrap();
        let (_asking, _) = store.accept().unwrap();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
        let environment = fs::read_to_string(format!("/proc/{}/environ", report.id())).unwrap();
        let has_few_arenas =
            environment.split('\0').any(|variable| variable.starts_with("MALLOC_ARENA_MAX="));
        assert!(has_few_arenas || cfg!(not(target_env = "gnu")), "{environment}");
        let sent = Command::new("kill").args([signal, &report.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(report.wait().unwrap().code(), Some(code));
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "{signal}");
    }
}
