//! `pocketrank eval`: a run or an exported file on a log, whole, in slices and against a simulator's truth.

use serde_json::json;

use pocketrank::engine::Model;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Kind, Result};
use pocketrank::train::metrics::TaskMetrics;
use pocketrank::train::slices::Slices;
use pocketrank::train::{evaluate, position, replay, run, scored, truth};

use crate::args::Eval;
use crate::commands::open;
use crate::print;

pub fn eval(args: &Eval, json: bool) -> Result<()> {
    let d = Description::read(&args.model)?;
    let (data, rows, mut logits, spec_tasks, sides, raw, split);
    let mut orders = Vec::new();
    let mut of_run = None;
    let all = args.rows == "all";
    let shown = args.positions == "shown";
    if args.subject.is_dir() {
        let run = run::Run::open(&args.subject)?;
        of_run.clone_from(&run.data);
        let spec = run.spec_for(&d)?;
        let prepared = run::Prepared::read(
            &d,
            &run.fit,
            &spec,
            args.data.as_deref().or(run.data.as_deref()),
        )?;
        rows = if all {
            (0..prepared.raw.rows() as u32).collect()
        } else {
            prepared.split.validation.clone()
        };
        logits = evaluate::predict(&spec, &run.parameters()?, &prepared.data, &rows);
        (data, raw, split) = (prepared.data, prepared.raw, prepared.split);
        if shown {
            position::add_shown(&d, &raw, &run.report()?.position_bias, &rows, &mut logits)?;
        }
        sides = spec.features.iter().map(|f| f.side).collect::<Vec<_>>();
        spec_tasks = spec
            .tasks
            .iter()
            .map(|t| (t.name.to_string(), t.kind, f64::from(t.score_scale)))
            .collect::<Vec<_>>();
    } else {
        if shown {
            let message = "--positions shown is of a run: the exported file has no position tower";
            return Err(Error::in_file(Kind::Description, &args.subject, message));
        }
        let bytes = std::fs::read(&args.subject).map_err(|e| Error::io(&args.subject, &e))?;
        let mut model = Box::new(Model::new());
        open(&mut model, &bytes, &args.subject)?;
        let mut measured = replay::measure(&d, (&model, &args.subject), args.data.as_deref(), all)?;
        if !args.slice.is_empty() {
            measured.data.features =
                replay::features(&d, (&model, &measured.vectors), &measured.raw)?;
        }
        (data, rows, logits) = (measured.data, measured.rows, measured.logits);
        let fused = measured.fused.iter().map(|x| f64::from(*x)).collect();
        if model.num_terms() > 0 || model.formula().is_some() {
            orders.push(("fused score".to_string(), fused));
        }
        (raw, split) = (measured.raw, measured.split);
        sides = model.spec().features.iter().map(|f| f.side).collect();
        let tasks = model.spec().tasks.iter();
        spec_tasks = tasks
            .map(|t| (t.name.to_string(), t.kind, f64::from(t.score_scale)))
            .collect();
    }
    if let Some(to) = &args.scores {
        let log = args.data.as_deref().or(of_run.as_deref());
        scored::copy_with_scores(&d, log, &raw, &spec_tasks, (&rows, &logits), to)?;
    }
    let by_utility = match &args.utility {
        None => None,
        Some(utility) => {
            for (t, (name, ..)) in spec_tasks.iter().enumerate() {
                let of_task = logits.iter().skip(t).step_by(spec_tasks.len());
                orders.push((name.clone(), of_task.map(|z| f64::from(*z)).collect()));
            }
            Some(scored::orders(&d, &raw, utility, &rows, &orders)?)
        }
    };
    let named = |metrics: Vec<TaskMetrics>| {
        spec_tasks
            .iter()
            .map(|t| t.0.clone())
            .zip(metrics)
            .collect::<Vec<_>>()
    };
    let whole = named(evaluate::of_logits(&spec_tasks, &logits, &data, &rows));
    let mut parts = Vec::new();
    let slices = Slices {
        d: &d,
        raw: &raw,
        split: &split,
        features: &data.features,
        sides: &sides,
    };
    for slice in &args.slice {
        for (name, picked) in slices.pick(&rows, slice)? {
            let tasks = spec_tasks.len();
            let part: Vec<f32> = picked
                .iter()
                .flat_map(|i| logits[i * tasks..(i + 1) * tasks].to_vec())
                .collect();
            let part_rows: Vec<u32> = picked.iter().map(|i| rows[*i]).collect();
            parts.push((
                name,
                named(evaluate::of_logits(&spec_tasks, &part, &data, &part_rows)),
            ));
        }
    }
    let against_truth = match &args.truth {
        None => Vec::new(),
        Some(path) => {
            let measured = truth::measure(&d, &raw, &spec_tasks, &logits, &rows, path)?;
            let names = spec_tasks.iter().map(|t| t.0.clone());
            names.zip(measured).collect::<Vec<_>>()
        }
    };
    for (name, m) in &against_truth {
        if let Some(why) = &m.skipped {
            eprintln!("task \"{name}\" is not held against the truth: {why}");
        }
    }
    if json {
        let slices: serde_json::Map<String, serde_json::Value> = parts
            .iter()
            .map(|(n, m)| (n.clone(), print::metrics_json(m)))
            .collect();
        let mut object = json!({"tasks": print::metrics_json(&whole), "slices": slices});
        if args.truth.is_some() {
            object["truth"] = print::metrics_json(&against_truth);
        }
        if let Some(orders) = &by_utility {
            object["orders"] = json!(orders);
        }
        outln!("{object}");
        return Ok(());
    }
    print::metrics(&whole);
    for (name, metrics) in &parts {
        outln!("\n{name}");
        print::metrics(metrics);
    }
    print::truth(&against_truth);
    if let Some(orders) = &by_utility {
        print::orders(orders);
    }
    Ok(())
}
