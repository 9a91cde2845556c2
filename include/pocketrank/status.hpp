// Every status of the C ABI, with its number: it may be logged, and is never reused.
#ifndef POCKETRANK_STATUS_HPP
#define POCKETRANK_STATUS_HPP

#include "../pocketrank.h"

#include <cstdint>

#include "dialect.hpp"

namespace pocketrank {
inline namespace PKR_CPP_DIALECT {

enum class status : std::uint32_t {
  ok = 0,  // Done.
  null_pointer = 101,  // A required pointer is NULL.
  misaligned = 102,  // A pointer is not aligned for its type.
  struct_size = 103,  // `struct_size` names no known version of the struct.
  buffer_too_small = 104,  // A buffer is smaller than the call needs; the detail's offset is the bytes or elements needed.
  overlap = 105,  // Two buffers that must be apart overlap.
  stale = 106,  // A handle was closed, copied or never opened.
  length_overflow = 107,  // A count times its element size does not fit the address space.
  bad_option = 108,  // An option or enumeration has a value that is not defined.
  isa_unavailable = 109,  // The instruction set asked for is not available here.
  truncated = 201,  // The bytes end before the envelope or the length it states.
  bad_magic = 202,  // The first bytes are not a pocketrank model's.
  unsupported_version = 203,  // The file is of a format version that this library does not read.
  bad_length = 204,  // The stated length is not the number of bytes given, or is over the limit.
  bad_digest = 205,  // The XXH3-64 digest does not match: the bytes were changed.
  bad_sha256 = 206,  // The SHA-256 digest does not match (`verify` only).
  bad_reserved = 207,  // Reserved bytes of the envelope are not zero.
  bad_directory = 301,  // The section directory overlaps, is unordered, or points outside the file.
  missing_section = 302,  // A section that this version must have is absent.
  unknown_section = 303,  // A required section is of an unknown kind or version.
  bad_record = 304,  // A metadata record is malformed.
  not_canonical = 305,  // A metadata record is not in its one canonical encoding, or bytes follow it.
  over_limit = 306,  // A count is over the limit in `spec.rs`.
  inconsistent = 307,  // Records contradict each other (an index out of range, a wrong side, a task given itself).
  bad_number = 308,  // A number in a record is NaN, infinite or outside its range.
  bad_shape = 401,  // A tensor's type or shape is not what the records require.
  bad_padding = 402,  // A tensor's padding is not canonical: its data does not start on 64 bytes, or a pad byte is not zero.
  byte_out_of_range = 403,  // A weight is -128 or an activation byte is above 127.
  bad_scale = 404,  // A scale or bias is NaN, infinite or outside its range.
  bad_vocabulary = 405,  // A vocabulary bucket contradicts itself or holds a key that its hash does not lead to.
  candidate_count = 501,  // No candidates, or more than the model's limit or the scratch was sized for.
  unknown_feature = 502,  // More columns than the model has features.
  wrong_form = 503,  // A column's form does not fit its feature (ids for a number, rows for a vector, ...).
  column_length = 504,  // A column has another number of values than the request needs.
  bad_offsets = 505,  // Offsets of a ragged column decrease or run past its values.
  missing_value = 506,  // `PKR_STRICT`: a value is missing.
  not_finite = 507,  // `PKR_STRICT`: a number is NaN or infinite.
  unknown_id = 508,  // `PKR_STRICT`: an id or row is not in its table.
  bad_weight = 509,  // A fusion weight is not finite or its magnitude is over 1e6.
  unknown_task = 510,  // A task or fusion term of that index does not exist.
  vector_byte = 511,  // A vector column has a byte above 127.
  // Item sums are of another model or layout, or were changed; the candidate is in the detail. Make them again.
  stale_sums = 512,
  bad_index = 513,  // An index of a candidate or slot is past the last one, or candidates do not increase.
  // A rule of a re-ranking is out of its bounds, of another number of candidates, or contradicts another: `feature` of the
  // detail is one of PKR_RULES_*, `candidate` the index of the element.
  bad_rule = 514,
  state_layout = 601,  // The state belongs to another layout: reset it.
  state_corrupt = 602,  // The state's checksum does not match: reset it.
  unknown_label = 603,  // An event names a label or key that the model does not have.
  // An event's time is before the state's last event by more than a clock can be wrong, or not representable.
  bad_time = 604,
  // A formula names a task or number feature that the model does not have, or a quantile of which it has no table.
  formula_input = 701,
  formula_code = 702,  // A formula's program is malformed.
  formula_cost = 703,  // A formula's program costs more than it may.
  formula_range = 704,  // A formula's program may divide by 0, or make a NaN or a value over 2^100, for some request.
  formula_model = 705,  // A formula was opened for another model.
  formula_scores = 706,  // A formula needs more than scores, and the call has nothing else.
};

/// Name of a status in the C header, as "PKR_ERR_STALE". Static, never null.
inline const char* name(status code) noexcept { return pkr_status_name(static_cast<pkr_status>(code)); }

}  // namespace PKR_CPP_DIALECT
}  // namespace pocketrank

#endif
