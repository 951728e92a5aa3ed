//! Include patterns: `*` and `?` within the parts of a path.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Whether a path has a wildcard at all.
pub(super) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The files that match, sorted. The directories that were listed are added to `listed`. As in a shell, a
/// wildcard does not match a leading dot; unreadable directories match nothing.
pub(super) fn matches(pattern: &Path, listed: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = match component {
            Component::Normal(part) => part.to_string_lossy(),
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        if !is_pattern(&part) {
            found.iter_mut().for_each(|path| path.push(&*part));
            continue;
        }
        found = found
            .iter()
            .flat_map(|directory| children(directory, &part, listed))
            .collect();
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn children(directory: &Path, pattern: &str, listed: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    if directory.is_dir() {
        listed.insert(directory.to_path_buf());
    }
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            (!name.starts_with('.') || pattern.starts_with('.')) && fits(pattern, &name)
        })
        .map(|entry| directory.join(entry.file_name()))
        .collect()
}

/// Whether a name fits a pattern, by the usual greedy walk that goes back to the last `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    p = *at + 1;
                    n = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_as_in_a_shell() {
        for (pattern, name, fit) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", true),
            ("*.yaml", "a.yml", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("?-*.y", "1-x.y", true),
            ("?", "", false),
            ("*", "", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn matches_are_sorted_and_skip_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", ".hidden.yaml", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let mut listed = BTreeSet::new();
        let found = matches(&dir.path().join("*.yaml"), &mut listed);
        assert_eq!(
            found,
            [dir.path().join("a.yaml"), dir.path().join("b.yaml")]
        );
        assert_eq!(listed.into_iter().collect::<Vec<_>>(), [dir.path()]);
    }
}
