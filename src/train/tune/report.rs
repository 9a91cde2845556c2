//! What was found, and the files that say it.
use core::fmt::Write;
use std::path::Path;
use std::prelude::v1::*;

use serde::Serialize;

use super::interval::Measured;
use crate::train::error::{Error, Result};
use crate::train::files::write_atomically;

/// A part of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Lists of two rows or more.
    pub lists: usize,
    /// Their rows.
    pub rows: usize,
    /// Rows of equal count that would know a mean as well.
    pub effective: f64,
}

/// Weights, or the order by one task, as measured on the lists that were not searched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// "current", "tuned", "equal weights", "learned" or a task.
    pub name: String,
    /// None for a task and for what was learned.
    pub weights: Option<Vec<f32>>,
    /// Means on the lists that were searched.
    pub searched: Vec<f64>,
    /// On the rest.
    #[serde(flatten)]
    pub measured: Measured,
}

/// How a constraint stands on the lists that were not searched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    /// As it was written.
    pub constraint: String,
    /// How far the tuned weights are on the right side of the bound.
    pub slack: f64,
    /// Its standard error.
    pub error: f64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What the values are, in a sentence.
    pub estimator: String,
    /// Whether they estimate what users would do.
    pub causal: bool,
    /// The lists that were searched, and the rest.
    pub parts: [Part; 2],
    /// Lists of one row, left out.
    pub single: usize,
    /// Share of the reward that each position leaves, from the lists that were searched; empty for replay.
    pub examination: Vec<f64>,
    /// What is measured: the utility first.
    pub rewards: Vec<String>,
    /// Names of the weights.
    pub weights: Vec<String>,
    /// Weights that were looked at.
    pub looked_at: usize,
    /// The current weights, the tuned ones, equal ones, each task alone.
    pub policies: Vec<Policy>,
    /// Constraints.
    pub kept: Vec<Kept>,
    /// Index of the reward against which the front is drawn.
    pub front_reward: Option<usize>,
    /// Weights that none beats in both rewards, by rising utility; the tuned ones are among them if none beats those.
    pub front: Vec<Policy>,
    /// The tuned weights as text that a description takes.
    pub description: String,
    /// The learned fusion's formula.
    pub learned: Option<String>,
    /// The front as SVG.
    #[serde(skip)]
    pub plot: Option<String>,
}

/// Writes `weights.toml`, `report.json` and, where there are such, `learned.toml` and `front.svg` into a folder.
///
/// # Errors
/// [`Kind::Io`](crate::train::error::Kind::Io).
pub fn write(report: &Report, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, &e))?;
    let mut text = String::from("# The fusion's weights as pocketrank tune found them.\n");
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "# {name}: {}", what.replace('\n', " "));
    };
    line("maximised", &report.rewards[0]);
    for kept in &report.kept {
        line("subject to", &kept.constraint);
    }
    line("values", &report.estimator);
    text.push_str(&report.description);
    write_atomically(&out.join("weights.toml"), text.as_bytes())?;
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    write_atomically(&out.join("report.json"), (json + "\n").as_bytes())?;
    if let Some(formula) = &report.learned {
        let text = format!(
            "# The fusion that pocketrank tune learned.\n\n[fusion]\nformula = {formula:?}\n"
        );
        write_atomically(&out.join("learned.toml"), text.as_bytes())?;
    }
    if let Some(plot) = &report.plot {
        write_atomically(&out.join("front.svg"), plot.as_bytes())?;
    }
    Ok(())
}
