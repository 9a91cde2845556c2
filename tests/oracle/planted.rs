//! Proof that the comparison sees small errors of the network: they are planted in copies of the oracle.

use std::path::Path;

use pocketrank::train::golden;

use super::agree::engine_and_script_agree;
use super::{networks, python, score_py};

/// Places of the network in the oracle, and an error for each.
const NETWORK_PLANTS: &[(&str, &str)] = &[
    ("first_layers[e][:width] if", "first_layers[0][:width] if"),
    (
        "return outputs[0 if network[\"kind\"] == \"shared_bottom\" else t]",
        "return outputs[0]",
    ),
    (
        "self.zero_points[table][group])",
        "self.zero_points[table][0])",
    ),
    (
        "enumerate(self.model.zero_points[table][group])",
        "enumerate(self.model.zero_points[table][0])",
    ),
    (
        "[self.model.rows[table][row][group][j] for",
        "[self.model.rows[table][row][0][j] for",
    ),
    (
        "return model.rows[e[\"table\"]][row][group]",
        "return model.rows[e[\"table\"]][row][0]",
    ),
    ("[self.bucket(i, raw)][group]", "[self.bucket(i, raw)][0]"),
    ("model.first_bias[group])", "model.first_bias[0])"),
    (
        "start = experts * width + t * size",
        "start = experts * width",
    ),
    ("[relu(x) for x in u])", "list(u))"),
    (
        "logits = u if network",
        "u = [relu(x) for x in u]\n        logits = u if network",
    ),
    (
        "for q, k in zip(query, key):",
        "for q, k in reversed(list(zip(query, key))):",
    ),
    ("q = clamp(q, -MOST, MOST)", "q = min(q, MOST)"),
    ("q = clamp(q, -MOST, MOST)", "q = max(q, -MOST)"),
    ("abs(q) < LEAST or k < LEAST else", "abs(q) < LEAST else"),
    ("abs(q) < LEAST or k < LEAST else", "k < LEAST else"),
    ("abs(q) < LEAST or", "q < LEAST or"),
    ("else f32(q * k))", "else q * k)"),
    (
        "total = f32(total + (0.0 if abs(q) < LEAST or k < LEAST else f32(q * k)))",
        "total = total + (0.0 if abs(q) < LEAST or k < LEAST else f32(q * k))",
    ),
    (
        "z = clamp(logit, -30.0, 30.0)",
        "z = clamp(logit, -30.0, 30.5)",
    ),
    (
        "z = clamp(logit, -30.0, 30.0)",
        "z = clamp(logit, -30.5, 30.0)",
    ),
    ("return z if abs(z) >= LEAST else 0.0", "return z"),
    (
        "return z if abs(z) >= LEAST else 0.0",
        "return z if z >= LEAST else 0.0",
    ),
    ("if value == \"probability\":", "if value == \"logit\":"),
    (
        "fed_value(logit(fed[\"task\"]), fed[\"value\"]) for",
        "fed_value(link(tasks[fed[\"task\"]], model.curves[fed[\"task\"]], logit(fed[\"task\"])), fed[\"value\"]) for",
    ),
    (
        "if l == 0 else [], values)",
        "if name == f\"head {t}\" else [], values)",
    ),
    (
        "if l == 0 else [], values)",
        "if l == 0 else [], reversed(values))",
    ),
    (
        "zip(model.fed[t] if l == 0 else [], values)",
        "reversed(list(zip(model.fed[t] if l == 0 else [], values)))",
    ),
    (
        "rounded([w * value for w in weights[: len(a)]])",
        "[w * value for w in weights[: len(a)]]",
    ),
    ("clamp(logit, -1e6, 1e6)", "clamp(logit, -1e6, 2e6)"),
    ("clamp(logit, -1e6, 1e6)", "clamp(logit, -2e6, 1e6)"),
    (
        "f32(f32(clamp(logit, -1e6, 1e6) * calibration[\"scale\"]) + ",
        "f32(clamp(logit, -1e6, 1e6) * calibration[\"scale\"] + ",
    ),
    ("if logit < knots[0][0]:", "if logit < knots[1][0]:"),
    ("return knots[-1][1]", "return 1.0"),
    (
        "ratio = f32(f32(logit - x0) / f32(x1 - x0))",
        "ratio = f32(f32(logit - x0) / (x1 - x0))",
    ),
    (
        "ratio = f32(f32(logit - x0) / f32(x1 - x0))",
        "ratio = f32((logit - x0) / f32(x1 - x0))",
    ),
    (
        "ratio = f32(f32(logit - x0) / f32(x1 - x0))",
        "ratio = f32(logit - x0) / f32(x1 - x0)",
    ),
    (
        "f32(y0 + f32(f32(y1 - y0) * ratio))",
        "f32(y0 + f32(y1 - y0) * ratio)",
    ),
    (
        "f32(y0 + f32(f32(y1 - y0) * ratio))",
        "f32(y0 + f32((y1 - y0) * ratio))",
    ),
    (
        "f32(y0 + f32(f32(y1 - y0) * ratio))",
        "f32(f32(y0 * f32(1.0 - ratio)) + f32(y1 * ratio))",
    ),
];

/// Places of attention in the oracle, and an error for each.
const ATTENTION_PLANTS: &[(&str, &str)] = &[
    (
        "projected(query, self.column_row",
        "projected(key, self.column_row",
    ),
    (
        "k, k_scale = projected(key, row, 127.0)",
        "k, k_scale = projected(query, row, 127.0)",
    ),
    ("candidate, default), 63.0)", "candidate, default), 62.0)"),
    ("projected(key, row, 127.0)", "projected(key, row, 126.0)"),
    (
        "+ zero) * scale) for w, scale, zero",
        ") * scale) for w, scale, zero",
    ),
    ("top = max(map(abs, values))", "top = max(values)"),
    (
        "return [0] * len(values), 0.0",
        "return [1] * len(values), 1.0",
    ),
    ("f32(k_scale * q_scale)))", "k_scale))"),
    (
        "weights = softmax(logits)\n",
        "weights = softmax(list(reversed(logits)))\n",
    ),
    (
        "divide_even(sum(map(mul, weights, column)), 32768) for",
        "sum(map(mul, weights, column)) // 32768 for",
    ),
    (
        "return bytes(model.zero_points[table][0])",
        "return bytes(len(model.zero_points[table][0]))",
    ),
    (
        "self.list_of(s[\"of\"], of[\"encoding\"]",
        "self.list_of(s[\"of\"], {**of[\"encoding\"], \"max_len\": 3}",
    ),
];

/// Places of a second level of experts in the oracle, and an error for each.
const LEVEL_PLANTS: &[(&str, &str)] = &[
    ("return mix(u, upper_outputs)", "return mix(u, outputs)"),
    ("u = lower[t]\n", "u = lower[-1]\n"),
    (
        "lower[len(tasks) if e < shared else (e - shared) // network[\"own\"]]",
        "lower[len(tasks)]",
    ),
    (
        "lower[len(tasks) if e < shared else (e - shared) // network[\"own\"]]",
        "lower[0 if e < shared else (e - shared) // network[\"own\"]]",
    ),
    (
        "lower[len(tasks) if e < shared else (e - shared) // network[\"own\"]]",
        "lower[len(tasks) if e < shared else (e - shared) % len(tasks)]",
    ),
    (
        "dense(f\"upper gate {t} {l}\", layer, a)",
        "dense(f\"upper gate {t} {l}\", layer, a if l else lower[-1])",
    ),
    (
        "a = [relu(x) for x in dense(f\"upper expert {e} {l}\", layer, a)]",
        "a = dense(f\"upper expert {e} {l}\", layer, a)",
    ),
];

/// Places of heads of several logits and of odds in the oracle, and an error for each.
const HEAD_PLANTS: &[(&str, &str)] = &[
    ("f32(worth * sigmoid(z))", "f32(worth * sigmoid(-z))"),
    ("zip(model.steps[t], a)", "zip(model.steps[t], a[1:])"),
    (
        "zip(model.steps[t], a)",
        "reversed(list(zip(model.steps[t], a)))",
    ),
    ("weights = [weights[0]] * len(a)", "weights = weights[:1]"),
    (
        "exp(clamp(logit, -30.0, 20.0)) * task[\"score_scale\"]",
        "exp(clamp(logit, 0.0, 20.0)) * task[\"score_scale\"]",
    ),
    ("return f32(logit * task[\"score_scale\"])", "return logit"),
    (
        "self.heads.append((weight * again,",
        "self.heads.append((weight[:1] * t[\"logits\"],",
    ),
];

/// Places of quantiles within groups in the oracle, and an error for each.
const QUANTILE_PLANTS: &[(&str, &str)] = &[
    (
        "sigmoid(logit(t))) * task[\"score_scale\"])",
        "sigmoid(logit(t))))",
    ),
    (
        "quantity(model.steps[t][group], sigmoid(logit(t)))",
        "quantity(model.steps[t][group], sigmoid(-logit(t)))",
    ),
    ("model.steps[t][group]", "model.steps[t][max(group, 1)]"),
    (
        "request.raw_number(task[\"group\"], candidate))",
        "request.raw_number(task[\"group\"], 0))",
    ),
    ("last = len(quantiles) - 1", "last = len(quantiles)"),
    ("place = f32(share * last)", "place = share * last"),
    ("f32(low + f32(f32(high - low) * f32(place - left)))", "low"),
    (
        "f32(low + f32(f32(high - low) * f32(place - left)))",
        "f32(low + f32(high - low) * f32(place - left))",
    ),
    (
        "f32(low + f32(f32(high - low) * f32(place - left)))",
        "f32(f32(low * f32(1.0 - f32(place - left))) + f32(high * f32(place - left)))",
    ),
];

/// A copy of the oracle with one change, which must be possible in exactly one place.
pub fn planted(folder: &Path, from: &str, to: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(score_py()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    let path = folder.join("planted.py");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    path
}

#[test]
fn errors_planted_in_the_network_are_seen() {
    // Cheap ones first.
    let models = {
        let edges =
            (0..2).flat_map(|seed| [networks::attention(seed), networks::extremes(seed)].concat());
        let usual = networks::every_network(8);
        edges
            .map(|m| (m, 4))
            .chain(usual.into_iter().map(|m| (m, 8)))
            .chain((2..12).flat_map(networks::extremes).map(|m| (m, 4)))
            .collect::<Vec<_>>()
    };
    all_are_seen(NETWORK_PLANTS, &models);
}

#[test]
fn errors_planted_in_attention_are_seen() {
    let models: Vec<_> = (0..6).map(|seed| (networks::attending(seed), 12)).collect();
    all_are_seen(ATTENTION_PLANTS, &models);
}

#[test]
fn errors_planted_in_heads_are_seen() {
    let headed = |seed| golden::with_heads(&golden::model(seed), seed).bytes;
    let models: Vec<Subject> = (0..24).map(|seed| (("heads", headed(seed)), 4)).collect();
    all_are_seen(HEAD_PLANTS, &models);
}

#[test]
fn errors_planted_in_quantiles_are_seen() {
    let of = |seed| golden::with_quantiles(&golden::model(seed), seed).bytes;
    let models: Vec<Subject> = (0..24).map(|seed| (("quantiles", of(seed)), 8)).collect();
    all_are_seen(QUANTILE_PLANTS, &models);
}

#[test]
fn errors_planted_in_a_second_level_are_seen() {
    let model = |seed| (("levels", golden::with_levels(seed).bytes), 4);
    let mut models: Vec<Subject> = (0..12).map(model).collect();
    // Several tasks that have more than one expert each.
    let all = networks::every_network(8).into_iter();
    models.extend(all.filter(|m| m.0 == "levels 1").map(|m| (m, 2)));
    all_are_seen(LEVEL_PLANTS, &models);
}

/// A named file, and how many requests.
type Subject = ((&'static str, Vec<u8>), usize);

/// Plants each error and finds a model whose requests tell; without Python there is none to ask, which `python` says.
fn all_are_seen(plants: &[(&str, &str)], models: &[Subject]) {
    if python(&score_py(), &[Path::new("--self-test")]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut unseen = Vec::new();
    for (from, to) in plants {
        let script = planted(folder.path(), from, to);
        let seen = models.iter().any(|((name, file), requests)| {
            std::panic::catch_unwind(|| {
                engine_and_script_agree(&script, name, file, *requests, 3);
            })
            .is_err()
        });
        if !seen {
            unseen.push(format!("{from} -> {to}"));
        }
    }
    assert!(unseen.is_empty(), "not seen: {unseen:#?}");
}
