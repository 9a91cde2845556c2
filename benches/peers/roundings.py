#!/usr/bin/env python3
"""What each rounding of pocketrank's arithmetic takes of the fused score's order on MMoE-ref: 1 - Spearman's correlation with the
network in float64, the mean over requests of their own, by an emulation in float64.

    python roundings.py [--candidates 50] [--requests 128]
"""
import argparse
import numpy as np
import mmoe_ref
import workload as wl

# Bytes meet weights of their side; each side of the first layer has a scale for each output.
SIDES = np.split(np.arange(wl.INPUTS), np.cumsum([wl.USER_INPUTS, 8 * wl.DIM, 2 * wl.DIM]))
NUMBER_STEPS = 4 * 127
AS_SHIPPED = {"embeddings": 7, "activations": 7, "numbers": 1, "first layer": 8, "experts": 8, "towers and heads": 8}


def round_weight(w):
    scale = np.abs(w).max(0) / 127.0
    return np.rint(w / scale) * scale


def round_between(x, low, high, steps):
    scale = (high - low) / steps
    return np.clip(np.rint((x - low) / scale), 0, steps) * scale + low


class Network:
    """The network with some of its roundings: bits by name, 0 for none."""

    def __init__(self, weights, bits):
        self.bits = bits
        self.w = {name: value.astype(np.float64) for name, value in weights.items()}
        for name, value in self.w.items():
            if name.startswith("emb."):
                if bits["embeddings"]:
                    self.w[name] = round_between(value, value.min(0), value.max(0), 2 ** bits["embeddings"] - 1)
            elif len(value) == wl.INPUTS and bits["first layer"]:
                self.w[name] = np.concatenate([round_weight(value[side]) for side in SIDES])
            elif name.startswith("expert.") and ".w2" in name and bits["experts"]:
                self.w[name] = round_weight(value)
            elif name.startswith("tower.") and ".w" in name and bits["towers and heads"]:
                self.w[name] = round_weight(value)

    def numbers(self, x):
        return round_between(x, *mmoe_ref.DENSE_RANGE, NUMBER_STEPS) if self.bits["numbers"] else x

    def activations(self, x):
        x = np.maximum(x, 0.0)
        if not self.bits["activations"]:
            return x
        scale = x.max(1, keepdims=True) / (2 ** self.bits["activations"] - 1)
        return np.rint(x / scale) * scale

    def scores(self, request):
        w = self.w
        rows = lambda side, ids: [w[f"emb.{side}.{i}"][ids[..., i]] for i in range(ids.shape[-1])]
        user = np.concatenate([*rows("user", request["user"]), w["emb.item.0"][request["hist"]].mean(0)])
        numbers = self.numbers(request["dense"].astype(np.float64))
        candidate = [*rows("item", request["item"]), *rows("ctx", request["ctx"]), numbers]
        x = np.concatenate([np.broadcast_to(user, (len(request["item"]), wl.USER_INPUTS)), *candidate], axis=1)
        layer = lambda x, name, suffix="": x @ w[f"{name}.w{suffix}"] + w[f"{name}.b{suffix}"]
        hidden = [self.activations(layer(x, f"expert.{e}", 1)) for e in range(wl.EXPERTS)]
        experts = [np.maximum(layer(h, f"expert.{e}", 2), 0.0) for e, h in enumerate(hidden)]
        out = []
        for t, task in enumerate(wl.TASKS):
            shares = np.exp(layer(x, f"gate.{t}"))
            shares /= shares.sum(1, keepdims=True)
            mixture = self.activations(sum(shares[:, e : e + 1] * experts[e] for e in range(wl.EXPERTS)))
            y = layer(self.activations(layer(mixture, f"tower.{t}", 1)), f"tower.{t}", 2)[:, 0]
            out.append(np.logaddexp(0.0, y) if task == "duration" else 1.0 / (1.0 + np.exp(-y)))
        return np.stack(out, 1) @ w["fusion.w"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--requests", type=int, default=128)
    a = parser.parse_args()
    weights = wl.make_weights()
    requests = wl.make_requests(a.candidates, np.random.default_rng(77), a.requests)
    requests = [wl.one(requests, q) for q in range(a.requests)]
    none = dict.fromkeys(AS_SHIPPED, 0)
    rank = lambda x: np.argsort(np.argsort(x))
    exact = Network(weights, none)
    want = [rank(exact.scores(r)) for r in requests]

    def lost(bits):
        network = Network(weights, none | bits)
        each = [1.0 - np.corrcoef(rank(network.scores(r)), w)[0, 1] for r, w in zip(requests, want)]
        return f"{np.mean(each):.4f} (standard error {np.std(each) / len(each) ** 0.5:.5f})"

    print("all, as shipped:", lost(AS_SHIPPED))
    for name, bits in AS_SHIPPED.items():
        others = {other: b for other, b in AS_SHIPPED.items() if other != name}
        print(f"{name}: alone {lost({name: bits})}, all but this {lost(others)}")
    print("embeddings of 8 bits:", lost(AS_SHIPPED | {"embeddings": 8}))
    print("embeddings and activations of 8 bits:", lost(AS_SHIPPED | {"embeddings": 8, "activations": 8}))
    print("activations of 8 bits, embeddings exact:", lost(AS_SHIPPED | {"embeddings": 0, "activations": 8}))


if __name__ == "__main__":
    main()
