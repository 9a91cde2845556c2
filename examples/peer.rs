//! pocketrank as one row of the comparison with other runtimes: `benches/peers/README.md` has the workload and the protocol.
//!
//! ```text
//! peer list                                 the configurations: [["hoisted","int8"],["kept","int8"],["raw","int8"]]
//! peer bench LAYOUT int8 [--threads 1] [--ns 1,50,200,500] [--min-time 0.25]    one line: RESULT {json}
//! ```
//!
//! | layout | before the clock starts | in the timed part |
//! |---|---|---|
//! | `hoisted` | ids become rows of tables, as the app may do once for an id | scores, links, fusion |
//! | `kept` | item sums of the candidates too, as an app has them that has ranked the items before | scores, links, fusion |
//! | `raw` | nothing: ids are u64 | the same, and every id is hashed and found in its vocabulary |
//!
//! Reads `$MMOE_DATA` (else `<tmp>/mmoe-ref`): the workload's files, and `models/pocketrank/LAYOUT.pkr` of `mmoe_ref.py`.
use core::error::Error;
use core::time::Duration;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use pocketrank::engine::{Column, ItemSums, Lists, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::spec::Side;
use serde_json::{Value, json};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Outputs of the workload: click, duration, completion, and their fusion.
const OUTPUTS: usize = 4;
const FUSION: [f32; 3] = [1.0, 0.1, 0.5];
/// Candidates from which a rank correlation means something.
const RANKED: usize = 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            Ok(json!([["hoisted", "int8"], ["kept", "int8"], ["raw", "int8"]]).to_string())
        }
        ["bench", layout @ ("hoisted" | "kept" | "raw"), "int8", options @ ..] => {
            let bench = Bench::new(layout, options)?;
            Ok(format!("RESULT {}", bench.measure()?))
        }
        _ => Err("usage: peer list, or peer bench hoisted|kept|raw int8 [--threads 1] [--ns 1,50] [--min-time SECONDS]".into()),
    }
}

/// One configuration of one process.
struct Bench {
    layout: String,
    folder: PathBuf,
    manifest: Value,
    threads: Vec<usize>,
    candidates: Vec<usize>,
    min_time: Duration,
}

impl Bench {
    fn new(layout: &str, options: &[&str]) -> Result<Self> {
        let folder = std::env::var_os("MMOE_DATA").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("mmoe-ref"));
        let manifest = serde_json::from_slice(&read(&folder.join("manifest.json"))?)?;
        let mut bench = Self {
            layout: layout.into(),
            folder,
            manifest,
            threads: vec![1],
            candidates: vec![1, 50, 200, 500],
            min_time: Duration::from_millis(250),
        };
        let numbers = |text: &str| -> Result<Vec<usize>> {
            let numbers = text.split(',').map(str::parse);
            Ok(numbers.collect::<core::result::Result<_, _>>()?)
        };
        for pair in options.chunks(2) {
            match *pair {
                ["--threads", text] => bench.threads = numbers(text)?,
                ["--ns", text] => bench.candidates = numbers(text)?,
                ["--min-time", text] => {
                    bench.min_time = Duration::try_from_secs_f64(text.parse()?)?;
                }
                _ => return Err(format!("unknown option {pair:?}").into()),
            }
        }
        // What is measured of a fresh process belongs to 200 candidates, in every peer.
        bench.candidates.sort_by_key(|n| *n != 200);
        Ok(bench)
    }

    fn measure(&self) -> Result<Value> {
        let mut rows = Vec::new();
        for threads in &self.threads {
            if *threads != 1 {
                eprintln!(
                    "peer: the engine ranks a request on one thread; --threads {threads} has no rows"
                );
                continue;
            }
            for n in &self.candidates {
                rows.push(self.measure_one(*n, rows.is_empty())?);
            }
        }
        Ok(json!({"peer": "pocketrank", "layout": self.layout, "prec": "int8", "rows": rows}))
    }

    fn measure_one(&self, n: usize, cold: bool) -> Result<Value> {
        let inputs = Tensors::open(self, &format!("inputs_n{n}.bin"))?;
        let expected = Tensors::open(self, &format!("expected_n{n}.bin"))?
            .values("out", f64::from_le_bytes)?;
        let requests = requests(&inputs, n, &self.layout)?;
        let file = if self.layout == "raw" {
            "raw"
        } else {
            "hoisted"
        };
        let path = self.folder.join(format!("models/pocketrank/{file}.pkr"));
        // Into the page cache, as for the other runtimes.
        drop(read(&path)?);

        // Resets VmHWM where the system allows it; elsewhere the peak is that of the whole process.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let resident = mebibytes("VmRSS:");
        let start = Instant::now();
        let mut memory = Vec::new();
        let bytes = read_aligned(&path, &mut memory)?;
        let mut model = Box::new(Model::new());
        let opened = model.open(bytes, &OpenOptions::default());
        opened.map_err(|e| {
            format!(
                "{}: {:?}; convert the workload with mmoe_ref.py again",
                path.display(),
                e.status
            )
        })?;
        let len = model.scratch_len(n);
        let (mut floats, mut scratch_bytes) = (vec![0.0; len.floats], vec![0; len.bytes]);
        let mut scores = vec![0.0; n * FUSION.len()];
        let mut out = vec![0.0; n * OUTPUTS];
        let load = start.elapsed();

        let mut columns: Vec<Vec<Column<'_>>> = requests.iter().map(Inputs::columns).collect();
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut scratch_bytes,
        };
        let kept = match self.layout.as_str() {
            "kept" => item_sums(&model, n, &mut columns, &mut scratch)?,
            _ => Vec::new(),
        };
        let mut rank = |q: usize, out: &mut [f32]| -> Result<()> {
            let request = Request {
                num_candidates: n,
                columns: &columns[q % columns.len()],
                item_sums: kept
                    .get(q % columns.len())
                    .map(|bytes| ItemSums { bytes, slots: &[] }),
                ..Request::default()
            };
            let mut output = Output {
                order: &mut [],
                fused: &mut [],
                scores: &mut scores,
                terms: &mut [],
            };
            let ranked = model.rank(&request, &mut scratch, &mut output);
            ranked.map_err(|e| format!("request {q} is refused: {:?}", e.status))?;
            finish(&scores, out);
            Ok(())
        };
        let start = Instant::now();
        rank(0, &mut out)?;
        let first = start.elapsed();
        for q in 0..columns.len() {
            rank(q, &mut out)?;
        }
        let (peak, after) = (
            mebibytes("VmHWM:") - resident,
            mebibytes("VmRSS:") - resident,
        );
        let mut quality = Quality::default();
        for (q, expected) in expected.chunks(n * OUTPUTS).enumerate() {
            rank(q, &mut out)?;
            quality.add(&out, expected);
        }

        let warm = Instant::now();
        let mut q = 0;
        while warm.elapsed() < self.min_time.mul_f64(0.15) {
            rank(q, &mut out)?;
            q += 1;
        }
        let mut times = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < self.min_time || times.len() < 40 {
            let start = Instant::now();
            rank(times.len(), &mut out)?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let share = |p: f64| micros(times[((times.len() - 1) as f64 * p) as usize]);
        Ok(json!({
            "n": n, "threads": 1, "cold": cold,
            "load_ms": load.as_secs_f64() * 1e3, "first_us": micros(first),
            "rss_peak_mb": peak, "rss_after_mb": after,
            "quality": quality.json(n),
            "p50_us": share(0.5), "p99_us": share(0.99), "min_us": share(0.0), "iters": times.len(),
        }))
    }
}

/// Item sums of every request, whose item columns then are missing.
fn item_sums(
    model: &Model<'_>,
    n: usize,
    columns: &mut [Vec<Column<'_>>],
    scratch: &mut Scratch<'_>,
) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for columns in columns {
        let mut sums = vec![0; n * model.item_sums_bytes()];
        let request = Request {
            num_candidates: n,
            columns,
            ..Request::default()
        };
        let made = model.item_sums(&request, scratch, &mut sums);
        made.map_err(|e| format!("item sums are refused: {:?}", e.status))?;
        all.push(sums);
        for (column, feature) in columns.iter_mut().zip(&model.spec().features) {
            if feature.side == Side::Item {
                *column = Column::Missing;
            }
        }
    }
    Ok(all)
}

/// The workload's outputs `[n, 4]` from the engine's scores `[n, 3]`.
///
/// Its duration is softplus(y), a link that the model file does not have: the task is imported as a binary one, whose score
/// is p = sigmoid(y), and softplus(y) = -ln(1 - p). The other runtimes have link and fusion in their graphs, so both are
/// timed here too.
fn finish(scores: &[f32], out: &mut [f32]) {
    let rows = scores
        .as_chunks::<3>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<OUTPUTS>().0);
    for ([click, watched, completion], to) in rows {
        let duration = -(1.0 - watched).ln();
        let fused = FUSION[0] * click + FUSION[1] * duration + FUSION[2] * completion;
        *to = [*click, duration, *completion, fused];
    }
}

/// What a request's columns borrow from.
struct Inputs {
    /// Rows or ids: of the user's eight features, of the history, of ten features of every candidate.
    ids: Vec<Ids>,
    offsets: [u32; 2],
    /// Eight numbers of every candidate, feature by feature.
    dense: Vec<Vec<f32>>,
}

enum Ids {
    Rows(Vec<u32>),
    Raw(Vec<u64>),
}

/// Place of the history among the features with ids.
const HISTORY: usize = 8;

impl Inputs {
    /// In the order of the description's features.
    fn columns(&self) -> Vec<Column<'_>> {
        let list = Lists {
            offsets: &self.offsets,
            weights: None,
        };
        let ids = self.ids.iter().enumerate().map(|(i, ids)| {
            let lists = (i == HISTORY).then_some(list);
            match ids {
                Ids::Rows(rows) => Column::Rows { rows, lists },
                Ids::Raw(ids) => Column::Ids { ids, lists },
            }
        });
        ids.chain(self.dense.iter().map(|x| Column::Floats(x)))
            .collect()
    }
}

/// Every request of the workload for `n` candidates.
fn requests(inputs: &Tensors, n: usize, layout: &str) -> Result<Vec<Inputs>> {
    let [user, history, item, context] =
        ["user", "hist", "item", "ctx"].map(|name| inputs.values(name, i32::from_le_bytes));
    let (user, history, item, context) = (user?, history?, item?, context?);
    let dense = inputs.values("dense", f32::from_le_bytes)?;
    let requests = user.len() / 8;
    let ids = |ids: Vec<i32>| match layout {
        // Row 0 of a table is that of a missing id.
        "hoisted" | "kept" => Ids::Rows(ids.into_iter().map(|id| id as u32 + 1).collect()),
        _ => Ids::Raw(ids.into_iter().map(|id| id as u64).collect()),
    };
    let all = (0..requests).map(|q| {
        let mut columns: Vec<Ids> = user[q * 8..][..8].iter().map(|id| ids(vec![*id])).collect();
        let len = history.len() / requests;
        columns.push(ids(history[q * len..][..len].to_vec()));
        for (values, features) in [(&item, 8), (&context, 2)] {
            let of_request = &values[q * n * features..][..n * features];
            columns.extend((0..features).map(|f| ids(column(of_request, f, features))));
        }
        Inputs {
            ids: columns,
            offsets: [0, len as u32],
            dense: (0..8)
                .map(|f| column(&dense[q * n * 8..][..n * 8], f, 8))
                .collect(),
        }
    });
    Ok(all.collect())
}

/// Column `i` of rows of `width` values.
fn column<T: Copy>(values: &[T], i: usize, width: usize) -> Vec<T> {
    values.iter().skip(i).step_by(width).copied().collect()
}

/// A file of tensors and its part of the manifest.
struct Tensors {
    bytes: Vec<u8>,
    name: String,
    places: Value,
}

impl Tensors {
    fn open(bench: &Bench, name: &str) -> Result<Self> {
        let bytes = read(&bench.folder.join(name))?;
        let places = bench.manifest["files"][name].clone();
        Ok(Self {
            bytes,
            name: name.into(),
            places,
        })
    }

    /// A tensor's values, in order.
    fn values<const BYTES: usize, T>(
        &self,
        tensor: &str,
        value: impl Fn([u8; BYTES]) -> T,
    ) -> Result<Vec<T>> {
        let place = |key: &str| self.places[tensor][key].as_u64().map(|x| x as usize);
        let bytes = place("offset")
            .zip(place("nbytes"))
            .and_then(|(at, len)| self.bytes.get(at..at.checked_add(len)?));
        let bytes = bytes.ok_or_else(|| {
            format!(
                "{} has no tensor {tensor}; write the workload again",
                self.name
            )
        })?;
        Ok(bytes.as_chunks().0.iter().map(|b| value(*b)).collect())
    }
}

/// How far outputs are from the float64 reference.
#[derive(Default)]
struct Quality {
    max_abs: [f64; OUTPUTS],
    spearman: f64,
    requests: usize,
}

impl Quality {
    fn add(&mut self, out: &[f32], expected: &[f64]) {
        for (i, (have, want)) in out.iter().zip(expected).enumerate() {
            let worst = &mut self.max_abs[i % OUTPUTS];
            *worst = worst.max((f64::from(*have) - want).abs());
        }
        let have: Vec<f64> = out
            .iter()
            .skip(OUTPUTS - 1)
            .step_by(OUTPUTS)
            .map(|x| (*x).into())
            .collect();
        let want = column(expected, OUTPUTS - 1, OUTPUTS);
        self.spearman += spearman(&have, &want);
        self.requests += 1;
    }

    fn json(&self, n: usize) -> Value {
        let mut quality = json!({"max_abs": self.max_abs});
        if n >= RANKED {
            quality["spearman_score"] = json!(self.spearman / self.requests as f64);
        }
        quality
    }
}

/// Correlation of the ranks; equal values rank in their order, which is the same for both.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
        let mut ranks = vec![0.0; values.len()];
        (0..)
            .zip(order)
            .for_each(|(rank, i)| ranks[i] = f64::from(rank));
        ranks
    };
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let (mut both, mut own) = (0.0, 0.0);
    for (x, y) in ranks(a).into_iter().zip(ranks(b)) {
        both += (x - middle) * (y - middle);
        own += (x - middle) * (x - middle);
    }
    both / own
}

/// A line of the process's status; 0 where there is none.
fn mebibytes(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    kibibytes
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

/// A file at an address that is a multiple of 64, as an app's mapping of it is: `memory` holds it.
fn read_aligned<'m>(path: &Path, memory: &'m mut Vec<u8>) -> Result<&'m [u8]> {
    let error = |e| format!("{}: {e}", path.display());
    let mut file = fs::File::open(path).map_err(error)?;
    let len = usize::try_from(file.metadata().map_err(error)?.len())?;
    // Of pages that are zero: resizing would write each of them.
    *memory = vec![0; len + 63];
    let skip = memory.as_ptr().align_offset(64);
    let bytes = memory
        .get_mut(skip..skip + len)
        .ok_or("no multiple of 64 is known here")?;
    file.read_exact(bytes).map_err(error)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()).into())
}
