//! A log on disk after the feature pass: one record a row and one a request, of fixed sizes, in two files without a name.
//!
//! The files are made in the run's folder and have no entry there: they go with the process, however it ends, and
//! `--resume` makes them again. They are written once from front to back and read with positioned reads, so that what the
//! system keeps of them in memory is its own to drop, not the process's.
//!
//! | record | holds, little-endian |
//! |---|---|
//! | request | its `user` features |
//! | row | request (4), GAUC group (4), all other features, then label and weight (4 + 4) of each task, and its teacher (4) if it has one |
//!
//! A feature is a table row (4); a list: its length (4), `max_len` rows (4 each), and as many Q15 weights (2 each) if it is
//! weighted; a number: its value (4) and its bucket (4), those that it has; a vector: `dim` bytes.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::prelude::v1::*;

use xxhash_rust::xxh3::Xxh3;

use crate::spec::{Encoding, Feature, Side, Source, Spec};
use crate::train::dataset::{Dataset, FeatureData, TaskData};
use crate::train::files::read_at;
use crate::train::loss::Start;

/// Bytes of the request and the group before a row's features.
const ROW_HEAD: usize = 8;
/// Bytes read at once at most.
const READ_BYTES: usize = 1 << 18;

/// A field of a record.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Of what is made of other features when it is read.
    Nothing,
    Row,
    List {
        max_len: usize,
        weighted: bool,
    },
    Number {
        value: bool,
        bucket: bool,
    },
    Vector {
        dim: usize,
    },
}

impl Field {
    fn of(feature: &Feature<'_>) -> Self {
        match feature.encoding {
            _ if matches!(feature.source, Source::Attention { .. }) => Self::Nothing,
            Encoding::Row { .. } => Self::Row,
            Encoding::Rows {
                max_len, weighted, ..
            } => Self::List {
                max_len: usize::from(max_len),
                weighted,
            },
            Encoding::Number { value, buckets, .. } => Self::Number {
                value: value.is_some(),
                bucket: buckets.is_some(),
            },
            Encoding::Vector { dim, .. } => Self::Vector {
                dim: usize::from(dim),
            },
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Row => 4,
            Self::List { max_len, weighted } => 4 + max_len * if weighted { 6 } else { 4 },
            Self::Number { value, bucket } => 4 * (usize::from(value) + usize::from(bucket)),
            Self::Vector { dim } => dim,
        }
    }

    /// A column without values.
    fn empty(self) -> FeatureData {
        match self {
            Self::Nothing | Self::Row => FeatureData::Rows(Vec::new()),
            Self::List { weighted, .. } => FeatureData::Lists {
                offsets: vec![0],
                rows: Vec::new(),
                weights: weighted.then(Vec::new),
            },
            Self::Number { .. } => FeatureData::Numbers {
                values: Vec::new(),
                buckets: Vec::new(),
            },
            Self::Vector { .. } => FeatureData::Vectors(Vec::new()),
        }
    }

    /// Writes value `at` of a column, always [`bytes`](Self::bytes) of them.
    fn write(self, column: &FeatureData, at: usize, out: &mut Vec<u8>) {
        let end = out.len() + self.bytes();
        match column {
            _ if self.bytes() == 0 => {}
            FeatureData::Rows(rows) => out.extend(rows[at].to_le_bytes()),
            FeatureData::Lists {
                offsets,
                rows,
                weights,
            } => {
                let range = offsets[at] as usize..offsets[at + 1] as usize;
                out.extend((range.len() as u32).to_le_bytes());
                out.extend(rows[range.clone()].iter().flat_map(|r| r.to_le_bytes()));
                if let Some(weights) = weights {
                    out.extend(weights[range].iter().flat_map(|w| w.to_le_bytes()));
                }
            }
            FeatureData::Numbers { values, buckets } => {
                out.extend(values.get(at).iter().flat_map(|x| x.to_le_bytes()));
                out.extend(buckets.get(at).iter().flat_map(|x| x.to_le_bytes()));
            }
            FeatureData::Vectors(bytes) => {
                let dim = self.bytes();
                out.extend_from_slice(&bytes[at * dim..(at + 1) * dim]);
            }
        }
        out.resize(end, 0);
    }

    /// Adds the value of a record to a column.
    fn read(self, record: &mut &[u8], column: &mut FeatureData) {
        let (mine, rest) = record.split_at(self.bytes());
        *record = rest;
        let words = |bytes: &[u8]| -> Vec<u32> {
            let words = bytes.as_chunks().0.iter();
            words.map(|word| u32::from_le_bytes(*word)).collect()
        };
        match (column, self) {
            (FeatureData::Rows(rows), _) => rows.extend(words(mine)),
            (
                FeatureData::Lists {
                    offsets,
                    rows,
                    weights,
                },
                _,
            ) => {
                let (len, mine) = mine.split_at(4);
                let len = words(len).first().map_or(0, |len| *len as usize);
                let (here, mine) = mine.split_at(4 * len);
                rows.extend(words(here));
                if let Some(weights) = weights {
                    let pairs = mine[..2 * len].as_chunks().0.iter();
                    weights.extend(pairs.map(|pair| u16::from_le_bytes(*pair)));
                }
                offsets.push(rows.len() as u32);
            }
            (FeatureData::Numbers { values, buckets }, Self::Number { value, .. }) => {
                let mut words = words(mine).into_iter();
                if value {
                    values.extend(words.next().map(f32::from_bits));
                }
                buckets.extend(words);
            }
            (FeatureData::Vectors(bytes), _) => bytes.extend_from_slice(mine),
            _ => {}
        }
    }
}

/// Records of one size in a file.
#[derive(Debug)]
struct Records {
    file: File,
    bytes: usize,
}

impl Records {
    /// Record `at` and the `more` after it.
    fn read(&self, at: usize, more: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize((1 + more) * self.bytes, 0);
        read_at(&self.file, buffer, (at * self.bytes) as u64)
    }
}

/// Rows on disk.
#[derive(Debug)]
pub struct Store {
    rows: Records,
    requests: Records,
    /// By feature: its field, and whether it is the request's.
    fields: Vec<(Field, bool)>,
    tasks: Vec<Labels>,
    num_rows: usize,
    /// By task: the logit of its training rows' prior.
    pub(crate) priors: Vec<f64>,
    /// By task: where one of several logits, or of quantiles, begins.
    pub(crate) starts: Vec<Start>,
    digest: u64,
}

/// A store in the making.
pub(crate) struct Writer {
    rows: BufWriter<File>,
    requests: BufWriter<File>,
    fields: Vec<(Field, bool)>,
    /// Of the rows written; none before the first.
    tasks: Vec<Labels>,
    num_rows: usize,
    num_requests: u32,
    digest: Xxh3,
    record: Vec<u8>,
}

/// What a record has of a task.
#[derive(Clone, Copy, Debug)]
struct Labels {
    ranks: bool,
    taught: bool,
}

impl Labels {
    fn of(task: &TaskData) -> Self {
        Self {
            ranks: task.ranks,
            taught: !task.teacher.is_empty(),
        }
    }

    /// No rows of it.
    fn empty(self) -> TaskData {
        TaskData {
            ranks: self.ranks,
            ..TaskData::default()
        }
    }

    /// Of label, weight and, if there is one, teacher.
    fn bytes(self) -> usize {
        if self.taught { 12 } else { 8 }
    }
}

fn record_bytes(fields: &[(Field, bool)], user: bool) -> usize {
    let fields = fields.iter().filter(|(_, of_user)| *of_user == user);
    fields.map(|(field, _)| field.bytes()).sum()
}

impl Writer {
    /// Begins a store in `folder`.
    pub fn begin(spec: &Spec<'_>, folder: &Path) -> io::Result<Self> {
        let fields = spec.features.iter();
        let fields = fields.map(|f| (Field::of(f), f.side == Side::User));
        Ok(Self {
            rows: BufWriter::with_capacity(READ_BYTES, tempfile::tempfile_in(folder)?),
            requests: BufWriter::with_capacity(READ_BYTES, tempfile::tempfile_in(folder)?),
            fields: fields.collect(),
            tasks: Vec::new(),
            num_rows: 0,
            num_requests: 0,
            digest: Xxh3::new(),
            record: Vec::new(),
        })
    }

    /// The next whole requests of the log.
    pub fn write(&mut self, data: &Dataset) -> io::Result<()> {
        let record = &mut self.record;
        if self.tasks.is_empty() {
            self.tasks = data.tasks.iter().map(Labels::of).collect();
        }
        for request in 0..data.time.len() {
            record.clear();
            for ((field, user), column) in self.fields.iter().zip(&data.features) {
                if *user {
                    field.write(column, request, record);
                }
            }
            self.digest.update(record);
            self.requests.write_all(record)?;
        }
        for row in 0..data.request.len() {
            record.clear();
            record.extend((self.num_requests + data.request[row]).to_le_bytes());
            record.extend(data.gauc_group[row].to_le_bytes());
            for ((field, user), column) in self.fields.iter().zip(&data.features) {
                if !*user {
                    field.write(column, row, record);
                }
            }
            for task in &data.tasks {
                record.extend(task.labels[row].to_le_bytes());
                record.extend(task.weights[row].to_le_bytes());
                record.extend(task.teacher.get(row).iter().flat_map(|t| t.to_le_bytes()));
            }
            self.digest.update(record);
            self.rows.write_all(record)?;
        }
        self.num_rows += data.request.len();
        self.num_requests += data.time.len() as u32;
        Ok(())
    }

    /// Ends it; `priors` and `starts` by task.
    pub fn end(self, priors: Vec<f64>, starts: Vec<Start>) -> io::Result<Store> {
        let file = |writer: BufWriter<File>| writer.into_inner().map_err(|e| e.into_error());
        let labels: usize = self.tasks.iter().map(|t| t.bytes()).sum();
        let row_bytes = ROW_HEAD + record_bytes(&self.fields, false) + labels;
        Ok(Store {
            rows: Records {
                file: file(self.rows)?,
                bytes: row_bytes,
            },
            requests: Records {
                file: file(self.requests)?,
                bytes: record_bytes(&self.fields, true),
            },
            fields: self.fields,
            tasks: self.tasks,
            num_rows: self.num_rows,
            priors,
            starts,
            digest: self.digest.digest(),
        })
    }
}

impl Store {
    /// Of everything in it.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Rows.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// Calls `each` with the place in `rows` and the record of each of them. Neighbours are read together.
    fn records(
        &self,
        rows: &[u32],
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        let most = (READ_BYTES / self.rows.bytes).max(1);
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let neighbours = rest.windows(2).take(most - 1);
            let more = neighbours.take_while(|w| w[0] + 1 == w[1]).count();
            self.rows.read(*first as usize, more, &mut buffer)?;
            buffer
                .chunks_exact(self.rows.bytes)
                .try_for_each(&mut *each)?;
            rest = &rest[more + 1..];
        }
        Ok(())
    }

    /// Calls `each` with the request of each of `rows`.
    pub(crate) fn requests(&self, rows: &[u32], each: &mut dyn FnMut(u32)) -> io::Result<()> {
        self.records(rows, &mut |record| {
            each(word(record, 0));
            Ok(())
        })
    }

    /// The rows `rows` as a data set of their own, in this order. Lines and times stay behind: nothing trains on them.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn load(&self, rows: &[u32]) -> io::Result<Dataset> {
        let mut data = Dataset {
            features: self.fields.iter().map(|(field, _)| field.empty()).collect(),
            tasks: self.tasks.iter().map(|t| t.empty()).collect(),
            ..Dataset::default()
        };
        let (mut last, mut buffer) = (None, Vec::new());
        self.records(rows, &mut |record| {
            let request = word(record, 0);
            if last != Some(request) {
                last = Some(request);
                data.time.push(0);
                if self.requests.bytes > 0 {
                    self.requests.read(request as usize, 0, &mut buffer)?;
                }
                self.fill(&mut &buffer[..], true, &mut data);
            }
            data.request.push(data.time.len() as u32 - 1);
            data.gauc_group.push(word(record, 4));
            let mut record = &record[ROW_HEAD..];
            self.fill(&mut record, false, &mut data);
            for (task, labels) in data.tasks.iter_mut().zip(&self.tasks) {
                task.labels.push(f32::from_bits(word(record, 0)));
                task.weights.push(f32::from_bits(word(record, 4)));
                if labels.taught {
                    task.teacher.push(f32::from_bits(word(record, 8)));
                }
                record = &record[labels.bytes()..];
            }
            Ok(())
        })?;
        Ok(data)
    }

    fn fill(&self, record: &mut &[u8], user: bool, data: &mut Dataset) {
        for ((field, of_user), column) in self.fields.iter().zip(&mut data.features) {
            if *of_user == user {
                field.read(record, column);
            }
        }
    }
}

fn word(record: &[u8], at: usize) -> u32 {
    let bytes = record.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
