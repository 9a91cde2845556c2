//! Prints the peak memory and the seconds of training on streamed logs of several lengths, and fails if a peak is over
//! parameters x 4 bytes + 256 MiB:
//!
//! ```sh
//! cargo run --release --features train --example stream_memory               # 10^6 and 10^7 rows, 2 GB of disk, minutes
//! cargo run --release --features train --example stream_memory -- 100000     # other lengths
//! ```
//!
//! Each log is one of the simulated feed (`simulate --parquet`, seed 1), trained for one epoch by a process of its own, whose
//! peak is what the kernel says of it (VmHWM of `/proc/self/status`: Linux only).

use core::error::Error;
use core::ops::ControlFlow;
use core::sync::atomic::AtomicBool;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use pocketrank::train::run::{self, Options};
use pocketrank::train::simulate::{Format, SimulateOptions, simulate};

const MIB: f64 = (1 << 20) as f64;
const ROWS: [u64; 2] = [1_000_000, 10_000_000];
/// Beside 4 bytes a parameter.
const BYTES_MAX: f64 = 256.0 * MIB;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, model] = arguments.as_slice()
        && first == "--train"
    {
        train(Path::new(model))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lengths = Vec::new();
    for argument in &arguments {
        let rows = argument.parse::<u64>();
        lengths.push(rows.map_err(|e| format!("\"{argument}\" is no number of rows: {e}"))?);
    }
    if lengths.is_empty() {
        lengths.extend(ROWS);
    }
    println!("      rows   peak MiB   at most   seconds");
    let mut code = ExitCode::SUCCESS;
    for rows in lengths {
        let folder = tempfile::tempdir()?;
        let options = SimulateOptions {
            rows,
            seed: 1,
            format: Format::Parquet,
            ..SimulateOptions::default()
        };
        simulate(&options, folder.path(), |_| ControlFlow::Continue(()))?;
        // Nobody reads it, and it is the largest file.
        fs::remove_file(folder.path().join("truth.parquet"))?;
        let model = folder.path().join("model.toml");
        let text = fs::read_to_string(&model)?;
        let (head, tail) = text
            .split_once("[train]")
            .ok_or("no [train] in model.toml")?;
        let tail = tail.replace("epochs = 5", "epochs = 1");
        fs::write(&model, format!("{head}[train]\nstream = \"always\"{tail}"))?;
        let trained = Command::new(std::env::current_exe()?)
            .arg("--train")
            .arg(&model)
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(trained.stdout)?;
        let words: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
        let [peak, parameters, seconds] = words?[..] else {
            return Err(format!("training {rows} rows failed ({})", trained.status).into());
        };
        let most = 4.0 * parameters + BYTES_MAX;
        if peak > most {
            code = ExitCode::FAILURE;
        }
        let (peak, most) = (peak / MIB, most / MIB);
        println!("{rows:>10} {peak:>10.1} {most:>9.1} {seconds:>9.0}");
    }
    Ok(code)
}

/// Trains, then prints the peak in bytes, the parameters and the seconds.
fn train(model: &Path) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let options = Options {
        model,
        data: None,
        out: &model.with_extension("run"),
        seed: None,
        threads: 2,
        resume: false,
        from: None,
    };
    let report = run::train(&options, &AtomicBool::new(false), &mut |_| ())?;
    let seconds = begin.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let kib: f64 = peak.ok_or("no VmHWM in /proc/self/status")?.parse()?;
    let parameters: usize = report.parameters.iter().sum();
    println!("{} {parameters} {seconds}", 1024.0 * kib);
    Ok(())
}
