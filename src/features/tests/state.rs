//! The user state under events, in a model that derives from every source.
use std::prelude::v1::*;

use super::super::state as code;
use super::super::*;
use super::Random;
use crate::error::Status;
use crate::spec::{
    Decay, Encoding, Feature, IdType, Label, Lookup, NumberGrid, Side, Source, Spec, Table,
};
use crate::spec::{Pooling, Transform, limits};

mod bytes;
mod derived;

const NUMBER: Encoding = Encoding::Number {
    transform: Transform {
        low: 0.0,
        high: 1e6,
        log1p: true,
        shift: 0.0,
        scale: 1.0,
    },
    default: 0.0,
    value: Some(NumberGrid {
        bytes: 1,
        inv_scale: 8.0,
        zero_point: 0,
    }),
    buckets: None,
};
const IDS: Encoding = Encoding::Rows {
    table: 0,
    max_len: 5,
    pooling: Pooling::Mean,
    weighted: false,
    divisor: 1,
};

/// Derived sources of the model under test. Label 0 is binary, 1 a duration kept as ln(1 + value), 2 a duration;
/// feature 0 is an id, 1 a bucketed number.
const SOURCES: [Source; 13] = [
    Source::LastIds {
        label: 0,
        key: 0,
        len: 5,
    },
    Source::LastIds {
        label: 2,
        key: 1,
        len: 1,
    },
    Source::Count { label: 0 },
    Source::Rate {
        label: 0,
        decay: Decay::None,
        prior: 0.3,
        strength: 5.0,
    },
    Source::Rate {
        label: 0,
        decay: Decay::Events(256 * 7),
        prior: 0.1,
        strength: 2.0,
    },
    Source::Rate {
        label: 2,
        decay: Decay::Events(256_000),
        prior: 9.0,
        strength: 1e-6,
    },
    Source::Rate {
        label: 1,
        decay: Decay::Seconds(3_600),
        prior: 2.0,
        strength: 3.0,
    },
    Source::KeyRate {
        label: 0,
        key: 0,
        buckets: 8,
        decay: Decay::Seconds(500),
        prior: 0.2,
        strength: 1.0,
    },
    Source::KeyRate {
        label: 2,
        key: 1,
        buckets: 3,
        decay: Decay::Events(100),
        prior: 4.0,
        strength: 5.0,
    },
    Source::Since { label: 0 },
    Source::Since { label: 2 },
    Source::Previous { label: 1 },
    Source::Previous { label: 2 },
];
const FIRST: usize = 2;

fn spec() -> Spec<'static> {
    spec_of(&SOURCES)
}

fn spec_of(sources: &[Source]) -> Spec<'static> {
    let mut spec = Spec {
        name: "m",
        ..Spec::default()
    };
    for (name, log1p) in [("click", false), ("watch", true), ("stay", false)] {
        spec.labels.push(Label { name, log1p }).unwrap();
    }
    for (name, lookup) in [
        ("video", Lookup::Vocabulary(IdType::Int)),
        ("hours", Lookup::Buckets),
    ] {
        spec.tables
            .push(Table {
                name,
                num_embeddings: 9,
                embedding_dim: 4,
                bits: 8,
                lookup,
            })
            .unwrap();
    }
    let id = Encoding::Row {
        table: 0,
        default_row: 0,
    };
    let hour = match NUMBER {
        Encoding::Number {
            transform,
            default,
            value,
            ..
        } => Encoding::Number {
            transform,
            default,
            value,
            buckets: Some(1),
        },
        other => other,
    };
    let column = Source::Column;
    for (name, encoding) in [("video", id), ("hour", hour)] {
        spec.features
            .push(Feature {
                name,
                side: Side::Item,
                source: column,
                encoding,
            })
            .unwrap();
    }
    for (i, source) in sources.iter().enumerate() {
        let encoding = if matches!(source, Source::LastIds { .. }) {
            IDS
        } else {
            NUMBER
        };
        let name = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
        ][i];
        spec.features
            .push(Feature {
                name,
                side: Side::User,
                source: *source,
                encoding,
            })
            .unwrap();
    }
    spec
}

fn fresh(spec: &Spec<'_>) -> Vec<u8> {
    let mut state = vec![0xA5; state_bytes(spec)];
    reset(spec, &mut state).unwrap();
    state
}

#[derive(Clone, Debug)]
struct Past {
    time: i64,
    label: u8,
    value: f32,
    keys: Vec<Key>,
}

impl Past {
    fn event(&self) -> Event<'_> {
        Event {
            time: self.time,
            label: self.label,
            value: self.value,
            keys: &self.keys,
        }
    }
}

/// A user's life, mostly in order of time, with every oddity that `apply` accepts.
fn life(random: &mut Random, len: usize) -> Vec<Past> {
    let mut time = 1_700_000_000;
    (0..len)
        .map(|_| {
            time += [0, 1, 40, 2_000][random.below(4) as usize];
            let late = if random.below(8) == 0 {
                random.below(900) as i64
            } else {
                0
            };
            let label = random.below(3) as u8;
            let odd = [-3.0, 1e9, f32::INFINITY, 1e-7, 0.0, -0.0];
            let value = match (label, random.below(20)) {
                (0, _) => random.below(2) as f32,
                (_, 0) => odd[random.below(6) as usize],
                _ => random.unit() * 90.0,
            };
            let mut keys = Vec::new();
            for feature in [1, 0] {
                if random.below(10) > 0 {
                    keys.push(Key {
                        feature,
                        hash: hash_int(random.below(12)),
                    });
                }
            }
            Past {
                time: time - late,
                label,
                value,
                keys,
            }
        })
        .collect()
}

#[test]
fn a_refused_event_leaves_the_state_unchanged() {
    let spec = spec();
    let mut state = fresh(&spec);
    let good = Event {
        time: 5,
        label: 0,
        value: 1.0,
        keys: &[],
    };
    apply(&spec, &mut state, &[good]).unwrap();
    let before = state.clone();
    let stranger = [Key {
        feature: spec.features.len() as u8,
        hash: 0,
    }];
    for (bad, status) in [
        (Event { label: 3, ..good }, Status::UnknownLabel),
        (Event { label: 255, ..good }, Status::UnknownLabel),
        (
            Event {
                keys: &stranger,
                ..good
            },
            Status::UnknownLabel,
        ),
        (
            Event {
                time: TIME_MAX + 1,
                ..good
            },
            Status::BadTime,
        ),
        (
            Event {
                time: -TIME_MAX - 1,
                ..good
            },
            Status::BadTime,
        ),
        (
            Event {
                time: i64::MIN,
                ..good
            },
            Status::BadTime,
        ),
        (
            Event {
                time: 1_700_000_000_000,
                ..good
            },
            Status::BadTime,
        ),
        (
            Event {
                value: f32::NAN,
                ..good
            },
            Status::NotFinite,
        ),
    ] {
        assert_eq!(
            apply(&spec, &mut state, &[good, bad]).unwrap_err().status,
            status
        );
        assert_eq!(state, before);
    }
    for time in [TIME_MAX, -TIME_MAX] {
        apply(&spec, &mut state, &[Event { time, ..good }]).unwrap();
    }
}

#[test]
fn a_model_without_derived_features_takes_any_state_and_event() {
    let spec = spec_of(&[]);
    assert_eq!(state_bytes(&spec), 0);
    let mut state = [7; 5];
    reset(&spec, &mut state).unwrap();
    check(&spec, &state).unwrap();
    apply(
        &spec,
        &mut state,
        &[Event {
            time: i64::MIN,
            label: 99,
            value: f32::NAN,
            keys: &[],
        }],
    )
    .unwrap();
    assert_eq!(state, [7; 5]);
    assert_eq!(key_features(&spec).count(), 0);
}

#[test]
fn key_features_are_those_that_derived_features_read() {
    assert_eq!(key_features(&spec()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(
        key_features(&spec_of(&SOURCES[1..7])).collect::<Vec<_>>(),
        [1]
    );
    let most = Source::KeyRate {
        label: 0,
        key: 0,
        buckets: limits::KEY_BUCKETS as u16,
        decay: Decay::Seconds(1),
        prior: 0.0,
        strength: 1.0,
    };
    assert_eq!(state_bytes(&spec_of(&[most; 3])), 32 + 3 * 24 * 1024);
}
