//! A run between two steps: one more step, an evaluation, a checkpoint, the end.
use std::borrow::Cow;
use std::prelude::v1::*;

use super::aware::on_grids;
use super::fingerprint::fingerprint;
use super::order::Units;
use super::{CHECKPOINT_FILE, CURVE_POINTS, Evaluation, Job, PARAMETERS_FILE, TrainError, Trained};
use crate::train::balance::Balancer;
use crate::train::checkpoint::{self, Position, RunLock};
use crate::train::dataset::Dataset;
use crate::train::evaluate::measure;
use crate::train::gradient::{Gradients, Plan};
use crate::train::loss::list::ListLoss;
use crate::train::metrics::TaskMetrics;
use crate::train::network::gather::Dropout;
use crate::train::network::{Network, Weights};
use crate::train::optimizer::State;
use crate::train::options::TaskOptions;
use crate::train::random::Key;

/// Rows that the middle of a ranking task's logits is measured on.
const MIDDLE_ROWS: usize = 4096;

/// A run between two steps.
pub(super) struct Run<'a> {
    pub job: &'a Job<'a>,
    /// With the offsets of sampled tasks.
    pub network: Network,
    /// Without: its parameters carry them.
    served: Network,
    /// Training rows with a weight in some task.
    pub rows: Cow<'a, [u32]>,
    /// What is shuffled.
    pub units: Units,
    pub position: Position,
    pub state: State<f32>,
    pub best: Option<Weights<f32>>,
}

impl<'a> Run<'a> {
    pub fn new(job: &'a Job<'a>) -> Result<Self, TrainError> {
        let served = Network::new(job.spec);
        let mut network = match job.bias {
            Some(bias) => Network::with_bias(job.spec, bias),
            None => served.clone(),
        };
        let own = job.options.own_experts;
        network.own_experts(own);
        network.offsets = job.tasks.iter().map(TaskOptions::offset).collect();
        let two_logits = |t: &TaskOptions| matches!(t.list, Some(ListLoss::Jrc(_)));
        network.add_levels(&job.tasks.iter().map(two_logits).collect::<Vec<_>>());
        let rows = job.data.in_a_space(&job.split.train);
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        let (seed, embedding_init) = (job.options.seed, job.options.embedding_init);
        let mut parameters = network.initialize(job.data, &rows, seed, embedding_init);
        network.begin_steps(&mut parameters, job.data, &rows, job.tasks);
        match job.from {
            Some(p) if served.fits(p) => {
                network.begin_with(&mut parameters, p);
                network.shift_heads(&mut parameters, -1.0);
            }
            Some(_) => {
                return Err(TrainError::Options(
                    "the parameters to begin with do not fit the model".into(),
                ));
            }
            None => {}
        }
        network.close_gates(&mut parameters, own);
        let state = State::new(&network, network.weights(parameters), job.options);
        let position = Position {
            fingerprint: fingerprint(job, &rows, &state.weights),
            losses: vec![(0.0, 0); job.tasks.len()],
            balancer: Balancer::new(job.options.balance, job.tasks.len()),
            ..Position::default()
        };
        let mut run = Self {
            job,
            network,
            served,
            units: Units::new(job, &rows)?,
            rows,
            position,
            state,
            best: None,
        };
        if let Some(path) = run.checkpoint().filter(|path| job.resume && path.exists()) {
            (run.position, run.best) =
                checkpoint::load(&path, run.position.fingerprint, &mut run.state)?;
        }
        Ok(run)
    }

    fn checkpoint(&self) -> Option<std::path::PathBuf> {
        let folder = self.job.folder.map(RunLock::folder);
        folder.map(|folder| folder.join(CHECKPOINT_FILE))
    }

    pub fn step(
        &mut self,
        pool: &rayon::ThreadPool,
        gradients: &mut Gradients<f32>,
        data: &Dataset,
        rows: &[u32],
        factor: f64,
    ) -> Result<(), TrainError> {
        let job = self.job;
        let Job { options, tasks, .. } = *job;
        if rows.is_empty() {
            // The batch before ends with a request that is longer than a batch.
            gradients.losses = vec![0.0; tasks.len()];
            gradients.weights = vec![0.0; tasks.len()];
            return Ok(());
        }
        let (network, state, step) = (&mut self.network, &mut self.state, self.position.step);
        let aware_from = self.position.aware_from;
        let balancer = &mut self.position.balancer;
        let dropout = Dropout::of(options.dropout, options.seed, step);
        let mut weighed = tasks.to_vec();
        for (t, task) in weighed.iter_mut().enumerate() {
            *task = self.job.task_at(t, step);
        }
        for (task, factor) in weighed.iter_mut().zip(balancer.loss_factors()) {
            task.weight *= factor;
        }
        let plan = Plan {
            network: &self.served,
            data,
            tasks: &weighed,
            dropout: dropout.as_ref(),
            load_balance: options.load_balance,
        };
        let key = Key::new(options.seed).at(4).at(step);
        let not_finite = |what: &'static str| Err(TrainError::NotFinite { step, what });
        pool.install(|| {
            let mut factors =
                |gram: &[f64], present: &[bool]| balancer.shared_factors(gram, present, key);
            let balance = (options.balance.needs_gram()).then_some(&mut factors as _);
            let of = (&mut *network, &mut state.weights);
            let finite = on_grids(job, aware_from, of, |network, weights| {
                gradients.compute(&Plan { network, ..plan }, weights, rows, balance)
            })?;
            if !finite {
                return not_finite("loss or gradient");
            }
            if !state.update(network, options, &weighed, gradients, factor) {
                return not_finite("parameter");
            }
            let present: Vec<bool> = gradients.weights.iter().map(|w| *w > 0.0).collect();
            // Without the weights, which a balancing must not see.
            let plain = |losses: &[f64]| -> Vec<f64> {
                let pairs = losses.iter().zip(&weighed);
                pairs.map(|(loss, task)| loss / task.weight).collect()
            };
            let (weighted, before) = (gradients.losses.clone(), plain(&gradients.losses));
            let mut after = None;
            if balancer.re_evaluates() {
                let of = (&mut *network, &mut state.weights);
                on_grids(job, aware_from, of, |network, weights| {
                    gradients.measure(&Plan { network, ..plan }, weights, rows);
                })?;
                after = Some(plain(&gradients.losses));
            }
            gradients.losses = weighted;
            balancer.after_step(&before, &present, after.as_deref());
            Ok(())
        })
    }

    /// Evaluates the stopping rows and keeps the best parameters.
    pub fn evaluate(&mut self, pool: &rayon::ThreadPool, losses: &[f64]) -> Result<(), TrainError> {
        let effective = self.position.balancer.effective();
        let weight = |t: usize| self.job.task_at(t, self.position.step).weight;
        let effective = effective.iter().enumerate();
        let effective = effective.map(|(t, factor)| factor * weight(t)).collect();
        let weights = self.state.averaged(&self.network, self.job.options.average);
        let mut served = self.serve(weights.clone());
        let mut network = self.served.clone();
        let of = (&mut network, &mut served);
        let metrics = on_grids(self.job, self.position.aware_from, of, |network, served| {
            self.metrics(pool, network, served, &self.job.split.stop)
        })??;
        let tasks: Vec<Option<f64>> = metrics.iter().map(TaskMetrics::quality).collect();
        let defined: Vec<f64> = tasks.iter().flatten().copied().collect();
        let quality =
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64);
        let p = &mut self.position;
        // Without any defined metric the latest is as good as any.
        if quality.is_none() || p.best.is_none() || quality > p.best {
            (p.best, p.best_step, p.stale) = (quality, p.step, 0);
            self.best = Some(weights);
        } else {
            p.stale += 1;
            p.stopped_early = self.job.options.patience > 0 && p.stale >= self.job.options.patience;
        }
        p.history.push(Evaluation {
            step: p.step,
            quality,
            tasks,
            losses: losses.to_vec(),
            weights: effective,
            quantized: p.aware_from.is_some(),
        });
        Ok(())
    }

    /// Parameters in training as those that are served.
    fn serve(&self, weights: Weights<f32>) -> Weights<f32> {
        let reference = match self.job.bias {
            Some(bias) => self.network.bias_logits(&weights, &bias.reference, &[0]),
            None => Vec::new(),
        };
        let mut parameters = self.network.parameters(weights);
        self.network.shift_heads(&mut parameters, 1.0);
        self.network.fold_bias(&mut parameters, &reference);
        self.served.weights(parameters)
    }

    fn position_curve(&self, weights: &Weights<f32>) -> Result<Vec<(u32, Vec<f32>)>, TrainError> {
        let Some(bias) = self.job.bias else {
            return Ok(Vec::new());
        };
        let of = |data: &Dataset, rows: &[u32]| self.network.bias_logits(weights, data, rows);
        let reference = of(&bias.reference, &[0]);
        let (mut seen, mut curve) = (std::collections::BTreeSet::new(), Vec::new());
        for rows in self.rows.chunks(1024) {
            let logits = self.job.data.with(rows, of);
            let logits = logits.map_err(|e| self.job.unreadable(e))?;
            for (row, logits) in rows.iter().zip(logits.chunks(reference.len())) {
                let bits: Vec<u32> = logits.iter().map(|z| z.to_bits()).collect();
                if curve.len() < CURVE_POINTS && seen.insert(bits) {
                    let less = logits.iter().zip(&reference);
                    curve.push((*row, less.map(|(z, r)| z - r).collect()));
                }
            }
        }
        Ok(curve)
    }

    /// Of served parameters.
    fn metrics(
        &self,
        pool: &rayon::ThreadPool,
        network: &Network,
        weights: &Weights<f32>,
        rows: &[u32],
    ) -> Result<Vec<TaskMetrics>, TrainError> {
        let measured = measure(pool, network, weights, self.job.data, rows);
        let not_finite = TrainError::NotFinite {
            step: self.position.step,
            what: "logit",
        };
        let measured = measured.map_err(|e| self.job.unreadable(e))?;
        measured.ok_or(not_finite)
    }

    /// By task: the mean logit of a ranking task, which its loss leaves where it happens to be, over some training rows. Without
    /// it scores are about 0.5, far from where f32 no longer tells them apart.
    fn middles(
        &self,
        pool: &rayon::ThreadPool,
        weights: &Weights<f32>,
    ) -> Result<Vec<f32>, TrainError> {
        let tasks = self.job.tasks;
        let mut middles = vec![0.0; tasks.len()];
        let ranks = |t: &TaskOptions| t.list.is_some_and(|list| list.share() == 1.0);
        if !tasks.iter().any(ranks) {
            return Ok(middles);
        }
        let every = self.rows.len().div_ceil(MIDDLE_ROWS);
        let rows: Vec<u32> = self.rows.iter().copied().step_by(every).collect();
        let logits = self.job.data.with(&rows, |data, rows| {
            pool.install(|| self.served.predict(weights, data, rows))
        });
        let logits = logits.map_err(|e| self.job.unreadable(e))?;
        for (t, middle) in middles
            .iter_mut()
            .enumerate()
            .filter(|(t, _)| ranks(&tasks[*t]))
        {
            let of_task = logits.iter().skip(t).step_by(tasks.len());
            let sum: f64 = of_task.map(|z| f64::from(*z)).sum();
            let mean = (sum / rows.len() as f64) as f32;
            *middle = if mean.is_finite() { mean } else { 0.0 };
        }
        Ok(middles)
    }

    pub fn save(&mut self) -> Result<(), TrainError> {
        self.position.shared_steps = self.state.shared_steps;
        self.position.task_steps.clone_from(&self.state.task_steps);
        self.position.has_best = self.best.is_some();
        match self.checkpoint() {
            Some(path) => Ok(checkpoint::save(
                &path,
                &self.position,
                &self.state,
                self.best.as_ref(),
            )?),
            None => Ok(()),
        }
    }

    pub fn finish(mut self, pool: &rayon::ThreadPool) -> Result<Trained, TrainError> {
        let best_step = if self.best.is_some() {
            self.position.best_step
        } else {
            self.position.step
        };
        let weights = self
            .best
            .take()
            .unwrap_or_else(|| self.state.averaged(&self.network, self.job.options.average));
        let curve = self.position_curve(&weights)?;
        let weights = self.serve(weights);
        let metrics = self.metrics(pool, &self.served, &weights, &self.job.split.validation)?;
        let middles = self.middles(pool, &weights)?;
        let mut parameters = self.served.parameters(weights);
        for (head, middle) in parameters.heads.iter_mut().zip(middles) {
            head.bias.iter_mut().for_each(|b| *b -= middle);
        }
        if let Some(folder) = self.job.folder.map(RunLock::folder) {
            checkpoint::save_parameters(&folder.join(PARAMETERS_FILE), &self.served, &parameters)?;
        }
        Ok(Trained {
            parameters,
            metrics,
            history: self.position.history,
            steps: self.position.step,
            best_step,
            position_bias: curve,
            stopped_early: self.position.stopped_early,
            quantized_from: self.position.aware_from,
        })
    }
}
