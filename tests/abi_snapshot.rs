//! The C ABI as it was promised: every symbol with its types, every constant with its number, every struct with its layout for
//! pointers of 8 and 4 bytes, in `tests/snapshots/abi.txt`.
//!
//! What is there stays: apps were built with it. What is new is added to the snapshot by `UPDATE_ABI=1`, and from 1.0 on only
//! together with a higher `PKR_ABI_VERSION`. All of it is read from the header, which is generated (`tests/header.rs`).
#![allow(clippy::unwrap_used, missing_docs)]

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "abi/header.rs"]
mod header;
use header::{Declared, HEADER, declared, functions, lines, structs};

/// What is promised: a name, and what it is.
type Abi = BTreeMap<String, String>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Bytes, and so alignment, of a scalar for pointers of so many bytes. On 32-bit x86 a 64-bit number is aligned to 4; no library
/// is made for it.
fn scalar_bytes(kind: &str, pointer: usize) -> usize {
    match kind {
        _ if kind.ends_with('*') => pointer,
        "size_t" => pointer,
        "uint8_t" | "int8_t" => 1,
        "uint32_t" | "float" | "pkr_status" => 4,
        "uint64_t" | "int64_t" => 8,
        other => panic!("a field of type {other}: say here how large it is"),
    }
}

/// Offsets of the fields, the size and the alignment.
fn layout(fields: &[Declared], pointer: usize) -> (Vec<usize>, usize, usize) {
    let (mut offsets, mut end, mut align) = (Vec::new(), 0usize, 1);
    for field in fields {
        let bytes = scalar_bytes(&field.kind, pointer);
        end = end.next_multiple_of(bytes);
        offsets.push(end);
        end += bytes;
        align = align.max(bytes);
    }
    (offsets, end.next_multiple_of(align), align)
}

/// What a header promises.
fn read(header: &str) -> Abi {
    let (preprocessor, code) = lines(header);
    let mut abi = Abi::new();
    for define in preprocessor
        .iter()
        .filter_map(|line| line.strip_prefix("#define PKR_"))
    {
        let (name, value) = define.split_once(' ').unwrap();
        abi.insert(format!("constant PKR_{name}"), value.trim().to_owned());
    }
    for (name, fields) in structs(header) {
        let (wide, wide_size, wide_align) = layout(&fields, 8);
        let (narrow, narrow_size, narrow_align) = layout(&fields, 4);
        let size =
            format!("size {wide_size} or {narrow_size}, alignment {wide_align} or {narrow_align}");
        abi.insert(format!("struct {name}"), size);
        for (i, field) in fields.iter().enumerate() {
            let place = format!("{} at {} or {}", field.kind, wide[i], narrow[i]);
            abi.insert(format!("field {name}.{}", field.name), place);
        }
    }
    for (function, parameters) in functions(header) {
        let types: Vec<_> = parameters.into_iter().map(|p| p.kind).collect();
        let types = match types.is_empty() {
            true => "void".to_owned(),
            false => types.join(", "),
        };
        let what = format!("({types}) -> {}", function.kind);
        abi.insert(format!("function {}", function.name), what);
    }
    let aliases = code
        .iter()
        .filter_map(|line| line.strip_prefix("typedef ")?.strip_suffix(';'));
    for alias in aliases.map(declared) {
        abi.insert(format!("type {}", alias.name), alias.kind);
    }
    abi
}

fn text(abi: &Abi) -> String {
    let mut text = String::from(
        "# Made by UPDATE_ABI=1 cargo test --test abi_snapshot. Layouts are for pointers of 8 or 4 bytes.\n",
    );
    for (name, what) in abi {
        writeln!(text, "{name}: {what}").unwrap();
    }
    text
}

fn parse(text: &str) -> Abi {
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect()
}

/// Numbers in a text.
fn numbers(text: &str) -> Vec<u64> {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|d| d.parse().ok()).collect()
}

/// What was promised and is not kept, and what is new.
fn differences(promised: &Abi, now: &Abi) -> (Vec<String>, Vec<String>) {
    let (mut broken, mut added) = (Vec::new(), Vec::new());
    for (name, was) in promised {
        let Some(is) = now.get(name) else {
            broken.push(format!("removed: {name}: {was}"));
            continue;
        };
        let (old, new) = (numbers(was), numbers(is));
        // A struct grows at its end: struct_size tells versions apart. That of a pin has none.
        let grows = name.starts_with("struct ")
            && name != "struct pkr_pin"
            && new[..2] > old[..2]
            && new[2..] == old[2..];
        let raised = name == "constant PKR_ABI_VERSION" && new > old;
        if is == was {
            continue;
        } else if grows || raised {
            added.push(format!("grown: {name}: {was} -> {is}"));
        } else {
            broken.push(format!("changed: {name}: {was} -> {is}"));
        }
    }
    let new = now.iter().filter(|(name, _)| !promised.contains_key(*name));
    added.extend(new.map(|(name, is)| format!("added: {name}: {is}")));
    (broken, added)
}

/// Whether an update of the snapshot may be written.
fn may_update(promised: &Abi, now: &Abi, released: bool) -> Result<(), String> {
    let (broken, added) = differences(promised, now);
    let raised = |abi: &Abi| abi.get("constant PKR_ABI_VERSION").cloned();
    if released && !broken.is_empty() {
        return Err(format!(
            "since 1.0 nothing may change:\n{}",
            broken.join("\n")
        ));
    }
    if released && !added.is_empty() && raised(promised) == raised(now) {
        return Err(format!("raise PKR_ABI_VERSION for:\n{}", added.join("\n")));
    }
    Ok(())
}

#[test]
fn the_abi_is_as_promised() {
    let path = root().join("tests/snapshots/abi.txt");
    let now = read(HEADER);
    let promised = parse(&std::fs::read_to_string(&path).unwrap_or_default());
    if std::env::var_os("UPDATE_ABI").is_some_and(|v| v == "1") {
        let released = env!("CARGO_PKG_VERSION_MAJOR") != "0";
        may_update(&promised, &now, released).unwrap();
        std::fs::write(&path, text(&now)).unwrap();
        return;
    }
    let (broken, added) = differences(&promised, &now);
    assert!(
        broken.is_empty(),
        "apps that were built with this ABI would break. Before 1.0: UPDATE_ABI=1 and a line in CHANGELOG.md; since then \
         never: add a function or a field at the end instead.\n{}",
        broken.join("\n")
    );
    assert!(
        added.is_empty(),
        "new in the ABI: run UPDATE_ABI=1 cargo test --test abi_snapshot and raise PKR_ABI_VERSION (since 1.0, and then the \
         minor version too).\n{}",
        added.join("\n")
    );
    assert_eq!(promised, now);
}

/// Layouts and types that this file computes are those of compilers: of this machine, and of a 32-bit one where there is one.
#[test]
fn compilers_lay_structs_out_alike() {
    let abi = read(HEADER);
    let mut source = String::from("#include \"pocketrank.h\"\n");
    let mut say = |check: String| writeln!(source, "_Static_assert({check}, \"\");").unwrap();
    let pick = |wide, narrow| format!("(sizeof(void *) == 8 ? {wide}u : {narrow}u)");
    for (name, what) in &abi {
        let n = numbers(what.split(" at ").last().unwrap());
        if let Some(name) = name.strip_prefix("struct ") {
            say(format!("sizeof({name}) == {}", pick(n[0], n[1])));
            say(format!("_Alignof({name}) == {}", pick(n[2], n[3])));
        } else if let Some(field) = name.strip_prefix("field ") {
            let (of, field) = field.split_once('.').unwrap();
            let kind = what.split(" at ").next().unwrap();
            say(format!("offsetof({of}, {field}) == {}", pick(n[0], n[1])));
            say(format!("_Generic(&(({of} *)0)->{field}, {kind} *: 1)"));
        } else if let Some(name) = name.strip_prefix("constant ") {
            say(format!("{name} == {what}"));
        } else if let Some(name) = name.strip_prefix("function ") {
            let (arguments, result) = what.split_once(" -> ").unwrap();
            say(format!("_Generic(&{name}, {result} (*){arguments}: 1)"));
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi_snapshot.c");
    std::fs::write(&file, source).unwrap();
    for compiler in ["cc", "arm-linux-gnueabi-gcc"] {
        let run = Command::new(compiler)
            .args(["-std=c11", "-fsyntax-only", "-Werror", "-I"])
            .arg(root().join("include"))
            .arg(&file)
            .output();
        match run {
            Err(_) => println!("skipped: no {compiler}"),
            Ok(run) => assert!(
                run.status.success(),
                "{compiler}: {}",
                String::from_utf8_lossy(&run.stderr)
            ),
        }
    }
}

/// The promise can be broken: each change of a header is told, as what it is.
#[test]
fn every_kind_of_change_is_told() {
    let promised = read(HEADER);
    assert!(promised.len() > 300 && parse(&text(&promised)) == promised);
    let changed = |from: &str, to: &str| {
        assert!(HEADER.contains(from), "{from}");
        read(&HEADER.replacen(from, to, 1))
    };
    let rank = "pkr_status pkr_rank(const pkr_model *model,";
    let broken: [(&str, Abi, &str); 12] = [
        (
            "constant",
            changed("PKR_ERR_STALE_SUMS 512", "PKR_ERR_STALE_SUMS 515"),
            "changed: constant PKR_ERR_STALE_SUMS",
        ),
        (
            "no constant",
            changed("#define PKR_ERR_STALE 106", ""),
            "removed: constant PKR_ERR_STALE",
        ),
        (
            "lower version",
            changed("PKR_ABI_VERSION 1", "PKR_ABI_VERSION 0"),
            "changed: constant PKR_ABI_VERSION",
        ),
        (
            "renamed",
            changed("pkr_status pkr_rank(", "pkr_status pkr_rank2("),
            "removed: function pkr_rank",
        ),
        (
            "result",
            changed(rank, "uint64_t pkr_rank(const pkr_model *model,"),
            "changed: function pkr_rank",
        ),
        (
            "argument",
            changed(rank, "pkr_status pkr_rank(pkr_model *model,"),
            "changed: function pkr_rank",
        ),
        (
            "one more",
            changed(
                rank,
                "pkr_status pkr_rank(int more, const pkr_model *model,",
            ),
            "changed: function pkr_rank",
        ),
        (
            "field's type",
            changed("  int64_t time;", "  uint64_t time;"),
            "changed: field pkr_request.time",
        ),
        (
            "field in between",
            changed("  int64_t time;", "  uint64_t more;\n  int64_t time;"),
            "changed: field pkr_request.time",
        ),
        (
            "no field",
            changed("  uint32_t cut_lists;", ""),
            "removed: field pkr_result.cut_lists",
        ),
        (
            "order of fields",
            changed(
                "uint32_t position;",
                "uint32_t candidates;\n  uint32_t position;",
            ),
            "changed: struct pkr_pin",
        ),
        (
            "type of statuses",
            changed(
                "typedef uint32_t pkr_status;",
                "typedef int32_t pkr_status;",
            ),
            "changed: type pkr_status",
        ),
    ];
    for (name, now, told) in broken {
        let (broken, _) = differences(&promised, &now);
        assert!(
            broken.iter().any(|b| b.starts_with(told)),
            "{name}: {broken:?}"
        );
        assert!(may_update(&promised, &now, true).is_err(), "{name}");
        assert!(may_update(&promised, &now, false).is_ok(), "{name}");
    }
    let new = "uint32_t pkr_abi_version(void);";
    let added = [
        changed(
            new,
            "uint32_t pkr_abi_version(void);\nuint32_t pkr_more(void);",
        ),
        changed(
            "#define PKR_OK 0",
            "#define PKR_OK 0\n#define PKR_ERR_MORE 707",
        ),
        changed(
            "  size_t num_without;",
            "  size_t num_without;\n  size_t more;",
        ),
    ];
    for now in added {
        let (broken, added) = differences(&promised, &now);
        assert!(broken.is_empty() && !added.is_empty(), "{broken:?}");
        assert!(may_update(&promised, &now, true).is_err());
        let mut raised = now.clone();
        raised.insert("constant PKR_ABI_VERSION".into(), "2".into());
        assert!(may_update(&promised, &raised, true).is_ok());
        assert!(!differences(&promised, &raised).1.is_empty());
    }
    // Names of arguments and comments are not promised.
    let renamed = changed(
        "const pkr_model *model, pkr_model_information *out",
        "const pkr_model *m, pkr_model_information *to",
    );
    assert_eq!(renamed, promised);
}
