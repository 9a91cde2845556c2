//! How long an exported file takes on this machine, with random requests: `pocketrank bench`.
//!
//! A value costs the same whatever it is, so columns are random; ids are rows of their tables, as an app that has looked
//! them up sends them, except where a cross or a rate by key needs the id.
use core::hint::black_box;
use std::prelude::v1::*;
use std::time::Instant;

use serde::Serialize;

use core::time::Duration;

use crate::engine::{ItemSums, Model, OpenOptions, Output, Request, Scratch, Stage};
use crate::error::Result;
use crate::features::{self, Event};
use crate::kernels::{self, Affine, Isa, Part, Rows, Start};
use crate::spec::{Encoding, Feature, PANEL, Side, Source, Spec, TensorSection};
use crate::train::inspect::multiply_adds;
use crate::train::random::Key;
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};

/// Distinct requests, which take turns.
const REQUESTS: u64 = 8;
/// Timed requests at least, however few seconds there are.
const TIMED: usize = 40;
/// Requests of which each finds its caches filled with something else.
const COLD: usize = 11;
/// More than the caches of a core hold.
const CACHES: usize = 64 << 20;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instruction set.
    pub isa: Isa,
    /// Numbers of candidates.
    pub candidates: Vec<usize>,
    /// Seconds for each of them.
    pub seconds: f64,
    /// Requests a second, as an app asks that scrolls; 0: one right after the other.
    pub frequency: f64,
}

/// Times of one number of candidates, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// Candidates a request.
    pub candidates: usize,
    /// Requests timed.
    pub requests: usize,
    /// The first request after the file was opened.
    pub first_us: f64,
    /// Median of requests that find nothing in the caches.
    pub cold_us: f64,
    /// Shortest.
    pub min_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90th percentile.
    pub p90_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Median with item sums that were kept; `None` for a model without item features.
    pub kept_us: Option<f64>,
    /// Multiply-adds of a request.
    pub multiply_adds: f64,
    /// Those in the median time, as a share of what the kernel of products reaches alone.
    pub share_of_kernel: f64,
    /// Bytes that a request reads and writes at least once: layers, rows of tables, scratch.
    pub bytes: usize,
    /// Shares of the time by stage, with a clock between them: 1 in all.
    pub stages: Vec<(String, f64)>,
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
    /// Median time of one event into a user's state, microseconds; `None` without derived features.
    pub event_us: Option<f64>,
    /// By number of candidates.
    pub times: Vec<Times>,
}

/// Opens `bytes` and times requests.
///
/// # Errors
/// Those of [`Model::open`] and [`Model::rank`].
pub fn measure(bytes: &[u8], options: &Options) -> Result<Report> {
    let open = OpenOptions {
        isa: Some(options.isa),
    };
    let mut model = Box::new(Model::new());
    let mut opens = Vec::new();
    for _ in 0..TIMED {
        let start = Instant::now();
        model.open(bytes, &open)?;
        opens.push(micros(start));
    }
    let mut report = Report {
        isa: options.isa.name(),
        file_bytes: bytes.len(),
        open_us: quantile(&mut opens, 0.5),
        kernel_giga: kernel_giga(options.isa),
        event_us: event_us(&model)?,
        times: Vec::new(),
    };
    for candidates in &options.candidates {
        // A fresh model, whose bytes and records no request has touched.
        let mut model = Box::new(Model::new());
        model.open(bytes, &open)?;
        report.times.push(times(&model, *candidates, options)?);
        // The machine may have been busy when it was measured first.
        report.kernel_giga = report.kernel_giga.max(kernel_giga(options.isa));
    }
    for t in &mut report.times {
        t.share_of_kernel = t.multiply_adds / t.p50_us / 1e3 / report.kernel_giga;
    }
    Ok(report)
}

fn times(model: &Model<'_>, candidates: usize, options: &Options) -> Result<Times> {
    let mut feed = Feed::new(model, candidates);
    let first_us = feed.rank(0)?;
    let mut all = feed.repeated(options)?;
    let mut cold = Vec::new();
    let mut caches = vec![0u8; CACHES];
    for i in 0..COLD {
        caches.iter_mut().step_by(64).for_each(|byte| *byte += 1);
        black_box(&mut caches);
        cold.push(feed.rank(i)?);
    }
    let stages = feed.stages()?;
    let kept_us = match feed.keep_item_sums()? {
        true => Some(quantile(&mut feed.repeated(options)?, 0.5)),
        false => None,
    };
    let madds = multiply_adds(model.spec());
    Ok(Times {
        candidates,
        requests: all.len(),
        first_us,
        cold_us: quantile(&mut cold, 0.5),
        min_us: quantile(&mut all, 0.0),
        p50_us: quantile(&mut all, 0.5),
        p90_us: quantile(&mut all, 0.9),
        p99_us: quantile(&mut all, 0.99),
        kept_us,
        multiply_adds: (madds.request + madds.candidate * candidates) as f64,
        share_of_kernel: 0.0,
        bytes: bytes_touched(model, candidates),
        stages,
    })
}

fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

fn quantile(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * share) as usize]
}

/// Random requests to a model, and memory for what comes of them.
struct Feed<'m, 'a> {
    model: &'m Model<'a>,
    requests: Vec<OwnedRequest>,
    floats: Vec<f32>,
    bytes: Vec<u8>,
    order: Vec<u32>,
    scores: Vec<f32>,
    /// By request, once they are kept.
    sums: Vec<Vec<u8>>,
}

impl<'m, 'a> Feed<'m, 'a> {
    fn new(model: &'m Model<'a>, candidates: usize) -> Self {
        let need = model.scratch_len(candidates);
        let requests = (0..REQUESTS).map(|i| request(model.spec(), candidates, Key::new(i)));
        Self {
            model,
            requests: requests.collect(),
            floats: vec![0.0; need.floats],
            bytes: vec![0; need.bytes],
            order: vec![0; candidates],
            scores: vec![0.0; candidates * model.spec().tasks.len()],
            sums: Vec::new(),
        }
    }

    /// Microseconds of one request.
    fn rank(&mut self, i: usize) -> Result<f64> {
        let at = i % self.requests.len();
        let columns = self.requests[at].columns();
        let item_sums = self
            .sums
            .get(at)
            .map(|bytes| ItemSums { bytes, slots: &[] });
        let request = Request {
            item_sums,
            ..self.requests[at].as_request(&columns)
        };
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let mut output = Output {
            order: &mut self.order,
            fused: &mut [],
            scores: &mut self.scores,
            terms: &mut [],
        };
        let start = Instant::now();
        self.model.rank(&request, &mut scratch, &mut output)?;
        let us = micros(start);
        black_box(&output);
        Ok(us)
    }

    /// Microseconds of requests for the seconds asked for, at the frequency asked for.
    fn repeated(&mut self, options: &Options) -> Result<Vec<f64>> {
        let begin = Instant::now();
        let mut all = Vec::new();
        while begin.elapsed().as_secs_f64() < options.seconds || all.len() < TIMED {
            if options.frequency > 0.0 {
                let due = all.len() as f64 / options.frequency;
                let early = due - begin.elapsed().as_secs_f64();
                std::thread::sleep(Duration::from_secs_f64(early.max(0.0)));
            }
            all.push(self.rank(all.len())?);
        }
        Ok(all)
    }

    /// Shares of the time by stage, over some requests.
    fn stages(&mut self) -> Result<Vec<(String, f64)>> {
        let mut sums: Vec<(Stage, f64)> = Vec::new();
        for request in self.requests.iter().cycle().take(TIMED) {
            let columns = request.columns();
            let mut scratch = Scratch {
                floats: &mut self.floats,
                bytes: &mut self.bytes,
            };
            let mut last = Instant::now();
            let mut done = |stage: Stage| {
                let now = Instant::now();
                let spent = now.duration_since(last).as_secs_f64();
                match sums.iter_mut().find(|(s, _)| *s == stage) {
                    Some((_, sum)) => *sum += spent,
                    None => sums.push((stage, spent)),
                }
                // What this took belongs to no stage.
                last = Instant::now();
            };
            let request = request.as_request(&columns);
            self.model.stages(&request, &mut scratch, &mut done)?;
        }
        let all: f64 = sums.iter().map(|(_, sum)| sum).sum();
        let named = |(stage, sum)| (format!("{stage:?}").to_lowercase(), sum / all);
        Ok(sums.into_iter().map(named).collect())
    }

    /// Makes the item sums of every request and takes away what only they are made of; `false` without item features.
    fn keep_item_sums(&mut self) -> Result<bool> {
        let (spec, len) = (self.model.spec(), self.model.item_sums_bytes());
        for request in self.requests.iter_mut().filter(|_| len > 0) {
            let columns = request.columns();
            let mut sums = vec![0; request.num_candidates * len];
            let mut scratch = Scratch {
                floats: &mut self.floats,
                bytes: &mut self.bytes,
            };
            self.model
                .item_sums(&request.as_request(&columns), &mut scratch, &mut sums)?;
            self.sums.push(sums);
            for (i, column) in request.columns.iter_mut().enumerate() {
                if spec.features[i].side == Side::Item && !spec.is_part(i) && !spec.is_grouping(i) {
                    *column = OwnedColumn::Missing;
                }
            }
        }
        Ok(len > 0)
    }
}

/// Median time of an event into a fresh state.
fn event_us(model: &Model<'_>) -> Result<Option<f64>> {
    let mut state = vec![0; model.state_bytes()];
    if state.is_empty() {
        return Ok(None);
    }
    model.state_reset(&mut state)?;
    let mut times = Vec::new();
    for i in 0..1000u64 {
        let keys: Vec<features::Key> = features::key_features(model.spec())
            .map(|feature| features::Key {
                feature: feature as u8,
                hash: features::hash_int(i % 50),
            })
            .collect();
        let event = Event {
            time: i as i64,
            label: (i % model.spec().labels.len() as u64) as u8,
            value: 1.0,
            keys: &keys,
        };
        let start = Instant::now();
        model.state_apply(&mut state, &event)?;
        times.push(micros(start));
    }
    Ok(Some(quantile(&mut times, 0.5)))
}

/// Layers, rows that the candidates' and the user's ids name, and scratch.
fn bytes_touched(model: &Model<'_>, candidates: usize) -> usize {
    let spec = model.spec();
    let mut bytes = 0;
    // Nothing here fails.
    let _: Result<()> = spec.tensors(TensorSection::Layers, &mut |_, dtype, rows, cols| {
        bytes += dtype.bytes(rows, cols).unwrap_or(0);
        Ok(())
    });
    for feature in &spec.features {
        let values = match feature.side {
            Side::User => 1,
            _ => candidates,
        };
        let (table, ids) = match feature.encoding {
            Encoding::Row { table, .. } => (Some(table), 1),
            Encoding::Rows { table, max_len, .. } => (Some(table), usize::from(max_len)),
            Encoding::Number { buckets, .. } => (buckets, 1),
            Encoding::Vector { .. } => (None, 0),
        };
        let dim = table.map_or(0, |t| {
            usize::from(spec.tables[usize::from(t)].embedding_dim)
        });
        bytes += values * ids * dim * spec.groups();
    }
    let scratch = model.scratch_len(candidates);
    bytes + scratch.floats * 4 + scratch.bytes
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
    let column = |(i, f): (usize, &Feature<'_>)| {
        let count = if f.side == Side::User { 1 } else { candidates };
        let draw = |n: usize| (0..n as u64).map(|j| key.at(i as u64).at(j).bits());
        let rows = |table: u8| u64::from(spec.tables[usize::from(table)].num_embeddings);
        match f.encoding {
            _ if f.source != Source::Column => OwnedColumn::Missing,
            Encoding::Row { table, .. } if spec.is_part(i) => OwnedColumn::Ids {
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
            let options = Options {
                isa: Isa::detect(),
                candidates: vec![1, 9],
                seconds: 0.0,
                frequency: 1e4,
            };
            let report = measure(&model.bytes, &options).expect("a valid file");
            assert_eq!(report.times.len(), 2);
            assert_eq!(report.event_us.is_some(), !model.spec.labels.is_empty());
            for t in &report.times {
                assert!(t.requests >= TIMED && t.min_us <= t.p50_us && t.p50_us <= t.p99_us);
                assert!(t.p50_us > 0.0 && t.share_of_kernel > 0.0 && t.cold_us > 0.0);
                let items = model.spec.features.iter().any(|f| f.side == Side::Item);
                assert_eq!(t.kept_us.is_some(), items);
                let shares: f64 = t.stages.iter().map(|(_, share)| share).sum();
                assert!((shares - 1.0).abs() < 1e-9, "{:?}", t.stages);
                assert!(t.bytes > 0 && t.bytes < 1 << 20);
            }
            assert!(report.times[1].multiply_adds > report.times[0].multiply_adds);
        }
    }
}
