//! The picture of docs/mmoe-synthetic.md, from folders that `pocketrank compare` wrote, one a correlation:
//!
//! ```sh
//! cargo run --release --features train --example mmoe_synthetic_plot -- \
//!     1.0=target/synthetic/compare-1.0 0.9=target/synthetic/compare-0.9 0.5=target/synthetic/compare-0.5
//! ```
//!
//! Log loss of validation rows, the mean of both tasks; dots are seeds, lines go through their means.

use core::error::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use plotters::prelude::*;

mod plot;
use plot::{COLOURS, Line, draw, folders, mean, on, sheet};

#[derive(Parser)]
struct Options {
    /// CORRELATION=FOLDER.
    #[arg(required = true, value_parser = pair)]
    folders: Vec<(f64, PathBuf)>,
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
    let losses = losses.filter(|l| !l.is_empty())?;
    Some(losses.iter().sum::<f64>() / losses.len() as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    // Variant -> (correlation, loss of each seed).
    let mut variants: BTreeMap<String, Vec<(f64, Vec<f64>)>> = BTreeMap::new();
    for (correlation, folder) in &options.folders {
        for variant in folders(folder)? {
            let losses: Vec<f64> = folders(&variant)?
                .iter()
                .filter_map(|run| log_loss(run))
                .collect();
            if let (Some(name), false) = (variant.file_name(), losses.is_empty()) {
                let name = name.to_string_lossy().into_owned();
                println!(
                    "{correlation:.2} {name:14} {:.4} over {} seeds",
                    mean(&losses),
                    losses.len()
                );
                variants
                    .entry(name)
                    .or_default()
                    .push((*correlation, losses));
            }
        }
    }
    let all = || variants.values().flatten();
    let top = all()
        .flat_map(|(_, losses)| losses)
        .fold(0.0, |a: f64, b| a.max(*b));
    let low = all().fold(1.0, |a: f64, (p, _)| a.min(*p));
    if top == 0.0 {
        return Err("no finished run in these folders".into());
    }

    let root = sheet(&options.out)?;
    let mut chart = on(&root)
        // Correlation falls from left to right, as the paper tells it.
        .build_cartesian_2d(1.02..low - 0.02, 0.0..top * 1.15)?;
    chart
        .configure_mesh()
        .x_desc("cosine of the two tasks' weight vectors")
        .y_desc("log loss, mean of both tasks")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .x_labels(6)
        .x_label_formatter(&|p| format!("{p:.1}"))
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
