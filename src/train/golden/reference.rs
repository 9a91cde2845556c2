//! A model of the size that apps ship, with the network of `benches/peers`: what is measured and counted, where the tiny
//! models only show that bits agree.
use std::prelude::v1::*;

use super::{Draw, GoldenModel, finish};
use crate::spec::{
    Calibration, Encoding, Feature, IdType, Lookup, Network, NetworkKind, NumberGrid, Pooling,
    Side, Source, Spec, Table, Task, TaskKind, Term, Transform,
};
use crate::train::quantize::Lookups;
use crate::train::random::Key;

/// A multi-gate mixture of 4 experts [128, 64] with 3 tasks, a linear gate and a tower of 32 each. Inputs: 8 user ids of 16
/// dimensions and the mean of a list of item ids; 8 item ids; 2 ids and 8 numbers of the candidate. Tables of 1,000 rows.
pub fn reference() -> GoldenModel {
    make(spec())
}

/// The same with a list of up to `len` items of the user more, its mean and, if `attends`, what the candidate's item makes of it
/// with keys of 16 values.
pub fn reference_with_list(len: usize, attends: bool) -> GoldenModel {
    let mut spec = spec();
    let query = spec.feature("item0").unwrap_or_default();
    let Encoding::Row { table, .. } = spec.features[query].encoding else {
        unreachable!("it is an id");
    };
    let list = Encoding::Rows {
        table,
        max_len: len as u16,
        pooling: Pooling::Mean,
        weighted: false,
        divisor: 1,
    };
    let of = spec.features.len() as u8;
    let attention = Source::Attention {
        of,
        query: query as u8,
        dim: 16,
    };
    let both = [
        ("recent", Side::User, Source::Column),
        ("attended", Side::Cross, attention),
    ];
    for (name, side, source) in both.into_iter().take(1 + usize::from(attends)) {
        let _ = spec.features.push(Feature {
            name,
            side,
            source,
            encoding: list,
        });
    }
    make(spec)
}

fn make(spec: Spec<'static>) -> GoldenModel {
    let lookups = Lookups {
        vocabularies: vec![Default::default(); spec.tables.len()],
        boundaries: vec![Vec::new(); spec.features.len()],
        ..Lookups::default()
    };
    finish(spec, lookups, Draw(Key::new(0x7265_6665_7265_6e63)))
}

fn spec() -> Spec<'static> {
    const USERS: [&str; 8] = [
        "user0", "user1", "user2", "user3", "user4", "user5", "user6", "user7",
    ];
    const ITEMS: [&str; 8] = [
        "item0", "item1", "item2", "item3", "item4", "item5", "item6", "item7",
    ];
    const CONTEXTS: [&str; 2] = ["context0", "context1"];
    const NUMBERS: [&str; 8] = [
        "number0", "number1", "number2", "number3", "number4", "number5", "number6", "number7",
    ];
    let mut spec = Spec {
        name: "reference",
        ..Spec::default()
    };
    let mut feature = |name, side, encoding| {
        let _ = spec.features.push(Feature {
            name,
            side,
            source: Source::Column,
            encoding,
        });
    };
    let ids = (USERS.iter().map(|name| (name, Side::User)))
        .chain(ITEMS.iter().map(|name| (name, Side::Item)))
        .chain(CONTEXTS.iter().map(|name| (name, Side::Candidate)));
    for (table, (name, side)) in ids.clone().enumerate() {
        let table = table as u8;
        feature(
            *name,
            side,
            Encoding::Row {
                table,
                default_row: 0,
            },
        );
    }
    feature(
        "history",
        Side::User,
        Encoding::Rows {
            table: USERS.len() as u8,
            max_len: 20,
            pooling: Pooling::Mean,
            weighted: false,
            divisor: 1,
        },
    );
    for name in NUMBERS {
        let bytes = 4;
        let grid = NumberGrid {
            inv_scale: 127.0 * f32::from(bytes) / 8.0,
            zero_point: 127 * u16::from(bytes) / 2,
            bytes,
        };
        let transform = Transform {
            low: -4.0,
            high: 4.0,
            log1p: false,
            shift: 0.0,
            scale: 1.0,
        };
        feature(
            name,
            Side::Candidate,
            Encoding::Number {
                transform,
                default: 0.0,
                value: Some(grid),
                buckets: None,
            },
        );
    }
    for (name, _) in ids {
        let _ = spec.tables.push(Table {
            name,
            num_embeddings: 1000,
            embedding_dim: 16,
            bits: 8,
            lookup: Lookup::Hash(IdType::Int),
        });
    }
    spec.network = Network {
        kind: NetworkKind::Mmoe,
        num_experts: 4,
        expert_layers: [128, 64].into_iter().collect(),
        ..Network::default()
    };
    for (task, name) in ["click", "duration", "completion"].into_iter().enumerate() {
        let _ = spec.tasks.push(Task {
            name,
            unit: "probability",
            kind: TaskKind::Binary,
            given: None,
            tower_layers: [32].into_iter().collect(),
            inputs: Default::default(),
            calibration: Calibration::None,
            score_scale: 1.0,
        });
        let _ = spec.fusion.push(Term {
            name,
            task: task as u8,
            entire: false,
            weight: [1.0, 0.125, 0.5][task],
        });
    }
    spec
}
