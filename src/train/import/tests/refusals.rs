//! What is not taken, and what is said about it.
use super::*;

#[test]
fn a_tensor_that_does_not_fit_is_named() {
    type Change = fn(&mut Tensors);
    let cases: [(Change, &str); 11] = [
        (
            |t| drop(t.remove("gate.click.0.bias")),
            "tensor \"gate.click.0.bias\" is missing; wanted: F32 [2]; ",
        ),
        (
            |t| {
                let moved = t.remove("expert.1.0.weight").unwrap();
                t.insert("experts.1.0.weight".into(), moved);
            },
            "tensor \"expert.1.0.weight\" is missing; wanted: F32 [8, 15]; did you mean \"expert.1.1.weight\" or \"experts.1.0.weight\"?",
        ),
        (
            |t| drop(t.insert("number.age.prior".into(), Tensor::floats(&[1], &[0.5]))),
            "tensor \"number.age.prior\": the description has no place for it; correct one of the two, or leave it out",
        ),
        (
            |t| {
                for i in 0..3 {
                    t.insert(format!("expert.2.{i}.bias"), Tensor::floats(&[1], &[0.5]));
                }
            },
            "tensor \"expert.2.0.bias\" and 2 more: the description has no place",
        ),
        (
            |t| drop(t.insert("head.like.weight".into(), Tensor::floats(&[4], &[0.0; 4]))),
            "tensor \"head.like.weight\" has the shape [4]; wanted: [1, 4]",
        ),
        (
            |t| {
                let ids = Tensor::integers(Dtype::I64, &[1, 2, 3]);
                t.insert("table.item.ids".into(), ids);
            },
            "tensor \"table.item.weight\" has the shape [7, 4]; wanted: [4, 4]",
        ),
        (
            |t| t.get_mut("table.user.weight").unwrap().dtype = Dtype::I32,
            "tensor \"table.user.weight\" is I32; wanted: F32 or F64",
        ),
        (
            |t| {
                let bytes = &mut t.get_mut("table.user.weight").unwrap().bytes;
                bytes[4 * 9..4 * 10].copy_from_slice(&f32::NAN.to_le_bytes());
            },
            "tensor \"table.user.weight\" has NaN at [2, 1]; every value must be a finite f32",
        ),
        (
            |t| {
                t.insert("head.click.bias".into(), Tensor::doubles(&[1], &[1e200]));
            },
            "tensor \"head.click.bias\" has 1e200 at [0]; every value",
        ),
        (
            |t| {
                let ids = Tensor::integers(Dtype::I64, &[1, 2, 3, 4, 5, u64::MAX]);
                t.insert("table.item.ids".into(), ids);
            },
            "tensor \"table.item.ids\" has -1 at [5], which is a missing id; that has row 0",
        ),
        (
            |t| {
                let ids = Tensor::integers(Dtype::I64, &[1, 2, 3, 4, 5, 2]);
                t.insert("table.item.ids".into(), ids);
            },
            "tensor \"table.item.ids\" has at [5] what it has at [1]",
        ),
    ];
    for (change, wanted) in cases {
        let mut case = Case::new();
        change(&mut case.tensors);
        let refusal = case.refusal();
        let wanted = format!("weights.safetensors: {wanted}");
        assert!(refusal.starts_with(&wanted), "{refusal}\n{wanted}");
        assert!(!case.path("run/parameters.bin").exists());
    }
}

#[test]
fn a_value_without_a_source_is_asked_for() {
    type Change = fn(&mut Case);
    let cases: [(Change, &str); 13] = [
        (
            |c| c.text = c.text.replace("clip = [-2, 4]\n", ""),
            "has no range; it takes clip, the tensor \"number.age.range\" or a log (--data)",
        ),
        (
            |c| c.text = c.text.replace("default = 1\n", ""),
            "has no value when it is missing; it takes default, the tensor \"number.age.default\" or a log",
        ),
        (
            |c| drop(c.tensors.remove("number.age.moments")),
            "has no mean and standard deviation; it takes the tensor \"number.age.moments\" or a log",
        ),
        (
            |c| drop(c.tensors.remove("number.age.boundaries")),
            "has no bucket boundaries; it takes the tensor \"number.age.boundaries\" or a log",
        ),
        (
            |c| c.number("range", &[2.0, 1.0]),
            "has the range [2, 1]; the first must not be above the second",
        ),
        (
            |c| c.number("moments", &[0.0, 0.0]),
            "has the standard deviation 0; above 0",
        ),
        (
            |c| c.number("boundaries", &[0.0, 1.0, 1.0]),
            "has boundaries that do not increase",
        ),
        (
            |c| c.number("boundaries", &[0.0, 1.0, 2.0, 3.0]),
            "has 4 boundaries; 4 buckets have at most 3",
        ),
        (
            |c| {
                c.text = c
                    .text
                    .replace("[\"standardize\"]", "[\"log1p\", \"standardize\"]");
                c.text = c.text.replace("clip = [-2, 4]\n", "");
                c.number("range", &[-1.0, 3.0]);
            },
            "has a range that begins at -1; log1p needs more than -1",
        ),
        (
            |c| {
                c.text = c.text.replace(
                    "path = \"none.csv\"",
                    "path = \"none.csv\"\nuser = \"user\"\ntime = \"time\"",
                );
                c.text += "\n[[feature]]\nname = \"rate\"\nkind = \"rate\"\nlabel = \"click\"\nclip = [0, 1]\ndefault = 0\ntransform = []\n";
            },
            "number \"rate\" has no prior; it takes prior, the tensor \"number.rate.prior\" or a log",
        ),
        (
            |c| {
                c.text = c.text.replace("kind = \"mmoe\"", "kind = \"ple\"");
            },
            "import takes it as the \"mmoe\" that it is",
        ),
        (
            |c| {
                let ple = "kind = \"ple\"\nlevels = 2";
                c.text = c.text.replace("kind = \"mmoe\"", ple);
            },
            "the network has levels = 2; import takes networks of one level",
        ),
        (
            |c| {
                c.text += "\n[[task]]\nname = \"watched\"\nlabel = \"click\"\nkind = \"ordinal\"\nlevels = [1.0]\n";
            },
            "task \"watched\" has several logits, whose thresholds a run learns",
        ),
    ];
    for (change, wanted) in cases {
        let mut case = Case::new();
        change(&mut case);
        let refusal = case.refusal();
        assert!(refusal.starts_with("model.toml:"), "{refusal}");
        assert!(refusal.contains(wanted), "{refusal}\n{wanted}");
    }
}

impl Case {
    fn number(&mut self, what: &str, values: &[f32]) {
        let tensor = Tensor::floats(&[values.len()], values);
        self.tensors.insert(format!("number.age.{what}"), tensor);
    }
}

#[test]
fn a_tensor_goes_before_the_description() {
    let mut case = Case::new();
    case.number("range", &[-8.0, 1.0]);
    case.number("default", &[-3.0]);
    case.import().unwrap();
    let run = run::Run::open(&case.path("run")).unwrap();
    let age = &run.fit.features[3];
    let range = [age.transform.low, age.transform.high];
    assert_eq!((range, age.default), ([-8.0, 1.0], -3.0));
}

#[test]
fn what_is_no_file_of_tensors_is_refused() {
    let case = Case::new();
    case.import().unwrap();
    let weights = case.path("weights.safetensors");
    let whole = fs::read(&weights).unwrap();
    for bytes in [
        &whole[..whole.len() - 1],
        &whole[..40],
        &whole[..3],
        b"",
        b"{\"a\": 1}",
    ] {
        fs::write(&weights, bytes).unwrap();
        let refused = import(&Options {
            model: &case.path("model.toml"),
            weights: &weights,
            data: None,
            out: &case.path("run"),
        });
        let error = refused.unwrap_err();
        assert_eq!(error.kind, Kind::Data);
        assert!(
            error.message.starts_with("not a safetensors file: "),
            "{error}"
        );
    }
    // The run that was there is as it was.
    run::Run::open(&case.path("run"))
        .unwrap()
        .parameters()
        .unwrap();
}

#[test]
fn what_only_training_has_is_refused() {
    let mut case = Case::new();
    case.text += "\n[[feature]]\nname = \"position\"\nside = \"candidate\"\nkind = \"number\"\ntrain_only = true\n";
    case.text += "\n[position_bias]\ntasks = [\"click\"]\nreference = { position = 0 }\n";
    assert!(case.refusal().contains("import takes what is served"));
    let mut case = Case::new();
    let task = "name = \"like\"\nkind = \"binary\"";
    case.text = case
        .text
        .replace(task, &format!("{task}\ncalibration = \"platt\""));
    case.import().unwrap();
    let refused = run::export(
        &case.path("run"),
        &case.path("model.pkr"),
        &Default::default(),
    );
    let message = refused.unwrap_err().message;
    assert!(
        message.starts_with("a calibration is fitted to rows; give the log"),
        "{message}"
    );
}
