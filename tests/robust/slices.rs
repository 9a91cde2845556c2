//! `eval --slice`: the parts of a run and of an exported file.
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::logs::{HEADER, MODEL, rows};
use crate::program::{Place, done, export, program, refused, train};

/// Training on users 0..20 and items 0..30, then as many rows of users 10..30 and items 20..40, then five of nobody.
fn log() -> String {
    let nobody = rows(5, 300, 0..1, 0..30);
    let nobody = nobody.lines().map(|l| format!("{}\n", &l[1..]));
    let (early, late) = (rows(500, 0, 0..20, 0..30), rows(500, 100, 10..30, 20..40));
    format!("{HEADER}{early}{late}{}", nobody.collect::<String>())
}

/// The number of rows of each part by the log alone: which cells of a column the training part has.
fn expected(log: &str, column: usize) -> [usize; 2] {
    let cells = |line: &str| line.split(',').nth(column).unwrap().to_string();
    let lines: Vec<&str> = log.lines().skip(1).collect();
    let (training, reported) = lines.split_at(500);
    let known: Vec<String> = training.iter().map(|l| cells(l)).collect();
    let of_users = reported.iter().filter(|l| !l.starts_with(','));
    let (old, new): (Vec<&&str>, Vec<&&str>) = of_users.partition(|l| known.contains(&cells(l)));
    [new.len(), old.len()]
}

fn eval(place: &Place, subject: &Path, slices: &[&str]) -> Value {
    let mut command = program(["eval", "--json"]);
    command.arg(subject).arg(place.model());
    slices.iter().for_each(|s| {
        command.args(["--slice", s]);
    });
    serde_json::from_str(&done(&mut command).out).unwrap()
}

#[test]
fn slices_of_a_run_and_of_its_file_are_the_parts_that_the_log_has() {
    // No delay: every row is in the space of "click".
    let model = MODEL
        .replace(
            "validation = { last = 0.2 }",
            "validation = { where = \"request >= 100\" }",
        )
        .replace("delay = 10\n", "delay = 10\nwindow = 0\n");
    let place = Place::new(&log(), &model);
    let (run, file) = (place.path("run"), place.path("file.pkr"));
    done(&mut train(&place.model(), &run));
    done(&mut export(&run, &file));
    let slices = [
        "new-user",
        "unseen:item",
        "unseen:user",
        "bucket:length",
        "bucket:click_rate",
        "label:click",
    ];
    let [by_run, by_file] = [&run, &file].map(|subject| eval(&place, subject, &slices));
    for measured in [&by_run, &by_file] {
        let parts = measured["slices"].as_object().unwrap();
        let clicked = &parts["click: positive"]["click"];
        let rest = parts["click: not positive"]["click"]["rows"].as_u64();
        let clicks = clicked["rows"].as_u64().unwrap();
        assert!(
            clicks > 20 && clicks + rest.unwrap() == 505,
            "{clicks} {rest:?}"
        );
        let count = |name: &str| parts[name]["click"]["rows"].as_u64().unwrap() as usize;
        let [new, old] = expected(&log(), 0);
        assert!(new > 100 && old > 100);
        assert_eq!(count("user: no row in training"), new);
        assert_eq!(count("user: in training"), old);
        assert_eq!(count("user: missing"), 5);
        // A user's id is out of vocabulary if the user is new, and also if there is none.
        assert_eq!(count("user: unseen in training"), new + 5);
        assert_eq!(count("user: seen"), old);
        let [unseen, _] = expected(&log(), 3);
        assert_eq!(count("item: unseen in training"), unseen);
        assert_eq!(count("item: seen"), 505 - unseen);
        for number in ["length", "click_rate"] {
            let of_number = parts
                .keys()
                .filter(|k| k.starts_with(&format!("{number}: ")));
            let counts: Vec<usize> = of_number.map(|k| count(k)).collect();
            assert!(
                counts.len() > 1 && counts.iter().sum::<usize>() == 505,
                "{counts:?}"
            );
        }
    }
    // The same parts of the same rows; only scores are another precision's.
    let counts = |v: &Value| -> Vec<(String, Value)> {
        let parts = v["slices"].as_object().unwrap().iter();
        parts
            .map(|(k, v)| (k.clone(), v["click"]["rows"].clone()))
            .collect()
    };
    assert_eq!(counts(&by_run), counts(&by_file));

    // All rows: those of the training part belong to users that are in it.
    let mut command = program(["eval", "--json", "--rows", "all", "--slice", "new-user"]);
    let all: Value =
        serde_json::from_str(&done(command.arg(&file).arg(place.model())).out).unwrap();
    let [new, old] = expected(&log(), 0);
    let rows = |name: &str| all["slices"][name]["click"]["rows"].as_u64().unwrap() as usize;
    assert_eq!(
        (rows("user: no row in training"), rows("user: in training")),
        (new, old + 500)
    );

    for (slice, words) in [
        (
            "new-users",
            vec![
                "new-users",
                "new-user, unseen:FEATURE, bucket:FEATURE or label:LABEL",
            ],
        ),
        (
            "old:item",
            vec![
                "old:item",
                "new-user, unseen:FEATURE, bucket:FEATURE or label:LABEL",
            ],
        ),
        ("unseen:itme", vec!["itme", "did you mean \"item\""]),
        (
            "unseen:length",
            vec!["\"length\" is no id", "\"user\", \"item\""],
        ),
        (
            "bucket:item",
            vec!["\"item\" is no number", "\"length\", \"click_rate\""],
        ),
        ("bucket:", vec!["\"length\", \"click_rate\""]),
        (
            "label:clik",
            vec!["no label \"clik\"", "did you mean \"click\""],
        ),
    ] {
        for subject in [&run, &file] {
            let mut command = program(["eval", "--slice", slice]);
            refused(command.arg(subject).arg(place.model()), 2, &words);
        }
    }
    fs::write(
        place.model(),
        model.replace("user = \"user\"\n", "").replace(
            "kind = \"rate\"\nlabel = \"click\"\nhalf_life_events = 20\n",
            "side = \"user\"\ncolumn = \"length\"\nkind = \"number\"\n",
        ),
    )
    .unwrap();
    let nobody = place.path("nobody");
    done(&mut train(&place.model(), &nobody));
    let mut command = program(["eval", "--slice", "new-user"]);
    refused(
        command.arg(&nobody).arg(place.model()),
        2,
        &["new-user", "[data] user"],
    );
}

#[test]
fn a_run_is_not_measured_as_another_network() {
    let place = Place::new(&log(), MODEL);
    let run = place.path("run");
    done(&mut train(&place.model(), &run));
    for (was, is, what) in [
        (
            "kind = \"mmoe\"\nexperts = 2",
            "kind = \"single\"",
            "network",
        ),
        ("tower_layers = [4]", "tower_layers = [5]", "tasks"),
    ] {
        assert!(MODEL.contains(was));
        let other = place.path("other.toml");
        fs::write(&other, MODEL.replace(was, is)).unwrap();
        let mut command = program(["eval"]);
        refused(
            command.arg(&run).arg(&other),
            2,
            &["other.toml", what, "not those of the run", "model.toml"],
        );
    }
}
