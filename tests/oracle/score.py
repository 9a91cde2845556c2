#!/usr/bin/env python3
"""An independent reader of pocketrank models, from docs/format.md, docs/numerics.md and docs/fusion.md; Python standard library only.

    score.py MODEL REQUESTS.jsonl    one JSON line per request: order, score bits, i32 sums of every layer
    score.py --check FOLDER          for each file, by name: the status with which it is refused, or "Ok"
    score.py --self-test             published XXH3-64 vectors
    score.py --math INPUTS.json      results of exp, sigmoid, log1p, softmax and row quantization

Bits of f32 travel as integers. A request line is
    {"candidates": n, "time": t, "state": hex | null, "weights": [bits] | null, "max_candidates": m,
     "events": [{"time": t, "label": i, "value": bits, "keys": [[feature, key], ...]}, ...],
     "columns": [null | {"ids": [...]} | {"rows": [...]} | {"text": [hex, ...]} | {"floats": [bits]} | {"bytes": hex}]}
where ids, rows and text may have "offsets": [...] and "weights": [bits]. If there are events, they are applied to a fresh
state, which is used and must equal "state" if that is given.
"""

import hashlib
import json
import pathlib
import struct
import sys
from array import array
from math import sqrt
from operator import mul

M64 = (1 << 64) - 1

# XXH3-64, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def le(data, at, size):
    return int.from_bytes(data[at : at + size], "little")


def fold(a, b):
    product = a * b
    return (product & M64) ^ (product >> 64)


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & M64
    return h ^ (h >> 32)


def avalanche64(h):
    h ^= h >> 33
    h = h * P64_2 & M64
    h ^= h >> 29
    h = h * P64_3 & M64
    return h ^ (h >> 32)


def rotate(x, by):
    return (x << by | x >> (64 - by)) & M64


def xxh3_64(data):
    n = len(data)
    key = lambda at: le(SECRET, at, 8)
    word = lambda at: le(data, at, 8)
    mix = lambda at, secret: fold(word(at) ^ key(secret), word(at + 8) ^ key(secret + 8))
    if n == 0:
        return avalanche64(key(56) ^ key(64))
    if n <= 3:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche64(combined ^ le(SECRET, 0, 4) ^ le(SECRET, 4, 4))
    if n <= 8:
        h = (le(data, n - 4, 4) + (le(data, 0, 4) << 32)) ^ key(8) ^ key(16)
        h ^= rotate(h, 49) ^ rotate(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & M64
        return h ^ (h >> 28)
    if n <= 16:
        low = word(0) ^ key(24) ^ key(32)
        high = word(n - 8) ^ key(40) ^ key(48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return avalanche((n + swapped + high + fold(low, high)) & M64)
    acc = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            acc += mix(16 * i, 32 * i) + mix(n - 16 * (i + 1), 32 * i + 16)
        return avalanche(acc & M64)
    if n <= 240:
        acc += sum(mix(16 * i, 16 * i) for i in range(8))
        acc = avalanche(acc & M64)
        acc += sum(mix(16 * i, 16 * (i - 8) + 3) for i in range(8, n // 16))
        return avalanche((acc + mix(n - 16, 136 - 17)) & M64)

    lanes = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]

    def accumulate(at, secret):
        for i, value in enumerate(struct.unpack_from("<8Q", data, at)):
            keyed = value ^ key(secret + 8 * i)
            lanes[i ^ 1] = (lanes[i ^ 1] + value) & M64
            lanes[i] = (lanes[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32)) & M64

    blocks = (n - 1) // 1024
    for block in range(blocks):
        for stripe in range(16):
            accumulate(1024 * block + 64 * stripe, 8 * stripe)
        for i in range(8):
            lanes[i] = ((lanes[i] ^ lanes[i] >> 47) ^ key(128 + 8 * i)) * P32_1 & M64
    for stripe in range((n - 1 - 1024 * blocks) // 64):
        accumulate(1024 * blocks + 64 * stripe, 8 * stripe)
    accumulate(n - 64, 192 - 64 - 7)
    acc = n * P64_1
    for i in range(4):
        acc += fold(lanes[2 * i] ^ key(11 + 16 * i), lanes[2 * i + 1] ^ key(19 + 16 * i))
    return avalanche(acc & M64)


def self_test():
    """The vectors of xxHash's own sanity check: lengths of its pseudo-random buffer, seed 0."""
    buffer, generator = bytearray(), P32_1
    for _ in range(2367):
        buffer.append(generator >> 56)
        generator = generator * 11400714785074694797 & M64
    for length, want in (
        (0, 0x2D06800538D394C2), (1, 0xC44BDFF4074EECDB), (6, 0x27B56A84CD2D7325),
        (12, 0xA713DAF0DFBB77E7), (24, 0xA3FE70BF9D3510EB), (48, 0x397DA259ECBA1F11),
        (80, 0xBCDEFBBB2C47C90A), (195, 0xCD94217EE362EC3A), (403, 0xCDEB804D65C6DEA4),
        (512, 0x617E49599013CB6B), (2048, 0xDD59E2C3A5F038E0), (2240, 0x6E73A90539CF2948),
        (2367, 0xCB37AEB9E5D361ED),
    ):
        got = xxh3_64(bytes(buffer[:length]))
        assert got == want, f"XXH3-64 of {length} bytes: {got:016X}, not {want:016X}"
    print("Ok")


# f32 arithmetic: a double holds every sum, product and quotient of two f32 well enough that rounding it again is exact.

F32 = struct.Struct("<f")
U32 = struct.Struct("<I")


def f32(x):
    return F32.unpack(F32.pack(x))[0]


def bits(x):
    return U32.unpack(F32.pack(x))[0]


def from_bits(u):
    return F32.unpack(U32.pack(u))[0]


def rounded(values):
    """Each value to f32."""
    return array("f", values)


def clamp(x, low, high):
    x = x if x > low else low
    return x if x < high else high


def divide_even(n, d):
    """n / d to the nearest integer, ties to even; d > 0."""
    quotient, rest = divmod(n, d)
    return quotient + (2 * rest > d or (2 * rest == d and quotient & 1))


C = [from_bits(u) for u in (
    0x3FB8AA3B, 0x3F318000, 0xB95E8083, 0x39506967, 0x3AB743CF, 0x3C088908, 0x3D2AA9C1, 0x3E2AAAAA, 0x3F000000)]


def exp(x):
    x = clamp(x, -87.0, 88.0)
    n = round(f32(x * C[0]))
    r = f32(f32(x - f32(n * C[1])) - f32(n * C[2]))
    p = C[3]
    for c in C[4:]:
        p = f32(f32(p * r) + c)
    e = f32(f32(f32(p * f32(r * r)) + r) + 1.0)
    return f32(e * 2.0**n)


def sigmoid(x):
    return f32(1.0 / f32(1.0 + exp(-clamp(x, -30.0, 30.0))))


L1, L2, L3, L4, HI, LO = (from_bits(u) for u in (
    0x3F2AAAAA, 0x3ECCCE13, 0x3E91E9EE, 0x3E789E26, 0x3F317180, 0x3717F7D1))


def series(f, k, c):
    """ln((1 + f) 2^k), where c corrects f."""
    s = f32(f / f32(2.0 + f))
    z = f32(s * s)
    w = f32(z * z)
    r = f32(f32(z * f32(L1 + f32(w * L3))) + f32(w * f32(L2 + f32(w * L4))))
    h = f32(f32(0.5 * f) * f)
    d = float(k)
    total = f32(f32(s * f32(h + r)) + f32(f32(d * LO) + c))
    return f32(f32(f32(total - h) + f) + f32(d * HI))


def log1p(x):
    if abs(x) < 2.0**-24:
        return x
    if (bits(x) < 0x3ED413D0 or x < 0) and bits(x) <= 0xBE95F619:
        k, c, f = 0, 0.0, x
    else:
        u = f32(1.0 + x)
        shifted = bits(u) + (0x3F800000 - 0x3F3504F3)
        k = (shifted >> 23) - 127
        if k >= 25:
            c = 0.0
        elif k >= 2:
            c = f32(f32(1.0 - f32(u - x)) / u)
        else:
            c = f32(f32(x - f32(u - 1.0)) / u)
        f = f32(from_bits((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0)
    return series(f, k, c)


def log(x):
    """ln x of a normal x."""
    shifted = bits(x) + (0x3F800000 - 0x3F3504F3)
    return series(f32(from_bits((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0), (shifted >> 23) - 127, 0.0)


# The file


class Refused(Exception):
    """The file is not a model; the message is the status name."""


def need(condition, status):
    if not condition:
        raise Refused(status)


class Reader:
    def __init__(self, file, start, end):
        self.file, self.at, self.end = file, start, end
        self.overlong, self.last = False, 0

    def take(self, n):
        need(self.at + n <= self.end, "BadRecord")
        self.at += n
        self.last = 0
        return self.file[self.at - n : self.at]

    def u8(self):
        last = self.last
        byte = self.take(1)[0]
        self.last = byte
        self.overlong |= last >= 128 and self.last == 0
        return self.last

    def bool(self):
        value = self.u8()
        need(value <= 1, "BadRecord")
        return value == 1

    def varint(self, width):
        value = 0
        for i in range((width + 6) // 7):
            byte = self.u8()
            value |= (byte & 127) << (7 * i)
            if byte < 128:
                need(value >> width == 0, "BadRecord")
                return value
        raise Refused("BadRecord")

    def u16(self):
        return self.varint(16)

    def u32(self):
        return self.varint(32)

    def f32(self):
        return F32.unpack(self.take(4))[0]

    def bytes(self):
        return self.take(self.u32())

    def str(self):
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("BadRecord") from None

    def option(self, read):
        return read() if self.bool() else None

    def list(self, read, most):
        count = self.u32()
        need(count <= most, "BadRecord")
        return [read() for _ in range(count)]

    def enum(self, *variants):
        """Variants are (name, (field, reader), ...)."""
        tag = self.u32()
        need(tag < len(variants), "BadRecord")
        name, *fields = variants[tag]
        return {"is": name, **{field: read() for field, read in fields}}

    def fields(self, *fields):
        return {field: read() for field, read in fields}

    def record(self, *fields):
        start, self.last = self.at, 0
        value = self.fields(*fields)
        need(self.at - start <= 256 and not self.overlong, "NotCanonical")
        return value

    def finish(self):
        need(self.at == self.end, "NotCanonical")


SIDES = ("user", "item", "candidate", "cross")


def read_spec(r):
    side = lambda: r.enum(*((s,) for s in SIDES))["is"]
    decay = lambda: r.enum(("none",), ("events", ("half", r.u32)), ("seconds", ("half", r.u32)))
    rate = (("decay", decay), ("prior", r.f32), ("strength", r.f32))
    label, key = ("label", r.u8), ("key", r.u8)
    operation = lambda: r.enum(("product",), ("difference",), ("ratio",))["is"]
    source = lambda: r.enum(
        ("column",),
        ("cross", ("left", r.u8), ("right", r.u8)),
        ("last_ids", label, key, ("len", r.u16)),
        ("count", label),
        ("rate", label, *rate),
        ("key_rate", label, key, ("buckets", r.u16), *rate),
        ("since", label),
        ("previous", label),
        ("combine", ("left", r.u8), ("right", r.u8), ("op", operation)),
        ("attention", ("of", r.u8), ("query", r.u8), ("dim", r.u16)),
    )
    transform = lambda: r.fields(
        ("low", r.f32), ("high", r.f32), ("log1p", r.bool), ("shift", r.f32), ("scale", r.f32))
    grid = lambda: r.fields(("inv_scale", r.f32), ("zero_point", r.u8))
    number_grid = lambda: r.fields(("inv_scale", r.f32), ("zero_point", r.u16), ("bytes", r.u8))
    pooling = lambda: r.enum(("mean",), ("sum",))["is"]
    encoding = lambda: r.enum(
        ("row", ("table", r.u8), ("default_row", r.u32)),
        ("rows", ("table", r.u8), ("max_len", r.u16), ("pooling", pooling), ("weighted", r.bool), ("divisor", r.u16)),
        ("number", ("transform", transform), ("default", r.f32), ("value", lambda: r.option(number_grid)),
         ("buckets", lambda: r.option(r.u8))),
        ("vector", ("dim", r.u16), ("grid", grid)),
    )
    id_type = lambda: r.enum(("int",), ("text",))["is"]
    lookup = lambda: r.enum(("buckets",), ("hash", ("id", id_type)), ("vocabulary", ("id", id_type)))
    layers = lambda most=4: r.list(r.u16, most)
    head = r.record(*[("name", r.str)] + [(k, r.u16) for k in ("features", "tables", "labels", "tasks", "terms")])

    def many(kind, most, *fields):
        out = []
        for _ in range(head[kind]):
            record = r.record(*fields)
            need(len(out) < most, "OverLimit")
            out.append(record)
        return out

    spec = {"name": head["name"]}
    spec["features"] = many("features", 128, ("name", r.str), ("side", side), ("source", source), ("encoding", encoding))
    spec["tables"] = many("tables", 64, ("name", r.str), ("rows", r.u32), ("dim", r.u16), ("bits", r.u8), ("lookup", lookup))
    spec["labels"] = many("labels", 32, ("name", r.str), ("log1p", r.bool))
    one_of = lambda *names: lambda: r.enum(*((name,) for name in names))["is"]
    kind = lambda: r.enum(
        ("mmoe",), ("shared_bottom",), ("shared_embedding",), ("single",), ("progressive", ("own", r.u8)))
    network = spec["network"] = r.record(
        ("kind", kind), ("experts", r.u8), ("layers", layers), ("gate", one_of("softmax", "attention")), ("gate_layers", layers))
    network["own"], network["kind"] = network["kind"].get("own"), network["kind"]["is"]
    fed = lambda: r.fields(("task", r.u8), ("value", one_of("logit", "probability")))
    calibration = lambda: r.enum(("none",), ("platt", ("scale", r.f32), ("offset", r.f32)), ("isotonic", ("knots", r.u8)))
    kind = lambda: r.enum(("binary",), ("duration",), ("odds",), ("steps", ("thresholds", r.u8), ("ordered", r.bool)),
                          ("quantile", ("feature", r.u8), ("knots", r.u8)))
    spec["tasks"] = many("tasks", 16, ("name", r.str), ("unit", r.str), ("kind", kind),
                         ("given", lambda: r.option(r.u8)), ("layers", layers), ("inputs", lambda: r.list(fed, 16)),
                         ("calibration", calibration), ("score_scale", r.f32))
    for t in spec["tasks"]:
        kind = t["kind"]
        t["kind"], t["ordered"], t["logits"] = kind["is"], kind.get("ordered", False), kind.get("thresholds", 1)
        t["group"], t["knots"] = kind.get("feature"), kind.get("knots")
    spec["terms"] = many("terms", 32, ("name", r.str), ("task", r.u8), ("entire", r.bool), ("weight", r.f32))
    r.finish()
    return spec


def inputs_of(spec, feature):
    """(bytes, table or None) of each of a feature's inputs."""
    e = feature["encoding"]
    table = lambda i: (spec["tables"][i]["dim"], i)
    if e["is"] in ("row", "rows"):
        return [table(e["table"])]
    if e["is"] == "vector":
        return [(e["dim"], None)]
    return ([(e["value"]["bytes"], None)] if e["value"] else []) + ([table(e["buckets"])] if e["buckets"] is not None else [])


def number_bytes(grid, steps):
    """The input bytes of a number's steps."""
    return bytes((steps + j) // grid["bytes"] for j in range(grid["bytes"]))


def within(count, most):
    need(1 <= count <= most, "OverLimit")


def holds(condition):
    need(condition, "Inconsistent")


def number(x, low, high):
    need(low <= x <= high and (x == 0 or abs(x) >= 2.0**-126), "BadNumber")


MAX = from_bits(0x7F7FFFFF)


def check_spec(spec):
    features, tables, tasks = spec["features"], spec["tables"], spec["tasks"]
    for kind in ("features", "tables", "labels", "tasks", "terms"):
        names = [record["name"] for record in spec[kind]]
        for i, name in enumerate(names):
            within(len(name.encode()), 64)
            holds(name not in names[i + 1 :])
    for text in [t["unit"] for t in tasks] + [spec["name"]]:
        need(len(text.encode()) <= 64, "OverLimit")
    for t in tables:
        within(t["rows"], 1 << 24)
        within(t["dim"], 256)
        holds(t["bits"] in (4, 8))
        holds(t["lookup"]["is"] != "hash" or t["rows"] >= 2)

    def part_feature(index):
        holds(index < len(features))
        f = features[index]
        e = f["encoding"]
        column = f["source"]["is"] == "column"
        holds((e["is"] == "row" and column) or (e["is"] == "number" and e["buckets"] is not None))
        return f

    def key_feature(index):
        f = part_feature(index)
        holds(f["source"]["is"] == "column")
        return f

    def plain_number(index):
        holds(index < len(features))
        f = features[index]
        holds(f["encoding"]["is"] == "number" and f["source"]["is"] != "combine")
        return f

    def joined(parts):
        a, b = sorted(SIDES.index(part["side"]) for part in parts)
        return SIDES[a if a == b else 2 if (a, b) == (1, 2) else 3]

    def check_rate(s):
        need(s["decay"].get("half", 1) >= 1, "BadNumber")
        number(s["prior"], -1e6, 1e6)
        number(s["strength"], f32(1e-6), 1e6)

    for i, f in enumerate(features):
        s, e, side = f["source"], f["encoding"], f["side"]
        if "label" in s:
            holds(s["label"] < len(spec["labels"]))
        if s["is"] == "cross":
            holds(s["left"] < i and s["right"] < i)
            holds(side in (joined(part_feature(s[k]) for k in ("left", "right")), "cross"))
            holds(e["is"] == "row")
        elif s["is"] == "combine":
            holds(s["left"] < i and s["right"] < i)
            holds(side in (joined(plain_number(s[k]) for k in ("left", "right")), "cross"))
            holds(e["is"] == "number")
        elif s["is"] == "last_ids":
            within(s["len"], 256)
            of = key_feature(s["key"])["encoding"]
            holds(of["is"] == "row")
            holds(side == "user")
            holds(e["is"] == "rows" and e["table"] == of["table"] and not e["weighted"])
        elif s["is"] == "key_rate":
            key_feature(s["key"])
            within(s["buckets"], 1024)
            check_rate(s)
            holds(e["is"] == "number" and side == "cross")
        elif s["is"] == "attention":
            within(s["dim"], 64)
            holds(s["of"] < len(features) and s["query"] < len(features))
            of, query = features[s["of"]], features[s["query"]]
            holds(e["is"] == "rows" and e["pooling"] == "mean" and not e["weighted"])
            like = ("is", "table", "max_len", "weighted")
            holds(of["side"] == "user" and all(of["encoding"].get(k) == e[k] for k in like))
            holds(query["encoding"]["is"] == "row" and query["encoding"]["table"] == e["table"])
            holds(query["source"]["is"] == "column" and query["side"] != "user" and side == "cross")
        elif s["is"] != "column":
            if s["is"] == "rate":
                check_rate(s)
            holds(e["is"] == "number" and side == "user")

        def table(index):
            holds(index < len(tables))
            return tables[index]

        if e["is"] == "row":
            t = table(e["table"])
            holds(t["lookup"]["is"] != "buckets" and e["default_row"] < t["rows"])
        elif e["is"] == "rows":
            within(e["max_len"], 256)
            t = table(e["table"])
            holds(t["lookup"]["is"] != "buckets" and e["divisor"] >= 1)
            holds(e["pooling"] == "sum" or e["divisor"] == 1)
        elif e["is"] == "number":
            t = e["transform"]
            number(t["low"], -MAX, MAX)
            number(t["high"], t["low"], MAX)
            number(t["shift"], -MAX, MAX)
            number(t["scale"], -f32(1e12), f32(1e12))
            need(not t["log1p"] or t["low"] > -1, "BadNumber")
            number(e["default"], -MAX, MAX)
            if e["value"]:
                number(e["value"]["inv_scale"], f32(1e-12), f32(1e12))
                need(1 <= e["value"]["bytes"] <= 8, "BadNumber")
                need(e["value"]["zero_point"] <= 127 * e["value"]["bytes"], "BadNumber")
            if e["buckets"] is not None:
                t = table(e["buckets"])
                holds(t["lookup"]["is"] == "buckets" and 2 <= t["rows"] <= 257)
            holds(e["value"] is not None or e["buckets"] is not None)
        else:
            number(e["grid"]["inv_scale"], f32(1e-12), f32(1e12))
            need(e["grid"]["zero_point"] <= 127, "BadNumber")
            within(e["dim"], 256)
            holds(s["is"] == "column")

    spec["attention"] = [i for i, f in enumerate(features) if f["source"]["is"] == "attention"]
    need(len(spec["attention"]) <= 8, "OverLimit")
    holds(not spec["attention"] or spec["network"]["kind"] != "single" or len(tasks) == 1)
    spec["inputs"] = [
        sum(n for f in features if f["side"] == side for n, _ in inputs_of(spec, f)) for side in SIDES]
    need(max(spec["inputs"]) <= 8192, "OverLimit")
    holds(sum(spec["inputs"]) > 0)
    network = spec["network"]
    within(network["experts"], 16)
    within(len(network["layers"]), 4)
    need(len(network["gate_layers"]) <= 2, "OverLimit")
    kind = network["kind"]
    holds(kind != "shared_bottom" or network["experts"] == 1)
    holds(kind not in ("shared_embedding", "single") or network["experts"] == len(tasks))
    if kind == "progressive":
        holds(1 <= network["own"] and network["own"] * len(tasks) < network["experts"] and network["gate"] == "softmax")
    holds(kind in ("mmoe", "progressive") or (network["gate"] == "softmax" and not network["gate_layers"]))
    for width in network["layers"] + network["gate_layers"] + [w for t in tasks for w in t["layers"]]:
        within(width, 1024)
    within(len(tasks), 16)
    for i, t in enumerate(tasks):
        number(t["score_scale"], f32(1e-6), 1e6)
        within(t["logits"], 32)
        holds(t["kind"] != "steps" or t["ordered"] or not t["inputs"] or t["layers"])
        if t["kind"] == "quantile":
            holds(2 <= t["knots"] <= 32 and t["group"] < len(features))
            group = features[t["group"]]
            holds(group["side"] in ("item", "candidate"))
            holds(group["encoding"]["is"] == "number" and group["encoding"]["buckets"] is not None)
        for fed in t["inputs"]:
            holds(fed["task"] < len(tasks) and fed["task"] != i)
            holds(tasks[fed["task"]]["kind"] != "steps")
            holds(fed["value"] == "logit" or tasks[fed["task"]]["kind"] == "binary")
        holds(len({fed["task"] for fed in t["inputs"]}) == len(t["inputs"]))
        calibration = t["calibration"]
        holds(calibration["is"] == "none" or t["kind"] == "binary")
        if calibration["is"] == "platt":
            number(calibration["scale"], f32(1e-3), 1e3)
            number(calibration["offset"], -1e3, 1e3)
        elif calibration["is"] == "isotonic":
            holds(2 <= calibration["knots"] <= 32)
        if t["given"] is not None:
            holds(t["given"] < i and tasks[t["given"]]["kind"] == "binary")
    feeders = [{fed["task"] for fed in t["inputs"]} for t in tasks]
    for _ in tasks:
        feeders = [of.union(*(feeders[other] for other in of)) for of in feeders]
    holds(all(i not in of for i, of in enumerate(feeders)))
    for term in spec["terms"]:
        holds(term["task"] < len(tasks))
        need(term["weight"] == 0 or f32(1e-12) <= abs(term["weight"]) <= 1e6, "BadNumber")
    need(sum(slot_bytes(f["source"]) for f in features) + 32 <= 1 << 16, "OverLimit")


def up(n, to):
    return -(-n // to) * to


U7, PANEL, I8, FLOAT, I32, BUCKET, U4 = 1, 2, 3, 4, 5, 6, 7


def read_tensor(r, dtype, rows, cols):
    """The elements: a list of rows, each bytes or a sequence of numbers. `rows` None is any."""
    head = r.record(("dtype", r.u8), ("rows", r.u32), ("cols", r.u32), ("pad", r.bytes))
    need(head["dtype"] == dtype and head["cols"] == cols and rows in (None, head["rows"]), "BadShape")
    rows, pad = head["rows"], head["pad"]
    length = r.record(("length", r.u32))["length"]
    size = {PANEL: up(rows, 16) * up(cols, 4), FLOAT: 4 * rows * cols, I32: 4 * rows * cols,
            U4: rows * (up(cols, 2) // 2)}.get(dtype, rows * cols)
    need(length == size, "BadShape")
    need(len(pad) < 64 and r.at % 64 == 0 and not any(pad), "BadPadding")
    need(r.at + length <= r.end, "BadShape")
    data = r.take(length)
    if dtype == PANEL:
        groups = up(cols, 4) // 4
        at = lambda o, i: ((o // 16) * groups + i // 4) * 64 + o % 16 * 4 + i % 4
        outside = [data[at(o, i)] for o in range(up(rows, 16)) for i in range(4 * groups) if o >= rows or i >= cols]
        need(not any(outside), "BadPadding")
        need(128 not in data, "ByteOutOfRange")
        signed = array("b", data)
        return [[signed[at(o, i)] for i in range(cols)] for o in range(rows)]
    if dtype == U4:
        # A row's values in order, each half of a byte: 0, 8, ..., 120.
        step = up(cols, 2) // 2
        halves = bytes(8 * half for byte in data for half in (byte % 16, byte // 16))
        rows = [halves[2 * step * i : 2 * step * (i + 1)] for i in range(rows)]
        need(not any(any(row[cols:]) for row in rows), "BadPadding")
        return [row[:cols] for row in rows]
    if dtype == I8:
        need(128 not in data, "ByteOutOfRange")
        signed = list(array("b", data))
        return [signed[o * cols : (o + 1) * cols] for o in range(rows)]
    if dtype == FLOAT:
        return [struct.unpack_from(f"<{cols}f", data, 4 * cols * i) for i in range(rows)]
    if dtype == I32:
        values = struct.unpack(f"<{cols}i", data)
        need(all(abs(v) <= 1 << 30 for v in values), "BadScale")
        return [values]
    need(dtype == BUCKET or max(data, default=0) <= 127, "ByteOutOfRange")
    return [data[i * cols : (i + 1) * cols] for i in range(rows)]


def part(key, n):
    return key * n >> 64


class Vocabulary:
    def __init__(self, buckets, keys):
        self.rows = {}
        n = len(buckets)
        for index, bucket in enumerate(buckets):
            *slots, base, count = struct.unpack("<7QII", bucket)
            need(base == len(self.rows) and count <= 7 and not any(slots[count:]), "BadVocabulary")
            need(all(a < b for a, b in zip(slots[:count], slots[1:count])), "BadVocabulary")
            for slot, key in enumerate(slots[:count]):
                second = rotate(key, 32) * 0x9E3779B97F4A7C15 & M64
                need(index in (part(key, n), part(second, n)) and key not in self.rows, "BadVocabulary")
                self.rows[key] = 1 + base + slot
        need(len(self.rows) == keys, "BadVocabulary")


def settle(x):
    return 0.0 if abs(x) < 2.0**-60 else x


ODDS = f32(1e-6)


def power(x, y):
    return float(y == 0.0) if x == 0.0 else exp(f32(y * log(x)))


def odds(x):
    p = clamp(x, ODDS, f32(1.0 - ODDS))
    return log(f32(p / f32(1.0 - p)))


# By opcode: values that it takes, and what it makes of them.
OPERATIONS = {
    16: (2, lambda x, y: f32(x + y)),
    17: (2, lambda x, y: f32(x - y)),
    18: (2, lambda x, y: f32(x * y)),
    19: (2, lambda x, y: f32(x / y)),
    20: (2, min),
    21: (2, max),
    22: (2, power),
    23: (2, lambda x, y: float(x < y)),
    24: (2, lambda x, y: float(x <= y)),
    25: (2, lambda x, y: float(x == y)),
    26: (2, lambda x, y: float(x != 0.0 and y != 0.0)),
    27: (2, lambda x, y: float(x != 0.0 or y != 0.0)),
    32: (1, lambda x: -x),
    33: (1, abs),
    34: (1, exp),
    35: (1, log),
    36: (1, log1p),
    37: (1, lambda x: f32(sqrt(x))),
    38: (1, sigmoid),
    39: (1, odds),
    40: (1, lambda x: float(x == 0.0)),
    48: (3, lambda x, y, z: y if x != 0.0 else z),
}


class Formula:
    """The terms of a fusion, over the candidates of a request."""

    def __init__(self, model, r):
        self.model = model
        head = r.record(("text", r.u16), ("inputs", r.u8), ("weights", r.u8), ("terms", r.u8), ("code", r.u16))
        self.text = r.take(head["text"]).decode("utf-8")
        form = lambda: r.enum(*(((name,)) for name in ("raw", "calibrated", "rank", "quantile")))["is"]
        named = (
            ("score", ("task", r.str), ("entire", r.bool), ("form", form)),
            ("feature", ("feature", r.str)),
        )
        self.inputs = [r.record(("input", lambda: r.enum(*named)))["input"] for _ in range(head["inputs"])]
        weight = (("name", r.str), ("value", r.f32), ("least", r.f32), ("most", r.f32))
        self.weights = [r.record(*weight)["value"] for _ in range(head["weights"])]
        self.terms = [r.record(("start", r.u16), ("end", r.u16)) for _ in range(head["terms"])]
        self.code = r.take(head["code"])
        r.finish()

    def columns(self, request, raws, scores):
        """Every input of every candidate that was scored."""
        spec = self.model.spec
        names = {kind: [x["name"] for x in spec[kind]] for kind in ("tasks", "features")}
        for given in self.inputs:
            if given["is"] == "feature":
                i = names["features"].index(given["feature"])
                values = [request.raw_number(i, candidate) for candidate in range(len(scores))]
                default = spec["features"][i]["encoding"]["default"]
                values = [clamp(default if x is None else x, -(2.0**45), 2.0**45) for x in values]
                yield [settle(x) for x in values]
                continue
            task = names["tasks"].index(given["task"])
            entire = given["entire"] and spec["tasks"][task]["given"] is not None
            rows = raws if given["form"] == "raw" else scores
            values = [settle(per_impression(spec, row, task) if entire else row[task]) for row in rows]
            if given["form"] == "rank":
                below = [sum(y < x for y in values) + sum(y <= x for y in values) for x in values]
                values = [f32(n / (2 * len(values))) for n in below]
            if given["form"] == "quantile":
                values = [interpolate(self.model.quantiles[task, entire], x) for x in values]
            yield [settle(x) for x in values]

    def fuse(self, row, weights):
        stack, terms, at = [], [], 0
        while at < len(self.code):
            byte = self.code[at]
            at += 1
            if byte == 0:
                terms.append(stack.pop())
            elif byte == 1:
                stack.append(settle(F32.unpack_from(self.code, at)[0]))
                at += 4
            elif byte in (2, 3):
                stack.append(settle((row if byte == 2 else weights)[self.code[at]]))
                at += 1
            else:
                arity, operation = OPERATIONS[byte]
                operands, stack = stack[-arity:], stack[:-arity]
                stack.append(settle(operation(*operands)))
        total = terms[0]
        for value in terms[1:]:
            total = settle(f32(total + value))
        return total


class Model:
    def __init__(self, file):
        need(len(file) >= 8, "Truncated")
        need(file[:8] == b"\x89PKRANK\n", "BadMagic")
        need(len(file) >= 64, "Truncated")
        need(le(file, 16, 4) == 2, "UnsupportedVersion")
        length = le(file, 20, 4)
        need(64 <= length < 1 << 31, "BadLength")
        need(length <= len(file), "Truncated")
        need(length == len(file), "BadLength")
        need(xxh3_64(file[16:]) == le(file, 8, 8), "BadDigest")
        need(le(file, 60, 4) == 0, "BadReserved")
        count = le(file, 56, 4)
        need(count <= 32, "OverLimit")
        end, sections = 64 + 16 * count, {}
        for i in range(count):
            need(64 + 16 * i + 16 <= length, "Truncated")
            kind, version, flags, offset, size = struct.unpack_from("<HHIII", file, 64 + 16 * i)
            need(offset == up(end, 64) <= length and not any(file[end:offset]) and flags <= 1, "BadDirectory")
            end = offset + size
            need(end <= length, "BadDirectory")
            if kind in (1, 2, 3, 4, 16, 17, 23) and version == 1:
                need(kind not in sections, "BadDirectory")
                sections[kind] = (offset, end)
            else:
                need(flags == 0, "UnknownSection")
        need(end == length, "BadLength")
        need(all(kind in sections for kind in (1, 2, 3, 4)), "MissingSection")
        self.sha256_holds = hashlib.sha256(file[16:24] + file[56:]).digest() == file[24:56]
        self.spec = read_spec(Reader(file, *sections[1]))
        check_spec(self.spec)
        self.read_lookups(Reader(file, *sections[2]))
        self.read_embeddings(Reader(file, *sections[3]))
        self.read_layers(Reader(file, *sections[4]))
        need(23 in sections or not self.spec["attention"], "MissingSection")
        need(23 not in sections or self.spec["attention"], "Inconsistent")
        self.projections = {}
        if 23 in sections:
            self.read_projections(Reader(file, *sections[23]))
        self.quantiles, self.formula = {}, None
        if 17 in sections:
            self.read_quantiles(Reader(file, *sections[17]))
        if 16 in sections:
            self.formula = Formula(self, Reader(file, *sections[16]))
            need(not self.spec["terms"], "Inconsistent")

    def read_projections(self, r):
        """Of the query and of the keys: weights, scales and zero biases, by feature."""
        for i in self.spec["attention"]:
            f = self.spec["features"][i]
            dim, width = f["source"]["dim"], self.spec["tables"][f["encoding"]["table"]]["dim"]
            self.projections[i] = [
                (read_tensor(r, PANEL, dim, width), self.scales(r, up(dim, 16)), read_tensor(r, I32, 1, up(dim, 16))[0])
                for _ in ("query", "key")]
        r.finish()

    def read_quantiles(self, r):
        for _ in range(r.record(("count", r.u16))["count"]):
            head = r.record(("task", r.u8), ("entire", r.bool), ("knots", r.u16))
            knots = struct.unpack(f"<{2 * head['knots']}f", r.take(8 * head["knots"]))
            self.quantiles[head["task"], head["entire"]] = list(zip(knots[: head["knots"]], knots[head["knots"] :]))
        r.finish()

    def read_lookups(self, r):
        tables, features = self.spec["tables"], self.spec["features"]
        self.vocabularies = [
            Vocabulary(read_tensor(r, BUCKET, None, 64), t["rows"] - 1) if t["lookup"]["is"] == "vocabulary" else None
            for t in tables]
        self.boundaries = [None] * len(features)
        for i, f in enumerate(features):
            e = f["encoding"]
            if e["is"] == "number" and e["buckets"] is not None:
                bounds = read_tensor(r, FLOAT, 1, tables[e["buckets"]]["rows"] - 2)[0]
                usual = all(b == 0 or 2.0**-126 <= abs(b) <= MAX for b in bounds)
                need(usual and all(a < b for a, b in zip(bounds, bounds[1:])), "BadScale")
                self.boundaries[i] = bounds
        r.finish()

    @staticmethod
    def scales(r, n):
        values = read_tensor(r, FLOAT, 1, n)[0]
        need(all(v == 0 or 2.0**-40 <= v <= 1024 for v in values), "BadScale")
        return values

    @staticmethod
    def biases(r, n):
        values = read_tensor(r, FLOAT, 1, n)[0]
        need(all(v == 0 or 2.0**-126 <= abs(v) <= 1 << 20 for v in values), "BadScale")
        return values

    @staticmethod
    def worths(r, n, groups=1):
        rows = read_tensor(r, FLOAT, groups, n)
        need(all(v == 0 or 2.0**-40 <= v <= 1 << 30 for row in rows for v in row), "BadScale")
        return rows

    def group_quantiles(self, r, t):
        """Quantiles at equal distances by group."""
        encoding = self.spec["features"][t["group"]]["encoding"]
        rows = self.worths(r, t["knots"], self.spec["tables"][encoding["buckets"]]["rows"])
        need(all(a <= b for row in rows for a, b in zip(row, row[1:])), "BadScale")
        return rows

    @staticmethod
    def fed_weights(r, n, width):
        rows = read_tensor(r, FLOAT, n, width)
        need(all(v == 0 or 2.0**-40 <= abs(v) <= 1 << 20 for row in rows for v in row), "BadScale")
        return rows

    @staticmethod
    def knots(r, n):
        logits, probabilities = rows = read_tensor(r, FLOAT, 2, n)
        usual = all(v == 0 or abs(v) >= 2.0**-126 for row in rows for v in row)
        inside = all(-100 <= x <= 100 for x in logits) and all(2.0**-40 <= y <= 1 for y in probabilities)
        rise = all(b >= f32(a + 2.0**-20) for a, b in zip(logits, logits[1:]) if inside)
        need(usual and inside and rise and all(a <= b for a, b in zip(probabilities, probabilities[1:])), "BadScale")
        return list(zip(logits, probabilities))

    def read_embeddings(self, r):
        """Zero points and rows by table and group."""
        self.groups = len(self.spec["tasks"]) if self.spec["network"]["kind"] == "single" else 1
        self.zero_points, self.rows = [], []
        for t in self.spec["tables"]:
            dim = t["dim"]
            cut = lambda values: [values[g * dim : (g + 1) * dim] for g in range(self.groups)]
            self.scales(r, self.groups * dim)
            self.zero_points.append(cut(read_tensor(r, U7, 1, self.groups * dim)[0]))
            dtype = U4 if t["bits"] == 4 else U7
            rows = read_tensor(r, dtype, t["rows"] * self.groups, dim)
            self.rows.append([rows[i : i + self.groups] for i in range(0, len(rows), self.groups)])
        r.finish()

    def read_layers(self, r):
        """First layers by group and side; later layers by expert or task."""
        spec = self.spec
        network, tasks = spec["network"], spec["tasks"]
        experts, widths = network["experts"], network["layers"]
        gate = network["gate_layers"] + [experts if network["gate"] == "softmax" else widths[-1]]
        gates = {"mmoe": len(tasks), "progressive": len(tasks) + 1}.get(network["kind"], 0)
        outputs = (1 if network["kind"] == "single" else experts) * widths[0] + gates * gate[0]
        self.first, self.first_bias = [], []
        for _ in range(self.groups):
            self.first.append([None if inputs == 0 else (
                read_tensor(r, PANEL, outputs, inputs), self.scales(r, up(outputs, 16)),
                read_tensor(r, I32, 1, up(outputs, 16))[0]) for inputs in spec["inputs"]])
            self.first_bias.append(self.biases(r, up(outputs, 16))[:outputs])
        dense = lambda out, inputs: (
            read_tensor(r, PANEL, out, inputs), self.scales(r, up(out, 16)), self.biases(r, up(out, 16)))
        stack = lambda widths: [dense(out, inputs) for inputs, out in zip(widths, widths[1:])]
        self.experts = [stack(widths) for _ in range(experts)]
        self.gates = [stack(gate) for _ in range(gates)]
        if network["kind"] == "progressive":
            self.upper_experts = [stack(widths[-1:] + widths) for _ in range(experts)]
            self.upper_gates = [stack(widths[-1:] + gate) for _ in tasks]
        self.towers = [stack([widths[-1]] + t["layers"]) for t in tasks]
        self.heads = []
        for t in tasks:
            rows = 1 if t["ordered"] else t["logits"]
            weight = read_tensor(r, I8, rows, ([widths[-1]] + t["layers"])[-1])
            scales = self.scales(r, rows)
            # Logits in order have one sum.
            again = t["logits"] // rows
            self.heads.append((weight * again, scales * again, self.biases(r, t["logits"])))
        self.fed, self.curves, self.steps = [], [], []
        for t in tasks:
            width = up(t["layers"][0], 16) if t["layers"] else 1
            self.fed.append(self.fed_weights(r, len(t["inputs"]), width) if t["inputs"] else [])
            isotonic = t["calibration"]["is"] == "isotonic"
            self.curves.append(self.knots(r, t["calibration"]["knots"]) if isotonic else None)
            steps = None
            if t["kind"] == "steps":
                (steps,) = self.worths(r, t["logits"])
            if t["kind"] == "quantile":
                steps = self.group_quantiles(r, t)
            self.steps.append(steps)
        r.finish()

    def folded(self):
        """Whether every zero bias is what the weights and zero points make it."""
        for group, layers in enumerate(self.first):
            for side, layer in zip(SIDES, layers):
                zeros = []
                for f in self.spec["features"]:
                    if f["side"] != side:
                        continue
                    e = f["encoding"]
                    for n, table in inputs_of(self.spec, f):
                        if table is not None:
                            zeros += list(self.zero_points[table][group])
                        elif e["is"] == "vector":
                            zeros += [e["grid"]["zero_point"]] * n
                        else:
                            zeros += number_bytes(e["value"], e["value"]["zero_point"])
                if layer and any(b != -sum(map(mul, w, zeros)) for w, b in zip(layer[0], layer[2])):
                    return False
        for i, layers in self.projections.items():
            zeros = self.zero_points[self.spec["features"][i]["encoding"]["table"]][0]
            for layer in layers:
                if any(b != -sum(map(mul, w, zeros)) for w, b in zip(layer[0], layer[2])):
                    return False
        return True


# User state


def hash_int(i):
    return xxh3_64(i.to_bytes(8, "little"))


def cross(a, b):
    return xxh3_64(struct.pack("<QQ", a, b))


def rate_bytes(decay):
    return 24 if decay["is"] == "seconds" else 16


def slot_bytes(s):
    kind = s["is"]
    if kind == "last_ids":
        return 8 + 8 * s["len"]
    if kind == "rate":
        return rate_bytes(s["decay"])
    if kind == "key_rate":
        return s["buckets"] * rate_bytes(s["decay"])
    return {"count": 4, "since": 12, "previous": 8}.get(kind, 0)


Q63 = 1 << 63
LN2 = 0x58B90BFBE8E7BCD5


def taylor(y, terms):
    e = Q63
    for k in range(terms, 0, -1):
        e = Q63 - (y * e >> 63) // k
    return e


SIXTEENTHS = [Q63] + [taylor((LN2 >> 4) * i, 24) for i in range(1, 16)]


def decayed(x, n, d):
    whole, rest = divmod(n, d)
    fraction = (rest << 63) // d
    left = taylor((fraction & ((1 << 59) - 1)) * LN2 >> 63, 8)
    factor = SIXTEENTHS[fraction >> 59] * left >> 63
    return (x * factor >> 63) >> min(whole, 64)


def elapsed(earlier, later):
    return min(max(later - earlier, 0), (1 << 63) - 1)


class State:
    """Slots as Python values; `bytes()` is the state as stored."""

    def __init__(self, spec):
        self.spec, self.last_time, self.slots = spec, -(1 << 63), {}
        for i, f in enumerate(spec["features"]):
            s = f["source"]
            if "label" in s:
                self.slots[i] = bytearray(slot_bytes(s))

    def bytes(self):
        if not self.slots:
            return b""
        head = b"PKRS" + struct.pack("<HHQq", 1, 0, self.layout(), self.last_time)
        slots = b"".join(self.slots.values())
        return head + struct.pack("<Q", cross(xxh3_64(head), xxh3_64(slots))) + slots

    def load(self, data):
        """Takes over bytes that hold a state of this layout."""
        if not self.slots:
            return
        self.last_time = struct.unpack_from("<q", data, 16)[0]
        at = 32
        for slot in self.slots.values():
            slot[:] = data[at : at + len(slot)]
            at += len(slot)
        assert self.bytes() == data[:at], "the state is of another layout, or corrupt"

    def layout(self):
        spec = self.spec
        d = hash_int(1)
        for i in self.slots:
            s = spec["features"][i]["source"]
            label = spec["labels"][s["label"]]
            kind = ("last_ids", "count", "rate", "key_rate", "since", "previous").index(s["is"]) + 1
            key, id_type, decay, half = 0, 0, 0, 0
            if "key" in s:
                feature = spec["features"][s["key"]]
                key = xxh3_64(feature["name"].encode())
                e, id_type = feature["encoding"], 3
                if e["is"] == "row":
                    id_type = ("int", "text").index(spec["tables"][e["table"]]["lookup"]["id"]) + 1
            if "decay" in s:
                decay = ("none", "events", "seconds").index(s["decay"]["is"]) + 1
                half = s["decay"].get("half", 0)
            length = s.get("len", s.get("buckets", 0))
            d = cross(d, kind | label["log1p"] << 8 | id_type << 16 | decay << 24 | length << 32)
            d = cross(d, half)
            d = cross(d, xxh3_64(label["name"].encode()))
            d = cross(d, key)
        return d

    def apply(self, event):
        self.last_time = max(self.last_time, event["time"])
        label = self.spec["labels"][event["label"]]
        value = from_bits(event["value"])
        positive = value >= 2.0**-126
        value = value if positive else 0.0
        value = log1p(value) if label["log1p"] and value < MAX * 2 else value
        value = min(value, 65535.0)
        for i, slot in self.slots.items():
            s = self.spec["features"][i]["source"]
            if s["label"] != event["label"]:
                continue
            keys = [key for feature, key in event["keys"] if feature == s.get("key")]
            kind = s["is"]
            if kind == "last_ids":
                if positive and keys:
                    kept, after = struct.unpack_from("<II", slot)
                    struct.pack_into("<Q", slot, 8 + 8 * after, keys[0])
                    struct.pack_into("<II", slot, 0, min(kept + 1, s["len"]), (after + 1) % s["len"])
            elif kind == "count":
                count = struct.unpack("<I", slot)[0]
                struct.pack_into("<I", slot, 0, min(count + positive, 0xFFFFFFFF))
            elif kind == "rate":
                self.update_rate(slot, 0, s["decay"], value, event["time"])
            elif kind == "key_rate":
                if keys:
                    at = part(keys[0], s["buckets"]) * rate_bytes(s["decay"])
                    self.update_rate(slot, at, s["decay"], value, event["time"])
            elif kind == "since":
                if positive:
                    seen, time = struct.unpack("<Iq", slot)
                    struct.pack_into("<Iq", slot, 0, 1, max(time, event["time"]) if seen else event["time"])
            else:
                struct.pack_into("<If", slot, 0, 1, value)

    @staticmethod
    def update_rate(slot, at, decay, value, time):
        total, weight = struct.unpack_from("<QQ", slot, at)
        if decay["is"] == "events":
            total, weight = (decayed(x, 256, decay["half"]) for x in (total, weight))
        elif decay["is"] == "seconds":
            last = struct.unpack_from("<q", slot, at + 16)[0]
            first = weight == 0
            time = max(time, last) if not first else time
            struct.pack_into("<q", slot, at + 16, time)
            n = 0 if first else elapsed(last, time)
            total, weight = (decayed(x, n, decay["half"]) for x in (total, weight))
        fixed = int(value * 2.0**32 + 0.5)
        struct.pack_into("<QQ", slot, at, min(total + fixed, M64), min(weight + (1 << 32), M64))

    @staticmethod
    def read_rate(slot, at, s, now):
        total, weight = struct.unpack_from("<QQ", slot, at)
        if s["decay"]["is"] == "seconds":
            n = elapsed(struct.unpack_from("<q", slot, at + 16)[0], now)
            total, weight = (decayed(x, n, s["decay"]["half"]) for x in (total, weight))
        strength = s["strength"] * 2.0**32
        return f32((float(total) + s["prior"] * strength) / (float(weight) + strength))

    def number(self, i, now, key):
        s, slot = self.spec["features"][i]["source"], self.slots[i]
        kind = s["is"]
        if kind == "count":
            return f32(struct.unpack("<I", slot)[0])
        if kind == "rate":
            return self.read_rate(slot, 0, s, now)
        if kind == "key_rate":
            if key is None:
                return None
            return self.read_rate(slot, part(key, s["buckets"]) * rate_bytes(s["decay"]), s, now)
        seen, value = struct.unpack("<Iq" if kind == "since" else "<If", slot)
        if not seen:
            return None
        return f32(elapsed(value, now)) if kind == "since" else value

    def last_ids(self, i):
        slot, length = self.slots[i], self.spec["features"][i]["source"]["len"]
        kept, after = struct.unpack_from("<II", slot)
        return [struct.unpack_from("<Q", slot, 8 + 8 * ((after - age) % length))[0] for age in range(1, kept + 1)]


# From request to scores

MISSING_ID, MISSING_ROW = M64, 0xFFFFFFFF


class Request:
    def __init__(self, model, request):
        self.model, self.spec, self.request = model, model.spec, request
        self.state = State(model.spec)
        if request["events"]:
            for event in request["events"]:
                self.state.apply(event)
            if request["state"] is not None:
                assert self.state.bytes().hex() == request["state"], "events lead to another state"
        elif request["state"] is not None:
            self.state.load(bytes.fromhex(request["state"]))

    def column(self, i):
        columns = self.request["columns"]
        return columns[i] if i < len(columns) else None

    def id_key(self, i, at):
        """Key of id number `at` of a column; None is missing."""
        column = self.column(i)
        if not column:
            return None
        if "text" in column:
            text = bytes.fromhex(column["text"][at])
            return xxh3_64(text) if text else None
        if "ids" in column:
            value = column["ids"][at]
            if value == MISSING_ID:
                return None
            table = self.spec["tables"][self.spec["features"][i]["encoding"]["table"]]
            return hash_int(value) if table["lookup"]["id"] == "int" else value
        return None

    def key_of(self, i, candidate):
        """Key by which feature i keys crosses and rates."""
        f = self.spec["features"][i]
        if f["encoding"]["is"] == "row":
            return self.id_key(i, 0 if f["side"] == "user" else candidate)
        return hash_int(self.bucket(i, self.raw_number(i, candidate)))

    def raw_number(self, i, candidate):
        """Raw value of number i; None if it is missing."""
        f = self.spec["features"][i]
        s, at = f["source"], 0 if f["side"] == "user" else candidate
        if s["is"] == "column":
            return self.column_number(i, at)
        if s["is"] != "combine":
            key = self.key_of(s["key"], candidate) if s["is"] == "key_rate" else None
            return self.state.number(i, self.request["time"], key)
        left, right = (self.raw_number(s[k], candidate) for k in ("left", "right"))
        return None if left is None or right is None else combined(s["op"], left, right)

    def row_of(self, table, key, default):
        t = self.spec["tables"][table]
        if key is None:
            return default
        if t["lookup"]["is"] == "hash":
            return 1 + part(key, t["rows"] - 1)
        return self.model.vocabularies[table].rows.get(key, 0)

    def column_row(self, i, at, default):
        """Row of id number `at` of a column."""
        column, table = self.column(i), self.spec["features"][i]["encoding"]["table"]
        if column and "rows" in column:
            row = column["rows"][at]
            return default if row == MISSING_ROW else row if row < self.spec["tables"][table]["rows"] else 0
        return self.row_of(table, self.id_key(i, at), default)

    def column_number(self, i, at):
        column = self.column(i)
        if not column:
            return None
        x = from_bits(column["floats"][at])
        return None if x != x else x

    @staticmethod
    def clip(t, x):
        return clamp(x if abs(x) >= 2.0**-126 else 0.0, t["low"], t["high"])

    def bucket(self, i, x):
        if x is None:
            return 0
        x = self.clip(self.spec["features"][i]["encoding"]["transform"], x)
        return 1 + sum(b <= x for b in self.model.boundaries[i])

    def feature_bytes(self, i, group, candidate):
        f = self.spec["features"][i]
        s, e, model = f["source"], f["encoding"], self.model
        at = 0 if f["side"] == "user" else candidate
        if e["is"] == "row":
            if s["is"] == "cross":
                left, right = self.key_of(s["left"], candidate), self.key_of(s["right"], candidate)
                key = None if left is None or right is None else cross(left, right)
                row = self.row_of(e["table"], key, e["default_row"])
            else:
                row = self.column_row(i, at, e["default_row"])
            return model.rows[e["table"]][row][group]
        if s["is"] == "attention":
            return self.attended(i, candidate)
        if e["is"] == "rows":
            return self.pooled(i, group, e, s, at)
        if e["is"] == "vector":
            column = self.column(i)
            if not column:
                return bytes([e["grid"]["zero_point"]]) * e["dim"]
            return bytes.fromhex(column["bytes"])[at * e["dim"] : (at + 1) * e["dim"]]
        raw = self.raw_number(i, candidate)
        out = b""
        if e["value"]:
            t, grid = e["transform"], e["value"]
            x = self.clip(t, e["default"] if raw is None else raw)
            x = log1p(x) if t["log1p"] else x
            x = product(difference(x, t["shift"]), t["scale"])
            steps = round(clamp(product(x, grid["inv_scale"]), -1024.0, 1024.0)) + grid["zero_point"]
            out += number_bytes(grid, min(max(steps, 0), 127 * grid["bytes"]))
        if e["buckets"] is not None:
            out += model.rows[e["buckets"]][self.bucket(i, raw)][group]
        return out

    def attended(self, i, candidate):
        f, model = self.spec["features"][i], self.model
        s, table = f["source"], f["encoding"]["table"]
        of = self.spec["features"][s["of"]]
        rows, _ = self.list_of(s["of"], of["encoding"], of["source"], 0)
        if not rows:
            return bytes(model.zero_points[table][0])
        default = self.spec["features"][s["query"]]["encoding"]["default_row"]
        query, key = model.projections[i]

        def projected(layer, row, most):
            x = model.rows[table][row][0]
            values = [f32(f32(sum(map(mul, w, x)) + zero) * scale) for w, scale, zero in zip(*layer)]
            top = max(map(abs, values))
            if top < LEAST:
                return [0] * len(values), 0.0
            inverse = f32(most / top)
            return [round(f32(v * inverse)) for v in values], f32(top / most)

        q, q_scale = projected(query, self.column_row(s["query"], candidate, default), 63.0)
        logits = []
        for row in rows:
            k, k_scale = projected(key, row, 127.0)
            logits.append(f32(f32(sum(map(mul, q, k))) * f32(k_scale * q_scale)))
        weights = softmax(logits)
        columns = zip(*(model.rows[table][row][0] for row in rows))
        return bytes(divide_even(sum(map(mul, weights, column)), 32768) for column in columns)

    def pooled(self, i, group, e, s, at):
        table = e["table"]
        rows, weights = self.list_of(i, e, s, at)
        total = sum(weights)
        out = []
        for j, z in enumerate(self.model.zero_points[table][group]):
            q = [self.model.rows[table][row][group][j] for row in rows]
            if e["pooling"] == "mean":
                out.append(divide_even(sum(map(mul, weights, q)), total) if total else z)
            else:
                moved = divide_even(sum(w * (b - z) for w, b in zip(weights, q)), e["divisor"] * 32768)
                out.append(min(max(z + moved, 0), 127))
        return bytes(out)

    def list_of(self, i, e, s, at):
        """Rows of a list and their weights."""
        weights = None
        if s["is"] == "last_ids":
            rows = [self.row_of(e["table"], key, 0) for key in self.state.last_ids(i)]
        else:
            column = self.column(i)
            if not column:
                rows = []
            else:
                count = len(column.get("ids") or column.get("rows") or column.get("text") or [])
                start, end = 0, count
                if column.get("offsets"):
                    start, end = column["offsets"][at : at + 2]
                end = min(end, start + e["max_len"])
                rows = [self.column_row(i, k, 0) for k in range(start, end)]
                if column.get("weights"):
                    given = map(from_bits, column["weights"][start:end])
                    weights = [round(f32(clamp(w, 0.0, 1.0) * 32768.0)) for w in given]
        rows = rows[: e["max_len"]]
        return rows, weights or [32768] * len(rows)

    def side_bytes(self, group, side, candidate):
        features = enumerate(self.spec["features"])
        return b"".join(self.feature_bytes(i, group, candidate) for i, f in features if f["side"] == side)


COUNTED = {"missing": 506, "not_finite": 507, "unknown_ids": 508}


def tally(request, scored):
    """The counters of a request, and what strict answers: None or the first [status, feature, candidate]."""
    spec, counters, refused = request.spec, dict.fromkeys([*COUNTED, "cut_lists"], 0), []

    def count(name, *where):
        counters[name] += 1
        if name in COUNTED:
            refused.append([COUNTED[name], *where])

    def look_up(column, k, *where):
        e = spec["features"][where[0]]["encoding"]
        table = spec["tables"][e["table"]]
        if "rows" in column:
            row = column["rows"][k]
            if row == MISSING_ROW:
                count("missing", *where)
            elif row >= table["rows"]:
                count("unknown_ids", *where)
        elif (key := request.id_key(where[0], k)) is None:
            count("missing", *where)
        elif table["lookup"]["is"] == "vocabulary" and key not in request.model.vocabularies[e["table"]].rows:
            count("unknown_ids", *where)

    def feature(i, candidate):
        e, column = spec["features"][i]["encoding"], request.column(i)
        if not column:
            count("missing", i, candidate)
        elif e["is"] == "number":
            x = from_bits(column["floats"][candidate])
            if x != x:
                count("missing", i, candidate)
            elif abs(x) == float("inf"):
                count("not_finite", i, candidate)
        elif e["is"] == "row":
            look_up(column, candidate, i, candidate)
        elif e["is"] == "rows":
            start, end = 0, len(next(column[form] for form in ("ids", "rows", "text") if form in column))
            if column.get("offsets"):
                start, end = column["offsets"][candidate : candidate + 2]
            if end - start > e["max_len"]:
                count("cut_lists")
            for k in range(start, min(end, start + e["max_len"])):
                look_up(column, k, i, candidate)

    for candidate, sides in [(0, SIDES[:1])] + [(c, SIDES[1:]) for c in range(scored)]:
        for side in sides:
            for i, f in enumerate(spec["features"]):
                if f["side"] == side and f["source"]["is"] == "column":
                    feature(i, candidate)
    return list(counters.values()), refused[0] if refused else None


def combined(op, left, right):
    """One number of two, None without one; a subnormal one counts as 0, a result below 2^-100 is 0."""
    left, right = (x if abs(x) >= 2.0**-126 else 0.0 for x in (left, right))
    if op == "ratio":
        if right == 0:
            return None
        x = overflowing(left / right)
    else:
        x = product(left, right) if op == "product" else difference(left, right)
    return None if x != x else 0.0 if abs(x) < 2.0**-100 else x


def difference(a, b):
    """a - b in f32, which may overflow."""
    return overflowing(a - b)


def product(a, b):
    return overflowing(a * b)


def overflowing(x):
    try:
        return f32(x)
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


LEAST = 2.0**-40
MOST = 2.0**40


def relu(x):
    return clamp(x, 0.0, MOST)


def quantize(row):
    most = max(row)
    if most < LEAST:
        return [0] * len(row), 0.0
    inv = f32(127.0 / most)
    return list(map(round, rounded([x * inv for x in row]))), f32(most / 127.0)


def score(model, request, candidate):
    """Scores of a candidate, its input bytes per group and side, the i32 sums of every layer, and scores before calibration."""
    spec = model.spec
    network, tasks = spec["network"], spec["tasks"]
    inputs, sums = {}, {}

    def first(group):
        total = rounded(model.first_bias[group])
        for side, layer in zip(SIDES, model.first[group]):
            name = f"{group} {side}"
            inputs[name] = request.side_bytes(group, side, candidate)
            if layer:
                weight, scale, zero = layer
                acc = [z + sum(map(mul, w, inputs[name])) for w, z in zip(weight, zero)]
                sums["first " + name] = acc
                terms = rounded(map(mul, rounded(acc), scale))
                total = rounded(map(float.__add__, total, terms))
        return total

    def dense(name, layer, activations):
        weight, scale, bias = layer
        q, t = quantize(activations)
        acc = [sum(map(mul, w, q)) for w in weight]
        sums[name] = acc
        scaled = rounded(map(mul, rounded(acc), rounded([s * t for s in scale])))
        return rounded(map(float.__add__, scaled, bias))

    first_layers = [first(group) for group in range(model.groups)]
    width, experts, outputs = network["layers"][0], network["experts"], []
    for e in range(experts):
        a = first_layers[e][:width] if network["kind"] == "single" else first_layers[0][e * width : (e + 1) * width]
        a = [relu(x) for x in a]
        for l, layer in enumerate(model.experts[e]):
            a = [relu(x) for x in dense(f"expert {e} {l + 1}", layer, a)]
        outputs.append(a)

    def mixture(t):
        if network["kind"] not in ("mmoe", "progressive"):
            return outputs[0 if network["kind"] == "shared_bottom" else t]
        size = (network["gate_layers"] + [experts if network["gate"] == "softmax" else len(outputs[0])])[0]
        start = experts * width + t * size
        u = first_layers[0][start : start + size]
        for l, layer in enumerate(model.gates[t]):
            u = dense(f"gate {t} {l + 1}", layer, [relu(x) for x in u])
        logits = u if network["gate"] == "softmax" else [dot_product(u, output) for output in outputs]
        return mix(logits, outputs)

    def mix(logits, outputs):
        mixed = [0.0] * len(outputs[0])
        for gate, output in zip(softmax(logits), outputs):
            share = gate / 32768.0
            mixed = rounded(map(float.__add__, mixed, rounded([share * x for x in output])))
        return list(mixed)

    def upper_mixture(t):
        """Of the second level's experts, by a gate on the task's mixture of the first."""
        u = lower[t]
        for l, layer in enumerate(model.upper_gates[t]):
            a = [relu(x) for x in u]
            u = dense(f"upper gate {t} {l}", layer, a)
        return mix(u, upper_outputs)

    if network["kind"] == "progressive":
        lower, upper_outputs = [mixture(t) for t in range(len(tasks) + 1)], []
        shared = experts - network["own"] * len(tasks)
        for e in range(experts):
            a = lower[len(tasks) if e < shared else (e - shared) // network["own"]]
            for l, layer in enumerate(model.upper_experts[e]):
                a = [relu(x) for x in dense(f"upper expert {e} {l}", layer, a)]
            upper_outputs.append(a)

    logits = {}

    def logit(t):
        """Computes those that feed it first."""
        if t not in logits:
            values = [fed_value(logit(fed["task"]), fed["value"]) for fed in tasks[t]["inputs"]]
            layers = [(f"tower {t} {l}", layer) for l, layer in enumerate(model.towers[t])] + [(f"head {t}", model.heads[t])]
            a = upper_mixture(t) if network["kind"] == "progressive" else mixture(t)
            for l, (name, layer) in enumerate(layers):
                a = dense(name, layer, a)
                for weights, value in zip(model.fed[t] if l == 0 else [], values):
                    if name == f"head {t}":
                        weights = [weights[0]] * len(a)
                    a = rounded(map(float.__add__, a, rounded([w * value for w in weights[: len(a)]])))
                if name != f"head {t}":
                    a = [relu(x) for x in a]
            logits[t] = a[0]
            if tasks[t]["kind"] == "steps":
                logits[t] = 0.0
                for worth, z in zip(model.steps[t], a):
                    logits[t] = f32(logits[t] + f32(worth * sigmoid(z)))
        return logits[t]

    def score_of(t, task):
        if task["kind"] != "quantile":
            return link(task, model.curves[t], logit(t))
        group = request.bucket(task["group"], request.raw_number(task["group"], candidate))
        return f32(quantity(model.steps[t][group], sigmoid(logit(t))) * task["score_scale"])

    scores = [score_of(t, task) for t, task in enumerate(tasks)]
    raws = [sigmoid(logit(t)) if task["kind"] == "binary" else s for t, (task, s) in enumerate(zip(tasks, scores))]
    return scores, inputs, sums, raws


def dot_product(query, key):
    """An attention logit."""
    total = 0.0
    for q, k in zip(query, key):
        q = clamp(q, -MOST, MOST)
        total = f32(total + (0.0 if abs(q) < LEAST or k < LEAST else f32(q * k)))
    return total


def fed_value(logit, value):
    z = clamp(logit, -30.0, 30.0)
    if value == "probability":
        return sigmoid(z)
    return z if abs(z) >= LEAST else 0.0


def link(task, knots, logit):
    calibration = task["calibration"]
    if task["kind"] == "duration":
        return f32(f32(exp(clamp(logit, 0.0, 20.0)) - 1.0) * task["score_scale"])
    if task["kind"] == "odds":
        return f32(exp(clamp(logit, -30.0, 20.0)) * task["score_scale"])
    if task["kind"] == "steps":
        return f32(logit * task["score_scale"])
    if calibration["is"] == "platt":
        return sigmoid(f32(f32(clamp(logit, -1e6, 1e6) * calibration["scale"]) + calibration["offset"]))
    if calibration["is"] == "isotonic":
        return interpolate(knots, logit)
    return sigmoid(logit)


def quantity(quantiles, share):
    """The value at a quantile."""
    last = len(quantiles) - 1
    place = f32(share * last)
    left = min(int(place), last - 1)
    low, high = quantiles[left : left + 2]
    return f32(low + f32(f32(high - low) * f32(place - left)))


def interpolate(knots, logit):
    if logit < knots[0][0]:
        return knots[0][1]
    for (x0, y0), (x1, y1) in zip(knots, knots[1:]):
        if logit < x1:
            ratio = f32(f32(logit - x0) / f32(x1 - x0))
            return f32(y0 + f32(f32(y1 - y0) * ratio))
    return knots[-1][1]


def softmax(logits):
    most = max(logits)
    e = [exp(clamp(f32(g - most), -20.0, 0.0)) for g in logits]
    total = 0.0
    for x in e:
        total = f32(total + x)
    weights = [round(f32(f32(x / total) * 32768.0)) for x in e]
    weights[list(logits).index(most)] += 32768 - sum(weights)
    return weights


def per_impression(spec, scores, task):
    value = scores[task]
    while (given := spec["tasks"][task]["given"]) is not None:
        task = given
        value = f32(value * scores[task])
        if value < 2.0**-60:
            return 0.0
    return value


def fuse(spec, scores, weights):
    total = 0.0
    for i, term in enumerate(spec["terms"]):
        value = per_impression(spec, scores, term["task"]) if term["entire"] else scores[term["task"]]
        value = settle(value)
        weight = from_bits(weights[i]) if weights is not None else term["weight"]
        total = f32(total + f32(weight * value))
    return total


def rank(model, line):
    request = Request(model, line)
    n = line["candidates"]
    scored = min(n, line["max_candidates"] or n)
    out = {"scores": [], "sums": [], "inputs": [], "fused": []}
    fused = [float("-inf")] * n
    all_scores, raws = [], []
    for candidate in range(scored):
        scores, inputs, sums, raw = score(model, request, candidate)
        all_scores.append(scores)
        raws.append(raw)
        if model.formula is None:
            fused[candidate] = fuse(model.spec, scores, line["weights"])
        out["scores"].append([bits(s) for s in scores])
        out["inputs"].append({name: data.hex() for name, data in inputs.items()})
        out["sums"].append(sums)
    if model.formula is not None:
        weights = model.formula.weights if line["weights"] is None else [from_bits(w) for w in line["weights"]]
        for candidate, row in enumerate(zip(*model.formula.columns(request, raws, all_scores))):
            fused[candidate] = model.formula.fuse(row, weights)
    out["fused"] = [bits(x) for x in fused]
    out["order"] = sorted(range(n), key=lambda c: (-fused[c], c))
    out["state"] = request.state.bytes().hex()
    out["counters"], out["strict"] = tally(request, scored)
    return out


def math(path):
    inputs = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    out = {}
    for name, function in (("exp", exp), ("sigmoid", sigmoid), ("log1p", log1p)):
        out[name] = [bits(function(from_bits(u))) for u in inputs[name]]
    rows = {name: [[from_bits(u) for u in row] for row in inputs[name]] for name in ("softmax", "quantize")}
    out["softmax"] = [softmax(row) for row in rows["softmax"]]
    out["quantize"] = [[q, bits(scale)] for q, scale in map(quantize, rows["quantize"])]
    print(json.dumps(out, separators=(",", ":")))


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 2:
        sys.exit(__doc__)
    if arguments[0] == "--math":
        return math(arguments[1])
    if arguments[0] == "--check":
        for path in sorted(pathlib.Path(arguments[1]).iterdir()):
            try:
                Model(path.read_bytes())
                print("Ok")
            except Refused as status:
                print(status)
        return None
    with open(arguments[0], "rb") as file:
        model = Model(file.read())
    assert model.sha256_holds, "SHA-256"
    assert model.folded(), "a zero bias is not what weights and zero points make it"
    with open(arguments[1], encoding="utf-8") as requests:
        for line in requests:
            print(json.dumps(rank(model, json.loads(line)), separators=(",", ":")))
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
