//! Requests for golden models: dirty ones.
use std::prelude::v1::*;

use super::features::{IDS, text};
use super::{Draw, GoldenModel};
use crate::engine::Column;
use crate::features::{self, Event, hash_int, hash_text};
use crate::spec::{Encoding, Feature, IdType, Lookup, Side, Source, Spec, Table};
use crate::train::random::Key;
use crate::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};

/// Request number `seed` with `candidates` candidates for `model`, in every form of columns: about one value in 16 is
/// missing, unknown or not finite, some columns and states are missing altogether.
pub fn request(model: &GoldenModel, seed: u64, candidates: usize) -> OwnedRequest {
    request_for(&model.spec, seed, candidates)
}

/// Numbers of candidates: one, a block of eight and its neighbours, some blocks and a rest, a feed.
const SIZES: [usize; 8] = [1, 2, 7, 8, 9, 33, 200, 500];

/// After so many, [`varied`] has had every pair of a size and an option, and of two options.
pub(super) const VARIED: usize = 48;

/// Request number `i` for `model` as [`request`] makes them, of 1 to 500 candidates, with or without a limit of candidates,
/// `strict` and weights of its own: every pair of these within 48. One in four has 200 candidates or more.
pub fn varied(model: &GoldenModel, i: u64) -> OwnedRequest {
    // Places in 8 sizes x 3 limits x 2: a full product; weights alternate over it.
    let at = (i % VARIED as u64) as usize;
    let (size, limit, strict) = (at % 8, at / 8 % 3, at / 24 == 1);
    let candidates = SIZES[size];
    OwnedRequest {
        max_candidates: [0, candidates.div_ceil(2), candidates + 3][limit],
        strict,
        weights: (at + at / 8).is_multiple_of(2).then(|| {
            let terms = 0..model.spec.fusion.len();
            match terms.is_empty() {
                true => super::formula::OTHER_WEIGHTS.to_vec(),
                false => terms.map(|term| 0.5 - term as f32 / 4.0).collect(),
            }
        }),
        ..request(model, i, candidates)
    }
}

/// As [`request`], for any valid spec.
pub fn request_for(spec: &Spec<'_>, seed: u64, candidates: usize) -> OwnedRequest {
    let draw = Draw(Key::new(seed).at(0x7265_7175_6573_7473));
    let columns = spec.features.iter().enumerate().map(|(i, feature)| {
        let values = if feature.side == Side::User {
            1
        } else {
            candidates
        };
        column(spec, i, feature, values, draw.at(i))
    });
    let time = 1_700_000_000 + draw.at(1000).int(0, 1_000_000) as i64;
    OwnedRequest {
        num_candidates: candidates,
        columns: columns.collect(),
        state: state(spec, time, draw.at(1001)),
        time,
        ..OwnedRequest::default()
    }
}

fn state(spec: &Spec<'_>, time: i64, draw: Draw) -> Option<Vec<u8>> {
    if draw.at(0).chance(20) {
        return None;
    }
    let mut state = vec![0; features::state_bytes(spec)];
    features::reset(spec, &mut state).expect("the state has its bytes");
    let events = if spec.labels.is_empty() {
        0
    } else {
        draw.at(1).int(0, 12)
    };
    for e in 0..events {
        let draw = draw.at(100 + e);
        let keys: Vec<features::Key> = features::key_features(spec)
            .map(|feature| features::Key {
                feature: feature as u8,
                hash: hash_int(draw.at(10 + feature).int(0, IDS) as u64),
            })
            .collect();
        let event = Event {
            time: time - 3600 * (events - e) as i64,
            label: draw.at(0).int(0, spec.labels.len() - 1) as u8,
            value: draw.at(1).int(0, 3) as f32,
            keys: &keys,
        };
        features::apply(spec, &mut state, core::slice::from_ref(&event)).expect("a valid event");
    }
    Some(state)
}

fn column(
    spec: &Spec<'_>,
    index: usize,
    feature: &Feature<'_>,
    values: usize,
    draw: Draw,
) -> OwnedColumn {
    if feature.source != Source::Column || draw.at(0).chance(6) {
        return OwnedColumn::Missing;
    }
    let draw = draw.at(1);
    match feature.encoding {
        Encoding::Row { table, .. } => {
            let rows = !spec.is_part(index);
            ids(&spec.tables[usize::from(table)], values, None, rows, draw)
        }
        Encoding::Rows {
            table,
            weighted,
            max_len,
            ..
        } => {
            // Models that attend to lists have long ones.
            let most = match usize::from(max_len) {
                long @ 17.. if spec.attentions().next().is_some() => long + 2,
                _ => 6,
            };
            let mut offsets = vec![0];
            for i in 0..values {
                let len = draw.at(100 + i).int(0, most) as u32;
                offsets.push(offsets[i] + len);
            }
            let n = offsets[values] as usize;
            let weight = |i: usize| draw.at(5000 + i).int(0, 32) as f32 / 32.0;
            let weights = (weighted && draw.at(2).chance(75)).then(|| (0..n).map(weight).collect());
            let one = feature.side == Side::User && draw.at(3).chance(50);
            let lists = (!one).then_some(OwnedLists { offsets, weights });
            ids(&spec.tables[usize::from(table)], n, lists, true, draw)
        }
        Encoding::Number { .. } => {
            OwnedColumn::Floats((0..values).map(|i| number(draw.at(100 + i))).collect())
        }
        Encoding::Vector { dim, .. } => OwnedColumn::Bytes(
            (0..values * usize::from(dim))
                .map(|i| draw.at(100 + i).int(0, 127) as u8)
                .collect(),
        ),
    }
}

fn number(draw: Draw) -> f32 {
    match draw.at(0).int(0, 63) {
        0 | 1 => f32::NAN,
        2 => f32::INFINITY,
        3 => f32::NEG_INFINITY,
        4 => -0.0,
        5 => f32::from_bits(1),
        6 => f32::MAX,
        _ => draw.at(1).int(0, 4000) as f32 / 64.0 - 8.0,
    }
}

fn ids(
    table: &Table<'_>,
    n: usize,
    lists: Option<OwnedLists>,
    may_be_rows: bool,
    draw: Draw,
) -> OwnedColumn {
    let id = |i: usize| {
        let draw = draw.at(10_000 + i);
        (draw.at(0).int(0, 31), draw.at(1).int(0, IDS - 1))
    };
    let is_text = matches!(
        table.lookup,
        Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text)
    );
    if may_be_rows && draw.at(4).chance(25) {
        let row = |i: usize| match id(i) {
            (0, _) => Column::NO_ROW,
            (1, _) => table.num_embeddings,
            (_, row) => row as u32 % table.num_embeddings,
        };
        return OwnedColumn::Rows {
            rows: (0..n).map(row).collect(),
            lists,
        };
    }
    if is_text && draw.at(5).chance(75) {
        let (mut utf8, mut offsets) = (Vec::new(), vec![0]);
        for i in 0..n {
            match id(i) {
                (0, _) => {}
                (1, _) => utf8.extend_from_slice("elsewhere".as_bytes()),
                (_, known) => utf8.extend_from_slice(text(known).as_bytes()),
            }
            offsets.push(utf8.len() as u32);
        }
        return OwnedColumn::Text {
            utf8,
            offsets,
            lists,
        };
    }
    let value = |i: usize| match id(i) {
        (0, _) => Column::NO_ID,
        (1, _) => 1 << 40,
        (_, known) if is_text => hash_text(text(known).as_bytes()),
        (_, known) => known as u64,
    };
    OwnedColumn::Ids {
        ids: (0..n).map(value).collect(),
        lists,
    }
}
