//! What the pages for people show: each configuration is valid, each link leads somewhere.

use std::fs;
use std::path::PathBuf;

use super::{Files, everything, root};

/// The pages for people: path and text.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = ["", "deploy", "benches", "src"].map(root);
    let entries = folders
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    let files = entries.flatten().map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect()
}

#[test]
fn every_yaml_block_of_a_page_is_valid() {
    for (page, text) in pages() {
        for block in text.split("```yaml\n").skip(1) {
            let yaml = block.split("```").next().unwrap();
            let files = Files::one(yaml);
            let Err(faults) = files.load_with(&everything) else {
                continue;
            };
            // A file of the reader's machine is not here.
            let mut wrong = faults.faults.iter();
            let wrong = wrong.any(|fault| !fault.message.contains("cannot be read"));
            assert!(
                !wrong,
                "{} has a block that is not valid:\n{yaml}\n{faults}",
                page.display()
            );
        }
    }
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let there = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(there.exists(), "{}: {link}", page.display());
            let headings = || fs::read_to_string(&there).unwrap();
            let known = |text: String| {
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                headings.any(|heading| anchor(heading) == place)
            };
            assert!(
                place.is_empty() || known(headings()),
                "{}: {link}",
                page.display()
            );
        }
    }
}
