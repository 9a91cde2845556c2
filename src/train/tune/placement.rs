//! How much a row counts for the place that new weights give it.
//!
//! **Randomised slice.** The rows of a list were shown in uniformly random order, so a row was at each position with the same
//! probability. With the position-based click model, reward = examination e_k of the position x reward of the row, the row
//! counts (Li et al., "Offline evaluation of ranking policies with click models", KDD 2018, the PBM estimator)
//!
//! ```text
//! w = sum over k of e_k P(new weights place it at k) / sum over k of e_k P(it was shown at k)
//! ```
//! clipped ([`Placement::clip`]) and self-normalised (Swaminathan & Joachims, NIPS 2015) within the list. All rows of a list
//! have the same denominator, so w is a function of the row's rank and of the list's length alone, and its sum over a list is
//! known before any weights are. The e_k come from the slice itself: the mean reward at each position, made non-increasing.
//! The estimator that only counts rows that stay where they were shown (item-position, same paper) needs no such model, but
//! uses one row in n: at ten rows a list a tenth of the effective sample.
//!
//! What is estimated is the value of putting the rows of a list in another order, not of choosing other rows. Where the log has
//! only the head of a random order of more candidates, the rank among all of them can be guessed from the rank among those
//! (hypergeometric), and the counts fitted so that their expectation is that of the rank among all. That estimates what would
//! be served, but leaves a seventh of the effective sample; weights chosen so were 0.5 to 2.4 % worse (docs/tuning.md).
//!
//! **Replay.** Without a randomised slice nothing says what a row would have got elsewhere. Rows are put in order within their
//! list and rank j counts 1 / log2(1 + j), as in DCG (Jarvelin & Kekalainen 2002). This is no causal estimate: rewards stay
//! those of the place where the row was shown.
use std::prelude::v1::*;

/// No position is examined less than this share of the first, so that noise can make no count infinite.
const EXAMINATION_MIN: f64 = 0.02;

/// Counts by rank, for lists of each length. The mean over a list is 1.
#[derive(Clone, Debug)]
pub struct Placement {
    /// `by_len[n][j]`: rank j, from 0, in a list of n rows.
    by_len: Vec<Vec<f64>>,
    /// Counts above this were cut.
    pub clip: f64,
}

impl Placement {
    /// Of lists in random order whose positions are examined as `examination` says, first to last.
    pub fn position_based(examination: &[f64], clip: f64) -> Self {
        let of_len = |n: usize| normalized(examination[..n].to_vec(), clip);
        let by_len = (0..=examination.len()).map(of_len).collect();
        Self { by_len, clip }
    }

    /// DCG's counts for lists of up to `len_max` rows.
    pub fn replay(len_max: usize) -> Self {
        let discounts: Vec<f64> = (0..len_max)
            .map(|j| 1.0 / libm::log2(j as f64 + 2.0))
            .collect();
        let of_len = |n: usize| normalized(discounts[..n].to_vec(), f64::INFINITY);
        Self {
            by_len: (0..=len_max).map(of_len).collect(),
            clip: f64::INFINITY,
        }
    }

    /// Counts of a list of `n` rows by rank.
    pub fn of(&self, n: usize) -> &[f64] {
        self.by_len.get(n).map_or(&[], Vec::as_slice)
    }

    /// (sum of counts)² / sum of squared counts (Kish 1965), over lists of these lengths: how many rows of equal count would
    /// know a mean as well.
    pub fn effective(&self, lengths: impl Iterator<Item = usize>) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for count in lengths.flat_map(|n| self.of(n)) {
            sum += count;
            squares += count * count;
        }
        if squares > 0.0 {
            sum * sum / squares
        } else {
            0.0
        }
    }
}

/// Cut at `clip` times their mean, then divided by their mean.
fn normalized(mut counts: Vec<f64>, clip: f64) -> Vec<f64> {
    let mean = |counts: &[f64]| counts.iter().sum::<f64>() / counts.len().max(1) as f64;
    for pass in 0..2 {
        let by = mean(&counts);
        for count in &mut counts {
            *count /= by;
            if pass == 0 {
                *count = count.min(clip);
            }
        }
    }
    counts
}

/// Share of the reward that each position leaves, from the mean reward of the rows there and their number: non-increasing by
/// pooling adjacent violators (Ayer et al. 1955), 1 at the top.
pub fn examination(means: &[(f64, u64)]) -> Vec<f64> {
    // Mean, rows, positions.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for (mean, rows) in means {
        let mut block = (*mean, *rows as f64, 1);
        while let Some(before) = blocks.pop_if(|b| b.0 <= block.0) {
            let rows = (before.1 + block.1).max(1.0);
            let mean = (before.0 * before.1 + block.0 * block.1) / rows;
            block = (mean, before.1 + block.1, before.2 + block.2);
        }
        blocks.push(block);
    }
    let top = blocks.first().map_or(0.0, |b| b.0);
    let share = |mean: f64| {
        // A reward that is no gain on average says nothing of who looks.
        if top > 0.0 {
            (mean / top).max(EXAMINATION_MIN)
        } else {
            1.0
        }
    };
    let blocks = blocks.into_iter();
    blocks
        .flat_map(|(mean, _, positions)| core::iter::repeat_n(share(mean), positions))
        .collect()
}
