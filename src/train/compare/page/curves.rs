//! Curves of the page: learning, calibration, gates, weights.
use std::prelude::v1::*;

use maud::{Markup, html};

use super::{Comparison, Line, ReportView, Result, figure, legend, variants_legend};
use crate::train::compare::gather::VariantRuns;
use crate::train::compare::plots;
use crate::train::compare::result::RunResult;

/// Mean of values that are there.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

/// Points (step, value) of several seeds, and their mean at every step that most seeds have reached: a seed that stopped
/// early must not make a jump of the others.
fn with_mean(color: usize, seeds: Vec<Vec<(f64, f64)>>) -> Vec<Line> {
    let seeds: Vec<Vec<(f64, f64)>> = seeds.into_iter().filter(|s| !s.is_empty()).collect();
    let mut steps: Vec<f64> = seeds.iter().flatten().map(|p| p.0).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let at = |step: f64| {
        let values = || {
            seeds
                .iter()
                .filter_map(|s| s.iter().find(|p| p.0 == step))
                .map(|p| p.1)
        };
        let most = values().count() * 2 > seeds.len();
        Some((step, mean(values()).filter(|_| most)?))
    };
    let line = |points, light| Line {
        color,
        points,
        light,
        dots: false,
    };
    let mean = line(steps.into_iter().filter_map(at).collect(), false);
    if seeds.len() < 2 {
        return vec![mean];
    }
    seeds
        .into_iter()
        .map(|points| line(points, true))
        .chain([mean])
        .collect()
}

/// By seed: one task's values over steps.
fn history(
    v: &VariantRuns,
    task: &str,
    of: &dyn Fn(&ReportView, usize, usize) -> Option<f64>,
) -> Vec<Vec<(f64, f64)>> {
    let points = |view: &ReportView| {
        let Some(t) = view.tasks.iter().position(|(name, _)| name == task) else {
            return Vec::new();
        };
        let point = |(i, e): (usize, &crate::train::compare::result::Evaluation)| {
            Some((e.step as f64, of(view, i, t)?))
        };
        view.history.iter().enumerate().filter_map(point).collect()
    };
    v.views.iter().flatten().map(points).collect()
}

pub(super) fn learning(c: &Comparison) -> Result<Markup> {
    let mut figures = Vec::new();
    for task in c.tasks() {
        let of =
            |view: &ReportView, i: usize, t: usize| view.history[i].tasks.get(t).copied().flatten();
        let lines: Vec<Line> = c
            .variants
            .iter()
            .enumerate()
            .flat_map(|(i, v)| with_mean(i, history(v, &task, &of)))
            .collect();
        let duration = c
            .metrics
            .iter()
            .any(|r| r.task == task && r.metric == "spearman");
        let y = if duration { "Spearman" } else { "AUC" };
        let label = format!("learning curve of {task}");
        let plot = plots::lines(&label, &lines, ("step", y), false);
        figures.extend(plot.map(|plot| figure(&task, plot)).transpose()?);
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { "Learning curves" }
            p { "On the stopping rows after each evaluation: mean over seeds while most of them train, and each seed in a lighter line." }
            (variants_legend(c))
            div.plots { @for figure in &figures { (figure) } }
        }
    })
}

pub(super) fn calibration(c: &Comparison) -> Result<Markup> {
    let mut figures = Vec::new();
    for task in c.tasks() {
        let lines: Vec<Line> = c
            .variants
            .iter()
            .enumerate()
            .map(|(i, v)| Line {
                color: i,
                points: mean_bins(v, &task),
                light: false,
                dots: true,
            })
            .collect();
        let label = format!("calibration of {task}");
        let plot = plots::lines(&label, &lines, ("mean score", "mean label"), true);
        figures.extend(plot.map(|plot| figure(&task, plot)).transpose()?);
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { "Calibration" }
            p {
                "The validation rows of a task in ten parts of equal count by score: a calibrated model lies on the diagonal. Mean over seeds, of the "
                "f32 runs; a duration is learned as a logarithm, so it lies above the diagonal until the export scales it to its mean."
            }
            (variants_legend(c))
            div.plots { @for figure in &figures { (figure) } }
        }
    })
}

/// Bin by bin: means over seeds.
fn mean_bins(v: &VariantRuns, task: &str) -> Vec<(f64, f64)> {
    let of_seed = |(run, view): (&RunResult, &Option<ReportView>)| {
        let tasks = &view.as_ref()?.tasks;
        let t = tasks.iter().position(|(name, _)| name == task)?;
        run.finished()?.calibration.get(t).cloned()
    };
    let seeds: Vec<_> = v.runs.iter().zip(&v.views).filter_map(of_seed).collect();
    let bins = seeds.iter().map(Vec::len).min().unwrap_or(0);
    let bin = |b: usize| {
        let predicted = mean(seeds.iter().map(|s| s[b].predicted))?;
        Some((predicted, mean(seeds.iter().map(|s| s[b].actual))?))
    };
    (0..bins).filter_map(bin).collect()
}

pub(super) fn weights(c: &Comparison) -> Result<Markup> {
    let (mut figures, tasks) = (Vec::new(), c.tasks());
    for v in &c.variants {
        let of = |view: &ReportView, i: usize, t: usize| view.history[i].weights.get(t).copied();
        let lines: Vec<Line> = tasks
            .iter()
            .enumerate()
            .flat_map(|(t, task)| with_mean(t, history(v, task, &of)))
            .collect();
        let label = format!("task weights of {}", v.name);
        let plot = plots::lines(&label, &lines, ("step", "weight"), false);
        figures.extend(plot.map(|plot| figure(&v.name, plot)).transpose()?);
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { "Effective task weights" }
            p { "What each task's loss counted in training: mean over seeds, and each seed in a lighter line." }
            (legend(tasks.iter().map(String::as_str)))
            div.plots { @for figure in &figures { (figure) } }
        }
    })
}
