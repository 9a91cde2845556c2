//! Calls of the ABI by name with words for arguments, and where structs have their pointers.

use core::mem::offset_of;

use pocketrank::ffi::*;

use super::values::*;

/// Calls a function of the ABI with words for arguments.
pub fn call(function: &str, a: &[usize]) -> pkr_status {
    macro_rules! by_name {
        ($($name:ident $($i:literal)*;)*) => {
            match function {
                $(stringify!($name) => unsafe { $name($(a[$i] as _),*) },)*
                "pkr_weights_perturb" => unsafe {
                    let sigma = f32::from_bits(a[6] as u32);
                    pkr_weights_perturb(a[0] as _, a[1] as _, a[2] as _, a[3], a[4] as _, a[5] as _, sigma, a[7] as _, a[8])
                },
                _ => panic!("say here how {function} is called"),
            }
        };
    }
    by_name! {
        pkr_model_query 0 1 2;
        pkr_model_open 0 1 2 3 4 5 6;
        pkr_model_close 0;
        pkr_model_info 0 1;
        pkr_feature_info 0 1 2;
        pkr_task_info 0 1 2;
        pkr_term_info 0 1 2;
        pkr_label_info 0 1 2;
        pkr_feature_index 0 1 2 3;
        pkr_task_index 0 1 2 3;
        pkr_term_index 0 1 2 3;
        pkr_label_index 0 1 2 3;
        pkr_scratch_bytes 0 1 2;
        pkr_scratch_init 0 1 2 3 4;
        pkr_scratch_close 0;
        pkr_rank 0 1 2 3 4;
        pkr_hash_text 0 1 2;
        pkr_row_of 0 1 2;
        pkr_state_reset 0 1 2;
        pkr_state_apply 0 1 2 3 4;
        pkr_item_sums 0 1 2 3 4 5;
        pkr_score 0 1 2 3 4;
        pkr_order 0 1 2 3 4 5 6;
        pkr_session_bytes 0 1 2;
        pkr_session_begin 0 1 2 3 4 5 6;
        pkr_session_feedback 0 1 2 3;
        pkr_session_shown 0 1;
        pkr_session_rerank 0 1 2 3 4 5;
        pkr_session_state 0 1 2;
        pkr_session_close 0;
        pkr_formula_open 0 1 2 3 4 5 6;
        pkr_formula_close 0;
        pkr_formula_info 0 1 2;
        pkr_weight_info 0 1 2 3;
        pkr_weight_index 0 1 2 3 4;
        pkr_term_text 0 1 2 3 4;
        pkr_gates 0 1 2 3 4 5 6;
        pkr_rerank_bytes 0 1 2 3;
        pkr_rerank 0 1 2 3 4 5 6;
        pkr_vectors 0 1 2 3 4 5 6;
    }
}

/// A column of a form that has this field.
pub fn column_of(field: &str) -> usize {
    match field {
        "values" => SCORE,
        "offsets" => super::ITEM,
        _ => TAGS,
    }
}

/// Where in its struct a pointer is, and its length.
pub fn offsets(of: &str, field: &str) -> (usize, usize) {
    macro_rules! fields {
        ($($of:literal $kind:ident { $($pointer:ident $len:ident),* })*) => {
            match (of, field) {
                $($(($of, stringify!($pointer)) => (offset_of!($kind, $pointer), offset_of!($kind, $len)),)*)*
                _ => panic!("say here where {of}.{field} is"),
            }
        };
    }
    fields! {
        "request" pkr_request { columns num_columns, state state_bytes, weights num_weights, only num_only,
            item_sums item_sums_bytes, item_slots num_item_slots, formula num_without, without num_without }
        "column" pkr_column { values count, offsets num_offsets, list_offsets num_list_offsets, weights num_weights }
        "result" pkr_result { order order_len, fused fused_len, scores scores_len, terms terms_len }
        "value" pkr_key { text text_bytes }
        "key" pkr_key { text text_bytes }
        "event" pkr_event { keys num_keys }
        "decay" pkr_decay { keys num_keys }
        "spacing" pkr_spacing { keys num_keys }
        "rules" pkr_rules { factors num_factors, bonuses num_bonuses, decays num_decays, spacings num_spacings, pins num_pins,
            blocked num_blocked, hidden num_hidden, vectors num_vector_values, sigma num_sigma }
        "list" pkr_list { slots num_slots }
    }
}
