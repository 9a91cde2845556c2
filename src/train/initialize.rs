//! First values of a network, and values taken over from an earlier one.
use std::prelude::v1::*;

use rayon::prelude::*;

use crate::spec::TaskKind;
use crate::train::dataset::{Dataset, Rows};
use crate::train::loss::{Start, Steps, quantile_tables};
use crate::train::network::{Network, Span};
use crate::train::options::TaskOptions;
use crate::train::parameters::{Dense, Parameters};
use crate::train::random::Key;
use crate::train::real::Real;

/// A row of a grown table that the old table did not have.
pub const NEW_ROW: u32 = u32::MAX;

impl Network {
    /// Values before the first step, functions of `seed`: weights normal with variance 2 / inputs before a ReLU
    /// (He et al. 2015) and 2 / (inputs + outputs) in last layers of gates and in heads (Glorot & Bengio 2010), every layer with draws
    /// of its own; embeddings normal with deviation `embedding_init`; biases 0, but a head's, which is the prior logit
    /// of its task in `rows`: the log-odds of the mean label, or the median of ln(1 + label).
    pub fn initialize<R: Real>(
        &self,
        data: &dyn Rows,
        rows: &[u32],
        seed: u64,
        embedding_init: f64,
    ) -> Parameters<R> {
        let key = Key::new(seed).at(0);
        let mut p = self.empty_parameters();
        for (t, table) in p.tables.iter_mut().enumerate() {
            let key = key.at(0).at(t as u64);
            table.par_iter_mut().enumerate().for_each(|(i, x)| {
                *x = R::from_f64(key.at(i as u64).normal() * embedding_init);
            });
        }
        let fill = |layer: &mut Dense<R>, span: &Span, variance: f64| {
            let key = key.at(1).at(span.weight as u64);
            let deviation = libm::sqrt(variance);
            for (i, x) in layer.weight.iter_mut().enumerate() {
                *x = R::from_f64(key.at(i as u64).normal() * deviation);
            }
        };
        let he = |span: &Span| 2.0 / span.inputs.max(1) as f64;
        let glorot = |span: &Span| 2.0 / (span.inputs + span.outputs) as f64;
        let gates = p.gates.iter_mut().zip(&self.gates);
        let gates = gates.chain(p.upper_gates.iter_mut().zip(self.upper_gates()));
        let (mut ends, mut hidden) = (Vec::new(), Vec::new());
        for (layers, spans) in gates {
            let mut layers: Vec<_> = layers.iter_mut().zip(spans).collect();
            ends.extend(layers.pop());
            hidden.extend(layers);
        }
        let stacks = p
            .experts
            .iter_mut()
            .zip(&self.experts)
            .chain(p.upper_experts.iter_mut().zip(self.upper_experts()))
            .chain(p.towers.iter_mut().zip(&self.towers));
        hidden.extend(stacks.flat_map(|(layers, spans)| layers.iter_mut().zip(spans)));
        ends.extend(p.heads.iter_mut().zip(&self.heads));
        let bias = self.bias.iter().flat_map(|b| &b.towers);
        for (layers, spans) in p.bias.iter_mut().zip(bias) {
            let mut layers: Vec<_> = layers.iter_mut().zip(spans).collect();
            ends.extend(layers.pop());
            hidden.extend(layers);
        }
        for (p, a) in p.attention.iter_mut().zip(&self.attention) {
            // Keys and queries begin as one projection: a candidate attends to what is like it.
            let deviation = libm::sqrt(2.0 / (a.query.inputs + a.query.outputs) as f64);
            let key = key.at(1).at(a.query.weight as u64);
            for layer in [&mut p.query, &mut p.key] {
                for (i, x) in layer.weight.iter_mut().enumerate() {
                    *x = R::from_f64(key.at(i as u64).normal() * deviation);
                }
            }
        }
        for (layer, span) in hidden {
            fill(layer, span, he(span));
        }
        for (layer, span) in ends {
            fill(layer, span, glorot(span));
        }
        for (task, head) in p.heads.iter_mut().enumerate() {
            head.bias
                .fill(R::from_f64(data.prior_logit(self.kinds[task], task, rows)));
        }
        p
    }

    /// Puts thresholds, what being above them is worth, and the logits that labels alone have, into the heads of tasks of
    /// several logits, and the quantiles of every group into those of quantiles. Of logits in order, all share the first row
    /// of weights.
    pub(crate) fn begin_steps<R: Real>(
        &self,
        p: &mut Parameters<R>,
        data: &dyn Rows,
        rows: &[u32],
        tasks: &[TaskOptions],
    ) {
        for (t, (kind, options)) in self.kinds.iter().zip(tasks).enumerate() {
            let (ordered, start) = match (*kind, &options.steps) {
                (TaskKind::Steps { ordered, .. }, Some(options)) => {
                    (ordered, data.start(options, kind.logits(), t, rows))
                }
                (TaskKind::Quantile { .. }, _) => {
                    (false, data.quantiles(*kind, p.steps[t].outputs, t, rows))
                }
                _ => continue,
            };
            let fill = |to: &mut [R], from: &mut dyn Iterator<Item = f64>| {
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, x)| *to = R::from_f64(x));
            };
            let wide = |x: &[f32]| x.iter().copied().map(f64::from).collect::<Vec<f64>>();
            fill(
                &mut p.steps[t].weight,
                &mut wide(&start.thresholds).into_iter(),
            );
            fill(&mut p.steps[t].bias, &mut wide(&start.worth).into_iter());
            let head = &mut p.heads[t];
            fill(&mut head.bias, &mut start.logits.iter().copied());
            if ordered {
                // softplus' argument of each distance, which no label may make 0.
                let distances = start.logits.windows(2).map(|z| (z[0] - z[1]).max(0.01));
                let arguments = distances.map(|x| libm::log(libm::expm1(x)));
                fill(&mut head.bias[1..], &mut { arguments });
                head.weight[head.inputs..].fill(R::ZERO);
            }
        }
    }

    /// Puts what `old` learnt into `fresh`: row `i` of table `t` comes from row `rows[t][i]` of the old table, or, if
    /// that is [`NEW_ROW`], from the old row 0 (out of vocabulary) plus normal noise of 0.01 x the old table's root
    /// mean square. An empty `rows[t]` takes the whole table over. Dense layers must have kept their shapes.
    ///
    /// Errors: what does not fit, in words.
    pub fn warm_start<R: Real>(
        &self,
        fresh: Parameters<R>,
        old: &Parameters<R>,
        rows: &[Vec<u32>],
        seed: u64,
    ) -> Result<Parameters<R>, String> {
        let mut p = old.clone();
        p.tables.clone_from(&fresh.tables);
        if old.tables.len() != self.tables.len()
            || rows.len() != self.tables.len()
            || !self.fits(&fresh)
        {
            return Err(format!(
                "the old network has {} tables, the new one {}",
                old.tables.len(),
                self.tables.len()
            ));
        }
        if !self.fits(&p) {
            return Err(
                "the layers of the old network have other sizes than those of the new one".into(),
            );
        }
        let noise = Key::new(seed).at(3);
        for (t, table) in p.tables.iter_mut().enumerate() {
            let (dim, before) = (self.tables[t].dim, &old.tables[t]);
            if rows[t].is_empty() && before.len() == table.len() {
                table.clone_from(before);
                continue;
            }
            if rows[t].len() != self.tables[t].num_embeddings
                || before.len() < dim
                || before.len() % dim != 0
            {
                return Err(format!(
                    "table {t} of the old network does not fit the new one"
                ));
            }
            let square =
                before.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>() / before.len() as f64;
            let deviation = 0.01 * libm::sqrt(square);
            for (i, (row, from)) in table.chunks_exact_mut(dim).zip(&rows[t]).enumerate() {
                let key = noise.at(t as u64).at(i as u64);
                let source = if *from == NEW_ROW {
                    0
                } else {
                    *from as usize * dim
                };
                let Some(source) = before.get(source..source + dim) else {
                    return Err(format!("row {from} is not in the old table {t}"));
                };
                row.copy_from_slice(source);
                if *from == NEW_ROW {
                    for (j, x) in row.iter_mut().enumerate() {
                        *x += R::from_f64(key.at(j as u64).normal() * deviation);
                    }
                }
            }
        }
        Ok(p)
    }
}

/// The logit of a model that knows nothing but the task's labels in `rows`; 0 without any.
pub fn prior_logit(kind: TaskKind, data: &Dataset, task: usize, rows: &[u32]) -> f64 {
    let mut prior = Prior::default();
    prior.add(kind, data, task, rows);
    prior.logit(kind)
}

/// Labels of a task, row by row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prior {
    positive: f64,
    total: f64,
    /// Of durations: all of them.
    labels: Vec<f32>,
    /// Of quantiles: all of them, with their groups.
    grouped: Vec<(u32, f32)>,
    /// Labels are utilities: an order has no level.
    ranks: bool,
    /// Rows with a weight, and those of them with a label above 0.
    pub counts: (usize, usize),
}

impl Prior {
    pub fn add(&mut self, kind: TaskKind, data: &Dataset, task: usize, rows: &[u32]) {
        let task = &data.tasks[task];
        self.ranks |= task.ranks;
        for r in rows.iter().map(|r| *r as usize) {
            let (weight, label) = (task.weights[r], task.labels[r]);
            if weight <= 0.0 {
                continue;
            }
            self.counts.0 += 1;
            self.counts.1 += usize::from(label > 0.0);
            match kind {
                TaskKind::Binary => {
                    self.positive += f64::from(weight) * f64::from(label);
                    self.total += f64::from(weight);
                }
                TaskKind::Odds => {
                    self.positive += f64::from(weight) * f64::from(label);
                    self.total += f64::from(weight);
                }
                TaskKind::Duration | TaskKind::Steps { .. } => self.labels.push(label),
                TaskKind::Quantile { feature, .. } => {
                    let group = data.bucket(usize::from(feature), r);
                    self.grouped.push((group, label));
                }
            }
        }
    }

    /// Where a task of several logits begins.
    pub fn start(&self, options: &Steps, logits: usize) -> Start {
        options.start(logits, self.labels.clone())
    }

    /// Where a task of quantiles begins: `tables` numbers, and the logit of quantiles that are spread evenly.
    pub fn quantiles(&self, kind: TaskKind, tables: usize) -> Start {
        let knots = match kind {
            TaskKind::Quantile { knots, .. } => usize::from(knots),
            _ => 1,
        };
        Start {
            thresholds: Vec::new(),
            worth: quantile_tables(&self.grouped, tables / knots.max(1), knots),
            logits: vec![0.0],
        }
    }

    pub fn logit(mut self, kind: TaskKind) -> f64 {
        match kind {
            _ if self.ranks => 0.0,
            // Half a row of each class keeps a one-class task finite.
            TaskKind::Binary => {
                libm::log((self.positive + 0.5) / (self.total - self.positive + 0.5))
            }
            TaskKind::Odds => libm::log((self.positive / self.total.max(1e-30)).max(1e-6)),
            // Its logits begin apart: `begin_steps`. Quantiles have the mean 1/2.
            TaskKind::Steps { .. } | TaskKind::Quantile { .. } => 0.0,
            TaskKind::Duration => {
                let middle = self.labels.len() / 2;
                if self.labels.is_empty() {
                    return 0.0;
                }
                let (_, median, _) = self.labels.select_nth_unstable_by(middle, f32::total_cmp);
                libm::log1p(f64::from(*median))
            }
        }
    }
}
