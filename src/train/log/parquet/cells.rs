//! Values of one Parquet column as text.
use std::io::Write;
use std::prelude::v1::*;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int96};
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::super::source::Wanted;
use super::super::time;
use crate::train::description;

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    /// As it is stored.
    Plain,
    /// Without a sign.
    Unsigned,
    /// Units of 10^-scale.
    Decimal(u32),
    /// Times: so many a millisecond.
    PerMillisecond(i64),
    /// Days since 1970.
    Days,
}

/// How values of a column become cells.
pub(super) struct Form {
    meaning: Meaning,
    unit: description::TimeUnit,
    /// Definition level of a value that is there.
    present: i16,
    /// For a list: definition level from which there is an element, and what stands between two.
    list: Option<(i16, Vec<u8>)>,
}

impl Form {
    /// Of the only primitive column below `field`. Errors: what it is instead of something readable.
    pub fn of(
        column: &ColumnDescriptor,
        field: &Type,
        wanted: &Wanted<'_>,
    ) -> core::result::Result<Self, String> {
        let list = match (field.is_primitive(), column.max_rep_level()) {
            (true, 0) => None,
            (_, 1) => Some((repeated_level(field), (wanted.separator)(field.name()))),
            (_, 0) => return Err(super::group(field)),
            _ => return Err(String::from("a list of lists")),
        };
        Ok(Self {
            meaning: meaning(column)?,
            unit: wanted.time_unit,
            present: column.max_def_level(),
            list,
        })
    }
}

/// Definition level from which the repeated node at or below `field` has an element.
fn repeated_level(field: &Type) -> i16 {
    let (mut node, mut level) = (field, 0);
    loop {
        let info = node.get_basic_info();
        match info.has_repetition().then(|| info.repetition()) {
            Some(Repetition::REPEATED) => return level + 1,
            Some(Repetition::OPTIONAL) => level += 1,
            _ => {}
        }
        match node.is_group().then(|| node.get_fields().first()).flatten() {
            Some(below) => node = below,
            None => return level,
        }
    }
}

fn meaning(column: &ColumnDescriptor) -> core::result::Result<Meaning, String> {
    let logical = column.logical_type_ref();
    let found = || match logical {
        Some(logical) => format!("{logical:?}"),
        None => format!("{} ({})", column.physical_type(), column.converted_type()),
    };
    let whole = matches!(column.physical_type(), Physical::INT32 | Physical::INT64);
    let decimal = || {
        let scale = u32::try_from(column.type_scale()).ok();
        scale
            .filter(|s| *s <= 38)
            .map(Meaning::Decimal)
            .ok_or_else(found)
    };
    let by_logical = match logical {
        None => None,
        Some(LogicalType::Decimal(_)) => Some(decimal()?),
        Some(LogicalType::Date) if whole => Some(Meaning::Days),
        Some(LogicalType::Integer(int)) if whole => Some(match int.is_signed {
            true => Meaning::Plain,
            false => Meaning::Unsigned,
        }),
        Some(LogicalType::Timestamp(of)) if whole => Some(Meaning::PerMillisecond(match of.unit {
            TimeUnit::MILLIS => 1,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1_000_000,
        })),
        Some(
            LogicalType::String | LogicalType::Enum | LogicalType::Json | LogicalType::Unknown,
        ) => Some(Meaning::Plain),
        Some(_) => return Err(found()),
    };
    if let Some(meaning) = by_logical {
        return Ok(meaning);
    }
    use ConvertedType as C;
    match (column.physical_type(), column.converted_type()) {
        (_, C::DECIMAL) => decimal(),
        (Physical::INT32 | Physical::INT64, of) => match of {
            C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64 => Ok(Meaning::Plain),
            C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64 => Ok(Meaning::Unsigned),
            C::DATE => Ok(Meaning::Days),
            C::TIMESTAMP_MILLIS => Ok(Meaning::PerMillisecond(1)),
            C::TIMESTAMP_MICROS => Ok(Meaning::PerMillisecond(1_000)),
            _ => Err(found()),
        },
        (Physical::INT96, _) => Ok(Meaning::PerMillisecond(1)),
        (Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE, _) => Ok(Meaning::Plain),
        (Physical::BYTE_ARRAY, C::NONE | C::UTF8 | C::ENUM | C::JSON) => Ok(Meaning::Plain),
        _ => Err(found()),
    }
}

/// The cells of some rows of one column.
#[derive(Default)]
pub(super) struct Cells {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
    /// Rows with an element that holds the separator, ascending.
    ambiguous: Vec<usize>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl Cells {
    pub fn get(&self, row: usize) -> &[u8] {
        let before = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.copied().unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub fn is_ambiguous(&self, row: usize) -> bool {
        !self.ambiguous.is_empty() && self.ambiguous.binary_search(&row).is_ok()
    }

    /// Reads the next `rows` rows instead of those before; how many there were.
    pub fn fill(&mut self, reader: &mut ColumnReader, rows: usize, form: &Form) -> Result<usize> {
        let plain = form.meaning;
        match reader {
            ColumnReader::BoolColumnReader(r) => self.read(r, rows, form, |x, out| {
                out.push(b'0' + u8::from(*x));
            }),
            ColumnReader::Int32ColumnReader(r) => self.read(r, rows, form, |x, out| match plain {
                Meaning::Unsigned => unsigned(u64::from(*x as u32), out),
                _ => integer(i64::from(*x), form, out),
            }),
            ColumnReader::Int64ColumnReader(r) => self.read(r, rows, form, |x, out| match plain {
                Meaning::Unsigned => unsigned(*x as u64, out),
                _ => integer(*x, form, out),
            }),
            ColumnReader::Int96ColumnReader(r) => self.read(r, rows, form, |x, out| {
                time_cell(int96_milliseconds(x), form.unit, out);
            }),
            // Writing to a Vec cannot fail.
            ColumnReader::FloatColumnReader(r) => self.read(r, rows, form, |x, out| {
                let _ = write!(out, "{x}");
            }),
            ColumnReader::DoubleColumnReader(r) => self.read(r, rows, form, |x, out| {
                let _ = write!(out, "{x}");
            }),
            ColumnReader::ByteArrayColumnReader(r) => {
                self.read(r, rows, form, |x, out| bytes(x, plain, out))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                self.read(r, rows, form, |x, out| bytes(x, plain, out))
            }
        }
    }

    fn read<T: DataType>(
        &mut self,
        reader: &mut ColumnReaderImpl<T>,
        rows: usize,
        form: &Form,
        text: impl Fn(&T::T, &mut Vec<u8>),
    ) -> Result<usize> {
        let (out, ends) = (&mut self.bytes, &mut self.ends);
        out.clear();
        ends.clear();
        self.ambiguous.clear();
        self.definitions.clear();
        self.repetitions.clear();
        let mut values = Vec::with_capacity(rows);
        let (read, _, levels) = reader.read_records(
            rows,
            Some(&mut self.definitions),
            Some(&mut self.repetitions),
            &mut values,
        )?;
        let mut values = values.iter();
        let level = |i: usize| self.definitions.get(i).copied().unwrap_or(form.present);
        let Some((element, separator)) = &form.list else {
            for i in 0..read {
                if level(i) == form.present
                    && let Some(value) = values.next()
                {
                    text(value, out);
                }
                ends.push(out.len());
            }
            return Ok(read);
        };
        let mut begun = 0;
        for i in 0..levels {
            // A level of 0 begins a row.
            let first = self.repetitions.get(i).is_none_or(|r| *r == 0);
            if first && i > 0 {
                ends.push(out.len());
            }
            if first {
                begun = out.len();
            }
            if level(i) < *element {
                continue;
            }
            if !first {
                out.extend_from_slice(separator);
            }
            let start = out.len().max(begun);
            if level(i) == form.present
                && let Some(value) = values.next()
            {
                text(value, out);
            }
            let holds = |text: &[u8]| text.windows(separator.len().max(1)).any(|w| w == separator);
            if holds(out.get(start..).unwrap_or_default())
                && self.ambiguous.last() != Some(&ends.len())
            {
                self.ambiguous.push(ends.len());
            }
        }
        if levels > 0 {
            ends.push(out.len());
        }
        Ok(ends.len())
    }
}

fn unsigned(value: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let (mut start, mut rest) = (text.len(), value);
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

fn signed(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

fn integer(value: i64, form: &Form, out: &mut Vec<u8>) {
    match form.meaning {
        Meaning::Decimal(scale) => decimal(i128::from(value), scale, out),
        Meaning::Days => time_cell(value.saturating_mul(86_400_000), form.unit, out),
        Meaning::PerMillisecond(units) => time_cell(value.div_euclid(units), form.unit, out),
        _ => signed(value, out),
    }
}

fn decimal(value: i128, scale: u32, out: &mut Vec<u8>) {
    let digits = format!(
        "{:0>width$}",
        value.unsigned_abs(),
        width = scale as usize + 1
    );
    if value < 0 {
        out.push(b'-');
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// Text, or the big-endian digits of a decimal. One over 16 bytes is no number of this world and becomes one that readers
/// refuse.
fn bytes(value: &impl AsRef<[u8]>, meaning: Meaning, out: &mut Vec<u8>) {
    let value = value.as_ref();
    let Meaning::Decimal(scale) = meaning else {
        out.extend_from_slice(value);
        return;
    };
    if value.is_empty() || value.len() > 16 {
        out.extend_from_slice(b"NaN");
        return;
    }
    let sign = if value[0] & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [sign; 16];
    wide[16 - value.len()..].copy_from_slice(value);
    decimal(i128::from_be_bytes(wide), scale, out);
}

/// The old form of a timestamp: nanoseconds of the day, and the Julian day.
fn int96_milliseconds(value: &Int96) -> i64 {
    const DAY_OF_1970: i64 = 2_440_588;
    let [low, high, day] = [0, 1, 2].map(|i| value.data().get(i).copied().unwrap_or(0));
    let nanoseconds = i64::from(high) << 32 | i64::from(low);
    (i64::from(day) - DAY_OF_1970) * 86_400_000 + nanoseconds.div_euclid(1_000_000)
}

fn time_cell(ms: i64, unit: description::TimeUnit, out: &mut Vec<u8>) {
    match unit {
        description::TimeUnit::Seconds => signed(ms.div_euclid(1000), out),
        description::TimeUnit::Milliseconds => signed(ms, out),
        description::TimeUnit::Iso => out.extend_from_slice(time::iso_text(ms).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::ByteArray;

    #[test]
    fn numbers_become_the_shortest_text_that_gives_them_back() {
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(text(&|out| unsigned(u64::MAX, out)), "18446744073709551615");
        assert_eq!(text(&|out| signed(i64::MIN, out)), "-9223372036854775808");
        assert_eq!(text(&|out| decimal(-5, 3, out)), "-0.005");
        assert_eq!(text(&|out| decimal(12_345, 2, out)), "123.45");
        assert_eq!(text(&|out| decimal(7, 0, out)), "7");
        let minus_one = ByteArray::from(vec![0xff, 0x9c]);
        assert_eq!(
            text(&|out| bytes(&minus_one.data(), Meaning::Decimal(2), out)),
            "-1.00"
        );
        let mut half_day = Int96::new();
        half_day.set_data(1_000_000, 0, 2_440_589);
        assert_eq!(int96_milliseconds(&half_day), 86_400_001);
    }
}
