//! Golden models that attend to lists.
use std::prelude::v1::*;

use super::{Draw, GoldenModel, build_spec, finish, small};
use crate::spec::{Encoding, Feature, Lookup, NetworkKind, Pooling, Side, Source, Spec};
use crate::train::quantize::Lookups;
use crate::train::random::Key;

/// Model number `seed` of those with one to three features that attend: to the last items of the user's state and to a column of
/// up to 40 items, each from the item and from another id of its table. Keys have 1 to 20 values.
pub fn attending(seed: u64) -> GoldenModel {
    let root = Draw(Key::new(seed).at(0x6174_7465_6e64_0000));
    small(root, |draw| {
        let (mut spec, mut lookups) = build_spec(draw, seed.is_multiple_of(4));
        attend(&mut spec, &mut lookups, draw.at(5))?;
        Some(finish(spec, lookups, draw))
    })
}

/// Adds lists and what attends to them; `None` for a network that cannot.
fn attend(spec: &mut Spec<'static>, lookups: &mut Lookups, draw: Draw) -> Option<()> {
    if spec.network.kind == NetworkKind::Single {
        return None;
    }
    let item = spec.feature("item")?;
    let Encoding::Row { table, .. } = spec.features[item].encoding else {
        return None;
    };
    let mut add = |name, side, source, encoding| {
        let feature = Feature {
            name,
            side,
            source,
            encoding,
        };
        spec.features.push(feature).ok()?;
        lookups.boundaries.push(Vec::new());
        Some(spec.features.len() - 1)
    };
    let list = |max_len: usize| Encoding::Rows {
        table,
        max_len: max_len as u16,
        pooling: Pooling::Mean,
        weighted: false,
        divisor: 1,
    };
    let (last_len, recent_len) = (draw.at(0).int(1, 6), draw.at(1).int(17, 40));
    let last = Source::LastIds {
        label: 0,
        key: item as u8,
        len: last_len as u16,
    };
    let last = add("attended_last", Side::User, last, list(last_len))?;
    let recent = add("recent", Side::User, Source::Column, list(recent_len))?;
    let seed = Encoding::Row {
        table,
        default_row: 0,
    };
    let other = add("seed_item", Side::Candidate, Source::Column, seed)?;
    let all = [
        ("attend_last", last, item, last_len),
        ("attend_recent", recent, item, recent_len),
        ("attend_recent_seed", recent, other, recent_len),
    ];
    for (i, (name, of, query, len)) in all.into_iter().enumerate() {
        let draw = draw.at(10 + i);
        if i > 0 && draw.at(0).chance(40) {
            continue;
        }
        let source = Source::Attention {
            of: of as u8,
            query: query as u8,
            dim: draw.at(1).int(1, 20) as u16,
        };
        add(name, Side::Cross, source, list(len))?;
    }
    debug_assert!(spec.tables[usize::from(table)].lookup != Lookup::Buckets);
    Some(())
}
