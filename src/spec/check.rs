//! What must hold between the records of a model before anything trusts them.

use super::{
    Decay, Encoding, Feature, Grid, Lookup, NumberGrid, Pooling, Side, Source, Spec, Table,
    Transform, limits,
};
use crate::error::{Error, Result, Status};

mod network;

impl Spec<'_> {
    /// Checks every count, index, number and relation. Capacities of the lists bound the counts themselves.
    ///
    /// # Errors
    /// [`Status::OverLimit`], [`Status::Inconsistent`] or [`Status::BadNumber`], with the feature's index where one
    /// is concerned.
    pub fn check(&self) -> Result<()> {
        self.check_names()?;
        for table in &self.tables {
            within(table.num_embeddings as usize, limits::NUM_EMBEDDINGS)?;
            within(usize::from(table.embedding_dim), limits::EMBEDDING_DIM)?;
            holds(matches!(table.bits, Table::PACKED | Table::WHOLE))?;
            // A hash leads to row 1 or later.
            holds(!matches!(table.lookup, Lookup::Hash(_)) || table.num_embeddings >= 2)?;
        }
        for (i, feature) in self.features.iter().enumerate() {
            let here = |e: Error| Error::feature(e.status, i);
            self.check_source(i, feature).map_err(here)?;
            self.check_encoding(feature).map_err(here)?;
        }
        #[cfg(feature = "attention")]
        {
            let attends = self.attentions().count();
            within(attends + 1, limits::ATTENTIONS + 1)?;
            // Projections are of one group of embeddings.
            holds(attends == 0 || self.groups() == 1)?;
        }
        let mut inputs = 0;
        for side in Side::ALL {
            let n = self.side_inputs(side);
            if n > limits::SIDE_INPUTS {
                return Err(Error::new(Status::OverLimit));
            }
            inputs += n;
        }
        holds(inputs > 0)?;
        self.check_network()?;
        self.check_tasks()
    }

    fn check_names(&self) -> Result<()> {
        distinct(self.features.iter().map(|f| f.name))?;
        distinct(self.tables.iter().map(|t| t.name))?;
        distinct(self.labels.iter().map(|l| l.name))?;
        distinct(self.tasks.iter().map(|t| t.name))?;
        distinct(self.fusion.iter().map(|t| t.name))?;
        for unit in self.tasks.iter().map(|t| t.unit).chain([self.name]) {
            if unit.len() > limits::NAME_BYTES {
                return Err(Error::new(Status::OverLimit));
            }
        }
        Ok(())
    }

    fn feature_at(&self, index: u8) -> Result<&Feature<'_>> {
        let feature = self.features.get(usize::from(index));
        feature.ok_or(Error::new(Status::Inconsistent))
    }

    /// The feature at `index` if the app can send its ids with an event: a column of ids or of bucketed numbers.
    fn key(&self, index: u8) -> Result<&Feature<'_>> {
        let feature = self.cross_part(index)?;
        holds(feature.source == Source::Column)?;
        Ok(feature)
    }

    /// The feature at `index` if a cross can be made of it: a column of ids, or any bucketed number.
    fn cross_part(&self, index: u8) -> Result<&Feature<'_>> {
        let feature = self.feature_at(index)?;
        holds(match feature.encoding {
            Encoding::Row { .. } => feature.source == Source::Column,
            Encoding::Number { buckets, .. } => buckets.is_some(),
            _ => false,
        })?;
        Ok(feature)
    }

    /// The feature at `index` if it is a number that is not combined itself: so reading one takes no recursion.
    fn plain_number(&self, index: u8) -> Result<&Feature<'_>> {
        let feature = self.feature_at(index)?;
        holds(
            matches!(feature.encoding, Encoding::Number { .. })
                && !matches!(feature.source, Source::Combine { .. }),
        )?;
        Ok(feature)
    }

    fn check_source(&self, index: usize, feature: &Feature<'_>) -> Result<()> {
        let number = matches!(feature.encoding, Encoding::Number { .. });
        let label = |label: u8| holds(usize::from(label) < self.labels.len());
        let rate = |decay: Decay, prior: f32, strength: f32| {
            // A half-life is a divisor.
            if matches!(decay, Decay::Events(0) | Decay::Seconds(0)) {
                return Err(Error::new(Status::BadNumber));
            }
            number_in(prior, -1e6, 1e6)?;
            number_in(strength, 1e-6, 1e6)
        };
        match feature.source {
            Source::Column => Ok(()),
            Source::Cross { left, right } => {
                holds(usize::from(left) < index && usize::from(right) < index)?;
                let joined = join(self.cross_part(left)?.side, self.cross_part(right)?.side);
                holds(feature.side == joined || feature.side == Side::Cross)?;
                holds(matches!(feature.encoding, Encoding::Row { .. }))
            }
            Source::Combine { left, right, .. } => {
                holds(usize::from(left) < index && usize::from(right) < index)?;
                let joined = join(
                    self.plain_number(left)?.side,
                    self.plain_number(right)?.side,
                );
                holds(number && (feature.side == joined || feature.side == Side::Cross))
            }
            Source::LastIds { label: l, key, len } => {
                label(l)?;
                within(usize::from(len), limits::IDS)?;
                let Encoding::Row { table: of, .. } = self.key(key)?.encoding else {
                    return Err(Error::new(Status::Inconsistent));
                };
                holds(feature.side == Side::User)?;
                holds(
                    matches!(feature.encoding, Encoding::Rows { table, weighted: false, .. } if table == of),
                )
            }
            // A library without attention knows no section of projections, and refuses what would need one.
            #[cfg(not(feature = "attention"))]
            Source::Attention { .. } => holds(false),
            #[cfg(feature = "attention")]
            Source::Attention { of, query, dim } => {
                within(usize::from(dim), limits::ATTENTION_DIM)?;
                let (list, id) = (self.feature_at(of)?, self.feature_at(query)?);
                let Encoding::Rows {
                    table,
                    max_len,
                    pooling: Pooling::Mean,
                    weighted: false,
                    ..
                } = feature.encoding
                else {
                    return Err(Error::new(Status::Inconsistent));
                };
                // What attends has no list of its own.
                let is_list = matches!(
                    list.encoding,
                    Encoding::Rows { table: t, max_len: n, weighted: false, .. } if (t, n) == (table, max_len)
                ) && list.side == Side::User;
                let is_id = matches!(id.encoding, Encoding::Row { table: t, .. } if t == table)
                    && id.source == Source::Column
                    && id.side != Side::User;
                holds(is_list && is_id && feature.side == Side::Cross)
            }
            Source::Count { label: l }
            | Source::Since { label: l }
            | Source::Previous { label: l } => {
                label(l)?;
                holds(number && feature.side == Side::User)
            }
            Source::Rate {
                label: l,
                decay,
                prior,
                strength,
            } => {
                label(l)?;
                rate(decay, prior, strength)?;
                holds(number && feature.side == Side::User)
            }
            Source::KeyRate {
                label: l,
                key,
                buckets,
                decay,
                prior,
                strength,
            } => {
                label(l)?;
                self.key(key)?;
                within(usize::from(buckets), limits::KEY_BUCKETS)?;
                rate(decay, prior, strength)?;
                holds(number && feature.side == Side::Cross)
            }
        }
    }

    fn check_encoding(&self, feature: &Feature<'_>) -> Result<()> {
        let table = |index: u8| {
            self.tables
                .get(usize::from(index))
                .ok_or(Error::new(Status::Inconsistent))
        };
        match feature.encoding {
            Encoding::Row {
                table: t,
                default_row,
            } => {
                let t = table(t)?;
                holds(t.lookup != Lookup::Buckets && default_row < t.num_embeddings)
            }
            Encoding::Rows {
                table: t,
                max_len,
                pooling,
                divisor,
                ..
            } => {
                within(usize::from(max_len), limits::IDS)?;
                holds(
                    table(t)?.lookup != Lookup::Buckets
                        && divisor > 0
                        && (pooling == Pooling::Sum || divisor == 1),
                )
            }
            Encoding::Number {
                transform,
                default,
                value,
                buckets,
            } => {
                transform.check()?;
                number_in(default, f32::MIN, f32::MAX)?;
                if let Some(grid) = value {
                    grid.check()?;
                }
                if let Some(t) = buckets {
                    let t = table(t)?;
                    let rows = t.num_embeddings as usize;
                    holds(
                        t.lookup == Lookup::Buckets && (2..=limits::BUCKETS + 2).contains(&rows),
                    )?;
                }
                holds(value.is_some() || buckets.is_some())
            }
            Encoding::Vector { dim, grid } => {
                grid.check()?;
                within(usize::from(dim), limits::EMBEDDING_DIM)?;
                holds(feature.source == Source::Column)
            }
        }
    }
}

/// Fusion weights are finite, at most 1e6 in magnitude, and 0 or at least 1e-12: so no product of a weight and a
/// score is subnormal or infinite.
pub fn weight_is_valid(weight: f32) -> bool {
    weight == 0.0 || (1e-12..=1e6).contains(&weight) || (-1e6..=-1e-12).contains(&weight)
}

/// The side of what depends on two sides.
fn join(a: Side, b: Side) -> Side {
    match (a, b) {
        _ if a == b => a,
        (Side::Item, Side::Candidate) | (Side::Candidate, Side::Item) => Side::Candidate,
        _ => Side::Cross,
    }
}

impl Transform {
    fn check(&self) -> Result<()> {
        number_in(self.low, f32::MIN, f32::MAX)?;
        number_in(self.high, self.low, f32::MAX)?;
        number_in(self.shift, f32::MIN, f32::MAX)?;
        number_in(self.scale, -1e12, 1e12)?;
        if self.log1p && self.low <= -1.0 {
            Err(Error::new(Status::BadNumber))
        } else {
            Ok(())
        }
    }
}

impl Grid {
    fn check(&self) -> Result<()> {
        number_in(self.inv_scale, 1e-12, 1e12)?;
        holds(self.zero_point <= 127).map_err(|_| Error::new(Status::BadNumber))
    }
}

impl NumberGrid {
    fn check(&self) -> Result<()> {
        number_in(self.inv_scale, 1e-12, 1e12)?;
        let bytes = usize::from(self.bytes);
        let holds_ = (1..=limits::NUMBER_BYTES).contains(&bytes)
            && usize::from(self.zero_point) <= 127 * bytes;
        holds(holds_).map_err(|_| Error::new(Status::BadNumber))
    }
}

fn holds(condition: bool) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(Error::new(Status::Inconsistent))
    }
}

fn within(count: usize, most: usize) -> Result<()> {
    if count >= 1 && count <= most {
        Ok(())
    } else {
        Err(Error::new(Status::OverLimit))
    }
}

/// Within `[low, high]`, and not subnormal: hosts may take that for 0.
fn number_in(x: f32, low: f32, high: f32) -> Result<()> {
    if x >= low && x <= high && (x == 0.0 || x.is_normal()) {
        Ok(())
    } else {
        Err(Error::new(Status::BadNumber))
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    let mut rest = names;
    while let Some(name) = rest.next() {
        within(name.len(), limits::NAME_BYTES)?;
        holds(rest.clone().all(|other| other != name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::spec::{Calibration, Label, Task, TaskKind};
    use std::prelude::v1::*;

    fn spec() -> Spec<'static> {
        let mut spec = Spec::default();
        let table = Table {
            name: "t",
            num_embeddings: 2,
            embedding_dim: 3,
            bits: 8,
            lookup: Lookup::Hash(crate::spec::IdType::Int),
        };
        spec.tables.push(table).unwrap();
        let label = Label {
            name: "l",
            log1p: false,
        };
        spec.labels.push(label).unwrap();
        spec.features
            .push(Feature {
                name: "f",
                side: Side::Item,
                source: Source::Column,
                encoding: Encoding::Row {
                    table: 0,
                    default_row: 0,
                },
            })
            .unwrap();
        spec.network.num_experts = 1;
        spec.network.expert_layers.push(4).unwrap();
        spec.tasks
            .push(Task {
                name: "t",
                unit: "probability",
                kind: TaskKind::Binary,
                given: None,
                tower_layers: Default::default(),
                inputs: Default::default(),
                calibration: Calibration::None,
                score_scale: 1.0,
            })
            .unwrap();
        spec
    }

    #[test]
    fn a_hash_table_needs_a_row_for_missing_and_one_for_ids() {
        let mut spec = spec();
        assert_eq!(spec.check(), Ok(()));
        spec.tables[0].num_embeddings = 1;
        assert_eq!(spec.check().unwrap_err().status, Status::Inconsistent);
    }

    #[test]
    fn a_table_has_four_or_eight_bits_a_value() {
        for bits in 0..=255 {
            let mut spec = spec();
            spec.tables[0].bits = bits;
            assert_eq!(spec.check().is_ok(), bits == 4 || bits == 8, "{bits}");
        }
    }

    #[test]
    fn a_half_life_of_zero_is_refused() {
        let rate = |decay| {
            let mut spec = spec();
            let feature = Feature {
                name: "r",
                side: Side::User,
                source: Source::Rate {
                    label: 0,
                    decay,
                    prior: 0.1,
                    strength: 5.0,
                },
                encoding: Encoding::Number {
                    transform: Transform::UNIT,
                    default: 0.0,
                    value: Some(NumberGrid {
                        bytes: 1,
                        inv_scale: 100.0,
                        zero_point: 0,
                    }),
                    buckets: None,
                },
            };
            spec.features.push(feature).unwrap();
            spec.check().map_err(|e| e.status)
        };
        for decay in [Decay::None, Decay::Events(1), Decay::Seconds(1)] {
            assert_eq!(rate(decay), Ok(()));
        }
        for decay in [Decay::Events(0), Decay::Seconds(0)] {
            assert_eq!(rate(decay), Err(Status::BadNumber));
        }
    }

    #[test]
    fn a_subnormal_number_is_refused_in_records_and_zero_in_requests() {
        let mut transform = Transform {
            low: -1.0,
            high: 1.0,
            log1p: false,
            shift: 0.0,
            scale: 1.0,
        };
        assert_eq!(transform.check(), Ok(()));
        let below_zero = 0.0f32.to_le_bytes();
        assert_eq!(
            crate::features::bucket_row(&transform, &below_zero, -1e-40),
            2,
            "-1e-40 counts as 0, which is not below the boundary 0"
        );
        transform.low = -1e-40;
        assert_eq!(transform.check().unwrap_err().status, Status::BadNumber);
    }
}
