//! Good arguments of every function of the ABI, by the names that parameters have in the header, in memory that can be spoiled.

use core::ptr::{null, null_mut};
use std::collections::BTreeMap;

use pocketrank::ffi::*;

use super::calls::{column_of, offsets};
use super::header::Declared;
use super::values::*;
use super::{formula, tiny_model};

/// A pointer that can be spoiled: the word that holds it, and the one of its length.
pub struct Place {
    pub word: *mut usize,
    pub len: Option<*mut usize>,
}

/// All that calls take. Memory by name, so that what a call has written can be seen.
pub struct World {
    pub opened: Opened,
    values: Values,
    columns: Vec<pkr_column>,
    handles: BTreeMap<&'static str, Memory>,
    pub memory: BTreeMap<&'static str, Memory>,
    formula_file: Vec<u8>,
    text: Vec<u8>,
    only: [u32; N],
    slots: [u32; N],
    sums: Vec<u8>,
    without: [u32; 1],
    weight: [f32; 1],
    keys: [pkr_key; 1],
    numbers: [f32; N],
    words: [u64; N],
    spacing: [pkr_spacing; 1],
    decay: [pkr_decay; 1],
    pins: [pkr_pin; 1],
    vectors: [i8; N],
    pub arguments: Vec<usize>,
}

const POSITIONS: usize = 4;

impl World {
    /// For a call of `function` with these parameters; `focus` is the argument or field that will be spoiled.
    pub fn new(function: &str, parameters: &[Declared], focus: &str) -> Box<Self> {
        let opened = Opened::open();
        let (scratch_memory, scratch) = opened.scratch(N as u32);
        let values = Values::new(&opened);
        let mut world = Box::new(Self {
            values,
            columns: Vec::new(),
            handles: BTreeMap::new(),
            memory: BTreeMap::new(),
            formula_file: formula::file(tiny_model::spec().tasks[0].name),
            text: b"watch".to_vec(),
            only: [0, 1, 2, 3, 4],
            slots: [0, 1, 2, 3, 4],
            sums: vec![0; N * opened.info().item_sums_bytes],
            without: [2],
            weight: [0.5],
            keys: [item_key("bb")],
            numbers: [0.5, 0.25, 1.0, 0.75, 0.0],
            words: [1, 2, 1, 2, 3],
            spacing: [pkr_spacing {
                max: 1,
                window: 2,
                num_keys: N,
                ..sized()
            }],
            decay: [pkr_decay {
                factor: 0.5,
                num_keys: N,
                ..sized()
            }],
            pins: [pkr_pin {
                position: 1,
                candidate: 2,
            }],
            vectors: [1, 2, 3, 4, 5],
            arguments: Vec::new(),
            opened,
        });
        let w = &mut *world;
        w.columns = w.values.columns(); // which point into it
        w.handles.insert("scratch", scratch_memory);
        w.make_sums(scratch);
        w.make_formula();
        w.make_session(scratch);
        w.arguments = parameters
            .iter()
            .map(|p| w.good(function, &p.name, focus))
            .collect();
        world
    }

    fn make_sums(&mut self, scratch: *mut pkr_scratch) {
        let request = self.values.request(&self.columns);
        let (at, len) = (self.sums.as_mut_ptr(), self.sums.len());
        let status =
            unsafe { pkr_item_sums(self.opened.model, scratch, &request, at, len, null_mut()) };
        assert_eq!(status, PKR_OK);
    }

    fn make_formula(&mut self) {
        let (mut memory, mut handle) = (Memory::new(pkr_formula_bytes()), null_mut());
        let (at, len) = (self.formula_file.as_ptr(), self.formula_file.len());
        let status = unsafe {
            pkr_formula_open(
                self.opened.model,
                at,
                len,
                memory.ptr(),
                memory.bytes,
                &mut handle,
                null_mut(),
            )
        };
        assert_eq!(status, PKR_OK);
        self.handles.insert("formula", memory);
    }

    fn make_session(&mut self, scratch: *mut pkr_scratch) {
        let request = self.values.request(&self.columns);
        let (mut bytes, mut handle) = (0, null_mut());
        assert_eq!(
            unsafe { pkr_session_bytes(self.opened.model, N as u32, &mut bytes) },
            PKR_OK
        );
        let mut memory = Memory::new(bytes);
        let status = unsafe {
            pkr_session_begin(
                self.opened.model,
                scratch,
                &request,
                memory.ptr(),
                bytes,
                &mut handle,
                null_mut(),
            )
        };
        assert_eq!(status, PKR_OK);
        self.handles.insert("session", memory);
    }

    /// Memory of the call, full of `T` and then of a pattern.
    fn place<T>(&mut self, name: &'static str, value: Option<T>, bytes: usize) -> usize {
        let mut memory = Memory::new(bytes);
        memory.words.fill(0x5A5A_5A5A_5A5A_5A5A);
        if let Some(value) = value {
            unsafe { memory.ptr().cast::<T>().write(value) };
        }
        let at = memory.ptr() as usize;
        self.memory.insert(name, memory);
        at
    }

    fn zeroed<T>(&mut self, name: &'static str) -> usize {
        self.place(name, Some(sized::<T>()), size_of::<T>())
    }

    fn request(&mut self, function: &str, focus: &str) -> usize {
        let mut request = self.values.request(&self.columns);
        match (function, focus) {
            // What does not go together with what the others set.
            ("pkr_rank", "request.formula" | "request.without") => {
                request.formula = self.handles.get_mut("formula").unwrap().ptr().cast();
                (request.weights, request.num_weights) = (self.weight.as_ptr(), 1);
                (request.without, request.num_without) = (self.without.as_ptr(), 1);
            }
            ("pkr_rank", _) => {
                (request.only, request.num_only) = (self.only.as_ptr(), N);
                (request.item_sums, request.item_sums_bytes) =
                    (self.sums.as_ptr(), self.sums.len());
                (request.item_slots, request.num_item_slots) = (self.slots.as_ptr(), N);
            }
            ("pkr_session_rerank", _) => (request.state, request.state_bytes) = (null(), 0),
            _ => (),
        }
        self.place("request", Some(request), size_of::<pkr_request>())
    }

    fn result(&mut self, function: &str) -> usize {
        let mut r = result(&mut [], &mut [], &mut []);
        if function != "pkr_score" {
            r.order = self.place::<u32>("order", None, 4 * N) as *mut u32;
            r.fused = self.place::<f32>("fused", None, 4 * N) as *mut f32;
            r.terms = self.place::<f32>("terms", None, 8 * N) as *mut f32;
            (r.order_len, r.fused_len, r.terms_len) = (N, N, 2 * N);
        }
        if function != "pkr_order" {
            r.scores = self.place::<f32>("scores_out", None, 8 * N) as *mut f32;
            r.scores_len = 2 * N;
        }
        self.place("result", Some(r), size_of::<pkr_result>())
    }

    fn rules(&mut self) -> usize {
        self.spacing[0].keys = self.words.as_ptr();
        self.decay[0].keys = self.words.as_ptr();
        let at = self.numbers.as_ptr();
        let rules = pkr_rules {
            struct_size: size::<pkr_rules>(),
            diversity: PKR_DIVERSITY_MMR,
            weight: 0.5,
            dim: 1,
            exploration: PKR_EXPLORATION_THOMPSON,
            epsilon: 0.0,
            seed: 3,
            factors: at,
            num_factors: N,
            bonuses: at,
            num_bonuses: N,
            decays: self.decay.as_ptr(),
            num_decays: 1,
            spacings: self.spacing.as_ptr(),
            num_spacings: 1,
            pins: self.pins.as_ptr(),
            num_pins: 1,
            blocked: self.only.as_ptr(),
            num_blocked: 1,
            hidden: self.only.as_ptr(),
            num_hidden: 1,
            vectors: self.vectors.as_ptr(),
            num_vector_values: N,
            sigma: at,
            num_sigma: N,
        };
        self.place("rules", Some(rules), size_of::<pkr_rules>())
    }

    fn list(&mut self) -> usize {
        let mut list: pkr_list = sized();
        list.slot_bytes = size::<pkr_slot>();
        list.slots =
            self.place::<u8>("slots", None, POSITIONS * size_of::<pkr_slot>()) as *mut pkr_slot;
        list.num_slots = POSITIONS;
        self.place("list", Some(list), size_of::<pkr_list>())
    }

    /// Bytes of memory that a function needs for what it makes.
    fn memory_bytes(&self, function: &str) -> usize {
        let (model, mut bytes) = (self.opened.model, 0);
        let n = N as u32;
        let status = match function {
            "pkr_model_open" => return self.opened.memory.bytes,
            "pkr_formula_open" => return pkr_formula_bytes(),
            "pkr_scratch_init" => unsafe { pkr_scratch_bytes(model, n, &mut bytes) },
            "pkr_session_begin" => unsafe { pkr_session_bytes(model, n, &mut bytes) },
            "pkr_rerank" => unsafe { pkr_rerank_bytes(n, POSITIONS as u32, 1, &mut bytes) },
            _ => panic!("{function} makes nothing"),
        };
        assert_eq!(status, PKR_OK);
        bytes
    }

    /// A good value of a parameter, as a word.
    fn good(&mut self, function: &str, name: &str, focus: &str) -> usize {
        let gates = 2 * usize::from(tiny_model::spec().network.num_experts);
        match (function, name) {
            (_, "model") => self.opened.model as usize,
            (_, "scratch" | "session" | "formula") => {
                self.handles.get_mut(name).unwrap().ptr() as usize
            }
            ("pkr_formula_open", "bytes") => self.formula_file.as_ptr() as usize,
            ("pkr_formula_open", "len") => self.formula_file.len(),
            (_, "bytes") => self.opened.file.as_ptr() as usize,
            ("pkr_hash_text", "len") => self.text.len(),
            (_, "len") => self.opened.file.len(),
            (_, "memory") => {
                let bytes = self.memory_bytes(function);
                self.place::<u8>("memory", None, bytes)
            }
            (_, "memory_bytes") => self.memory_bytes(function),
            (_, "options") => self.zeroed::<pkr_open_options>("options"),
            (_, "detail") => self.zeroed::<pkr_error_detail>("detail"),
            (_, "request") => self.request(function, focus),
            (_, "result") => self.result(function),
            ("pkr_feature_index", "name") => b"tags".as_ptr() as usize,
            ("pkr_label_index", "name") => b"click".as_ptr() as usize,
            ("pkr_weight_index", "name") => b"w0".as_ptr() as usize,
            (_, "name") => self.text.as_ptr() as usize,
            ("pkr_feature_index", "name_bytes") => 4,
            ("pkr_weight_index", "name_bytes") => 2,
            (_, "name_bytes") => 5,
            ("pkr_term_text", "text") => self.place::<u8>("text", None, 8),
            ("pkr_term_text", "text_bytes") => self.place::<u8>("text_bytes", None, 8),
            (_, "text") => self.text.as_ptr() as usize,
            (_, "value") => self.place("value", Some(item_key("bb")), size_of::<pkr_key>()),
            (_, "event") => {
                let event = click_event(&self.keys[0], 2000);
                self.place("event", Some(event), size_of::<pkr_event>())
            }
            (_, "state") => {
                let bytes = self.values.state.len();
                let at = self.place::<u8>("state", None, bytes);
                let status = unsafe { pkr_state_reset(self.opened.model, at as *mut u8, bytes) };
                assert_eq!(status, PKR_OK);
                at
            }
            (_, "state_bytes") => self.values.state.len(),
            ("pkr_order", "scores") => self.place("scores", Some([0.5f32; 2 * N]), 8 * N),
            ("pkr_order", "num_scores") => 2 * N,
            (_, "weights") => self.weight.as_ptr() as usize,
            (_, "num_weights") => 1,
            (_, "fused") => self.place("fused", Some([0.1f32, 0.5, 0.3, 0.2, 0.4]), 4 * N),
            (_, "rules") => self.rules(),
            (_, "list") => self.list(),
            (_, "values") => self.place::<i8>("values", None, 4 * N),
            (_, "num_values") => 4 * N,
            ("pkr_vectors", "feature") => VECTOR,
            ("pkr_model_info", "out") => self.zeroed::<pkr_model_information>("out"),
            ("pkr_feature_info", "out") => self.zeroed::<pkr_feature_information>("out"),
            ("pkr_task_info", "out") => self.zeroed::<pkr_task_information>("out"),
            ("pkr_term_info", "out") => self.zeroed::<pkr_term_information>("out"),
            ("pkr_label_info", "out") => self.zeroed::<pkr_label_information>("out"),
            ("pkr_formula_info", "out") => self.zeroed::<pkr_formula_information>("out"),
            ("pkr_weight_info", "out") => self.zeroed::<pkr_weight_information>("out"),
            ("pkr_model_query", "out") => self.zeroed::<pkr_requirements>("out"),
            ("pkr_item_sums", "out") => self.place::<u8>("out", None, self.sums.len()),
            ("pkr_item_sums", "out_bytes") => self.sums.len(),
            ("pkr_gates", "out") => self.place::<u8>("out", None, 4 * gates),
            ("pkr_gates", "out_len") => gates,
            (_, "out") => self.place::<u8>("out", None, 8),
            (_, "out_len") => 1,
            (_, "candidates_max" | "num_candidates") => N,
            (_, "num_positions") => POSITIONS,
            (_, "dim") => 1,
            (_, "sigma") => 0.25f32.to_bits() as usize,
            (_, "status" | "index" | "seed" | "salt")
            | ("pkr_gates" | "pkr_session_shown", "candidate") => 0,
            _ => panic!("{function}: say here what a good {name} is"),
        }
    }

    /// Where an argument, or a field of a struct that an argument leads to, has its pointer and its length.
    pub fn find(&mut self, parameters: &[Declared], name: &str) -> Place {
        let Some((of, field)) = name.split_once('.') else {
            let at = parameters.iter().position(|p| p.name == name).unwrap();
            let word = |i: usize| self.arguments.as_ptr().cast_mut().wrapping_add(i);
            // Lengths follow what they are of.
            let is_len = |p: &Declared| p.kind == "size_t";
            let len = parameters
                .get(at + 1)
                .filter(|p| is_len(p))
                .map(|_| word(at + 1));
            return Place {
                word: word(at),
                len,
            };
        };
        let base = match of {
            "column" => self.columns.as_mut_ptr().wrapping_add(column_of(field)) as usize,
            "key" => self.keys.as_mut_ptr() as usize,
            "spacing" => self.spacing.as_mut_ptr() as usize,
            "decay" => self.decay.as_mut_ptr() as usize,
            _ => self.memory.get_mut(of).unwrap().ptr() as usize,
        };
        let (at, len) = offsets(of, field);
        Place {
            word: (base + at) as *mut usize,
            len: Some((base + len) as *mut usize),
        }
    }

    /// Somewhere in the bytes that the model borrows, aligned for any struct.
    pub fn in_the_file(&mut self) -> usize {
        let at = self.opened.file.as_mut_ptr() as usize + 64;
        at.next_multiple_of(8)
    }

    /// A copy of an open handle at another address.
    pub fn copy(&mut self, handle: &str) -> usize {
        let mut copy = match handle {
            "model" => self.opened.memory.copy(),
            _ => self.handles[handle].copy(),
        };
        let at = copy.ptr() as usize;
        self.memory.insert("copy", copy);
        at
    }

    pub fn close(&mut self, handle: &str) {
        let at = match handle {
            "model" => self.opened.model as usize,
            _ => self.handles.get_mut(handle).unwrap().ptr() as usize,
        };
        let status = unsafe {
            match handle {
                "model" => pkr_model_close(at as _),
                "scratch" => pkr_scratch_close(at as _),
                "session" => pkr_session_close(at as _),
                "formula" => pkr_formula_close(at as _),
                _ => panic!("{handle} is no handle"),
            }
        };
        assert_eq!(status, PKR_OK);
    }

    /// What a call may not change if it fails: all but working memory, the detail, and memory for what it would have made.
    pub fn outputs(&self) -> Vec<(&'static str, Vec<u64>)> {
        let kept = self
            .memory
            .iter()
            .filter(|(name, _)| !["memory", "detail", "copy"].contains(name));
        let mut kept: Vec<_> = kept
            .map(|(name, memory)| (*name, memory.words.clone()))
            .collect();
        kept.push(("session", self.handles["session"].words.clone()));
        kept.push(("formula", self.handles["formula"].words.clone()));
        kept.push(("model", self.opened.memory.words.clone()));
        kept
    }
}
