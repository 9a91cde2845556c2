//! Each subcommand: library calls, then printing.

use core::sync::atomic::{AtomicBool, Ordering};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::kernels::Isa;
use pocketrank::spec::limits;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Kind, Result};
use pocketrank::train::simulate::{
    self, Format, Knobs, PolicyReport, SimulateError, SimulateOptions,
};
use pocketrank::train::{bench, import, importance, lint, policy, run};

use crate::args::{
    Bench, Check, Cli, Command, Export, Import, Importance, Inspect, Simulate, Train,
};
use crate::print;

/// Set by an interrupt; training stops after the step, with a checkpoint.
pub static INTERRUPT: AtomicBool = AtomicBool::new(false);

pub fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Check(args) => check(args, cli.json),
        Command::Train(args) => train(args, cli.json),
        Command::Import(args) => import(args, cli.json),
        Command::Compare(args) => crate::compare::compare(args, cli.json),
        Command::Eval(args) => crate::eval::eval(args, cli.json),
        Command::Rank(args) => crate::rank::rank(args, cli.json),
        Command::Requests(args) => crate::requests::requests(args, cli.json),
        Command::Formula(args) => crate::formula::formula(args, cli.json),
        Command::Simulate(args) => simulate(args, cli.json),
        Command::Importance(args) => importance(args, cli.json),
        Command::Export(args) => export(args, cli.json),
        Command::Tune(args) => crate::tune::tune(args, cli.json),
        Command::Inspect(args) => inspect(args, cli.json),
        Command::Bench(args) => time(args, cli.json),
        Command::Demo(args) => crate::demo::demo(args, cli.json),
    }
}

fn check(args: &Check, json: bool) -> Result<()> {
    let d = Description::read(&args.model)?;
    for warning in lint::warnings(&d) {
        eprintln!("warning: {warning}");
    }
    if args.no_data {
        let t = &d.toml;
        let counts = (t.feature.len(), t.label.len(), t.task.len());
        if json {
            outln!(
                "{}",
                json!({"features": counts.0, "labels": counts.1, "tasks": counts.2})
            );
        } else {
            outln!(
                "description holds: {} features, {} labels, {} tasks",
                counts.0,
                counts.1,
                counts.2
            );
        }
        return Ok(());
    }
    let report = pocketrank::train::check::check(&d, args.data.as_deref())?;
    if json {
        outln!("{}", json!(report));
        return Ok(());
    }
    outln!(
        "{} rows in {} requests of {} users",
        report.rows,
        report.requests,
        report.users
    );
    for j in &report.joins {
        outln!(
            "join {}: {} rows matched, {} not",
            j.path,
            j.matched,
            j.unmatched
        );
    }
    let columns: Vec<Vec<String>> = report
        .features
        .iter()
        .map(|c| {
            vec![
                c.name.clone(),
                c.values.to_string(),
                c.missing.to_string(),
                c.rows.map_or_else(|| "-".into(), |n| n.to_string()),
                print::number(c.out_of_vocabulary, 4),
                print::number(c.min, 3),
                print::number(c.mean, 3),
                print::number(c.max, 3),
            ]
        })
        .collect();
    print::table(
        &[
            "feature",
            "values",
            "missing",
            "table rows",
            "OOV share",
            "min",
            "mean",
            "max",
        ],
        &columns,
    );
    for few in &report.few_users {
        outln!("{few}");
    }
    let tasks: Vec<Vec<String>> = report
        .tasks
        .iter()
        .map(|t| {
            vec![
                t.name.clone(),
                t.rows.to_string(),
                t.positive.to_string(),
                print::number(t.mean, 4),
            ]
        })
        .collect();
    print::table(&["task", "rows in space", "positive", "mean"], &tasks);
    quarantine(report.quarantined_rows, &report.quarantined);
    Ok(())
}

fn quarantine(rows: u64, first: &[String]) {
    if rows > 0 {
        eprintln!("{rows} malformed rows were set aside; the first:");
        first.iter().for_each(|line| eprintln!("  {line}"));
    }
}

/// The description's own files, unless it names none that exist.
fn train(args: &Train, json: bool) -> Result<()> {
    // A second interrupt while a checkpoint is written must not lose it, so the handler only sets a flag.
    let _ = ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed));
    let bar = ProgressBar::new(0);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let options = run::Options {
        model: &args.model,
        data: args.data.as_deref(),
        out: &args.out,
        seed: args.seed,
        threads: args.threads,
        resume: args.resume,
        from: args.from.as_deref(),
    };
    let report = run::train(&options, &INTERRUPT, &mut |p| {
        bar.set_length(p.steps);
        bar.set_position(p.step);
        let loss: f64 = p.losses.iter().sum();
        bar.set_message(format!(
            "{:.0} rows/s  ETA {:.0} s  loss {loss:.4}",
            p.rows_per_second, p.eta_seconds
        ));
        if let Some(e) = p.evaluation {
            bar.suspend(|| eprintln!("step {}: quality {}", e.step, print::number(e.quality, 5)));
        }
    });
    bar.finish_and_clear();
    let report = report?;
    for warning in lint::warnings(&Description::read(&args.model)?)
        .iter()
        .chain(&report.health.warnings)
    {
        eprintln!("warning: {warning}");
    }
    if json {
        outln!(
            "{}",
            json!({"tasks": print::metrics_json(&report.tasks), "report": report})
        );
        return Ok(());
    }
    let [train, stop, validation] = report.rows;
    outln!(
        "trained on {train} rows, stopped on {stop}, measured on {validation}; kept step {} of {}; {} embedding and {} dense parameters",
        report.best_step,
        report.steps,
        report.parameters[0],
        report.parameters[1]
    );
    quarantine(report.quarantined_rows, &report.quarantined);
    for few in &report.few_users {
        outln!("{few}");
    }
    print::metrics(&report.tasks);
    Ok(())
}

fn import(args: &Import, json: bool) -> Result<()> {
    let (Some(weights), Some(out)) = (&args.weights, &args.out) else {
        return list_tensors(&import::plan(&Description::read(&args.model)?)?, json);
    };
    let report = import::import(&import::Options {
        model: &args.model,
        weights,
        data: args.data.as_deref(),
        out,
    })?;
    if json {
        outln!("{}", json!(report));
        return Ok(());
    }
    let [embeddings, dense] = report.parameters;
    outln!(
        "{} tensors: {embeddings} embedding and {dense} dense parameters",
        report.tensors
    );
    Ok(())
}

fn list_tensors(plan: &import::Plan, json: bool) -> Result<()> {
    if json {
        outln!("{}", json!(plan));
        return Ok(());
    }
    let tensors = plan.tensors.iter();
    let tensors = tensors.map(|t| vec![t.name.clone(), t.shape.clone(), t.instead.to_string()]);
    print::table(&["tensor", "shape", "or"], &tensors.collect::<Vec<_>>());
    outln!("");
    let inputs = plan.inputs.iter().map(|i| {
        vec![
            i.side.to_string(),
            i.feature.clone(),
            i.table.clone().unwrap_or_else(|| "(value)".into()),
            format!("{}..{}", i.column, i.column + i.columns),
        ]
    });
    let head = ["side", "feature", "table", "columns of the first layer"];
    print::table(&head, &inputs.collect::<Vec<_>>());
    Ok(())
}

fn importance(args: &Importance, json: bool) -> Result<()> {
    let run = run::Run::open(&args.run)?;
    let report = importance::measure(&run, args.data.as_deref(), args.repeats, args.seed)?;
    if json {
        outln!("{}", json!(report));
        return Ok(());
    }
    outln!(
        "quality (AUC, Spearman for durations) lost on {} validation rows, x 1000: by permutation (mean of {}), in brackets without the group",
        report.rows,
        report.repeats
    );
    let thousands = |x: &Option<f64>| print::number(x.map(|x| x * 1000.0), 2);
    let mut rows = vec![
        [vec!["(all there)".to_string()], {
            let quality = report.quality.iter();
            quality.map(|q| print::number(*q, 4)).collect()
        }]
        .concat(),
    ];
    for group in &report.groups {
        let cells = group.permuted.iter().zip(&group.dropped);
        let cells = cells.map(|(p, d)| format!("{} ({})", thousands(p), thousands(d)));
        rows.push([vec![group.name.clone()], cells.collect()].concat());
    }
    let mut head = vec!["group"];
    head.extend(report.tasks.iter().map(String::as_str));
    print::table(&head, &rows);
    Ok(())
}

/// Opens a file as a phone would.
pub fn open<'a>(model: &mut Model<'a>, bytes: &'a [u8], path: &Path) -> Result<()> {
    model
        .open(bytes, &OpenOptions::default())
        .map_err(|e| not_a_model(path, &e))
}

fn not_a_model(path: &Path, e: &pocketrank::error::Error) -> Error {
    let at = if e.offset == u64::MAX {
        String::new()
    } else {
        format!(" at byte {}", e.offset)
    };
    Error::in_file(
        Kind::Data,
        path,
        format!(
            "not a model file that this version opens: {:?}{at}",
            e.status
        ),
    )
}

fn export(args: &Export, json: bool) -> Result<()> {
    let options = run::ExportOptions {
        data: args.data.as_deref(),
        max_bytes: args.max_bytes,
        bits: args.bits,
        fusion: args.fusion.as_deref(),
        layers: args.layers,
    };
    let report = run::export(&args.run, &args.output, &options)?;
    if json {
        outln!("{}", json!(report))
    } else {
        out!("{report}")
    }
    report.check()
}

fn inspect(args: &Inspect, json: bool) -> Result<()> {
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    let report =
        pocketrank::train::inspect::inspect(&bytes).map_err(|e| not_a_model(&args.file, &e))?;
    if json {
        outln!("{}", json!(report))
    } else {
        out!("{report}")
    }
    Ok(())
}

fn time(args: &Bench, json: bool) -> Result<()> {
    let most = limits::CANDIDATES;
    if let Some(count) = args.candidates.iter().find(|n| !(1..=most).contains(*n)) {
        let message = format!("--candidates is {count}; it is 1 to {most}");
        return Err(Error::new(Kind::Description, message));
    }
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    if !(args.frequency >= 0.0 && args.frequency <= 1e6) {
        let message = format!("--frequency is {}; it is 0 to 1000000", args.frequency);
        return Err(Error::new(Kind::Description, message));
    }
    let options = bench::Options {
        isa: if args.portable {
            Isa::PORTABLE
        } else {
            Isa::detect()
        },
        candidates: args.candidates.clone(),
        seconds: args.seconds,
        frequency: args.frequency,
    };
    let report = bench::measure(&bytes, &options).map_err(|e| not_a_model(&args.file, &e))?;
    if json {
        outln!("{}", json!(report))
    } else {
        print::bench(&report)
    }
    Ok(())
}

/// The simulator's own errors by class.
pub fn simulate_error(e: SimulateError) -> Error {
    let kind = match e {
        SimulateError::Io { .. } => Kind::Io,
        SimulateError::Stopped => Kind::Interrupted,
        _ => Kind::Description,
    };
    Error::new(kind, e.to_string())
}

fn simulate(args: &Simulate, json: bool) -> Result<()> {
    let default = Knobs::default();
    let knobs = Knobs {
        bait: args.bait.unwrap_or(default.bait),
        length: args.length_preference.unwrap_or(default.length),
        completion: args.short_completion.unwrap_or(default.completion),
        task_correlation: args.task_correlation.unwrap_or(default.task_correlation),
    };
    if let (Some(file), Some(description)) = (&args.policy, &args.model) {
        let d = Description::read(description)?;
        let bytes = std::fs::read(file).map_err(|e| Error::io(file, &e))?;
        let mut model = Box::new(Model::new());
        open(&mut model, &bytes, file)?;
        let report = policy::close_the_loop(&d, &model, knobs, args.sessions, args.seed)?;
        if json {
            outln!("{}", json!(report))
        } else {
            policy_report(&report)
        }
        return Ok(());
    }
    let out = args
        .out
        .as_deref()
        .ok_or_else(|| Error::new(Kind::Description, "--out FOLDER is needed, or --policy"))?;
    let options = SimulateOptions {
        rows: args.rows,
        seed: args.seed,
        format: match (args.gzip, args.parquet) {
            (_, true) => Format::Parquet,
            (true, _) => Format::CsvGzip,
            _ => Format::Csv,
        },
        knobs,
    };
    let bar = ProgressBar::new(args.rows);
    let summary = simulate::simulate(&options, out, |rows| {
        bar.set_position(rows);
        core::ops::ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let summary = summary.map_err(simulate_error)?;
    if json {
        outln!("{}", json!(summary))
    } else {
        summary_table(&summary)
    }
    Ok(())
}

/// What users did in the closed loop.
pub fn policy_report(r: &PolicyReport) {
    let [like, comment, favourite, share] = r.interactions;
    outln!(
        "{} sessions: {:.1} requests, {:.1} clicks, {:.1} s watched, {like:.3} likes, {comment:.3} comments, {favourite:.3} favourites, {share:.3} shares a session of {:.0} s",
        r.sessions,
        r.requests,
        r.clicks,
        r.watch_seconds,
        r.session_seconds
    );
}

fn summary_table(s: &simulate::Summary) {
    outln!(
        "{} rows in {} requests of {} users over {:.1} days; {} items; {:.3} of requests in random order",
        s.rows,
        s.requests,
        s.users,
        s.days,
        s.items,
        s.random_share
    );
    let [like, comment, favourite, share] = s.interaction_rates;
    outln!(
        "per valid impression: click {:.4}, like {like:.4}, comment {comment:.4}, favourite {favourite:.4}, share {share:.4}; per click: {:.1} s watched, {:.3} completed",
        s.click_rate,
        s.watch_seconds,
        s.complete_rate
    );
}
