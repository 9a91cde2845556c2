"""The experiment of docs/mmoe-synthetic.md in PyTorch, sharing no code with the trainer: regression, rows drawn afresh at every
step (or --rows of them, shuffled), Adam, a rate that falls to 0.

    python examples/synthetic/reference.py
    python examples/synthetic/reference.py --experts 4 --width 4 --rates 0.006,0.01,0.02,0.03

Each network's rate is the best of --rates on worlds 1 to 6, at cosines 1 and 0; worlds from 11 on are reported. Errors are
squared, on 8,192 rows without noise, over the variance of y; the mean of both tasks.
"""

import argparse
import math

import torch

torch.set_num_threads(1)
INPUTS, TOWER, NOISE, SINES, BATCH = 100, 8, 0.1, 5, 128
T95 = {8: 2.365, 10: 2.262, 12: 2.201, 16: 2.131}


def generator(seed):
    return torch.Generator().manual_seed(seed)


class World:
    """Directions of the first task and, for each cosine, of the second; sines; y's mean and deviation."""

    def __init__(self, seed, cosines):
        g = generator(1000 + seed)
        q, _ = torch.linalg.qr(torch.randn(INPUTS, 2, generator=g))
        u1, u2 = q[:, 0], q[:, 1]
        self.alpha = torch.randn(SINES, generator=g)
        self.beta = torch.randn(SINES, generator=g)
        second = [p * u1 + math.sqrt(max(0, 1 - p * p)) * u2 for p in cosines]
        self.directions = torch.stack([u1, *second], 1)
        y = self.y(torch.randn(200_000, generator=g))
        self.mean, self.deviation = y.mean(), y.std()

    def y(self, z):
        return z + torch.sin(z[..., None] * self.alpha + self.beta).sum(-1)

    def labels(self, x, g=None):
        """[rows, cosines, 2], standardized; with noise if there is a generator for it."""
        y = self.y(x @ self.directions)
        first, second = y[:, :1], y[:, 1:]
        if g is not None:
            noise = torch.randn(len(x), 2, generator=g) * NOISE
            first, second = first + noise[:, :1], second + noise[:, 1:]
        y = torch.stack([first.expand_as(second), second], 2)
        return (y - self.mean) / self.deviation


def parameters(experts, width):
    """Of experts, gates and towers."""
    return (experts * width + 2 * experts) * (INPUTS + 1) + 2 * (width * TOWER + 2 * TOWER + 1)


def shared_width(options):
    """Units of a shared bottom with as many parameters as the MMoE."""
    towers = 2 * (2 * TOWER + 1)
    return round((parameters(options.experts, options.width) - towers) / (INPUTS + 1 + 2 * TOWER))


def train(options, network, seed, cosines, rates):
    """Errors [cosines, rates, 2]: all networks of a world are trained side by side, on the same rows from the same values."""
    world, g, gi = World(seed, cosines), generator(seed), generator(5000 + seed)
    count = len(cosines) * len(rates)
    mmoe = network == "mmoe"
    experts, width = (options.experts, options.width) if mmoe else (1, shared_width(options))
    units = experts * width
    outputs = units + (2 * experts if mmoe else 0)

    def he(out, fan):
        return torch.randn(out, fan, generator=gi) * math.sqrt(2 / fan)

    first = he(outputs, INPUTS)
    first[units:] *= 0.5
    hidden = he(2 * TOWER, width).reshape(2, TOWER, width)
    head = torch.randn(2, TOWER, generator=gi) * math.sqrt(1 / TOWER)
    values = [
        first.repeat(count, 1, 1),
        torch.zeros(count, outputs),
        hidden.repeat(count, 1, 1, 1),
        torch.zeros(count, 2, 1, TOWER),
        head.reshape(2, TOWER, 1).repeat(count, 1, 1, 1),
        torch.zeros(count, 2, 1, 1),
    ]
    values = [v.requires_grad_() for v in values]
    rate = torch.tensor(rates).repeat(len(cosines))

    def errors(x, y):
        w1, b1, w2, b2, w3, b3 = values
        a = (x @ w1.reshape(-1, INPUTS).T + b1.reshape(-1)).reshape(len(x), count, outputs)
        if mmoe:
            gates = torch.softmax(a[..., units:].reshape(len(x), count, 2, experts), -1)
            mixed = gates @ torch.relu(a[..., :units]).reshape(len(x), count, experts, width)
            bottom = mixed.permute(1, 2, 0, 3)
        else:
            bottom = torch.relu(a).permute(1, 0, 2)[:, None]
        out = (torch.relu(bottom @ w2.transpose(-1, -2) + b2) @ w3 + b3)[..., 0]
        y = y.permute(1, 2, 0)[:, None].expand(-1, len(rates), -1, -1).reshape(count, 2, -1)
        return ((out - y) ** 2).mean(-1)

    test = torch.randn(8192, INPUTS, generator=generator(9000 + seed))
    test_labels = world.labels(test)
    if options.rows:
        rows = torch.randn(options.rows, INPUTS, generator=g)
        labels, order, at = world.labels(rows, g), None, options.rows
    first_moment = [torch.zeros_like(v) for v in values]
    second_moment = [torch.zeros_like(v) for v in values]
    for step in range(1, options.steps + 1):
        if options.rows:
            if at + BATCH > options.rows:
                order, at = torch.randperm(options.rows, generator=g), 0
            batch, at = order[at : at + BATCH], at + BATCH
            x, y = rows[batch], labels[batch]
        else:
            x = torch.randn(BATCH, INPUTS, generator=g)
            y = world.labels(x, g)
        gradients = torch.autograd.grad(errors(x, y).sum(), values)
        now = rate * (1 - (step - 1) / options.steps)
        with torch.no_grad():
            for v, d, m, s in zip(values, gradients, first_moment, second_moment, strict=True):
                m.mul_(0.9).add_(d, alpha=0.1)
                s.mul_(0.999).addcmul_(d, d, value=0.001)
                move = (m / (1 - 0.9**step)) / ((s / (1 - 0.999**step)).sqrt_().add_(1e-8))
                v.sub_(now.reshape([count] + [1] * (v.dim() - 1)) * move)
    with torch.no_grad():
        parts = [errors(x, y) for x, y in zip(test.split(1024), test_labels.split(1024), strict=True)]
    return torch.stack(parts).mean(0).reshape(len(cosines), len(rates), 2)


def interval(logarithms):
    n = len(logarithms)
    half = T95[n] * logarithms.std().item() / math.sqrt(n)
    middle = logarithms.mean().item()
    return "{:.2f} ({:.2f} to {:.2f})".format(*(math.exp(x) for x in (middle, middle - half, middle + half)))


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--experts", type=int, default=8)
    parse.add_argument("--width", type=int, default=16, help="of an expert")
    parse.add_argument("--steps", type=int, default=1000, help="of 128 rows")
    parse.add_argument("--rows", type=int, default=0, help="0: new ones at every step")
    parse.add_argument("--rates", default="0.003,0.006,0.01,0.02,0.03")
    parse.add_argument("--worlds", type=int, default=12, choices=T95)
    options = parse.parse_args()
    rates = [float(r) for r in options.rates.split(",")]
    cosines = [1.0, 0.9, 0.5, 0.0]

    errors = {}
    for network in ("shared bottom", "mmoe"):
        tried = torch.stack([train(options, network, s, [1.0, 0.0], rates) for s in range(1, 7)])
        tried = tried.log().mean((0, 1, 3)).exp()
        best = rates[int(tried.nan_to_num(math.inf).argmin())]
        print(network, "rates", *(f"{r:g}: {e:.4f}" for r, e in zip(rates, tried.tolist(), strict=True)), flush=True)
        runs = [train(options, network, s, cosines, [best]) for s in range(11, 11 + options.worlds)]
        errors[network] = torch.stack(runs)[:, :, 0].mean(-1).log()
    ratio = errors["mmoe"] - errors["shared bottom"]
    print(f"shared bottom of {shared_width(options)} units; MMoE's error over its, and that over the one at 1.0")
    for i, p in enumerate(cosines):
        means = [errors[n][:, i].mean().exp().item() for n in errors]
        print(p, *(f"{m:.4f}" for m in means), interval(ratio[:, i]), interval(ratio[:, i] - ratio[:, 0]))


if __name__ == "__main__":
    main()
