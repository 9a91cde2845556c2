// Where each field of each struct lies on a 32-bit machine with 8-byte alignment of 64-bit numbers, in bytes: the one place
// that knows. Names are the header's. test/layout.mjs reads pocketrank.h and computes all of it again.

export const pkr_requirements = { size: 12, struct_size: 0, alignment: 4, model_bytes: 8 };

export const pkr_open_options = { size: 8, struct_size: 0, cpu: 4 };

export const pkr_error_detail = { size: 24, struct_size: 0, status: 4, feature: 8, candidate: 12, offset: 16 };

export const pkr_model_information = {
  size: 56,
  struct_size: 0,
  num_features: 4,
  num_tasks: 8,
  num_terms: 12,
  num_labels: 16,
  candidates_max: 20,
  digest: 24,
  state_bytes: 32,
  name: 36,
  name_bytes: 40,
  isa: 44,
  isa_bytes: 48,
  item_sums_bytes: 52,
};

export const pkr_feature_information = {
  size: 48,
  struct_size: 0,
  side: 4,
  kind: 8,
  id_type: 12,
  derived: 16,
  max_len: 20,
  weighted: 24,
  dim: 28,
  num_embeddings: 32,
  reserved: 36,
  name: 40,
  name_bytes: 44,
};

export const pkr_task_information = {
  size: 32,
  struct_size: 0,
  kind: 4,
  given: 8,
  reserved: 12,
  name: 16,
  name_bytes: 20,
  unit: 24,
  unit_bytes: 28,
};

export const pkr_term_information = { size: 24, struct_size: 0, task: 4, entire: 8, weight: 12, name: 16, name_bytes: 20 };

export const pkr_label_information = { size: 16, struct_size: 0, log1p: 4, name: 8, name_bytes: 12 };

export const pkr_column = {
  size: 40,
  struct_size: 0,
  form: 4,
  values: 8,
  count: 12,
  offsets: 16,
  num_offsets: 20,
  list_offsets: 24,
  num_list_offsets: 28,
  weights: 32,
  num_weights: 36,
};

export const pkr_request = {
  size: 88,
  struct_size: 0,
  flags: 4,
  num_candidates: 8,
  max_candidates: 12,
  time: 16,
  columns: 24,
  num_columns: 28,
  state: 32,
  state_bytes: 36,
  weights: 40,
  num_weights: 44,
  only: 48,
  num_only: 52,
  item_sums: 56,
  item_sums_bytes: 60,
  item_slots: 64,
  num_item_slots: 68,
  formula: 72,
  without: 76,
  num_without: 80,
};

export const pkr_result = {
  size: 56,
  struct_size: 0,
  scored: 4,
  order: 8,
  order_len: 12,
  fused: 16,
  fused_len: 20,
  scores: 24,
  scores_len: 28,
  missing: 32,
  not_finite: 36,
  unknown_ids: 40,
  cut_lists: 44,
  terms: 48,
  terms_len: 52,
};

export const pkr_key = { size: 32, struct_size: 0, feature: 4, kind: 8, number: 12, id: 16, text: 24, text_bytes: 28 };

export const pkr_event = { size: 32, struct_size: 0, label: 4, time: 8, value: 16, reserved: 20, keys: 24, num_keys: 28 };

export const pkr_formula_information = {
  size: 24,
  struct_size: 0,
  num_weights: 4,
  num_terms: 8,
  cost: 12,
  text: 16,
  text_bytes: 20,
};

export const pkr_weight_information = { size: 24, struct_size: 0, value: 4, least: 8, most: 12, name: 16, name_bytes: 20 };

export const pkr_decay = { size: 24, struct_size: 0, factor: 4, floor: 8, reserved: 12, keys: 16, num_keys: 20 };

export const pkr_spacing = { size: 24, struct_size: 0, max: 4, window: 8, reserved: 12, keys: 16, num_keys: 20 };

export const pkr_pin = { size: 8, position: 0, candidate: 4 };

export const pkr_rules = {
  size: 104,
  struct_size: 0,
  diversity: 4,
  weight: 8,
  dim: 12,
  exploration: 16,
  epsilon: 20,
  seed: 24,
  factors: 32,
  num_factors: 36,
  bonuses: 40,
  num_bonuses: 44,
  decays: 48,
  num_decays: 52,
  spacings: 56,
  num_spacings: 60,
  pins: 64,
  num_pins: 68,
  blocked: 72,
  num_blocked: 76,
  hidden: 80,
  num_hidden: 84,
  vectors: 88,
  num_vector_values: 92,
  sigma: 96,
  num_sigma: 100,
};

export const pkr_slot = {
  size: 28,
  candidate: 0,
  relaxed: 4,
  score: 8,
  propensity: 12,
  boost: 16,
  decay: 20,
  similarity: 24,
};

export const pkr_list = {
  size: 40,
  struct_size: 0,
  slot_bytes: 4,
  slots: 8,
  num_slots: 12,
  placed: 16,
  relaxed: 20,
  kept: 24,
  reserved: 28,
  steps: 32,
};
