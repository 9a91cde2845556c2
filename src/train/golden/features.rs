//! Features, tables and look-ups of a golden model.
use std::prelude::v1::*;

use super::Draw;
use crate::features::{hash_int, hash_text};
use crate::spec::{
    Decay, Encoding, Feature, Grid, IdType, Label, Lookup, NumberGrid, Operation, Pooling, Side,
    Source, Spec, Table, Transform,
};
use crate::train::quantize::Lookups;
use crate::train::vocabulary;

/// Ids of vocabularies are 0 to this, less one, or `city0`, `city1`, ...
pub(super) const IDS: usize = 9;

/// Id `i` of a text vocabulary.
pub(super) fn text(i: usize) -> String {
    format!("city{i}")
}

struct Builder {
    spec: Spec<'static>,
    lookups: Lookups,
    draw: Draw,
    all: bool,
    drawn: usize,
}

/// A spec without network and tasks, and what its features look up.
pub(super) fn spec(draw: Draw, all: bool) -> (Spec<'static>, Lookups) {
    let mut b = Builder {
        spec: Spec {
            name: "golden",
            ..Spec::default()
        },
        lookups: Lookups::default(),
        draw,
        all,
        drawn: 0,
    };
    for (name, log1p) in [("click", false), ("watch", true)] {
        let _ = b.spec.labels.push(Label { name, log1p });
    }
    let items = b.table("item", Lookup::Hash(IdType::Int));
    let cities = b.table("city", Lookup::Vocabulary(IdType::Text));
    let tags = b.table("tag", Lookup::Vocabulary(IdType::Int));
    let words = b.table("word", Lookup::Hash(IdType::Text));
    let crosses = b.table("cross", Lookup::Hash(IdType::Int));

    // Keys of other features come first and always.
    let item = b.feature("item", Side::Item, Source::Column, row(items, 1));
    let city = b.feature("city", Side::User, Source::Column, row(cities, 2));
    let length = b.bucketed("length", Side::Item, Source::Column, false);
    b.optional(|b| {
        b.feature(
            "tags",
            Side::User,
            Source::Column,
            rows(tags, Pooling::Mean, false),
        )
    });
    b.optional(|b| {
        b.feature(
            "item_tags",
            Side::Item,
            Source::Column,
            rows(tags, Pooling::Sum, true),
        )
    });
    b.optional(|b| {
        b.feature(
            "words",
            Side::Candidate,
            Source::Column,
            rows(words, Pooling::Mean, true),
        )
    });
    b.optional(|b| {
        b.feature(
            "found",
            Side::Cross,
            Source::Column,
            rows(words, Pooling::Sum, false),
        )
    });
    b.optional(|b| b.feature("word", Side::Candidate, Source::Column, row(words, 0)));
    b.optional(|b| b.bucketed("age", Side::User, Source::Column, true));
    b.optional(|b| b.number("server_score", Side::Candidate, Source::Column));
    b.optional(|b| b.number("size", Side::Item, Source::Column));
    for (name, side) in [
        ("profile", Side::User),
        ("image", Side::Item),
        ("context", Side::Candidate),
        ("match", Side::Cross),
    ] {
        b.optional(|b| {
            let encoding = Encoding::Vector {
                dim: b.next().int(1, 5) as u16,
                grid: Grid {
                    inv_scale: 32.0,
                    zero_point: b.next().int(0, 127) as u8,
                },
            };
            b.feature(name, side, Source::Column, encoding)
        });
    }
    let cross = |left, right| Source::Cross { left, right };
    b.optional(|b| {
        b.feature(
            "city_x_item",
            Side::Cross,
            cross(city, item),
            row(crosses, 0),
        )
    });
    b.optional(|b| {
        b.feature(
            "length_x_item",
            Side::Item,
            cross(length, item),
            row(crosses, 0),
        )
    });
    b.derived(items, item, length);
    // Seldom: with what they take, a `single` network of several tasks is rarely small enough.
    if b.next().chance(20) || b.all {
        b.combined(crosses, item, length);
    }
    (b.spec, b.lookups)
}

fn row(table: u8, default_row: u32) -> Encoding {
    Encoding::Row { table, default_row }
}

fn rows(table: u8, pooling: Pooling, weighted: bool) -> Encoding {
    Encoding::Rows {
        table,
        max_len: 4,
        pooling,
        weighted,
        divisor: if pooling == Pooling::Sum { 3 } else { 1 },
    }
}

impl Builder {
    fn next(&mut self) -> Draw {
        self.drawn += 1;
        self.draw.at(self.drawn)
    }

    fn table(&mut self, name: &'static str, lookup: Lookup) -> u8 {
        let draw = self.next();
        let mut keys: Vec<u64> = match lookup {
            Lookup::Vocabulary(IdType::Int) => (0..IDS as u64).map(hash_int).collect(),
            Lookup::Vocabulary(IdType::Text) => {
                (0..IDS).map(|i| hash_text(text(i).as_bytes())).collect()
            }
            _ => Vec::new(),
        };
        let num_embeddings = match lookup {
            Lookup::Vocabulary(_) => 1 + keys.len(),
            _ => draw.at(0).int(4, 12),
        };
        let table = Table {
            name,
            num_embeddings: num_embeddings as u32,
            embedding_dim: draw.at(1).int(1, 4) as u16,
            bits: if draw.at(2).chance(40) { 4 } else { 8 },
            lookup,
        };
        let _ = self.spec.tables.push(table);
        self.lookups.vocabularies.push(vocabulary::build(&mut keys));
        self.spec.tables.len() as u8 - 1
    }

    fn feature(
        &mut self,
        name: &'static str,
        side: Side,
        source: Source,
        encoding: Encoding,
    ) -> u8 {
        let _ = self.spec.features.push(Feature {
            name,
            side,
            source,
            encoding,
        });
        self.lookups.boundaries.push(Vec::new());
        self.spec.features.len() as u8 - 1
    }

    fn optional(&mut self, add: impl FnOnce(&mut Self) -> u8) {
        if self.next().chance(60) || self.all {
            add(self);
        }
    }

    /// A transform, and the grid of its range.
    fn transform(&mut self) -> (Transform, NumberGrid) {
        let draw = self.next();
        let transform = Transform {
            low: -0.5,
            high: draw.at(0).int(2, 50) as f32,
            log1p: draw.at(1).chance(50),
            shift: draw.at(2).normal(),
            scale: if draw.at(3).chance(20) { -0.5 } else { 0.5 },
        };
        let ends = [
            transform.apply(transform.low),
            transform.apply(transform.high),
            0.0,
        ];
        let low = ends.into_iter().fold(0.0, f32::min);
        let bytes = draw.at(4).int(1, 8) as u8;
        let steps = 127.0 * f32::from(bytes);
        let inv_scale = steps / (ends.into_iter().fold(0.0, f32::max) - low);
        let zero_point = (-low * inv_scale).clamp(0.0, steps) as u16;
        (
            transform,
            NumberGrid {
                inv_scale,
                zero_point,
                bytes,
            },
        )
    }

    fn number(&mut self, name: &'static str, side: Side, source: Source) -> u8 {
        let (transform, grid) = self.transform();
        let encoding = Encoding::Number {
            transform,
            default: 1.0,
            value: Some(grid),
            buckets: None,
        };
        self.feature(name, side, source, encoding)
    }

    fn bucketed(&mut self, name: &'static str, side: Side, source: Source, value: bool) -> u8 {
        let (transform, grid) = self.transform();
        let table = self.table(name, Lookup::Buckets);
        let encoding = Encoding::Number {
            transform,
            default: 2.0,
            value: value.then_some(grid),
            buckets: Some(table),
        };
        let index = self.feature(name, side, source, encoding);
        let boundaries = self.spec.tables[usize::from(table)].num_embeddings as usize - 2;
        self.lookups.boundaries[usize::from(index)] =
            (0..boundaries).map(|i| (i * i) as f32 * 0.75).collect();
        index
    }

    /// Numbers of two numbers, and a cross of one that no column has.
    fn combined(&mut self, crosses: u8, item: u8, length: u8) -> u8 {
        let rate = Source::Rate {
            label: 1,
            decay: Decay::Events(1024),
            prior: 1.0,
            strength: 1.0,
        };
        let watched = self.bucketed("watched", Side::User, rate, true);
        let combine = |left, right, operation| Source::Combine {
            left,
            right,
            operation,
        };
        for (name, side, source) in [
            (
                "watched_x_length",
                Side::Cross,
                combine(watched, length, Operation::Product),
            ),
            (
                "watched_less_length",
                Side::Cross,
                combine(watched, length, Operation::Difference),
            ),
            (
                "watched_per_watched",
                Side::User,
                combine(watched, watched, Operation::Ratio),
            ),
        ] {
            self.number(name, side, source);
        }
        let per_length = combine(watched, length, Operation::Ratio);
        let per_length = self.bucketed("watched_per_length", Side::Cross, per_length, false);
        let cross = Source::Cross {
            left: per_length,
            right: item,
        };
        self.feature(
            "watched_per_length_x_item",
            Side::Cross,
            cross,
            row(crosses, 0),
        )
    }

    fn derived(&mut self, items: u8, item: u8, length: u8) {
        let last = Source::LastIds {
            label: 0,
            key: item,
            len: 3,
        };
        self.optional(|b| {
            b.feature(
                "last_items",
                Side::User,
                last,
                rows(items, Pooling::Mean, false),
            )
        });
        self.optional(|b| b.number("clicks", Side::User, Source::Count { label: 0 }));
        let decays = [
            ("rate", Decay::None),
            ("rate_of_8", Decay::Events(2048)),
            ("rate_of_day", Decay::Seconds(86_400)),
        ];
        for (name, decay) in decays {
            let source = Source::Rate {
                label: 0,
                decay,
                prior: 0.25,
                strength: 5.0,
            };
            self.optional(|b| b.number(name, Side::User, source));
        }
        for (name, key, decay) in [
            ("item_rate", item, Decay::Events(512)),
            ("length_rate", length, Decay::None),
        ] {
            let source = Source::KeyRate {
                label: 1,
                key,
                buckets: 4,
                decay,
                prior: 1.5,
                strength: 2.0,
            };
            self.optional(|b| b.number(name, Side::Cross, source));
        }
        self.optional(|b| b.number("since_watch", Side::User, Source::Since { label: 1 }));
        self.optional(|b| b.number("previous_watch", Side::User, Source::Previous { label: 1 }));
    }
}
