#![allow(clippy::unwrap_used)]
use std::collections::HashMap;

use super::*;
use crate::error::Status;
use crate::features::{Vocabulary, hash_int, table_row};
use crate::spec::{IdType, Lookup, Table};

fn keys(n: u64) -> Vec<u64> {
    (0..n).map(hash_int).collect()
}

#[test]
fn every_key_has_its_row_and_no_other_key_has_one() {
    for n in [0, 1, 2, 6, 7, 8, 13, 14, 15, 100, 1_000, 100_000] {
        let mut keys = keys(n);
        let bytes = build(&mut keys);
        let vocabulary = Vocabulary::check(&bytes, n as u32).unwrap();
        assert_eq!(
            (u64::from(vocabulary.len()), vocabulary.is_empty()),
            (n, n == 0)
        );
        // A naive walk over the documented bytes.
        let mut naive = HashMap::new();
        for bucket in bytes.chunks(64) {
            let word = |at: usize| u64::from_le_bytes(bucket[at..at + 8].try_into().unwrap());
            let (base, count) = (word(56) as u32, word(56) >> 32);
            for slot in 0..count as usize {
                naive.insert(word(8 * slot), 1 + base + slot as u32);
            }
        }
        assert_eq!(naive.len() as u64, n);
        assert_eq!(vocabulary.rows().collect::<HashMap<_, _>>(), naive);
        assert!(vocabulary.rows().map(|(_, row)| row).eq(1..=n as u32));
        let table = Table {
            name: "t",
            num_embeddings: n as u32 + 1,
            embedding_dim: 1,
            bits: 8,
            lookup: Lookup::Vocabulary(IdType::Int),
        };
        for id in 0..2 * n + 50 {
            let key = hash_int(id);
            let row = naive.get(&key).copied();
            assert_eq!(vocabulary.position(key).map(|p| p + 1), row);
            let expected = (row.unwrap_or(0), id >= n);
            assert_eq!(table_row(&table, Some(&vocabulary), Some(key), 2), expected);
        }
    }
}

#[test]
fn the_bytes_depend_on_the_set_of_keys_alone() {
    let mut one = keys(5_000);
    let mut other: Vec<u64> = one.iter().rev().flat_map(|k| [*k, *k]).collect();
    other.rotate_left(777);
    assert_eq!(build(&mut one), build(&mut other));
    assert_eq!(one, other);
}

#[test]
fn extreme_keys_are_keys_like_any_other() {
    let mut keys = vec![0, 1, u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32];
    let bytes = build(&mut keys);
    let vocabulary = Vocabulary::check(&bytes, 6).unwrap();
    assert!(keys.iter().all(|k| vocabulary.position(*k).is_some()));
    assert_eq!(vocabulary.position(2), None);
    // An unused slot is 0; it does not hold the key 0.
    let bytes = build(&mut vec![5]);
    assert_eq!(Vocabulary::check(&bytes, 1).unwrap().position(0), None);
}

#[test]
fn keys_that_crowd_one_bucket_get_more_buckets() {
    // All below 2^57: in few buckets, they share the first choice.
    let mut keys: Vec<u64> = (0..60).map(|i| hash_int(i) >> 7).collect();
    let bytes = build(&mut keys);
    let vocabulary = Vocabulary::check(&bytes, 60).unwrap();
    assert!(keys.iter().all(|k| vocabulary.position(*k).is_some()));
}

#[test]
fn the_load_is_what_it_says() {
    let bytes = build(&mut keys(100_000));
    assert_eq!(bytes.len() / 64, (100_000.0_f64 / LOAD).ceil() as usize);
    let vocabulary = Vocabulary::check(&bytes, 100_000).unwrap();
    let buckets = bytes.len() / 64;
    let first = vocabulary
        .rows()
        .zip(0..)
        .filter(|((key, row), _): &((u64, u32), u32)| {
            let bucket = &bytes[choices(*key, buckets)[0] * 64..][..64];
            let base = u32::from_le_bytes(bucket[56..60].try_into().unwrap());
            let count = u32::from_le_bytes(bucket[60..].try_into().unwrap());
            (base..base + count).contains(&(row - 1))
        });
    let share = first.count() as f64 / 100_000.0;
    assert!((0.65..0.8).contains(&share), "{share}");
}

#[test]
fn a_bucket_that_contradicts_itself_is_rejected() {
    let mut all = keys(500);
    let good = build(&mut all);
    let refused = |bytes: &[u8], n: u32| {
        let error = Vocabulary::check(bytes, n).unwrap_err();
        assert_eq!(error.status, Status::BadVocabulary);
        error.offset
    };
    for n in [0, 499, 501, u32::MAX] {
        refused(&good, n);
    }
    for cut in [1, 63, 64, 65] {
        refused(&good[..good.len() - cut], 500);
    }
    refused(&[&good[..], &[0; 64]].concat(), 500);
    refused(&good[1..], 500);
    // Any changed byte: a key leaves its buckets or the order, an unused slot is not 0, or a count or base is wrong. A
    // few low bits do not move a key: that is another valid vocabulary, and only the file's digest can tell.
    let mut survived = 0;
    for at in 0..good.len() {
        for change in [1, 0x10, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at] ^= change;
            let counts = at % 64 >= 56;
            match Vocabulary::check(&bad, 500) {
                Ok(_) => {
                    assert!(!counts, "byte {at}");
                    survived += 1;
                }
                Err(error) => assert_eq!(error.offset, (at / 64 * 64) as u64, "byte {at}"),
            }
        }
    }
    assert!(survived > 0);
}

#[test]
fn a_key_in_both_of_its_buckets_is_rejected() {
    // Two buckets; a key whose choices differ, in each of them.
    let key = (0..)
        .map(hash_int)
        .find(|k| choices(*k, 2) == [0, 1])
        .unwrap();
    let bucket = |base: u32, count: u32| {
        let mut bytes = [0; 64];
        if count > 0 {
            bytes[..8].copy_from_slice(&key.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&base.to_le_bytes());
        bytes[60..].copy_from_slice(&count.to_le_bytes());
        bytes
    };
    let pair = |a, b| [bucket(0, a), bucket(a, b)].concat();
    assert_eq!(
        Vocabulary::check(&pair(1, 0), 1).unwrap().position(key),
        Some(0)
    );
    assert_eq!(
        Vocabulary::check(&pair(0, 1), 1).unwrap().position(key),
        Some(0)
    );
    assert_eq!(Vocabulary::check(&pair(1, 1), 2).unwrap_err().offset, 64);
}
