"""The ABI as Python has it against the header: structs field by field, functions, constants, statuses."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pocketrank
from pocketrank import _abi
from pocketrank.information import KeyKind

HEADER = (Path(__file__).parents[3] / "include" / "pocketrank.h").read_text()
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S)
TYPES = {
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
    "pkr_status": ctypes.c_uint32,
}
ENUMS: dict[str, Any] = {
    "PKR_ERR_": pocketrank.Status,
    "PKR_CPU_": pocketrank.Cpu,
    "PKR_SIDE_": pocketrank.Side,
    "PKR_FEATURE_": pocketrank.FeatureKind,
    "PKR_ID_": pocketrank.IdType,
    "PKR_TASK_": pocketrank.TaskKind,
    "PKR_FORM_": pocketrank.Form,
    "PKR_KEY_": KeyKind,
    "PKR_DIVERSITY_": pocketrank.Diversity,
    "PKR_EXPLORATION_": pocketrank.Exploration,
    "PKR_RULES_": pocketrank.RulePart,
}
ALONE = {
    "PKR_OK": pocketrank.Status.OK,
    "PKR_NOWHERE": pocketrank.errors.NOWHERE,
    "PKR_ABI_VERSION": _abi.ABI_VERSION,
    "PKR_MEMORY_ALIGNMENT": np.dtype(np.uint64).itemsize,
    "PKR_STRICT": _abi.STRICT,
    "PKR_NO_SLOT": pocketrank.NO_SLOT_OF_SUMS,
    "PKR_NO_KEY": pocketrank.NO_KEY,
    "PKR_NO_CANDIDATE": pocketrank.NO_CANDIDATE,
}
CONSTANTS = {name: int(value.rstrip("ul")) for name, value in re.findall(r"#define (PKR_\w+) (\d+u?l*)", CODE)}
STRUCTS = {name: body for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", CODE, flags=re.S)}
FUNCTIONS = re.findall(r"^([a-z][\w *]*?)(pkr_\w+)\((.*?)\);", CODE, flags=re.S | re.M)


def kind(of_c: str) -> str:
    """A C type as a word: pointers are all the same."""
    return "pointer" if "*" in of_c else TYPES[of_c.replace("const ", "").strip()].__name__


def kind_of(field: Any) -> str:
    is_pointer = field in (ctypes.c_void_p, ctypes.c_char_p) or hasattr(field, "contents")
    return "pointer" if is_pointer else field.__name__


def test_header_was_read() -> None:
    assert len(STRUCTS) == CODE.count("typedef struct {") > 20
    assert len(FUNCTIONS) == len(re.findall(r"\bpkr_\w+\(", CODE)) > 40
    assert len(CONSTANTS) == HEADER.count("#define PKR_") > 100


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_has_the_fields_of_the_header(name: str) -> None:
    fields = re.findall(r"([\w ]+?[ *]+)(\w+);", STRUCTS[name])
    expected = [(field, kind(c)) for c, field in fields]
    ours = getattr(_abi, name)
    assert [(field, kind_of(c)) for field, c in ours._fields_] == expected
    if expected[0][0] == "struct_size":
        assert ours().struct_size == ctypes.sizeof(ours)


def test_no_struct_is_only_ours() -> None:
    assert {name for name in vars(_abi) if name.startswith("pkr_")} == set(STRUCTS)


@pytest.mark.parametrize(("result", "name", "arguments"), FUNCTIONS, ids=[name for _, name, _ in FUNCTIONS])
def test_function_takes_what_the_header_says(result: str, name: str, arguments: str) -> None:
    types = [] if arguments == "void" else [re.sub(r"\w+$", "", a.strip()) for a in arguments.split(",")]
    assert [kind_of(c) for c in _abi.FUNCTIONS[name]] == [kind(result), *map(kind, types)]


def test_functions_are_those_of_the_header_and_all_are_called() -> None:
    assert set(_abi.FUNCTIONS) == {name for _, name, _ in FUNCTIONS}
    sources = "".join(
        p.read_text() for p in (Path(__file__).parents[1] / "src" / "pocketrank").glob("*.py") if p.name != "_abi.py"
    )
    unused = [name for name in _abi.FUNCTIONS if f"lib.{name}" not in sources]
    assert unused == ["pkr_abi_version"] or unused == []


def test_constants_are_those_of_the_header() -> None:
    left = dict(CONSTANTS)
    for prefix, enum in ENUMS.items():
        named = {name.removeprefix(prefix): value for name, value in left.items() if name.startswith(prefix)}
        ours = {m.name: m.value for m in enum if not (enum is pocketrank.Status and m.name == "OK")}
        assert ours == named, prefix
        left = {name: value for name, value in left.items() if not name.startswith(prefix)}
    assert {name: int(value) for name, value in ALONE.items()} == left


def test_statuses_have_the_library_s_names() -> None:
    for status in pocketrank.Status:
        prefix = "PKR_" if status == pocketrank.Status.OK else "PKR_ERR_"
        assert _abi.lib.pkr_status_name(status).decode() == prefix + status.name


def test_slots_are_rows_of_the_struct() -> None:
    from pocketrank.lists import SLOT

    assert SLOT.itemsize == ctypes.sizeof(_abi.pkr_slot)
    assert [(name, SLOT.fields[name][1]) for name in SLOT.names] == [
        (name, getattr(_abi.pkr_slot, name).offset) for name, _ in _abi.pkr_slot._fields_
    ]


def test_versions() -> None:
    assert pocketrank.abi_version() >= _abi.ABI_VERSION
    assert pocketrank.library_version() == pocketrank.__version__
