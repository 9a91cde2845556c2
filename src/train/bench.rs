//! How long an exported file takes on this machine, with random requests: `pocketrank bench`.
//!
//! A value costs the same whatever it is, so columns are random; ids are rows of their tables, as an app that has looked
//! them up sends them, except where a cross or a rate by key needs the id.
use core::hint::black_box;
use std::prelude::v1::*;
use std::time::Instant;

use serde::Serialize;

use crate::engine::{Column, Model, OpenOptions, Output, Scratch};
use crate::error::Result;
use crate::kernels::{self, Affine, Isa, Part, Rows, Start};
use crate::spec::{Encoding, Feature, PANEL, Side, Source, Spec};
use crate::train::inspect::multiply_adds;
use crate::train::random::Key;
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};

/// Distinct requests, which take turns.
const REQUESTS: u64 = 8;
/// Timed requests at least, however few seconds there are.
const TIMED: usize = 40;

/// Times of one number of candidates, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// Candidates a request.
    pub candidates: usize,
    /// Requests timed.
    pub requests: usize,
    /// The first request after the file was opened.
    pub first_us: f64,
    /// Shortest.
    pub min_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90th percentile.
    pub p90_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Multiply-adds of a request.
    pub multiply_adds: f64,
    /// Those in the median time, as a share of what the kernel of products reaches alone.
    pub share_of_kernel: f64,
}

/// What [`measure`] found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Instruction set.
    pub isa: &'static str,
    /// Bytes of the file.
    pub file_bytes: usize,
    /// Median time to open it, microseconds.
    pub open_us: f64,
    /// Multiply-adds a second of the kernel of products on data that stay in the first cache, in 10^9.
    pub kernel_giga: f64,
    /// By number of candidates.
    pub times: Vec<Times>,
}

/// Opens `bytes` and times requests of each number of candidates for `seconds`.
///
/// # Errors
/// Those of [`Model::open`] and [`Model::rank`].
pub fn measure(bytes: &[u8], isa: Isa, candidates: &[usize], seconds: f64) -> Result<Report> {
    let options = OpenOptions { isa: Some(isa) };
    let mut model = Box::new(Model::new());
    let mut opens = Vec::new();
    for _ in 0..TIMED {
        let start = Instant::now();
        model.open(bytes, &options)?;
        opens.push(start.elapsed().as_secs_f64() * 1e6);
    }
    opens.sort_by(f64::total_cmp);
    let mut kernel_giga = kernel_giga(isa);
    let madds = multiply_adds(model.spec());
    let mut times = Vec::new();
    for count in candidates {
        let requests: Vec<OwnedRequest> = (0..REQUESTS)
            .map(|i| request(model.spec(), *count, Key::new(i)))
            .collect();
        let columns: Vec<Vec<Column<'_>>> = requests.iter().map(OwnedRequest::columns).collect();
        let need = model.scratch_len(*count);
        let (mut floats, mut bytes_of) = (vec![0.0; need.floats], vec![0; need.bytes]);
        let (mut order, mut scores) =
            (vec![0; *count], vec![0.0; count * model.spec().tasks.len()]);
        // A fresh model, whose bytes and records no request has touched.
        let mut model = Box::new(Model::new());
        model.open(bytes, &options)?;
        let mut rank = |i: usize| -> Result<f64> {
            let at = i % requests.len();
            let request = requests[at].as_request(&columns[at]);
            let mut scratch = Scratch {
                floats: &mut floats,
                bytes: &mut bytes_of,
            };
            let mut output = Output {
                order: &mut order,
                fused: &mut [],
                scores: &mut scores,
            };
            let start = Instant::now();
            model.rank(&request, &mut scratch, &mut output)?;
            let us = start.elapsed().as_secs_f64() * 1e6;
            black_box(&output);
            Ok(us)
        };
        let first_us = rank(0)?;
        let begin = Instant::now();
        let mut all = Vec::new();
        while begin.elapsed().as_secs_f64() < seconds || all.len() < TIMED {
            all.push(rank(all.len())?);
        }
        all.sort_by(f64::total_cmp);
        let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
        // The machine may have been busy when it was measured first.
        kernel_giga = kernel_giga.max(self::kernel_giga(isa));
        let multiply_adds = (madds.request + madds.candidate * count) as f64;
        times.push(Times {
            candidates: *count,
            requests: all.len(),
            first_us,
            min_us: at(0.0),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            multiply_adds,
            share_of_kernel: multiply_adds / at(0.5) / 1e3,
        });
    }
    for t in &mut times {
        t.share_of_kernel /= kernel_giga;
    }
    Ok(Report {
        isa: isa.name(),
        file_bytes: bytes.len(),
        open_us: opens[opens.len() / 2],
        kernel_giga,
        times,
    })
}

/// The best of some short runs of one layer, 8 rows of 256 inputs and 64 outputs: 16 kB of weights.
fn kernel_giga(isa: Isa) -> f64 {
    const ROWS: usize = 8;
    const INPUTS: usize = 256;
    const OUTPUTS: usize = 64;
    let (bytes, weight) = (vec![3; ROWS * INPUTS], vec![5; OUTPUTS * INPUTS]);
    let ones: Vec<u8> = (0..OUTPUTS).flat_map(|_| 1.0f32.to_le_bytes()).collect();
    let mut out = vec![0.0; ROWS * OUTPUTS];
    let layer = Affine {
        parts: &[Part {
            bytes: &bytes,
            stride: INPUTS,
            weight: &weight,
            scale: &ones,
            zero: &[],
            quads: kernels::quads_fit(&weight, INPUTS),
        }],
        start: Start::Floats(&[0.0; OUTPUTS]),
        rows: Rows {
            count: ROWS,
            stride: OUTPUTS,
            scales: &[],
        },
        column: 0,
        columns: OUTPUTS,
        relu: false,
    };
    const { assert!(OUTPUTS.is_multiple_of(PANEL)) };
    let mut best = 0.0f64;
    for _ in 0..50 {
        let start = Instant::now();
        for _ in 0..20 {
            kernels::affine(isa, black_box(&layer), &mut out);
            black_box(&mut out);
        }
        let done = (20 * ROWS * INPUTS * OUTPUTS) as f64;
        best = best.max(done / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}

/// A request of random values.
fn request(spec: &Spec<'_>, candidates: usize, key: Key) -> OwnedRequest {
    let needs_ids = |i: usize| {
        spec.features.iter().any(|f| match f.source {
            Source::Cross { left, right } => [left, right].contains(&(i as u8)),
            Source::KeyRate { key, .. } => usize::from(key) == i,
            _ => false,
        })
    };
    let column = |(i, f): (usize, &Feature<'_>)| {
        let count = if f.side == Side::User { 1 } else { candidates };
        let draw = |n: usize| (0..n as u64).map(|j| key.at(i as u64).at(j).bits());
        let rows = |table: u8| u64::from(spec.tables[usize::from(table)].num_embeddings);
        match f.encoding {
            _ if f.source != Source::Column => OwnedColumn::Missing,
            Encoding::Row { table, .. } if needs_ids(i) => OwnedColumn::Ids {
                ids: draw(count).map(|x| x % rows(table)).collect(),
                lists: None,
            },
            Encoding::Row { table, .. } => OwnedColumn::Rows {
                rows: draw(count).map(|x| (x % rows(table)) as u32).collect(),
                lists: None,
            },
            Encoding::Rows { table, max_len, .. } => {
                let len = usize::from(max_len);
                let ids = draw(count * len).map(|x| (x % rows(table)) as u32);
                OwnedColumn::Rows {
                    rows: ids.collect(),
                    lists: Some(OwnedLists {
                        offsets: (0..=count).map(|j| (j * len) as u32).collect(),
                        weights: None,
                    }),
                }
            }
            Encoding::Number { .. } => {
                let unit = |x: u64| (x >> 40) as f32 / (1 << 23) as f32 - 1.0;
                OwnedColumn::Floats(draw(count).map(unit).collect())
            }
            Encoding::Vector { dim, .. } => {
                let bytes = draw(count * usize::from(dim)).map(|x| (x % 128) as u8);
                OwnedColumn::Bytes(bytes.collect())
            }
        }
    };
    OwnedRequest {
        num_candidates: candidates,
        columns: spec.features.iter().enumerate().map(column).collect(),
        ..OwnedRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::golden;

    #[test]
    fn every_kind_of_model_is_timed() {
        for seed in 1..=8 {
            let model = golden::model(seed);
            let report = measure(&model.bytes, Isa::detect(), &[1, 9], 0.0).expect("a valid file");
            assert_eq!(report.times.len(), 2);
            for t in &report.times {
                assert!(t.requests >= TIMED && t.min_us <= t.p50_us && t.p50_us <= t.p99_us);
                assert!(t.p50_us > 0.0 && t.share_of_kernel > 0.0);
            }
            assert!(report.times[1].multiply_adds > report.times[0].multiply_adds);
        }
    }
}
