"""PyTorch's logits, losses and gradients of progressive layered extraction of two levels, for the gradient tests.

    venv/bin/python tests/torch/levels.py      # needs only PyTorch, as gradients.py

It writes levels.json beside itself, float64, matrices row-major: five rows of three numbers, the labels of two tasks, all
parameters, and what the mean cross entropies add up to makes of them. Here a gate has logits of the experts that it reaches
alone, and no others: one shared expert and one of each task, on either level; the shared gate of the first level reaches all.
"""

import json
from pathlib import Path

import torch
from torch import nn

TASKS = ["click", "like"]
GROUPS = ["shared", *TASKS]
WIDTHS, GATE_WIDTH, INPUTS, ROWS = [4, 3], 2, 3, 5


def stack(inputs, widths, last_relu):
    layers = []
    for i, width in enumerate(widths):
        layers.append(nn.Linear(inputs, width))
        if last_relu or i + 1 < len(widths):
            layers.append(nn.ReLU())
        inputs = width
    return nn.Sequential(*layers)


class Level(nn.Module):
    """Experts and gates, each on the input of its group."""

    def __init__(self, inputs, gates):
        super().__init__()
        self.experts = nn.ModuleDict({group: stack(inputs, WIDTHS, True) for group in GROUPS})
        reach = lambda gate: len(GROUPS) if gate == "shared" else 2
        self.gates = nn.ModuleDict({gate: stack(inputs, [GATE_WIDTH, reach(gate)], False) for gate in gates})

    def forward(self, inputs):
        outputs = {group: expert(inputs[group]) for group, expert in self.experts.items()}
        mixed = {}
        for gate, layers in self.gates.items():
            reached = GROUPS if gate == "shared" else ["shared", gate]
            share = torch.softmax(layers(inputs[gate]), dim=-1)
            mixed[gate] = sum(share[:, i : i + 1] * outputs[group] for i, group in enumerate(reached))
        return mixed


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    levels = nn.ModuleList([Level(INPUTS, [*TASKS, "shared"]), Level(WIDTHS[-1], TASKS)])
    heads = nn.ModuleDict({task: nn.Linear(WIDTHS[-1], 1) for task in TASKS})
    model = nn.ModuleDict({"level": levels, "head": heads})
    with torch.no_grad():
        for p in model.parameters():
            # Biases above 0, so that few outputs are cut off.
            p.copy_(torch.round(torch.rand_like(p) * 2 - (0.4 if p.dim() == 1 else 1), decimals=4))
    x = torch.randint(-512, 512, (ROWS, INPUTS)) / 256.0
    labels = {task: torch.randint(0, 2, (ROWS,)).double() for task in TASKS}
    mixed = {group: x for group in GROUPS}
    for level in levels:
        mixed = level(mixed)
    logits = {task: heads[task](mixed[task])[:, 0] for task in TASKS}
    losses = {task: nn.functional.binary_cross_entropy_with_logits(logits[task], labels[task]) for task in TASKS}
    sum(losses.values()).backward()
    flat = lambda value: value.detach().reshape(-1).tolist()
    content = {
        "x": [flat(row) for row in x],
        "labels": {task: flat(of) for task, of in labels.items()},
        "logits": {task: flat(of) for task, of in logits.items()},
        "losses": {task: of.item() for task, of in losses.items()},
        "parameters": {name: flat(p) for name, p in model.named_parameters()},
        "gradients": {name: flat(p.grad) for name, p in model.named_parameters()},
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in content.items())
    (Path(__file__).resolve().parent / "levels.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
