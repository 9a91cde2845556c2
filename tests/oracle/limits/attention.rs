//! Features that attend to lists, and the section of their projections.

use pocketrank::format::seal;
use pocketrank::spec::{Encoding, Pooling, Side, Source, Spec};

use super::super::model::file;
use super::super::networks::attending_spec;
use super::{Change, Checked, base, changed};

/// What the last feature attends to.
fn attend(spec: &mut Spec<'static>, of: u8, query: u8, dim: u16) {
    spec.features[5].source = Source::Attention { of, query, dim };
}

/// Length, pooling, weights and table of a feature's list.
fn rows<'s>(
    spec: &'s mut Spec<'static>,
    feature: usize,
) -> (&'s mut u16, &'s mut Pooling, &'s mut bool, &'s mut u8) {
    match &mut spec.features[feature].encoding {
        Encoding::Rows {
            table,
            max_len,
            pooling,
            weighted,
            ..
        } => (max_len, pooling, weighted, table),
        _ => unreachable!(),
    }
}

/// More features that attend, like the last.
fn more(spec: &mut Spec<'static>, count: usize) {
    const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    for name in &NAMES[..count] {
        let feature = pocketrank::spec::Feature {
            name,
            ..spec.features[5]
        };
        spec.features.push(feature).unwrap();
    }
}

pub(super) fn checked(all: &mut Checked, seed: u64) {
    let attention: &[(&str, &'static str, Change)] = &[
        ("as it is", "Ok", |_| ()),
        ("a list past the last feature", "Inconsistent", |s| {
            attend(s, 6, 0, 8)
        }),
        ("an id past the last feature", "Inconsistent", |s| {
            attend(s, 2, 6, 8)
        }),
        ("an id for a list", "Inconsistent", |s| attend(s, 0, 0, 8)),
        ("itself for a list", "Inconsistent", |s| attend(s, 5, 0, 8)),
        ("a list for an id", "Inconsistent", |s| attend(s, 2, 2, 8)),
        ("a number for an id", "Inconsistent", |s| attend(s, 2, 1, 8)),
        ("keys of no value", "OverLimit", |s| attend(s, 2, 0, 0)),
        ("keys of one value", "Ok", |s| attend(s, 2, 0, 1)),
        ("keys of 64 values", "Ok", |s| attend(s, 2, 0, 64)),
        ("keys of 65 values", "OverLimit", |s| attend(s, 2, 0, 65)),
        ("of side user", "Inconsistent", |s| {
            s.features[5].side = Side::User
        }),
        ("of side candidate", "Inconsistent", |s| {
            s.features[5].side = Side::Candidate
        }),
        ("an id of the user", "Inconsistent", |s| {
            s.features[3].side = Side::User
        }),
        ("a list of the item", "Inconsistent", |s| {
            s.features[2].side = Side::Item
        }),
        ("another length", "Inconsistent", |s| *rows(s, 5).0 = 18),
        ("a sum", "Inconsistent", |s| *rows(s, 5).1 = Pooling::Sum),
        ("a sum for a list", "Ok", |s| *rows(s, 2).1 = Pooling::Sum),
        ("weights", "Inconsistent", |s| *rows(s, 5).2 = true),
        ("a weighted list", "Inconsistent", |s| *rows(s, 2).2 = true),
        ("a row of its own", "Inconsistent", |s| {
            s.features[5].encoding = s.features[3].encoding
        }),
        ("eight that attend", "Ok", |s| more(s, 6)),
        ("nine that attend", "OverLimit", |s| more(s, 7)),
    ];
    changed(all, seed, ("attention", &|| attending_spec(3)), attention);
    let single = attending_spec(8);
    all.push((
        "attention: single".into(),
        "Inconsistent",
        file(&single, seed),
    ));
    let with = file(&attending_spec(0), seed);
    let without = file(&base("softmax"), seed);
    // Where the directory names a section.
    let section = |bytes: &[u8], kind| {
        let mut entries = (0..).map(|i| 64 + 16 * i);
        entries.find(|at| bytes[*at] == kind).unwrap()
    };
    // A later kind in its place, and its kind for the section that readers skip.
    let at = section(&with, 23);
    let mut bytes = with;
    bytes[at] = 24;
    seal(&mut bytes);
    all.push((
        "attention: another kind".into(),
        "UnknownSection",
        bytes.clone(),
    ));
    bytes[at + 4] = 0;
    seal(&mut bytes);
    all.push(("attention: no section".into(), "MissingSection", bytes));
    let at = section(&without, 19);
    let mut bytes = without;
    bytes[at] = 23;
    seal(&mut bytes);
    all.push((
        "attention: a section for nothing".into(),
        "Inconsistent",
        bytes,
    ));
}
