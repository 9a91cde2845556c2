//! The engine against `tests/oracle/score.py`, which was written from `docs/format.md` and `docs/numerics.md`: the same
//! i32 sums in every layer, the same score bits, the same order; and the same verdict on broken files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pocketrank::engine::{Column, Lists, Model, Request, Scratch};
use pocketrank::error::Status;
use pocketrank::format::seal;
use pocketrank::spec::TaskKind;

#[path = "oracle/agree.rs"]
mod agree;
#[path = "oracle/arithmetic.rs"]
mod arithmetic;
#[path = "oracle/column.rs"]
mod column;
#[path = "oracle/features.rs"]
mod features;
#[path = "oracle/limits.rs"]
mod limits;
#[path = "oracle/model.rs"]
mod model;
#[path = "oracle/networks.rs"]
mod networks;
#[path = "oracle/planted.rs"]
mod planted;
use agree::engine_and_oracle_agree;
use model::Random;

fn score_py() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/score.py")
}

/// What `python3 script arguments` prints; `None`, and a line that says so, on a machine without Python.
fn python(script: &Path, arguments: &[&Path]) -> Option<String> {
    let output = match Command::new("python3").arg(script).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: no python3");
            return None;
        }
        Err(error) => panic!("python3: {error}"),
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn oracle_knows_the_published_hash_vectors() {
    if let Some(printed) = python(&score_py(), &[Path::new("--self-test")]) {
        assert_eq!(printed, "Ok\n");
    }
}

#[test]
fn sums_score_bits_and_orders_equal_the_oracle_on_a_thousand_requests() {
    let strict = engine_and_oracle_agree(
        "every kind of feature",
        &features::every_feature(1),
        1000,
        3,
    );
    println!("strict answers: {strict:?}");
    for status in [Status::MissingValue, Status::NotFinite, Status::UnknownId] {
        assert!(
            strict.contains_key(&(status as u16)),
            "{status:?} is not among the answers"
        );
    }
}

#[test]
fn wide_and_shallow_models_equal_the_oracle() {
    engine_and_oracle_agree("wide", &features::wide(2), 20, 20);
    engine_and_oracle_agree("one layer, one expert", &features::shallow(3), 100, 11);
    engine_and_oracle_agree("two hashes", &features::two_hashes(5), 60, 11);
}

#[test]
fn every_network_gate_and_calibration_equals_the_oracle() {
    for (name, file) in networks::every_network(6) {
        engine_and_oracle_agree(name, &file, 40, 3);
    }
}

#[test]
fn the_largest_and_least_numbers_of_a_file_equal_the_oracle() {
    for seed in 0..3 {
        for (name, file) in networks::extremes(seed)
            .into_iter()
            .chain(networks::attention(seed))
        {
            engine_and_oracle_agree(&format!("extreme {name}"), &file, 10, 3);
        }
    }
}

#[test]
fn exported_models_equal_the_oracle() {
    for seed in 0..12 {
        let golden = pocketrank::train::golden::model(seed);
        engine_and_oracle_agree(&format!("golden {seed}"), &golden.bytes, 25, 3);
    }
}

#[test]
fn every_kind_of_head_equals_the_oracle() {
    for seed in 0..24 {
        let golden = pocketrank::train::golden::model(seed);
        let golden = pocketrank::train::golden::with_heads(&golden, seed);
        engine_and_oracle_agree(&format!("heads {seed}"), &golden.bytes, 12, 3);
    }
}

#[test]
fn quantiles_within_groups_equal_the_oracle() {
    let mut tasks = 0;
    for seed in 0..24 {
        let golden = pocketrank::train::golden::model(seed);
        let golden = pocketrank::train::golden::with_quantiles(&golden, seed);
        let kinds = golden.spec.tasks.iter().map(|t| t.kind);
        tasks += kinds
            .filter(|k| matches!(k, TaskKind::Quantile { .. }))
            .count();
        engine_and_oracle_agree(&format!("quantiles {seed}"), &golden.bytes, 12, 3);
        // What a formula reads is the quantity too.
        let golden = pocketrank::train::golden::with_formula(&golden, seed);
        engine_and_oracle_agree(&format!("formula of quantiles {seed}"), &golden.bytes, 6, 5);
    }
    assert!(tasks > 24, "{tasks}");
}

#[test]
fn two_levels_of_experts_equal_the_oracle() {
    for seed in 0..16 {
        let golden = pocketrank::train::golden::with_levels(seed);
        engine_and_oracle_agree(&format!("levels {seed}"), &golden.bytes, 12, 11);
    }
}

#[test]
fn attention_equals_the_oracle() {
    for seed in 0..16 {
        let golden = pocketrank::train::golden::attending(seed);
        engine_and_oracle_agree(&format!("attending {seed}"), &golden.bytes, 20, 11);
    }
    for seed in 0..6 {
        let (name, file) = networks::attending(seed);
        engine_and_oracle_agree(&format!("{name} {seed}"), &file, 20, 11);
    }
}

#[test]
fn formulas_equal_the_oracle() {
    for seed in 0..24 {
        let golden = pocketrank::train::golden::model(seed);
        let golden = pocketrank::train::golden::with_formula(&golden, seed);
        engine_and_oracle_agree(&format!("formula {seed}"), &golden.bytes, 12, 3);
    }
}

#[test]
fn networks_and_tasks_are_checked_by_engine_and_oracle() {
    let folder = tempfile::tempdir().unwrap();
    let files = limits::checked(7);
    for (i, (name, status, bytes)) in files.iter().enumerate() {
        let mut model = Box::new(Model::new());
        let answer = model.open(bytes, &Default::default());
        let ours = answer.map_or_else(|e| format!("{:?}", e.status), |()| "Ok".into());
        assert_eq!(ours, *status, "{name}");
        std::fs::write(folder.path().join(format!("{i:04}")), bytes).unwrap();
    }
    if let Some(printed) = python(&score_py(), &[Path::new("--check"), folder.path()]) {
        assert_eq!(printed.lines().count(), files.len());
        for (theirs, (name, status, _)) in printed.lines().zip(&files) {
            assert_eq!(theirs, *status, "{name}");
        }
    }
}

#[test]
fn engine_and_oracle_refuse_the_same_files() {
    refuse_the_same_files(&features::shallow(4), 1500);
    for (_, file) in networks::extremes(1) {
        refuse_the_same_files(&file, 150);
    }
    refuse_the_same_files(&networks::attending(1).1, 600);
    refuse_the_same_files(&limits::grouped_file(2), 600);
    refuse_the_same_files(&pocketrank::train::golden::with_levels(3).bytes, 600);
}

/// Changes `files` copies of a file at random.
fn refuse_the_same_files(good: &[u8], files: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(9);
    let mut names = Vec::new();
    // The oracle takes a list of files, since starting Python costs more than checking one.
    for i in 0..files {
        let mut bad = good.to_vec();
        // Metadata are few bytes among many: half of the changes go there.
        let part = if i % 2 == 0 {
            700.min(bad.len())
        } else {
            bad.len()
        };
        match random.below(12) {
            0 => bad.truncate(random.below(part)),
            1 => bad.insert(random.below(part), random.below(256) as u8),
            2 => drop(bad.remove(random.below(part))),
            _ => {
                for _ in 0..1 + random.below(2) {
                    let at = random.below(part);
                    bad[at] = if random.below(2) == 0 {
                        random.below(256) as u8
                    } else {
                        bad[at] ^ (1 << random.below(8))
                    };
                }
            }
        }
        if random.below(8) > 0 && bad.len() >= 64 {
            let length = bad.len() as u32;
            bad[20..24].copy_from_slice(&length.to_le_bytes());
            seal(&mut bad);
        }
        let mut model = Box::new(Model::new());
        model.open(good, &Default::default()).unwrap();
        let ours = match model.open(&bad, &Default::default()) {
            Ok(()) => "Ok".into(),
            Err(error) => {
                assert!(
                    model.spec().tasks.is_empty() && model.digest() == 0,
                    "nothing of before is left"
                );
                format!("{:?}", error.status)
            }
        };
        std::fs::write(folder.path().join(format!("{i:04}")), &bad).unwrap();
        names.push(ours);
    }
    if let Some(printed) = python(&score_py(), &[Path::new("--check"), folder.path()]) {
        let theirs: Vec<&str> = printed.lines().collect();
        assert_eq!(theirs.len(), names.len());
        let mut met = BTreeMap::new();
        for (i, (theirs, ours)) in theirs.iter().zip(&names).enumerate() {
            assert_eq!(theirs, ours, "file {i}");
            *met.entry(ours).or_insert(0) += 1;
        }
        println!("{met:?}");
        assert!(
            files < 1000 || met.len() >= 12,
            "the changes reach too few checks: {met:?}"
        );
    }
}

#[test]
fn weights_for_a_feature_without_weights_are_a_wrong_form() {
    let file = features::every_feature(5);
    let mut model = Box::new(Model::new());
    model.open(&file, &Default::default()).unwrap();
    for (name, status) in [("words", Status::WrongForm), ("tags", Status::ColumnLength)] {
        let feature = model.spec().feature(name).unwrap();
        let mut columns = vec![Column::Missing; feature + 1];
        let lists = Lists {
            offsets: &[0, 2],
            weights: Some(&[1.0]),
        };
        columns[feature] = Column::Rows {
            rows: &[0, 1],
            lists: Some(lists),
        };
        let request = Request {
            num_candidates: 1,
            columns: &columns,
            ..Request::default()
        };
        let mut scratch = Scratch {
            floats: &mut [],
            bytes: &mut [],
        };
        let error = model
            .trace(&request, 0, &mut scratch, &mut |_| ())
            .unwrap_err();
        assert_eq!(
            (error.status, error.feature),
            (status, feature as u32),
            "{name}"
        );
    }
}
