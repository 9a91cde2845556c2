//! The lists that weights are held against: scores and rewards of their rows, kept once, so that weights cost an order a list
//! and no run of the network.
use std::prelude::v1::*;

use rayon::prelude::*;

use super::fuser::Fuser;
use super::placement::Placement;
use crate::rerank;

/// Lists that one thread takes at a time.
const CHUNK: usize = 256;

/// Lists of a log. A row takes 4 bytes a task and 8 a reward.
#[derive(Clone, Debug)]
pub struct Sample {
    width: usize,
    num_rewards: usize,
    /// Number of lists + 1.
    offsets: Vec<usize>,
    /// `[rows, width]`, task scores first; rows of a list in the order shown.
    scores: Vec<f32>,
    /// `[rows, rewards]`.
    rewards: Vec<f64>,
}

/// What weights get from a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    num_rewards: usize,
    /// `[lists, rewards]`: sums over rows of count x reward.
    pub lists: Vec<f64>,
    /// Rows of each list.
    pub rows: Vec<f64>,
}

impl Sample {
    /// Without a list yet.
    pub fn new(width: usize, num_rewards: usize) -> Self {
        Self {
            width,
            num_rewards,
            offsets: vec![0],
            scores: Vec::new(),
            rewards: Vec::new(),
        }
    }

    /// Adds a list: scores and rewards of its rows, in the order shown.
    pub fn push<S: AsRef<[f32]>>(&mut self, rows: impl Iterator<Item = (S, Vec<f64>)>) {
        let mut end = self.rows();
        for (scores, rewards) in rows {
            self.scores.extend_from_slice(scores.as_ref());
            self.rewards.extend_from_slice(&rewards);
            end += 1;
        }
        self.offsets.push(end);
    }

    /// Lists.
    pub fn lists(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Rows of each list.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.offsets.windows(2).map(|w| w[1] - w[0])
    }

    /// `[rows, width]`.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// Mean of the first reward and number of rows at each position.
    pub fn by_position(&self) -> Vec<(f64, u64)> {
        let mut sums = vec![(0.0, 0u64); self.lengths().max().unwrap_or(0)];
        for list in self.offsets.windows(2) {
            for (row, sum) in (list[0]..list[1]).zip(&mut sums) {
                sum.0 += self.rewards[row * self.num_rewards];
                sum.1 += 1;
            }
        }
        let mean = |(sum, rows): (f64, u64)| (sum / rows.max(1) as f64, rows);
        sums.into_iter().map(mean).collect()
    }

    /// What a fuser's weights get.
    pub fn values(&self, placement: &Placement, fuser: &dyn Fuser, weights: &[f32]) -> Values {
        self.values_by(placement, &|scores, fused| {
            fuser.fuse(weights, scores, fused);
        })
    }

    /// What the order by one task's score alone gets.
    pub fn values_of_task(&self, placement: &Placement, task: usize) -> Values {
        self.values_by(placement, &|scores, fused| {
            for (fused, row) in fused.iter_mut().zip(scores.chunks_exact(self.width)) {
                *fused = row[task];
            }
        })
    }

    /// What the order by a function of the last values of a row gets.
    pub fn values_of(
        &self,
        placement: &Placement,
        last: usize,
        value: &(dyn Fn(&[f32]) -> f64 + Sync),
    ) -> Values {
        self.values_by(placement, &|rows, fused| {
            for (fused, row) in fused.iter_mut().zip(rows.chunks_exact(self.width)) {
                *fused = value(&row[self.width - last..]) as f32;
            }
        })
    }

    /// The last values of every row, and its first reward over the examination of where it was shown.
    pub fn learnable(&self, last: usize, examination: &[f64]) -> (Vec<f32>, Vec<f64>) {
        let rows = self.scores.chunks_exact(self.width);
        let inputs = rows.flat_map(|row| row[self.width - last..].iter().copied());
        let lists = self.offsets.windows(2);
        let utilities = lists.flat_map(|list| {
            (list[0]..list[1]).enumerate().map(|(position, row)| {
                // A position that hardly anyone looks at tells as little as one that a tenth does.
                let examined = examination.get(position).copied().unwrap_or(1.0).max(0.1);
                self.rewards[row * self.num_rewards] / examined
            })
        });
        (inputs.collect(), utilities.collect())
    }

    /// Number of lists + 1 offsets into the rows.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// On rayon's current threads; the bits do not depend on them.
    fn values_by(
        &self,
        placement: &Placement,
        fuse: &(dyn Fn(&[f32], &mut [f32]) + Sync),
    ) -> Values {
        let mut lists = vec![0.0; self.lists() * self.num_rewards];
        let chunks = lists.par_chunks_mut((CHUNK * self.num_rewards).max(1));
        let buffers = || (Vec::new(), Vec::new());
        chunks
            .enumerate()
            .for_each_init(buffers, |(fused, order), (chunk, out)| {
                for (i, sums) in out.chunks_exact_mut(self.num_rewards).enumerate() {
                    let list = chunk * CHUNK + i;
                    let (start, end) = (self.offsets[list], self.offsets[list + 1]);
                    fused.resize(end - start, 0.0);
                    order.resize(end - start, 0);
                    fuse(&self.scores[start * self.width..end * self.width], fused);
                    rerank::top_k(fused, order);
                    for (count, row) in placement.of(end - start).iter().zip(&*order) {
                        let at = (start + *row as usize) * self.num_rewards;
                        let rewards = &self.rewards[at..at + self.num_rewards];
                        for (sum, reward) in sums.iter_mut().zip(rewards) {
                            *sum += count * reward;
                        }
                    }
                }
            });
        let rows = self.lengths().map(|n| n as f64).collect();
        Values::new(self.num_rewards, lists, rows)
    }
}

impl Values {
    /// Of sums `[lists, rewards]` and the rows of each list.
    pub fn new(num_rewards: usize, lists: Vec<f64>, rows: Vec<f64>) -> Self {
        Self {
            num_rewards,
            lists,
            rows,
        }
    }

    /// Mean reward a row.
    pub fn mean(&self, reward: usize) -> f64 {
        let rows: f64 = self.rows.iter().sum();
        self.of(reward).sum::<f64>() / rows.max(1.0)
    }

    /// By list, the sum of a reward.
    pub fn of(&self, reward: usize) -> impl Iterator<Item = f64> + '_ {
        self.lists
            .iter()
            .skip(reward)
            .step_by(self.num_rewards)
            .copied()
    }

    /// Mean of a reward less `less`, by list, and its standard error over lists: that of a ratio of sums, so lists of any
    /// length may come.
    pub fn difference(&self, reward: usize, less: impl Iterator<Item = f64>) -> (f64, f64) {
        let differences: Vec<f64> = self.of(reward).zip(less).map(|(a, b)| a - b).collect();
        let rows: f64 = self.rows.iter().sum::<f64>().max(1.0);
        let mean = differences.iter().sum::<f64>() / rows;
        let squares = differences.iter().zip(&self.rows);
        let squares: f64 = squares.map(|(d, n)| (d - mean * n) * (d - mean * n)).sum();
        (mean, libm::sqrt(squares) / rows)
    }
}
