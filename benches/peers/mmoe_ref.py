"""MMoE-ref for pocketrank: its weights as safetensors by the names of docs/import.md, and two descriptions.

    python mmoe_ref.py [--pocketrank 'COMMAND'] [DIR]      (default: $MMOE_DATA or <tmp>/mmoe-ref)

DIR holds manifest.json and weights.bin, as workload.py writes them. Left in DIR/models/pocketrank:
  hoisted.toml, hoisted.safetensors   tables of as many hash rows as there are ids; the app resolves ids to rows itself
  raw.toml, raw.safetensors           tables with a vocabulary of all ids, which the engine looks up
and, with --pocketrank (as 'target/release/pocketrank'), hoisted.pkr and raw.pkr.
"""
import argparse, json, os, shlex, subprocess
import numpy as np
from safetensors.numpy import save_file
import workload as wl

# Numbers of the workload are standard normal: of its 48,000 none is beyond 4.6.
DENSE_RANGE = [-5.0, 5.0]


def tables():
    """(tensor of the workload, name in the description, rows)"""
    for side, of_side in wl.IDS.items():
        for i, rows in enumerate(of_side):
            yield f"emb.{side}.{i}", f"{side}{i}", rows


def description(layout):
    rows = lambda n: f"hash = {n}" if layout == "hoisted" else "vocabulary = {}"
    text = ['# MMoE-ref. There is no log: the columns of [data] are never read.', '[data]', 'path = "none.csv"', '']
    # A task needs a label; what users watch is a softplus there, a link that the format does not have. As a binary task
    # the engine gives sigmoid(y), and softplus(y) = -ln(1 - sigmoid(y)).
    for task in wl.TASKS:
        text += ["[[label]]", f'name = "{task}"', ""]
    for _, name, n in tables():
        text += ["[[table]]", f'name = "{name}"', f"dim = {wl.DIM}", rows(n), ""]
    id_of = lambda name, side: ["[[feature]]", f'name = "{name}"', f'side = "{side}"', 'kind = "id"', ""]
    for i in range(8):
        text += id_of(f"user{i}", "user")
    text += ["[[feature]]", 'name = "history"', 'side = "user"', 'kind = "ids"', 'table = "item0"', f"max_len = {wl.HISTORY}", 'pooling = "mean"', ""]
    for i in range(8):
        text += id_of(f"item{i}", "item")
    for i in range(2):
        text += id_of(f"ctx{i}", "candidate")
    for i in range(wl.DENSE):
        text += ["[[feature]]", f'name = "dense{i}"', 'side = "candidate"', 'kind = "number"', f"clip = {DENSE_RANGE}", "default = 0", ""]
    text += ["[network]", 'kind = "mmoe"', f"experts = {wl.EXPERTS}", f"expert_layers = {list(wl.EXPERT_LAYERS)}", f"tower_layers = [{wl.TOWER}]", ""]
    for task in wl.TASKS:
        text += ["[[task]]", f'name = "{task}"', 'kind = "binary"', ""]
    return "\n".join(text + ["[export]", 'name = "mmoe-ref"', ""])


def tensors(W, layout):
    out = {}
    for tensor, name, rows in tables():
        # Row 0 is a missing id, which the workload has none of.
        out[f"table.{name}.weight"] = np.concatenate([np.zeros((1, wl.DIM), np.float32), W[tensor]])
        if layout == "raw":
            out[f"table.{name}.ids"] = np.arange(rows, dtype=np.int64)
    dense = lambda name, w, b: out.update({f"{name}.weight": np.ascontiguousarray(w.T), f"{name}.bias": b})
    for e in range(wl.EXPERTS):
        for layer in (0, 1):
            dense(f"expert.{e}.{layer}", W[f"expert.{e}.w{layer + 1}"], W[f"expert.{e}.b{layer + 1}"])
    for t, task in enumerate(wl.TASKS):
        dense(f"gate.{task}.0", W[f"gate.{t}.w"], W[f"gate.{t}.b"])
        dense(f"tower.{task}.0", W[f"tower.{t}.w1"], W[f"tower.{t}.b1"])
        dense(f"head.{task}", W[f"tower.{t}.w2"], W[f"tower.{t}.b2"])
    return out


def convert(directory, program=()):
    folder = os.path.join(directory, "models", "pocketrank")
    os.makedirs(folder, exist_ok=True)
    W = wl.load("weights.bin", directory)
    for layout in ("hoisted", "raw"):
        path = lambda ending: os.path.join(folder, f"{layout}.{ending}")
        with open(path("toml"), "w") as f:
            f.write(description(layout))
        save_file(tensors(W, layout), path("safetensors"))
        if program:
            subprocess.run([*program, "import", path("toml"), "--weights", path("safetensors"), "--out", path("run")], check=True)
            subprocess.run([*program, "export", path("run"), "-o", path("pkr")], check=True)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pocketrank", default="")
    parser.add_argument("directory", nargs="?", default=wl.data_dir())
    a = parser.parse_args()
    print(convert(a.directory, shlex.split(a.pocketrank)))
