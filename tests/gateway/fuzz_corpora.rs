//! Replays every input that fuzzing found worth keeping.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_passes_its_check() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (target, check) in checks::CHECKS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora.join(target))
            .unwrap_or_else(|error| panic!("corpus of {target}: {error}"))
        {
            let path = entry.expect("a directory entry").path();
            let input = fs::read(&path).expect("an input");
            // The name of the input is what one wants to know when its check panics.
            println!("{}", path.display());
            check(&input);
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {target} is empty");
    }
    for entry in fs::read_dir(&corpora).expect("the corpora") {
        let name = entry.expect("a directory entry").file_name();
        assert!(
            checks::CHECKS.iter().any(|(target, _)| **target == *name),
            "the corpus {name:?} has no check"
        );
    }
}
