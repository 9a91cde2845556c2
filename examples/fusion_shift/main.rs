//! What a new model does to frozen fusion weights, by raw scores and by quantiles and ranks, on the simulated feed:
//! `fusion_shift FOLDER [ROWS]` trains the models there (those that are there already are taken), tunes weights on the first one,
//! and writes the table to standard output and the plot to `FOLDER/fusion-shift.svg`. docs/fusion.md tells about it.

mod fusions;
mod models;
mod show;
mod worth;

use core::error::Error;
use std::path::PathBuf;

use pocketrank::train::description::Description;
use pocketrank::train::simulate::{self, SimulateOptions};

use fusions::fusions;
use models::{VARIANTS, description, model};
use worth::{lists, measure, tune};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Rows of a list that count.
const TOP: usize = 10;
/// Sessions whose requests set the weights, and others that judge them; some six requests each.
const SESSIONS: [u64; 2] = [600, 600];

/// A model: frozen weights by fusion, and raw ones that were tuned for it.
type Row = (usize, [[f64; 4]; 3], [f64; 4]);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let folder = PathBuf::from(args.get(1).map_or("fusion-shift", String::as_str));
    let rows = args.get(2).map_or(Ok(300_000), |rows| rows.parse())?;
    std::fs::create_dir_all(&folder)?;
    let data = folder.join("feed");
    if !data.join("model.toml").exists() {
        let options = SimulateOptions {
            rows,
            seed: 1,
            ..SimulateOptions::default()
        };
        simulate::simulate(&options, &data, |_| core::ops::ControlFlow::Continue(()))?;
    }
    let fusions = fusions();
    let mut models = Vec::new();
    for variant in &VARIANTS {
        eprintln!("{}", variant.name);
        let file = model(variant, &folder, &data)?;
        let d = Description::read(&description(variant, &folder, &data)?)?;
        let lists = SESSIONS.map(|n| lists(&d, &file, &fusions, n, 1_000 + n));
        let [tuning, judging] = lists;
        models.push((tuning?, judging?));
    }
    let [tuning, judging] = [models[0].0.len(), models[0].1.len()];
    println!("{tuning} lists to tune on, {judging} others to judge by\n");
    let tuned: Vec<Vec<f64>> = fusions
        .iter()
        .enumerate()
        .map(|(f, fusion)| tune(fusion, f, &models[0].0))
        .collect();
    for (fusion, weights) in fusions.iter().zip(&tuned) {
        eprintln!("{}: {weights:.3?}", fusion.name);
    }
    let mut table: Vec<Row> = Vec::new();
    for (i, (tuning, judging)) in models.iter().enumerate() {
        let frozen = [0, 1, 2].map(|f| measure(&fusions[f], f, &tuned[f], judging));
        let again = tune(&fusions[0], 0, tuning);
        table.push((i, frozen, measure(&fusions[0], 0, &again, judging)));
    }
    show::print(&table);
    show::plot(&table, &folder.join("fusion-shift.svg"))?;
    Ok(())
}
