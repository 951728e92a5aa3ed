//! Replays every input that fuzzing found worth keeping.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../fuzz/replay.rs"]
mod replay;

use std::fs;
use std::path::Path;

/// Targets of what is private to a crate, whose tests replay them.
const ELSEWHERE: [&str; 4] = ["documents", "events", "journal", "redis"];

#[test]
fn every_kept_input_passes_its_check() {
    for (target, check) in checks::CHECKS {
        replay::replay(target, *check);
    }
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for entry in fs::read_dir(corpora).expect("the corpora") {
        let name = entry.expect("a directory entry").file_name();
        let mut known = checks::CHECKS.iter().map(|(target, _)| *target);
        assert!(
            known.any(|target| target == name) || ELSEWHERE.iter().any(|target| *target == name),
            "the corpus {name:?} has no check"
        );
    }
}
