//! Lists under rules.

use core::mem::MaybeUninit;
use core::ptr::null_mut;

use pocketrank::ffi::*;

use super::env::{Arrays, Env, Frame, Object, nowhere};

const DECAYS: usize = 4;
const SPACINGS: usize = 8;
/// Numbers of `head` before those of decays and spacings: diversity, dim, exploration, decays, spacings, and how many elements
/// `factors`, `bonuses`, `pins`, `blocked`, `hidden`, `vectors` and `sigma` have, -1: none.
const HEAD: usize = 12;
/// Of each decay: factor, floor (bits of floats), keys. Of each spacing: max, window, keys.
const RULE_HEAD: usize = 3;
/// Arrays that are written or scored: slots, fused scores.
const OWN: usize = 2;
/// Arrays of `parts` before the keys of decays, then of spacings.
const PARTS: usize = 7;
const ARRAYS: usize = OWN + PARTS + DECAYS + SPACINGS;

/// `pkr_rerank_bytes`, in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_rerankBytes(
    env: Env,
    _class: Object,
    candidates: i32,
    positions: i32,
    dim: i32,
    note: Object,
) -> i32 {
    let (candidates, positions, dim) = (candidates as u32, positions as u32, dim as u32);
    let mut bytes = 0;
    // SAFETY: `bytes` is this function's.
    let status = unsafe { pkr_rerank_bytes(candidates, positions, dim, &mut bytes) };
    env.answer(note, status, bytes as i64)
}

/// Rules as Kotlin's class of that name keeps them.
struct Rules {
    head: Object,
    parts: Object,
    weight: f32,
    epsilon: f32,
    seed: i64,
}

/// `pkr_rerank` of the first `candidates` of `fused`: the first `positions` slots, seven words each, are written to the int array
/// `slots`; placed, relaxed, kept and steps to `note`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one call a list")]
pub extern "system" fn Java_dev_pocketrank_Native_rerank(
    env: Env,
    _class: Object,
    head: Object,
    parts: Object,
    weight: f32,
    epsilon: f32,
    seed: i64,
    fused: Object,
    candidates: i32,
    memory: Object,
    slots: Object,
    positions: i32,
    note: Object,
) -> i32 {
    let rules = Rules {
        head,
        parts,
        weight,
        epsilon,
        seed,
    };
    let mut detail = nowhere();
    let mut numbers = [0; 4];
    let status = match rules.run(
        env,
        (fused, candidates),
        memory,
        (slots, positions),
        (&mut detail, &mut numbers),
    ) {
        Ok(status) | Err(status) => status,
    };
    if status != PKR_OK {
        return env.refuse(note, status, &detail);
    }
    env.note(note, &numbers);
    PKR_OK as i32
}

impl Rules {
    fn run(
        &self,
        env: Env,
        (fused, candidates): (Object, i32),
        memory: Object,
        (slots, positions): (Object, i32),
        (detail, numbers): (&mut pkr_error_detail, &mut [i64; 4]),
    ) -> Result<pkr_status, pkr_status> {
        let mut head = [0; HEAD + RULE_HEAD * (DECAYS + SPACINGS)];
        let head = env.ints(self.head, &mut head);
        let (own, rules_head) = head.split_at_checked(HEAD).ok_or(PKR_ERR_NULL_POINTER)?;
        let [
            diversity,
            dim,
            exploration,
            num_decays,
            num_spacings,
            counts @ ..,
        ] = own
        else {
            return Err(PKR_ERR_NULL_POINTER);
        };
        let (rule_heads, _) = rules_head.as_chunks::<RULE_HEAD>();
        let (num_decays, num_spacings) = (*num_decays as usize, *num_spacings as usize);
        if num_decays > DECAYS || num_spacings > SPACINGS {
            return Err(PKR_ERR_OVER_LIMIT);
        }
        let rule_heads = rule_heads
            .get(..num_decays + num_spacings)
            .ok_or(PKR_ERR_NULL_POINTER)?;
        let memory = env.memory(memory).aligned();
        let frame = Frame::new(env, ARRAYS)?;
        let mut arrays = Arrays::<ARRAYS>::new(env);
        arrays.write(slots)?;
        arrays.read(fused, candidates.max(0))?;
        let keys = rule_heads.iter().map(|[_, _, count]| count);
        for (part, count) in counts.iter().chain(keys).enumerate() {
            let array = match *count {
                0.. => frame.element(self.parts, part),
                _ => null_mut(),
            };
            arrays.read(array, *count)?;
        }
        arrays.pin()?;
        let mut decays = [const { MaybeUninit::<pkr_decay>::uninit() }; DECAYS];
        let mut spacings = [const { MaybeUninit::<pkr_spacing>::uninit() }; SPACINGS];
        let (of_decays, of_spacings) = rule_heads
            .split_at_checked(num_decays)
            .ok_or(PKR_ERR_OVER_LIMIT)?;
        for (i, (slot, [factor, floor, _])) in decays.iter_mut().zip(of_decays).enumerate() {
            let (keys, num_keys) = arrays.at(OWN + PARTS + i);
            slot.write(pkr_decay {
                struct_size: size_of::<pkr_decay>() as u32,
                factor: f32::from_bits(*factor as u32),
                floor: f32::from_bits(*floor as u32),
                reserved: 0,
                keys,
                num_keys,
            });
        }
        for (i, (slot, [max, window, _])) in spacings.iter_mut().zip(of_spacings).enumerate() {
            let (keys, num_keys) = arrays.at(OWN + PARTS + num_decays + i);
            slot.write(pkr_spacing {
                struct_size: size_of::<pkr_spacing>() as u32,
                max: *max as u32,
                window: *window as u32,
                reserved: 0,
                keys,
                num_keys,
            });
        }
        let (factors, num_factors) = arrays.at(OWN);
        let (bonuses, num_bonuses) = arrays.at(OWN + 1);
        let (pins, num_pin_words) = arrays.at::<pkr_pin>(OWN + 2);
        let (blocked, num_blocked) = arrays.at(OWN + 3);
        let (hidden, num_hidden) = arrays.at(OWN + 4);
        let (vectors, num_vector_values) = arrays.at(OWN + 5);
        let (sigma, num_sigma) = arrays.at(OWN + 6);
        let rules = pkr_rules {
            struct_size: size_of::<pkr_rules>() as u32,
            diversity: *diversity as u32,
            weight: self.weight,
            dim: *dim as u32,
            exploration: *exploration as u32,
            epsilon: self.epsilon,
            seed: self.seed as u64,
            factors,
            num_factors,
            bonuses,
            num_bonuses,
            decays: decays.as_ptr().cast(),
            num_decays,
            spacings: spacings.as_ptr().cast(),
            num_spacings,
            pins,
            num_pins: num_pin_words / 2,
            blocked,
            num_blocked,
            hidden,
            num_hidden,
            vectors,
            num_vector_values,
            sigma,
            num_sigma,
        };
        let (slots, slot_words) = arrays.at::<pkr_slot>(0);
        let num_slots = positions as u32 as usize;
        if num_slots > slot_words / (size_of::<pkr_slot>() / size_of::<u32>()) {
            return Err(PKR_ERR_BUFFER_TOO_SMALL);
        }
        let (fused, _) = arrays.at(1);
        let mut list = pkr_list {
            struct_size: size_of::<pkr_list>() as u32,
            slot_bytes: size_of::<pkr_slot>() as u32,
            slots,
            num_slots,
            placed: 0,
            relaxed: 0,
            kept: 0,
            reserved: 0,
            steps: 0,
        };
        // SAFETY: arrays are pinned and as long as stated; the memory is in a buffer that the argument keeps, and `Gate` in
        // Kotlin keeps other threads from it and from the slots.
        let status = unsafe {
            let (at, bytes) = (memory.at, memory.bytes);
            pkr_rerank(
                &rules,
                fused,
                candidates as u32,
                at,
                bytes,
                &mut list,
                detail,
            )
        };
        *numbers = [
            list.placed.into(),
            list.relaxed.into(),
            list.kept.into(),
            list.steps as i64,
        ];
        Ok(status)
    }
}
