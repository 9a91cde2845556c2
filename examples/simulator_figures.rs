//! Prints the figures of docs/simulator.md: `simulator_figures [ROWS] [SEED]` (default 200000 rows, seed 1).

use std::process::ExitCode;

use pocketrank::train::simulate::measure::{bounds, single_objective, three_policies};
use pocketrank::train::simulate::{
    Feed, Generator, INTERACTIONS, Knobs, SimulateError, SimulateOptions,
};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (Ok(rows), Ok(seed)) = (number(200_000), number(1)) else {
        eprintln!("usage: simulator_figures [ROWS] [SEED]");
        return ExitCode::from(2);
    };
    match print(rows, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulator_figures: {error}");
            ExitCode::from(2)
        }
    }
}

fn feed(rows: u64, seed: u64, knobs: Knobs) -> Result<Feed, SimulateError> {
    Feed::new(SimulateOptions {
        rows,
        seed,
        knobs,
        ..SimulateOptions::default()
    })
}

fn print(rows: u64, seed: u64) -> Result<(), SimulateError> {
    let world = feed(rows, seed, Knobs::default())?;
    rates(&world);
    match bounds(&world) {
        None => println!("too few rows for bounds"),
        Some(b) => println!(
            "expected AUC of click, complete, {}:\nvisible {:.4?}\nthe same without the session's drift {:.4?}\nprofile {:.4?}\nlatent  {:.4?}\nclick: popularity {:.4}  logistic {:.4}",
            INTERACTIONS.join(", "),
            b.visible,
            b.without_drift,
            b.profile,
            b.latent,
            b.click_popularity,
            b.click_logistic
        ),
    }
    let strongest = Knobs {
        bait: 2.0,
        length: 2.0,
        ..Knobs::default()
    };
    if let Some(b) = bounds(&feed(rows, seed, strongest)?) {
        println!(
            "bait and length at 2, click: visible {:.4}, without the session's drift {:.4}",
            b.visible[0], b.without_drift[0]
        );
    }
    let names = ["nothing", "click", "fused"];
    for (name, report) in names.iter().zip(three_policies(&world, 2_000)?) {
        println!("ordered by {name}: {report:.4?}");
    }
    println!("default {:.3?}", single_objective(&world, 2000, 2000));
    let on = Knobs::default();
    for knobs in [
        Knobs { bait: 0.0, ..on },
        Knobs { length: 0.0, ..on },
        Knobs {
            completion: 0.0,
            ..on
        },
        Knobs {
            task_correlation: 0.0,
            ..on
        },
    ] {
        let world = feed(50_000, seed, knobs)?;
        println!("{knobs:?} {:.3?}", single_objective(&world, 2000, 2000));
    }
    Ok(())
}

/// Rates of outcomes and the rhythm of requests.
fn rates(world: &Feed) {
    let requests = world.options().rows as usize / 10;
    let (mut valid, mut clicks, mut completes, mut watch) = (0u64, 0u64, 0u64, 0.0);
    let (mut made, mut sessions) = ([0u64; INTERACTIONS.len()], 0u64);
    let (mut first, mut last) = (None, 0);
    for logged in Generator::new(world).take(requests) {
        sessions += u64::from(logged.request.session_starts);
        last = logged.request.time;
        first.get_or_insert(last);
        for feedback in logged.rows.iter().map(|row| &row.feedback) {
            valid += u64::from(feedback.valid);
            if !(feedback.valid && feedback.click) {
                continue;
            }
            clicks += 1;
            completes += u64::from(feedback.complete);
            watch += feedback.watch_seconds;
            for (count, one) in made.iter_mut().zip(feedback.interactions) {
                *count += u64::from(one);
            }
        }
    }
    let share = |a: u64, b: u64| a as f64 / b as f64;
    println!("valid {valid}  click {:.4}", share(clicks, valid));
    println!(
        "complete|click {:.4}  watch|click {:.2} s",
        share(completes, clicks),
        watch / clicks as f64
    );
    for (name, count) in INTERACTIONS.iter().zip(made) {
        println!(
            "{name} {:.5} per impression, {count} in all",
            share(count, valid)
        );
    }
    println!(
        "requests/session {:.2}  days {:.2}",
        share(requests as u64, sessions),
        (last - first.unwrap_or(last)) as f64 / 86400.0
    );
}
