//! `tune` on a simulated log: from the log to a file whose fusion has the weights.
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{Place, done, export, program, refused, train};

const UTILITY: &str = "watch_seconds + 20 * like";

/// A feed with a run and its file.
pub fn feed() -> Place {
    let place = Place::empty();
    let root = place.root();
    let mut simulate = program(["simulate", "--rows", "30000", "--seed", "5", "--out"]);
    done(simulate.arg(&root));
    // One pass, and a budget that it meets.
    let text = fs::read_to_string(place.model()).unwrap();
    let quick = text
        .replace("epochs = 5", "epochs = 1")
        .replace("[export]\n", "[export]\nauc_budget = 0.2\n");
    assert_eq!(quick.matches("epochs = 1\n").count(), 1);
    fs::write(place.model(), quick).unwrap();
    done(&mut train(&place.model(), &place.path("run")));
    done(&mut export(&place.path("run"), &place.path("file.pkr")));
    place
}

fn tune(place: &Place, out: &Path, maximise: &str, rest: &[&str]) -> Command {
    let mut command = program(["tune"]);
    command.arg(place.path("file.pkr")).arg(place.model());
    command.args(["--maximise", maximise, "--out"]).arg(out);
    command.args(rest);
    command
}

const RANDOM: [&str; 6] = [
    "--rows",
    "all",
    "--random",
    "policy == 'random'",
    "--position",
    "position",
];

#[test]
fn weights_go_from_a_log_into_a_file() {
    let place = feed();
    let (out, again) = (place.path("tuned"), place.path("again"));
    let rest = [
        &RANDOM[..],
        &["--subject-to", "like >= current", "--starts", "1"],
    ]
    .concat();
    let json = |out: &Path, threads: &str| -> Value {
        let mut command = tune(&place, out, UTILITY, &rest);
        let ended = done(command.args(["--json", "--threads", threads]));
        assert_eq!(ended.out.lines().count(), 1);
        serde_json::from_str(&ended.out).unwrap()
    };
    let report = json(&out, "1");
    assert_eq!(report["causal"], true);
    assert_eq!(report["rewards"][0], UTILITY);
    let names: Vec<&str> = report["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    let tasks = [
        "click",
        "duration",
        "complete",
        "like",
        "comment",
        "favourite",
        "share",
    ];
    assert_eq!(
        names,
        [&["current", "tuned", "equal weights"][..], &tasks].concat()
    );
    // A tenth of the requests, all but the last 30 % of them to search.
    let rows = |i: usize| report["parts"][i]["rows"].as_u64().unwrap();
    let share = (rows(0) + rows(1)) as f64 / 30_000.0;
    assert!((0.08..0.12).contains(&share), "{share}");
    assert!((0.25..0.35).contains(&(rows(1) as f64 / (rows(0) + rows(1)) as f64)));
    assert!(report["front"].as_array().unwrap().len() > 1);
    assert!(
        fs::read_to_string(out.join("front.svg"))
            .unwrap()
            .contains("tuned")
    );

    // Byte for byte the same with two threads.
    assert_eq!(report, json(&again, "2"));
    for name in ["weights.toml", "report.json", "front.svg"] {
        let [one, two] = [&out, &again].map(|o| fs::read(o.join(name)).unwrap());
        assert!(one == two, "{name}");
    }

    // The terms take the place of the description's.
    let text = fs::read_to_string(place.model()).unwrap();
    let (before, rest) = text.split_once("[[fusion.term]]").unwrap();
    let (_, after) = rest.split_once("[export]").unwrap();
    let weights = fs::read_to_string(out.join("weights.toml")).unwrap();
    fs::write(
        place.path("other.toml"),
        format!("{before}{weights}\n[export]{after}"),
    )
    .unwrap();
    let mut check = program(["check", "--no-data"]);
    done(check.arg(place.path("other.toml")));
    let tuned = report["policies"][1]["weights"].as_array().unwrap();
    for weight in tuned {
        let line = format!("weight = {:?}\n", weight.as_f64().unwrap() as f32);
        assert!(weights.contains(&line), "{line} in {weights}");
    }

    // Rows ordered again, for people: it says what that is not.
    let ended = done(&mut tune(&place, &out, UTILITY, &["--starts", "1"]));
    assert!(ended.out.contains("no causal estimate"), "{}", ended.out);

    // The validation part has a tenth of the random rows, about 300.
    let few = ["--random", "policy == 'random'"];
    let few = |maximise, rest: &[&str], code, words: &[&str]| {
        refused(
            &mut tune(&place, &out, maximise, &[&few[..], rest].concat()),
            code,
            words,
        );
    };
    few(UTILITY, &[], 1, &["of at least 500"]);
    few(UTILITY, &["--lists", "user"], 2, &["--lists user"]);
    for (maximise, rest, words) in [
        (
            "watch_second",
            vec![],
            vec!["--maximise", "did you mean \"watch_seconds\""],
        ),
        ("20 like", vec![], vec!["--maximise", "character 4"]),
        (
            "like",
            vec!["--subject-to", "like > 1"],
            vec!["--subject-to", "\">=\""],
        ),
        (
            "like",
            vec!["--random", "policy ="],
            vec!["--random", "character"],
        ),
        (
            "like",
            vec!["--random", "police == 'x'"],
            vec!["--random", "\"policy\""],
        ),
        (
            "like",
            vec!["--position", "place"],
            vec!["--position", "no column \"place\""],
        ),
        (
            "like",
            vec!["--current", "1,2"],
            vec!["--current has 2 weights", "has 5"],
        ),
        (
            "like",
            vec!["--current", "1,NaN,1,1,1"],
            vec!["--current", "NaN"],
        ),
        ("like", vec!["--held-out", "1"], vec!["--held-out"]),
        ("like", vec!["--clip", "0.5"], vec!["--clip"]),
        ("like", vec!["--margin", "-1"], vec!["--margin"]),
    ] {
        let rest: Vec<&str> = rest;
        let rest: Vec<String> = match rest.as_slice() {
            // A value that begins with a dash.
            [name, value] if value.starts_with('-') => vec![format!("{name}={value}")],
            all => all.iter().map(|s| (*s).to_string()).collect(),
        };
        let mut command = tune(&place, &out, maximise, &[]);
        refused(command.args(rest), 2, &words);
    }
    let mut command = tune(&place, &out, UTILITY, &["--random", "policy == 'none'"]);
    refused(&mut command, 3, &["no list", "policy == 'none'"]);
    let mut command = tune(
        &place,
        &out,
        UTILITY,
        &["--subject-to", "like >= 9 * current"],
    );
    refused(&mut command, 1, &["no weights keep like >= 9 * current"]);
}
