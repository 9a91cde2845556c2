"""PyTorch's outputs and gradients of target attention over a list, for the gradient tests.

    venv/bin/python tests/torch/attention.py      # needs only PyTorch, as gradients.py

It writes attention.json beside itself, float64, matrices row-major: a table of 6 rows of 4 values, projections [3, 4], three
candidates with their lists (one of them empty), outputs, an upstream gradient of those, and what it makes of all parameters. Under
"on_grids" the same where every value is rounded as in a model file and the gradient goes straight through (docs/numerics.md has the
grids): rows of 8 bits, projections of 8 bits, keys and queries in steps, shares in 2^-15, outputs as bytes.
"""

import json
import math
from pathlib import Path

import torch

LISTS = [[1, 2, 5], [], [3, 3, 0, 4, 1]]
IDS = [2, 4, 1]


def on_grids(table, query, key, upstream):
    """Outputs and gradients with every rounding of the device, taken as the identity on the way back."""
    single = lambda x: x.to(torch.float32)
    through = lambda x, value: x + (value - x).detach()
    with torch.no_grad():
        low, high = table.min(0).values.clamp(max=0), table.max(0).values.clamp(min=0)
        scale = single((high - low) / 127)
        zero = torch.round(-low / scale.double())
        rows = (torch.round(table / scale.double()) + zero).clamp(0, 127)
        row_values = single((rows - zero) * scale.double()).double()

    def weights(w, factor):
        folded = w * scale.double() * factor
        of_output = single(folded.abs().max(1, keepdim=True).values / 127)
        whole = torch.round(folded / of_output.double())
        return whole, of_output[:, 0], single(whole * of_output.double() / scale.double() / factor).double()

    def steps(x, most):
        largest = x.abs().max()
        return torch.round(x * (torch.tensor(most, dtype=torch.float32) / largest)), largest / most

    root = math.sqrt(3)
    with torch.no_grad():
        whole_query, query_scale, query_values = weights(query, 1 / root)
        whole_key, key_scale, key_values = weights(key, 1.0)
    e, w_query, w_key = through(table, row_values), through(query, query_values), through(key, key_values)
    outputs = []
    for list_rows, candidate in zip(LISTS, IDS):
        if not list_rows:
            outputs.append(torch.zeros(4, dtype=torch.float64))
            continue
        with torch.no_grad():
            q, s = steps(single(whole_query @ (rows[candidate] - zero)) * query_scale, 63.0)
            keys = [steps(single(whole_key @ (rows[row] - zero)) * key_scale, 127.0) for row in list_rows]
            logits = torch.stack([(k @ q) * (t * s) for k, t in keys]).double()
            exps = torch.exp((logits - logits.max()).clamp(min=-20))
            q15 = torch.round(exps / exps.sum() * 32768)
            q15[logits.argmax()] += 32768 - q15.sum()
            out_bytes = torch.round(q15 @ rows[list_rows] / 32768)
            out = single((out_bytes - zero) * scale.double()).double()
        q = through(w_query @ e[candidate], q.double() * s.double() * root)
        k = through(e[list_rows] @ w_key.T, torch.stack([k.double() * t.double() for k, t in keys]))
        z = k @ q / root
        shares = torch.softmax(z + (torch.log(q15 / 32768) - z).detach(), 0)
        outputs.append(through(shares @ e[list_rows], out))
    output = torch.stack(outputs)
    return output, torch.autograd.grad((output * upstream).sum(), [table, query, key])


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(7)

    def uniform(*shape):
        return torch.round(torch.rand(*shape, generator=generator, dtype=torch.float64) * 4 - 2, decimals=4)

    table, query, key = (uniform(*shape).requires_grad_() for shape in ((6, 4), (3, 4), (3, 4)))
    upstream = uniform(3, 4)
    outputs = []
    for rows, candidate in zip(LISTS, IDS):
        if not rows:
            outputs.append(torch.zeros(4, dtype=torch.float64))
            continue
        embeddings = table[rows]
        logits = embeddings @ key.T @ (query @ table[candidate]) / math.sqrt(3)
        outputs.append(torch.softmax(logits, 0) @ embeddings)
    output = torch.stack(outputs)
    d_table, d_query, d_key = torch.autograd.grad((output * upstream).sum(), [table, query, key])
    flat = lambda x: x.detach().reshape(-1).tolist()
    content = {
        "table": flat(table), "query": flat(query), "key": flat(key), "lists": LISTS, "ids": IDS, "output": flat(output),
        "upstream": flat(upstream), "d_table": flat(d_table), "d_query": flat(d_query), "d_key": flat(d_key),
    }
    output, (d_table, d_query, d_key) = on_grids(table, query, key, upstream)
    content["on_grids"] = {
        "output": flat(output), "d_table": flat(d_table), "d_query": flat(d_query), "d_key": flat(d_key),
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in content.items())
    (Path(__file__).resolve().parent / "attention.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
