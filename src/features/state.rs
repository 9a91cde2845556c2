//! What a user did before, as bytes that the app keeps.
//!
//! A state is a header of 32 bytes and one slot per derived feature (`slots.rs`), in feature order, without padding,
//! all little-endian, at any address:
//!
//! | bytes | type | meaning |
//! |---|---|---|
//! | 0..4 | | `PKRS` |
//! | 4..6 | u16 | [`STATE_VERSION`] |
//! | 6..8 | u16 | 0 |
//! | 8..16 | u64 | layout digest |
//! | 16..24 | i64 | largest event time; -2^63 before the first event |
//! | 24..32 | u64 | checksum: [`hash_cross`] of XXH3-64 of bytes 0..24 and XXH3-64 of the slots |
//!
//! The layout digest covers what the slots mean: of each derived feature its kind, lengths and forgetting, the name
//! of its label and whether that is kept as ln(1 + value), and the name and id type of its key feature. Two models
//! that agree in these share states; names of derived features, priors and everything else may differ. What the spec
//! does not say (the label's expression, the boundaries of a key's buckets) is not covered.
//!
//! Updates use integers alone, so the same events give the same bytes everywhere.

use super::slots::{self, Outcome};
use super::{Event, hash_cross, hash_int, hash_text};
use crate::error::{Error, Result, Status};
use crate::spec::{Decay, Encoding, IdType, Lookup, Source, Spec};

/// Version of the layout of a state.
pub const STATE_VERSION: u16 = 1;

/// Largest magnitude of an event's time, 2^40 s (34,865 years): the milliseconds of a clock are beyond it.
pub const TIME_MAX: i64 = 1 << 40;

const MAGIC: [u8; 4] = *b"PKRS";
const HEADER_BYTES: usize = 32;

/// A header, field by field.
#[derive(Clone, Copy)]
pub(super) struct Header {
    magic: [u8; 4],
    version: u16,
    reserved: u16,
    layout: u64,
    last_time: i64,
    checksum: u64,
}

impl Header {
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let all = u128::from_le_bytes;
        let [low, high] = halves(bytes);
        Self {
            magic: (all(low) as u32).to_le_bytes(),
            version: (all(low) >> 32) as u16,
            reserved: (all(low) >> 48) as u16,
            layout: (all(low) >> 64) as u64,
            last_time: all(high) as u64 as i64,
            checksum: (all(high) >> 64) as u64,
        }
    }

    pub(super) fn write(self, bytes: &mut [u8; HEADER_BYTES]) {
        let low = u128::from(u32::from_le_bytes(self.magic))
            | u128::from(self.version) << 32
            | u128::from(self.reserved) << 48
            | u128::from(self.layout) << 64;
        let high = u128::from(self.last_time as u64) | u128::from(self.checksum) << 64;
        for (to, from) in bytes.as_chunks_mut().0.iter_mut().zip([low, high]) {
            *to = from.to_le_bytes();
        }
    }

    /// With the checksum that belongs to the other fields and `slots`.
    pub(super) fn sealed(mut self, slots: &[u8]) -> Self {
        let mut bytes = [0; HEADER_BYTES];
        self.write(&mut bytes);
        let fields = bytes
            .first_chunk::<24>()
            .map_or(0, |fields| hash_text(fields));
        self.checksum = hash_cross(fields, hash_text(slots));
        self
    }
}

fn halves(bytes: &[u8; HEADER_BYTES]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (to, from) in halves.iter_mut().zip(bytes.as_chunks().0) {
        *to = *from;
    }
    halves
}

/// Derived features: index, source and first byte of the slot.
fn derived<'s>(spec: &'s Spec<'_>) -> impl Iterator<Item = (usize, &'s Source, usize)> {
    let features = spec.features.iter().map(|f| &f.source).enumerate();
    features
        .filter(|(_, source)| slots::label(source).is_some())
        .scan(HEADER_BYTES, |end, (feature, source)| {
            let start = *end;
            *end += slots::bytes(source);
            Some((feature, source, start))
        })
}

/// Bytes of a user's state; 0 for a model without derived features. More than
/// [`limits::STATE_BYTES`](crate::spec::limits::STATE_BYTES) is refused when a model is opened.
pub fn state_bytes(spec: &Spec<'_>) -> usize {
    derived(spec)
        .last()
        .map_or(0, |(_, source, start)| start + slots::bytes(source))
}

fn layout_digest(spec: &Spec<'_>) -> u64 {
    let mut digest = hash_int(u64::from(STATE_VERSION));
    for (_, source, _) in derived(spec) {
        let (kind, len) = match *source {
            Source::Column
            | Source::Cross { .. }
            | Source::Combine { .. }
            | Source::Attention { .. } => (0, 0),
            Source::LastIds { len, .. } => (1, len),
            Source::Count { .. } => (2, 0),
            Source::Rate { .. } => (3, 0),
            Source::KeyRate { buckets, .. } => (4, buckets),
            Source::Since { .. } => (5, 0),
            Source::Previous { .. } => (6, 0),
        };
        let (decay, half_life) = match *source {
            Source::Rate { decay, .. } | Source::KeyRate { decay, .. } => match decay {
                Decay::None => (1, 0),
                Decay::Events(half_life) => (2, half_life),
                Decay::Seconds(half_life) => (3, half_life),
            },
            _ => (0, 0),
        };
        let label = slots::label(source).and_then(|l| spec.labels.get(usize::from(l)));
        let key = slots::key(source).and_then(|k| spec.features.get(usize::from(k)));
        let id_type = key.map_or(0, |key| match key.encoding {
            Encoding::Row { table, .. } => {
                match spec.tables.get(usize::from(table)).map(|t| t.lookup) {
                    Some(Lookup::Hash(IdType::Int) | Lookup::Vocabulary(IdType::Int)) => 1,
                    Some(Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text)) => 2,
                    Some(Lookup::Buckets) | None => 3,
                }
            }
            _ => 3,
        });
        let log1p = label.is_some_and(|label| label.log1p);
        let bytes = [kind, u8::from(log1p), id_type, decay];
        digest = hash_cross(
            digest,
            u64::from(u32::from_le_bytes(bytes)) | u64::from(len) << 32,
        );
        digest = hash_cross(digest, u64::from(half_life));
        digest = hash_cross(
            digest,
            label.map_or(0, |label| hash_text(label.name.as_bytes())),
        );
        digest = hash_cross(digest, key.map_or(0, |key| hash_text(key.name.as_bytes())));
    }
    digest
}

/// Makes `state` that of a user without a past. Bytes beyond [`state_bytes`] are left alone.
///
/// # Errors
/// [`Status::BufferTooSmall`], with the bytes needed.
pub fn reset(spec: &Spec<'_>, state: &mut [u8]) -> Result<()> {
    let need = state_bytes(spec);
    let state = state
        .get_mut(..need)
        .ok_or(Error::at(Status::BufferTooSmall, need))?;
    if let Some((header, slots)) = state.split_first_chunk_mut() {
        slots.fill(0);
        let fresh = Header {
            magic: MAGIC,
            version: STATE_VERSION,
            reserved: 0,
            layout: layout_digest(spec),
            last_time: i64::MIN,
            checksum: 0,
        };
        fresh.sealed(slots).write(header);
    }
    Ok(())
}

/// Whether `state` belongs to the layout of `spec` and is as [`reset`] or [`apply`] left it. Any bytes will do for a
/// model without derived features.
///
/// # Errors
/// [`Status::BufferTooSmall`], [`Status::StateLayout`], [`Status::StateCorrupt`].
pub fn check(spec: &Spec<'_>, state: &[u8]) -> Result<()> {
    let need = state_bytes(spec);
    let state = state
        .get(..need)
        .ok_or(Error::at(Status::BufferTooSmall, need))?;
    let Some((bytes, slots)) = state.split_first_chunk() else {
        return Ok(());
    };
    let header = Header::read(bytes);
    if header.magic != MAGIC
        || header.version != STATE_VERSION
        || header.layout != layout_digest(spec)
    {
        return Err(Error::new(Status::StateLayout));
    }
    if header.reserved != 0 || header.sealed(slots).checksum != header.checksum {
        return Err(Error::new(Status::StateCorrupt));
    }
    Ok(())
}

/// Adds labels of past impressions to `state`, in the order of `events`. Does nothing for a model without derived
/// features.
///
/// - A value above 0 is positive. Values are clamped to `[0, 65535]`, after ln(1 + value) if the label asks for it.
/// - An event that is older than one before is applied all the same, as if no time had passed between them.
/// - A feature whose key is not in [`Event::keys`] is left as it is.
///
/// # Errors
/// [`Status::BufferTooSmall`], [`Status::StateLayout`], [`Status::StateCorrupt`]; [`Status::UnknownLabel`] for a label
/// or key feature that the model does not have, [`Status::BadTime`] for a time beyond [`TIME_MAX`],
/// [`Status::NotFinite`] for a NaN value. `state` is then unchanged.
pub fn apply(spec: &Spec<'_>, state: &mut [u8], events: &[Event<'_>]) -> Result<()> {
    check(spec, state)?;
    let bytes = state_bytes(spec);
    let Some((header_bytes, slots)) = state
        .get_mut(..bytes)
        .and_then(|s| s.split_first_chunk_mut())
    else {
        return Ok(());
    };
    for event in events {
        let keys_exist = event
            .keys
            .iter()
            .all(|k| usize::from(k.feature) < spec.features.len());
        if usize::from(event.label) >= spec.labels.len() || !keys_exist {
            return Err(Error::new(Status::UnknownLabel));
        }
        if !(-TIME_MAX..=TIME_MAX).contains(&event.time) {
            return Err(Error::new(Status::BadTime));
        }
        if event.value.is_nan() {
            return Err(Error::new(Status::NotFinite));
        }
    }
    let mut header = Header::read(header_bytes);
    for event in events {
        header.last_time = header.last_time.max(event.time);
        let Some(label) = spec.labels.get(usize::from(event.label)) else {
            continue;
        };
        let outcome = Outcome::new(label, event.value);
        for (_, source, start) in derived(spec) {
            if slots::label(source) == Some(event.label) {
                let start = start - HEADER_BYTES;
                let slot = slots
                    .get_mut(start..start + slots::bytes(source))
                    .unwrap_or_default();
                slots::update(source, slot, outcome, event);
            }
        }
    }
    header.sealed(slots).write(header_bytes);
    Ok(())
}

/// The slot of `feature` in a state that [`check`] accepted; empty, which reads as a user without a past, for `None`.
fn slot<'s>(
    spec: &Spec<'_>,
    state: Option<&'s [u8]>,
    feature: usize,
) -> Option<(Source, &'s [u8])> {
    let (_, source, start) = derived(spec).find(|(index, ..)| *index == feature)?;
    let slot = state.and_then(|state| state.get(start..start + slots::bytes(source)));
    Some((*source, slot.unwrap_or_default()))
}

/// Raw value of the derived number `feature` at time `now` (Unix seconds); `None` if it is missing. `state` is one that
/// [`check`] accepted, or `None` for a user without a past; `key` is the id that a `KeyRate` is read at.
///
/// Events later than `now` weigh as if they had just happened.
pub fn number(
    spec: &Spec<'_>,
    state: Option<&[u8]>,
    feature: usize,
    now: i64,
    key: Option<u64>,
) -> Option<f32> {
    let (source, slot) = slot(spec, state, feature)?;
    slots::number(&source, slot, now, key)
}

/// Keys of the derived list `feature`, newest first; none if it is no such feature. `state` as for [`number`].
pub fn last_ids<'s>(
    spec: &Spec<'_>,
    state: Option<&'s [u8]>,
    feature: usize,
) -> impl Iterator<Item = u64> + use<'s> {
    let (source, slot) = slot(spec, state, feature).unwrap_or((Source::Column, &[]));
    slots::last_ids(source, slot)
}

/// Largest event time of a state that [`check`] accepted; `None` before the first event.
pub fn last_time(state: &[u8]) -> Option<i64> {
    let header = Header::read(state.first_chunk()?);
    (header.last_time != i64::MIN).then_some(header.last_time)
}

/// Features whose ids events must carry in [`Event::keys`], by increasing index.
pub fn key_features(spec: &Spec<'_>) -> impl Iterator<Item = usize> {
    let is_key = |index: &usize| {
        derived(spec).any(|(_, source, _)| slots::key(source).map(usize::from) == Some(*index))
    };
    (0..spec.features.len()).filter(is_key)
}
