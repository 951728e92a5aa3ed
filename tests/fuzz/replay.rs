//! Runs a check on every input that was kept of its target.

use std::fs;
use std::path::Path;

/// Runs it on `tests/fuzz/corpus/<target>`, from whatever crate.
pub(super) fn replay(target: &str, check: fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpora = here.ancestors().map(|dir| dir.join("tests/fuzz/corpus"));
    let corpora = corpora.find(|dir| dir.is_dir()).expect("the corpora");
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
