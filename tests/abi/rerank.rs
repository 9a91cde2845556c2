//! Lists under rules through the C ABI: the bits of the Rust call, and a status for every wrong argument.

use core::mem::offset_of;
use core::ptr::{null, null_mut};

use pocketrank::engine::{Column, Lists, Model, OpenOptions, Request};
use pocketrank::ffi::*;
use pocketrank::rerank::{
    Decay, Diversity, Exploration, Pin, Rules, Scratch, Slot, Spacing, rerank, scratch_len,
};

use super::ITEM;
use super::values::*;

/// Candidates and positions.
const C: usize = 12;
const P: usize = 8;
const DIM: usize = 3;

/// All that a call takes, to be spoiled.
struct Call {
    fused: Vec<f32>,
    factors: Vec<f32>,
    bonuses: Vec<f32>,
    keys: Vec<u64>,
    pins: Vec<pkr_pin>,
    blocked: Vec<u32>,
    hidden: Vec<u32>,
    vectors: Vec<i8>,
    sigma: Vec<f32>,
    slots: Vec<pkr_slot>,
    memory: Memory,
    memory_at: *mut u8,
    memory_bytes: usize,
    decays: [pkr_decay; 1],
    spacings: [pkr_spacing; 2],
    rules: pkr_rules,
    rules_at: *const pkr_rules,
    fused_at: *const f32,
    num_candidates: u32,
    list: pkr_list,
    list_at: *mut pkr_list,
    detail: pkr_error_detail,
    detail_at: *mut pkr_error_detail,
}

const EMPTY: pkr_slot = pkr_slot {
    candidate: 77,
    relaxed: 77,
    score: 77.0,
    propensity: 77.0,
    boost: 77.0,
    decay: 77.0,
    similarity: 77.0,
};

fn bytes(candidates: u32, positions: u32, dim: u32) -> (pkr_status, usize) {
    let mut out = 0;
    (
        unsafe { pkr_rerank_bytes(candidates, positions, dim, &mut out) },
        out,
    )
}

/// With everything that rules have; boxed, since it points into itself.
fn full_call() -> Box<Call> {
    let need = bytes(C as u32, P as u32, DIM as u32).1;
    let mut call = Box::new(Call {
        fused: (0..C).map(|i| (i * 5 % 12) as f32 * 0.3 - 2.0).collect(),
        factors: (0..C).map(|i| 1.0 + (i % 3) as f32 * 0.5).collect(),
        bonuses: (0..C).map(|i| (i % 4) as f32 * 0.1 - 0.2).collect(),
        keys: (0..C as u64)
            .map(|i| if i == 5 { PKR_NO_KEY } else { i % 4 })
            .collect(),
        pins: vec![pkr_pin {
            position: 3,
            candidate: 2,
        }],
        blocked: vec![1],
        hidden: vec![7],
        vectors: (0..C * DIM).map(|i| (i * 37 % 255) as u8 as i8).collect(),
        sigma: (0..C).map(|i| 0.1 * (i % 5) as f32).collect(),
        slots: vec![EMPTY; P],
        memory: Memory::new(need),
        memory_at: null_mut(),
        memory_bytes: need,
        decays: [pkr_decay {
            factor: 0.5,
            floor: 0.25,
            num_keys: C,
            ..sized()
        }],
        spacings: [pkr_spacing {
            max: 1,
            window: 2,
            num_keys: C,
            ..sized()
        }; 2],
        rules: sized(),
        rules_at: null(),
        fused_at: null(),
        num_candidates: C as u32,
        list: sized(),
        list_at: null_mut(),
        detail: sized(),
        detail_at: null_mut(),
    });
    let c = &mut *call;
    c.memory_at = c.memory.ptr();
    c.decays[0].keys = c.keys.as_ptr();
    c.spacings.iter_mut().for_each(|s| s.keys = c.keys.as_ptr());
    (c.spacings[1].max, c.spacings[1].window) = (2, 4);
    c.rules = pkr_rules {
        struct_size: size::<pkr_rules>(),
        diversity: PKR_DIVERSITY_MMR,
        weight: 0.7,
        dim: DIM as u32,
        exploration: PKR_EXPLORATION_THOMPSON,
        epsilon: 0.3,
        seed: 11,
        factors: c.factors.as_ptr(),
        num_factors: C,
        bonuses: c.bonuses.as_ptr(),
        num_bonuses: C,
        decays: c.decays.as_ptr(),
        num_decays: 1,
        spacings: c.spacings.as_ptr(),
        num_spacings: 2,
        pins: c.pins.as_ptr(),
        num_pins: 1,
        blocked: c.blocked.as_ptr(),
        num_blocked: 1,
        hidden: c.hidden.as_ptr(),
        num_hidden: 1,
        vectors: c.vectors.as_ptr(),
        num_vector_values: C * DIM,
        sigma: c.sigma.as_ptr(),
        num_sigma: C,
    };
    c.list.slot_bytes = size::<pkr_slot>();
    (c.list.slots, c.list.num_slots) = (c.slots.as_mut_ptr(), P);
    (c.rules_at, c.fused_at) = (&c.rules, c.fused.as_ptr());
    (c.list_at, c.detail_at) = (&mut c.list, &mut c.detail);
    call
}

impl Call {
    fn run(&mut self) -> pkr_status {
        unsafe {
            pkr_rerank(
                self.rules_at,
                self.fused_at,
                self.num_candidates,
                self.memory_at,
                self.memory_bytes,
                self.list_at,
                self.detail_at,
            )
        }
    }

    /// Slots as bits.
    fn bits(&self) -> Vec<[u32; 7]> {
        let bits = |s: &pkr_slot| {
            let numbers = [s.score, s.propensity, s.boost, s.decay, s.similarity];
            let [a, b, c, d, e] = numbers.map(f32::to_bits);
            [s.candidate, s.relaxed, a, b, c, d, e]
        };
        self.slots.iter().map(bits).collect()
    }

    /// The same by the Rust call.
    fn by_core(&self, diversity: Diversity, exploration: Exploration<'_>) -> Vec<[u32; 7]> {
        let spacing = |s: &pkr_spacing| Spacing {
            keys: &self.keys,
            max: s.max,
            window: s.window,
        };
        let rules = Rules {
            factors: &self.factors,
            bonuses: &self.bonuses,
            decays: &[Decay {
                keys: &self.keys,
                factor: 0.5,
                floor: 0.25,
            }],
            spacings: &self.spacings.each_ref().map(spacing),
            pins: &[Pin {
                position: 3,
                candidate: 2,
            }],
            blocked: &self.blocked,
            hidden: &self.hidden,
            diversity,
            vectors: &self.vectors,
            dim: DIM,
            exploration,
        };
        let need = scratch_len(C, P, DIM);
        let (mut floats, mut words) = (vec![9.0; need.floats], vec![9; need.words]);
        let mut scratch = Scratch {
            floats: &mut floats,
            words: &mut words,
        };
        let mut slots = [Slot::default(); P];
        let report = rerank(&rules, &self.fused, &mut scratch, &mut slots).unwrap();
        assert_eq!(self.list.placed, report.placed);
        assert_eq!(
            (self.list.relaxed, self.list.kept),
            (report.relaxed, report.kept)
        );
        assert_eq!((self.list.steps, self.list.reserved), (report.steps, 0));
        let bits = |s: &Slot| {
            let numbers = [s.score, s.propensity, s.boost, s.decay, s.similarity];
            let [a, b, c, d, e] = numbers.map(f32::to_bits);
            [s.candidate, s.relaxed, a, b, c, d, e]
        };
        slots.iter().map(bits).collect()
    }
}

#[test]
fn a_list_through_c_is_the_cores_bit_for_bit() {
    let mut call = full_call();
    let mut seen = Vec::new();
    for (kind, diversity) in [
        (PKR_DIVERSITY_NONE, Diversity::None),
        (PKR_DIVERSITY_MMR, Diversity::Mmr { lambda: 0.7 }),
        (PKR_DIVERSITY_DPP, Diversity::Dpp { theta: 0.7 }),
    ] {
        for which in [
            PKR_EXPLORATION_NONE,
            PKR_EXPLORATION_EPSILON,
            PKR_EXPLORATION_THOMPSON,
        ] {
            (call.rules.diversity, call.rules.exploration) = (kind, which);
            assert_eq!(call.run(), PKR_OK);
            let sigma = call.sigma.clone();
            let exploration = match which {
                PKR_EXPLORATION_NONE => Exploration::None,
                PKR_EXPLORATION_EPSILON => Exploration::Epsilon {
                    seed: 11,
                    epsilon: 0.3,
                },
                _ => Exploration::Thompson {
                    seed: 11,
                    sigma: &sigma,
                },
            };
            assert_eq!(call.bits(), call.by_core(diversity, exploration));
            assert_eq!(call.list.placed as usize, P - 1);
            seen.push(call.bits());
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 9, "options reach the core");
}

type Spoil = fn(&mut Call);

fn off<T>(pointer: *const T) -> *const T {
    pointer.cast::<u8>().wrapping_add(1).cast()
}

const HUGE: usize = usize::MAX / 2;

#[rustfmt::skip]
const CALLS: &[(&str, pkr_status, Spoil)] = &[
    ("nothing", PKR_OK, |_| ()),
    ("rules NULL", PKR_ERR_NULL_POINTER, |c| c.rules_at = null()),
    ("rules misaligned", PKR_ERR_MISALIGNED, |c| c.rules_at = off(c.rules_at)),
    ("rules short", PKR_ERR_STRUCT_SIZE, |c| c.rules.struct_size -= 8),
    ("rules in the list", PKR_ERR_OVERLAP, |c| c.rules_at = (&raw const c.list).cast()),
    ("scores NULL", PKR_ERR_NULL_POINTER, |c| c.fused_at = null()),
    ("scores misaligned", PKR_ERR_MISALIGNED, |c| c.fused_at = off(c.fused_at)),
    ("scores in the slots", PKR_ERR_OVERLAP, |c| c.fused_at = c.slots.as_ptr().cast()),
    ("scores in the memory", PKR_ERR_OVERLAP, |c| c.fused_at = c.memory_at.cast()),
    ("no candidates", PKR_ERR_CANDIDATE_COUNT, |c| c.num_candidates = 0),
    ("too many candidates", PKR_ERR_CANDIDATE_COUNT, |c| c.num_candidates = 4097),
    ("fewer candidates than factors", PKR_ERR_BAD_RULE, |c| c.num_candidates -= 1),
    ("memory NULL", PKR_ERR_NULL_POINTER, |c| c.memory_at = null_mut()),
    ("memory misaligned", PKR_ERR_MISALIGNED, |c| c.memory_at = c.memory_at.wrapping_add(4)),
    ("memory short", PKR_ERR_BUFFER_TOO_SMALL, |c| c.memory_bytes -= 1),
    ("memory huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.memory_bytes = usize::MAX),
    ("list NULL", PKR_ERR_NULL_POINTER, |c| c.list_at = null_mut()),
    ("list misaligned", PKR_ERR_MISALIGNED, |c| c.list_at = off(c.list_at).cast_mut()),
    ("list short", PKR_ERR_STRUCT_SIZE, |c| c.list.struct_size -= 8),
    ("slots of another version", PKR_ERR_STRUCT_SIZE, |c| c.list.slot_bytes += 4),
    ("slots NULL", PKR_ERR_NULL_POINTER, |c| c.list.slots = null_mut()),
    ("slots misaligned", PKR_ERR_MISALIGNED, |c| c.list.slots = off(c.list.slots).cast_mut()),
    ("slots huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.list.num_slots = HUGE),
    ("slots in the list", PKR_ERR_OVERLAP, |c| c.list.slots = (&raw mut c.list).cast()),
    ("no slots", PKR_ERR_CANDIDATE_COUNT, |c| c.list.num_slots = 0),
    ("detail NULL", PKR_OK, |c| c.detail_at = null_mut()),
    ("detail in the rules", PKR_ERR_OVERLAP, |c| {
        c.rules.struct_size = size::<pkr_error_detail>();
        c.detail_at = (&raw mut c.rules).cast();
    }),
    ("factors NULL", PKR_ERR_NULL_POINTER, |c| c.rules.factors = null()),
    ("factors left out", PKR_OK, |c| (c.rules.factors, c.rules.num_factors) = (null(), 0)),
    ("bonuses short", PKR_ERR_BAD_RULE, |c| c.rules.num_bonuses -= 1),
    ("decays NULL", PKR_ERR_NULL_POINTER, |c| c.rules.decays = null()),
    ("decays too many", PKR_ERR_BAD_RULE, |c| c.rules.num_decays = 5),
    ("decays huge", PKR_ERR_BAD_RULE, |c| c.rules.num_decays = HUGE),
    ("decay of size 0", PKR_ERR_STRUCT_SIZE, |c| c.decays[0].struct_size = 0),
    ("decay reserved", PKR_ERR_BAD_OPTION, |c| c.decays[0].reserved = 1),
    ("decay factor", PKR_ERR_BAD_RULE, |c| c.decays[0].factor = 0.0),
    ("decay keys NULL", PKR_ERR_NULL_POINTER, |c| c.decays[0].keys = null()),
    ("spacings misaligned", PKR_ERR_MISALIGNED, |c| c.rules.spacings = off(c.rules.spacings)),
    ("spacings too many", PKR_ERR_BAD_RULE, |c| c.rules.num_spacings = 9),
    ("spacing of size 0", PKR_ERR_STRUCT_SIZE, |c| c.spacings[1].struct_size = 0),
    ("spacing reserved", PKR_ERR_BAD_OPTION, |c| c.spacings[1].reserved = 1),
    ("spacing window", PKR_ERR_BAD_RULE, |c| c.spacings[1].window = 257),
    ("spacing keys misaligned", PKR_ERR_MISALIGNED, |c| c.spacings[1].keys = off(c.spacings[1].keys)),
    ("spacing keys short", PKR_ERR_BAD_RULE, |c| c.spacings[1].num_keys -= 1),
    ("pins NULL", PKR_ERR_NULL_POINTER, |c| c.rules.pins = null()),
    ("pin past the end", PKR_ERR_BAD_RULE, |c| c.pins[0].position = P as u32),
    ("pin is hidden", PKR_ERR_BAD_RULE, |c| c.pins[0].candidate = 7),
    ("blocked past the end", PKR_ERR_BAD_RULE, |c| c.blocked[0] = P as u32),
    ("hidden past the end", PKR_ERR_BAD_RULE, |c| c.hidden[0] = u32::MAX),
    ("diversity unknown", PKR_ERR_BAD_OPTION, |c| c.rules.diversity = 3),
    ("diversity out of range", PKR_ERR_BAD_RULE, |c| c.rules.weight = 1.1),
    ("vectors NULL", PKR_ERR_NULL_POINTER, |c| c.rules.vectors = null()),
    ("vectors short", PKR_ERR_BAD_RULE, |c| c.rules.num_vector_values -= 1),
    ("vectors too wide", PKR_ERR_BAD_RULE, |c| c.rules.dim = 257),
    ("exploration unknown", PKR_ERR_BAD_OPTION, |c| c.rules.exploration = 3),
    ("sigma NULL", PKR_ERR_NULL_POINTER, |c| c.rules.sigma = null()),
    ("sigma short", PKR_ERR_BAD_RULE, |c| c.rules.num_sigma -= 1),
    ("score NaN", PKR_ERR_NOT_FINITE, |c| c.fused[4] = f32::NAN),
];

#[test]
fn wrong_arguments_have_their_status_and_leave_outputs_alone() {
    for (name, want, spoil) in CALLS {
        let mut call = full_call();
        spoil(&mut call);
        assert_eq!(call.run(), *want, "{name}");
        if *want != PKR_OK {
            assert!(
                call.slots
                    .iter()
                    .all(|s| s.candidate == 77 && s.score == 77.0),
                "{name}"
            );
            assert_eq!((call.list.placed, call.list.steps), (0, 0), "{name}");
        }
    }
}

#[test]
fn the_detail_names_the_part_and_the_element() {
    let refused = |spoil: Spoil| {
        let mut call = full_call();
        spoil(&mut call);
        call.run();
        (call.detail.feature, call.detail.candidate)
    };
    assert_eq!(refused(|c| c.factors[5] = -1.0), (PKR_RULES_FACTORS, 5));
    assert_eq!(refused(|c| c.spacings[1].max = 0), (PKR_RULES_SPACINGS, 1));
    assert_eq!(
        refused(|c| c.spacings[1].keys = null()),
        (PKR_RULES_SPACINGS, 1)
    );
    assert_eq!(refused(|c| c.blocked[0] = 3), (PKR_RULES_BLOCKED, 0));
    assert_eq!(
        refused(|c| c.sigma[2] = f32::NAN),
        (PKR_RULES_EXPLORATION, 2)
    );
    assert_eq!(refused(|c| c.fused[3] = f32::INFINITY), (PKR_NOWHERE, 3));
    let mut call = full_call();
    call.memory_bytes = 8;
    assert_eq!(call.run(), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(
        call.detail.offset as usize,
        bytes(C as u32, P as u32, DIM as u32).1
    );
}

#[test]
fn sizes_of_memory_are_bounded() {
    assert_eq!(bytes(0, 1, 0).0, PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(bytes(1, 0, 0).0, PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(bytes(4097, 1, 0).0, PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(bytes(1, 4097, 0).0, PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(bytes(1, 1, 257).0, PKR_ERR_BAD_RULE);
    let (status, most) = bytes(4096, 4096, 256);
    assert!(status == PKR_OK && most < 5 << 20, "{most}");
    let (status, usual) = bytes(200, 10, 16);
    assert!(status == PKR_OK && usual < 24 << 10, "{usual}");
    assert_eq!(
        unsafe { pkr_rerank_bytes(1, 1, 0, null_mut()) },
        PKR_ERR_NULL_POINTER
    );
}

#[test]
fn vectors_are_the_engines_and_those_that_the_app_sent() {
    let opened = Opened::open();
    let values = Values::new(&opened);
    let columns = values.columns();
    let request = values.request(&columns);
    let (_memory, scratch) = opened.scratch(N as u32);
    let vectors = |feature: usize, len: usize| {
        let mut out = vec![99; len];
        let (at, len) = (out.as_mut_ptr(), out.len());
        let feature = feature as u32;
        let status = unsafe {
            pkr_vectors(
                opened.model,
                scratch,
                &request,
                feature,
                at,
                len,
                null_mut(),
            )
        };
        (status, out)
    };
    // The widest that a byte can mean there is 64 below the zero point.
    let steps = values.vector.iter().map(|b| f32::from(*b) - 64.0);
    let sent = steps.map(|x| (x * 127.0 / 64.0).round_ties_even() as i8);
    let sent = sent.collect();
    assert_eq!(vectors(VECTOR, 4 * N), (PKR_OK, sent));
    let mut model = Box::new(Model::new());
    model.open(&opened.file, &OpenOptions::default()).unwrap();
    let lists = Lists {
        offsets: &values.tag_offsets,
        weights: Some(&values.tag_weights),
    };
    let columns = [
        Column::Missing,
        Column::Text {
            utf8: &values.item_utf8,
            offsets: &values.item_offsets,
            lists: None,
        },
        Column::Ids {
            ids: &values.tags,
            lists: Some(lists),
        },
        Column::Floats(&values.score),
    ];
    let request = Request {
        num_candidates: N,
        columns: &columns,
        ..Request::default()
    };
    for feature in [ITEM, TAGS, SCORE] {
        assert_eq!(model.vector_dim(feature), Ok(4));
        let mut by_engine = vec![0; 4 * N];
        model.vectors(&request, feature, &mut by_engine).unwrap();
        assert!(by_engine.iter().any(|x| *x != 0));
        assert_ne!(by_engine[..4], by_engine[4..8], "candidates differ");
        assert_eq!(vectors(feature, 4 * N), (PKR_OK, by_engine));
        let short = vec![99; 4 * N - 1];
        assert_eq!(
            vectors(feature, 4 * N - 1),
            (PKR_ERR_BUFFER_TOO_SMALL, short)
        );
    }
    assert_eq!(vectors(USER, 4 * N).0, PKR_ERR_WRONG_FORM);
    assert_eq!(
        vectors(6, N).0,
        PKR_ERR_WRONG_FORM,
        "a number without buckets"
    );
    assert_eq!(vectors(7, N).0, PKR_ERR_UNKNOWN_FEATURE);
    let null = unsafe { pkr_vectors(opened.model, scratch, null(), 0, null_mut(), 0, null_mut()) };
    assert_eq!(null, PKR_ERR_NULL_POINTER);
}

/// The figures of tests/abi/layout.c, as the library has them.
#[test]
fn layout_is_what_the_header_promises() {
    const P: usize = size_of::<usize>();
    assert_eq!(size_of::<pkr_spacing>(), 16 + 2 * P);
    assert_eq!(size_of::<pkr_decay>(), 16 + 2 * P);
    assert_eq!(size_of::<pkr_pin>(), 8);
    assert_eq!(size_of::<pkr_rules>(), 32 + 18 * P);
    assert_eq!(size_of::<pkr_slot>(), 28);
    assert_eq!(size_of::<pkr_list>(), 32 + 2 * P);
    assert_eq!(offset_of!(pkr_rules, seed), 24);
    assert_eq!(offset_of!(pkr_rules, num_sigma), 32 + 17 * P);
    assert_eq!(offset_of!(pkr_slot, similarity), 24);
    assert_eq!(offset_of!(pkr_list, steps), 24 + 2 * P);
}
