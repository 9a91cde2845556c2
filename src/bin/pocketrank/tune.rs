//! `pocketrank tune`: the fusion's weights from a log.

use serde_json::json;

use pocketrank::engine::Model;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Kind, Result};
use pocketrank::train::tune::interval::Interval;
use pocketrank::train::tune::{self, Options, Policy, Report};

use crate::args::Tune;
use crate::commands::open;
use crate::{formula, print};

pub fn tune(args: &Tune, json: bool) -> Result<()> {
    let d = Description::read(&args.model)?;
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    let mut model = Box::new(Model::new());
    open(&mut model, &bytes, &args.file)?;
    let apart = formula::read(args.formula.as_deref())?;
    let apart = formula::open_read(&model, apart.as_ref())?;
    let options = Options {
        data: args.data.as_deref(),
        maximise: &args.maximise,
        subject_to: &args.subject_to,
        pareto: args.pareto.as_deref(),
        random: args.random.as_deref(),
        position: args.position.as_deref(),
        all: args.rows == "all",
        by_user: args.lists == "user",
        held_out: args.held_out,
        current: args.current.as_deref(),
        formula: apart.as_ref(),
        learn: args.learn,
        margin: args.margin,
        clip: args.clip,
        starts: args.starts,
        seed: args.seed,
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build()
        .map_err(|e| Error::new(Kind::Io, format!("threads: {e}")))?;
    let report = pool.install(|| tune::tune(&d, (&model, &args.file), &options))?;
    tune::write(&report, &args.out)?;
    if json {
        outln!("{}", json!(report));
    } else {
        tables(&report);
        outln!("\nwritten: {}", args.out.join("weights.toml").display());
    }
    Ok(())
}

fn tables(r: &Report) {
    outln!("utility: {}", r.rewards[0]);
    outln!("values: {}", r.estimator);
    for (part, what) in r.parts.iter().zip(["searched", "reported on"]) {
        let effective = if r.causal {
            format!(", an effective sample of {:.0} rows", part.effective)
        } else {
            String::new()
        };
        outln!(
            "{what}: {} lists, {} rows{effective}",
            part.lists,
            part.rows
        );
    }
    if r.single > 0 {
        outln!("{} lists of one row say nothing of an order", r.single);
    }
    if r.causal {
        let shares: Vec<String> = r.examination.iter().map(|e| format!("{e:.2}")).collect();
        outln!("examination by position: {}", shares.join(" "));
    }
    outln!("{} weights were looked at\n", r.looked_at);
    rewards(r, &r.policies);
    if !r.kept.is_empty() {
        outln!("");
        let rows: Vec<Vec<String>> = r
            .kept
            .iter()
            .map(|k| {
                let stands = match k.slack {
                    s if s >= 1.96 * k.error => "kept",
                    s if s <= -1.96 * k.error => "broken",
                    s if s >= 0.0 => "kept, within the noise",
                    _ => "missed, within the noise",
                };
                vec![
                    k.constraint.clone(),
                    format!("{:+.5}", k.slack),
                    format!("{:.5}", k.error),
                    stands.into(),
                ]
            })
            .collect();
        print::table(
            &["constraint, tuned weights", "slack", "standard error", ""],
            &rows,
        );
    }
    if !r.front.is_empty() {
        outln!("\non the lists searched no weights have more of both; measured on the rest");
        front(r);
    }
    outln!("");
    let head = [vec!["weights"], names(&r.weights)].concat();
    let rows: Vec<Vec<String>> = r
        .policies
        .iter()
        .filter_map(|p| Some([vec![p.name.clone()], weights(p.weights.as_ref()?)].concat()))
        .collect();
    print::table(&head, &rows);
}

fn names(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn weights(weights: &[f32]) -> Vec<String> {
    weights.iter().map(|w| significant(f64::from(*w))).collect()
}

/// What a reward is called in a table: the utility is said above.
fn short(r: &Report, reward: usize) -> &str {
    match reward {
        0 => "utility",
        _ => &r.rewards[reward],
    }
}

/// A number with four digits that count.
fn significant(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let size = x.abs().max(1e-9).log10().floor() as i32;
    let decimals = (3 - size).clamp(0, 8) as usize;
    format!("{x:.decimals$}")
}

/// A mean with its interval.
fn spread(i: &Interval) -> String {
    let [low, high] = i.interval;
    format!(
        "{} ({} to {})",
        significant(i.mean),
        significant(low),
        significant(high)
    )
}

fn rewards(r: &Report, policies: &[Policy]) {
    let mut header = vec!["order by".to_string()];
    header.extend((0..r.rewards.len()).map(|i| format!("{} a row", short(r, i))));
    header.push("utility less current".into());
    let rows: Vec<Vec<String>> = policies
        .iter()
        .map(|p| {
            let mut cells = vec![p.name.clone()];
            cells.extend(p.measured.rewards.iter().map(spread));
            cells.push(match p.name.as_str() {
                "current" => "-".into(),
                _ => spread(&p.measured.differences[0]),
            });
            cells
        })
        .collect();
    print::table(&names(&header), &rows);
}

fn front(r: &Report) {
    let Some(other) = r.front_reward else { return };
    let mut header = vec![short(r, 0), short(r, other)];
    header.extend(names(&r.weights));
    let rows: Vec<Vec<String>> = r
        .front
        .iter()
        .map(|p| {
            let rewards = [0, other].map(|i| spread(&p.measured.rewards[i]));
            let of = p.weights.as_deref().unwrap_or_default();
            [rewards.to_vec(), weights(of)].concat()
        })
        .collect();
    print::table(&header, &rows);
}
