//! Embeddings of a request's candidates, for what compares candidates with each other.

use super::inputs::Tally;
use super::{Model, Request, Summary, dense};
use crate::error::{Error, Result, Status};
use crate::math::{clamp, round};
use crate::spec::{Encoding, Side, limits};

/// From a feature's input bytes to i8 on one scale: value d is round(factor d x (byte - zero point d)).
struct Scale {
    factors: [f32; limits::EMBEDDING_DIM],
    zero_points: [u8; limits::EMBEDDING_DIM],
}

impl Scale {
    /// Each dimension's own scale and zero point, then what makes the greatest value that a byte can mean 127.
    fn new(of: impl Iterator<Item = (f32, u8)>) -> Self {
        let mut scale = Self {
            factors: [0.0; limits::EMBEDDING_DIM],
            zero_points: [0; limits::EMBEDDING_DIM],
        };
        let mut most = 0.0;
        let places = scale.factors.iter_mut().zip(&mut scale.zero_points);
        for ((factor, zero_point), (own, zero)) in places.zip(of) {
            (*factor, *zero_point) = (own, zero);
            let widest = own * f32::from(zero.max(127u8.saturating_sub(zero)));
            most = if widest > most { widest } else { most };
        }
        let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
        for factor in &mut scale.factors {
            *factor *= inverse;
        }
        scale
    }

    fn write(&self, bytes: &[u8], to: &mut [i8]) {
        let grid = self.factors.iter().zip(&self.zero_points);
        for ((to, byte), (factor, zero)) in to.iter_mut().zip(bytes).zip(grid) {
            let steps = f32::from(*byte) - f32::from(*zero);
            *to = round(clamp(steps * *factor, -127.0, 127.0)) as i8;
        }
    }
}

impl Model<'_> {
    /// Values of a vector that [`vectors`](Self::vectors) makes of `feature`: those of a row of its table, or of the vector that
    /// the app sends.
    ///
    /// # Errors
    /// [`Status::UnknownFeature`]; [`Status::WrongForm`] for a feature of the user's side and for a number without buckets.
    pub fn vector_dim(&self, feature: usize) -> Result<usize> {
        let error = |status| Error::feature(status, feature);
        let found = self.spec.features.get(feature);
        let found = found.ok_or(error(Status::UnknownFeature))?;
        let table = |table: u8| self.spec.tables.get(usize::from(table));
        let dim = match found.encoding {
            Encoding::Row { table: t, .. } | Encoding::Rows { table: t, .. } => {
                table(t).map(|t| t.embedding_dim)
            }
            Encoding::Number { buckets, .. } => buckets.and_then(table).map(|t| t.embedding_dim),
            Encoding::Vector { dim, .. } => Some(dim),
        };
        if let crate::spec::Source::Attention { .. } = found.source {
            return Err(error(Status::WrongForm));
        }
        match (found.side, dim) {
            (Side::Item | Side::Candidate | Side::Cross, Some(dim)) => Ok(dim.into()),
            _ => Err(error(Status::WrongForm)),
        }
    }

    /// Writes what `feature` is to the network for every candidate of `request` as i8 on one scale, `[candidates, dim]`: rows of
    /// its table, pooled lists, vectors; missing and unknown values are what they are in a ranking. Directions are those of the
    /// table to half a step of 127; lengths are comparable within a feature. In a network of kind `single` the rows are those
    /// of the first task. These are the [`vectors`](crate::rerank::Rules::vectors) of a re-ranking.
    ///
    /// # Errors
    /// As [`rank`](Self::rank) and [`vector_dim`](Self::vector_dim); [`Status::BufferTooSmall`] unless `out` has exactly that
    /// length. `out` is written only on success.
    pub fn vectors(
        &self,
        request: &Request<'_>,
        feature: usize,
        out: &mut [i8],
    ) -> Result<Summary> {
        let inputs = self.open_request(request)?;
        let dim = self.vector_dim(feature)?;
        let candidates = request.num_candidates;
        if out.len() != candidates * dim {
            return Err(Error::at(Status::BufferTooSmall, candidates * dim));
        }
        let mut bytes = [0; limits::EMBEDDING_DIM];
        let bytes = bytes.get_mut(..dim).unwrap_or_default();
        let mut tally = Tally::default();
        if inputs.strict() {
            for candidate in 0..candidates {
                inputs.embedding(feature, candidate, bytes, &mut tally);
            }
            if let Some(error) = tally.refused {
                return Err(error);
            }
            tally = Tally::default();
        }
        let scale = self.vector_scale(feature, dim);
        for (candidate, to) in out.chunks_exact_mut(dim.max(1)).enumerate() {
            inputs.embedding(feature, candidate, bytes, &mut tally);
            scale.write(bytes, to);
        }
        tally.summary.scored = candidates as u32;
        Ok(tally.summary)
    }

    /// The scale of a feature's table; a vector's bytes share one already.
    fn vector_scale(&self, feature: usize, dim: usize) -> Scale {
        let (scales, zero_points) = match self.spec.features.get(feature).map(|f| f.encoding) {
            Some(
                Encoding::Row { table, .. }
                | Encoding::Rows { table, .. }
                | Encoding::Number {
                    buckets: Some(table),
                    ..
                },
            ) => {
                let table = self.tables.get(usize::from(table));
                table.map_or((&[][..], &[][..]), |t| (t.scales, t.zero_points))
            }
            Some(Encoding::Vector { grid, .. }) => {
                let own = (1.0, grid.zero_point);
                return Scale::new(core::iter::repeat_n(own, dim));
            }
            _ => (&[][..], &[][..]),
        };
        let scales = dense::row(scales, 0, 4 * dim).as_chunks::<4>().0;
        let zero_points = dense::row(zero_points, 0, dim);
        let scales = scales.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Scale::new(scales.zip(zero_points.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn directions_are_kept_to_half_a_step() {
        let scales = [0.5f32, 0.25, 0.0, 1e-9];
        let zero_points = [100, 20, 64, 127];
        let scale = Scale::new(scales.into_iter().zip(zero_points));
        // The widest value is 0.5 x 100.
        for bytes in [[0, 0, 0, 0], [127; 4], [100, 20, 64, 127], [3, 99, 1, 77]] {
            let mut values = [0; 4];
            scale.write(&bytes, &mut values);
            (0..4).for_each(|d| {
                let truth =
                    f64::from(scales[d]) * (f64::from(bytes[d]) - f64::from(zero_points[d]));
                let step = 50.0 / 127.0;
                assert!((f64::from(values[d]) * step - truth).abs() <= 0.5001 * step);
            });
        }
    }

    /// Rows of every table that a feature of golden models reads, against the file's scales and zero points.
    #[cfg(feature = "train")]
    #[test]
    fn rows_are_the_tables() {
        use crate::engine::{Column, OpenOptions};
        use crate::train::golden;
        let mut checked = 0;
        for seed in 0..12 {
            let golden = golden::model(seed);
            let mut model = Box::new(Model::new());
            model
                .open(&golden.bytes, &OpenOptions::default())
                .expect("a golden model");
            for (i, feature) in model.spec.features.iter().enumerate() {
                let (Encoding::Row { table, .. }, Ok(dim)) =
                    (feature.encoding, model.vector_dim(i))
                else {
                    continue;
                };
                if feature.source != crate::spec::Source::Column || model.spec.is_part(i) {
                    continue;
                }
                let len = model.spec.tables[usize::from(table)].num_embeddings;
                let rows: Vec<u32> = (0..40).map(|row| row % len).collect();
                let mut columns = vec![Column::Missing; i];
                columns.push(Column::Rows {
                    rows: &rows,
                    lists: None,
                });
                let request = Request {
                    num_candidates: 40,
                    columns: &columns,
                    ..Request::default()
                };
                let mut out = vec![0; 40 * dim];
                model.vectors(&request, i, &mut out).expect("a request");
                let data = &model.tables[usize::from(table)];
                let scale = |d: usize| {
                    let bytes = data.scales[4 * d..4 * d + 4].try_into().expect("4 bytes");
                    f64::from(f32::from_le_bytes(bytes))
                };
                let zero = |d: usize| f64::from(data.zero_points[d]);
                let widest = (0..dim).map(|d| scale(d) * zero(d).max(127.0 - zero(d)));
                let step = widest.fold(0.0, f64::max) / 127.0;
                for (row, values) in rows.iter().zip(out.chunks_exact(dim)) {
                    let mut bytes = vec![0; dim];
                    model.table_row(table, *row, 0).write(&mut bytes);
                    for d in 0..dim {
                        let truth = scale(d) * (f64::from(bytes[d]) - zero(d));
                        let got = f64::from(values[d]) * step;
                        assert!((got - truth).abs() <= 0.501 * step, "{got} {truth}");
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
