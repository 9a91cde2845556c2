//! The engine against `tests/oracle/score.py`, which was written from `docs/format.md` and `docs/numerics.md`: the same
//! i32 sums in every layer, the same score bits, the same order; and the same verdict on broken files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pocketrank::engine::{Column, Lists, Model, Output, Request, Scratch, Trace};
use pocketrank::error::Status;
use pocketrank::features::{Event, Key, hash_int, hash_text, key_features};
use pocketrank::format::seal;
use pocketrank::spec::{Encoding, IdType, Layer, Lookup, Side, Source, Spec};
use serde_json::{Value, json};

#[path = "oracle/arithmetic.rs"]
mod arithmetic;
#[path = "oracle/features.rs"]
mod features;
#[path = "oracle/limits.rs"]
mod limits;
#[path = "oracle/model.rs"]
mod model;
#[path = "oracle/networks.rs"]
mod networks;
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

/// A column that owns its values.
#[derive(Default)]
struct Owned {
    ids: Option<Vec<u64>>,
    rows: Option<Vec<u32>>,
    text: Option<Vec<Vec<u8>>>,
    floats: Option<Vec<f32>>,
    bytes: Option<Vec<u8>>,
    offsets: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
    utf8: Vec<u8>,
    ends: Vec<u32>,
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Owned {
    fn seal(mut self) -> Self {
        self.ends = vec![0];
        for text in self.text.iter().flatten() {
            self.utf8.extend_from_slice(text);
            self.ends.push(self.utf8.len() as u32);
        }
        self
    }

    fn column(&self) -> Column<'_> {
        let weights = self.weights.as_deref();
        let lists = self
            .offsets
            .as_deref()
            .map(|offsets| Lists { offsets, weights });
        if let Some(ids) = &self.ids {
            Column::Ids { ids, lists }
        } else if let Some(rows) = &self.rows {
            Column::Rows { rows, lists }
        } else if self.text.is_some() {
            let (utf8, offsets) = (&self.utf8, &self.ends);
            Column::Text {
                utf8,
                offsets,
                lists,
            }
        } else if let Some(floats) = &self.floats {
            Column::Floats(floats)
        } else if let Some(bytes) = &self.bytes {
            Column::Bytes(bytes)
        } else {
            Column::Missing
        }
    }

    fn json(&self) -> Value {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.into(), value);
            }
        };
        put("ids", self.ids.as_ref().map(|x| json!(x)));
        put("rows", self.rows.as_ref().map(|x| json!(x)));
        let text = self.text.as_ref();
        put(
            "text",
            text.map(|x| json!(x.iter().map(|t| hex(t)).collect::<Vec<_>>())),
        );
        put("floats", self.floats.as_ref().map(|x| json!(bits(x))));
        put("bytes", self.bytes.as_ref().map(|x| json!(hex(x))));
        put("offsets", self.offsets.as_ref().map(|x| json!(x)));
        put("weights", self.weights.as_ref().map(|x| json!(bits(x))));
        if map.is_empty() {
            Value::Null
        } else {
            Value::Object(map)
        }
    }
}

/// Numbers that try every path: far out, on and around 0, not finite, missing, subnormal.
fn any_float(random: &mut Random) -> f32 {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        1e30,
        -1e30,
        0.41,
        0.42,
    ];
    match random.below(4) {
        0 => odd[random.below(odd.len())],
        1 => random.float(-2.0, 2.0),
        _ => random.float(-1.0, 300.0),
    }
}

/// A column of random values for feature `i`, unknown, missing and out-of-range ones included.
fn random_column(spec: &Spec<'_>, i: usize, candidates: usize, random: &mut Random) -> Owned {
    let feature = &spec.features[i];
    if feature.source != Source::Column || random.below(10) == 0 {
        return Owned::default();
    }
    let values = if feature.side == Side::User {
        1
    } else {
        candidates
    };
    let mut owned = Owned::default();
    let table = match feature.encoding {
        Encoding::Number { .. } => {
            owned.floats = Some((0..values).map(|_| any_float(random)).collect());
            return owned;
        }
        Encoding::Vector { dim, .. } => {
            let bytes = values * usize::from(dim);
            owned.bytes = Some((0..bytes).map(|_| random.below(128) as u8).collect());
            return owned;
        }
        Encoding::Row { table, .. } => &spec.tables[usize::from(table)],
        Encoding::Rows { table, .. } => &spec.tables[usize::from(table)],
    };
    let mut count = values;
    if let Encoding::Rows {
        weighted, max_len, ..
    } = feature.encoding
    {
        let mut offsets = vec![0];
        for _ in 0..values {
            let len = random.below(usize::from(max_len) + 3);
            offsets.push(offsets[offsets.len() - 1] + len as u32);
        }
        count = offsets[values] as usize;
        if weighted && random.below(3) > 0 {
            let odd = [f32::NAN, -1.0, 2.0, 1.0, 0.0, f32::INFINITY];
            owned.weights = Some(
                (0..count)
                    .map(|_| {
                        if random.below(5) == 0 {
                            odd[random.below(6)]
                        } else {
                            random.float(0.0, 1.0)
                        }
                    })
                    .collect(),
            );
        }
        if feature.side != Side::User || owned.weights.is_some() || random.below(2) == 0 {
            owned.offsets = Some(offsets);
        }
    }
    let text = matches!(
        table.lookup,
        Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text)
    );
    let id = |random: &mut Random| random.below(2 * model::VOCABULARY) as u64;
    match random.below(3) {
        // A resolved row cannot tell the id that others are made of.
        0 if !spec.is_part(i) => {
            owned.rows = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Column::NO_ROW,
                        _ => random.below(table.num_embeddings as usize + 2) as u32,
                    })
                    .collect(),
            );
        }
        1 if text => {
            owned.text = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Vec::new(),
                        _ => model::text(id(random)),
                    })
                    .collect(),
            );
        }
        _ => {
            owned.ids = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Column::NO_ID,
                        _ if text => hash_text(&model::text(id(random))),
                        _ => id(random),
                    })
                    .collect(),
            );
        }
    }
    owned.seal()
}

fn layer_name(layer: Layer) -> String {
    match layer {
        Layer::First { group, side } => format!("first {}", side_name(group, side)),
        Layer::Expert { expert, layer } => format!("expert {expert} {layer}"),
        Layer::Gate { task, layer } => format!("gate {task} {layer}"),
        Layer::Tower { task, layer } => format!("tower {task} {layer}"),
        Layer::Head { task } => format!("head {task}"),
    }
}

/// As the oracle calls a side of a group.
fn side_name(group: usize, side: Side) -> String {
    let side = ["user", "item", "candidate", "cross"][side as usize];
    format!("{group} {side}")
}

/// Ranks `requests` random requests of up to `candidates` candidates, and compares everything with the oracle.
fn engine_and_oracle_agree(
    name: &str,
    file: &[u8],
    requests: usize,
    candidates: usize,
) -> BTreeMap<u16, usize> {
    engine_and_script_agree(&score_py(), name, file, requests, candidates)
}

/// The same with another script; what strict requests were answered, and how often.
fn engine_and_script_agree(
    script: &Path,
    name: &str,
    file: &[u8],
    requests: usize,
    candidates: usize,
) -> BTreeMap<u16, usize> {
    let mut model = Box::new(Model::new());
    model.open(file, &Default::default()).unwrap();
    let spec = model.spec();
    let mut random = Random::new(requests as u64);
    let (mut lines, mut ours) = (String::new(), Vec::new());
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        let n = 1 + random.below(candidates);
        let columns: Vec<Owned> = (0..spec.features.len())
            .map(|i| random_column(spec, i, n, &mut random))
            .collect();
        let mut state = vec![0; model.state_bytes()];
        model.state_reset(&mut state).unwrap();
        let (mut events, mut time) = (Vec::new(), 1_700_000_000);
        let most = if spec.labels.is_empty() { 1 } else { 10 };
        for _ in 0..random.below(most) {
            time += [0, 1, 60, 3_600, 1 << 22, -30][random.below(6)];
            let mut keys = Vec::new();
            for feature in key_features(spec) {
                if random.below(5) > 0 {
                    let (feature, hash) = (feature as u8, hash_int(random.below(9) as u64));
                    keys.push(Key { feature, hash });
                }
            }
            let value = [
                0.0,
                1.0,
                1.0,
                random.float(0.0, 90.0),
                -3.0,
                1e-40,
                f32::INFINITY,
            ][random.below(7)];
            let label = random.below(spec.labels.len()) as u8;
            model
                .state_apply(
                    &mut state,
                    &Event {
                        time,
                        label,
                        value,
                        keys: &keys,
                    },
                )
                .unwrap();
            let keys: Vec<_> = keys.iter().map(|k| (k.feature, k.hash)).collect();
            events.push(
                json!({"time": time, "label": label, "value": value.to_bits(), "keys": keys}),
            );
        }
        let weights: Option<Vec<f32>> = (random.below(3) == 0).then(|| match model.formula() {
            Some(formula) => {
                let weights = formula.weights().iter();
                weights.map(|w| random.float(w.least, w.most)).collect()
            }
            None => {
                let terms = spec.fusion.iter();
                terms.map(|_| random.float(-2.0, 2.0)).collect()
            }
        });
        let views: Vec<Column<'_>> = columns.iter().map(Owned::column).collect();
        let request = Request {
            num_candidates: n,
            columns: &views,
            state: (!events.is_empty()).then_some(&state),
            time: time + random.below(100_000) as i64 - 10,
            weights: weights.as_deref(),
            max_candidates: if random.below(4) == 0 {
                1 + random.below(n)
            } else {
                0
            },
            ..Request::default()
        };
        let line = json!({
            "candidates": n, "time": request.time, "state": request.state.map(hex), "events": events,
            "weights": weights.as_deref().map(bits), "max_candidates": request.max_candidates,
            "columns": columns.iter().map(Owned::json).collect::<Vec<_>>(),
        });
        lines += &format!("{line}\n");

        let need = model.scratch_len(n);
        // What scratch holds must not matter.
        let (mut floats, mut bytes) = (vec![f32::NAN; need.floats], vec![0xAA; need.bytes]);
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let tasks = spec.tasks.len();
        let (mut order, mut fused, mut scores) = (vec![0; n], vec![0.0; n], vec![0.0; n * tasks]);
        let mut output = Output {
            order: &mut order,
            fused: &mut fused,
            scores: &mut scores,
            terms: &mut [],
        };
        let summary = model.rank(&request, &mut scratch, &mut output).unwrap();
        let scored = summary.scored as usize;
        let (mut inputs, mut sums) = (Vec::new(), Vec::new());
        for candidate in 0..scored {
            let mut sides = BTreeMap::new();
            let mut layers: BTreeMap<String, Vec<i32>> = BTreeMap::new();
            let mut see = |step: Trace<'_>| match step {
                Trace::Inputs(group, side, bytes) => {
                    drop(sides.insert(side_name(group, side), hex(bytes)));
                }
                Trace::Sums {
                    layer,
                    output,
                    sums,
                } => {
                    let all = layers.entry(layer_name(layer)).or_default();
                    assert_eq!(all.len(), output);
                    all.extend_from_slice(sums);
                }
                Trace::Scores(traced) => {
                    assert_eq!(
                        bits(traced),
                        bits(&scores[candidate * tasks..][..tasks]),
                        "trace = rank"
                    );
                }
            };
            model
                .trace(&request, candidate, &mut scratch, &mut see)
                .unwrap();
            inputs.push(sides);
            sums.push(layers);
        }
        let scores: Vec<_> = scores.chunks(tasks).take(scored).map(bits).collect();
        let counters = [
            summary.missing,
            summary.not_finite,
            summary.unknown_ids,
            summary.cut_lists,
        ];
        let strict = Request {
            strict: true,
            ..request
        };
        let mut output = Output {
            order: &mut [],
            fused: &mut [],
            scores: &mut [],
            terms: &mut [],
        };
        let strict = model.rank(&strict, &mut scratch, &mut output).err();
        *answers
            .entry(strict.map_or(0, |e| e.status as u16))
            .or_insert(0) += 1;
        let strict = strict.map(|e| (e.status as u16, e.feature, e.candidate));
        let out = json!({"scores": scores, "fused": bits(&fused), "order": order, "inputs": inputs,
            "counters": counters, "strict": strict});
        ours.push((out, sums, hex(&state)));
    }

    let folder = tempfile::tempdir().unwrap();
    let (model_path, request_path) = (
        folder.path().join("model.pkr"),
        folder.path().join("requests.jsonl"),
    );
    std::fs::write(&model_path, file).unwrap();
    std::fs::write(&request_path, lines).unwrap();
    let Some(printed) = python(script, &[&model_path, &request_path]) else {
        return answers;
    };
    assert_eq!(printed.lines().count(), requests);
    for (i, (line, (ours, sums, state))) in printed.lines().zip(&ours).enumerate() {
        let theirs: Value = serde_json::from_str(line).unwrap();
        for key in ["inputs", "scores", "fused", "order", "counters", "strict"] {
            if key == "scores" {
                // Sums first: they say which layer differs.
                let all = theirs["sums"].as_array().unwrap();
                assert_eq!(all.len(), sums.len());
                for (theirs, ours) in all.iter().zip(sums) {
                    assert_eq!(
                        theirs.as_object().unwrap().len(),
                        ours.len(),
                        "{name}, request {i}: layers"
                    );
                    for (layer, ours) in ours {
                        let theirs: Vec<i32> =
                            serde_json::from_value(theirs[layer].clone()).unwrap();
                        assert_eq!(
                            theirs,
                            ours[..theirs.len()],
                            "{name}, request {i}: sums of {layer}"
                        );
                        assert!(ours.len() < theirs.len() + 16);
                    }
                }
            }
            assert_eq!(theirs[key], ours[key], "{name}, request {i}: {key}");
        }
        assert_eq!(theirs["state"], **state, "{name}, request {i}: state");
    }
    answers
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
