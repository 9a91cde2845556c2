//! Models of every kind of feature, wide ones and shallow ones, and the records that any model is made of.

use heapless::Vec as List;
use pocketrank::spec::{
    Calibration, Decay, Encoding, Feature, Grid, IdType, Label, Lookup, NumberGrid, Operation,
    Pooling, Side, Source, Spec, Table, Task, TaskKind, Term, Transform,
};

use super::model::{VOCABULARY, file};

pub fn list<T: Clone, const N: usize>(items: &[T]) -> List<T, N> {
    List::from_slice(items).ok().unwrap()
}

pub fn table(name: &'static str, rows: usize, dim: u16, lookup: Lookup) -> Table<'static> {
    Table {
        name,
        num_embeddings: rows as u32,
        embedding_dim: dim,
        bits: 8,
        lookup,
    }
}

/// The same with two values a byte.
pub fn four_bits(table: Table<'static>) -> Table<'static> {
    Table { bits: 4, ..table }
}

pub fn feature(
    name: &'static str,
    side: Side,
    source: Source,
    encoding: Encoding,
) -> Feature<'static> {
    Feature {
        name,
        side,
        source,
        encoding,
    }
}

pub fn number(log1p: bool, value: bool, buckets: Option<u8>) -> Encoding {
    Encoding::Number {
        transform: Transform {
            low: if log1p { -0.9 } else { -50.0 },
            high: 250.0,
            log1p,
            shift: 1.25,
            scale: if log1p { 0.7 } else { 0.03 },
        },
        default: 3.3,
        value: value.then_some(NumberGrid {
            inv_scale: 65.1,
            zero_point: 112,
            bytes: 3,
        }),
        buckets,
    }
}

pub fn task(
    name: &'static str,
    kind: TaskKind,
    given: Option<u8>,
    layers: &[u16],
) -> Task<'static> {
    Task {
        name,
        unit: "u",
        kind,
        given,
        tower_layers: list(layers),
        inputs: List::new(),
        calibration: Calibration::None,
        score_scale: 1.5,
    }
}

pub fn term(name: &'static str, task: u8, entire: bool, weight: f32) -> Term<'static> {
    Term {
        name,
        task,
        entire,
        weight,
    }
}

/// Every source, encoding, look-up, pooling and decay.
pub fn with_every_feature(name: &'static str) -> Spec<'static> {
    use Encoding::{Row, Rows, Vector};
    use Source::{Column, Combine, Count, Cross, KeyRate, LastIds, Previous, Rate, Since};
    let mut spec = Spec {
        name,
        ..Spec::default()
    };
    spec.tables = list(&[
        four_bits(table(
            "int words",
            VOCABULARY + 1,
            11,
            Lookup::Vocabulary(IdType::Int),
        )),
        table("int hash", 17, 5, Lookup::Hash(IdType::Int)),
        four_bits(table(
            "text words",
            VOCABULARY + 1,
            2,
            Lookup::Vocabulary(IdType::Text),
        )),
        table("text hash", 2, 1, Lookup::Hash(IdType::Text)),
        table("buckets", 9, 3, Lookup::Buckets),
        four_bits(table("two buckets", 2, 3, Lookup::Buckets)),
    ]);
    spec.labels = list(&[
        Label {
            name: "click",
            log1p: false,
        },
        Label {
            name: "watch",
            log1p: true,
        },
    ]);
    let rows = |table, pooling, weighted, divisor| Rows {
        table,
        max_len: 5,
        pooling,
        weighted,
        divisor,
    };
    let rate = |decay| Rate {
        label: 1,
        decay,
        prior: 0.3,
        strength: 5.5,
    };
    let key_rate = |key, buckets, decay| KeyRate {
        label: 0,
        key,
        buckets,
        decay,
        prior: 0.1,
        strength: 2.0,
    };
    spec.features = list(&[
        feature(
            "user",
            Side::User,
            Column,
            Row {
                table: 0,
                default_row: 2,
            },
        ),
        feature(
            "item",
            Side::Item,
            Column,
            Row {
                table: 1,
                default_row: 0,
            },
        ),
        feature(
            "author",
            Side::Candidate,
            Column,
            Row {
                table: 2,
                default_row: 7,
            },
        ),
        feature("age", Side::Candidate, Column, number(true, true, Some(4))),
        feature("tags", Side::Item, Column, rows(2, Pooling::Mean, true, 1)),
        feature("seen", Side::User, Column, rows(1, Pooling::Sum, true, 3)),
        feature(
            "words",
            Side::Cross,
            Column,
            rows(3, Pooling::Sum, false, 1),
        ),
        feature("hour", Side::User, Column, number(false, false, Some(4))),
        feature("any", Side::Item, Column, number(false, true, Some(5))),
        feature(
            "user x author",
            Side::Cross,
            Cross { left: 0, right: 2 },
            Row {
                table: 1,
                default_row: 3,
            },
        ),
        feature(
            "hour x item",
            Side::Cross,
            Cross { left: 7, right: 1 },
            Row {
                table: 0,
                default_row: 0,
            },
        ),
        feature(
            "last",
            Side::User,
            LastIds {
                label: 0,
                key: 1,
                len: 4,
            },
            rows(1, Pooling::Mean, false, 1),
        ),
        feature(
            "last watched",
            Side::User,
            LastIds {
                label: 1,
                key: 2,
                len: 7,
            },
            rows(2, Pooling::Sum, false, 2),
        ),
        feature(
            "clicks",
            Side::User,
            Count { label: 0 },
            number(true, true, None),
        ),
        feature(
            "rate",
            Side::User,
            rate(Decay::None),
            number(false, true, None),
        ),
        feature(
            "recent rate",
            Side::User,
            rate(Decay::Events(700)),
            number(false, true, Some(4)),
        ),
        feature(
            "late rate",
            Side::User,
            rate(Decay::Seconds(5_000)),
            number(true, true, None),
        ),
        feature(
            "author rate",
            Side::Cross,
            key_rate(2, 8, Decay::Seconds(86_400)),
            number(false, true, None),
        ),
        feature(
            "age rate",
            Side::Cross,
            key_rate(3, 5, Decay::Events(256)),
            number(false, true, None),
        ),
        feature(
            "hour rate",
            Side::Cross,
            key_rate(7, 3, Decay::None),
            number(false, false, Some(4)),
        ),
        feature(
            "since",
            Side::User,
            Since { label: 1 },
            number(true, true, None),
        ),
        feature(
            "previous",
            Side::User,
            Previous { label: 1 },
            number(false, true, Some(5)),
        ),
        feature(
            "vector",
            Side::Item,
            Column,
            Vector {
                dim: 3,
                grid: Grid {
                    inv_scale: 9.0,
                    zero_point: 64,
                },
            },
        ),
    ]);
    let of = |name| spec.features.iter().position(|f| f.name == name).unwrap() as u8;
    let combine = |left, right, operation| Combine {
        left: of(left),
        right: of(right),
        operation,
    };
    let combined = [
        feature(
            "age x rate",
            Side::Cross,
            combine("age", "recent rate", Operation::Product),
            number(false, true, None),
        ),
        feature(
            "any less age",
            Side::Candidate,
            combine("any", "age", Operation::Difference),
            number(false, true, Some(4)),
        ),
        feature(
            "since / previous",
            Side::User,
            combine("since", "previous", Operation::Ratio),
            number(true, true, None),
        ),
        feature(
            "author rate / age",
            Side::Cross,
            combine("author rate", "age", Operation::Ratio),
            number(false, true, None),
        ),
    ];
    spec.features.extend(combined);
    let of = |name| spec.features.iter().position(|f| f.name == name).unwrap() as u8;
    let crossed = feature(
        "any less age x rate",
        Side::Cross,
        Cross {
            left: of("any less age"),
            right: of("recent rate"),
        },
        Row {
            table: 1,
            default_row: 3,
        },
    );
    spec.features.push(crossed).unwrap();
    spec
}

/// Every feature, and tasks of both kinds.
pub fn every_feature(seed: u64) -> Vec<u8> {
    let mut spec = with_every_feature("every feature");
    spec.network.num_experts = 3;
    spec.network.expert_layers = list(&[7, 6, 5]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[6]),
        task("watch", TaskKind::Duration, Some(0), &[]),
        task("like", TaskKind::Binary, Some(0), &[4, 18]),
        task("share", TaskKind::Binary, Some(2), &[3]),
    ]);
    spec.fusion = list(&[
        term("click", 0, true, 1.0),
        term("watch", 1, true, 0.02),
        term("like", 2, false, -0.5),
        term("share", 3, true, 3.0),
    ]);
    file(&spec, seed)
}

/// Layers of several panels.
pub fn wide(seed: u64) -> Vec<u8> {
    let mut spec = Spec {
        name: "wide",
        ..Spec::default()
    };
    spec.tables = list(&[table("ids", 100, 16, Lookup::Hash(IdType::Int))]);
    spec.labels = list(&[Label {
        name: "click",
        log1p: false,
    }]);
    let row = Encoding::Row {
        table: 0,
        default_row: 0,
    };
    spec.features = list(&[
        feature("user", Side::User, Source::Column, row),
        feature("item", Side::Item, Source::Column, row),
        feature("author", Side::Item, Source::Column, row),
        feature(
            "both",
            Side::Cross,
            Source::Cross { left: 0, right: 1 },
            row,
        ),
    ]);
    spec.network.num_experts = 4;
    spec.network.expert_layers = list(&[64, 32]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[32]),
        task("watch", TaskKind::Duration, Some(0), &[32]),
    ]);
    spec.fusion = list(&[term("watch", 1, true, 1.0)]);
    file(&spec, seed)
}

/// Ids of two hashes, of every side that has ids: rows of one table, of 8 bits and of 4.
pub fn two_hashes(seed: u64) -> Vec<u8> {
    let mut spec = Spec {
        name: "two hashes",
        ..Spec::default()
    };
    spec.tables = list(&[
        table("ids", 23, 5, Lookup::Hash(IdType::Int)),
        four_bits(table("words", 9, 4, Lookup::Hash(IdType::Text))),
    ]);
    let row = |table, default_row| Encoding::Row { table, default_row };
    let twice = |id| Source::Cross {
        left: id,
        right: id,
    };
    spec.features = list(&[
        feature("user", Side::User, Source::Column, row(0, 0)),
        feature("item", Side::Item, Source::Column, row(0, 7)),
        feature("word", Side::Candidate, Source::Column, row(1, 0)),
        feature("user:hash2", Side::User, twice(0), row(0, 0)),
        feature("item:hash2", Side::Item, twice(1), row(0, 19)),
        feature("word:hash2", Side::Candidate, twice(2), row(1, 0)),
    ]);
    spec.network.num_experts = 2;
    spec.network.expert_layers = list(&[9, 6]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[5]),
        task("watch", TaskKind::Duration, Some(0), &[]),
    ]);
    spec.fusion = list(&[term("watch", 1, true, 1.0)]);
    file(&spec, seed)
}

/// One expert of one layer, whose outputs are not quantized before the mixture; heads on the mixture; no fusion.
pub fn shallow(seed: u64) -> Vec<u8> {
    let mut spec = Spec {
        name: "",
        ..Spec::default()
    };
    spec.tables = list(&[
        table("ids", VOCABULARY + 1, 4, Lookup::Vocabulary(IdType::Int)),
        four_bits(table("ages", 4, 1, Lookup::Buckets)),
    ]);
    spec.labels = list(&[Label {
        name: "click",
        log1p: false,
    }]);
    let rate = Source::Rate {
        label: 0,
        decay: Decay::Events(512),
        prior: 0.5,
        strength: 1.0,
    };
    spec.features = list(&[
        feature(
            "item",
            Side::Item,
            Source::Column,
            Encoding::Row {
                table: 0,
                default_row: 1,
            },
        ),
        feature(
            "age",
            Side::Candidate,
            Source::Column,
            number(true, true, Some(1)),
        ),
        feature("rate", Side::User, rate, number(false, true, None)),
    ]);
    spec.network.num_experts = 1;
    spec.network.expert_layers = list(&[9]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[]),
        task("watch", TaskKind::Duration, Some(0), &[]),
    ]);
    file(&spec, seed)
}
