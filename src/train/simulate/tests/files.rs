//! What a simulation writes.

use std::io::Read;
use std::path::Path;
use std::prelude::v1::*;

use core::ops::ControlFlow;

use super::super::{Feed, Format, Generator, SimulateError, SimulateOptions, simulate};
use crate::train::{check, description::Description};

fn options(rows: u64, seed: u64, format: Format) -> SimulateOptions {
    SimulateOptions {
        rows,
        seed,
        format,
        ..SimulateOptions::default()
    }
}

fn go(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn same_seed_writes_the_same_bytes_plain_or_gzipped() {
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let csv = Format::Csv;
    let runs = [(5, csv), (5, csv), (5, Format::CsvGzip), (6, csv)];
    for (folder, (seed, format)) in folders.iter().zip(runs) {
        simulate(&options(3_000, seed, format), folder.path(), go).unwrap();
    }
    for name in [
        "log.csv",
        "truth.csv",
        "items.csv",
        "users.csv",
        "model.toml",
    ] {
        let [first, again, _, other] = folders
            .each_ref()
            .map(|f| std::fs::read(f.path().join(name)).ok());
        assert!(first.is_some() && first == again, "{name}");
        assert_eq!(first == other, name == "model.toml", "{name}");
    }
    for name in ["log.csv", "truth.csv"] {
        let packed = std::fs::File::open(folders[2].path().join(format!("{name}.gz"))).unwrap();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text(&folders[0].path().join(name)), "{name}");
    }
    assert!(text(&folders[2].path().join("model.toml")).contains("\"log.csv.gz\""));
}

#[test]
fn log_is_in_time_order_and_holds_no_truth() {
    let folder = tempfile::tempdir().unwrap();
    let summary = simulate(&options(20_000, 3, Format::Csv), folder.path(), go).unwrap();
    let mut log = csv::Reader::from_path(folder.path().join("log.csv")).unwrap();
    let header = log.headers().unwrap().clone();
    assert!(
        header
            .iter()
            .all(|name| !name.starts_with("p_") && name != "type" && name != "state")
    );
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let [time, user, request, click, watch, like, valid] = [
        "time",
        "user_id",
        "request_id",
        "click",
        "watch_seconds",
        "like",
        "valid",
    ]
    .map(column);
    let mut last = (0, 0);
    let mut users = Vec::new();
    let mut rows = 0;
    for row in log.records() {
        let row = row.unwrap();
        let now = (
            row[time].parse::<u64>().unwrap(),
            row[request].parse::<u64>().unwrap(),
        );
        assert!(now >= last);
        last = now;
        users.push(row[user].parse::<u32>().unwrap());
        assert_eq!(
            row[click] == *"1",
            !row[watch].is_empty() && !row[like].is_empty()
        );
        assert!(row[valid] == *"1" || row[click] == *"0");
        rows += 1;
    }
    assert_eq!((rows, summary.rows), (20_000, 20_000));
    let switches = users.windows(2).filter(|w| w[0] != w[1]).count();
    assert!(switches as u64 * 20 > summary.requests, "users take turns");
    let truth = csv::Reader::from_path(folder.path().join("truth.csv"))
        .unwrap()
        .into_records()
        .count();
    assert_eq!(truth, 20_000);
    let lines = |name: &str| text(&folder.path().join(name)).lines().count() as u32;
    assert_eq!(
        (lines("users.csv"), lines("items.csv")),
        (summary.users + 1, summary.items + 1)
    );
    assert!((0.08..0.12).contains(&summary.random_share));
}

#[test]
fn model_description_fits_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let summary = simulate(&options(5_000, 3, Format::CsvGzip), folder.path(), go).unwrap();
    let description = Description::read(&folder.path().join("model.toml")).unwrap();
    let report = check::check(&description, None).unwrap();
    assert_eq!(
        (report.rows as u64, report.requests as u64),
        (5_000, summary.requests)
    );
    assert_eq!(report.quarantined_rows, 0);
    let task = |name: &str| report.tasks.iter().find(|task| task.name == name).unwrap();
    assert!((task("click").mean.unwrap() - summary.click_rate).abs() < 0.01);
    assert!(task("share").rows > 1_000);
}

#[test]
fn propensities_are_those_of_the_policies() {
    let feed = Feed::new(options(20_000, 11, Format::Csv)).unwrap();
    let (mut random, mut requests) = (0, 0);
    let mut first = [0u32; 40];
    let mut inverse = 0.0;
    for logged in Generator::new(&feed).take(8_000) {
        requests += 1;
        if logged.random {
            random += 1;
            first[logged.rows[0].index as usize] += 1;
            for row in &logged.rows {
                assert!((row.propensity - 1.0 / (40.0 - f64::from(row.position))).abs() < 1e-12);
            }
        } else {
            // E[1 / P(chosen)] is the number of choices.
            inverse += 1.0 / logged.rows[0].propensity;
        }
    }
    let share = f64::from(random) / f64::from(requests);
    assert!((share - 0.1).abs() < 0.015, "{share}");
    // Chi-square with 39 degrees of freedom: below 80 except once in 10,000 seeds.
    let expected = f64::from(random) / 40.0;
    let chi: f64 = first
        .iter()
        .map(|n| (f64::from(*n) - expected) * (f64::from(*n) - expected) / expected)
        .sum();
    assert!(chi < 80.0, "{chi}");
    let choices = inverse / f64::from(requests - random);
    assert!((choices - 40.0).abs() < 4.0, "{choices}");
}

#[test]
fn options_outside_their_ranges_are_refused_and_a_stop_leaves_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut bad = options(1_000, 1, Format::Csv);
    bad.knobs.bait = f64::NAN;
    for wrong in [options(0, 1, Format::Csv), bad] {
        assert!(matches!(
            simulate(&wrong, folder.path(), go),
            Err(SimulateError::Options(_))
        ));
    }
    let stopped = simulate(&options(30_000, 1, Format::Csv), folder.path(), |_| {
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(SimulateError::Stopped)));
    assert!(!folder.path().join("log.csv").exists());
}
