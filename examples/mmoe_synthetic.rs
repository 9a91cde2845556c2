//! Two tasks whose correlation is known, after section 3.2 of Ma et al. 2018 ("Modeling Task Relationships in Multi-task
//! Learning with Multi-gate Mixture-of-Experts"). Writes `train.csv`, `valid.csv` and the matching `model.toml`:
//!
//! ```sh
//! cargo run --release --features train --example mmoe_synthetic -- --correlation 0.5 --out DIR
//! ```
//!
//! For inputs x ~ N(0, I), orthogonal unit vectors u1, u2 and a correlation p, w1 = c u1 and w2 = c (p u1 + √(1 - p²) u2):
//!
//!   y_k = w_k·x + Σ_i sin(α_i w_k·x + β_i) + e,   e ~ N(0, 0.1²),   α_i ~ N(0, frequency²),   β_i ~ N(0, 1)
//!
//! `label_k` is 1 where y_k is above its median over the training rows: a threshold keeps the noise of the label that of e,
//! where a draw from a sigmoid would add a coin to every row. `value_k` is exp(y_k + 16) - 1, so that a duration task, which
//! learns ln(1 + value), is the paper's regression. The labels of `valid.csv` are without e.
//!
//! Vectors, inputs and noise have streams of their own: files of different correlations have the same x.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use pocketrank::train::random::Key;

const INPUTS: usize = 100;
const NOISE: f64 = 0.1;
/// ln(1 + value) of a label of 0: keeps values above 0.
const SHIFT: f64 = 16.0;

#[derive(Parser)]
struct Options {
    /// Cosine of the two tasks' weight vectors, in [-1, 1].
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    correlation: f64,
    /// Training rows; a fifth as many validate.
    #[arg(long, default_value_t = 10_000)]
    rows: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// c, the length of the weight vectors.
    #[arg(long, default_value_t = 0.3)]
    scale: f64,
    /// m, the number of sines.
    #[arg(long, default_value_t = 5)]
    sines: u64,
    /// Standard deviation of α.
    #[arg(long, default_value_t = 1.0)]
    frequency: f64,
    /// The tasks learn ln(1 + `value_k`) by squared error, as in the paper, in place of `label_k`.
    #[arg(long)]
    regression: bool,
    /// Folder of the three files.
    #[arg(long)]
    out: PathBuf,
}

/// What is drawn once.
struct World {
    weights: [Vec<f64>; 2],
    sines: Vec<(f64, f64)>,
    rows: Key,
}

impl World {
    fn new(options: &Options) -> Self {
        let key = Key::new(options.seed);
        let (u1, u2) = orthogonal(key.at(0));
        let (p, c) = (options.correlation, options.scale);
        let q = libm::sqrt(1.0 - p * p);
        let w1 = u1.iter().map(|a| c * a).collect();
        let w2 = u1
            .iter()
            .zip(&u2)
            .map(|(a, b)| c * (p * a + q * b))
            .collect();
        let sine = |i| {
            let key = key.at(1).at(i);
            (options.frequency * key.at(0).normal(), key.at(1).normal())
        };
        Self {
            weights: [w1, w2],
            sines: (0..options.sines).map(sine).collect(),
            rows: key.at(2),
        }
    }

    fn input(&self, row: u64) -> Vec<f64> {
        let key = self.rows.at(row);
        (0..INPUTS as u64).map(|i| key.at(i).normal()).collect()
    }

    /// Both y of a row, without noise.
    fn clean(&self, x: &[f64]) -> [f64; 2] {
        [0, 1].map(|k| {
            let z = dot(&self.weights[k], x);
            z + self
                .sines
                .iter()
                .map(|(a, b)| libm::sin(a * z + b))
                .sum::<f64>()
        })
    }

    fn noisy(&self, row: u64, clean: [f64; 2]) -> [f64; 2] {
        let key = self.rows.at(row);
        [0, 1].map(|k| clean[k] + NOISE * key.at((INPUTS + k) as u64).normal())
    }
}

/// Two random orthogonal unit vectors (Gram & Schmidt).
fn orthogonal(key: Key) -> (Vec<f64>, Vec<f64>) {
    let draw = |k| -> Vec<f64> {
        (0..INPUTS as u64)
            .map(|i| key.at(k).at(i).normal())
            .collect()
    };
    let unit = |v: Vec<f64>| {
        let length = libm::sqrt(dot(&v, &v));
        v.into_iter().map(|a| a / length).collect::<Vec<f64>>()
    };
    let u1 = unit(draw(0));
    let v = draw(1);
    let along = dot(&u1, &v);
    let u2 = unit(v.iter().zip(&u1).map(|(b, a)| b - along * a).collect());
    (u1, u2)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let usable = (-1.0..=1.0).contains(&options.correlation) && options.rows >= 10;
    if !usable {
        let what = "--correlation is in [-1, 1], --rows at least 10";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    fs::create_dir_all(&options.out)?;
    let world = World::new(&options);
    let (train, all) = (options.rows, options.rows + options.rows / 5);

    let labels: Vec<[f64; 2]> = (0..all)
        .map(|row| {
            let clean = world.clean(&world.input(row));
            if row < train {
                world.noisy(row, clean)
            } else {
                clean
            }
        })
        .collect();
    let middle = [0, 1].map(|k| median(labels[..train as usize].iter().map(|y| y[k]).collect()));

    write_rows(
        &options.out.join("train.csv"),
        &world,
        &labels,
        middle,
        0..train,
    )?;
    write_rows(
        &options.out.join("valid.csv"),
        &world,
        &labels,
        middle,
        train..all,
    )?;
    fs::write(
        options.out.join("model.toml"),
        description(options.regression),
    )?;
    println!(
        "correlation of the weight vectors {:.3}; of the labels {:.3} (training rows)",
        options.correlation,
        pearson(&labels[..train as usize])
    );
    Ok(())
}

fn write_rows(
    path: &Path,
    world: &World,
    labels: &[[f64; 2]],
    middle: [f64; 2],
    rows: core::ops::Range<u64>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for i in 0..INPUTS {
        write!(out, "x{i},")?;
    }
    writeln!(out, "label_1,label_2,value_1,value_2")?;
    for row in rows {
        for x in world.input(row) {
            write!(out, "{x:.5},")?;
        }
        let y = labels[row as usize];
        let above = [0, 1].map(|k| u8::from(y[k] > middle[k]));
        let value = y.map(|y| libm::exp(y + SHIFT) - 1.0);
        writeln!(
            out,
            "{},{},{:.1},{:.1}",
            above[0], above[1], value[0], value[1]
        )?;
    }
    out.flush()
}

fn pearson(labels: &[[f64; 2]]) -> f64 {
    let n = labels.len() as f64;
    let mean = [0, 1].map(|k| labels.iter().map(|y| y[k]).sum::<f64>() / n);
    let moment = |i: usize, j: usize| -> f64 {
        labels
            .iter()
            .map(|y| (y[i] - mean[i]) * (y[j] - mean[j]))
            .sum()
    };
    moment(0, 1) / libm::sqrt(moment(0, 0) * moment(1, 1))
}

/// 100 numbers, 8 experts of 16, towers of 8: the sizes that the experiment of docs/mmoe-synthetic.md starts from.
fn description(regression: bool) -> String {
    let mut text = String::from(
        r#"# Written by examples/mmoe_synthetic.rs; docs/mmoe-synthetic.md says what it is for.

[data]
path = "train.csv"
validation = { path = "valid.csv" }

"#,
    );
    for k in 1..=2 {
        text += &format!("[[label]]\nname = \"label_{k}\"\n\n[[label]]\nname = \"value_{k}\"\n\n");
    }
    for i in 0..INPUTS {
        text +=
            &format!("[[feature]]\nname = \"x{i}\"\nside = \"candidate\"\nkind = \"number\"\n\n");
    }
    text += r#"[network]
kind = "mmoe"
experts = 8
expert_layers = [16]
tower_layers = [8]

"#;
    for (k, name) in [(1, "first"), (2, "second")] {
        text += &if regression {
            // Huber's loss is the squared error, halved, within any distance that labels have.
            format!(
                "[[task]]\nname = \"{name}\"\nkind = \"duration\"\nlabel = \"value_{k}\"\nhuber = 100.0\n\n"
            )
        } else {
            format!("[[task]]\nname = \"{name}\"\nkind = \"binary\"\nlabel = \"label_{k}\"\n\n")
        };
    }
    text + r#"# A fixed number of passes with the rate falling to 0.
[train]
stop_on = "none"
patience = 0
batch = 128
epochs = 30
lr = 0.002
decay = "linear"
seed = 1

[[fusion.term]]
task = "first"
weight = 1.0

[export]
name = "two tasks"
"#
}
