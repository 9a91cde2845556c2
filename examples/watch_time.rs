//! Durations of several losses side by side: `watch_time EXPERIMENT.toml DIR TASK [--by LENGTH] [--truth TRUTH.csv] [--data DATA]`
//! reads the files that `pocketrank compare EXPERIMENT.toml --out DIR` exported, scores the validation rows by the engine, and
//! prints what each variant's task TASK says of clicked rows and of all of them, by thirds of the number LENGTH, and against a
//! simulator's truth. docs/watch-time.md has the figures.

use std::path::Path;
use std::process::ExitCode;

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::spec::Side;
use pocketrank::train::compare::experiment::Experiment;
use pocketrank::train::compare::statistics::{Difference, Summary};
use pocketrank::train::description::Description;
use pocketrank::train::evaluate::duration_score;
use pocketrank::train::log::RawColumn;
use pocketrank::train::metrics::TaskMetrics;
use pocketrank::train::replay;

type Failed = Box<dyn core::error::Error>;

/// What is measured of one file, by table and row of it.
type Measures = Vec<(String, Vec<(String, TaskMetrics)>)>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [experiment, folder, task, rest @ ..] = args.as_slice() else {
        eprintln!(
            "usage: watch_time EXPERIMENT.toml DIR TASK [--by LENGTH] [--truth TRUTH.csv] [--data DATA]"
        );
        return ExitCode::from(2);
    };
    let option = |name: &str| {
        let mut pairs = rest.windows(2);
        let pair = pairs.find(|pair| pair[0] == name);
        pair.map(|pair| pair[1].as_str())
    };
    let of = Of {
        task,
        length: option("--by"),
        data: option("--data").map(Path::new),
    };
    let truth = option("--truth").map(Path::new);
    match tables(Path::new(experiment), Path::new(folder), of, truth) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch_time: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured.
#[derive(Clone, Copy)]
struct Of<'o> {
    task: &'o str,
    length: Option<&'o str>,
    data: Option<&'o Path>,
}

fn tables(
    experiment: &Path,
    folder: &Path,
    what: Of<'_>,
    truth: Option<&Path>,
) -> Result<(), Failed> {
    let experiment = Experiment::read(experiment)?;
    let truth = truth.map(Truth::read).transpose()?;
    let mut all: Vec<(String, Vec<Measures>)> = Vec::new();
    for variant in &experiment.variants {
        let of = folder.join(&variant.folder);
        let runs = experiment.seeds.iter().map(|seed| {
            let file = of.join(format!("seed-{seed}/model.pkr"));
            measure(&of.join("model.toml"), &file, what, truth.as_ref())
                .map_err(|e| format!("{}: {e}", file.display()))
        });
        all.push((variant.name.clone(), runs.collect::<Result<_, _>>()?));
    }
    let first = all
        .first()
        .ok_or("the experiment has no variant")?
        .1
        .clone();
    for (t, (title, parts)) in first[0].iter().enumerate() {
        println!("\n**{title}**\n");
        println!("| | | XAUC | less the first | MAE | RMSE | less the first | mean score / mean |");
        println!("|---|---|---|---|---|---|---|---|");
        for (p, (part, _)) in parts.iter().enumerate() {
            for (name, runs) in &all {
                let of =
                    |runs: &[Measures], pick: &dyn Fn(&TaskMetrics) -> Option<f64>| -> Vec<f64> {
                        runs.iter().filter_map(|m| pick(&m[t].1[p].1)).collect()
                    };
                let mean = |pick: &dyn Fn(&TaskMetrics) -> Option<f64>, digits: usize| {
                    Summary::of(&of(runs, pick)).map_or("-".into(), |s| {
                        let sd = s.sd.map_or(String::new(), |sd| format!(" ± {sd:.digits$}"));
                        format!("{:.digits$}{sd}", s.mean)
                    })
                };
                let less = |pick: &dyn Fn(&TaskMetrics) -> Option<f64>, digits: usize| {
                    let pairs = of(runs, pick).into_iter().zip(of(&first, pick));
                    let difference = Difference::paired(&pairs.collect::<Vec<_>>());
                    difference.map_or("-".into(), |d| {
                        let interval = d.interval.map_or(String::new(), |[low, high]| {
                            format!(" ({low:+.digits$} to {high:+.digits$})")
                        });
                        format!("{:+.digits$}{interval}", d.mean)
                    })
                };
                println!(
                    "| {part} | {name} | {} | {} | {} | {} | {} | {} |",
                    mean(&|m| m.xauc, 4),
                    less(&|m| m.xauc, 4),
                    mean(&|m| m.mae, 2),
                    mean(&|m| m.rmse, 2),
                    less(&|m| m.rmse, 2),
                    mean(&|m| m.calibration, 3),
                );
            }
        }
    }
    Ok(())
}

/// Columns of a simulator's truth by line of the log, which is that of the truth.
struct Truth {
    /// p_latent_click, watch_seconds, watch_mean_latent.
    rows: Vec<[f64; 3]>,
}

impl Truth {
    fn read(path: &Path) -> Result<Self, Failed> {
        let mut reader = csv::Reader::from_path(path)?;
        let header = reader.headers()?.clone();
        let place = |name: &str| header.iter().position(|h| h == name);
        let names = ["p_latent_click", "watch_seconds", "watch_mean_latent"];
        let places: Vec<usize> = names.iter().filter_map(|n| place(n)).collect();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let mut row = [0.0; 3];
            for (to, at) in row.iter_mut().zip(&places) {
                *to = record[*at].parse()?;
            }
            rows.push(row);
        }
        if places.len() < names.len() {
            return Err(format!("{}: no column of {names:?}", path.display()).into());
        }
        Ok(Self { rows })
    }
}

/// One exported file on its validation rows.
fn measure(
    description: &Path,
    file: &Path,
    what: Of<'_>,
    truth: Option<&Truth>,
) -> Result<Measures, Failed> {
    let d = Description::read(description)?;
    let bytes = std::fs::read(file)?;
    let mut model = Box::new(Model::new());
    model
        .open(&bytes, &OpenOptions::default())
        .map_err(|e| format!("{:?}", e.status))?;
    let spec = model.spec();
    let t = spec.task(what.task).ok_or("no such task")?;
    let click = spec.task("click").ok_or("there is no task \"click\"")?;
    let measured = replay::measure(&d, (&model, file), what.data, false)?;
    let label = d
        .label(d.toml.task[t].label().get_ref())
        .ok_or("the task has no label")?;
    let tasks = spec.tasks.len();
    let scale = f64::from(spec.tasks[t].score_scale);
    // Expected seconds given a click, and per impression.
    let (mut given, mut entire) = (Vec::new(), Vec::new());
    let (mut seconds, mut clicked, mut lines, mut lengths) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let length = match what.length {
        Some(name) => {
            let found = d.feature(name).filter(|f| {
                let one_a_row = spec.features[*f].side != Side::User;
                one_a_row && matches!(measured.raw.features[*f], RawColumn::Numbers(_))
            });
            Some(found.ok_or_else(|| format!("\"{name}\" is no number of the candidate"))?)
        }
        None => None,
    };
    for (i, row) in measured.rows.iter().map(|r| *r as usize).enumerate() {
        if measured.data.tasks[click].weights[row] == 0.0 {
            continue;
        }
        let p = 1.0 / (1.0 + libm::exp(-f64::from(measured.logits[i * tasks + click])));
        let score = duration_score(f64::from(measured.logits[i * tasks + t]), scale);
        let conditional = spec.tasks[t].given.is_some();
        given.push(if conditional { score } else { score / p });
        entire.push(if conditional { score * p } else { score });
        let is_click = measured.data.tasks[click].labels[row] > 0.0;
        let value = f64::from(measured.raw.labels[label].values[row]);
        clicked.push(is_click && !value.is_nan());
        seconds.push(if is_click && !value.is_nan() {
            value
        } else {
            0.0
        });
        lines.push(measured.raw.line[row] as usize - 2);
        lengths.push(match length.map(|f| &measured.raw.features[f]) {
            Some(RawColumn::Numbers(values)) => values[row],
            _ => 0.0,
        });
    }
    let of = |scores: &[f64], truth: &[f64], inside: &dyn Fn(usize) -> bool| {
        let used: Vec<usize> = (0..scores.len()).filter(|i| inside(*i)).collect();
        let pick = |of: &[f64]| used.iter().map(|i| of[*i]).collect::<Vec<f64>>();
        TaskMetrics::duration(&pick(scores), &pick(truth), &vec![1.0; used.len()])
    };
    let mut measures: Measures = Vec::new();
    let mut sorted = lengths.clone();
    sorted.sort_by(f32::total_cmp);
    let third = |i: usize| sorted[(sorted.len() * i / 3).min(sorted.len() - 1)];
    let thirds = |scores: &[f64], truth: &[f64], of_rows: &dyn Fn(usize) -> bool| {
        let mut parts = vec![(String::from("all"), of(scores, truth, of_rows))];
        let names: &[&str] = match length {
            Some(_) => &["short", "middle", "long"],
            None => &[],
        };
        for (k, name) in names.iter().enumerate() {
            let inside = |i: usize| {
                let low = k == 0 || lengths[i] >= third(k);
                of_rows(i) && low && (k == 2 || lengths[i] < third(k + 1))
            };
            parts.push((
                format!("{name} (from {:.0})", third(k)),
                of(scores, truth, &inside),
            ));
        }
        parts
    };
    measures.push((
        "Seconds of clicked rows, given a click".into(),
        thirds(&given, &seconds, &|i| clicked[i]),
    ));
    measures.push((
        "Seconds of all rows, per impression".into(),
        thirds(&entire, &seconds, &|_| true),
    ));
    if let Some(truth) = truth {
        let row = |i: usize| truth.rows.get(lines[i]).copied().unwrap_or_default();
        let (watch, expected): (Vec<f64>, Vec<f64>) = (0..lines.len())
            .map(|i| (row(i)[1], row(i)[0] * row(i)[2]))
            .unzip();
        measures.push((
            "Truth: what each row would be watched for if it were clicked".into(),
            vec![
                ("all".into(), of(&given, &watch, &|_| true)),
                ("clicked".into(), of(&given, &watch, &|i| clicked[i])),
                ("not clicked".into(), of(&given, &watch, &|i| !clicked[i])),
            ],
        ));
        measures.push((
            "Truth: expected seconds per impression".into(),
            vec![("all".into(), of(&entire, &expected, &|_| true))],
        ));
    }
    Ok(measures)
}
