//! What a pass learns, keeps in a file, and begins with when it is made again.
use super::*;

#[test]
fn vocabularies_hold_the_ids_of_training_rows_and_bucketed_crosses() {
    let p = pass("", ROWS);
    let FeatureData::Rows(items) = &p.data.features[0] else {
        unreachable!()
    };
    assert!(items[..8].iter().all(|row| *row != 0));
    let FeatureData::Rows(crosses) = &p.data.features[2] else {
        unreachable!()
    };
    assert!(crosses[..8].iter().all(|row| *row != 0), "{crosses:?}");
    // Item 3 with the middle length is in the validation part only.
    assert_eq!(crosses[8], 0);
    assert_eq!(p.data.gauc_group, [0, 0, 1, 0, 0, 1, 0, 0, 1, 1]);
}

#[test]
fn numbers_saturate_at_the_training_range_in_f32_as_on_the_grid() {
    let p = pass(
        "",
        &(ROWS.to_string() + "b,50,2,1000,0,,0\nb,51,2,9,1,2,0\n"),
    );
    let FeatureData::Numbers { values, buckets } = &p.data.features[1] else {
        unreachable!()
    };
    assert_eq!((values[10], buckets[10]), (values[1], buckets[1]));
    let grid = p.fit.features[1].value.unwrap();
    assert!((grid.dequantize(grid.steps(values[10])) - values[10]).abs() < 0.01);
}

#[test]
fn a_saved_fit_loads_and_a_changed_one_is_refused() {
    let p = pass("", ROWS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fit.bin");
    p.fit.save(&path).unwrap();
    assert_eq!(Fit::load(&path).unwrap(), p.fit);
    // Counts stand beside it; without them, or with those of another fit, it is a fit all the same.
    let vocabularies = p.fit.tables.iter().filter(|t| t.open().is_some());
    let mut found = 0;
    for table in vocabularies.clone() {
        let counts = p.fit.counts(&table.name).unwrap();
        assert_eq!(counts.len(), table.num_embeddings as usize);
        assert!(counts[1..].iter().all(|n| *n > 0), "{counts:?}");
        found += 1;
    }
    assert!(found > 0);
    let counts = path.with_extension("counts");
    let bytes = fs::read(&counts).unwrap();
    for damaged in [&bytes[1..], &bytes[..bytes.len() - 1], &[]] {
        fs::write(&counts, damaged).unwrap();
        let fit = Fit::load(&path).unwrap();
        assert!(fit.tables == p.fit.tables && fit.counts(&p.fit.tables[0].name).is_none());
    }
    fs::remove_file(&counts).unwrap();
    assert!(Fit::load(&path).unwrap().tables == p.fit.tables);
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(Fit::load(&path).is_err());
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(Fit::load(&path).is_err());
    }
}

#[test]
fn a_warm_start_keeps_transforms_and_grows_vocabularies() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.csv");
    let read = |rows: &str, kind: &str| {
        fs::write(
            &file,
            format!("user,time,item,len,click,watch,delay\n{rows}"),
        )
        .unwrap();
        let model = MODEL
            .replace("DELAY", "")
            .replace("kind = \"number\"", kind);
        let d = Description::parse(&folder.path().join("m.toml"), model).unwrap();
        let raw = log::read(&d, None).unwrap();
        (d, raw)
    };
    let (d, raw) = read(ROWS, "kind = \"number\"");
    let all: Vec<u32> = (0..raw.rows() as u32).collect();
    let (old, _) = Fit::learn(&d, &raw, &all, None).unwrap();
    let rows = "a,50,900,70,1,3,0\na,60,2,80,0,,0\na,70,901,90,1,1,0\n";
    let (d, raw) = read(rows, "kind = \"number\"\nbytes = 2");
    let all: Vec<u32> = (0..raw.rows() as u32).collect();
    let (new, _) = Fit::learn(&d, &raw, &all, Some(&old)).unwrap();
    assert_eq!(new.features[1].transform, old.features[1].transform);
    let grids = [&old, &new].map(|fit| fit.features[1].value.unwrap());
    assert_eq!(grids.map(|g| g.bytes), [4, 2]);
    assert_eq!(grids[0].inv_scale, 2.0 * grids[1].inv_scale);
    assert_eq!(new.features[5].prior, old.features[5].prior);
    assert_eq!(
        new.tables[0].num_embeddings,
        old.tables[0].num_embeddings + 2
    );
    let map = new.row_mapping(&old);
    let row = |fit: &Fit, id: u64| fit.row(0, Some(features::hash_int(id)), 0).0;
    for id in 1..=4 {
        assert_eq!(map[0][row(&new, id) as usize], row(&old, id));
    }
    assert_eq!((map[0][0], map[0][row(&new, 900) as usize]), (0, u32::MAX));
}
