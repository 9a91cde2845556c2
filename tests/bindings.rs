//! Every function and every status of the C header is in the C smoke test and in each wrapper, statuses with their numbers: who
//! adds one to the header is told here which wrappers don't have it yet.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A wrapper: its name, its sources (files, or folders of files with one of the endings), how its comments begin.
struct Binding {
    name: &'static str,
    sources: &'static [&'static str],
    endings: &'static [&'static str],
    comment: &'static str,
}

const BINDINGS: [Binding; 6] = [
    Binding {
        name: "C smoke test",
        sources: &["tests/abi/smoke.c"],
        endings: &["c"],
        comment: "//",
    },
    Binding {
        name: "C++",
        sources: &["include/pocketrank.hpp", "include/pocketrank"],
        endings: &["hpp"],
        comment: "//",
    },
    Binding {
        name: "Kotlin",
        sources: &["ffi/src/jni.rs", "ffi/src/jni", "ffi/kotlin/src/main"],
        endings: &["rs", "kt"],
        comment: "//",
    },
    Binding {
        name: "Swift",
        sources: &["ffi/swift/Sources"],
        endings: &["swift"],
        comment: "//",
    },
    Binding {
        name: "JavaScript",
        sources: &["ffi/wasm"],
        endings: &["js"],
        comment: "//",
    },
    Binding {
        name: "Python",
        sources: &["ffi/python/src"],
        endings: &["py"],
        comment: "#",
    },
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Texts of all source files below `path`, built and installed ones left out.
fn gather(path: &Path, endings: &[&str], into: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for entry in entries {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if !["node_modules", "build", "dist", "test", "tests"].contains(&name.as_str())
                && !name.starts_with('.')
            {
                gather(&entry, endings, into);
            }
        }
    } else if path
        .extension()
        .is_some_and(|e| endings.iter().any(|w| e == *w))
    {
        into.push((path.to_owned(), read(path)));
    }
}

/// A text without its comments, those of whole lines and ends of lines and those between `/*` and `*/`.
fn code(text: &str, comment: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.lines()
        .map(|line| line.split(comment).next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// Functions that the header declares.
fn functions() -> Vec<String> {
    let header = code(&read(&root().join("include/pocketrank.h")), "//");
    let mut names: Vec<String> = header
        .split(|c: char| !is_word(c) && c != '(')
        .filter_map(|word| {
            word.strip_prefix("pkr_")
                .and_then(|w| w.split_once('('))
                .map(|(name, _)| format!("pkr_{name}"))
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A name without what languages do differently: `PKR_ERR_STALE_SUMS`, `STALE_SUMS`, `staleSums` are one.
fn plain(name: &str) -> String {
    let name = name
        .strip_prefix("PKR_ERR_")
        .or_else(|| name.strip_prefix("PKR_"))
        .unwrap_or(name);
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

/// Statuses of the header by number.
fn statuses() -> BTreeMap<u32, String> {
    let header = read(&root().join("include/pocketrank.h"));
    header
        .lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("#define ")?.split(' ');
            let (name, number) = (words.next()?, words.next()?);
            (name == "PKR_OK" || name.starts_with("PKR_ERR_"))
                .then(|| (number.parse().unwrap(), plain(name)))
        })
        .collect()
}

/// The list of statuses in a source: lines of a name and a number, `STALE_SUMS(512)`, `case staleSums = 512`, `STALE_SUMS: 512`.
fn listed(text: &str) -> BTreeMap<u32, String> {
    text.lines()
        .filter_map(|line| {
            let line = line
                .trim()
                .trim_start_matches("case ")
                .trim_end_matches([',', ';', ')']);
            let (name, number) = line.split_once(['(', '=', ':'])?;
            let name = name.trim();
            let number: u32 = number.trim().parse().ok()?;
            (name.chars().all(is_word) && (number == 0 || (101..1000).contains(&number)))
                .then(|| (number, plain(name)))
        })
        .collect()
}

fn sources(binding: &Binding) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for source in binding.sources {
        let before = found.len();
        gather(&root().join(source), binding.endings, &mut found);
        assert!(
            found.len() > before,
            "{}: no sources in {source}",
            binding.name
        );
    }
    found
}

#[test]
fn every_binding_calls_every_function() {
    let functions = functions();
    let header = code(&read(&root().join("include/pocketrank.h")), "//");
    let types: HashSet<&str> = words(&header)
        .filter(|word| word.starts_with("pkr_"))
        .collect();
    assert!(
        functions.len() > 40 && functions.contains(&"pkr_rank".to_owned()),
        "{functions:?}"
    );
    for binding in &BINDINGS {
        let text: String = sources(binding)
            .iter()
            .map(|(_, text)| code(text, binding.comment) + "\n")
            .collect();
        let used: HashSet<&str> = words(&text).collect();
        let missing: Vec<_> = functions
            .iter()
            .filter(|f| !used.contains(f.as_str()))
            .collect();
        assert!(
            missing.is_empty(),
            "{} does not call {missing:?}",
            binding.name
        );
        // A name of the library that is followed by arguments and is neither a type of the header nor a function of the wrapper's own.
        let unknown: Vec<_> = used
            .iter()
            .filter(|word| word.starts_with("pkr_") && text.contains(&format!("{word}(")))
            .filter(|word| !functions.iter().any(|f| f == *word) && !types.contains(**word))
            .filter(|word| !text.contains(&format!("fn {word}(")))
            .collect();
        assert!(
            unknown.is_empty(),
            "{} calls {unknown:?}, which the header does not have",
            binding.name
        );
    }
}

#[test]
fn every_binding_has_every_status_and_no_other() {
    let statuses = statuses();
    assert!(
        statuses.len() > 50 && statuses[&0] == "ok" && statuses[&512] == "stalesums",
        "{statuses:?}"
    );
    for binding in &BINDINGS {
        if binding.name == "C smoke test" {
            // By name: the numbers are those of the header that it includes.
            let text: String = sources(binding)
                .iter()
                .map(|(_, text)| code(text, binding.comment) + "\n")
                .collect();
            let used: HashSet<String> = words(&text)
                .filter(|w| w.starts_with("PKR_"))
                .map(plain)
                .collect();
            let missing: Vec<_> = statuses
                .values()
                .filter(|name| !used.contains(*name))
                .collect();
            assert!(missing.is_empty(), "{} lacks {missing:?}", binding.name);
            continue;
        }
        let sources = sources(binding);
        let (path, list) = sources
            .iter()
            .map(|(path, text)| (path, listed(&code(text, binding.comment))))
            .find(|(_, list)| list.get(&512).is_some_and(|name| name == "stalesums"))
            .unwrap_or_else(|| {
                panic!(
                    "{}: no file lists the statuses with their numbers",
                    binding.name
                )
            });
        assert_eq!(list, statuses, "{}: {}", binding.name, path.display());
    }
}

#[test]
fn the_guide_has_advice_for_every_status() {
    let guide = read(&root().join("ffi/README.md"));
    let header = read(&root().join("include/pocketrank.h"));
    for line in header
        .lines()
        .filter(|line| line.starts_with("#define PKR_ERR_"))
    {
        let mut words = line.trim_start_matches("#define PKR_ERR_").split(' ');
        let (name, number) = (words.next().unwrap(), words.next().unwrap());
        let entry = format!("{number} `{name}`");
        assert!(guide.contains(&entry), "ffi/README.md has no {entry}");
    }
}

/// Sizes as `ffi/sizes.sh` found them are those that are advertised.
#[test]
fn the_readme_has_the_sizes_of_the_snapshot() {
    let readme = read(&root().join("README.md")).replace(',', "");
    let snapshot = read(&root().join("tests/snapshots/sizes"));
    let mut rows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in snapshot.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        rows.entry(fields[0]).or_default().push(fields[2]);
    }
    assert_eq!(rows.len(), 8);
    for (target, sizes) in rows {
        let row = format!("| {target} | {} |", sizes.join(" | "));
        assert!(
            readme.contains(&row),
            "README.md has no {row}: ffi/sizes.sh prints the table"
        );
    }
}
