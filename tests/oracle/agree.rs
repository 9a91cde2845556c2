//! Random requests to the engine and to a script, and everything that both say about them, compared.

use std::collections::BTreeMap;
use std::path::Path;

use pocketrank::engine::{Column, Model, Output, Request, Scratch, Trace};
use pocketrank::features::{Event, Key, hash_int, key_features};
use pocketrank::spec::{Layer, Side};
use serde_json::{Value, json};

use super::column::{Owned, random_column};
use super::model::Random;
use super::{bits, hex, python, score_py};

fn layer_name(layer: Layer) -> String {
    match layer {
        Layer::First { group, side } => format!("first {}", side_name(group, side)),
        Layer::Expert { expert, layer } => format!("expert {expert} {layer}"),
        Layer::Gate { task, layer } => format!("gate {task} {layer}"),
        Layer::Tower { task, layer } => format!("tower {task} {layer}"),
        Layer::Head { task } => format!("head {task}"),
        Layer::UpperExpert { expert, layer } => format!("upper expert {expert} {layer}"),
        Layer::UpperGate { task, layer } => format!("upper gate {task} {layer}"),
    }
}

/// As the oracle calls a side of a group.
fn side_name(group: usize, side: Side) -> String {
    let side = ["user", "item", "candidate", "cross"][side as usize];
    format!("{group} {side}")
}

/// Ranks `requests` random requests of up to `candidates` candidates, and compares everything with the oracle.
pub fn engine_and_oracle_agree(
    name: &str,
    file: &[u8],
    requests: usize,
    candidates: usize,
) -> BTreeMap<u16, usize> {
    engine_and_script_agree(&score_py(), name, file, requests, candidates)
}

/// The same with another script; what strict requests were answered, and how often.
pub fn engine_and_script_agree(
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
