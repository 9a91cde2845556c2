//! The digest of all that decides a run's result.
use std::prelude::v1::*;

use xxhash_rust::xxh3::Xxh3;

use super::{Job, NOTHING};
use crate::train::dataset::{FeatureData, Place};
use crate::train::network::Weights;
use crate::train::options::TrainOptions;

/// A digest of all that decides a run's result: the spec, the options without threads and clock, the parameters that it
/// begins with, which rows train and stop, their features and labels.
pub(super) fn fingerprint(job: &Job<'_>, rows: &[u32], begin: &Weights<f32>) -> u64 {
    let mut digest = Xxh3::new();
    let options = TrainOptions {
        threads: 0,
        checkpoint_seconds: 0.0,
        ..job.options.clone()
    };
    let settings = format!(
        "{:?}{options:?}{:?}{:?}{:?}",
        job.spec, job.tasks, job.schedules, job.bias
    );
    digest.update(settings.as_bytes());
    for list in [rows, &job.split.stop] {
        words(&mut digest, list, |x| x.to_le_bytes());
    }
    let data = match job.data.place() {
        Place::Memory(data) => data,
        Place::Stored(store) => {
            digest.update(&store.digest().to_le_bytes());
            &NOTHING
        }
    };
    digest.update(&(data.request.len() as u64).to_le_bytes());
    let taught = data.tasks.iter().filter(|t| !t.teacher.is_empty());
    let taught = taught.map(|t| &t.teacher);
    let tasks = data.tasks.iter().flat_map(|t| [&t.labels, &t.weights]);
    let tasks = tasks.chain(taught);
    let begin = begin.tables.iter().chain([&begin.dense]);
    for floats in tasks.chain(begin) {
        words(&mut digest, floats, |x| x.to_le_bytes());
    }
    for feature in &data.features {
        match feature {
            FeatureData::Rows(rows) => words(&mut digest, rows, |x| x.to_le_bytes()),
            FeatureData::Lists { offsets, rows, .. } => {
                words(&mut digest, offsets, |x| x.to_le_bytes());
                words(&mut digest, rows, |x| x.to_le_bytes());
            }
            FeatureData::Numbers { values, buckets } => {
                words(&mut digest, values, |x| x.to_le_bytes());
                words(&mut digest, buckets, |x| x.to_le_bytes());
            }
            FeatureData::Vectors(bytes) => digest.update(bytes),
        }
    }
    digest.digest()
}

/// Digests `list`, its length first, in pieces: one call a value costs ten times as much.
fn words<T: Copy>(digest: &mut Xxh3, list: &[T], bytes: impl Fn(T) -> [u8; 4]) {
    digest.update(&(list.len() as u64).to_le_bytes());
    let mut piece = [[0; 4]; 256];
    for values in list.chunks(piece.len()) {
        for (to, value) in piece.iter_mut().zip(values) {
            *to = bytes(*value);
        }
        digest.update(piece[..values.len()].as_flattened());
    }
}
