//! Prints what the files of an experiment in `examples/quantization` lose: `pocketrank compare` leaves the results that this reads.
//!
//! ```text
//! cargo run --release --features train --example quantization -- OUT
//! ```
//!
//! Of every variant and task, in 1e-4 of AUC (Spearman's correlation for durations), mean over seeds and in brackets the largest:
//! what the file loses against the f32 network of the same seed that was trained without epochs on the device's grids (the first
//! variant), and against its own f32 network.
use core::error::Error;
use std::path::{Path, PathBuf};

use pocketrank::train::compare::result::RunResult;

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os().nth(1).map(PathBuf::from);
    let out = out.ok_or("quantization OUT: the folder of a finished experiment")?;
    let plain = seeds(&out.join(PLAIN))?;
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&out)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|path| path.is_dir());
    // The first variant first, the others by name.
    folders.sort_by_key(|path| (!path.ends_with(PLAIN), path.clone()));
    println!("| variant | task | f32 without | file against it | file against its own f32 |");
    println!("|---|---|---|---|---|");
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let (variant, runs) = (name.replace("%20", " "), seeds(&folder)?);
        if runs.is_empty() {
            continue;
        }
        let tasks = plain.first().map_or(0, |run| run.1.len());
        for t in 0..tasks {
            let (mut f32, mut loss, mut own) = (Vec::new(), Vec::new(), Vec::new());
            for (seed, tasks) in &runs {
                let same = plain.iter().find(|(s, _)| s == seed);
                let (_, without) = same.ok_or("a seed has no run without")?;
                f32.push(without[t].1);
                loss.push((without[t].1 - tasks[t].2) * 1e4);
                own.push((tasks[t].1 - tasks[t].2) * 1e4);
            }
            let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
            let most = |x: &[f64]| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            println!(
                "| {variant} | {} | {:.4} | {:.1} ({:.1}) | {:.1} ({:.1}) |",
                plain[0].1[t].0,
                mean(&f32),
                mean(&loss),
                most(&loss),
                mean(&own),
                most(&own)
            );
        }
    }
    Ok(())
}

/// Name, metric of f32 and metric of the file.
type Task = (String, f64, f64);

/// The folder of the variant that the others are held against.
const PLAIN: &str = "8%20bits";

/// The folder's name of a seed, and its tasks.
type Run = (String, Vec<Task>);

/// A variant's runs.
fn seeds(folder: &Path) -> Result<Vec<Run>, Box<dyn Error>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(result) = RunResult::load(&path.join("result.json")) else {
            continue;
        };
        let exported = result.finished().and_then(|f| f.export.as_ref());
        let Some(exported) = exported else { continue };
        let tasks = exported.tasks.iter().map(|t| {
            let nan = f64::NAN;
            (t.name.clone(), t.f32.unwrap_or(nan), t.file.unwrap_or(nan))
        });
        all.push((name.into_owned(), tasks.collect()));
    }
    all.sort_by(|a: &Run, b| a.0.cmp(&b.0));
    Ok(all)
}
