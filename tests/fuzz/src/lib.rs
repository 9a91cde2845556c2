//! What the fuzz targets share: a file with a right envelope, and columns made of fuzz bytes.

use pocketrank::engine::{Column, Lists};
use pocketrank::format::{MAGIC, VERSION, seal};
use pocketrank::spec::{Encoding, Side, Spec};

/// `bytes` with magic, version, length and digests that are right, so that fuzzing reaches what lies behind them.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    file.resize(file.len().max(64), 0);
    let len = file.len() as u32;
    file[..8].copy_from_slice(&MAGIC);
    file[16..20].copy_from_slice(&VERSION.to_le_bytes());
    file[20..24].copy_from_slice(&len.to_le_bytes());
    file[60..64].fill(0);
    seal(&mut file);
    file
}

/// Calls `run` with one column a feature, of a form that fits it, with values from `bytes`.
pub fn columns(spec: &Spec<'_>, candidates: usize, bytes: &[u8], run: impl FnOnce(&[Column<'_>])) {
    let byte = |i: usize| bytes.get(i % bytes.len().max(1)).copied().unwrap_or(0);
    let word = |i: usize| u64::from_le_bytes(core::array::from_fn(|j| byte(i * 8 + j)));
    let ids: Vec<u64> = (0..candidates * 4).map(word).collect();
    let floats: Vec<f32> = (0..candidates).map(|i| f32::from_bits(word(i) as u32)).collect();
    let vectors: Vec<u8> = (0..candidates * 256).map(|i| byte(i) & 127).collect();
    let offsets: Vec<u32> = (0..=candidates as u32).map(|i| i * 4).collect();
    let columns: Vec<Column<'_>> = spec
        .features
        .iter()
        .map(|f| {
            let values = if f.side == Side::User { 1 } else { candidates };
            match f.encoding {
                Encoding::Row { .. } => Column::Ids { ids: &ids[..values], lists: None },
                Encoding::Rows { .. } => Column::Ids {
                    ids: &ids[..values * 4],
                    lists: Some(Lists { offsets: &offsets[..values + 1], weights: None }),
                },
                Encoding::Number { .. } => Column::Floats(&floats[..values]),
                Encoding::Vector { dim, .. } => Column::Bytes(&vectors[..values * usize::from(dim)]),
            }
        })
        .zip(&spec.features)
        .map(|(column, f)| if f.source == pocketrank::spec::Source::Column { column } else { Column::Missing })
        .collect();
    run(&columns);
}
