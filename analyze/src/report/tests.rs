use std::path::PathBuf;

use super::*;
use crate::figure::{self, fixture};

/// Writes reports for people to look at: `GALLERY=<folder> cargo test -p analyze gallery -- --ignored`.
#[test]
#[ignore = "writes pictures for people to look at"]
fn gallery() {
    let out = PathBuf::from(std::env::var_os("GALLERY").expect("GALLERY names a folder"));
    let cases = [
        ("none", fixture::empty(), fixture::empty_facts()),
        ("one", fixture::many(1, 1), fixture::facts(1, 1)),
        ("some", fixture::many(19, 34), fixture::facts(19, 34)),
        ("thousands", fixture::many(2_000, 700), fixture::facts(2_000, 700)),
    ];
    for (name, tables, facts) in cases {
        let folder = out.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let figures = figure::draw_all(&tables, &facts, &folder).unwrap();
        write(&tables, &facts, &figures, &folder).unwrap();
    }
}
