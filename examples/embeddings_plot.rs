//! The picture of docs/embeddings.md, from what `pocketrank compare examples/embeddings/experiment.toml` made: click AUC of
//! exported files by their bytes, a line for each kind of table.
//!
//! ```sh
//! cargo run --release --features train --example embeddings_plot -- target/embeddings/runs
//! ```
//!
//! Dots are seeds, lines go through their means.

use core::error::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use plotters::prelude::*;
use serde_json::Value;

/// What is drawn: the beginning of a variant's name, before its rows; and a colour of Okabe and Ito's palette, which
/// colour-blind readers tell apart.
const KINDS: [(&str, RGBColor); 5] = [
    ("vocabulary", RGBColor(110, 110, 110)),
    ("vocabulary, 4 bits", RGBColor(86, 180, 233)),
    ("one hash", RGBColor(213, 94, 0)),
    ("two hashes", RGBColor(0, 114, 178)),
    ("two hashes, 4 bits", RGBColor(0, 158, 115)),
];

#[derive(Parser)]
struct Options {
    /// What compare made.
    folder: PathBuf,
    /// The picture.
    #[arg(long, default_value = "docs/img/embeddings.svg")]
    out: PathBuf,
}

/// Bytes and click AUC of an exported file; `None` for a run that is not finished.
fn measured(result: &Path) -> Option<(u64, f64)> {
    let result: Value = serde_json::from_str(&fs::read_to_string(result).ok()?).ok()?;
    let export = &result["export"];
    let tasks = export["tasks"].as_array()?;
    let click = tasks.iter().find(|task| task["name"] == "click")?;
    Some((export["bytes"].as_u64()?, click["file"].as_f64()?))
}

fn folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = entries.iter().map(fs::DirEntry::path);
    let mut paths: Vec<PathBuf> = paths.filter(|p| p.is_dir()).collect();
    paths.sort();
    Ok(paths)
}

/// "two hashes, 512" is of kind "two hashes", "vocabulary, all, 4 bits" of "vocabulary, 4 bits".
fn kind(variant: &str) -> String {
    let parts = variant.split(", ");
    let parts = parts.filter(|part| *part != "all" && part.parse::<u32>().is_err());
    parts.collect::<Vec<_>>().join(", ")
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    // Kind -> bytes -> AUC of each seed.
    let mut kinds: BTreeMap<String, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for variant in folders(&options.folder)? {
        let name = variant.file_name().unwrap_or_default().to_string_lossy();
        let kind = kind(&name.replace("%20", " "));
        for run in folders(&variant)? {
            if let Some((bytes, auc)) = measured(&run.join("result.json")) {
                let sizes = kinds.entry(kind.clone()).or_default();
                sizes.entry(bytes).or_default().push(auc);
            }
        }
    }
    let drawn = || KINDS.iter().filter_map(|(kind, _)| kinds.get(*kind));
    let sizes = || drawn().flatten().map(|(bytes, _)| *bytes as f64 / 1000.0);
    let aucs = || drawn().flat_map(BTreeMap::values).flatten().copied();
    let (least, most) = (
        sizes().fold(f64::MAX, f64::min),
        sizes().fold(0.0, f64::max),
    );
    let (low, high) = (aucs().fold(1.0, f64::min), aucs().fold(0.0, f64::max));
    if most == 0.0 {
        return Err("no finished run in this folder".into());
    }

    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder)?;
    }
    let root = SVGBackend::new(&options.out, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let bytes = (least / 1.1..most * 1.1).log_scale();
    let bytes = bytes.with_key_points(vec![20.0, 30.0, 50.0, 100.0, 200.0]);
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(bytes, low - 0.003..high + 0.003)?;
    chart
        .configure_mesh()
        .x_desc("kB of the file")
        .y_desc("AUC of click, validation rows")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .y_label_formatter(&|auc| format!("{auc:.2}"))
        .x_label_formatter(&|kb| format!("{kb:.0}"))
        .draw()?;
    for (name, colour) in KINDS {
        let Some(sizes) = kinds.get(name) else {
            continue;
        };
        let at = |bytes: &u64| *bytes as f64 / 1000.0;
        let mean = |aucs: &[f64]| aucs.iter().sum::<f64>() / aucs.len() as f64;
        let means = sizes.iter().map(|(bytes, aucs)| (at(bytes), mean(aucs)));
        chart
            .draw_series(LineSeries::new(means, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        let seeds = sizes
            .iter()
            .flat_map(|(bytes, aucs)| aucs.iter().map(move |auc| (at(bytes), *auc)));
        chart.draw_series(seeds.map(|at| Circle::new(at, 3, colour.mix(0.5).filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()?;
    Ok(())
}
