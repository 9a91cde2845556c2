//! `pocketrank rank`: one request of a log, and why it has that order.

use pocketrank::engine::Model;
use pocketrank::fusion::formula::Formula;
use pocketrank::train::description::Description;
use pocketrank::train::error::{Error, Kind, Result};
use pocketrank::train::explain::{self, Explanation};
use pocketrank::train::replay::{self, Ranker};
use serde_json::{Map, Value, json};

use crate::args::Rank;
use crate::commands::open;
use crate::{formula, print};

pub fn rank(args: &Rank, json: bool) -> Result<()> {
    let d = Description::read(&args.model)?;
    let bytes = std::fs::read(&args.file).map_err(|e| Error::io(&args.file, &e))?;
    let mut model = Box::new(Model::new());
    open(&mut model, &bytes, &args.file)?;
    let apart = formula::read(args.formula.as_deref())?;
    let apart = formula::open_read(&model, apart.as_ref())?;
    let ranked = replay::rank_one(
        &d,
        (&model, &args.file),
        apart.as_ref(),
        args.log.as_deref(),
        &args.request,
    )?;
    let tasks: Vec<&str> = model.spec().tasks.iter().map(|t| t.name).collect();
    let terms = terms(&model, apart.as_ref());
    let row = |values: &[f32], width: usize, c: usize| values[c * width..(c + 1) * width].to_vec();
    let shown = ranked.order.iter().take(args.top).map(|c| *c as usize);
    let explanation = match args.explain {
        true => Some(explained(args, &d, &model, apart.as_ref(), &ranked)?),
        false => None,
    };
    if json {
        let named = |names: &[&str], values: Vec<f32>| -> Map<String, Value> {
            let names = names.iter().map(|n| n.to_string());
            names.zip(values.iter().map(|x| json!(x))).collect()
        };
        let candidates: Vec<Value> = shown
            .map(|c| {
                json!({
                    "candidate": c,
                    "line": ranked.lines[c],
                    "fused": ranked.fused[c],
                    "scores": named(&tasks, row(&ranked.scores, tasks.len(), c)),
                    "terms": row(&ranked.terms, terms.len(), c),
                })
            })
            .collect();
        outln!(
            "{}",
            json!({"candidates": ranked.order.len(), "terms": terms, "top": candidates, "explanation": explanation})
        );
        return Ok(());
    }
    let mut header = vec!["rank", "candidate", "line", "fused"];
    if args.explain {
        header.extend(&tasks);
        header.extend(&terms);
    }
    let rows: Vec<Vec<String>> = shown
        .enumerate()
        .map(|(rank, c)| {
            let mut cells = vec![
                (rank + 1).to_string(),
                c.to_string(),
                ranked.lines[c].to_string(),
                format!("{:.6}", ranked.fused[c]),
            ];
            if args.explain {
                let scores = row(&ranked.scores, tasks.len(), c);
                cells.extend(scores.iter().map(|s| format!("{s:.5}")));
                let terms = row(&ranked.terms, terms.len(), c);
                cells.extend(terms.iter().map(|t| format!("{t:+.5}")));
            }
            cells
        })
        .collect();
    print::table(&header, &rows);
    if let Some(explanation) = explanation {
        print_explanation(&explanation, &tasks);
    }
    Ok(())
}

fn explained(
    args: &Rank,
    d: &Description,
    model: &Model<'_>,
    formula: Option<&Formula<'_>>,
    ranked: &replay::Ranked,
) -> Result<Explanation> {
    let first = ranked.order.first().map_or(0, |c| *c as usize);
    let candidate = args.candidate.unwrap_or(first);
    if candidate >= ranked.order.len() {
        let message = format!(
            "--candidate is {candidate}; the request has {} candidates, from 0",
            ranked.order.len()
        );
        return Err(Error::new(Kind::Description, message));
    }
    let groups = explain::groups(d, model.spec());
    let mut ranker = Ranker::with(model, formula);
    let explained = explain::explain(
        &mut ranker,
        model.spec(),
        &ranked.request,
        candidate,
        &groups,
    );
    explained.map_err(|e| {
        let message = format!("the engine refuses the request: {:?}", e.status);
        Error::in_file(Kind::Data, &args.file, message)
    })
}

fn print_explanation(e: &Explanation, tasks: &[&str]) {
    outln!(
        "\nCandidate {}, rank {}. Experts of each task:",
        e.candidate,
        e.rank
    );
    let gates = e.tasks.iter().map(|t| {
        let share = |g: &f32| format!("{:.0} %", 100.0 * g);
        let shares: Vec<String> = t.gates.iter().map(share).collect();
        vec![t.task.clone(), format!("{:.5}", t.score), shares.join("  ")]
    });
    print::table(&["task", "score", "experts"], &gates.collect::<Vec<_>>());
    outln!(
        "\nWithout a group of features: rank, and what is missing then (its score less the score without)"
    );
    let mut header = vec!["without", "rank", "fused"];
    header.extend(tasks);
    let rows = e.groups.iter().map(|g| {
        let mut row = vec![
            g.group.clone(),
            g.rank.to_string(),
            format!("{:+.5}", e.fused - g.fused),
        ];
        let scores = e.tasks.iter().zip(&g.scores);
        row.extend(scores.map(|(t, without)| format!("{:+.5}", t.score - without)));
        row
    });
    print::table(&header, &rows.collect::<Vec<_>>());
}

/// What each term of the fusion is called: its name, or its text in a formula.
fn terms<'n>(model: &'n Model<'_>, apart: Option<&'n Formula<'_>>) -> Vec<&'n str> {
    match apart {
        Some(formula) => formula.terms().collect(),
        None => match model.formula() {
            Some(formula) => formula.terms().collect(),
            None => model.spec().fusion.iter().map(|t| t.name).collect(),
        },
    }
}
