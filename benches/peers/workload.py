"""MMoE-ref, the workload that all runtimes are measured on: weights, requests and float64 outputs, from fixed seeds.

    python workload.py [DIR]      (default: $MMOE_DATA or <tmp>/mmoe-ref)

A multi-gate mixture of 4 experts [128, 64] on 312 inputs, with 3 tasks: a linear gate and a tower [32] each.

    inputs: 8 user ids x 16 | mean of 20 history ids, in the table of the first item id | 8 item ids x 16 |
            2 context ids x 16 | 8 numbers
    outputs: click = sigmoid, duration = softplus, completion = sigmoid, score = click + 0.1 duration + 0.5 completion

DIR/manifest.json gives the place of every tensor in the .bin files: dtype, shape, offset, nbytes; little-endian, C order, each
tensor on a multiple of 64 bytes.

    weights.bin       emb.{user|item|ctx}.{i} [ids, 16], expert.{e}.{w1,b1,w2,b2}, gate.{t}.{w,b}, tower.{t}.{w1,b1,w2,b2}, fusion.w;
                      matrices are [inputs, outputs]
    inputs_n{N}.bin   user [8, 8], hist [8, 20], item [8, N, 8], ctx [8, N, 2], dense [8, N, 8]: 8 requests of N candidates
    expected_n{N}.bin out [8, N, 4], float64
"""
import json, os, sys, tempfile
import numpy as np

DIM, HISTORY, DENSE, EXPERTS, TOWER = 16, 20, 8, 4, 32
EXPERT_LAYERS = (128, 64)
TASKS = ("click", "duration", "completion")
FUSION = (1.0, 0.1, 0.5)
IDS = {"user": [100_000] * 2 + [1000] * 6, "item": [100_000] * 2 + [1000] * 6, "ctx": [1000] * 2}
CANDIDATES = (1, 50, 200, 500)
REQUESTS = 8
USER_INPUTS = 9 * DIM
INPUTS = USER_INPUTS + 10 * DIM + DENSE


def data_dir():
    return os.environ.get("MMOE_DATA") or os.path.join(tempfile.gettempdir(), "mmoe-ref")


def make_weights():
    random = np.random.default_rng(0)
    normal = lambda shape, deviation: (random.standard_normal(shape) * deviation).astype(np.float32)
    weights = {}

    def dense(name, suffix, inputs, outputs, gain):
        weights[f"{name}.w{suffix}"] = normal((inputs, outputs), (gain / inputs) ** 0.5)
        weights[f"{name}.b{suffix}"] = normal((outputs,), 0.1)

    for side, tables in IDS.items():
        for i, ids in enumerate(tables):
            weights[f"emb.{side}.{i}"] = normal((ids, DIM), 0.5)
    for e in range(EXPERTS):
        dense(f"expert.{e}", 1, INPUTS, EXPERT_LAYERS[0], 2.0)
        dense(f"expert.{e}", 2, *EXPERT_LAYERS, 2.0)
    for t in range(len(TASKS)):
        dense(f"gate.{t}", "", INPUTS, EXPERTS, 1.0)
        dense(f"tower.{t}", 1, EXPERT_LAYERS[1], TOWER, 2.0)
        dense(f"tower.{t}", 2, TOWER, 1, 2.0)
    weights["fusion.w"] = np.array(FUSION, np.float32)
    return weights


def make_requests(n, random=None, requests=REQUESTS):
    """The requests that are measured; with a generator of one's own, others like them."""
    random = random or np.random.default_rng(1000 + n)

    def ids(side, *lead):
        columns = [random.integers(0, ids, size=(requests, *lead)) for ids in IDS[side]]
        return np.stack(columns, axis=-1).astype(np.int32)

    return {
        "user": ids("user"),
        "hist": random.integers(0, IDS["item"][0], size=(requests, HISTORY)).astype(np.int32),
        "item": ids("item", n),
        "ctx": ids("ctx", n),
        "dense": random.standard_normal((requests, n, DENSE)).astype(np.float32),
    }


def outputs(weights, request, activations=lambda x: x, numbers=lambda x: x, history=lambda x: x):
    """Outputs [n, 4] of one request, in float64; with roundings of what later layers read, of numbers and of the history's mean."""
    w = lambda name: weights[name].astype(np.float64)
    rows = lambda side, ids: [w(f"emb.{side}.{i}")[ids[..., i]] for i in range(ids.shape[-1])]
    user = np.concatenate([*rows("user", request["user"]), history(w("emb.item.0")[request["hist"]].mean(0))])
    candidate = [*rows("item", request["item"]), *rows("ctx", request["ctx"]), numbers(request["dense"].astype(np.float64))]
    x = np.concatenate([np.broadcast_to(user, (len(request["item"]), USER_INPUTS)), *candidate], axis=1)
    layer = lambda x, name, suffix="": x @ w(f"{name}.w{suffix}") + w(f"{name}.b{suffix}")
    relu = lambda x: np.maximum(x, 0.0)
    hidden = [activations(relu(layer(x, f"expert.{e}", 1))) for e in range(EXPERTS)]
    experts = [relu(layer(hidden[e], f"expert.{e}", 2)) for e in range(EXPERTS)]
    out = []
    for t, task in enumerate(TASKS):
        shares = np.exp(layer(x, f"gate.{t}"))
        shares /= shares.sum(1, keepdims=True)
        mixture = activations(sum(shares[:, e : e + 1] * experts[e] for e in range(EXPERTS)))
        y = layer(activations(relu(layer(mixture, f"tower.{t}", 1))), f"tower.{t}", 2)[:, 0]
        out.append(np.logaddexp(0.0, y) if task == "duration" else 1.0 / (1.0 + np.exp(-y)))
    out = np.stack(out, 1)
    return np.concatenate([out, out @ w("fusion.w")[:, None]], 1)


def one(requests, q):
    return {name: np.array(values[q]) for name, values in requests.items()}


def write(directory):
    os.makedirs(directory, exist_ok=True)
    files = {}

    def file(name, tensors):
        places, at = {}, 0
        with open(os.path.join(directory, name), "wb") as out:
            for tensor, values in tensors.items():
                pad = -at % 64
                data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
                out.write(b"\0" * pad + data)
                dtype = f"{values.dtype.kind}{8 * values.dtype.itemsize}"
                places[tensor] = {"dtype": dtype, "shape": list(values.shape), "offset": at + pad, "nbytes": len(data)}
                at += pad + len(data)
        files[name] = places

    weights = make_weights()
    file("weights.bin", weights)
    for n in CANDIDATES:
        requests = make_requests(n)
        file(f"inputs_n{n}.bin", requests)
        file(f"expected_n{n}.bin", {"out": np.stack([outputs(weights, one(requests, q)) for q in range(REQUESTS)])})
    with open(os.path.join(directory, "manifest.json"), "w") as out:
        json.dump({"format": 1, "files": files}, out, indent=1)


def load(name, directory=None):
    directory = directory or data_dir()
    with open(os.path.join(directory, "manifest.json")) as f:
        places = json.load(f)["files"][name]
    data = np.fromfile(os.path.join(directory, name), np.uint8)
    dtype = lambda p: np.dtype(f"<{p['dtype'][0]}{int(p['dtype'][1:]) // 8}")
    return {k: data[p["offset"] : p["offset"] + p["nbytes"]].view(dtype(p)).reshape(p["shape"]) for k, p in places.items()}


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else data_dir())
