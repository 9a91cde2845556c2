#!/usr/bin/env python3
"""What each rounding of pocketrank's arithmetic takes of the fused score's order on MMoE-ref: 1 - Spearman's correlation with the
network in float64, the mean over requests of their own, by an emulation in float64. Left out: gates' shares are multiples of 2^-15,
and weights of which four products meet in 16 bits may be a little smaller.

    python roundings.py [--candidates 50] [--requests 128]
"""
import argparse
import numpy as np
import mmoe_ref
import workload as wl
from harness import spearman

# Inputs of each side, which has a scale of its own for each output of the first layer.
SIDES = np.split(np.arange(wl.INPUTS), np.cumsum([wl.USER_INPUTS, 8 * wl.DIM, 2 * wl.DIM]))
NUMBER_STEPS = 4 * 127
# Bits of embeddings and activations, 0 for none; of the rest whether they are rounded.
AS_SHIPPED = {"embeddings": 7, "activations": 7, "numbers": True, "first layer": True, "experts": True, "towers and heads": True}


def round_weight(w):
    scale = np.abs(w).max(0) / 127.0
    return np.rint(w / scale) * scale


def round_between(x, low, high, steps):
    scale = (high - low) / steps
    return np.clip(np.rint((x - low) / scale), 0, steps) * scale + low


def emulation(weights, rounded):
    """A request's fused scores with these roundings."""
    steps = 2 ** rounded["embeddings"] - 1
    embeddings = lambda x, table: round_between(x, table.min(0), table.max(0), steps) if steps else x
    made = {}
    for name, w in weights.items():
        w = w.astype(np.float64)
        if name.startswith("emb."):
            w = embeddings(w, w)
        elif len(w) == wl.INPUTS and rounded["first layer"]:
            w = np.concatenate([round_weight(w[side]) for side in SIDES])
        elif name.startswith("expert.") and name.endswith(".w2") and rounded["experts"]:
            w = round_weight(w)
        elif name.startswith("tower.") and ".w" in name and rounded["towers and heads"]:
            w = round_weight(w)
        made[name] = w

    def activations(x):
        if not rounded["activations"]:
            return x
        scale = x.max(1, keepdims=True) / (2 ** rounded["activations"] - 1)
        return np.rint(x / scale) * scale

    numbers = lambda x: round_between(x, *mmoe_ref.DENSE_RANGE, NUMBER_STEPS) if rounded["numbers"] else x
    history = lambda x: embeddings(x, weights["emb.item.0"].astype(np.float64))
    return lambda request: wl.outputs(made, request, activations, numbers, history)[:, 3]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--requests", type=int, default=128)
    a = parser.parse_args()
    weights = wl.make_weights()
    requests = wl.make_requests(a.candidates, np.random.default_rng(77), a.requests)
    requests = [wl.one(requests, q) for q in range(a.requests)]
    want = [wl.outputs(weights, request)[:, 3] for request in requests]

    def lost(roundings):
        scores = emulation(weights, dict.fromkeys(AS_SHIPPED, 0) | roundings)
        each = [1.0 - spearman(scores(request), w) for request, w in zip(requests, want)]
        return f"{np.mean(each):.5f} (standard error {np.std(each) / len(each) ** 0.5:.5f})"

    print("all, as shipped:", lost(AS_SHIPPED))
    for name, value in AS_SHIPPED.items():
        others = {other: v for other, v in AS_SHIPPED.items() if other != name}
        print(f"{name}: alone {lost({name: value})}, all but this {lost(others)}")
    print("embeddings of 8 bits:", lost(AS_SHIPPED | {"embeddings": 8}))
    print("embeddings and activations of 8 bits:", lost(AS_SHIPPED | {"embeddings": 8, "activations": 8}))
    print("embeddings of two bytes of 7 bits, activations of 8:", lost(AS_SHIPPED | {"embeddings": 14, "activations": 8}))
    print("embeddings exact, activations of 8 bits:", lost(AS_SHIPPED | {"embeddings": 0, "activations": 8}))


if __name__ == "__main__":
    main()
