#![allow(clippy::unwrap_used)]
use core::ops::ControlFlow;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::train::log;
use crate::train::simulate::{SimulateOptions, simulate};

const ROWS: u64 = 6_000;

struct Simulated {
    folder: tempfile::TempDir,
    d: Description,
    raw: RawLog,
}

/// A simulated log, its text and its description changed by `edit` before it is read.
fn simulated(seed: u64, edit: impl Fn(&mut String, &mut String)) -> Simulated {
    let folder = tempfile::tempdir().unwrap();
    let options = SimulateOptions {
        rows: ROWS,
        seed,
        ..SimulateOptions::default()
    };
    simulate(&options, folder.path(), |_| ControlFlow::Continue(())).unwrap();
    let (log, model) = (
        folder.path().join("log.csv"),
        folder.path().join("model.toml"),
    );
    let mut texts = [&log, &model].map(|path| fs::read_to_string(path).unwrap());
    let [log_text, model_text] = &mut texts;
    edit(log_text, model_text);
    fs::write(log, log_text).unwrap();
    let d = Description::parse(&model, model_text.clone()).unwrap();
    let raw = log::read(&d, None).unwrap();
    Simulated { folder, d, raw }
}

impl Simulated {
    fn truth(&self) -> PathBuf {
        self.folder.path().join("truth.csv")
    }

    /// The last tenth of the rows.
    fn rows(&self) -> Vec<u32> {
        let rows = self.raw.rows() as u32;
        (rows * 9 / 10..rows).collect()
    }

    fn tasks(&self) -> Vec<(String, TaskKind, f64)> {
        let tasks = self.d.toml.task.iter();
        tasks
            .map(|t| (t.name.get_ref().clone(), t.kind.of_score(), 1.0))
            .collect()
    }

    /// `[rows, tasks]`: p_visible, and ln(1 + visible median), read apart from the code under test. A row of the log on
    /// line n is record n - 2 of the truth.
    fn oracle(&self) -> Vec<f32> {
        let mut reader = csv::Reader::from_path(self.truth()).unwrap();
        let header = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(|r| r.unwrap()).collect();
        let mut logits = Vec::new();
        for row in self.rows() {
            let record = &records[self.raw.line[row as usize] as usize - 2];
            for (name, kind, _) in self.tasks() {
                let name = match kind {
                    TaskKind::Binary => format!("p_visible_{name}"),
                    _ => String::from("watch_median_visible"),
                };
                let at = header.iter().position(|h| h == name).unwrap();
                let x: f64 = record[at].parse().unwrap();
                logits.push(if kind == TaskKind::Binary {
                    x as f32
                } else {
                    libm::log1p(x) as f32
                });
            }
        }
        logits
    }

    fn measure(&self, logits: &[f32], truth: &Path) -> Result<Vec<TruthMetrics>> {
        measure(
            &self.d,
            &self.raw,
            &self.tasks(),
            logits,
            &self.rows(),
            truth,
        )
    }
}

fn unchanged(_: &mut String, _: &mut String) {}

#[test]
fn p_visible_has_no_gap_and_any_other_order_has() {
    let s = simulated(1, unchanged);
    let oracle = s.oracle();
    let valid = (s.rows().iter())
        .filter(|r| s.raw.spaces[0][**r as usize])
        .count();
    assert!(valid > 100 && valid < s.rows().len());
    for m in s.measure(&oracle, &s.truth()).unwrap() {
        assert_eq!((m.rows, &m.skipped), (valid as u64, &None));
        match m.gap {
            Some(gap) => assert!(gap == 0.0 && m.bound.unwrap() > 0.6),
            None => {
                assert!(m.xauc_gap.unwrap().abs() < 1e-6 && m.xauc.unwrap() > 0.6);
                assert!(m.mae_gap.unwrap().abs() < 1e-3);
            }
        }
    }
    // The scores of the next request but one.
    let mut moved = oracle;
    moved.rotate_left(20 * s.tasks().len());
    for m in s.measure(&moved, &s.truth()).unwrap() {
        assert!(m.gap.or(m.xauc_gap).unwrap() > 0.05, "{m:?}");
    }
}

/// The oracle as logits, so that its scores are p_visible.
#[test]
fn tasks_given_a_click_are_measured_on_rows_that_were_and_were_not_clicked() {
    let s = simulated(1, unchanged);
    let mut logits = s.oracle();
    for (z, (_, kind, _)) in logits.iter_mut().zip(s.tasks().iter().cycle()) {
        if *kind == TaskKind::Binary {
            *z = libm::logf(*z / (1.0 - *z));
        }
    }
    let all = s.measure(&logits, &s.truth()).unwrap();
    assert!(all[0].clicked.is_none() && all[0].served.is_none());
    for m in &all[1..] {
        let (clicked, unclicked, served) = (
            m.clicked.as_ref().unwrap(),
            m.unclicked.as_ref().unwrap(),
            m.served.as_ref().unwrap(),
        );
        assert_eq!(clicked.rows + unclicked.rows, served.rows);
        assert_eq!(served.rows, m.rows);
        assert!(clicked.rows > 50 && unclicked.rows > clicked.rows);
        for part in [clicked, unclicked, served] {
            assert!(part.gap.or(part.xauc_gap).unwrap().abs() < 1e-6);
        }
    }
    // p_visible is calibrated against p_latent on what is served, since nobody chose the rows.
    let ratio = all[2].served.as_ref().unwrap().calibration.unwrap();
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn rows_set_aside_do_not_shift_the_truth() {
    let s = simulated(2, |log, model| {
        let mut lines: Vec<&str> = log.lines().collect();
        lines[7] = "cut";
        lines[5_700] = "cut";
        lines[5_801] = "cut,too";
        *log = lines.join("\n");
        *model = model.replace("[data]\n", "[data]\nmax_bad_rows = 3\n");
    });
    assert_eq!(s.raw.quarantined_rows, 3);
    assert_eq!(s.raw.rows() as u64, ROWS - 3);
    for m in s.measure(&s.oracle(), &s.truth()).unwrap() {
        assert!(m.gap.or(m.xauc_gap).unwrap().abs() < 1e-6, "{m:?}");
    }
}

#[test]
fn conditional_tasks_weigh_unclicked_rows_by_the_latent_click() {
    let s = simulated(3, unchanged);
    let mut reader = csv::Reader::from_path(s.truth()).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let records: Vec<csv::StringRecord> = reader.records().map(|r| r.unwrap()).collect();
    let used: Vec<u32> = (s.rows().into_iter())
        .filter(|r| s.raw.spaces[0][*r as usize])
        .collect();
    let of = |name: &str| -> Vec<f64> {
        let at = column(name);
        used.iter()
            .map(|r| records[*r as usize][at].parse().unwrap())
            .collect()
    };
    let want = expected_auc(
        &of("p_visible_like"),
        &of("p_latent_like"),
        &of("p_latent_click"),
    );
    let measured = s.measure(&s.oracle(), &s.truth()).unwrap();
    let like = s.tasks().iter().position(|t| t.0 == "like").unwrap();
    assert_eq!(measured[like].bound, want);
}

#[test]
fn a_truth_that_is_not_of_the_log_is_refused() {
    let (s, other) = (simulated(1, unchanged), simulated(4, unchanged));
    let logits = s.oracle();
    let error = s.measure(&logits, &other.truth()).unwrap_err();
    assert_eq!(error.kind, Kind::Data);
    assert!(
        error.message.contains("truth is that of another log"),
        "{error}"
    );

    let text = fs::read_to_string(s.truth()).unwrap();
    let file = s.folder.path().join("other.csv");
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        s.measure(&logits, &file).unwrap_err().to_string()
    };
    let cut: Vec<&str> = text.lines().take(ROWS as usize).collect();
    let error = refused(&cut.join("\n"));
    assert!(error.contains("5999 rows, the log 6000"), "{error}");
    let error = refused(&text.replace("p_latent_like", "p_latent_lik"));
    assert!(error.contains("no column \"p_latent_like\""), "{error}");
    let error = refused(&text.replace("p_latent_click", "clicks"));
    assert!(error.contains("no column \"p_latent_click\""), "{error}");
    assert!(
        refused(&fs::read_to_string(s.folder.path().join("log.csv")).unwrap())
            .contains("no column")
    );
}

#[test]
fn a_task_without_truth_is_skipped_with_the_reason() {
    let s = simulated(1, |_, model| {
        *model = model
            .replace(
                "name = \"like\"\ndelay",
                "name = \"like\"\nvalue = \"like == 1\"\ndelay",
            )
            .replace(
                "name = \"share\"\nkind = \"binary\"\nspace = \"click\"",
                "name = \"share\"\nkind = \"binary\"",
            );
    });
    let text = fs::read_to_string(s.truth()).unwrap();
    let file = s.folder.path().join("other.csv");
    fs::write(
        &file,
        text.replace("p_visible_comment", "a")
            .replace("p_latent_comment", "b"),
    )
    .unwrap();
    let measured = s.measure(&s.oracle(), &file).unwrap();
    for ((name, ..), m) in s.tasks().iter().zip(measured) {
        let why = match name.as_str() {
            "like" => "expression",
            "share" => "given a click",
            "comment" => "no column \"p_visible_comment\"",
            _ => {
                assert!(m.skipped.is_none(), "{name}");
                continue;
            }
        };
        assert!(m.skipped.unwrap().contains(why), "{name}");
        assert_eq!((m.rows, m.gap), (0, None));
    }
}
