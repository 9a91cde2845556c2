//! How the shared layers are used, as far as the runs' reports say it.
use std::prelude::v1::*;

use maud::{Markup, html};

use super::{Comparison, ReportView, Result, Summary, figure, legend, spread};
use crate::train::compare::gather::VariantRuns;
use crate::train::compare::plots;
use crate::train::compare::result::Health;

/// Of one seed: experts of two seeds have no common order, and their mean looks even whatever they are.
pub(super) fn gates(c: &Comparison) -> Result<Markup> {
    let (mut figures, mut most) = (Vec::new(), 0);
    for v in &c.variants {
        let Some((seed, view, health)) = c.seeds.iter().zip(&v.views).find_map(|(seed, view)| {
            let view = view.as_ref()?;
            let health = view.health.as_ref()?;
            (!health.gates.is_empty()).then_some((seed, view, health))
        }) else {
            continue;
        };
        let names: Vec<String> = view.tasks.iter().map(|(name, _)| name.clone()).collect();
        let shares: Vec<Vec<f64>> = health.gates.iter().take(names.len()).cloned().collect();
        most = shares.iter().map(Vec::len).fold(most, usize::max);
        let caption = format!("{}, seed {seed}", v.name);
        let label = format!("gate use of {caption}");
        let plot = plots::shares(&label, &names, &shares, "share of the mixture");
        figures.extend(plot.map(|plot| figure(&caption, plot)).transpose()?);
    }
    let experts: Vec<String> = (1..=most).map(|e| format!("expert {e}")).collect();
    Ok(html! {
        @if !figures.is_empty() {
            h2 { "Use of the experts" }
            p { "Each task's mean gate in one run of each variant. Experts have no order that two runs share." }
            (legend(experts.iter().map(String::as_str)))
            div.plots { @for figure in &figures { (figure) } }
        }
    })
}

/// Mean cosine of two different experts; `None` for one expert.
fn mean_cosine(cosine: &[Vec<f64>]) -> Option<f64> {
    let apart = cosine.iter().enumerate().flat_map(|(i, row)| {
        let others = row.iter().enumerate().filter(move |(j, _)| *j != i);
        others.map(|(_, x)| *x)
    });
    Summary::of(&apart.collect::<Vec<f64>>()).map(|s| s.mean)
}

/// Numbers that do not depend on the order of experts, over seeds.
pub(super) fn measures(c: &Comparison) -> Markup {
    let over = |v: &VariantRuns, of: &dyn Fn(&ReportView, &Health) -> Option<f64>| {
        let value = |view: &ReportView| of(view, view.health.as_ref()?);
        Summary::of(
            &v.views
                .iter()
                .flatten()
                .filter_map(value)
                .collect::<Vec<f64>>(),
        )
    };
    let tasks = c.tasks();
    let row = |v: &VariantRuns| {
        let entropy = |task: &String| {
            over(v, &|view, health| {
                let t = view.tasks.iter().position(|(name, _)| name == task)?;
                health.gate_entropy.get(t).copied()
            })
        };
        let cosine = over(v, &|_, health| mean_cosine(&health.expert_cosine));
        tasks
            .iter()
            .map(entropy)
            .chain([cosine])
            .collect::<Vec<Option<Summary>>>()
    };
    let rows: Vec<Vec<Option<Summary>>> = c.variants.iter().map(row).collect();
    html! {
        @if rows.iter().flatten().any(Option::is_some) {
            h3 { "Gates and experts over seeds" }
            div.wide { table {
                caption { "Entropy of each task's gate (0: one expert), and the mean cosine of two experts' outputs (1: they say the same)." }
                thead { tr {
                    th scope="col" { "variant" }
                    @for t in &tasks { th scope="col" { (t) } }
                    th scope="col" { "cosine" }
                } }
                tbody {
                    @for (v, row) in c.variants.iter().zip(&rows) {
                        tr {
                            th scope="row" { (v.name) }
                            @for value in row { td { (value.map_or("-".into(), |s| spread(&s, 3))) } }
                        }
                    }
                }
            } }
        }
    }
}

/// What the runs themselves warn of.
pub(super) fn warnings(c: &Comparison) -> Markup {
    let of = |view: &Option<ReportView>| view.as_ref()?.health.clone();
    let mut lines: Vec<(String, u64, String)> = Vec::new();
    for v in &c.variants {
        for (seed, health) in c.seeds.iter().zip(v.views.iter().map(of)) {
            let warnings = health.map(|h| h.warnings).unwrap_or_default();
            lines.extend(warnings.into_iter().map(|w| (v.name.clone(), *seed, w)));
        }
    }
    html! {
        @if !lines.is_empty() {
            h2 { "Warnings of the runs" }
            ul { @for (variant, seed, text) in &lines { li { strong { (variant) } ", seed " (seed) ": " (text) } } }
        }
    }
}
