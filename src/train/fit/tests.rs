//! Tables of ids from a log to an exported file: two hashes of one id, and ids that few users have.
#![allow(clippy::unwrap_used)]
use core::iter::once;
use std::fs;
use std::prelude::v1::*;

use super::*;
use crate::engine::{ItemSums, Model, OpenOptions, Output, Request, Scratch};
use crate::error::Status;
use crate::features::{hash_cross, hash_text};
use crate::train::dataset::FeatureData;
use crate::train::inspect::inspect;
use crate::train::random::Key;
use crate::train::replay::{self, Ranker};
use crate::train::requests::{OwnedColumn, OwnedRequest};
use crate::train::synthetic::TrainedLog;
use crate::train::{evaluate, explain, log, run};

const MODEL: &str = r#"
[data]
path = "log.csv"
request = "request"
user = "user"
time = "time"
validation = { last = 0.3 }

[[label]]
name = "click"

[[feature]]
name = "device"
side = "user"
kind = "id"
hash = 5
dim = 3

[[feature]]
name = "item"
side = "item"
kind = "id"
id_type = "string"
hash = 7
hashes = 2
dim = 6
default = "item 3"

[[feature]]
name = "last"
kind = "last_ids"
of = "item"
label = "click"
max_len = 4

[network]
kind = "mmoe"
experts = 2
expert_layers = [12, 8]
tower_layers = [4]

[[task]]
name = "click"
kind = "binary"

[train]
batch = 64
epochs = 12
lr = 0.01
embedding_lr = 0.03

[[fusion.term]]
task = "click"
weight = 1.0

[export]
auc_budget = 0.5
"#;

const ROWS: usize = 2400;
/// Rows of a request.
const LIST: usize = 8;
/// Rows of the table that are hashed to.
const HASHED: u128 = 7;
const ITEMS: u64 = 40;

fn item(row: usize) -> String {
    match Key::new(5).at(row as u64).bits() % ITEMS {
        // Missing.
        0 => String::new(),
        item => format!("item {item}"),
    }
}

/// The log, trained, and exported to `model.pkr`.
fn trained() -> TrainedLog {
    let header = ["request", "user", "time", "device", "item", "click"];
    let rows = (0..ROWS).map(|row| {
        let (request, draw) = (row / LIST, Key::new(6).at(row as u64).bits());
        // Ids next to each other have nothing in common.
        let likes = (Key::new(5).at(row as u64).bits() % ITEMS).is_multiple_of(3);
        vec![
            request.to_string(),
            (request % 17).to_string(),
            (1000 + request).to_string(),
            (request % 4).to_string(),
            item(row),
            u64::from(likes == (draw % 10 < 8)).to_string(),
        ]
    });
    let trained = TrainedLog::new(MODEL, once(header.map(String::from).into()).chain(rows));
    let file = trained.path("model.pkr");
    let report = run::export(&trained.path("run"), &file, &Default::default()).unwrap();
    report.check().unwrap();
    trained
}

#[test]
fn an_id_of_two_hashes_is_sent_once_and_found_left_out_and_scored_as_one() {
    let trained = trained();
    let run = run::Run::open(&trained.path("run")).unwrap();
    let d = &run.description;
    let file = trained.path("model.pkr");
    let bytes = fs::read(&file).unwrap();
    let mut model = Box::new(Model::new());
    model.open(&bytes, &OpenOptions::default()).unwrap();

    // One table, which the id, its second hash and the list read.
    let seen = inspect(&bytes).unwrap();
    let features = seen.features.iter();
    let features = features.map(|f| (f.name.as_str(), f.kind, f.table.as_deref()));
    let wanted = [
        ("device", "id", Some("device")),
        ("item", "id", Some("item")),
        ("last", "last_ids", Some("item")),
        ("item:hash2", "second hash", Some("item")),
    ];
    assert_eq!(features.collect::<Vec<_>>(), wanted);
    let tables = seen
        .tables
        .iter()
        .map(|t| (t.name.as_str(), t.num_embeddings));
    assert_eq!(tables.collect::<Vec<_>>(), [("device", 6), ("item", 8)]);

    // The rows of training are those of the file, and those of both hashes by hand.
    let spec = run.fit.spec(d).unwrap();
    let measured = replay::measure(d, (&model, &file), None, true).unwrap();
    let by_file = replay::features(d, (&model, &measured.vectors), &measured.raw).unwrap();
    let prepared = run::Prepared::read(d, &run.fit, &spec, None).unwrap();
    assert_eq!(
        format!("{by_file:?}"),
        format!("{:?}", prepared.data.features)
    );
    let [first, second] = [1, 3].map(|f| match &by_file[f] {
        FeatureData::Rows(rows) => rows,
        _ => unreachable!(),
    });
    let hashed = |key: u64| 1 + ((u128::from(key) * HASHED) >> 64) as u32;
    for row in 0..ROWS {
        let id = item(row);
        let id = if id.is_empty() { "item 3" } else { &id };
        let key = hash_text(id.as_bytes());
        let wanted = (hashed(key), hashed(hash_cross(key, key)));
        assert_eq!((first[row], second[row]), wanted, "{id}");
    }

    // The engine scores as the trainer does, to its grids.
    let parameters = run.parameters().unwrap();
    let logits = evaluate::predict(&spec, &parameters, &prepared.data, &measured.rows);
    let range = logits.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let apart = logits.iter().zip(&measured.logits);
    let worst = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(range > 0.5 && worst < 0.05 * range, "{range} {worst}");

    // The app sends the id, and the id alone.
    let requests = replay::last_requests(d, (&model, &file), None, 4).unwrap();
    let request = requests.last().unwrap();
    assert!(matches!(request.columns[1], OwnedColumn::Ids { .. }));
    assert_eq!(request.columns[3], OwnedColumn::Missing);
    let with = |column: usize, to: &OwnedColumn| {
        let mut changed = request.clone();
        changed.columns[column] = to.clone();
        changed
    };
    let mut ranker = Ranker::new(&model);
    let scores = |ranker: &mut Ranker<'_, '_>, request: &OwnedRequest, without: &[u32]| {
        ranker
            .rank_without(request, without)
            .map(|_| ranker.scores.clone())
    };
    let whole = scores(&mut ranker, request, &[]).unwrap();
    let refused = [
        // A row does not tell the other one.
        (
            1,
            OwnedColumn::Rows {
                rows: vec![1; LIST],
                lists: None,
            },
        ),
        (3, request.columns[1].clone()),
    ];
    for (column, sent) in &refused {
        let error = scores(&mut ranker, &with(*column, sent), &[]).unwrap_err();
        assert_eq!(
            (error.status, error.feature as usize),
            (Status::WrongForm, *column)
        );
    }

    // Left out, or not sent, it has neither row of its own, whether its second hash is named or not.
    let missing = scores(&mut ranker, &with(1, &OwnedColumn::Missing), &[]).unwrap();
    assert_ne!(missing, whole);
    for without in [&[1][..], &[1, 3]] {
        assert_eq!(scores(&mut ranker, request, without).unwrap(), missing);
    }
    assert_ne!(scores(&mut ranker, request, &[3]).unwrap(), missing);
    let groups = explain::groups(d, model.spec());
    let wanted = [("device", vec![0]), ("item", vec![1, 3]), ("last", vec![2])];
    assert_eq!(groups, wanted.map(|(name, of)| (name.to_string(), of)));

    // Kept sums of an item have both rows.
    let columns = request.columns();
    let asked = request.as_request(&columns);
    let need = model.scratch_len(LIST);
    let (mut floats, mut buffer) = (vec![0.0; need.floats], vec![0; need.bytes]);
    let mut scratch = Scratch {
        floats: &mut floats,
        bytes: &mut buffer,
    };
    let mut sums = vec![0; LIST * model.item_sums_bytes()];
    model.item_sums(&asked, &mut scratch, &mut sums).unwrap();
    let no_items = with(1, &OwnedColumn::Missing);
    let columns = no_items.columns();
    let kept = Request {
        item_sums: Some(ItemSums {
            bytes: &sums,
            slots: &[],
        }),
        ..no_items.as_request(&columns)
    };
    let (mut order, mut again) = (vec![0; LIST], vec![0.0; LIST]);
    let mut output = Output {
        order: &mut order,
        scores: &mut again,
        ..Output::default()
    };
    model.rank(&kept, &mut scratch, &mut output).unwrap();
    assert_eq!(again, whole);
}

/// Users of each item: item i has i of them, and 12 rows however many users there are.
#[test]
fn ids_of_few_users_share_row_0_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::from("request,user,time,device,item,click\n");
    for i in 0..12 * 6 {
        let item = 1 + i % 6;
        let user = (i / 6) % item;
        lines += &format!("{i},{user},{i},1,item {item},{}\n", i % 2);
    }
    fs::write(folder.path().join("log.csv"), lines).unwrap();
    let learn = |vocabulary: &str, previous: Option<&Fit>| {
        let model = MODEL.replace("hash = 7\nhashes = 2", vocabulary);
        let model = model.replace("default = \"item 3\"\n", "");
        let d = Description::parse(&folder.path().join("m.toml"), model).unwrap();
        let raw = log::read(&d, None).unwrap();
        let all: Vec<u32> = (0..raw.rows() as u32).collect();
        let (fit, _) = Fit::learn(&d, &raw, &all, previous).unwrap();
        let table = fit.tables.iter().position(|t| t.name == "item").unwrap() as u8;
        let key = |i: usize| hash_text(format!("item {i}").as_bytes());
        let known: Vec<usize> = (1..=6)
            .filter(|i| fit.row(table, Some(key(*i)), 0).0 > 0)
            .collect();
        (fit, known)
    };
    let (all, known) = learn("vocabulary = {}", None);
    assert_eq!(known, [1, 2, 3, 4, 5, 6]);
    assert!(all.few_users().is_empty());
    let (few, known) = learn("vocabulary = { min_users = 4 }", None);
    assert_eq!(known, [4, 5, 6]);
    let found = &few.few_users()[0];
    assert_eq!((found.ids, found.count, found.min_users), (3, 36, 4));
    assert_eq!(few.counts("item").unwrap()[0], 36, "row 0 learns from them");
    // What is too rare anyway does not lack users.
    let (rare, known) = learn("vocabulary = { min_count = 13, min_users = 4 }", None);
    assert_eq!((known.len(), rare.few_users()[0].ids), (0, 0));
    // A vocabulary that a run starts from is kept: what it was made without, it goes on without.
    let (_, known) = learn("vocabulary = { min_users = 4 }", Some(&all));
    assert_eq!(known, [1, 2, 3, 4, 5, 6]);
}
