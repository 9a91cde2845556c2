//! Changed model files are refused by name, or rank finite; never a panic. `LONG=1` takes all 255 changes of a byte.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, missing_docs)]

use pocketrank::engine::{Model, OpenOptions, Output, Scratch};
use pocketrank::error::{Error, Status};
use pocketrank::format::{digest, seal};
use pocketrank::spec::TaskKind;
use pocketrank::train::golden::{self, GoldenModel, request_for};

/// A model with every kind of feature, a small one, one that attends to lists, one whose scores are quantiles, and one
/// with two levels of experts.
fn files() -> [Vec<u8>; 5] {
    [
        golden::model(0),
        golden::model(5),
        golden::attending(1),
        quantiles(),
        golden::with_levels(1),
    ]
    .map(|model| model.bytes)
}

/// The smallest of some.
fn quantiles() -> GoldenModel {
    let models = (0..24).map(|seed| golden::with_quantiles(&golden::model(seed), seed));
    let of_quantiles = |model: &GoldenModel| {
        let mut kinds = model.spec.tasks.iter().map(|t| t.kind);
        kinds.any(|k| matches!(k, TaskKind::Quantile { .. }))
    };
    let models = models.filter(of_quantiles);
    models.min_by_key(|model| model.bytes.len()).unwrap()
}

fn masks() -> Vec<u8> {
    if std::env::var_os("LONG").is_some() {
        (1..=255).collect()
    } else {
        vec![0x01, 0x80, 0xFF]
    }
}

fn open(bytes: &[u8]) -> Result<Box<Model<'_>>, Error> {
    let mut model = Box::new(Model::new());
    model.open(bytes, &OpenOptions::default()).map(|()| model)
}

fn refusal(bytes: &[u8]) -> Status {
    match open(bytes) {
        Ok(_) => Status::Ok,
        Err(error) => error.status,
    }
}

/// Ranks a few requests made for the model as it opened.
fn ranks_finite(model: &Model<'_>, requests: u64) {
    let spec = model.spec();
    for seed in 0..requests {
        let request = request_for(spec, seed, 3);
        let columns = request.columns();
        let need = model.scratch_len(3);
        let (mut floats, mut bytes) = (vec![f32::NAN; need.floats], vec![0xFF; need.bytes]);
        let (mut order, mut fused) = ([0; 3], [f32::NAN; 3]);
        let mut scores = vec![f32::NAN; 3 * spec.tasks.len()];
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut order,
            fused: &mut fused,
            scores: &mut scores,
            terms: &mut [],
        };
        let answer = model.rank(&request.as_request(&columns), &mut scratch, &mut output);
        answer.unwrap_or_else(|e| panic!("a request made for the model is refused: {e:?}"));
        assert!(fused.iter().chain(&scores).all(|x| x.is_finite()));
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }
}

#[test]
fn every_truncation_is_refused() {
    for bytes in files() {
        for len in 0..bytes.len() {
            assert_eq!(refusal(&bytes[..len]), Status::Truncated, "{len}");
        }
    }
}

#[test]
fn every_changed_byte_is_refused() {
    for mut bytes in files() {
        for at in 0..bytes.len() {
            for mask in masks() {
                bytes[at] ^= mask;
                let want = match at {
                    0..8 => Status::BadMagic,
                    16..20 => Status::UnsupportedVersion,
                    20..24 => refusal(&bytes),
                    _ => Status::BadDigest,
                };
                assert_eq!(refusal(&bytes), want, "byte {at}, {mask:#x}");
                assert_ne!(want, Status::Ok, "byte {at}, {mask:#x}");
                bytes[at] ^= mask;
            }
        }
        assert_eq!(refusal(&bytes), Status::Ok);
    }
}

#[test]
fn every_byte_left_out_or_put_in_is_refused() {
    for golden in files() {
        for at in 0..golden.len() {
            let mut bytes = golden.clone();
            let byte = bytes.remove(at);
            assert_ne!(refusal(&bytes), Status::Ok, "without byte {at}");
            for inserted in [0, byte] {
                bytes = golden.clone();
                bytes.insert(at, inserted);
                assert_ne!(refusal(&bytes), Status::Ok, "{inserted} before byte {at}");
            }
        }
    }
}

#[test]
fn a_changed_byte_under_a_right_digest_is_refused_by_name_or_ranks_finite() {
    let (mut refused, mut ranked) = (0, 0);
    for golden in files() {
        for at in 16..golden.len() {
            for mask in masks() {
                let mut bytes = golden.clone();
                bytes[at] ^= mask;
                let right = digest(&bytes).to_le_bytes();
                bytes[8..16].copy_from_slice(&right);
                match open(&bytes) {
                    Ok(model) => {
                        ranked += 1;
                        ranks_finite(&model, 1);
                    }
                    Err(error) => {
                        refused += 1;
                        let status = error.status as u16;
                        assert!((200..500).contains(&status), "byte {at}: {error:?}");
                        assert_ne!(error.status, Status::BadDigest);
                    }
                }
            }
        }
    }
    assert!(refused > 3_000 && ranked > 3_000, "{refused} {ranked}");
}

#[test]
fn many_changed_bytes_under_right_digests_are_refused_by_name_or_rank_finite() {
    let [golden, _, attending, quantiles, levels] = files();
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((u128::from(state) * below as u128) >> 64) as usize
    };
    for _ in 0..if std::env::var_os("LONG").is_some() {
        100_000
    } else {
        1_000
    } {
        let mut bytes = [&golden, &attending, &quantiles, &levels][next(4)].clone();
        for _ in 0..1 + next(8) {
            let at = 56 + next(bytes.len() - 56);
            bytes[at] = match next(4) {
                0 => 0,
                1 => 0x7F,
                2 => bytes[at].wrapping_add(1),
                _ => next(256) as u8,
            };
        }
        seal(&mut bytes);
        if let Ok(model) = open(&bytes) {
            ranks_finite(&model, 3);
        }
    }
}

#[test]
fn every_sealed_truncation_is_refused() {
    // The length in the envelope and the digests are right; sections still end too early.
    for golden in files() {
        for len in 64..golden.len() {
            let mut bytes = golden[..len].to_vec();
            bytes[20..24].copy_from_slice(&(len as u32).to_le_bytes());
            let right = digest(&bytes).to_le_bytes();
            bytes[8..16].copy_from_slice(&right);
            let status = refusal(&bytes) as u16;
            assert!((200..500).contains(&status), "{len}: {status}");
        }
    }
}
