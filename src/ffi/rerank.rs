//! Lists under rules: spacing, decays, diversity, pins, exploration. In libraries built with feature `rerank`.

use core::mem::offset_of;
use core::ptr::{addr_of_mut, null_mut};

use super::model::{PKR_MEMORY_ALIGNMENT, open_model, pkr_model};
use super::pointer::{Inputs, Plain, Span, Versioned, call};
use super::rank::{pkr_request, request_of};
use super::scratch::{open_scratch, pkr_scratch};
use super::status::{pkr_error_detail, pkr_status};
use crate::error::{Error, Result, Status};
use crate::rerank::{
    DECAYS, Decay, Diversity, Exploration, NO_CANDIDATE, NO_KEY, POSITIONS, Part, Pin, Rules,
    SPACINGS, Scratch, ScratchLen, Slot, Spacing, rerank, scratch_len,
};
use crate::spec::limits;

/// A key that no other candidate shares.
pub const PKR_NO_KEY: u64 = 0xFFFFFFFFFFFFFFFF;
/// The candidate of an empty slot.
pub const PKR_NO_CANDIDATE: u32 = 0xFFFFFFFF;

/// By score alone.
pub const PKR_DIVERSITY_NONE: u32 = 0;
/// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); `weight` is lambda, within [0, 1].
pub const PKR_DIVERSITY_MMR: u32 = 1;
/// The greedy list of a determinantal point process (Chen, Zhang and Zhou, NeurIPS 2018); `weight` is theta, within [0, 1024].
pub const PKR_DIVERSITY_DPP: u32 = 2;

/// No chance.
pub const PKR_EXPLORATION_NONE: u32 = 0;
/// Any candidate that the rules allow with probability `epsilon`, else the best.
pub const PKR_EXPLORATION_EPSILON: u32 = 1;
/// The best of draws: to each fused score a normal number of deviation `sigma` is added.
pub const PKR_EXPLORATION_THOMPSON: u32 = 2;

/// `feature` of a detail of PKR_ERR_BAD_RULE: `factors`; `candidate` is the candidate.
pub const PKR_RULES_FACTORS: u32 = 0;
/// `bonuses`; `candidate` is the candidate.
pub const PKR_RULES_BONUSES: u32 = 1;
/// `decays`; `candidate` is the index of the decay.
pub const PKR_RULES_DECAYS: u32 = 2;
/// `spacings`; `candidate` is the index of the rule.
pub const PKR_RULES_SPACINGS: u32 = 3;
/// `pins`; `candidate` is the index of the pin.
pub const PKR_RULES_PINS: u32 = 4;
/// `blocked`; `candidate` is the index in it.
pub const PKR_RULES_BLOCKED: u32 = 5;
/// `hidden`; `candidate` is the index in it.
pub const PKR_RULES_HIDDEN: u32 = 6;
/// `diversity`, `weight`, `vectors` and `dim`.
pub const PKR_RULES_DIVERSITY: u32 = 7;
/// `exploration`, `epsilon` and `sigma`; `candidate` is the candidate of a sigma.
pub const PKR_RULES_EXPLORATION: u32 = 8;

const _: () = assert!(PKR_NO_KEY == NO_KEY && PKR_NO_CANDIDATE == NO_CANDIDATE);
const _: () = assert!(
    PKR_RULES_FACTORS == Part::Factors as u32
        && PKR_RULES_BONUSES == Part::Bonuses as u32
        && PKR_RULES_DECAYS == Part::Decays as u32
        && PKR_RULES_SPACINGS == Part::Spacings as u32
        && PKR_RULES_PINS == Part::Pins as u32
        && PKR_RULES_BLOCKED == Part::Blocked as u32
        && PKR_RULES_HIDDEN == Part::Hidden as u32
        && PKR_RULES_DIVERSITY == Part::Diversity as u32
        && PKR_RULES_EXPLORATION == Part::Exploration as u32
);

/// At most `max` candidates of one key in any `window` positions that follow each other. A gap of g positions between
/// candidates of a key is `max` 1 in a window of g.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_spacing {
    /// sizeof(pkr_spacing).
    pub struct_size: u32,
    /// Candidates, at least 1.
    pub max: u32,
    /// Positions, 1 to 256; blocked and pinned ones count.
    pub window: u32,
    /// 0.
    pub reserved: u32,
    /// A key of each candidate; PKR_NO_KEY is under no rule.
    pub keys: *const u64,
    /// As many as candidates.
    pub num_keys: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_spacing {}

/// Less for each candidate whose key is in the list already: behind n of them the distance above the least score counts
/// (1 - floor) * factor^n + floor of what it is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_decay {
    /// sizeof(pkr_decay).
    pub struct_size: u32,
    /// Within (0, 1].
    pub factor: f32,
    /// Within [0, 1].
    pub floor: f32,
    /// 0.
    pub reserved: u32,
    /// A key of each candidate; PKR_NO_KEY does not decay.
    pub keys: *const u64,
    /// As many as candidates.
    pub num_keys: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_decay {}

/// A candidate that has a position whatever the rules are. Two numbers in every version.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_pin {
    /// Its position, from 0 on.
    pub position: u32,
    /// The candidate.
    pub candidate: u32,
}

const _: () = assert!(
    size_of::<pkr_pin>() == size_of::<Pin>()
        && offset_of!(pkr_pin, position) == offset_of!(Pin, position)
        && offset_of!(pkr_pin, candidate) == offset_of!(Pin, candidate)
);

// SAFETY: repr(C), two u32.
unsafe impl Plain for Pin {}

/// The rules of one list. All 0 but `struct_size`: none, and the order is that of `pkr_rank`. NULL with a count of 0 is nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_rules {
    /// sizeof(pkr_rules).
    pub struct_size: u32,
    /// PKR_DIVERSITY_*.
    pub diversity: u32,
    /// Weight of relevance beside similarity.
    pub weight: f32,
    /// Values of a vector, at most 256; 0 without vectors.
    pub dim: u32,
    /// PKR_EXPLORATION_*.
    pub exploration: u32,
    /// Within [0, 1].
    pub epsilon: f32,
    /// Of chance: the same seed gives the same list.
    pub seed: u64,
    /// By candidate, within [0, 1024]: multiplies the distance of its fused score above that of the least scored candidate.
    pub factors: *const f32,
    /// As many as candidates, or 0.
    pub num_factors: usize,
    /// By candidate: added after that, in units of fused scores.
    pub bonuses: *const f32,
    /// As many as candidates, or 0.
    pub num_bonuses: usize,
    /// Decays. Together they multiply.
    pub decays: *const pkr_decay,
    /// At most 4.
    pub num_decays: usize,
    /// Spacing rules, the most important first: if they cannot all be kept, the last is given up first.
    pub spacings: *const pkr_spacing,
    /// At most 8.
    pub num_spacings: usize,
    /// Candidates with a position. They count in windows and decays.
    pub pins: *const pkr_pin,
    /// Pins.
    pub num_pins: usize,
    /// Positions that stay empty, for what the app puts there itself.
    pub blocked: *const u32,
    /// Positions.
    pub num_blocked: usize,
    /// Candidates that get no position.
    pub hidden: *const u32,
    /// Candidates.
    pub num_hidden: usize,
    /// Vectors on one scale, `dim` a candidate, as `pkr_vectors` writes them.
    pub vectors: *const i8,
    /// `dim` times candidates.
    pub num_vector_values: usize,
    /// Standard deviation of each candidate's fused score.
    pub sigma: *const f32,
    /// As many as candidates for PKR_EXPLORATION_THOMPSON.
    pub num_sigma: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_rules {}

/// What stands at one position, and why. Its size is in `slot_bytes` of the result.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_slot {
    /// Index of the candidate; PKR_NO_CANDIDATE for a blocked position and where there are no candidates left.
    pub candidate: u32,
    /// Bit i: spacing rule i is broken here, since otherwise no list would have been possible.
    pub relaxed: u32,
    /// What the candidate was compared by: its fused score after boosts and decays; with diversity the objective of that.
    pub score: f32,
    /// Probability that this candidate was taken here, given the slots before; 1 without exploration.
    pub propensity: f32,
    /// What boosts have added to its fused score.
    pub boost: f32,
    /// What decays have multiplied its distance above the least score by.
    pub decay: f32,
    /// How similar it is to the slots before: the greatest cosine (MMR), or the share of its variance that they explain (DPP).
    pub similarity: f32,
}

const _: () = assert!(
    size_of::<pkr_slot>() == size_of::<Slot>()
        && offset_of!(pkr_slot, candidate) == offset_of!(Slot, candidate)
        && offset_of!(pkr_slot, relaxed) == offset_of!(Slot, relaxed)
        && offset_of!(pkr_slot, score) == offset_of!(Slot, score)
        && offset_of!(pkr_slot, propensity) == offset_of!(Slot, propensity)
        && offset_of!(pkr_slot, boost) == offset_of!(Slot, boost)
        && offset_of!(pkr_slot, decay) == offset_of!(Slot, decay)
        && offset_of!(pkr_slot, similarity) == offset_of!(Slot, similarity)
);

// SAFETY: repr(C), u32 and f32 without padding between.
unsafe impl Plain for Slot {}

/// Where a list goes, and what happened. The first four are the caller's; the rest is written on success.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_list {
    /// sizeof(pkr_list).
    pub struct_size: u32,
    /// sizeof(pkr_slot).
    pub slot_bytes: u32,
    /// Positions.
    pub slots: *mut pkr_slot,
    /// How many, 1 to 4,096.
    pub num_slots: usize,
    /// Slots with a candidate.
    pub placed: u32,
    /// All slots' `relaxed`.
    pub relaxed: u32,
    /// Spacing rules that are kept wherever no pin breaks them: so many from the first on.
    pub kept: u32,
    /// 0.
    pub reserved: u32,
    /// Looks that it took to keep them.
    pub steps: u64,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_list {}

/// Sizes of the memory of one list.
fn needs(candidates: usize, positions: usize, dim: usize) -> Result<(ScratchLen, usize)> {
    if !(1..=limits::CANDIDATES).contains(&candidates) || !(1..=POSITIONS).contains(&positions) {
        return Err(Error::at(Status::CandidateCount, limits::CANDIDATES));
    }
    if dim > limits::EMBEDDING_DIM {
        return Err(Error::feature(Status::BadRule, Part::Diversity as usize));
    }
    let len = scratch_len(candidates, positions, dim);
    // Far below 2^31: at most 4,096 x (258 + 22) numbers.
    Ok((len, 4 * (len.floats + len.words)))
}

/// Tells how many bytes of memory `pkr_rerank` needs for so many candidates and positions, with vectors of `dim` values (0:
/// without), whatever the rules are.
///
/// Threads: any. Cost: none. Errors: PKR_ERR_CANDIDATE_COUNT, PKR_ERR_BAD_RULE for `dim`; 1xx.
///
/// # Safety
/// `out` is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_rerank_bytes(
    num_candidates: u32,
    num_positions: u32,
    dim: u32,
    out: *mut usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let sizes = (
                num_candidates as usize,
                num_positions as usize,
                dim as usize,
            );
            out.write(needs(sizes.0, sizes.1, sizes.2)?.1);
            Ok(())
        })
    }
}

/// Reads an array of structs into places for at most `into.len()`.
///
/// # Safety
/// As [`Inputs::structure`], for `len` structs at `from` and what `read` does with them.
unsafe fn structures<'n, T: Versioned, U: Copy>(
    inputs: Inputs<'_>,
    (from, len): (*const T, usize),
    part: Part,
    into: &'n mut [U],
    read: unsafe fn(Inputs<'_>, &T) -> Result<U>,
) -> Result<&'n [U]> {
    let over = Error::feature(Status::BadRule, part as usize);
    let into = into.get_mut(..len).ok_or(over)?;
    inputs.apart(Span::of(from, len)?)?;
    for (i, to) in into.iter_mut().enumerate() {
        let at = |e: Error| Error {
            feature: part as u32,
            candidate: i as u32,
            ..e
        };
        // SAFETY: `Span::of` checked the array; the rest is this function's contract.
        *to = unsafe {
            let own = inputs.structure(from.add(i)).map_err(at)?;
            read(inputs, &own).map_err(at)?
        };
    }
    Ok(into)
}

/// # Safety
/// As [`Inputs::slice`] for its keys.
unsafe fn spacing<'r>(inputs: Inputs<'_>, rule: &pkr_spacing) -> Result<Spacing<'r>> {
    match rule.reserved {
        0 => Ok(Spacing {
            // SAFETY: by this function's contract.
            keys: unsafe { inputs.slice(rule.keys, rule.num_keys)? },
            max: rule.max,
            window: rule.window,
        }),
        _ => Err(Error::new(Status::BadOption)),
    }
}

/// # Safety
/// As [`Inputs::slice`] for its keys.
unsafe fn decay<'r>(inputs: Inputs<'_>, decay: &pkr_decay) -> Result<Decay<'r>> {
    match decay.reserved {
        0 => Ok(Decay {
            // SAFETY: by this function's contract.
            keys: unsafe { inputs.slice(decay.keys, decay.num_keys)? },
            factor: decay.factor,
            floor: decay.floor,
        }),
        _ => Err(Error::new(Status::BadOption)),
    }
}

/// Makes a list of `list->num_slots` positions: the best by `fused[num_candidates]` under `rules`. Candidates with a fused score
/// of negative infinity were not scored: they come last, by index. Spacing rules are broken only where nothing else can be
/// shown to be possible, the last rule first; slots say which. It ends after a bounded number of looks whatever the rules are.
///
/// `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, is at least what `pkr_rerank_bytes` says. Its contents never
/// influence a result, and the same arguments give the same bits on every CPU.
///
/// Threads: any. Lifetimes: nothing is kept. Cost: candidates times positions. `detail` may be NULL.
/// Errors: PKR_ERR_BAD_RULE with PKR_RULES_* and an index in `detail`; PKR_ERR_NOT_FINITE for a fused score that is NaN, positive
/// infinity or beyond 2^100, with its candidate; PKR_ERR_CANDIDATE_COUNT; 1xx.
///
/// # Safety
/// Every pointer that is neither NULL nor misaligned leads to live memory of the stated size; during the call nobody writes to
/// inputs or uses outputs and memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_rerank(
    rules: *const pkr_rules,
    fused: *const f32,
    num_candidates: u32,
    memory: *mut u8,
    memory_bytes: usize,
    list: *mut pkr_list,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let wanted = outputs.structure(list)?;
            if wanted.slot_bytes as usize != size_of::<pkr_slot>() {
                return Err(Error::at(Status::StructSize, size_of::<pkr_slot>()));
            }
            let slots = outputs.slice(wanted.slots.cast::<Slot>(), wanted.num_slots)?;
            Span::of(memory.cast::<u64>(), 1)?;
            outputs.claim(memory, memory_bytes)?;
            let inputs = outputs.seal();
            let asked = inputs.structure(rules)?;
            let candidates = num_candidates as usize;
            let (len, total_bytes) = needs(candidates, slots.len(), asked.dim as usize)?;
            if memory_bytes < total_bytes {
                return Err(Error::at(Status::BufferTooSmall, total_bytes));
            }
            let fused = inputs.slice(fused, candidates)?;
            let mut decays = [Decay::default(); DECAYS];
            let mut spacings = [Spacing::default(); SPACINGS];
            let given = (asked.decays, asked.num_decays);
            let decays = structures(inputs, given, Part::Decays, &mut decays, decay)?;
            let given = (asked.spacings, asked.num_spacings);
            let spacings = structures(inputs, given, Part::Spacings, &mut spacings, spacing)?;
            let rules = Rules {
                factors: inputs.slice(asked.factors, asked.num_factors)?,
                bonuses: inputs.slice(asked.bonuses, asked.num_bonuses)?,
                decays,
                spacings,
                pins: inputs.slice(asked.pins.cast::<Pin>(), asked.num_pins)?,
                blocked: inputs.slice(asked.blocked, asked.num_blocked)?,
                hidden: inputs.slice(asked.hidden, asked.num_hidden)?,
                diversity: match asked.diversity {
                    PKR_DIVERSITY_NONE => Diversity::None,
                    PKR_DIVERSITY_MMR => Diversity::Mmr {
                        lambda: asked.weight,
                    },
                    PKR_DIVERSITY_DPP => Diversity::Dpp {
                        theta: asked.weight,
                    },
                    _ => return Err(Error::new(Status::BadOption)),
                },
                vectors: inputs.slice(asked.vectors, asked.num_vector_values)?,
                dim: asked.dim as usize,
                exploration: match asked.exploration {
                    PKR_EXPLORATION_NONE => Exploration::None,
                    PKR_EXPLORATION_EPSILON => Exploration::Epsilon {
                        seed: asked.seed,
                        epsilon: asked.epsilon,
                    },
                    PKR_EXPLORATION_THOMPSON => Exploration::Thompson {
                        seed: asked.seed,
                        sigma: inputs.slice(asked.sigma, asked.num_sigma)?,
                    },
                    _ => return Err(Error::new(Status::BadOption)),
                },
            };
            // Whoever gave the memory may never have written to it.
            memory.write_bytes(0, total_bytes);
            let floats = memory.cast::<f32>();
            let mut scratch = Scratch {
                floats: core::slice::from_raw_parts_mut(floats, len.floats),
                words: core::slice::from_raw_parts_mut(floats.add(len.floats).cast(), len.words),
            };
            let report = rerank(&rules, fused, &mut scratch, slots)?;
            addr_of_mut!((*list).placed).write(report.placed);
            addr_of_mut!((*list).relaxed).write(report.relaxed);
            addr_of_mut!((*list).kept).write(report.kept);
            addr_of_mut!((*list).reserved).write(0);
            addr_of_mut!((*list).steps).write(report.steps);
            Ok(())
        })
    }
}

const _: () = assert!(align_of::<u64>() <= PKR_MEMORY_ALIGNMENT);

/// Writes what feature `feature` is to the network for every candidate of the request as int8 on one scale, `dim` of
/// `pkr_feature_info` values each: rows of its table, pooled lists, vectors. `num_values` is exactly `dim` times candidates. They
/// are the `vectors` of `pkr_rules`, and depend on model and columns alone, so they may be kept.
///
/// Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_UNKNOWN_FEATURE; PKR_ERR_WRONG_FORM for a feature of the user's side and for a number
/// without buckets; PKR_ERR_BUFFER_TOO_SMALL for another `num_values`.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_vectors(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    feature: u32,
    values: *mut i8,
    num_values: usize,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let parts = open_scratch(outputs, scratch)?;
            let values = outputs.slice(values, num_values)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            let into = (parts.candidates_max, parts.columns);
            let request = request_of(inputs, request, model, into)?;
            model.vectors(&request, feature as usize, values)?;
            Ok(())
        })
    }
}
