//! The page: one HTML file that needs nothing else.
//!
//! It is a function of the results: no date, no path, no name of a machine.
use std::prelude::v1::*;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::gather::{Better, Comparison, MetricRow};
use super::plots::{self, Drawn, Interval, Line};
use super::result::ReportView;
use super::statistics::Summary;
use crate::train::error::{Error, Kind, Result};

mod curves;
mod health;

/// The whole page.
///
/// # Errors
/// [`Kind::Io`] for a plot that could not be drawn.
pub fn page(c: &Comparison) -> Result<String> {
    let title = format!(
        "{}: comparison of {} variants",
        c.experiment,
        c.variants.len()
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                h1 { "Comparison of " (c.variants.len()) " variants" }
                (head(c))
                (failures(c))
                (differences(c)?)
                (metrics(c))
                (costs(c))
                (int8(c))
                (curves::learning(c)?)
                (curves::calibration(c)?)
                (health::gates(c)?)
                (health::measures(c))
                (curves::weights(c)?)
                (health::warnings(c))
            }
        }
    };
    Ok(markup.into_string())
}

/// A plot with its caption.
fn figure(caption: &str, plot: Drawn) -> Result<Markup> {
    let svg = plot.map_err(|e| Error::new(Kind::Io, format!("plot \"{caption}\": {e}")))?;
    Ok(html! { figure { figcaption { (caption) } (PreEscaped(svg)) } })
}

/// Names with the colours of their series.
fn legend<'n>(names: impl Iterator<Item = &'n str>) -> Markup {
    html! {
        ul.legend {
            @for (i, name) in names.enumerate() {
                li { i style={ "background:" (plots::hex(i)) } {} (name) }
            }
        }
    }
}

fn variants_legend(c: &Comparison) -> Markup {
    legend(c.variants.iter().map(|v| v.name.as_str()))
}

fn head(c: &Comparison) -> Markup {
    let seeds: Vec<String> = c.seeds.iter().map(u64::to_string).collect();
    let rows = c
        .variants
        .iter()
        .flat_map(|v| v.views.iter().flatten())
        .map(|v| v.rows)
        .next();
    html! {
        dl {
            dt { "experiment" } dd { code { (c.experiment) } }
            dt { "data" } dd { code { (c.data.join(", ")) } }
            @if let Some([train, stop, validation]) = rows {
                dt { "rows" } dd { (train) " to train on, " (stop) " to stop on, " (validation) " to measure on" }
            }
            dt { "seeds" } dd { (seeds.join(", ")) }
            dt { "program" } dd { "pocketrank " (env!("CARGO_PKG_VERSION")) }
        }
        div.wide { table {
            caption { "Variants. The others are held against the first." }
            thead { tr { th scope="col" { "variant" } th.text scope="col" { "changes to its base" } th scope="col" { "runs" } } }
            tbody {
                @for (v, cost) in c.variants.iter().zip(&c.costs) {
                    tr {
                        th scope="row" { (v.name) }
                        td.text {
                            @if v.changes.is_empty() { span.soft { "none" } }
                            @for (i, change) in v.changes.iter().enumerate() {
                                @if i > 0 { br; }
                                code { (change) }
                            }
                        }
                        td { (cost.runs) " of " (c.seeds.len()) }
                    }
                }
            }
        } }
    }
}

fn failures(c: &Comparison) -> Markup {
    html! {
        @if !c.failures.is_empty() {
            h2 { "What failed" }
            ul.failed {
                @for f in &c.failures {
                    li { strong { (f.variant) } ", seed " (f.seed) ": " (f.message) }
                }
            }
        }
    }
}

/// The paired differences of every task's first metric, AUC or Spearman's correlation: an axis a task, since a rare task's
/// intervals are many times as wide as a common one's.
fn differences(c: &Comparison) -> Result<Markup> {
    let Some((first, others)) = c.variants.split_first() else {
        return Ok(html! {});
    };
    let names: Vec<String> = others.iter().map(|v| v.name.clone()).collect();
    let mut figures = Vec::new();
    for task in c.tasks() {
        let rows = || c.metrics.iter().filter(|r| r.task == task);
        let Some(metric) = rows().find(|r| matches!(r.metric, "auc" | "spearman")) else {
            continue;
        };
        let rows = rows().filter(|r| r.metric == metric.metric && r.index > 0);
        let of_row = |r: &MetricRow| Some((r.index - 1, r.index, r.difference?));
        let intervals: Vec<Interval> = rows.filter_map(of_row).collect();
        let label = format!("difference of {} in {task}", metric.label);
        let plot = plots::differences(&label, &names, &intervals, metric.label);
        figures.extend(plot.map(|plot| figure(&task, plot)).transpose()?);
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { "Differences to " (first.name) }
            p { "AUC (Spearman for durations): mean of the differences seed by seed, and its 95 % interval by Student's t. Right of 0 is better. Each task has its own axis." }
            div.plots { @for figure in &figures { (figure) } }
        }
    })
}

/// A number with so many decimals and, with several seeds, its standard deviation.
fn spread(s: &Summary, decimals: usize) -> String {
    match s.sd {
        Some(sd) => format!("{:.decimals$} ± {sd:.decimals$}", s.mean),
        None => format!("{:.decimals$}", s.mean),
    }
}

/// What a sure difference means.
fn verdict(r: &MetricRow) -> &'static str {
    let Some(d) = r.difference.filter(|_| r.excludes_zero) else {
        return "";
    };
    match (r.better, d.mean > 0.0) {
        (Better::Higher, true) | (Better::Lower, false) => "better",
        (Better::Higher, false) | (Better::Lower, true) => "worse",
        (Better::One, true) => "higher",
        (Better::One, false) => "lower",
    }
}

fn metrics(c: &Comparison) -> Markup {
    let compared = c.variants.len() > 1;
    html! {
        h2 { "Metrics on the validation rows" }
        p {
            "Mean ± standard deviation over seeds, of the f32 runs. AUC, GAUC, Spearman and XAUC are better the higher, log loss and MAE the lower; "
            "calibration, the mean score over the mean label, should be 1."
        }
        @if compared {
            p {
                "Differences are paired by seed; a marked one has a 95 % interval without 0. The interval covers chance in training, not in the "
                "log: all runs are measured on the same rows. Of many lines, one in twenty is marked by chance alone."
            }
        }
        @for task in c.tasks() {
            h3 { (task) }
            div.wide { table {
                thead { tr {
                    th scope="col" { "metric" } th.text scope="col" { "variant" } th scope="col" { "value" }
                    @if compared { th scope="col" { "difference" } th scope="col" { "95 % interval" } th scope="col" { "verdict" } }
                } }
                @for rows in rows_of(c, &task) {
                    tbody { @for r in rows { (metric_row(r, c.variants.len())) } }
                }
            } }
        }
    }
}

/// A task's rows, metric by metric.
fn rows_of<'c>(c: &'c Comparison, task: &str) -> impl Iterator<Item = &'c [MetricRow]> {
    c.metrics
        .chunk_by(|a, b| a.task == b.task && a.metric == b.metric)
        .filter(move |rows| rows.first().is_some_and(|r| r.task == task))
}

fn metric_row(r: &MetricRow, variants: usize) -> Markup {
    let decimals = if r.metric == "mae" { 3 } else { 4 };
    html! {
        tr.first[r.index == 0] {
            @if r.index == 0 { th scope="rowgroup" rowspan=(variants) { (r.label) } }
            th.text scope="row" { (r.variant) }
            td { (r.value.map_or("-".into(), |v| spread(&v, decimals))) }
            @if variants > 1 {
                td { (r.difference.map_or("-".into(), |d| format!("{:+.decimals$}", d.mean))) }
                td {
                    @match r.difference.and_then(|d| d.interval) {
                        Some([low, high]) => (format!("{low:+.decimals$} to {high:+.decimals$}")),
                        None => "-",
                    }
                }
                td.sure[r.excludes_zero] { (verdict(r)) }
            }
        }
    }
}

fn costs(c: &Comparison) -> Markup {
    let whole = |s: &Option<Summary>| s.map_or("-".into(), |s| format!("{:.0}", s.mean));
    html! {
        h2 { "Cost" }
        div.wide { table {
            caption { "Multiply-adds of the dense layers on the device: the user side once a request, the rest for each candidate. Training seconds are wall-clock." }
            thead { tr {
                th scope="col" { "variant" }
                th scope="col" { "embedding parameters" } th scope="col" { "dense parameters" }
                th scope="col" { "steps" } th scope="col" { "kept step" } th scope="col" { "training s" }
                th scope="col" { "device bytes" } th scope="col" { "multiply-adds a candidate" } th scope="col" { "a request" }
            } }
            tbody {
                @for cost in &c.costs {
                    tr {
                        th scope="row" { (cost.variant) }
                        @for i in 0..2 { td { (count(cost.parameters.map(|p| p[i]))) } }
                        td { (whole(&cost.steps)) }
                        td { (whole(&cost.best_step)) }
                        td.seconds { (cost.seconds.map_or("-".into(), |s| spread(&s, 1))) }
                        td { (count(cost.device_bytes)) }
                        @for i in [1, 0] { td { (count(cost.multiply_adds.map(|m| m[i]))) } }
                    }
                }
            }
        } }
    }
}

/// A count with a thin space between thousands.
fn count(n: Option<usize>) -> String {
    let Some(n) = n else {
        return "-".into();
    };
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

fn int8(c: &Comparison) -> Markup {
    let tasks: Vec<String> = c
        .tasks()
        .into_iter()
        .filter(|t| {
            c.costs
                .iter()
                .any(|cost| cost.int8_loss.iter().any(|(name, _)| name == t))
        })
        .collect();
    html! {
        @if !tasks.is_empty() {
            h2 { "Eight bits against f32" }
            div.wide { table {
                caption { "AUC (Spearman for durations) of the f32 run less that of the exported file, on the replayed validation rows; above 0, the file is worse." }
                thead { tr { th scope="col" { "variant" } @for t in &tasks { th scope="col" { (t) } } } }
                tbody {
                    @for cost in &c.costs {
                        tr {
                            th scope="row" { (cost.variant) }
                            @for t in &tasks {
                                td {
                                    @match cost.int8_loss.iter().find(|(name, _)| name == t) {
                                        Some((_, s)) => (spread(s, 5)),
                                        None => "-",
                                    }
                                }
                            }
                        }
                    }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests;
