//! Writes a small random model, or the one of the size that apps ship, and requests for it, the same on every machine:
//! `golden MODEL.pkr REQUESTS.req COUNT [SEED|reference]`. After the first half of the requests, all of them small, come
//! those of 1 to 500 candidates and with options. From seed 100 on a model has a formula in place of terms, from
//! 200 on it attends to lists, from 300 on it has heads of every kind, from 400 on it has tasks of quantiles, from 500 on
//! a second level of experts.

use std::process::ExitCode;

use pocketrank::train::golden;
use pocketrank::train::requests::write_requests;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, model_path, requests_path, count, seed @ ..] = args.as_slice() else {
        eprintln!("usage: golden MODEL.pkr REQUESTS.req COUNT [SEED|reference]");
        return ExitCode::from(2);
    };
    let count: u64 = count.parse().unwrap_or(1);
    let model = match seed.first().map(String::as_str) {
        Some("reference") => golden::reference(),
        seed => match seed.and_then(|s| s.parse().ok()).unwrap_or(1) {
            seed @ 500.. => golden::with_levels(seed - 500),
            seed @ 400.. => golden::with_quantiles(&golden::model(seed - 400), seed),
            seed @ 300.. => golden::with_heads(&golden::model(seed - 300), seed),
            seed @ 200.. => golden::attending(seed - 200),
            seed @ 100.. => golden::with_formula(&golden::model(seed - 100), seed),
            seed => golden::model(seed),
        },
    };
    let requests: Vec<_> = (0..count)
        .map(|i| match i.checked_sub(count / 2) {
            Some(i) => golden::varied(&model, i),
            None => golden::request(&model, i, 1 + (i as usize * 7) % 40),
        })
        .collect();
    let mut bytes = Vec::new();
    let written = write_requests(&mut bytes, &requests)
        .and_then(|()| std::fs::write(model_path, &model.bytes))
        .and_then(|()| std::fs::write(requests_path, &bytes));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("golden: {error}");
            ExitCode::from(4)
        }
    }
}
