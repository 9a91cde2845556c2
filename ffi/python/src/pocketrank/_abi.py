"""The C ABI as include/pocketrank.h has it: constants, structs in the header's order, functions. A test compares the two.

Pointers are plain addresses (`c_void_p`): who makes a struct keeps alive what it points to.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_float, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

ABI_VERSION = 1
STRICT = 1
NO_SLOT = 4294967295
NO_KEY = 18446744073709551615
NO_CANDIDATE = 4294967295


class Versioned(ctypes.Structure):
    """A struct that begins with its size."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **fields)


def _fields(**fields: Any) -> list[tuple[str, Any]]:
    return [("struct_size", c_uint32), *fields.items()]


class pkr_requirements(Versioned):
    _fields_ = _fields(alignment=c_uint32, model_bytes=c_size_t)


class pkr_open_options(Versioned):
    _fields_ = _fields(cpu=c_uint32)


class pkr_error_detail(Versioned):
    _fields_ = _fields(status=c_uint32, feature=c_uint32, candidate=c_uint32, offset=c_uint64)


class pkr_model_information(Versioned):
    _fields_ = _fields(
        num_features=c_uint32,
        num_tasks=c_uint32,
        num_terms=c_uint32,
        num_labels=c_uint32,
        candidates_max=c_uint32,
        digest=c_uint64,
        state_bytes=c_size_t,
        name=c_void_p,
        name_bytes=c_size_t,
        isa=c_void_p,
        isa_bytes=c_size_t,
        item_sums_bytes=c_size_t,
    )


class pkr_feature_information(Versioned):
    _fields_ = _fields(
        side=c_uint32,
        kind=c_uint32,
        id_type=c_uint32,
        derived=c_uint32,
        max_len=c_uint32,
        weighted=c_uint32,
        dim=c_uint32,
        num_embeddings=c_uint32,
        reserved=c_uint32,
        name=c_void_p,
        name_bytes=c_size_t,
    )


class pkr_task_information(Versioned):
    _fields_ = _fields(
        kind=c_uint32,
        given=c_uint32,
        reserved=c_uint32,
        name=c_void_p,
        name_bytes=c_size_t,
        unit=c_void_p,
        unit_bytes=c_size_t,
    )


class pkr_term_information(Versioned):
    _fields_ = _fields(task=c_uint32, entire=c_uint32, weight=c_float, name=c_void_p, name_bytes=c_size_t)


class pkr_label_information(Versioned):
    _fields_ = _fields(log1p=c_uint32, name=c_void_p, name_bytes=c_size_t)


class pkr_column(Versioned):
    _fields_ = _fields(
        form=c_uint32,
        values=c_void_p,
        count=c_size_t,
        offsets=c_void_p,
        num_offsets=c_size_t,
        list_offsets=c_void_p,
        num_list_offsets=c_size_t,
        weights=c_void_p,
        num_weights=c_size_t,
    )


class pkr_request(Versioned):
    _fields_ = _fields(
        flags=c_uint32,
        num_candidates=c_uint32,
        max_candidates=c_uint32,
        time=c_int64,
        columns=c_void_p,
        num_columns=c_size_t,
        state=c_void_p,
        state_bytes=c_size_t,
        weights=c_void_p,
        num_weights=c_size_t,
        only=c_void_p,
        num_only=c_size_t,
        item_sums=c_void_p,
        item_sums_bytes=c_size_t,
        item_slots=c_void_p,
        num_item_slots=c_size_t,
        formula=c_void_p,
        without=c_void_p,
        num_without=c_size_t,
    )


class pkr_result(Versioned):
    _fields_ = _fields(
        scored=c_uint32,
        order=c_void_p,
        order_len=c_size_t,
        fused=c_void_p,
        fused_len=c_size_t,
        scores=c_void_p,
        scores_len=c_size_t,
        missing=c_uint32,
        not_finite=c_uint32,
        unknown_ids=c_uint32,
        cut_lists=c_uint32,
        terms=c_void_p,
        terms_len=c_size_t,
    )


class pkr_key(Versioned):
    _fields_ = _fields(feature=c_uint32, kind=c_uint32, number=c_float, id=c_uint64, text=c_char_p, text_bytes=c_size_t)


class pkr_event(Versioned):
    _fields_ = _fields(label=c_uint32, time=c_int64, value=c_float, reserved=c_uint32, keys=POINTER(pkr_key), num_keys=c_size_t)


class pkr_formula_information(Versioned):
    _fields_ = _fields(num_weights=c_uint32, num_terms=c_uint32, cost=c_uint32, text=c_void_p, text_bytes=c_size_t)


class pkr_weight_information(Versioned):
    _fields_ = _fields(value=c_float, least=c_float, most=c_float, name=c_void_p, name_bytes=c_size_t)


class pkr_decay(Versioned):
    _fields_ = _fields(factor=c_float, floor=c_float, reserved=c_uint32, keys=c_void_p, num_keys=c_size_t)


class pkr_spacing(Versioned):
    _fields_ = _fields(max=c_uint32, window=c_uint32, reserved=c_uint32, keys=c_void_p, num_keys=c_size_t)


class pkr_pin(ctypes.Structure):
    _fields_ = [("position", c_uint32), ("candidate", c_uint32)]


class pkr_rules(Versioned):
    _fields_ = _fields(
        diversity=c_uint32,
        weight=c_float,
        dim=c_uint32,
        exploration=c_uint32,
        epsilon=c_float,
        seed=c_uint64,
        factors=c_void_p,
        num_factors=c_size_t,
        bonuses=c_void_p,
        num_bonuses=c_size_t,
        decays=POINTER(pkr_decay),
        num_decays=c_size_t,
        spacings=POINTER(pkr_spacing),
        num_spacings=c_size_t,
        pins=POINTER(pkr_pin),
        num_pins=c_size_t,
        blocked=c_void_p,
        num_blocked=c_size_t,
        hidden=c_void_p,
        num_hidden=c_size_t,
        vectors=c_void_p,
        num_vector_values=c_size_t,
        sigma=c_void_p,
        num_sigma=c_size_t,
    )


class pkr_slot(ctypes.Structure):
    _fields_ = [
        ("candidate", c_uint32),
        ("relaxed", c_uint32),
        ("score", c_float),
        ("propensity", c_float),
        ("boost", c_float),
        ("decay", c_float),
        ("similarity", c_float),
    ]


class pkr_list(Versioned):
    _fields_ = _fields(
        slot_bytes=c_uint32,
        slots=c_void_p,
        num_slots=c_size_t,
        placed=c_uint32,
        relaxed=c_uint32,
        kept=c_uint32,
        reserved=c_uint32,
        steps=c_uint64,
    )


_H = c_void_p  # a handle, or memory of the caller
_Z = c_size_t
_U = c_uint32
_DETAIL = POINTER(pkr_error_detail)
_REQUEST = POINTER(pkr_request)
_RESULT = POINTER(pkr_result)
_INDEX = POINTER(c_uint32)
_SIZE = POINTER(c_size_t)
_HANDLE = POINTER(c_void_p)

FUNCTIONS: dict[str, tuple[Any, ...]] = {  # what comes back, then the arguments
    "pkr_abi_version": (_U,),
    "pkr_version": (c_char_p,),
    "pkr_status_name": (c_char_p, _U),
    "pkr_model_query": (_U, _H, _Z, POINTER(pkr_requirements)),
    "pkr_model_open": (_U, _H, _Z, _H, _Z, POINTER(pkr_open_options), _HANDLE, _DETAIL),
    "pkr_model_close": (_U, _H),
    "pkr_model_info": (_U, _H, POINTER(pkr_model_information)),
    "pkr_feature_info": (_U, _H, _U, POINTER(pkr_feature_information)),
    "pkr_task_info": (_U, _H, _U, POINTER(pkr_task_information)),
    "pkr_term_info": (_U, _H, _U, POINTER(pkr_term_information)),
    "pkr_label_info": (_U, _H, _U, POINTER(pkr_label_information)),
    "pkr_feature_index": (_U, _H, c_char_p, _Z, _INDEX),
    "pkr_task_index": (_U, _H, c_char_p, _Z, _INDEX),
    "pkr_term_index": (_U, _H, c_char_p, _Z, _INDEX),
    "pkr_label_index": (_U, _H, c_char_p, _Z, _INDEX),
    "pkr_scratch_bytes": (_U, _H, _U, _SIZE),
    "pkr_scratch_init": (_U, _H, _U, _H, _Z, _HANDLE),
    "pkr_scratch_close": (_U, _H),
    "pkr_rank": (_U, _H, _H, _REQUEST, _RESULT, _DETAIL),
    "pkr_hash_text": (_U, c_char_p, _Z, POINTER(c_uint64)),
    "pkr_row_of": (_U, _H, POINTER(pkr_key), _INDEX),
    "pkr_state_reset": (_U, _H, _H, _Z),
    "pkr_state_apply": (_U, _H, _H, _Z, POINTER(pkr_event), _DETAIL),
    "pkr_item_sums": (_U, _H, _H, _REQUEST, _H, _Z, _DETAIL),
    "pkr_score": (_U, _H, _H, _REQUEST, _RESULT, _DETAIL),
    "pkr_order": (_U, _H, _H, _REQUEST, _H, _Z, _RESULT, _DETAIL),
    "pkr_session_bytes": (_U, _H, _U, _SIZE),
    "pkr_session_begin": (_U, _H, _H, _REQUEST, _H, _Z, _HANDLE, _DETAIL),
    "pkr_session_feedback": (_U, _H, _H, POINTER(pkr_event), _DETAIL),
    "pkr_session_shown": (_U, _H, _U),
    "pkr_session_rerank": (_U, _H, _H, _H, _REQUEST, _RESULT, _DETAIL),
    "pkr_session_state": (_U, _H, _H, _Z),
    "pkr_session_close": (_U, _H),
    "pkr_formula_bytes": (_Z,),
    "pkr_formula_open": (_U, _H, _H, _Z, _H, _Z, _HANDLE, _DETAIL),
    "pkr_formula_close": (_U, _H),
    "pkr_formula_info": (_U, _H, _H, POINTER(pkr_formula_information)),
    "pkr_weight_info": (_U, _H, _H, _U, POINTER(pkr_weight_information)),
    "pkr_weight_index": (_U, _H, _H, c_char_p, _Z, _INDEX),
    "pkr_term_text": (_U, _H, _H, _U, _HANDLE, _SIZE),
    "pkr_gates": (_U, _H, _H, _REQUEST, _U, _H, _Z, _DETAIL),
    "pkr_weights_perturb": (_U, _H, _H, _H, _Z, c_uint64, c_uint64, c_float, _H, _Z),
    "pkr_rerank_bytes": (_U, _U, _U, _U, _SIZE),
    "pkr_rerank": (_U, POINTER(pkr_rules), _H, _U, _H, _Z, POINTER(pkr_list), _DETAIL),
    "pkr_vectors": (_U, _H, _H, _REQUEST, _U, _H, _Z, _DETAIL),
}


def _load() -> ctypes.CDLL:
    """The library beside this file, or the one that POCKETRANK_LIBRARY names."""
    path = os.environ.get("POCKETRANK_LIBRARY") or str(Path(__file__).with_name("libpocketrank.so"))
    loaded = ctypes.CDLL(path)
    if loaded.pkr_abi_version() < ABI_VERSION:
        raise ImportError(f"{path} is older than this package: ABI {loaded.pkr_abi_version()}, needed is {ABI_VERSION}")
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    return loaded


lib = _load()
