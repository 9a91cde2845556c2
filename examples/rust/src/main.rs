//! Ranks a feed with a model that is part of the program (`include_bytes!`): no file, no heap for ranking, nothing to download.
//!
//! `PKR_MODEL=FILE.pkr` names the file when it is built, by an absolute path; `run.sh` makes one of the simulated feed.

use core::error::Error;
use std::sync::LazyLock;

use pocketrank::engine::{Column, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::features::{Event, Key, hash_int};

static FILE: &[u8] = include_bytes!(env!("PKR_MODEL"));
/// Opened once, where it stays; every thread may use it.
static MODEL: LazyLock<Result<Box<Model<'static>>, pocketrank::error::Error>> =
    LazyLock::new(|| {
        let mut model = Box::new(Model::new());
        model.open(FILE, &OpenOptions::default())?;
        Ok(model)
    });

/// What the server sent, in its order.
const TITLES: [&str; 6] = [
    "Ten seconds of a cat",
    "You won't believe this",
    "How a bridge is built",
    "A song",
    "A long talk about whales",
    "Pasta in five minutes",
];
const TOPICS: [u64; 6] = [1, 2, 3, 4, 3, 5];
const LENGTHS: [f32; 6] = [10.0, 35.0, 180.0, 60.0, 900.0, 300.0];
const BAIT: [f32; 6] = [0.2, 0.95, 0.05, 0.1, 0.0, 0.3];
const QUALITY: [f32; 6] = [0.1, -0.8, 1.2, 0.6, 1.6, 0.4];
const SONG: usize = 3;
const NOW: i64 = 1_767_600_000;

/// The order of the six; on any error the server's.
fn rank(model: &Model<'_>, state: &[u8], time: i64) -> [u32; 6] {
    let mut order = core::array::from_fn(|i| i as u32);
    if let Err(error) = try_to_rank(model, state, time, &mut order) {
        eprintln!("the server's order: {error}");
    }
    order
}

fn try_to_rank(
    model: &Model<'_>,
    state: &[u8],
    time: i64,
    order: &mut [u32],
) -> pocketrank::error::Result<()> {
    // Columns by name; what isn't sent is missing and takes the default that training found.
    let columns: Vec<Column<'_>> = model
        .spec()
        .features
        .iter()
        .map(|feature| match feature.name {
            "topic" => Column::Ids {
                ids: &TOPICS,
                lists: None,
            },
            "length_seconds" => Column::Floats(&LENGTHS),
            "bait" => Column::Floats(&BAIT),
            "quality" => Column::Floats(&QUALITY),
            _ => Column::Missing,
        })
        .collect();
    let len = model.scratch_len(TITLES.len());
    let (mut floats, mut bytes) = (vec![0.0; len.floats], vec![0; len.bytes]);
    let mut scratch = Scratch {
        floats: &mut floats,
        bytes: &mut bytes,
    };
    let request = Request {
        num_candidates: TITLES.len(),
        columns: &columns,
        state: Some(state),
        time,
        ..Request::default()
    };
    let mut output = Output {
        order,
        ..Output::default()
    };
    model.rank(&request, &mut scratch, &mut output).map(|_| ())
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = MODEL.as_ref().map_err(|error| *error)?;
    println!(
        "{}: {} bytes in the program, {} tasks, {}",
        model.spec().name,
        FILE.len(),
        model.spec().tasks.len(),
        model.isa().name()
    );
    let mut state = vec![0; model.state_bytes()];
    model.state_reset(&mut state)?;
    print("a new user", &rank(model, &state, NOW));

    // The user plays the song again and again, and likes it.
    let label = |name: &str| model.spec().labels.iter().position(|l| l.name == name);
    let topic = model.spec().feature("topic").ok_or("no topic")?;
    let keys = [Key {
        feature: topic as u8,
        hash: hash_int(TOPICS[SONG]),
    }];
    for minute in 1..10 {
        for (name, value) in [
            ("click", 1.0),
            ("watch", LENGTHS[SONG]),
            ("complete", 1.0),
            ("like", 1.0),
        ] {
            let event = Event {
                time: NOW + 60 * minute,
                label: label(name).ok_or(name)? as u8,
                value,
                keys: &keys,
            };
            model.state_apply(&mut state, &event)?;
        }
    }
    print(
        "after nine minutes of the song",
        &rank(model, &state, NOW + 600),
    );
    Ok(())
}

fn print(what: &str, order: &[u32]) {
    println!("\n{what}");
    for (place, candidate) in order.iter().enumerate() {
        println!("  {}  {}", place + 1, TITLES[*candidate as usize]);
    }
}
