/* Layout of every struct, as the compiler of an app sees it. tests/abi.rs has the same figures for the library. Sizes
 * in bytes, P that of a pointer. */
#include "pocketrank.h"

#ifdef __cplusplus
#define CHECK(condition) static_assert(condition, #condition)
#else
#define CHECK(condition) _Static_assert(condition, #condition)
#endif
#define P sizeof(void *)
#define AT(type, field, offset) CHECK(offsetof(type, field) == (offset))
#define SIZE(type, size) CHECK(sizeof(type) == (size))

SIZE(pkr_error_detail, 24);
AT(pkr_error_detail, status, 4);
AT(pkr_error_detail, feature, 8);
AT(pkr_error_detail, candidate, 12);
AT(pkr_error_detail, offset, 16);

SIZE(pkr_requirements, 8 + P);
AT(pkr_requirements, alignment, 4);
AT(pkr_requirements, model_bytes, 8);

SIZE(pkr_open_options, 8);
AT(pkr_open_options, cpu, 4);

SIZE(pkr_column, 8 + 8 * P);
AT(pkr_column, form, 4);
AT(pkr_column, values, 8);
AT(pkr_column, count, 8 + P);
AT(pkr_column, offsets, 8 + 2 * P);
AT(pkr_column, num_offsets, 8 + 3 * P);
AT(pkr_column, list_offsets, 8 + 4 * P);
AT(pkr_column, num_list_offsets, 8 + 5 * P);
AT(pkr_column, weights, 8 + 6 * P);
AT(pkr_column, num_weights, 8 + 7 * P);

SIZE(pkr_request, 32 + 14 * P); /* up to the alignment of a time */
AT(pkr_request, flags, 4);
AT(pkr_request, num_candidates, 8);
AT(pkr_request, max_candidates, 12);
AT(pkr_request, time, 16);
AT(pkr_request, columns, 24);
AT(pkr_request, num_columns, 24 + P);
AT(pkr_request, state, 24 + 2 * P);
AT(pkr_request, state_bytes, 24 + 3 * P);
AT(pkr_request, weights, 24 + 4 * P);
AT(pkr_request, num_weights, 24 + 5 * P);
AT(pkr_request, only, 24 + 6 * P);
AT(pkr_request, num_only, 24 + 7 * P);
AT(pkr_request, item_sums, 24 + 8 * P);
AT(pkr_request, item_sums_bytes, 24 + 9 * P);
AT(pkr_request, item_slots, 24 + 10 * P);
AT(pkr_request, num_item_slots, 24 + 11 * P);
AT(pkr_request, formula, 24 + 12 * P);
AT(pkr_request, without, 24 + 13 * P);
AT(pkr_request, num_without, 24 + 14 * P);

SIZE(pkr_result, 24 + 8 * P);
AT(pkr_result, scored, 4);
AT(pkr_result, order, 8);
AT(pkr_result, order_len, 8 + P);
AT(pkr_result, fused, 8 + 2 * P);
AT(pkr_result, fused_len, 8 + 3 * P);
AT(pkr_result, scores, 8 + 4 * P);
AT(pkr_result, scores_len, 8 + 5 * P);
AT(pkr_result, missing, 8 + 6 * P);
AT(pkr_result, not_finite, 12 + 6 * P);
AT(pkr_result, unknown_ids, 16 + 6 * P);
AT(pkr_result, cut_lists, 20 + 6 * P);
AT(pkr_result, terms, 24 + 6 * P);
AT(pkr_result, terms_len, 24 + 7 * P);

SIZE(pkr_key, 24 + 2 * P);
AT(pkr_key, feature, 4);
AT(pkr_key, kind, 8);
AT(pkr_key, number, 12);
AT(pkr_key, id, 16);
AT(pkr_key, text, 24);
AT(pkr_key, text_bytes, 24 + P);

SIZE(pkr_event, 24 + 2 * P);
AT(pkr_event, label, 4);
AT(pkr_event, time, 8);
AT(pkr_event, value, 16);
AT(pkr_event, reserved, 20);
AT(pkr_event, keys, 24);
AT(pkr_event, num_keys, 24 + P);

AT(pkr_model_information, num_features, 4);
AT(pkr_model_information, num_tasks, 8);
AT(pkr_model_information, num_terms, 12);
AT(pkr_model_information, num_labels, 16);
AT(pkr_model_information, candidates_max, 20);
AT(pkr_model_information, digest, 24);
AT(pkr_model_information, state_bytes, 32);
AT(pkr_model_information, name, 32 + P);
AT(pkr_model_information, isa, 32 + 3 * P);
AT(pkr_model_information, item_sums_bytes, 32 + 5 * P);

SIZE(pkr_feature_information, 40 + 2 * P);
AT(pkr_feature_information, name, 40);
SIZE(pkr_task_information, 16 + 4 * P);
AT(pkr_task_information, name, 16);
AT(pkr_task_information, unit, 16 + 2 * P);
SIZE(pkr_term_information, 16 + 2 * P);
AT(pkr_term_information, weight, 12);
AT(pkr_term_information, name, 16);
SIZE(pkr_label_information, 8 + 2 * P);
AT(pkr_label_information, name, 8);

SIZE(pkr_spacing, 16 + 2 * P);
AT(pkr_spacing, max, 4);
AT(pkr_spacing, window, 8);
AT(pkr_spacing, keys, 16);
AT(pkr_spacing, num_keys, 16 + P);

SIZE(pkr_decay, 16 + 2 * P);
AT(pkr_decay, factor, 4);
AT(pkr_decay, floor, 8);
AT(pkr_decay, keys, 16);

SIZE(pkr_pin, 8);
AT(pkr_pin, candidate, 4);

SIZE(pkr_rules, 32 + 18 * P);
AT(pkr_rules, weight, 8);
AT(pkr_rules, dim, 12);
AT(pkr_rules, epsilon, 20);
AT(pkr_rules, seed, 24);
AT(pkr_rules, factors, 32);
AT(pkr_rules, bonuses, 32 + 2 * P);
AT(pkr_rules, decays, 32 + 4 * P);
AT(pkr_rules, spacings, 32 + 6 * P);
AT(pkr_rules, pins, 32 + 8 * P);
AT(pkr_rules, blocked, 32 + 10 * P);
AT(pkr_rules, hidden, 32 + 12 * P);
AT(pkr_rules, vectors, 32 + 14 * P);
AT(pkr_rules, sigma, 32 + 16 * P);
AT(pkr_rules, num_sigma, 32 + 17 * P);

SIZE(pkr_slot, 28);
AT(pkr_slot, relaxed, 4);
AT(pkr_slot, score, 8);
AT(pkr_slot, propensity, 12);
AT(pkr_slot, boost, 16);
AT(pkr_slot, decay, 20);
AT(pkr_slot, similarity, 24);

SIZE(pkr_list, 32 + 2 * P);
AT(pkr_list, slot_bytes, 4);
AT(pkr_list, slots, 8);
AT(pkr_list, num_slots, 8 + P);
AT(pkr_list, placed, 8 + 2 * P);
AT(pkr_list, relaxed, 12 + 2 * P);
AT(pkr_list, kept, 16 + 2 * P);
AT(pkr_list, steps, 24 + 2 * P);
