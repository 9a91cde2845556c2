//! `compare`: what is kept, what goes on, and what a failing variant leaves of the others.
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::logs;
use crate::program::{Place, done, program, refused, run};

const TWO: &str = r#"
base = "model.toml"
seeds = [1, 2]
[[variant]]
name = "plain"
[[variant]]
name = "click <b>"
set = { "task.click.lr" = 2.0, "network.experts" = 1 }
"#;

fn place(experiment: &str) -> Place {
    let place = Place::new(&logs::log(), logs::MODEL);
    fs::write(place.path("experiment.toml"), experiment).unwrap();
    place
}

fn compare(place: &Place) -> Command {
    let mut command = program(["compare"]);
    command
        .arg(place.path("experiment.toml"))
        .arg("--out")
        .arg(place.path("out"));
    command
}

fn results(place: &Place, names: &[&str]) -> Vec<Vec<u8>> {
    let read = |name: &&str| fs::read(place.path("out").join(name).join("result.json")).unwrap();
    names.iter().map(read).collect()
}

const RUNS: [&str; 4] = [
    "plain/seed-1",
    "plain/seed-2",
    "click%20%3Cb%3E/seed-1",
    "click%20%3Cb%3E/seed-2",
];

/// The result but for the seconds, which differ from time to time.
fn without_seconds(result: &[u8]) -> String {
    let text = String::from_utf8(result.to_vec()).unwrap();
    let lines = text.lines().filter(|l| !l.contains("\"seconds\""));
    lines.collect::<Vec<_>>().join("\n")
}

/// The page but for them.
fn page_without_seconds(place: &Place) -> String {
    let page = fs::read_to_string(place.path("out/report.html")).unwrap();
    let mut parts = page.split("<td class=\"seconds\">");
    let first = parts.next().unwrap().to_string();
    parts.fold(first, |all, part| all + part.split_once("</td>").unwrap().1)
}

#[test]
fn finished_results_are_kept_and_only_what_changed_is_trained_again() {
    let place = place(TWO);
    let ended = done(&mut compare(&place));
    for words in [
        "AUC",
        "Spearman",
        "click <b>",
        "madds/candidate",
        "report.html",
    ] {
        assert!(ended.out.contains(words), "{words} in {}", ended.out);
    }
    let page = || fs::read_to_string(place.path("out/report.html")).unwrap();
    let (first, first_page) = (results(&place, &RUNS), page());
    assert!(first_page.contains("click &lt;b&gt;") && !first_page.contains("<b>"));
    for name in RUNS {
        assert!(place.path("out").join(name).join("model.pkr").exists());
    }

    let ended = done(compare(&place).arg("--json"));
    assert_eq!(ended.err.matches(": kept").count(), 4, "{}", ended.err);
    let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(object["variants"][1]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(object["costs"][0]["runs"], 2);
    assert!(results(&place, &RUNS) == first && page() == first_page);

    // A damaged result and a changed variant are trained again, the others stay.
    fs::write(place.path("out/plain/seed-2/result.json"), "{").unwrap();
    fs::write(place.path("experiment.toml"), TWO.replace("2.0", "3.0")).unwrap();
    let ended = done(&mut compare(&place));
    assert_eq!(ended.err.matches(": kept").count(), 1, "{}", ended.err);
    let second = results(&place, &RUNS);
    assert!(second[0] == first[0] && second[2] != first[2]);
    assert_eq!(without_seconds(&second[1]), without_seconds(&first[1]));

    // So does all of it with another log.
    let log = fs::read_to_string(place.path("log.csv")).unwrap();
    fs::write(place.path("log.csv"), log.replace(",item 3,", ",item 4,")).unwrap();
    let ended = done(&mut compare(&place));
    assert_eq!(ended.err.matches(": kept").count(), 0, "{}", ended.err);
}

#[test]
fn a_variant_that_fails_does_not_stop_the_others() {
    let place = place(
        r#"
base = "model.toml"
seeds = [1]
[[variant]]
name = "never"
set = { "label.click.value" = "length > 1000" }
[[variant]]
name = "plain"
"#,
    );
    let words = ["1 of 2 runs failed", "never"];
    refused(&mut compare(&place), 1, &words);
    let [never, plain] = [0, 1].map(|i| {
        let bytes = &results(&place, &["never/seed-1", "plain/seed-1"])[i];
        serde_json::from_slice::<serde_json::Value>(bytes).unwrap()
    });
    assert_eq!(
        (never["state"].as_str(), plain["state"].as_str()),
        (Some("failed"), Some("finished"))
    );
    let message = never["message"].as_str().unwrap();
    assert!(
        message.starts_with("model.toml:") && message.contains("is positive"),
        "{message}"
    );
    let page = fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(page.contains("What failed") && page.contains("is positive") && page.contains("plain"));
}

#[test]
fn a_mistake_is_found_before_anything_is_written() {
    let place = place(&TWO.replace("task.click.lr", "task.clik.lr"));
    let words = [
        "experiment.toml:8: variant \"click <b>\"",
        "did you mean \"click\"?",
    ];
    refused(&mut compare(&place), 2, &words);
    assert!(!place.path("out").exists());
}

/// Killed or interrupted, the same command goes on to the results that nobody touched.
#[cfg(unix)]
#[test]
fn stopped_and_called_again_it_goes_on_to_the_same_results() {
    let begun = |out: &Path| out.join("plain/seed-1/checkpoint.bin").exists();
    let whole = place(TWO);
    done(&mut compare(&whole));
    let expected: Vec<String> = results(&whole, &RUNS)
        .iter()
        .map(|r| without_seconds(r))
        .collect();
    for signal in ["INT", "KILL"] {
        let place = place(TWO);
        let mut child = compare(&place)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !begun(&place.path("out")) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let id = child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap();
        let code = child.wait().unwrap().code();
        if sent.success() && signal == "INT" {
            assert!(code == Some(130) || code == Some(0), "{code:?}");
        }
        let ended = run(&mut compare(&place));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let after: Vec<String> = results(&place, &RUNS)
            .iter()
            .map(|r| without_seconds(r))
            .collect();
        assert!(after == expected, "{signal}");
        assert!(
            page_without_seconds(&place) == page_without_seconds(&whole),
            "{signal}"
        );
    }
}
