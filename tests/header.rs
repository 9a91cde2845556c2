//! `include/pocketrank.h` is what cbindgen makes of `src/ffi`, and compilers accept it.
#![cfg(feature = "ffi")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const SOURCES: [&str; 10] = [
    "status", "model", "info", "scratch", "formula", "rank", "state", "session", "fusion", "rerank",
];
const FLAGS: [&str; 6] = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Werror",
    "-fsyntax-only",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What cbindgen makes of the sources, and the header as it is committed, which `UPDATE_HEADER=1` rewrites: once, before any test
/// looks at it.
fn headers() -> &'static (String, String) {
    static HEADERS: OnceLock<(String, String)> = OnceLock::new();
    HEADERS.get_or_init(|| {
        let generated = generate();
        let path = root().join("include/pocketrank.h");
        if std::env::var_os("UPDATE_HEADER").is_some_and(|v| v == "1") {
            std::fs::write(&path, &generated).unwrap();
        }
        (generated, std::fs::read_to_string(&path).unwrap())
    })
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("ffi/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join(format!("src/ffi/{source}.rs")));
    }
    let mut generated = Vec::new();
    builder.generate().unwrap().write(&mut generated);
    // Rust's heading for what an unsafe function asks of its caller, in words that a C programmer expects.
    String::from_utf8(generated)
        .unwrap()
        .replace("# Safety", "The caller promises:")
}

#[test]
fn header_is_what_the_sources_say() {
    let (generated, committed) = headers();
    assert!(
        committed == generated,
        "include/pocketrank.h is stale: UPDATE_HEADER=1 cargo test --features ffi --test header"
    );
}

/// Every function of the ABI, from the sources, is in the header, and no other.
#[test]
fn header_declares_exactly_the_exported_functions() {
    let (_, header) = headers();
    let mut exported = Vec::new();
    for source in SOURCES {
        let text = std::fs::read_to_string(root().join(format!("src/ffi/{source}.rs"))).unwrap();
        for after in text.split("#[unsafe(no_mangle)]").skip(1) {
            let name = after
                .split("fn ")
                .nth(1)
                .unwrap()
                .split('(')
                .next()
                .unwrap();
            exported.push(name.to_owned());
        }
    }
    let mut declared: Vec<String> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '*']) && line.contains('('))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .map(str::to_owned)
        .collect();
    exported.sort();
    declared.sort();
    assert_eq!(exported, declared);
    assert!(exported.iter().all(|name| name.starts_with("pkr_")));
}

/// Runs `compiler` on a file; `None` if there is no such compiler.
fn compile(compiler: &str, standard: &str, file: &Path) -> Option<Result<(), String>> {
    let output = Command::new(compiler)
        .args(FLAGS)
        .arg(format!("-std={standard}"))
        .arg("-I")
        .arg(root().join("include"))
        .arg(file)
        .output()
        .ok()?;
    Some(match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    })
}

#[test]
fn compilers_accept_the_header_without_a_warning() {
    headers();
    let layout = root().join("tests/abi/layout.c");
    let only_header = root().join("tests/abi/header.c");
    let [example, threads, session, rerank, memory] =
        ["rank", "threads", "session", "rerank", "memory"]
            .map(|name| root().join(format!("examples/c/{name}.c")));
    let cases: [(&str, &str, &[&Path]); 6] = [
        (
            "gcc",
            "c99",
            &[&only_header, &example, &threads, &session, &rerank, &memory],
        ),
        ("gcc", "c11", &[&layout, &example]),
        ("g++", "c++17", &[&layout]),
        ("clang", "c99", &[&only_header, &example]),
        ("clang", "c11", &[&layout, &example]),
        ("clang++", "c++17", &[&layout]),
    ];
    for (compiler, standard, files) in cases {
        for file in files {
            match compile(compiler, standard, file) {
                None => println!("skipped: no {compiler}"),
                Some(outcome) => {
                    outcome.unwrap_or_else(|e| panic!("{compiler} {standard} {file:?}:\n{e}"));
                }
            }
        }
    }
}
