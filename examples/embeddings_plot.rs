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

mod plot;
use plot::{COLOURS, Line, draw, folders, on, sheet};

/// What is drawn: the beginning of a variant's name, before its rows.
const KINDS: [(&str, RGBColor); 5] = [
    ("vocabulary", COLOURS[0]),
    ("vocabulary, 4 bits", COLOURS[4]),
    ("one hash", COLOURS[2]),
    ("two hashes", COLOURS[1]),
    ("two hashes, 4 bits", COLOURS[3]),
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

    let root = sheet(&options.out)?;
    let bytes = (least / 1.1..most * 1.1).log_scale();
    let bytes = bytes.with_key_points(vec![20.0, 30.0, 50.0, 100.0, 200.0]);
    let mut chart = on(&root).build_cartesian_2d(bytes, low - 0.003..high + 0.003)?;
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
    let line = |(name, colour): (&'static str, RGBColor)| -> Option<Line<'_>> {
        let sizes = kinds.get(name)?.iter();
        let points = sizes.map(|(bytes, aucs)| (*bytes as f64 / 1000.0, &aucs[..]));
        Some((name, colour, points.collect()))
    };
    let lines: Vec<Line<'_>> = KINDS.into_iter().filter_map(line).collect();
    draw(&mut chart, &lines, 14)?;
    root.present()?;
    Ok(())
}
