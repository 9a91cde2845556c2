//! A formula from the description into the file, beside it, and through `rank --explain`, `tune` and the refusals.
use std::fs;

use serde_json::Value;

use crate::program::{done, program, refused};
use crate::tune::feed;

const FORMULA: &str =
    "wc * quantile(click) + wd * entire(duration) ^ 0.5 - (length_seconds > 300) * rank(share)";

#[test]
fn a_formula_goes_with_the_file_and_beside_it() {
    let place = feed();
    let (file, own) = (place.path("file.pkr"), place.path("own.pkr"));
    // The same run with another fusion.
    let text = fs::read_to_string(place.model()).unwrap();
    let (before, rest) = text.split_once("[[fusion.term]]").unwrap();
    let (_, after) = rest.split_once("[export]").unwrap();
    let fusion = format!(
        "[fusion]\nformula = \"{FORMULA}\"\nweights = {{ wc = 2.0, wd = {{ value = 0.1, min = 0.0, max = 1.0 }} }}\n"
    );
    let other = place.path("other.toml");
    fs::write(&other, format!("{before}{fusion}\n[export]{after}")).unwrap();
    let export = |fusion: &std::path::Path| {
        let mut command = program(["export"]);
        command.arg(place.path("run")).arg("-o").arg(&own);
        command.arg("--fusion").arg(fusion);
        command
    };
    done(&mut export(&other));
    let json = |command: &mut std::process::Command| -> Value {
        serde_json::from_str(&done(command.arg("--json")).out).unwrap()
    };
    let inspected = json(program(["inspect"]).arg(&own));
    assert_eq!(inspected["formula"]["text"], FORMULA);
    assert_eq!(inspected["formula"]["weights"][1]["max"], 1.0);
    assert_eq!(inspected["fusion"].as_array().unwrap().len(), 0);
    assert_eq!(inspected["quantiles"].as_array().unwrap().len(), 13);

    // Beside the other file it orders as within this one.
    let apart = place.path("fusion.pkf");
    let mut formula = program(["formula"]);
    formula.arg(&file).arg(FORMULA).arg("-o").arg(&apart);
    formula.args(["--weight", "wc=2", "--weight", "wd=0.1:0:1"]);
    done(&mut formula);
    assert!(fs::metadata(&apart).unwrap().len() < 400);
    let rank = |file: &std::path::Path| {
        let mut command = program(["rank"]);
        command.arg(file).arg(place.model());
        command.args(["--request", "500", "--top", "12", "--explain"]);
        command
    };
    let within = json(&mut rank(&own));
    let beside = json(rank(&file).arg("--formula").arg(&apart));
    assert_eq!(within["top"], beside["top"]);
    assert_eq!(within["terms"].as_array().unwrap().len(), 3);
    for candidate in within["top"].as_array().unwrap() {
        let terms = candidate["terms"].as_array().unwrap();
        let sum: f64 = terms.iter().map(|t| t.as_f64().unwrap()).sum();
        assert!(
            (sum - candidate["fused"].as_f64().unwrap()).abs() < 1e-5,
            "{candidate}"
        );
    }
    let why = &within["explanation"];
    assert_eq!(why["rank"], 1);
    let gates = why["tasks"][0]["gates"].as_array().unwrap();
    let sum: f64 = gates.iter().map(|g| g.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    let moved = |group: &Value| group["fused"] != why["fused"];
    assert!(
        why["groups"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|g| moved(g))
            .count()
            > 10
    );

    // It is tuned like terms, and one is learned beside it.
    let tuned = place.path("tuned");
    let mut tune = program(["tune"]);
    tune.arg(&file).arg(place.model()).arg("--out").arg(&tuned);
    tune.args(["--maximise", "watch_seconds", "--rows", "all"]);
    tune.args([
        "--random",
        "policy == 'random'",
        "--starts",
        "1",
        "--learn",
        "4",
    ]);
    let report = json(tune.arg("--formula").arg(&apart));
    assert_eq!(report["weights"], serde_json::json!(["wc", "wd"]));
    assert_eq!(report["policies"][3]["name"], "learned");
    let learned = report["learned"].as_str().unwrap();
    done(program(["formula"]).arg(&own).arg(learned));
    let weights = fs::read_to_string(tuned.join("weights.toml")).unwrap();
    assert!(
        weights.contains(&format!("formula = {FORMULA:?}")),
        "{weights}"
    );
    fs::write(&other, format!("{before}{weights}\n[export]{after}")).unwrap();
    done(&mut export(&other));

    // What is wrong is one line, with what would be right.
    let wrong = |text: &str, code: i32, part: &str| {
        refused(program(["formula"]).arg(&file).arg(text), code, &[part]);
    };
    wrong("click / length_seconds", 2, "divide by max(..., 0.001)");
    wrong(
        "click + clack",
        2,
        "no task, number feature or weight \"clack\"",
    );
    refused(program(["formula"]).arg(&file), 2, &["give a formula"]);
    refused(rank(&file).arg("--formula").arg(&file), 3, &["BadMagic"]);
    refused(rank(&own).args(["--candidate", "12000"]), 2, &["from 0"]);
    for (from, to, part) in [
        ("wc * quantile", "we * quantile", "\"we\""),
        (
            "wd * entire(duration) ^ 0.5 -",
            "-",
            "does not use weight \"wd\"",
        ),
        (
            "value = 0.1,",
            "value = 2.0,",
            "in order, and hold the value",
        ),
    ] {
        let text = format!("{before}{fusion}\n[export]{after}");
        assert!(text.contains(from));
        fs::write(&other, text.replace(from, to)).unwrap();
        let mut check = program(["check"]);
        refused(
            check.arg(&other).arg("--no-data"),
            2,
            &["other.toml:", part],
        );
    }
}
