//! `pocketrank compare`: the library call, then its tables.

use core::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use pocketrank::train::compare::gather::{Comparison, MetricRow};
use pocketrank::train::compare::statistics::Summary;
use pocketrank::train::compare::{self, Event, Options, PAGE_FILE};
use pocketrank::train::error::{Error, Kind, Result};

use crate::args::Compare;
use crate::commands::INTERRUPT;
use crate::print;

pub fn compare(args: &Compare, json: bool) -> Result<()> {
    // As for `train`: the handler only sets a flag, and the run ends with a checkpoint.
    let _ = ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed));
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let options = Options {
        experiment: &args.experiment,
        data: args.data.as_deref(),
        out: &args.out,
        threads: args.threads,
    };
    let comparison = compare::compare(&options, &INTERRUPT, &mut |event| match event {
        Event::Run {
            variant,
            seed,
            number,
            of,
            kept,
        } => {
            let kept = if *kept { ": kept" } else { "" };
            bar.suspend(|| eprintln!("[{number}/{of}] {variant}, seed {seed}{kept}"));
        }
        Event::Step(p) => {
            bar.set_length(p.steps);
            bar.set_position(p.step);
            bar.set_message(format!(
                "{:.0} rows/s  ETA {:.0} s",
                p.rows_per_second, p.eta_seconds
            ));
        }
        Event::Failed(message) => bar.suspend(|| eprintln!("  failed: {message}")),
    });
    bar.finish_and_clear();
    let comparison = comparison?;
    if json {
        outln!("{}", json!(comparison));
    } else {
        metrics(&comparison);
        costs(&comparison);
        outln!("\npage: {}", args.out.join(PAGE_FILE).display());
    }
    failed(&comparison)
}

/// Names what failed.
fn failed(c: &Comparison) -> Result<()> {
    if c.failures.is_empty() {
        return Ok(());
    }
    for f in &c.failures {
        eprintln!("{}, seed {}: {}", f.variant, f.seed, f.message);
    }
    let mut names: Vec<&str> = c.failures.iter().map(|f| f.variant.as_str()).collect();
    names.dedup();
    let message = format!(
        "{} of {} runs failed, of {}",
        c.failures.len(),
        c.seeds.len() * c.variants.len(),
        names.join(", ")
    );
    Err(Error::new(Kind::Refused, message))
}

fn metrics(c: &Comparison) {
    let compared = c.variants.len() > 1;
    let row = |(i, r): (usize, &MetricRow)| {
        let decimals = if r.metric == "mae" { 3 } else { 4 };
        let signed = |x: f64| format!("{x:+.decimals$}");
        // What the line before says too is left out.
        let first_of_task = i == 0 || c.metrics[i - 1].task != r.task;
        let mut cells = vec![
            if first_of_task {
                r.task.clone()
            } else {
                String::new()
            },
            if r.index == 0 {
                r.label.to_string()
            } else {
                String::new()
            },
            r.variant.clone(),
            print::number(r.value.map(|v| v.mean), decimals),
            print::number(r.value.and_then(|v| v.sd), decimals),
        ];
        if compared {
            let interval = r.difference.and_then(|d| d.interval);
            cells.push(r.difference.map_or("-".into(), |d| signed(d.mean)));
            cells.push(interval.map_or("-".into(), |[low, high]| {
                format!("{} to {}", signed(low), signed(high))
            }));
            cells.push(if r.excludes_zero {
                "*".into()
            } else {
                String::new()
            });
        }
        cells
    };
    let rows: Vec<Vec<String>> = c.metrics.iter().enumerate().map(row).collect();
    let mut header = vec!["task", "metric", "variant", "mean", "sd"];
    if compared {
        header.extend(["difference", "95 % interval", ""]);
    }
    if !rows.is_empty() {
        print::table(&header, &rows);
        outln!("");
    }
}

fn costs(c: &Comparison) {
    let count = |n: Option<usize>| n.map_or("-".into(), |n| n.to_string());
    let mean = |s: &Option<Summary>, decimals| print::number(s.map(|s| s.mean), decimals);
    let rows: Vec<Vec<String>> = c
        .costs
        .iter()
        .map(|cost| {
            vec![
                cost.variant.clone(),
                format!("{}/{}", cost.runs, c.seeds.len()),
                count(cost.parameters.map(|p| p[0])),
                count(cost.parameters.map(|p| p[1])),
                mean(&cost.steps, 0),
                mean(&cost.seconds, 1),
                count(cost.device_bytes),
                count(cost.multiply_adds.map(|m| m[1])),
                count(cost.multiply_adds.map(|m| m[0])),
                worst(&cost.int8_loss),
            ]
        })
        .collect();
    print::table(
        &[
            "variant",
            "runs",
            "embedding",
            "dense",
            "steps",
            "seconds",
            "bytes",
            "madds/candidate",
            "madds/request",
            "worst int8 loss",
        ],
        &rows,
    );
}

/// The task that eight bits cost most.
fn worst(losses: &[(String, Summary)]) -> String {
    let worst = losses.iter().max_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
    worst.map_or("-".into(), |(task, s)| format!("{:+.5} {task}", s.mean))
}
