//! Any rules over any scores: a list is refused, or has each candidate at most once, pins and blocked positions where they belong,
//! propensities that are probabilities, and says which rules it breaks.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pocketrank::rerank::{
    Decay, Diversity, Exploration, NO_CANDIDATE, Pin, Rules, Scratch, Slot, Spacing, rerank, scratch_len,
};

const DIM: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let byte = |i: usize| bytes.get(i % bytes.len().max(1)).copied().unwrap_or(0);
    let word = |i: usize| u32::from_le_bytes(core::array::from_fn(|j| byte(4 * i + j)));
    let (n, positions) = (1 + usize::from(byte(0)) % 24, 1 + usize::from(byte(1)) % 24);
    // Any bits in one of four; else some that are close to each other.
    let float = |i: usize| match byte(2) % 4 {
        0 => f32::from_bits(word(i)),
        _ => f32::from(byte(i)) - 100.0,
    };
    let fused: Vec<f32> = (0..n).map(|i| float(9 + i)).collect();
    let keys: Vec<u64> = (0..2 * n).map(|i| u64::from(byte(40 + i) % 6)).collect();
    let (a, b) = keys.split_at(n);
    let rule = |keys, i: usize| Spacing {
        keys,
        max: u32::from(byte(i) % 4),
        window: u32::from(byte(i + 1) % 12),
    };
    let spacings = [rule(a, 3), rule(b, 5)];
    let decays = [Decay {
        keys: a,
        factor: f32::from(byte(7)) / 200.0,
        floor: f32::from(byte(8)) / 255.0,
    }];
    let pins = [Pin {
        position: u32::from(byte(9)) % 30,
        candidate: u32::from(byte(10)) % 30,
    }];
    let blocked = [u32::from(byte(11)) % 30];
    let hidden = [u32::from(byte(12)) % 30];
    let vectors: Vec<i8> = (0..n * DIM).map(|i| byte(90 + i) as i8).collect();
    let sigma: Vec<f32> = (0..n).map(|i| f32::from(byte(200 + i)) / 64.0).collect();
    let flags = byte(13);
    let on = |bit: u8| usize::from(flags >> bit & 1);
    let seed = u64::from(word(14));
    let rules = Rules {
        spacings: &spacings[..on(0) + on(1)],
        decays: &decays[..on(2)],
        pins: &pins[..on(3)],
        blocked: &blocked[..on(4)],
        hidden: &hidden[..on(5)],
        diversity: match byte(15) % 3 {
            0 => Diversity::None,
            1 => Diversity::Mmr { lambda: f32::from(byte(16)) / 255.0 },
            _ => Diversity::Dpp { theta: f32::from(byte(16)) / 16.0 },
        },
        vectors: &vectors,
        dim: DIM,
        exploration: match byte(17) % 4 {
            0 => Exploration::Epsilon { seed, epsilon: f32::from(byte(18)) / 255.0 },
            1 => Exploration::Thompson { seed, sigma: &sigma },
            _ => Exploration::None,
        },
        ..Rules::default()
    };
    let need = scratch_len(n, positions, DIM);
    let (mut floats, mut words) = (vec![f32::NAN; need.floats], vec![u32::MAX; need.words]);
    let mut slots = vec![Slot::default(); positions];
    let mut scratch = Scratch { floats: &mut floats, words: &mut words };
    let Ok(report) = rerank(&rules, &fused, &mut scratch, &mut slots) else {
        return;
    };
    let mut seen = vec![false; n];
    for (position, slot) in slots.iter().enumerate() {
        assert!(slot.propensity > 0.0 && slot.propensity <= 1.0, "{slot:?}");
        let is_blocked = rules.blocked.contains(&(position as u32));
        assert!(!is_blocked || slot.candidate == NO_CANDIDATE);
        if let Some(pin) = rules.pins.iter().find(|pin| pin.position as usize == position) {
            assert_eq!(slot.candidate, pin.candidate);
        }
        if slot.candidate != NO_CANDIDATE {
            assert!(!rules.hidden.contains(&slot.candidate));
            assert!(!core::mem::replace(&mut seen[slot.candidate as usize], true));
        }
    }
    assert_eq!(report.placed as usize, seen.iter().filter(|s| **s).count());
    assert_eq!(report.relaxed, slots.iter().fold(0, |all, slot| all | slot.relaxed));
});
