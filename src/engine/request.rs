//! What the app hands to a ranking call, and what it gets back.

#[cfg(feature = "formula")]
use crate::fusion::formula::Formula;
use crate::rerank;

/// The values of one feature for one request. `User` features have one value (or one list); all others have one
/// per candidate.
#[derive(Clone, Copy, Debug, Default)]
pub enum Column<'r> {
    /// The app has nothing: every value is missing.
    #[default]
    Missing,
    /// 64-bit ids of an [`IdType::Int`](crate::spec::IdType) table, or hashes made by
    /// [`features::hash_text`](crate::features::hash_text) for a `Text` one. [`Column::NO_ID`] is a missing id.
    Ids {
        /// One id per value, or all lists one after the other.
        ids: &'r [u64],
        /// Lists only.
        lists: Option<Lists<'r>>,
    },
    /// UTF-8 ids of an [`IdType::Text`](crate::spec::IdType) table: id `i` is `utf8[offsets[i]..offsets[i + 1]]`; an
    /// empty one is missing.
    Text {
        /// All ids, one after the other.
        utf8: &'r [u8],
        /// Number of ids + 1 byte offsets.
        offsets: &'r [u32],
        /// Lists only.
        lists: Option<Lists<'r>>,
    },
    /// Rows of the feature's table, resolved before. [`Column::NO_ROW`] is a missing one.
    Rows {
        /// One row per value, or all lists one after the other.
        rows: &'r [u32],
        /// Lists only.
        lists: Option<Lists<'r>>,
    },
    /// Numbers; NaN is a missing one.
    Floats(&'r [f32]),
    /// Vectors on the model's grid, `dim` bytes per value, each 0..=127.
    Bytes(&'r [u8]),
}

/// How a column of ids divides into lists.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'r> {
    /// Number of lists + 1 offsets into the ids.
    pub offsets: &'r [u32],
    /// One weight in [0, 1] per id, for features that are `weighted`; `None` means 1.
    pub weights: Option<&'r [f32]>,
}

impl Column<'_> {
    /// The id that means "missing".
    pub const NO_ID: u64 = u64::MAX;
    /// The row that means "missing".
    pub const NO_ROW: u32 = u32::MAX;
}

/// One request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Candidates, 1..=[`limits::CANDIDATES`](crate::spec::limits::CANDIDATES).
    pub num_candidates: usize,
    /// Columns by feature index; features past the end are missing. Derived features take [`Column::Missing`].
    pub columns: &'r [Column<'r>],
    /// The user's state; `None` is a user without a past.
    pub state: Option<&'r [u8]>,
    /// Time of the request, Unix seconds.
    pub time: i64,
    /// Weights of the fusion's terms, or of its formula, in order; `None` takes the file's.
    pub weights: Option<&'r [f32]>,
    /// A formula that takes the place of the file's fusion, opened by [`Model::open_formula`](super::Model::open_formula).
    #[cfg(feature = "formula")]
    pub formula: Option<&'r Formula<'r>>,
    /// Candidates to score at most (a deadline that the app turns into a count); 0 is all. The rest keep their
    /// order behind the scored ones.
    pub max_candidates: usize,
    /// Features that are left out, by index: as if the app had not sent their columns, and, for those made of the user's past,
    /// as for a user without one. What they do to a score is then the difference. Not together with item sums.
    #[cfg(feature = "formula")]
    pub without: &'r [u32],
    /// Refuse missing, non-finite and unknown values instead of counting them.
    pub strict: bool,
    /// Candidates to score, by increasing index; `None` is all. Needs feature `session`.
    pub only: Option<&'r [u32]>,
    /// Item sums that were kept; `None` computes all. Needs feature `session`.
    pub item_sums: Option<ItemSums<'r>>,
}

/// Sums of the first layer over the item side that the app kept, made by
/// [`Model::item_sums`](super::Model::item_sums): all that a request needs of a candidate's item features, whose columns
/// are then read only where another feature, or the group of a task's quantiles, is made of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemSums<'r> {
    /// Slots of [`Model::item_sums_bytes`](super::Model::item_sums_bytes) each, at any address.
    pub bytes: &'r [u8],
    /// The slot of each candidate, [`ItemSums::NONE`] for one whose sums are computed here. Empty: candidate i has
    /// slot i.
    pub slots: &'r [u32],
}

impl ItemSums<'_> {
    /// "No slot".
    pub const NONE: u32 = u32::MAX;
}

/// Where results go. Nothing is written unless the call succeeds.
#[derive(Debug, Default)]
pub struct Output<'o> {
    /// The best candidates, best first: its length (at most `num_candidates`) is the k of top-k.
    pub order: &'o mut [u32],
    /// Fused score per candidate, or empty. Unscored candidates get negative infinity.
    pub fused: &'o mut [f32],
    /// Scores `[num_candidates, num_tasks]`, or empty. Unscored candidates get 0.
    pub scores: &'o mut [f32],
    /// Values of the fusion's terms `[num_candidates, num_terms]`, or empty: a fused score is their sum, added in their order.
    /// Unscored candidates get 0.
    pub terms: &'o mut [f32],
}

impl Output<'_> {
    /// Whether order, fused scores and terms are as long as a request of so many candidates allows.
    pub(super) fn fits(&self, candidates: usize, terms: usize) -> bool {
        let (fused, terms_len) = (self.fused.len(), self.terms.len());
        self.order.len() <= candidates
            && (fused == 0 || fused == candidates)
            && (terms_len == 0 || terms_len == candidates * terms)
    }

    /// Writes the order by fused scores, and these.
    pub(super) fn put(&mut self, fused: &[f32]) {
        rerank::top_k(fused, self.order);
        for (to, fused) in self.fused.iter_mut().zip(fused) {
            *to = *fused;
        }
    }
}

/// What happened in a successful call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Candidates scored.
    pub scored: u32,
    /// Values that were missing (app columns only) and took their default.
    pub missing: u32,
    /// Numbers that were infinite and were clamped.
    pub not_finite: u32,
    /// Ids outside their vocabulary and rows outside their table, which took row 0.
    pub unknown_ids: u32,
    /// Lists longer than their feature's `max_len`, whose later ids were dropped.
    pub cut_lists: u32,
}

/// Working memory of one thread, owned by the caller; see [`Model::scratch_len`](super::Model::scratch_len). Its
/// contents never influence a result.
#[derive(Debug)]
pub struct Scratch<'s> {
    /// f32 values.
    pub floats: &'s mut [f32],
    /// Activation bytes.
    pub bytes: &'s mut [u8],
}

/// Sizes of a [`Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchLen {
    /// Elements of `floats`.
    pub floats: usize,
    /// Elements of `bytes`.
    pub bytes: usize,
}
