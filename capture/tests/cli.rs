//! The help text and the command line's mistakes, as the user sees them.

use capture::{cli::Options, discover};
use clap::Parser as _;

fn mistake(arguments: &[&str]) -> String {
    let options = Options::from_arguments(["capture"].into_iter().chain(arguments.iter().copied()));
    options.err().map_or("no mistake".to_owned(), |error| error.to_string())
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!(mistake(&["--help"]));
}

#[test]
fn help_of_discovery_teaches() {
    let options = discover::cli::Options::try_parse_from(["capture discover", "--help"]);
    insta::assert_snapshot!(options.unwrap_err().to_string());
}

#[test]
fn mistakes_say_what_to_do() {
    let lines: [&[&str]; 7] = [
        &[],
        &["--torrents"],
        &["--torrents", "l", "--for", "5"],
        &["--torrents", "l", "--rotate-size", "64"],
        &["--torrents", "l", "--listen", "localhost"],
        &["--torrents", "l", "--out", "ftp://bucket"],
        &["--torrents", "l", "--max-opne", "1"],
    ];
    insta::assert_snapshot!(lines.map(mistake).join("----\n"));
}

#[test]
fn options_in_force_are_told_as_json() {
    let options =
        Options::from_arguments(["capture", "--torrents", "l", "--for", "90s", "--listen", "[::1]:9"])
            .unwrap();
    insta::assert_snapshot!(options.to_json());
}
