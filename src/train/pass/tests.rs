//! Logs through the pass: what users' states say, and which rows learn from it.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;
use std::prelude::v1::*;

use super::*;
use crate::train::dataset::{FeatureData, Split};
use crate::train::log;

mod fit;

/// A description with every derived kind, over a log of `user,time,item,len,click,watch,delay`.
const MODEL: &str = r#"[data]
path = "log.csv"
user = "user"
time = "time"
validation = { last = 0.2 }
[[label]]
name = "click"
DELAY
[[label]]
name = "watch"
known = "click == 1"
log1p = true
[[feature]]
name = "item"
side = "item"
kind = "id"
vocabulary = {}
dim = 2
[[feature]]
name = "len"
side = "item"
kind = "number"
buckets = 3
dim = 2
[[feature]]
name = "item_len"
kind = "cross"
of = ["item", "len"]
vocabulary = {}
dim = 2
[[feature]]
name = "last"
kind = "last_ids"
of = "item"
label = "click"
max_len = 3
[[feature]]
name = "clicks"
kind = "count"
label = "click"
transform = []
[[feature]]
name = "rate"
kind = "rate"
label = "watch"
half_life_events = 4
[[feature]]
name = "len_rate"
kind = "key_rate"
label = "click"
key = "len"
[[feature]]
name = "since"
kind = "since"
label = "click"
default = 0
transform = []
[[feature]]
name = "previous"
kind = "previous"
label = "click"
default = 0.5
transform = []
[[feature]]
name = "len_x_clicks"
kind = "combine"
of = ["len", "clicks"]
op = "product"
[[feature]]
name = "since_per_click"
kind = "combine"
of = ["since", "clicks"]
op = "ratio"
[[feature]]
name = "often"
kind = "count"
label = "click"
buckets = 2
dim = 1
[[feature]]
name = "item_x_often"
kind = "cross"
of = ["item", "often"]
hash = 50
dim = 1
[network]
kind = "mmoe"
experts = 1
expert_layers = [4]
[[task]]
name = "click"
kind = "binary"
[[task]]
name = "watch"
kind = "duration"
space = "click"
[train]
stop_on = "none"
"#;

struct Passed {
    raw: RawLog,
    derived: Vec<RawColumn>,
    data: Dataset,
    fit: Fit,
    split: Split,
}

fn pass(delay: &str, rows: &str) -> Passed {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("user,time,item,len,click,watch,delay\n{rows}");
    fs::write(folder.path().join("log.csv"), text).unwrap();
    passed(&MODEL.replace("DELAY", delay), folder.path())
}

/// A description on the log in `folder`.
fn passed(model: &str, folder: &Path) -> Passed {
    let d = Description::parse(&folder.join("m.toml"), model.into()).unwrap();
    let raw = log::read(&d, None).unwrap();
    let split = split(&d, &raw).unwrap();
    let (fit, derived) = Fit::learn(&d, &raw, &split.train, None).unwrap();
    let spec = fit.spec(&d).unwrap();
    let data = encode(&d, &fit, &spec, &raw, &derived);
    let again = derive(&d, &fit, &spec, &raw).unwrap();
    assert_eq!(format!("{derived:?}"), format!("{again:?}"));
    drop(spec);
    Passed {
        raw,
        derived,
        data,
        fit,
        split,
    }
}

fn numbers(passed: &Passed, feature: usize) -> Vec<f32> {
    match &passed.derived[feature] {
        RawColumn::Numbers(x) => x.clone(),
        _ => Vec::new(),
    }
}

fn lists(passed: &Passed, feature: usize) -> Vec<Vec<u64>> {
    match &passed.derived[feature] {
        RawColumn::Lists { offsets, ids, .. } => offsets
            .windows(2)
            .map(|w| ids[w[0] as usize..w[1] as usize].to_vec())
            .collect(),
        _ => Vec::new(),
    }
}

const ROWS: &str = "\
a,10,1,5,1,3,0
a,10,2,9,0,,0
b,10,1,5,0,,0
a,11,3,9,1,8,0
a,20,4,1,0,,0
b,21,1,5,1,2,0
a,22,2,9,1,1,0
a,30,1,1,0,,0
b,31,3,5,1,4,0
b,40,2,9,0,,0
";

#[test]
fn derived_features_are_what_a_naive_replay_of_events_says() {
    let p = pass("", ROWS);
    // Requests: a10 b10 a11 a20 b21 a22 a30 b31 b40.
    let key = |id: u64| features::hash_int(id);
    let expected: [&[u64]; 9] = [
        &[],
        &[],
        &[1],
        &[3, 1],
        &[],
        &[3, 1],
        &[2, 3, 1],
        &[1],
        &[3, 1],
    ];
    let expected: Vec<Vec<u64>> = expected
        .iter()
        .map(|l| l.iter().map(|id| key(*id)).collect())
        .collect();
    assert_eq!(lists(&p, 3), expected);
    assert_eq!(
        numbers(&p, 4),
        [0.0, 0.0, 1.0, 2.0, 0.0, 2.0, 3.0, 1.0, 2.0]
    );
    let since: Vec<f32> = numbers(&p, 7)
        .iter()
        .map(|x| if x.is_nan() { -1.0 } else { *x })
        .collect();
    assert_eq!(since, [-1.0, -1.0, 1.0, 9.0, -1.0, 11.0, 8.0, 10.0, 9.0]);
    // Of the two labels that arrive at 10 the later row's is the last.
    let previous: Vec<f32> = numbers(&p, 8)
        .iter()
        .map(|x| if x.is_nan() { -1.0 } else { *x })
        .collect();
    assert_eq!(previous, [-1.0, -1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    // A rate by key has one value a row, the others one a request.
    assert_eq!(numbers(&p, 6).len(), 10);
    assert_eq!(numbers(&p, 5).len(), 9);
    assert!(
        matches!(&p.data.features[3], FeatureData::Lists { offsets, .. } if offsets.len() == 10)
    );
}

#[test]
fn combined_numbers_are_those_of_their_parts_row_by_row() {
    let p = pass("", ROWS);
    // `len` of the rows times the clicks of their requests.
    assert_eq!(
        numbers(&p, 9),
        [0.0, 0.0, 0.0, 9.0, 2.0, 0.0, 18.0, 3.0, 5.0, 18.0]
    );
    // Missing without a click, of either; of the user's side, so a value a request.
    let ratio: Vec<f32> = numbers(&p, 10)
        .iter()
        .map(|x| if x.is_nan() { -1.0 } else { *x })
        .collect();
    let third = 8.0 / 3.0;
    assert_eq!(ratio, [-1.0, -1.0, 1.0, 4.5, -1.0, 5.5, third, 10.0, 4.5]);
    // A cross of a number without a column: a row a log row, the same for the same item and bucket.
    let FeatureData::Rows(rows) = &p.data.features[12] else {
        unreachable!("a cross has rows");
    };
    let often = p.fit.boundaries(11);
    let transform = p.fit.features[11].transform;
    let clicks = numbers(&p, 11);
    let expected: Vec<u32> = (0..p.raw.rows())
        .map(|row| {
            let RawColumn::Ids(items) = &p.raw.features[0] else {
                return 0;
            };
            let x = clicks[p.raw.request[row] as usize];
            let bucket = features::hash_int(features::bucket_row(&transform, &often, x).into());
            let key = features::hash_cross(features::hash_int(items[row]), bucket);
            1 + ((u128::from(key) * 50) >> 64) as u32
        })
        .collect();
    assert_eq!(*rows, expected);
    assert!(!often.is_empty());
}

#[test]
fn users_who_wait_in_a_file_have_the_states_of_those_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut time) = (String::new(), 0);
    for i in 0..3_000_u64 {
        let random = |n: u64| features::hash_int(i * 8 + n);
        time += random(0) % 3;
        let (user, item, click) = (random(1) % 40, random(2) % 9, random(3) % 2);
        let (len, delay) = (random(4) % 30, random(5) % 200);
        // Some who have no name, and items that have none.
        let user = if user == 0 {
            String::new()
        } else {
            user.to_string()
        };
        let item = if item == 0 {
            String::new()
        } else {
            item.to_string()
        };
        let watch = if click == 1 { "7" } else { "" };
        rows += &format!("{user},{time},{item},{len},{click},{watch},{delay}\n");
    }
    let p = pass("delay_column = \"delay\"", &rows);
    let text = MODEL.replace("DELAY", "delay_column = \"delay\"");
    let d = Description::parse(&folder.path().join("m.toml"), text).unwrap();
    let spec = p.fit.spec(&d).unwrap();
    let boundaries = all_boundaries(&p.fit, &spec);
    let last_requests = p.raw.user.iter().copied().zip(0..).collect();
    let whole = Chunk {
        raw: &p.raw,
        rows_before: 0,
        requests_before: 0,
    };
    for memory_bytes_max in [0, 3_000, usize::MAX / 2] {
        let folder = Some(folder.path()).filter(|_| memory_bytes_max < usize::MAX / 2);
        let mut states =
            States::with_memory(&boundaries, &spec, &last_requests, folder, memory_bytes_max);
        let derived = states.derive(&d, &whole).unwrap();
        assert_eq!(format!("{derived:?}"), format!("{:?}", p.derived));
    }
}

/// Derived values of the requests and rows before `request` and `row`.
fn before(p: &Passed, request: usize, row: usize) -> String {
    let parts = (3..9).map(|f| match f {
        3 => format!("{:?}", &lists(p, 3)[..request]),
        6 => format!("{:?}", &numbers(p, 6)[..row]),
        f => format!("{:?}", &numbers(p, f)[..request]),
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_planted_future_label_changes_nothing_before_it() {
    // Priors are learned from training rows, future ones included, but they are constants: fixed here.
    let fixed = |rows: &str| {
        let model = MODEL.replace("half_life_events = 4", "half_life_events = 4\nprior = 0.5");
        let model = model.replace("key = \"len\"", "key = \"len\"\nprior = 0.5");
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("log.csv"),
            format!("user,time,item,len,click,watch,delay\n{rows}"),
        )
        .unwrap();
        let d =
            Description::parse(&folder.path().join("m.toml"), model.replace("DELAY", "")).unwrap();
        let raw = log::read(&d, None).unwrap();
        let split = split(&d, &raw).unwrap();
        let (fit, derived) = Fit::learn(&d, &raw, &split.train, None).unwrap();
        let data = labels(&d, &raw);
        Passed {
            raw,
            derived,
            data,
            fit,
            split,
        }
    };
    let honest = fixed(ROWS);
    let lines: Vec<&str> = ROWS.lines().collect();
    for (row, line) in lines.iter().enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let flipped = if cells[4] == "1" { "0," } else { "1,77" };
        let planted = format!(
            "{},{},{},{},{flipped},0",
            cells[0], cells[1], cells[2], cells[3]
        );
        let mut all = lines.clone();
        all[row] = &planted;
        let poisoned = fixed(&(all.join("\n") + "\n"));
        let request = honest.raw.request[row] as usize;
        // Nothing up to and with its own request: neither its own row nor those beside it.
        let end = honest
            .raw
            .request
            .iter()
            .filter(|r| **r as usize <= request)
            .count();
        assert_eq!(
            before(&honest, request + 1, end),
            before(&poisoned, request + 1, end),
            "row {row}"
        );
        let of_same_user_later = (request + 1..honest.raw.requests())
            .any(|r| honest.raw.user[r] == honest.raw.user[request]);
        let all_rows = honest.raw.rows();
        let all_requests = honest.raw.requests();
        let same =
            before(&honest, all_requests, all_rows) == before(&poisoned, all_requests, all_rows);
        assert_eq!(same, !of_same_user_later, "row {row}");
    }
}

#[test]
fn a_label_is_visible_only_strictly_after_its_arrival() {
    let rows = |t: u32| format!("a,10,1,5,1,3,2\na,{t},2,5,0,,0\nb,50,1,1,0,,0\nb,60,2,9,1,1,0\n");
    for (delay, first_seen) in [
        ("", 11),
        ("delay = 5", 16),
        ("delay_column = \"delay\"", 13),
        ("delay = 1\ndelay_column = \"delay\"\ndelay_scale = 10", 32),
    ] {
        for t in 10..40 {
            let p = pass(delay, &rows(t));
            let visible = numbers(&p, 4);
            // At the same second both rows are one request.
            let request = p.raw.request[1] as usize;
            assert_eq!(visible[request] == 1.0, t >= first_seen, "{delay} at {t}");
        }
    }
}

#[test]
fn who_did_not_click_has_no_seconds_per_impression() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("user,time,item,len,click,watch,delay\n{ROWS}");
    fs::write(folder.path().join("log.csv"), text).unwrap();
    let given = MODEL.replace("DELAY", "");
    let space = "kind = \"duration\"\nspace = \"click\"";
    assert!(given.contains(space));
    let of = |lines: &str| {
        let p = passed(&given.replace(space, lines), folder.path());
        (
            p.data.tasks[1].labels[..4].to_vec(),
            p.data.tasks[1].weights[..4].to_vec(),
        )
    };
    let seconds = vec![3.0, 0.0, 0.0, 8.0];
    for loss in ["odds", "weighted-logistic"] {
        let every = of(&format!("kind = \"duration\"\nloss = \"{loss}\""));
        assert_eq!(every, (seconds.clone(), vec![1.0; 4]), "{loss}");
    }
    // Given a click, and for other losses, a row without seconds is none.
    for lines in [
        "kind = \"duration\"\nloss = \"odds\"\nspace = \"click\"",
        "kind = \"duration\"",
    ] {
        assert_eq!(
            of(lines),
            (seconds.clone(), vec![1.0, 0.0, 0.0, 1.0]),
            "{lines}"
        );
    }
}

#[test]
fn tasks_learn_from_their_space_and_old_enough_rows() {
    let p = pass("window = 10", ROWS);
    let click = &p.data.tasks[0];
    assert_eq!(
        click.weights,
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    );
    let watch = &p.data.tasks[1];
    assert_eq!(
        watch.weights,
        [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    );
    assert_eq!(
        watch.labels,
        [3.0, 0.0, 0.0, 8.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0]
    );
    // The last 20 % of nine requests.
    assert_eq!(p.split.validation, [8, 9]);
    assert_eq!(p.split.train.len() + p.split.stop.len(), 8);
}
