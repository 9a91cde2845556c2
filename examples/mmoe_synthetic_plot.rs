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

fn folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|p| p.is_dir())
        .collect();
    paths.sort();
    Ok(paths)
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

    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder)?;
    }
    let root = SVGBackend::new(&options.out, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
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
    // Blue and vermilion of Okabe and Ito's palette, which colour-blind readers tell apart.
    for ((name, points), colour) in variants
        .iter()
        .zip([RGBColor(0, 114, 178), RGBColor(213, 94, 0)])
    {
        chart
            .draw_series(LineSeries::new(
                points.iter().map(|(p, l)| (*p, mean(l))),
                colour.stroke_width(2),
            ))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        let seeds = points
            .iter()
            .flat_map(|(p, losses)| losses.iter().map(move |l| (*p, *l)));
        chart.draw_series(seeds.map(|at| Circle::new(at, 3, colour.mix(0.5).filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()?;
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
