use std::prelude::v1::*;

use super::super::state as code;
use super::super::*;
use super::Random;
use crate::error::Status;
use crate::spec::{
    Decay, Encoding, Feature, IdType, Label, Lookup, NumberGrid, Side, Source, Spec, Table,
};
use crate::spec::{Pooling, Transform, limits};

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

/// What state remembers of a value.
fn remembered(spec: &Spec<'_>, past: &Past) -> f64 {
    let value = f64::from(past.value.max(0.0));
    let log1p = spec.labels[usize::from(past.label)].log1p;
    if log1p { value.ln_1p() } else { value }.min(65_535.0)
}

/// The derived number by its definition, over the whole past, in f64.
fn naive(
    spec: &Spec<'_>,
    source: &Source,
    life: &[Past],
    now: i64,
    key: Option<u64>,
) -> Option<f64> {
    let of = |label: u8| life.iter().filter(move |p| p.label == label);
    let rate = |past: Vec<&Past>, decay, prior: f32, strength: f32| {
        let mut latest = i64::MIN;
        // An event that comes late counts as of the latest one before it.
        let times: Vec<i64> = past
            .iter()
            .map(|p| {
                latest = latest.max(p.time);
                latest
            })
            .collect();
        let (mut sum, mut weight) = (0.0, 0.0);
        for (i, p) in past.iter().enumerate() {
            let half_lives = match decay {
                Decay::None => 0.0,
                Decay::Events(h) => (past.len() - 1 - i) as f64 * 256.0 / f64::from(h),
                Decay::Seconds(h) => (now.max(latest) - times[i]) as f64 / f64::from(h),
            };
            let left = (-half_lives).exp2();
            sum += left * remembered(spec, p);
            weight += left;
        }
        (sum + f64::from(prior) * f64::from(strength)) / (weight + f64::from(strength))
    };
    match *source {
        Source::Count { label } => Some(of(label).filter(|p| p.value > 0.0).count() as f64),
        Source::Rate {
            label,
            decay,
            prior,
            strength,
        } => Some(rate(of(label).collect(), decay, prior, strength)),
        Source::KeyRate {
            label,
            key: feature,
            buckets,
            decay,
            prior,
            strength,
        } => {
            let bucket = |hash: u64| (u128::from(hash) * u128::from(buckets)) >> 64;
            let here = key.map(bucket)?;
            let same = |p: &&Past| {
                p.keys
                    .iter()
                    .any(|k| k.feature == feature && bucket(k.hash) == here)
            };
            Some(rate(
                of(label).filter(same).collect(),
                decay,
                prior,
                strength,
            ))
        }
        Source::Since { label } => {
            let last = of(label).filter(|p| p.value > 0.0).map(|p| p.time).max()?;
            Some((now - last).max(0) as f64)
        }
        Source::Previous { label } => of(label).next_back().map(|p| remembered(spec, p)),
        _ => None,
    }
}

fn naive_ids(source: &Source, life: &[Past]) -> Vec<u64> {
    let Source::LastIds { label, key, len } = *source else {
        return Vec::new();
    };
    let id = |p: &Past| p.keys.iter().find(|k| k.feature == key).map(|k| k.hash);
    let positive = life
        .iter()
        .rev()
        .filter(|p| p.label == label && p.value > 0.0);
    positive.filter_map(id).take(usize::from(len)).collect()
}

#[test]
fn every_derived_feature_is_its_definition_over_the_whole_past() {
    let spec = spec();
    let mut random = Random(11);
    for user in 0..30 {
        let life = life(&mut random, 400);
        let mut state = fresh(&spec);
        for (n, past) in life.iter().enumerate() {
            apply(&spec, &mut state, &[past.event()]).unwrap();
            if n % 37 != 0 && n + 1 < life.len() {
                continue;
            }
            let lived = &life[..=n];
            let later = [-5_000, 0, 1, 700, 1 << 40][random.below(5) as usize];
            let now = past.time + later;
            assert_eq!(last_time(&state), lived.iter().map(|p| p.time).max());
            for (i, source) in SOURCES.iter().enumerate() {
                let key = (random.below(5) > 0).then(|| hash_int(random.below(14)));
                let ours = number(&spec, Some(&state), FIRST + i, now, key);
                let exact = naive(&spec, source, lived, now, key);
                let close = match (ours, exact) {
                    (Some(ours), Some(exact)) => {
                        (f64::from(ours) - exact).abs() <= 2e-6 * exact.abs().max(1.0)
                    }
                    (ours, exact) => ours.is_none() && exact.is_none(),
                };
                assert!(
                    close,
                    "user {user}, event {n}, {source:?}: {ours:?}, not {exact:?}"
                );
                let ids: Vec<u64> = last_ids(&spec, Some(&state), FIRST + i).collect();
                assert_eq!(ids, naive_ids(source, lived));
            }
        }
    }
}

#[test]
fn a_user_without_a_past_reads_the_same_with_a_state_and_without() {
    let spec = spec();
    let state = fresh(&spec);
    assert_eq!(last_time(&state), None);
    for feature in 0..spec.features.len() + 2 {
        for key in [None, Some(0), Some(u64::MAX)] {
            let read = |state| number(&spec, state, feature, 5, key);
            assert_eq!(read(Some(&state)), read(None));
            assert_eq!(last_ids(&spec, Some(&state), feature).count(), 0);
            assert_eq!(last_ids(&spec, None, feature).count(), 0);
        }
    }
    let of = |i: usize, key| number(&spec, None, FIRST + i, 5, key);
    assert_eq!([of(2, None), of(3, None)], [Some(0.0), Some(0.3)]);
    assert_eq!(
        [of(7, Some(9)), of(7, None), of(9, None), of(11, None)],
        [Some(0.2), None, None, None]
    );
}

#[test]
fn rates_move_back_to_the_prior_as_seconds_pass() {
    let spec = spec();
    let mut state = fresh(&spec);
    let event = Event {
        time: 1_000,
        label: 1,
        value: 50.0,
        keys: &[],
    };
    apply(&spec, &mut state, &[event; 20]).unwrap();
    let at = |now| number(&spec, Some(&state), FIRST + 6, now, None).unwrap();
    let rates: Vec<f32> = (0..60).map(|hours| at(1_000 + 3_600 * hours)).collect();
    assert!(
        rates.is_sorted_by(|a, b| a >= b) && rates[0] > rates[1],
        "{rates:?}"
    );
    assert_eq!([rates[59], at(i64::MAX)], [2.0, 2.0]);
}

#[test]
fn an_event_after_now_weighs_as_if_it_had_just_happened() {
    let spec = spec();
    let mut state = fresh(&spec);
    let keys = [Key {
        feature: 0,
        hash: 3,
    }];
    let events = [0, 1, 2].map(|label| Event {
        time: 9_000,
        label,
        value: 1.0,
        keys: &keys,
    });
    apply(&spec, &mut state, &events).unwrap();
    for (i, source) in SOURCES.iter().enumerate() {
        let read = |now| number(&spec, Some(&state), FIRST + i, now, Some(3));
        for before in [8_999, 0, -9_000, i64::MIN] {
            assert_eq!(read(before), read(9_000), "{source:?}");
        }
    }
}

#[test]
fn the_bytes_depend_on_events_alone() {
    let spec = spec();
    let bytes = state_bytes(&spec);
    let life = life(&mut Random(12), 3_000);
    let events: Vec<Event<'_>> = life.iter().map(Past::event).collect();
    let mut once = fresh(&spec);
    apply(&spec, &mut once, &events).unwrap();
    for offset in 0..9 {
        // Another address, another split of the events into calls, a longer buffer.
        let mut buffer = vec![0x5A; bytes + 20];
        reset(&spec, &mut buffer[offset..]).unwrap();
        for part in events.chunks(1 + 97 * offset) {
            apply(&spec, &mut buffer[offset..], part).unwrap();
        }
        assert_eq!(buffer[offset..offset + bytes], once);
        assert!(
            buffer[..offset]
                .iter()
                .chain(&buffer[offset + bytes..])
                .all(|b| *b == 0x5A)
        );
    }
    // The bytes of this life on every machine; a change is a new STATE_VERSION.
    assert_eq!((STATE_VERSION, bytes), (1, 452));
    assert_eq!(hash_text(&once), 0x57EF_2154_C46A_57EA);
}

#[test]
fn a_changed_byte_is_detected() {
    let spec = spec();
    let mut state = fresh(&spec);
    let life = life(&mut Random(13), 200);
    let events: Vec<Event<'_>> = life.iter().map(Past::event).collect();
    apply(&spec, &mut state, &events).unwrap();
    check(&spec, &state).unwrap();
    for at in 0..state.len() {
        for change in [1, 2, 0x40, 0x80, 0xFF] {
            state[at] ^= change;
            let status = check(&spec, &state).unwrap_err().status;
            // Magic, version and layout digest say whose state it is; the rest, that it is broken.
            let whose = at < 6 || (8..16).contains(&at);
            let expected = if whose {
                Status::StateLayout
            } else {
                Status::StateCorrupt
            };
            assert_eq!(status, expected, "byte {at}");
            let changed = state.clone();
            assert_eq!(
                apply(&spec, &mut state, &events).unwrap_err().status,
                expected
            );
            assert_eq!(state, changed);
            state[at] ^= change;
        }
    }
}

#[test]
fn a_short_state_is_refused_with_the_bytes_it_needs() {
    let spec = spec();
    let need = state_bytes(&spec);
    let state = fresh(&spec);
    for len in [0, 1, 31, 32, 33, need - 1] {
        let mut short = state[..len].to_vec();
        let errors = [
            check(&spec, &short).unwrap_err(),
            reset(&spec, &mut short).unwrap_err(),
            apply(&spec, &mut short, &[]).unwrap_err(),
        ];
        assert!(
            errors
                .iter()
                .all(|e| e.status == Status::BufferTooSmall && e.offset == need as u64)
        );
        assert_eq!(short, state[..len]);
    }
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
fn an_event_without_a_key_feeds_the_features_that_need_none() {
    let spec = spec();
    let mut state = fresh(&spec);
    apply(
        &spec,
        &mut state,
        &[Event {
            time: 5,
            label: 0,
            value: 1.0,
            keys: &[],
        }],
    )
    .unwrap();
    let read = |i: usize| number(&spec, Some(&state), FIRST + i, 5, Some(1));
    assert_eq!(
        [read(2), read(7), read(9)],
        [Some(1.0), Some(0.2), Some(0.0)]
    );
    assert_eq!(last_ids(&spec, Some(&state), FIRST).count(), 0);
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
fn a_state_is_shared_exactly_by_models_whose_derived_features_agree() {
    let base = spec();
    let state = fresh(&base);
    let accepts = |change: &dyn Fn(&mut Spec<'static>)| {
        let mut other = spec();
        change(&mut other);
        check(&other, &state)
    };
    let source = |i: usize, source: Source| {
        move |spec: &mut Spec<'static>| spec.features[FIRST + i].source = source
    };

    accepts(&|spec| spec.name = "another").unwrap();
    accepts(&|spec| spec.features[FIRST].name = "renamed").unwrap();
    accepts(&|spec| spec.tables[0].num_embeddings = 99).unwrap();
    accepts(&|spec| spec.features[1].side = Side::Candidate).unwrap();
    accepts(&source(
        3,
        Source::Rate {
            label: 0,
            decay: Decay::None,
            prior: 0.4,
            strength: 6.0,
        },
    ))
    .unwrap();
    accepts(&|spec| {
        let column = Feature {
            name: "new",
            ..spec.features[0]
        };
        spec.features.push(column).unwrap();
        spec.labels
            .push(Label {
                name: "new",
                log1p: false,
            })
            .unwrap();
    })
    .unwrap();
    // The same labels and features at other indices.
    accepts(&|spec| {
        spec.labels.swap(0, 2);
        spec.features.swap(0, 1);
        for feature in &mut spec.features {
            use Source::{Column, Count, Cross, KeyRate, LastIds, Previous, Rate, Since};
            match &mut feature.source {
                Column | Cross { .. } | Source::Combine { .. } => {}
                LastIds { label, key, .. } | KeyRate { label, key, .. } => {
                    (*label, *key) = (2 - *label, 1 - *key);
                }
                Count { label } | Rate { label, .. } | Since { label } | Previous { label } => {
                    *label = 2 - *label;
                }
            }
        }
    })
    .unwrap();

    let changes: [&dyn Fn(&mut Spec<'static>); 13] = [
        &source(
            0,
            Source::LastIds {
                label: 0,
                key: 0,
                len: 4,
            },
        ),
        &source(
            0,
            Source::LastIds {
                label: 1,
                key: 0,
                len: 5,
            },
        ),
        &source(
            0,
            Source::LastIds {
                label: 0,
                key: 1,
                len: 5,
            },
        ),
        &source(9, Source::Since { label: 1 }),
        &source(12, Source::Count { label: 2 }),
        &source(
            3,
            Source::Rate {
                label: 0,
                decay: Decay::Events(9),
                prior: 0.3,
                strength: 5.0,
            },
        ),
        &source(
            4,
            Source::Rate {
                label: 0,
                decay: Decay::Events(9),
                prior: 0.1,
                strength: 2.0,
            },
        ),
        &source(
            6,
            Source::Rate {
                label: 1,
                decay: Decay::Seconds(3_601),
                prior: 2.0,
                strength: 3.0,
            },
        ),
        &|spec| spec.labels[1].log1p = false,
        &|spec| spec.labels[2].name = "leave",
        &|spec| spec.features[0].name = "author",
        &|spec| spec.tables[0].lookup = Lookup::Hash(IdType::Text),
        &|spec| spec.features.swap(FIRST + 9, FIRST + 10),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let status = accepts(change).unwrap_err().status;
        let refused = matches!(status, Status::StateLayout | Status::BufferTooSmall);
        assert!(refused, "change {i}: {status:?}");
    }
}

#[test]
fn saturated_counters_stay_where_they_are() {
    let spec = spec_of(&[
        Source::Count { label: 2 },
        Source::Rate {
            label: 2,
            decay: Decay::None,
            prior: 0.0,
            strength: 1.0,
        },
    ]);
    let mut state = fresh(&spec);
    // Count, sum and weight as they would be after a very long life.
    state[32..52].fill(0xFF);
    let mut header = code::Header::read(state.first_chunk().unwrap());
    header = header.sealed(&state[32..]);
    header.write(state.first_chunk_mut().unwrap());
    apply(
        &spec,
        &mut state,
        &[Event {
            time: 1,
            label: 2,
            value: 65_535.0,
            keys: &[],
        }],
    )
    .unwrap();
    assert!(state[32..52].iter().all(|b| *b == 0xFF));
    assert_eq!(
        number(&spec, Some(&state), FIRST, 1, None),
        Some(u32::MAX as f32)
    );
    assert_eq!(number(&spec, Some(&state), FIRST + 1, 1, None), Some(1.0));
}

#[test]
fn slots_read_within_bounds_whatever_their_bytes() {
    let spec = spec();
    let mut random = Random(14);
    for _ in 0..2_000 {
        let mut state: Vec<u8> = (0..state_bytes(&spec))
            .map(|_| random.next() as u8)
            .collect();
        state.truncate(random.below(900) as usize);
        for feature in 0..spec.features.len() {
            let now = random.next() as i64;
            if let Some(x) = number(&spec, Some(&state), feature, now, Some(random.next())) {
                let stored = matches!(spec.features[feature].source, Source::Previous { .. });
                assert!(stored || x.is_finite());
            }
            assert!(last_ids(&spec, Some(&state), feature).count() <= 5);
        }
    }
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
