//! The picture of docs/distillation.md, from what `examples/distillation/run.sh` made: click AUC of students by their dense
//! parameters, alone and with each teacher, and the teacher's own.
//!
//! ```sh
//! cargo run --release --features train --example distillation_plot -- target/distillation
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
use plot::{COLOURS, Line, draw, folders, mean, on, sheet};

#[derive(Parser)]
struct Options {
    /// What run.sh made.
    folder: PathBuf,
    /// The picture.
    #[arg(long, default_value = "docs/img/distillation.svg")]
    out: PathBuf,
}

/// Dense parameters and click AUC of a report.
fn measured(report: &Value) -> Option<(f64, f64)> {
    let tasks = report["tasks"].as_array()?;
    let click = tasks.iter().find(|task| task[0] == "click")?;
    Some((report["parameters"][1].as_f64()?, click[1]["auc"].as_f64()?))
}

fn read(path: &Path) -> Result<Value, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let teacher = read(&options.folder.join("teacher/report.json"))?;
    let (teacher_size, teacher_auc) = measured(&teacher).ok_or("the teacher has no click AUC")?;
    // Variant -> dense parameters -> AUC of each seed.
    let mut variants: BTreeMap<String, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for student in folders(&options.folder)? {
        let name = student.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("student-") {
            continue;
        }
        for variant in folders(&student)? {
            let name = variant.file_name().unwrap_or_default().to_string_lossy();
            let name = name.replace("%20", " ");
            // Variants of a student begin with its size.
            let name = name.split_once(", ").map_or(&*name, |(_, name)| name);
            for run in folders(&variant)? {
                let result = read(&run.join("result.json"))?;
                let found = measured(&result["report"]);
                let (size, auc) = found.ok_or("a student has no click AUC")?;
                let sizes = variants.entry(name.to_string()).or_default();
                sizes.entry(size as u64).or_default().push(auc);
            }
        }
    }
    println!("teacher {teacher_size} {teacher_auc:.4}");
    for (name, sizes) in &variants {
        for (size, aucs) in sizes {
            println!(
                "{name:24} {size:6} {:.4} over {} seeds",
                mean(aucs),
                aucs.len()
            );
        }
    }
    let points = || variants.values().flatten();
    let all = || points().flat_map(|(_, aucs)| aucs.iter().copied());
    let low = all().fold(teacher_auc, f64::min) - 0.002;
    let high = all().fold(teacher_auc, f64::max) + 0.002;
    let sizes = || points().map(|(size, _)| *size as f64);
    let most = sizes().fold(0.0, f64::max) * 1.1;
    if most == 0.0 {
        return Err("no finished student in this folder".into());
    }

    let root = sheet(&options.out)?;
    let mut chart = on(&root).build_cartesian_2d(0.0..most, low..high)?;
    chart
        .configure_mesh()
        .x_desc("dense parameters of the student")
        .y_desc("AUC of click, validation rows")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(WHITE)
        .y_label_formatter(&|auc| format!("{auc:.3}"))
        .x_label_formatter(&|size| format!("{size:.0}"))
        .x_labels(7)
        .draw()?;
    let line = [(0.0, teacher_auc), (most, teacher_auc)];
    chart
        .draw_series(DashedLineSeries::new(line, 6, 4, BLACK.stroke_width(1)))?
        .label(format!("teacher, {teacher_size:.0} parameters"))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.stroke_width(1)));
    let lines = variants.iter().zip(COLOURS).map(|((name, sizes), colour)| {
        let points = sizes.iter().map(|(size, aucs)| (*size as f64, &aucs[..]));
        (&**name, colour, points.collect())
    });
    draw(&mut chart, &lines.collect::<Vec<Line<'_>>>(), 14)?;
    root.present()?;
    Ok(())
}
