//! Columns of random values.

use pocketrank::engine::{Column, Lists};
use pocketrank::features::hash_text;
use pocketrank::spec::{Encoding, IdType, Lookup, Side, Source, Spec};
use serde_json::{Value, json};

use super::model::{self, Random};
use super::{bits, hex};

/// A column that owns its values.
#[derive(Default)]
pub struct Owned {
    ids: Option<Vec<u64>>,
    rows: Option<Vec<u32>>,
    text: Option<Vec<Vec<u8>>>,
    floats: Option<Vec<f32>>,
    bytes: Option<Vec<u8>>,
    offsets: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
    utf8: Vec<u8>,
    ends: Vec<u32>,
}

impl Owned {
    fn seal(mut self) -> Self {
        self.ends = vec![0];
        for text in self.text.iter().flatten() {
            self.utf8.extend_from_slice(text);
            self.ends.push(self.utf8.len() as u32);
        }
        self
    }

    pub fn column(&self) -> Column<'_> {
        let weights = self.weights.as_deref();
        let lists = self
            .offsets
            .as_deref()
            .map(|offsets| Lists { offsets, weights });
        if let Some(ids) = &self.ids {
            Column::Ids { ids, lists }
        } else if let Some(rows) = &self.rows {
            Column::Rows { rows, lists }
        } else if self.text.is_some() {
            let (utf8, offsets) = (&self.utf8, &self.ends);
            Column::Text {
                utf8,
                offsets,
                lists,
            }
        } else if let Some(floats) = &self.floats {
            Column::Floats(floats)
        } else if let Some(bytes) = &self.bytes {
            Column::Bytes(bytes)
        } else {
            Column::Missing
        }
    }

    pub fn json(&self) -> Value {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.into(), value);
            }
        };
        put("ids", self.ids.as_ref().map(|x| json!(x)));
        put("rows", self.rows.as_ref().map(|x| json!(x)));
        let text = self.text.as_ref();
        put(
            "text",
            text.map(|x| json!(x.iter().map(|t| hex(t)).collect::<Vec<_>>())),
        );
        put("floats", self.floats.as_ref().map(|x| json!(bits(x))));
        put("bytes", self.bytes.as_ref().map(|x| json!(hex(x))));
        put("offsets", self.offsets.as_ref().map(|x| json!(x)));
        put("weights", self.weights.as_ref().map(|x| json!(bits(x))));
        if map.is_empty() {
            Value::Null
        } else {
            Value::Object(map)
        }
    }
}

/// Numbers that try every path: far out, on and around 0, not finite, missing, subnormal.
fn any_float(random: &mut Random) -> f32 {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        1e-40,
        -1e-40,
        1e30,
        -1e30,
        0.41,
        0.42,
    ];
    match random.below(4) {
        0 => odd[random.below(odd.len())],
        1 => random.float(-2.0, 2.0),
        _ => random.float(-1.0, 300.0),
    }
}

/// A column of random values for feature `i`, unknown, missing and out-of-range ones included.
pub fn random_column(spec: &Spec<'_>, i: usize, candidates: usize, random: &mut Random) -> Owned {
    let feature = &spec.features[i];
    if feature.source != Source::Column || random.below(10) == 0 {
        return Owned::default();
    }
    let values = if feature.side == Side::User {
        1
    } else {
        candidates
    };
    let mut owned = Owned::default();
    let table = match feature.encoding {
        Encoding::Number { .. } => {
            owned.floats = Some((0..values).map(|_| any_float(random)).collect());
            return owned;
        }
        Encoding::Vector { dim, .. } => {
            let bytes = values * usize::from(dim);
            owned.bytes = Some((0..bytes).map(|_| random.below(128) as u8).collect());
            return owned;
        }
        Encoding::Row { table, .. } => &spec.tables[usize::from(table)],
        Encoding::Rows { table, .. } => &spec.tables[usize::from(table)],
    };
    let mut count = values;
    if let Encoding::Rows {
        weighted, max_len, ..
    } = feature.encoding
    {
        let mut offsets = vec![0];
        for _ in 0..values {
            let len = random.below(usize::from(max_len) + 3);
            offsets.push(offsets[offsets.len() - 1] + len as u32);
        }
        count = offsets[values] as usize;
        if weighted && random.below(3) > 0 {
            let odd = [f32::NAN, -1.0, 2.0, 1.0, 0.0, f32::INFINITY];
            owned.weights = Some(
                (0..count)
                    .map(|_| {
                        if random.below(5) == 0 {
                            odd[random.below(6)]
                        } else {
                            random.float(0.0, 1.0)
                        }
                    })
                    .collect(),
            );
        }
        if feature.side != Side::User || owned.weights.is_some() || random.below(2) == 0 {
            owned.offsets = Some(offsets);
        }
    }
    let text = matches!(
        table.lookup,
        Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text)
    );
    let id = |random: &mut Random| random.below(2 * model::VOCABULARY) as u64;
    match random.below(3) {
        // A resolved row cannot tell the id that others are made of.
        0 if !spec.is_part(i) => {
            owned.rows = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Column::NO_ROW,
                        _ => random.below(table.num_embeddings as usize + 2) as u32,
                    })
                    .collect(),
            );
        }
        1 if text => {
            owned.text = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Vec::new(),
                        _ => model::text(id(random)),
                    })
                    .collect(),
            );
        }
        _ => {
            owned.ids = Some(
                (0..count)
                    .map(|_| match random.below(8) {
                        0 => Column::NO_ID,
                        _ if text => hash_text(&model::text(id(random))),
                        _ => id(random),
                    })
                    .collect(),
            );
        }
    }
    owned.seal()
}
