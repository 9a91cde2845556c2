//! Opens an exported model, ranks every request of a file, and prints orders and the bits of all scores. Prints the
//! same lines as `c/rank.c`.
//!
//! `cargo run --release --features train,ffi --example rank -- MODEL.pkr REQUESTS.req`

use core::error::Error;
use std::io::Write;
use std::process::ExitCode;

use pocketrank::engine::{Model, OpenOptions, Output, Scratch};
use pocketrank::error::Status;
use pocketrank::train::requests::{OwnedRequest, read_requests};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, requests] = arguments.as_slice() else {
        eprintln!("usage: rank MODEL.pkr REQUESTS.req");
        return ExitCode::from(2);
    };
    match run(model, requests) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rank: {error}");
            ExitCode::from(4)
        }
    }
}

fn name(status: Status) -> String {
    pocketrank::ffi::status_name(status as u32)
        .to_string_lossy()
        .into_owned()
}

fn run(model_path: &str, requests_path: &str) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(model_path)?;
    let requests = read_requests(&std::fs::read(requests_path)?)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());

    // Once: open the model where it will stay, and make scratch for the largest request.
    let mut model = Box::new(Model::new());
    let opened = model.open(&bytes, &OpenOptions::default());
    if let Err(error) = opened {
        writeln!(out, "model {}", name(error.status))?;
    }
    let most = requests.iter().map(|r| r.num_candidates).max().unwrap_or(0);
    let len = model.scratch_len(most);
    let (mut floats, mut bytes) = (vec![0.0; len.floats], vec![0; len.bytes]);

    for (i, request) in requests.iter().enumerate() {
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        rank(&mut out, i, &model, request, &mut scratch)?;
    }
    out.flush()?;
    Ok(())
}

fn rank(
    out: &mut impl Write,
    i: usize,
    model: &Model<'_>,
    request: &OwnedRequest,
    scratch: &mut Scratch<'_>,
) -> std::io::Result<()> {
    let n = request.num_candidates;
    let (mut order, mut fused) = (vec![0u32; n], vec![0f32; n]);
    let mut scores = vec![0f32; n * model.spec().tasks.len()];
    let columns = request.columns();
    let mut output = Output {
        order: &mut order,
        fused: &mut fused,
        scores: &mut scores,
        terms: &mut [],
    };
    match model.rank(&request.as_request(&columns), scratch, &mut output) {
        Ok(s) => writeln!(
            out,
            "request {i} PKR_OK scored {} missing {} not_finite {} unknown_ids {} cut_lists {}",
            s.scored, s.missing, s.not_finite, s.unknown_ids, s.cut_lists
        )?,
        Err(error) => {
            // Whatever went wrong: the order that the server sent.
            writeln!(out, "request {i} {} server's order", name(error.status))?;
            order
                .iter_mut()
                .zip(0..)
                .for_each(|(to, candidate)| *to = candidate);
            fused.clear();
            scores.clear();
        }
    }
    write!(out, "order")?;
    order
        .iter()
        .try_for_each(|candidate| write!(out, " {candidate}"))?;
    write!(out, "\nfused")?;
    fused
        .iter()
        .try_for_each(|score| write!(out, " {:08x}", score.to_bits()))?;
    write!(out, "\nscores")?;
    scores
        .iter()
        .try_for_each(|score| write!(out, " {:08x}", score.to_bits()))?;
    writeln!(out)
}
