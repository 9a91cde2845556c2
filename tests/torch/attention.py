"""PyTorch's outputs and gradients of target attention over a list, for the gradient tests.

    venv/bin/python tests/torch/attention.py      # needs only PyTorch, as gradients.py

It writes attention.json beside itself, float64, matrices row-major: a table of 6 rows of 4 values, projections [3, 4], three
candidates with their lists (one of them empty), outputs, an upstream gradient of those, and what it makes of all parameters.
"""

import json
import math
from pathlib import Path

import torch

LISTS = [[1, 2, 5], [], [3, 3, 0, 4, 1]]
IDS = [2, 4, 1]


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
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in content.items())
    (Path(__file__).resolve().parent / "attention.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
