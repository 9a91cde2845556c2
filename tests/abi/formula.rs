//! Formulas through C: what the engine gives, and a status for every wrong argument.

use core::ffi::c_char;
use core::ptr::{null, null_mut};

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::ffi::*;
use pocketrank::format::Writer;
use pocketrank::fusion::formula::{Code, ENVELOPE_BYTES, MAGIC, Op, VERSION};

use super::tiny_model;
use super::values::*;

/// `w0 * TASK0 + TASK0 * TASK1`, by hand.
pub fn file(task: &str) -> Vec<u8> {
    let spec = tiny_model::spec();
    let text = "w0 * a + a * b";
    let mut code = Vec::new();
    for step in [
        Code::Weight(0),
        Code::Input(0),
        Code::Op(Op::Mul),
        Code::End,
        Code::Input(0),
        Code::Input(1),
        Code::Op(Op::Mul),
        Code::End,
    ] {
        step.write(&mut code);
    }
    let mut body = Writer::default();
    body.record(&(text.len() as u16, 2u8, 1u8, 2u8, code.len() as u16))
        .unwrap();
    body.bytes(text.as_bytes());
    for name in [task, spec.tasks[1].name] {
        // Named::Score { task, entire, form: Calibrated }
        body.record(&(0u8, name, false, 1u8)).unwrap();
    }
    body.record(&("w0", 2.0f32, 0.0f32, 4.0f32)).unwrap();
    body.record(&(0u16, 6u16)).unwrap();
    body.record(&(9u16, 14u16)).unwrap();
    body.bytes(&code);
    let mut rest = VERSION.to_le_bytes().to_vec();
    let length = (ENVELOPE_BYTES + body.as_bytes().len()) as u32;
    rest.extend_from_slice(&length.to_le_bytes());
    rest.extend_from_slice(body.as_bytes());
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&pocketrank::features::hash_text(&rest).to_le_bytes());
    file.extend_from_slice(&rest);
    file
}

struct Handle {
    _memory: Memory,
    formula: *mut pkr_formula,
}

fn open(opened: &Opened, bytes: &[u8]) -> Result<Handle, pkr_status> {
    let mut memory = Memory::new(pkr_formula_bytes());
    let mut formula = null_mut();
    let status = unsafe {
        pkr_formula_open(
            opened.model,
            bytes.as_ptr(),
            bytes.len(),
            memory.ptr(),
            memory.bytes,
            &mut formula,
            null_mut(),
        )
    };
    match status {
        PKR_OK => Ok(Handle {
            _memory: memory,
            formula,
        }),
        status => Err(status),
    }
}

fn text(at: *const c_char, len: usize) -> String {
    let bytes = unsafe { core::slice::from_raw_parts(at.cast::<u8>(), len) };
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_formula_through_c_is_the_engines_bit_for_bit() {
    let opened = Opened::open();
    let values = Values::new(&opened);
    let columns = values.columns();
    let bytes = file(tiny_model::spec().tasks[0].name);
    let handle = open(&opened, &bytes).unwrap();
    let (_memory, scratch) = opened.scratch(N as u32);
    let weights = [0.5f32];
    let request = pkr_request {
        formula: handle.formula,
        weights: weights.as_ptr(),
        num_weights: 1,
        ..values.request(&columns)
    };
    let (mut order, mut fused, mut scores) = ([9; N], [9.0; N], [9.0; 2 * N]);
    let mut terms = [9.0; 2 * N];
    let mut result = result(&mut order, &mut fused, &mut scores);
    (result.terms, result.terms_len) = (terms.as_mut_ptr(), terms.len());
    let run = |request: &pkr_request, result: &mut pkr_result| unsafe {
        pkr_rank(opened.model, scratch, request, result, null_mut())
    };
    assert_eq!(run(&request, &mut result), PKR_OK);
    for i in 0..N {
        let (a, b) = (scores[2 * i], scores[2 * i + 1]);
        assert_eq!(bits(&terms[2 * i..2 * i + 2]), bits(&[0.5 * a, a * b]));
        assert_eq!(fused[i], 0.5 * a + a * b);
    }
    let mut by_engine: Vec<u32> = (0..N as u32).collect();
    by_engine.sort_by(|x, y| fused[*y as usize].total_cmp(&fused[*x as usize]));
    assert_eq!(order.to_vec(), by_engine);
    // Bounds of the weight, number of weights, a result too small for terms.
    let wrong = pkr_request {
        weights: [4.5f32].as_ptr(),
        ..request
    };
    assert_eq!(run(&wrong, &mut result), PKR_ERR_BAD_WEIGHT);
    let wrong = pkr_request {
        num_weights: 2,
        weights: [1.0f32, 1.0].as_ptr(),
        ..request
    };
    assert_eq!(run(&wrong, &mut result), PKR_ERR_UNKNOWN_TASK);
    result.terms_len = 2 * N - 1;
    assert_eq!(run(&request, &mut result), PKR_ERR_BUFFER_TOO_SMALL);
    // What it says of itself.
    let mut info: pkr_formula_information = sized();
    let status = unsafe { pkr_formula_info(opened.model, handle.formula, &mut info) };
    assert_eq!(status, PKR_OK);
    assert_eq!(text(info.text, info.text_bytes), "w0 * a + a * b");
    assert_eq!((info.num_weights, info.num_terms), (1, 2));
    let mut weight: pkr_weight_information = sized();
    let status = unsafe { pkr_weight_info(opened.model, handle.formula, 0, &mut weight) };
    assert_eq!(status, PKR_OK);
    assert_eq!(text(weight.name, weight.name_bytes), "w0");
    assert_eq!((weight.value, weight.least, weight.most), (2.0, 0.0, 4.0));
    let status = unsafe { pkr_weight_info(opened.model, handle.formula, 1, &mut weight) };
    assert_eq!(status, PKR_ERR_UNKNOWN_TASK);
    let mut index = 9;
    let mut find = |name: &str| {
        let (at, len) = (name.as_ptr(), name.len());
        unsafe { pkr_weight_index(opened.model, handle.formula, at, len, &mut index) }
    };
    assert_eq!(find("w"), PKR_ERR_UNKNOWN_TASK);
    assert_eq!(find("w0"), PKR_OK);
    assert_eq!(index, 0);
    let (mut at, mut len) = (null(), 0);
    let status = unsafe { pkr_term_text(opened.model, handle.formula, 1, &mut at, &mut len) };
    assert_eq!((status, text(at, len)), (PKR_OK, "a * b".to_owned()));
    // The model's own fusion is terms.
    let status = unsafe { pkr_formula_info(opened.model, null(), &mut info) };
    assert_eq!(status, PKR_ERR_UNKNOWN_TASK);
    let perturb = |sigma: f32, out: &mut [f32]| {
        let (at, len) = (out.as_mut_ptr(), out.len());
        unsafe {
            pkr_weights_perturb(
                opened.model,
                handle.formula,
                null(),
                0,
                7,
                8,
                sigma,
                at,
                len,
            )
        }
    };
    let mut out = [0.0];
    assert_eq!(perturb(0.2, &mut out), PKR_OK);
    let mut model = Box::new(Model::new());
    model.open(&opened.file, &OpenOptions::default()).unwrap();
    let mut expected = [0.0];
    let formula = model.open_formula(&bytes).unwrap();
    formula.perturb(None, (7, 8), 0.2, &mut expected).unwrap();
    assert_eq!(out, expected);
    assert!(out != [2.0] && out[0] > 0.0 && out[0] <= 4.0);
    assert_eq!(perturb(5.0, &mut out), PKR_ERR_BAD_WEIGHT);
    assert_eq!(perturb(0.1, &mut [0.0; 2]), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(unsafe { pkr_formula_close(handle.formula) }, PKR_OK);
    assert_eq!(run(&request, &mut result), PKR_ERR_STALE);
    assert_eq!(unsafe { pkr_formula_close(handle.formula) }, PKR_ERR_STALE);
}

#[test]
fn a_formula_that_does_not_fit_is_refused() {
    let opened = Opened::open();
    let bytes = file(tiny_model::spec().tasks[0].name);
    let status = |bytes: &[u8]| open(&opened, bytes).err();
    assert_eq!(status(&bytes), None);
    assert_eq!(status(&file("nothing")), Some(PKR_ERR_FORMULA_INPUT));
    for len in 0..bytes.len() {
        assert!(
            matches!(status(&bytes[..len]), Some(PKR_ERR_TRUNCATED)),
            "{len}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(status(&changed).is_some(), "{at}");
    }
    let (mut memory, mut formula) = (Memory::new(pkr_formula_bytes()), null_mut());
    let (place, need) = (memory.ptr(), memory.bytes);
    let run = |memory_bytes, out: *mut *mut pkr_formula| unsafe {
        let (at, len) = (bytes.as_ptr(), bytes.len());
        pkr_formula_open(opened.model, at, len, place, memory_bytes, out, null_mut())
    };
    assert_eq!(run(need, null_mut()), PKR_ERR_NULL_POINTER);
    assert_eq!(run(need - 1, &mut formula), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(formula, null_mut());
}

#[test]
fn features_are_left_out_and_gates_are_shares() {
    let opened = Opened::open();
    let values = Values::new(&opened);
    let columns = values.columns();
    let (_memory, scratch) = opened.scratch(N as u32);
    let rank = |without: &[u32]| {
        let request = pkr_request {
            without: without.as_ptr(),
            num_without: without.len(),
            ..values.request(&columns)
        };
        let mut fused = [9.0; N];
        let mut result = result(&mut [], &mut fused, &mut []);
        let status = unsafe { pkr_rank(opened.model, scratch, &request, &mut result, null_mut()) };
        (status, bits(&fused))
    };
    let whole = rank(&[]);
    assert_eq!(whole.0, PKR_OK);
    let ablated = rank(&[tiny_model::ITEM as u32]);
    assert_eq!(ablated.0, PKR_OK);
    assert!(ablated.1 != whole.1);
    assert_eq!(rank(&[99]).0, PKR_ERR_UNKNOWN_FEATURE);
    let spec = tiny_model::spec();
    let mut gates = vec![9.0f32; 2 * usize::from(spec.network.num_experts)];
    let request = values.request(&columns);
    let mut run = |candidate, len| unsafe {
        let at = gates.as_mut_ptr();
        pkr_gates(
            opened.model,
            scratch,
            &request,
            candidate,
            at,
            len,
            null_mut(),
        )
    };
    let len = 2 * usize::from(spec.network.num_experts);
    assert_eq!(run(N as u32, len), PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(run(0, len - 1), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(run(1, len), PKR_OK);
    for row in gates.chunks(len / 2) {
        assert_eq!(row.iter().sum::<f32>(), 1.0);
    }
}
