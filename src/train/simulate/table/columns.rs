//! The columns of a Parquet file in the making: one row group in memory, the others written.
use std::fs::File;
use std::io;
use std::prelude::v1::*;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::Cell;

/// Rows of a group: some 20 MB in memory for 20 columns, and still 760 groups at 10^8 rows.
const GROUP_ROWS: usize = 1 << 17;

enum Values {
    Ints(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<ByteArray>),
}

/// Values of one column, and for every row 1 if it has one.
struct Column {
    values: Values,
    present: Vec<i16>,
}

pub(super) struct Columns {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    /// The column of the next cell.
    at: usize,
    rows: usize,
}

impl Columns {
    pub fn create(file: File, columns: &[(&str, Cell)]) -> io::Result<Self> {
        let field = |(name, cell): &(&str, Cell)| {
            let (physical, logical) = match cell {
                Cell::Int => (Physical::INT64, None),
                Cell::Number => (Physical::DOUBLE, None),
                Cell::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let field = Type::primitive_type_builder(name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            field.build().map(Arc::new)
        };
        let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>();
        let schema = fields.and_then(|fields| {
            let schema = Type::group_type_builder("schema").with_fields(fields);
            schema.build()
        });
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Nobody looks rows up in a log; the indices would grow in memory until the file is whole.
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true);
        let schema = Arc::new(schema.map_err(io_error)?);
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()));
        let column = |(_, cell): &(&str, Cell)| Column {
            values: match cell {
                Cell::Int => Values::Ints(Vec::new()),
                Cell::Number => Values::Numbers(Vec::new()),
                Cell::Text => Values::Texts(Vec::new()),
            },
            present: Vec::new(),
        };
        Ok(Self {
            writer: writer.map_err(io_error)?,
            columns: columns.iter().map(column).collect(),
            at: 0,
            rows: 0,
        })
    }

    fn next(&mut self) -> Option<&mut Column> {
        self.at += 1;
        self.columns.get_mut(self.at - 1)
    }

    pub fn int(&mut self, value: u64) {
        let Some(column) = self.next() else { return };
        match &mut column.values {
            Values::Ints(values) => values.push(value as i64),
            Values::Numbers(values) => values.push(value as f64),
            Values::Texts(values) => values.push(ByteArray::from(format!("{value}").into_bytes())),
        }
        column.present.push(1);
    }

    pub fn number(&mut self, value: f64) {
        let Some(column) = self.next() else { return };
        match &mut column.values {
            Values::Ints(values) => values.push(value as i64),
            Values::Numbers(values) => values.push(value),
            Values::Texts(values) => values.push(ByteArray::from(format!("{value}").into_bytes())),
        }
        column.present.push(1);
    }

    /// The value that the text of a CSV cell has; none if it is empty.
    pub fn text(&mut self, text: &str) {
        let Some(column) = self.next() else { return };
        let present = match &mut column.values {
            _ if text.is_empty() => false,
            Values::Ints(values) => text.parse().map(|x| values.push(x)).is_ok(),
            Values::Numbers(values) => text.parse().map(|x| values.push(x)).is_ok(),
            Values::Texts(values) => {
                values.push(ByteArray::from(text.as_bytes().to_vec()));
                true
            }
        };
        column.present.push(i16::from(present));
    }

    pub fn end_row(&mut self) {
        self.at = 0;
        self.rows += 1;
    }

    pub fn flush_when_full(&mut self) -> io::Result<()> {
        if self.rows < GROUP_ROWS {
            return Ok(());
        }
        self.write_group().map_err(io_error)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for Column { values, present } in &mut self.columns {
            let Some(mut writer) = group.next_column()? else {
                break;
            };
            let levels = Some(present.as_slice());
            match values {
                Values::Ints(values) => {
                    let typed = writer.typed::<Int64Type>();
                    typed.write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Numbers(values) => {
                    let typed = writer.typed::<DoubleType>();
                    typed.write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Texts(values) => {
                    let typed = writer.typed::<ByteArrayType>();
                    typed.write_batch(values, levels, None)?;
                    values.clear();
                }
            }
            present.clear();
            writer.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Writes the rest and the footer.
    pub fn finish(mut self) -> io::Result<File> {
        if self.rows > 0 {
            self.write_group().map_err(io_error)?;
        }
        self.writer.into_inner().map_err(io_error)
    }
}

fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => *e,
            Err(e) => io::Error::other(e),
        },
        other => io::Error::other(other.to_string()),
    }
}
