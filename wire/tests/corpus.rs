//! Replays the fuzz corpus, whole, cut short and mutated, against the invariants the fuzzer checks.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, here and in the invariants"
)]

#[path = "../fuzz/src/lib.rs"]
mod invariants;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;

/// The invariant of a sample's surface, its path and its bytes.
type Sample = (fn(&[u8]), String, Vec<u8>);

/// Every sample of the corpus.
fn samples() -> Vec<Sample> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut samples = Vec::new();
    for (surface, invariant) in invariants::SURFACES {
        for entry in fs::read_dir(corpus.join(surface)).expect(surface) {
            let path = entry.unwrap().path();
            samples.push((*invariant, path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    samples
}

#[test]
fn every_surface_has_a_corpus_and_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let surfaces: BTreeSet<_> = invariants::SURFACES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(names("corpus"), surfaces);
    assert_eq!(names("fuzz_targets"), surfaces);
}

#[test]
fn the_corpus_holds_whole_and_cut_short() {
    for (invariant, path, bytes) in samples() {
        println!("{path}");
        invariant(&bytes);
        let step = (bytes.len() / 200).max(1);
        for end in (0..bytes.len()).step_by(step) {
            invariant(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn mutations_of_the_corpus_hold(
        sample: prop::sample::Index,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            let (invariant, path, bytes) = &samples[sample.index(samples.len())];
            let mut bytes = bytes.clone();
            for (at, byte, kind) in changes {
                let at = at.index(bytes.len() + 1);
                match kind {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            println!("{path}: {}", bytes.escape_ascii());
            invariant(&bytes);
        });
    }
}
