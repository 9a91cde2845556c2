//! Items and visible profiles.

use std::prelude::v1::*;

use super::normal::Draws;
use super::world::{LENGTH_SD, LN_LENGTH, NUM_TOPICS, PROFILE_LEVELS};

/// The smallest and largest length of an item, seconds.
pub const LENGTH_SECONDS: core::ops::RangeInclusive<u32> = 5..=600;
/// An item whose bait is above this counts as bait in reports; 20.6 % of the catalogue does.
pub const BAIT_THRESHOLD: f64 = 0.5;

/// One item; every field is visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item {
    /// Topic, 0..12.
    pub topic: u32,
    /// Author, 0..number of items / 20.
    pub author: u32,
    /// Quality, standard normal, in thousandths.
    pub quality: f64,
    /// How much the title promises, 0 to 1, in thousandths.
    pub bait: f64,
    /// Length in seconds, 5 to 600.
    pub length_seconds: u32,
    /// (ln length - ln 40) / 0.9, kept because every row needs it.
    length_z: f64,
}

impl Item {
    /// An item with the given visible fields.
    pub fn new(topic: u32, author: u32, quality: f64, bait: f64, length_seconds: u32) -> Self {
        let length_z = (libm::log(f64::from(length_seconds)) - LN_LENGTH) / LENGTH_SD;
        Item {
            topic,
            author,
            quality,
            bait,
            length_seconds,
            length_z,
        }
    }

    /// (ln length - ln 40 s) / 0.9.
    pub(crate) fn length_z(&self) -> f64 {
        self.length_z
    }

    /// Whether reports count it as bait.
    pub fn is_bait(&self) -> bool {
        self.bait > BAIT_THRESHOLD
    }
}

/// Number of items for a log of `rows` rows: 2,000 at 10^4, 9,283 at 10^6, 20,000 at 10^7, and never outside that.
pub fn num_items(rows: u64) -> u32 {
    (libm::round(2000.0 * libm::cbrt(rows as f64 / 1e4)) as u32).clamp(2_000, 20_000)
}

/// Draws a catalogue. An author has one main topic (80 % of the items) and a mean quality (sd 0.6 of the total 1).
pub(crate) fn draw_items(draws: &mut Draws, num_items: u32) -> Vec<Item> {
    let num_authors = (num_items / 20).max(1);
    let authors: Vec<(u32, f64)> = (0..num_authors)
        .map(|_| (draws.below(NUM_TOPICS as u32), draws.normal()))
        .collect();
    (0..num_items)
        .map(|_| {
            let author = draws.below(num_authors);
            let (main_topic, author_quality) = authors[author as usize];
            let (stays, other) = (draws.uniform() < 0.8, draws.below(NUM_TOPICS as u32));
            let quality = thousandths(0.6 * author_quality + 0.8 * draws.normal());
            let bait = draws.uniform();
            let length = libm::exp(LN_LENGTH + LENGTH_SD * draws.normal());
            Item::new(
                if stays { main_topic } else { other },
                author,
                quality,
                thousandths(bait * bait * bait),
                (libm::round(length) as u32).clamp(*LENGTH_SECONDS.start(), *LENGTH_SECONDS.end()),
            )
        })
        .collect()
}

/// Draws a profile: every level of every column is as likely as the others.
pub(crate) fn draw_profile(draws: &mut Draws) -> [u32; 4] {
    PROFILE_LEVELS.map(|levels| draws.below(levels))
}

/// Rounds to what the CSV shows, so that what is visible is exact.
pub(crate) fn thousandths(x: f64) -> f64 {
    libm::round(x * 1000.0) / 1000.0
}
