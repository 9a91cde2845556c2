"""PyTorch's losses of heads and their gradients by the logits, for the tests of src/train/loss.rs and src/train/loss/steps.rs.

    venv/bin/python tests/torch/heads.py      # needs only PyTorch, as gradients.py

It writes heads.json beside itself, float64: per loss its settings and cases of logits, label, value and gradient. Each loss is
written here from its paper's formula, with PyTorch's own cross entropy, softplus and Huber's loss.
"""

import json
from pathlib import Path

import torch
from torch.nn import functional as F

HUBER = 0.8
THRESHOLDS, WORTH = [0.0, 2.0, 5.0, 5.0], [2.0, 2.5, 0.0, 7.0]
RESTORATION, ORDERING = 0.6, 1.5
LEVELS = [0.25, 0.5, 0.75, 1.0]
GAMMA = 2.0
QUANTILES = [0.0, 0.0, 0.0, 4.0, 8.0, 8.0, 31.0]  # of a group, at 0, 1/6, ..., 1
LABELS = {"odds": [0.0, 0.5, 7.0, 90.0], "odds of every row": [0.0, 0.5, 7.0, 90.0], "focal": [0.0, 1.0],
          "cread": [0.0, 2.0, 5.5, 90.0], "ordinal": [0.0, 0.25, 0.6, 1.0], "d2q": [0.0, 1.0, 4.0, 8.0, 20.0, 90.0]}


def entropy(z, y):
    return F.binary_cross_entropy_with_logits(z, y, reduction="none")


def odds(z, label, every):
    """Covington et al. 2016: a positive weighs its label, a row without one 1 as a negative."""
    ones = torch.ones_like(z)
    negative = 1.0 if every or label == 0 else 0.0
    return (label * entropy(z, ones) + negative * entropy(z, 0 * ones)).sum()


def focal(z, label):
    """Lin et al. 2017, without class weights."""
    p = torch.sigmoid(z)
    p_t = p if label == 1 else 1 - p
    return (-((1 - p_t) ** GAMMA) * torch.log(p_t)).sum()


def cread(z, label):
    """Sun et al. 2024: classification, restoration (here in units of the middle threshold) and ordering."""
    thresholds, worth = torch.tensor(THRESHOLDS, dtype=z.dtype), torch.tensor(WORTH, dtype=z.dtype)
    p = torch.sigmoid(z)
    middle = THRESHOLDS[len(THRESHOLDS) // 2]
    restored = F.huber_loss((worth * p).sum() / middle, torch.tensor(label / middle, dtype=z.dtype), delta=HUBER)
    ordering = F.relu(p[1:] - p[:-1]).sum() / len(z)
    return entropy(z, (label > thresholds).to(z.dtype)).mean() + RESTORATION * restored + ORDERING * ordering


def ordinal(z, label):
    """McCullagh 1980: whether each level is reached."""
    return entropy(z, (label >= torch.tensor(LEVELS, dtype=z.dtype)).to(z.dtype)).mean()


def d2q(z, label):
    """Zhan et al. 2022: cross entropy against the label's quantile in its group, the mean of the shares of the group that are
    below it and not above it. Between two quantiles the group is spread evenly."""
    low, high = torch.tensor(QUANTILES[:-1], dtype=z.dtype), torch.tensor(QUANTILES[1:], dtype=z.dtype)
    part = ((label - low) / (high - low)).clamp(0, 1)
    below = torch.where(high > low, part, (low < label).to(z.dtype)).mean()
    up_to = torch.where(high > low, part, (low <= label).to(z.dtype)).mean()
    return entropy(z, ((below + up_to) / 2).expand_as(z)).sum()


LOSSES = {"odds": lambda z, y: odds(z, y, False), "odds of every row": lambda z, y: odds(z, y, True), "focal": focal,
          "cread": cread, "ordinal": ordinal, "d2q": d2q}


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(3)
    content = {"huber": HUBER, "thresholds": THRESHOLDS, "worth": WORTH, "restoration": RESTORATION, "ordering": ORDERING,
               "levels": LEVELS, "gamma": GAMMA, "quantiles": QUANTILES}
    for name, loss in LOSSES.items():
        cases = []
        for label in LABELS[name]:
            for _ in range(2):
                z = torch.rand(4 if name in ("cread", "ordinal") else 1, generator=generator, dtype=torch.float64) * 6 - 3
                z.requires_grad_()
                value = loss(z, label)
                (gradient,) = torch.autograd.grad(value, z)
                cases.append({"z": z.tolist(), "label": label, "value": value.item(), "gradient": gradient.tolist()})
        content[name] = cases
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in content.items())
    (Path(__file__).resolve().parent / "heads.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
