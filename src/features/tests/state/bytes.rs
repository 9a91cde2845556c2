//! The bytes of a state: what they depend on, whose they are, and how broken ones are found.
use std::prelude::v1::*;

use super::*;

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
                Column | Cross { .. } | Source::Combine { .. } | Source::Attention { .. } => {}
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
