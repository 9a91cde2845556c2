//! Named weights: their bounds, and what is tried on one user.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Formula, settle};
use crate::error::{Error, Result, Status};

/// A named weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight<'a> {
    /// Unique name by which the app changes it.
    #[serde(borrow)]
    pub name: &'a str,
    /// Its value unless the request has another.
    pub value: f32,
    /// Least value that a request may give it.
    pub least: f32,
    /// Greatest value.
    pub most: f32,
}

impl Formula<'_> {
    /// Whether `weights` are as many as its own and within their bounds; those of a request.
    ///
    /// # Errors
    /// [`Status::UnknownTask`], [`Status::BadWeight`].
    pub fn check_weights(&self, weights: Option<&[f32]>) -> Result<()> {
        let Some(weights) = weights else {
            return Ok(());
        };
        if weights.len() != self.weights.len() {
            return Err(Error::new(Status::UnknownTask));
        }
        let within = |(w, own): (&f32, &Weight<'_>)| *w >= own.least && *w <= own.most;
        match weights.iter().zip(&self.weights).all(within) {
            true => Ok(()),
            false => Err(Error::new(Status::BadWeight)),
        }
    }

    /// Writes weights to try on one user: each is its own (or that of `weights`) times e^(sigma z), within its bounds, where z
    /// is standard normal and depends on `seed` (the user), `salt` (the experiment) and the weight's name alone. Log them with
    /// the order that they made: it is they that the log tells about.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`] unless `out` has one value a weight; those of [`check_weights`](Self::check_weights);
    /// [`Status::BadWeight`] for a sigma outside [0, 4].
    pub fn perturb(
        &self,
        weights: Option<&[f32]>,
        (seed, salt): (u64, u64),
        sigma: f32,
        out: &mut [f32],
    ) -> Result<()> {
        self.check_weights(weights)?;
        if out.len() != self.weights.len() {
            return Err(Error::at(Status::BufferTooSmall, self.weights.len()));
        }
        if !(0.0..=4.0).contains(&sigma) {
            return Err(Error::new(Status::BadWeight));
        }
        for (i, (to, own)) in out.iter_mut().zip(&self.weights).enumerate() {
            let value = weights.and_then(|w| w.get(i)).copied();
            let factor = crate::math::exp(sigma * normal(own.name, seed, salt));
            let changed = settle(value.unwrap_or(own.value) * factor);
            *to = crate::math::clamp(changed, own.least, own.most);
        }
        Ok(())
    }
}

/// A standard normal number of a name, a user and an experiment: twelve uniform ones, less their mean (Irwin and Hall); within
/// [-6, 6], exact sums.
fn normal(name: &str, seed: u64, salt: u64) -> f32 {
    let mut sum = 0i64;
    let mut key = [0; 24];
    let parts = [xxh3_64(name.as_bytes()), seed, salt];
    let bytes = parts.iter().flat_map(|part| part.to_le_bytes());
    for (to, byte) in key.iter_mut().zip(bytes) {
        *to = byte;
    }
    let mut bits = xxh3_64(&key);
    for _ in 0..3 {
        // Four numbers of 16 bits from each hash.
        for shift in [0, 16, 32, 48] {
            sum += 2 * (bits >> shift & 0xFFFF) as i64 + 1;
        }
        bits = xxh3_64(&bits.to_le_bytes());
    }
    // Each is uniform on (0, 2^17), so all of them are 12 x 2^16 on average.
    (sum - (12 << 16)) as f32 / (1u32 << 17) as f32
}
