//! Opening a file: records into the caller's [`Model`], tensors borrowed in place, everything checked on the way.

use heapless::Vec;
use serde::{Deserialize, Serialize};

#[cfg(feature = "attention")]
use super::attention::Attending;
use super::{Dense, First, Model, TableData, later_layer};
use crate::error::{Error, Result, Status};
use crate::features::{self, Vocabulary};
use crate::format::{File, Reader, SectionKind};
#[cfg(feature = "formula")]
use crate::fusion::formula::{Binding, Quantiles};
use crate::kernels::quads_fit;
use crate::spec::{
    Dtype, Layer, Network, Side, Spec, Tensor, TensorSection, biases_are_valid,
    boundaries_are_valid, fed_weights_are_valid, knots_are_valid, limits, packed_ends_are_zero,
    panel_edges_are_zero, scales_are_valid, steps_are_valid,
};

/// The first record of the spec section: the model's name and how many records of each kind follow.
#[derive(Serialize, Deserialize)]
pub(crate) struct SpecHead<'a> {
    #[serde(borrow)]
    pub name: &'a str,
    pub features: u16,
    pub tables: u16,
    pub labels: u16,
    pub tasks: u16,
    pub terms: u16,
}

impl<'a> Model<'a> {
    pub(super) fn load(&mut self, file: &File<'a>) -> Result<()> {
        read_spec(&mut file.section(SectionKind::Spec), &mut self.spec)?;
        self.spec.check().map_err(|e| Error {
            offset: file.section(SectionKind::Spec).offset() as u64,
            ..e
        })?;
        if features::state_bytes(&self.spec) > limits::STATE_BYTES {
            return Err(over());
        }
        self.read_lookups(file.section(SectionKind::Lookups))?;
        self.read_embeddings(file.section(SectionKind::Embeddings))?;
        self.read_layers(file.section(SectionKind::Layers))?;
        #[cfg(feature = "attention")]
        self.read_attention(file)?;
        #[cfg(feature = "formula")]
        self.read_formula(file)?;
        Ok(())
    }

    /// Projections of features that attend: their section is there if such features are.
    #[cfg(feature = "attention")]
    fn read_attention(&mut self, file: &File<'a>) -> Result<()> {
        let Model {
            spec, attention, ..
        } = self;
        for (feature, plan) in spec.attentions() {
            let attending = Attending::new(spec, feature, plan);
            attention.push(attending).map_err(|_| over())?;
        }
        let mut reader = match (file.optional(SectionKind::Attention), attention.is_empty()) {
            (Some(reader), false) => reader,
            (None, true) => return Ok(()),
            (None, false) => return Err(Error::at(Status::MissingSection, 56)),
            (Some(reader), true) => return Err(Error::at(Status::Inconsistent, reader.offset())),
        };
        let mut at = 0;
        spec.tensors(
            TensorSection::Attention,
            &mut |tensor, dtype, rows, cols| {
                let start = reader.offset();
                let data = next(&mut reader, dtype, rows, cols)?;
                // Six tensors a feature, the query's first.
                let attending = attention.get_mut(at / 6).ok_or(over())?;
                let [query, key] = &mut attending.projections;
                let side = if at / 3 % 2 == 0 { query } else { key };
                at += 1;
                match tensor {
                    Tensor::ProjectionWeight(..) => {
                        side.weight = data;
                        side.quads = quads_fit(data, cols);
                    }
                    Tensor::ProjectionScale(..) if !scales_are_valid(data) => {
                        return Err(Error::at(Status::BadScale, start));
                    }
                    Tensor::ProjectionScale(..) => side.scale = data,
                    _ => side.zero_bias = data,
                }
                Ok(())
            },
        )?;
        reader.finish()
    }

    /// Quantiles, then the formula that may read them.
    #[cfg(feature = "formula")]
    fn read_formula(&mut self, file: &File<'a>) -> Result<()> {
        if let Some(reader) = file.optional(SectionKind::Quantiles) {
            let Model {
                spec, quantiles, ..
            } = self;
            Quantiles::read(reader, spec, &mut |table| {
                quantiles.push(table).map_err(|_| over())
            })?;
        }
        if let Some(reader) = file.optional(SectionKind::Formula) {
            let here = Error::at(Status::Inconsistent, reader.offset());
            let Model {
                spec,
                quantiles,
                formula,
                digest,
                ..
            } = self;
            let binding = Binding {
                spec,
                quantiles,
                digest: *digest,
            };
            formula.read(reader, binding)?;
            if !spec.fusion.is_empty() {
                return Err(here);
            }
        }
        Ok(())
    }

    fn read_lookups(&mut self, mut reader: Reader<'a>) -> Result<()> {
        let Model {
            spec,
            tables,
            boundaries,
            ..
        } = self;
        for _ in &spec.tables {
            tables.push(TableData::default()).map_err(|_| over())?;
        }
        for _ in &spec.features {
            boundaries.push(&[]).map_err(|_| over())?;
        }
        spec.tensors(TensorSection::Lookups, &mut |tensor, dtype, rows, cols| {
            let here = Error::at(Status::BadVocabulary, reader.offset());
            let data = next(&mut reader, dtype, rows, cols)?;
            match tensor {
                Tensor::Vocabulary(i) => {
                    let keys = spec
                        .tables
                        .get(i)
                        .map_or(0, |t| t.num_embeddings.saturating_sub(1));
                    let vocabulary = Vocabulary::check(data, keys).map_err(|e| Error {
                        offset: here.offset,
                        ..e
                    })?;
                    if let Some(table) = tables.get_mut(i) {
                        table.vocabulary = vocabulary;
                    }
                }
                Tensor::Boundaries(i) => {
                    if !boundaries_are_valid(data) {
                        return Err(Error {
                            status: Status::BadScale,
                            ..here
                        });
                    }
                    if let Some(slot) = boundaries.get_mut(i) {
                        *slot = data;
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        reader.finish()
    }

    fn read_embeddings(&mut self, mut reader: Reader<'a>) -> Result<()> {
        let Model { spec, tables, .. } = self;
        spec.tensors(
            TensorSection::Embeddings,
            &mut |tensor, dtype, rows, cols| {
                let start = reader.offset();
                let data = next(&mut reader, dtype, rows, cols)?;
                let (Tensor::TableScale(i) | Tensor::TableZeroPoint(i) | Tensor::TableRows(i)) =
                    tensor
                else {
                    return Ok(());
                };
                if matches!(tensor, Tensor::TableScale(_)) && !scales_are_valid(data) {
                    return Err(Error::at(Status::BadScale, start));
                }
                if let Some(table) = tables.get_mut(i) {
                    match tensor {
                        Tensor::TableZeroPoint(_) => table.zero_points = data,
                        Tensor::TableRows(_) => table.rows = data,
                        _ => table.scales = data,
                    }
                }
                Ok(())
            },
        )?;
        reader.finish()
    }

    fn read_layers(&mut self, mut reader: Reader<'a>) -> Result<()> {
        let Model {
            spec,
            first,
            first_bias,
            layers,
            knots,
            order,
            ..
        } = self;
        *order = spec.order().ok_or(over())?;
        for _ in 0..spec.groups() * Side::ALL.len() {
            first.push(First::default()).map_err(|_| over())?;
        }
        for _ in &spec.tasks {
            knots.push(&[]).map_err(|_| over())?;
        }
        spec.tensors(TensorSection::Layers, &mut |tensor, dtype, rows, cols| {
            let start = reader.offset();
            let data = next(&mut reader, dtype, rows, cols)?;
            let valid = match tensor {
                Tensor::Scale(_) => scales_are_valid(data),
                Tensor::Bias(_) => biases_are_valid(data),
                Tensor::Fed(_) => fed_weights_are_valid(data),
                Tensor::Knots(_) => knots_are_valid(data),
                // Quantiles alone have several rows of them.
                #[cfg(feature = "quantile")]
                Tensor::Steps(_) if rows > 1 => {
                    steps_are_valid(data) && crate::spec::rows_never_fall(data, cols)
                }
                Tensor::Steps(_) => steps_are_valid(data),
                _ => true,
            };
            if !valid {
                return Err(Error::at(Status::BadScale, start));
            }
            match tensor {
                Tensor::Weight(Layer::First { group, side }) => {
                    let first = first_of(first, group, side)?;
                    first.weight = data;
                    first.quads = quads_fit(data, cols);
                }
                Tensor::Scale(Layer::First { group, side }) => {
                    first_of(first, group, side)?.scale = data;
                }
                Tensor::ZeroBias { group, side } => first_of(first, group, side)?.zero_bias = data,
                Tensor::Bias(Layer::First { .. }) => first_bias.push(data).map_err(|_| over())?,
                Tensor::Weight(_) => {
                    let dense = Dense {
                        weight: data,
                        outputs: rows,
                        inputs: cols,
                        quads: dtype == Dtype::I8Panel && quads_fit(data, cols),
                        ..Dense::default()
                    };
                    layers.push(dense).map_err(|_| over())?;
                }
                // Tensors come in file order, so scale and bias belong to the layer just pushed.
                Tensor::Scale(_) => layers.last_mut().ok_or(over())?.scale = data,
                Tensor::Bias(_) => layers.last_mut().ok_or(over())?.bias = data,
                Tensor::Fed(layer) => {
                    let at = later_layer(spec, layer).ok_or(over())?;
                    layers.get_mut(at).ok_or(over())?.fed = data;
                }
                Tensor::Knots(task) | Tensor::Steps(task) => {
                    *knots.get_mut(task).ok_or(over())? = data;
                }
                _ => {}
            }
            Ok(())
        })?;
        reader.finish()
    }
}

fn over() -> Error {
    Error::new(Status::OverLimit)
}

fn first_of<'m, 'a, const N: usize>(
    first: &'m mut Vec<First<'a>, N>,
    group: usize,
    side: Side,
) -> Result<&'m mut First<'a>> {
    first
        .get_mut(group * Side::ALL.len() + side as usize)
        .ok_or(over())
}

/// The next tensor, with its bytes in range.
fn next<'a>(reader: &mut Reader<'a>, dtype: Dtype, rows: usize, cols: usize) -> Result<&'a [u8]> {
    let start = reader.offset();
    let data = reader.tensor(dtype, rows, cols)?;
    let padded = match dtype {
        Dtype::I8Panel => panel_edges_are_zero(data, rows, cols),
        Dtype::U4 => packed_ends_are_zero(data, cols),
        _ => true,
    };
    if !padded {
        return Err(Error::at(Status::BadPadding, start));
    }
    dtype
        .check(data)
        .map_err(|status| Error::at(status, start))?;
    Ok(data)
}

/// Decodes the records one at a time into their places: a whole [`Spec`] is never moved.
fn read_spec<'a>(reader: &mut Reader<'a>, spec: &mut Spec<'a>) -> Result<()> {
    let head: SpecHead<'a> = reader.record()?;
    spec.name = head.name;
    fill(reader, &mut spec.features, head.features)?;
    fill(reader, &mut spec.tables, head.tables)?;
    fill(reader, &mut spec.labels, head.labels)?;
    let network: Network = reader.record()?;
    spec.network = network;
    fill(reader, &mut spec.tasks, head.tasks)?;
    fill(reader, &mut spec.fusion, head.terms)?;
    reader.finish()
}

fn fill<'a, T, const N: usize>(
    reader: &mut Reader<'a>,
    list: &mut Vec<T, N>,
    count: u16,
) -> Result<()>
where
    T: Deserialize<'a>,
{
    for _ in 0..count {
        let record = reader.record()?;
        list.push(record)
            .map_err(|_| Error::at(Status::OverLimit, reader.offset()))?;
    }
    Ok(())
}
