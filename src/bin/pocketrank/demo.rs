//! `pocketrank demo`: the whole path, told step by step.

use std::time::Instant;

use serde_json::json;

use pocketrank::engine::Model;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Result};
use pocketrank::train::simulate::{Knobs, SimulateOptions, simulate};
use pocketrank::train::{policy, run};

use crate::args::Demo;
use crate::commands::{INTERRUPT, open, policy_report, simulate_error};
use crate::{print, requests};

/// Sessions in which the exported file orders the feed.
const SESSIONS: u64 = 300;

pub fn demo(args: &Demo, json: bool) -> Result<()> {
    let temporary;
    let folder = match &args.out {
        Some(folder) => folder.as_path(),
        None => {
            let place = std::env::temp_dir();
            temporary = tempfile::tempdir_in(&place).map_err(|e| Error::io(&place, &e))?;
            temporary.path()
        }
    };
    let began = Instant::now();
    let say = |what: &str| eprintln!("[{:5.1} s] {what}", began.elapsed().as_secs_f64());
    say(&format!(
        "1/4 simulate: {} impressions of a feed whose truth is known",
        args.rows
    ));
    let options = SimulateOptions {
        rows: args.rows,
        seed: args.seed,
        ..SimulateOptions::default()
    };
    simulate(&options, folder, |_| core::ops::ControlFlow::Continue(())).map_err(simulate_error)?;

    say("2/4 train: one model, seven tasks");
    let (description, out) = (folder.join("model.toml"), folder.join("run"));
    let train = run::Options {
        model: &description,
        data: None,
        out: &out,
        seed: Some(args.seed),
        threads: 0,
        resume: false,
        from: None,
    };
    let trained = run::train(&train, &INTERRUPT, &mut |_| {})?;

    say("3/4 export: eight bits, one file, replayed against the trained model");
    let file = folder.join("feed.pkr");
    let exported = run::export(&out, &file, &Default::default())?;
    exported.check()?;

    say("4/4 rank: the file opened as a phone would, ordering fresh users' feeds");
    let d = Description::read(&description)?;
    let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, &e))?;
    let mut model = Box::new(Model::new());
    open(&mut model, &bytes, &file)?;
    let (tops, loops) =
        policy::compare_objectives(&d, &model, Knobs::default(), SESSIONS, args.seed + 1_000)?;
    if args.out.is_some() {
        let requests = folder.join("requests.req");
        requests::write(&d, (&model, &file), (None, 100), &requests)?;
    }
    say("done");
    if json {
        outln!(
            "{}",
            json!({"tasks": print::metrics_json(&trained.tasks), "export": exported, "top_ten": tops, "loop": loops})
        );
        return Ok(());
    }
    outln!("\nTrained on the desktop (f32), measured on the last tenth of the log:");
    print::metrics(&trained.tasks);
    outln!("\nExported file against the trained model:");
    out!("{exported}");
    outln!(
        "\nThe ten that each objective alone would put on top of 40, and what they are worth by the truth:"
    );
    let rows: Vec<Vec<String>> = tops
        .iter()
        .map(|t| {
            vec![
                t.objective.clone(),
                format!("{:.1} %", t.bait_share * 100.0),
                format!("{:.0} s", t.length_seconds),
                format!("{:.1} s", t.watch_seconds),
                format!("{:.2}", t.clicks),
                format!("{:.3}", t.likes),
            ]
        })
        .collect();
    print::table(
        &[
            "order by",
            "bait",
            "mean length",
            "expected watch",
            "clicks",
            "likes",
        ],
        &rows,
    );
    outln!("");
    policy_report(&loops);
    if let Some(folder) = &args.out {
        outln!(
            "Log, description, run, file (feed.pkr) and requests of the log (requests.req) are in {}.",
            folder.display()
        );
    }
    Ok(())
}
