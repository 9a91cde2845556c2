//! A model against the truth of a simulated log: how far its scores fall short of the best prediction possible.
//!
//! The truth (`truth.csv`, docs/simulator.md) has one row for each row of the log, in the same order. A binary task
//! gets its expected AUC ([`expected_auc`]) and the *bound*, the same estimator on the same rows for `p_visible`, the
//! exact Bayes prediction from what the log showed before the request. Every valid row counts: a task given a click is
//! measured on unclicked rows too, each row weighing the latent P(click). A duration is measured on the same rows against
//! the watch time that a click would have led to, and its bound is the predictive median.
//!
//! One invariant: row i of the log meets row i of the truth or nothing is measured. Rows are matched by their line, so
//! rows that the log's reader set aside leave no shift, and the request of every row must agree.
use std::path::Path;
use std::prelude::v1::*;

use csv::ByteRecord;
use serde::Serialize;

use crate::spec::TaskKind;
use crate::train::description::{Description, Objective};
use crate::train::error::{Error, Kind, Result, near_misses};
use crate::train::evaluate::duration_score;
use crate::train::expression::number;
use crate::train::log::RawLog;
use crate::train::log::source::{self, Source};
use crate::train::loss::sigmoid;
use crate::train::metrics::{expected_auc, mean, xauc};

/// One task against the truth. A gap is at least 0 but for chance: bound - model for AUC and XAUC, model - bound for MAE.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TruthMetrics {
    /// Valid rows that were measured.
    pub rows: u64,
    /// `Binary`: expected AUC of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_auc: Option<f64>,
    /// `Binary`: expected AUC of p_visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// `Binary`: their difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// `Duration`: XAUC of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xauc: Option<f64>,
    /// `Duration`: XAUC of the visible predictive median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xauc_bound: Option<f64>,
    /// `Duration`: their difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xauc_gap: Option<f64>,
    /// `Duration`: mean absolute error of the model, in the task's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// `Duration`: that of the visible predictive median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae_bound: Option<f64>,
    /// `Duration`: their difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae_gap: Option<f64>,
    /// Mean score of the model over the mean of the truth (p_latent, or the watch time that a click leads to); durations before
    /// an export's correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<f64>,
    /// Of a task given a click: the same on the clicked rows, each counting 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicked: Option<Box<TruthMetrics>>,
    /// On the rows that were not clicked, which a phone scores all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclicked: Option<Box<TruthMetrics>>,
    /// On both: all that is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<Box<TruthMetrics>>,
    /// Why the task was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// What a truth's row says about a task.
enum Columns {
    /// Columns of p_visible and p_latent.
    Binary { visible: usize, latent: usize },
    /// Columns of the visible predictive median and of the watch time that a click leads to; the label's scale.
    Duration {
        median: usize,
        watch: usize,
        scale: f64,
    },
    /// No column, and why.
    Skipped(String),
}

/// A task's columns, and whether it is conditional on a click.
struct Wanted {
    columns: Columns,
    given_click: bool,
}

/// Truth of the measured rows: `[rows]` each.
#[derive(Default)]
struct Values {
    /// p_visible, or the visible median.
    best: Vec<f64>,
    /// p_latent, or the watch time.
    truth: Vec<f64>,
}

/// Measures `logits` `[rows, tasks]` of `tasks` (name, kind, score scale) on `rows` of `raw` against the truth at `path`.
///
/// # Errors
/// [`Kind::Io`]; [`Kind::Data`] if the file is no truth, misses a column, or is the truth of another log;
/// [`Kind::Description`] if the log is of several files.
pub fn measure(
    d: &Description,
    raw: &RawLog,
    tasks: &[(String, TaskKind, f64)],
    logits: &[f32],
    rows: &[u32],
    path: &Path,
) -> Result<Vec<TruthMetrics>> {
    if raw.line.windows(2).any(|lines| lines[0] >= lines[1]) {
        let message = "the log has several files; a truth belongs to one, give it with --data";
        return Err(Error::in_file(Kind::Description, &d.file, message));
    }
    let mut source = Source::open(path, &source::Wanted::ALL)?;
    let find = |name: &str| source.header.iter().position(|h| h == name);
    let request = need(&source, "request_id")?;
    let click = need(&source, "p_latent_click")?;
    let wanted: Vec<Wanted> = (0..tasks.len())
        .map(|t| wanted(d, t, &source, &find))
        .collect::<Result<_>>()?;

    // Where a row of the log stands in `rows`.
    let mut place = vec![u32::MAX; raw.rows()];
    for (i, row) in rows.iter().enumerate() {
        place[*row as usize] = i as u32;
    }
    let mut clicks = vec![0.0; rows.len()];
    let mut values: Vec<Values> = wanted
        .iter()
        .map(|w| match w.columns {
            Columns::Skipped(_) => Values::default(),
            _ => Values {
                best: vec![0.0; rows.len()],
                truth: vec![0.0; rows.len()],
            },
        })
        .collect();
    let mut record = ByteRecord::new();
    let (mut count, mut row) = (0, 0);
    while let Some((line, whole)) = source.next(&mut record)? {
        let bad = |message: String| Error::at_line(Kind::Data, path, line, message);
        whole.map_err(bad)?;
        count += 1;
        // The header is line 1 of the log.
        if raw.line.get(row) != Some(&(count + 1)) {
            continue;
        }
        let name = &raw.name[raw.request[row] as usize];
        if &record[request] != name.as_bytes() {
            let other = String::from_utf8_lossy(&record[request]);
            return Err(bad(format!(
                "this row is of request \"{other}\", that of the log of \"{name}\"; the truth is that of another log"
            )));
        }
        let at = place[row] as usize;
        row += 1;
        if at >= rows.len() {
            continue;
        }
        let cell = |column: usize| {
            number(&record[column]).ok_or_else(|| {
                bad(format!(
                    "column \"{}\" is \"{}\", no number",
                    source.header[column],
                    String::from_utf8_lossy(&record[column])
                ))
            })
        };
        clicks[at] = cell(click)?;
        for (values, wanted) in values.iter_mut().zip(&wanted) {
            (values.best[at], values.truth[at]) = match wanted.columns {
                Columns::Binary { visible, latent } => (cell(visible)?, cell(latent)?),
                Columns::Duration {
                    median,
                    watch,
                    scale,
                } => (cell(median)? * scale, cell(watch)? * scale),
                Columns::Skipped(_) => continue,
            };
        }
    }
    if count != raw.rows_read || row != raw.rows() {
        let message = format!(
            "the truth has {count} rows, the log {}; the truth is that of another log",
            raw.rows_read
        );
        return Err(Error::in_file(Kind::Data, path, message));
    }

    let click_label = (0..d.toml.label.len()).find(|l| {
        let label = &d.toml.label[*l];
        label.value.as_ref().unwrap_or(&label.name).get_ref() == "click"
    });
    let of_task = |t: usize| {
        let wanted = &wanted[t];
        if let Columns::Skipped(why) = &wanted.columns {
            return TruthMetrics {
                skipped: Some(why.clone()),
                ..TruthMetrics::default()
            };
        }
        // Whether a row would be in the space if it were clicked; `spaces` of a task given a task holds the valid rows.
        let used: Vec<usize> = (0..rows.len())
            .filter(|i| raw.spaces[t][rows[*i] as usize])
            .collect();
        let pick = |of: &[f64]| used.iter().map(|i| of[*i]).collect::<Vec<f64>>();
        let (best, truth) = (pick(&values[t].best), pick(&values[t].truth));
        let weights = if wanted.given_click {
            pick(&clicks)
        } else {
            vec![1.0; used.len()]
        };
        let logits: Vec<f64> = used
            .iter()
            .map(|i| f64::from(logits[i * tasks.len() + t]))
            .collect();
        let (kind, scale) = (tasks[t].1, tasks[t].2);
        let of = |weights: &[f64]| of_rows(kind, scale, &logits, &best, &truth, weights);
        let mut measured = of(&weights);
        if let (true, Some(click)) = (wanted.given_click, click_label) {
            let clicked = |i: &usize| raw.labels[click].values[rows[*i] as usize] > 0.0;
            let part = |inside: &dyn Fn(bool) -> bool| {
                let weight = |i: &usize| f64::from(u8::from(inside(clicked(i))));
                let weights: Vec<f64> = used.iter().map(weight).collect();
                Some(Box::new(of(&weights)))
            };
            measured.clicked = part(&|clicked| clicked);
            measured.unclicked = part(&|clicked| !clicked);
            measured.served = part(&|_| true);
        }
        measured
    };
    Ok((0..tasks.len()).map(of_task).collect())
}

/// One task on weighted rows.
fn of_rows(
    kind: TaskKind,
    score_scale: f64,
    logits: &[f64],
    best: &[f64],
    truth: &[f64],
    weights: &[f64],
) -> TruthMetrics {
    let scores: Vec<f64> = logits
        .iter()
        .map(|z| match kind {
            TaskKind::Binary => sigmoid(*z),
            _ => duration_score(*z, score_scale),
        })
        .collect();
    let average = |of: &[f64]| mean(of.iter().copied(), weights);
    let ratio = average(&scores).zip(average(truth));
    let measured = TruthMetrics {
        rows: weights.iter().filter(|w| **w > 0.0).count() as u64,
        calibration: ratio.filter(|(_, t)| *t > 0.0).map(|(s, t)| s / t),
        ..TruthMetrics::default()
    };
    let difference = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a - b);
    if kind == TaskKind::Binary {
        let model = expected_auc(logits, truth, weights);
        let bound = expected_auc(best, truth, weights);
        return TruthMetrics {
            expected_auc: model,
            bound,
            gap: difference(bound, model),
            ..measured
        };
    }
    let error = |scores: &[f64]| {
        let errors = scores.iter().zip(truth).map(|(s, y)| (s - y).abs());
        mean(errors, weights)
    };
    let (model, bound) = (xauc(&scores, truth, weights), xauc(best, truth, weights));
    let (mae, mae_bound) = (error(&scores), error(best));
    TruthMetrics {
        xauc: model,
        xauc_bound: bound,
        xauc_gap: difference(bound, model),
        mae,
        mae_bound,
        mae_gap: difference(mae, mae_bound),
        ..measured
    }
}

fn need(source: &Source, name: &str) -> Result<usize> {
    let found = source.header.iter().position(|h| h == name);
    found.ok_or_else(|| {
        let names = source.header.iter().map(String::as_str);
        let message = format!(
            "no column \"{name}\"; is this the truth that simulate wrote?{}",
            near_misses(name, names)
        );
        Error::at_line(Kind::Data, &source.file, 1, message)
    })
}

/// The column of the log that a task learns, if it is one.
fn label_column(d: &Description, task: usize) -> Result<Option<String>> {
    let task = &d.toml.task[task];
    if !task.utility.is_empty() {
        return Ok(None);
    }
    let name = task.label().get_ref();
    let Some(label) = d.label(name).map(|l| &d.toml.label[l]) else {
        return Ok(None);
    };
    Ok(match &label.value {
        None => Some(label.name.get_ref().clone()),
        Some(value) => d.expression(value)?.as_column().map(String::from),
    })
}

/// What the truth knows of a task: the probabilities `p_*_X` of its label's column X, or the watch time.
fn wanted(
    d: &Description,
    task: usize,
    source: &Source,
    find: &dyn Fn(&str) -> Option<usize>,
) -> Result<Wanted> {
    let t = &d.toml.task[task];
    let skipped = |why: String| {
        Ok(Wanted {
            columns: Columns::Skipped(why),
            given_click: false,
        })
    };
    if t.kind == Objective::Rank {
        return skipped(String::from("the truth knows no order of a list"));
    }
    let Some(column) = label_column(d, task)? else {
        return skipped(String::from(
            "its label is an expression; the truth knows columns of the log",
        ));
    };
    let space = t.space.as_ref().and_then(|s| d.task(s.get_ref()));
    let given = space.map(|g| label_column(d, g)).transpose()?.flatten();
    let given_click = given.as_deref() == Some("click");
    let columns = if !t.kind.of_score().is_binary() {
        if column != "watch_seconds" {
            return skipped(format!("the truth knows watch_seconds, not \"{column}\""));
        }
        let label = d.label(t.label().get_ref());
        Columns::Duration {
            median: need(source, "watch_median_visible")?,
            watch: need(source, "watch_seconds")?,
            scale: label.map_or(1.0, |l| d.toml.label[l].scale),
        }
    } else {
        let (visible, latent) = (format!("p_visible_{column}"), format!("p_latent_{column}"));
        if find(&visible).is_none() && find(&latent).is_none() {
            return skipped(format!("the truth has no column \"{visible}\""));
        }
        Columns::Binary {
            visible: need(source, &visible)?,
            latent: need(source, &latent)?,
        }
    };
    // The truth says P(click) of a valid impression, and everything else given a click.
    if (column == "click" && space.is_some()) || (column != "click" && !given_click) {
        let of = if column == "click" {
            "an impression"
        } else {
            "a click"
        };
        return skipped(format!(
            "the truth of \"{column}\" is that given {of}, and the task's space is not"
        ));
    }
    Ok(Wanted {
        columns,
        given_click,
    })
}

#[cfg(test)]
mod tests;
