//! The picture of docs/mmoe-synthetic.md, from folders that `pocketrank compare` wrote, one a correlation and world:
//!
//! ```sh
//! cargo run --release --features train --example mmoe_synthetic_plot -- \
//!     1.0=target/synthetic/compare-1.0 0.9=target/synthetic/compare-0.9 0.5=target/synthetic/compare-0.5
//! ```
//!
//! Log loss of validation rows, the mean of both tasks; dots are runs, lines go through their means. With `--squared-error` the
//! squared error of y over y's variance, from `scores.csv` (`pocketrank eval --scores`) in the folder of each run, on a
//! logarithmic scale: worlds differ a hundredfold.
//! Prints the variants' means, and the differences from the last variant, paired by run, with 95 % intervals. Of squared
//! errors these are geometric means, and factors.

use core::error::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use plotters::prelude::*;
use pocketrank::train::compare::statistics::Difference;

mod plot;
use plot::{COLOURS, Line, draw, folders, mean, on, sheet};

#[derive(Parser)]
struct Options {
    /// CORRELATION=FOLDER. A correlation may have several folders, in the same order as the others'.
    #[arg(required = true, value_parser = pair)]
    folders: Vec<(f64, PathBuf)>,
    #[arg(long)]
    squared_error: bool,
    /// The picture.
    #[arg(long, default_value = "docs/img/mmoe-synthetic.svg")]
    out: PathBuf,
}

fn pair(text: &str) -> Result<(f64, PathBuf), String> {
    let (correlation, folder) = text.split_once('=').ok_or("write CORRELATION=FOLDER")?;
    let correlation = correlation
        .parse()
        .map_err(|_| format!("{correlation} is no number"))?;
    Ok((correlation, folder.into()))
}

/// Mean log loss of a run's tasks; `None` for a folder that is no finished run.
fn log_loss(run: &Path) -> Option<f64> {
    let text = fs::read_to_string(run.join("result.json")).ok()?;
    let result: serde_json::Value = serde_json::from_str(&text).ok()?;
    let tasks = result["report"]["tasks"].as_array()?;
    let losses: Option<Vec<f64>> = tasks.iter().map(|t| t[1]["log_loss"].as_f64()).collect();
    losses.filter(|l| !l.is_empty()).map(|l| mean(&l))
}

/// Mean over both tasks of the squared error of ln(1 + score) over the variance of ln(1 + value).
fn squared_error(run: &Path) -> Option<f64> {
    let mut rows = csv::Reader::from_path(run.join("scores.csv")).ok()?;
    let header = rows.headers().ok()?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let tasks = [("value_1", "score_first"), ("value_2", "score_second")];
    let places = tasks.map(|(y, s)| Some((place(y)?, place(s)?)));
    let mut pairs: [Vec<(f64, f64)>; 2] = Default::default();
    for row in rows.records() {
        let row = row.ok()?;
        let at = |i: usize| row[i].parse::<f64>().ok().map(f64::ln_1p);
        for (pairs, place) in pairs.iter_mut().zip(places) {
            let (value, score) = place?;
            pairs.push((at(value)?, at(score)?));
        }
    }
    let share = pairs.map(|pairs| {
        let middle = pairs.iter().map(|(y, _)| y).sum::<f64>() / pairs.len() as f64;
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
        sum(&|(y, s)| (s - y) * (s - y)) / sum(&|(y, _)| (y - middle) * (y - middle))
    });
    Some(mean(&share))
}

/// Correlations, falling, with the loss of each run.
type Points = Vec<(f64, Vec<f64>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let loss = |run: &Path| {
        if options.squared_error {
            squared_error(run).map(f64::log10)
        } else {
            log_loss(run)
        }
    };
    let mut variants: BTreeMap<String, Points> = BTreeMap::new();
    for (correlation, folder) in &options.folders {
        for variant in folders(folder)? {
            let losses: Vec<f64> = folders(&variant)?
                .iter()
                .filter_map(|run| loss(run))
                .collect();
            let Some(name) = variant.file_name().filter(|_| !losses.is_empty()) else {
                continue;
            };
            let points = variants
                .entry(name.to_string_lossy().into_owned())
                .or_default();
            match points.iter_mut().find(|(p, _)| p == correlation) {
                Some((_, all)) => all.extend(losses),
                None => points.push((*correlation, losses)),
            }
        }
    }
    for points in variants.values_mut() {
        points.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    let all = || variants.values().flatten();
    let losses = || all().flat_map(|(_, losses)| losses.iter().copied());
    let (least, top) = (
        losses().fold(f64::INFINITY, f64::min),
        losses().fold(f64::NEG_INFINITY, f64::max),
    );
    let low = all().fold(1.0, |a: f64, (p, _)| a.min(*p));
    if least > top {
        return Err("no finished run in these folders".into());
    }
    print(&variants, options.squared_error);
    let y = if options.squared_error {
        least - 0.6..top + 0.1
    } else {
        0.0..top * 1.15
    };

    let root = sheet(&options.out)?;
    let mut chart = on(&root)
        // Correlation falls from left to right, as the paper tells it.
        .build_cartesian_2d(1.02..low - 0.02, y)?;
    chart
        .configure_mesh()
        .x_desc("cosine of the two tasks' weight vectors")
        .y_desc(if options.squared_error {
            "squared error / variance, mean of both tasks"
        } else {
            "log loss, mean of both tasks"
        })
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .x_labels(6)
        // Of logarithms only the powers of ten.
        .y_labels(if options.squared_error { 4 } else { 10 })
        .x_label_formatter(&|p| format!("{p:.1}"))
        .y_label_formatter(&|y| {
            if options.squared_error {
                format!("{:.3}", libm::exp10(*y))
            } else {
                format!("{y:.2}")
            }
        })
        .draw()?;
    let lines = variants.iter().zip(COLOURS.into_iter().skip(1));
    let lines = lines.map(|((name, points), colour)| {
        let points = points.iter().map(|(p, losses)| (*p, &losses[..]));
        (&**name, colour, points.collect())
    });
    draw(&mut chart, &lines.collect::<Vec<Line<'_>>>(), 15)?;
    root.present()?;
    Ok(())
}

/// Means; differences from the last variant; and how those differ from the ones of the highest correlation. Of
/// `logarithms` what they stand for.
fn print(variants: &BTreeMap<String, Points>, logarithms: bool) {
    let Some(last) = variants.values().last() else {
        return;
    };
    let value = |x: f64| if logarithms { libm::exp10(x) } else { x };
    let interval = |a: &[f64], b: &[f64]| {
        let pairs: Vec<(f64, f64)> = a.iter().copied().zip(b.iter().copied()).collect();
        let difference = Difference::paired(&pairs);
        match difference.and_then(|d| Some((d.mean, d.interval?))) {
            Some((mean, [low, high])) => {
                let [mean, low, high] = [mean, low, high].map(value);
                format!("{mean:.4} ({low:.4} to {high:.4})")
            }
            None => "-".into(),
        }
    };
    for (name, points) in variants {
        let mut highest: Option<Vec<f64>> = None;
        for ((p, losses), (_, base)) in points.iter().zip(last) {
            let mean = value(mean(losses));
            print!("{p:.1} {name:14} {mean:.4} of {}", losses.len());
            if points != last {
                let less: Vec<f64> = losses.iter().zip(base).map(|(a, b)| a - b).collect();
                print!("; against the last {}", interval(losses, base));
                if let Some(highest) = &highest {
                    print!("; that against the first {}", interval(&less, highest));
                }
                highest.get_or_insert(less);
            }
            println!();
        }
    }
}
