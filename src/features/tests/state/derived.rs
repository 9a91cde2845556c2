//! Derived features against their definitions over the whole past.
use std::prelude::v1::*;

use super::*;

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
