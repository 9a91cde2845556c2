"""PyTorch's losses, gradients and optimizer steps of a tiny MMoE, for the gradient tests.

Run from anywhere (needs only PyTorch; any 2.x on a CPU):

    python -m venv venv && venv/bin/pip install torch
    venv/bin/python tests/torch/gradients.py

It writes two files beside itself, all numbers float64, weight matrices [out, in] row-major:

gradients.json
    network            sizes, the order of the inputs in x, the Huber delta
    batch              inputs, labels, row weights and 0/1 sample spaces of 12 rows; a null label is unknown
    task_weights       weight of each task in the total loss
    parameters         {name: {shape, data}}
    logits, losses     {task: ...}; a loss is not yet multiplied by its task's weight
    total_loss         sum over tasks of weight x loss
    gradients          of total_loss, {name: {shape, data}}
    task_gradients     of one task's loss, not multiplied by its weight; only the parameters that the task uses
    adam_step          dense parameters after one step of Adam(lr 0.01, betas 0.9 / 0.999, eps 1e-8)
    adagrad_step       dense parameters after one step of Adagrad(lr 0.05, eps 1e-10, accumulator from 0)
gradients_extended.json
    the same network and parameters (not repeated), the batch extended by 5 rows outside every space: batch, logits,
    losses, total_loss and gradients. The script asserts that losses and gradients are those of the 12 rows.

Network: x = concat(user, item, mean of recent, weighted sum of tags, numbers). `recent` and `item` share a table. An
empty list is the zero vector. Each of 3 experts is Linear(15, 8), ReLU, Linear(8, 6), ReLU; the gate of a task is the
softmax of Linear(15, 3); its mixture goes through Linear(6, 5), ReLU, Linear(5, 1).

Loss of a task = sum(w_i * loss_i) / sum(w_i) over the rows of its space:
    click       binary cross-entropy, valid rows
    duration    Huber (delta 1) of logit - log1p(seconds), valid clicked rows
    completion  binary cross-entropy, valid clicked rows whose label is known
"""

import json
import math
from pathlib import Path

import torch
from torch.nn import functional

HERE = Path(__file__).resolve().parent
SEED = 20
EXPERTS, HIDDEN, MIXTURE, TOWER, NUMBERS = 3, 8, 6, 5, 2
TABLES = {"user": (5, 2), "item": (7, 4), "tag": (6, 3)}
WIDTH = 2 + 4 + 4 + 3 + NUMBERS
TASK_WEIGHTS = {"click": 1.0, "duration": 0.5, "completion": 2.0}
DELTA = 1.0

BATCH = {
    "user": [0, 1, 2, 3, 1, 2, 4, 1, 3, 2, 4, 1],
    "item": [1, 2, 3, 4, 5, 1, 2, 3, 0, 4, 1, 2],
    "recent": [[1, 2, 3], [], [4], [5, 5, 1, 0], [2, 3], [1], [], [3, 4, 5, 1, 2], [2], [4, 1], [5], [0, 1]],
    "tags": [[1], [2, 3], [], [4, 1, 2], [3], [1, 2], [4], [], [2, 2], [3, 1], [1], [4, 3]],
    "tag_weights": [[1.0], [0.5, 0.25], [], [0.75, 1.0, 0.125], [0.0], [1.0, 0.5], [0.25], [], [0.5, 0.5],
                    [1.0, 0.875], [0.625], [0.5, 1.0]],
    "numbers": [[0.5, -1.25], [-0.75, 0.25], [1.5, 0.0], [0.0, 0.875], [-1.0, -0.5], [0.25, 1.75], [2.0, -0.25],
                [-0.125, 0.625], [0.375, -1.5], [1.125, 1.0], [-1.75, 0.75], [0.625, -0.375]],
    "row_weight": [1.0, 0.5, 2.0, 1.0, 1.0, 0.25, 1.5, 1.0, 3.0, 1.0, 2.0, 0.75],
    # Rows 8 and 11 are in no space, whatever their labels say; the completion of row 3 is unknown although clicked.
    "valid": [1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0],
    "click": [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0],
    "seconds": [12.5, 0.0, 0.75, 45.0, 0.0, 3.0, 150.0, 0.0, 20.0, 6.0, 0.0, 0.0],
    "completion": [1, None, 0, None, None, 1, 0, None, 1, 1, None, None],
}
OUTSIDE = {
    "user": [1, 4, 0, 2, 3],
    "item": [6, 1, 6, 3, 2],
    "recent": [[6, 6], [], [1, 2], [3], [0]],
    "tags": [[5], [1, 5], [], [2], [3, 4]],
    "tag_weights": [[1.0], [0.25, 1.0], [], [0.5], [0.125, 0.75]],
    "numbers": [[3.0, -3.0], [0.5, 0.5], [-2.0, 1.0], [0.0, 0.0], [1.0, -1.0]],
    "row_weight": [5.0, 1.0, 0.5, 2.0, 10.0],
    "valid": [0, 0, 0, 0, 0],
    "click": [1, 0, 1, 1, 0],
    "seconds": [9.0, 0.0, 1000.0, 2.0, 0.0],
    "completion": [1, None, None, 0, None],
}


def with_spaces(batch):
    clicked = [valid * click for valid, click in zip(batch["valid"], batch["click"])]
    known = [int(label is not None) for label in batch["completion"]]
    space = {"click": batch["valid"], "duration": clicked, "completion": [c * k for c, k in zip(clicked, known)]}
    return {**batch, "space": space}


def initial_parameters():
    generator = torch.Generator().manual_seed(SEED)

    def uniform(shape, bound):
        values = (torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1) * bound
        # Six decimals: a reader in any precision starts from the same short numbers.
        return torch.round(values, decimals=6)

    parameters = {f"table.{name}": uniform(shape, 0.8) for name, shape in TABLES.items()}

    def linear(name, inputs, outputs):
        bound = math.sqrt(3.0 / inputs)
        parameters[f"{name}.weight"] = uniform((outputs, inputs), bound)
        parameters[f"{name}.bias"] = uniform((outputs,), 0.3)

    for expert in range(EXPERTS):
        linear(f"expert.{expert}.0", WIDTH, HIDDEN)
        linear(f"expert.{expert}.1", HIDDEN, MIXTURE)
    for task in TASK_WEIGHTS:
        linear(f"gate.{task}", WIDTH, EXPERTS)
        linear(f"tower.{task}.0", MIXTURE, TOWER)
        linear(f"head.{task}", TOWER, 1)
    return {name: value.requires_grad_() for name, value in parameters.items()}


def rows(batch):
    return len(batch["user"])


def gather(parameters, batch):
    user, item, tag = (parameters[f"table.{name}"] for name in TABLES)
    recent = [item[ids].mean(0) if ids else torch.zeros(item.shape[1], dtype=item.dtype) for ids in batch["recent"]]
    tags = [
        (torch.tensor(weights, dtype=tag.dtype)[:, None] * tag[ids]).sum(0) if ids
        else torch.zeros(tag.shape[1], dtype=tag.dtype)
        for ids, weights in zip(batch["tags"], batch["tag_weights"])
    ]
    numbers = torch.tensor(batch["numbers"], dtype=user.dtype)
    return torch.cat([user[batch["user"]], item[batch["item"]], torch.stack(recent), torch.stack(tags), numbers], 1)


def forward(parameters, batch, before_relu=None):
    def linear(name, x):
        return functional.linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

    def hidden(name, x):
        y = linear(name, x)
        if before_relu is not None:
            before_relu.append(y.detach())
        return torch.relu(y)

    x = gather(parameters, batch)
    assert x.shape == (rows(batch), WIDTH)
    experts = torch.stack([hidden(f"expert.{e}.1", hidden(f"expert.{e}.0", x)) for e in range(EXPERTS)], 1)
    logits = {}
    for task in TASK_WEIGHTS:
        gate = torch.softmax(linear(f"gate.{task}", x), 1)
        mixture = (gate[:, :, None] * experts).sum(1)
        logits[task] = linear(f"head.{task}", hidden(f"tower.{task}.0", mixture))[:, 0]
    return logits


def task_loss(task, logit, batch):
    weight = torch.tensor(batch["row_weight"], dtype=logit.dtype) * torch.tensor(batch["space"][task])
    if task == "duration":
        target = torch.log1p(torch.tensor(batch["seconds"], dtype=logit.dtype))
        loss = functional.huber_loss(logit, target, reduction="none", delta=DELTA)
    else:
        target = torch.tensor([label or 0 for label in batch[task]], dtype=logit.dtype)
        loss = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    return (weight * loss).sum() / weight.sum()


def evaluate(parameters, batch):
    logits = forward(parameters, batch)
    losses = {task: task_loss(task, logits[task], batch) for task in TASK_WEIGHTS}
    return logits, losses, sum(TASK_WEIGHTS[task] * losses[task] for task in TASK_WEIGHTS)


def gradients_of(loss, parameters):
    found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
    return {name: grad for name, grad in zip(parameters, found) if grad is not None}


def one_step(optimizer_class, parameters, gradients, **options):
    dense = {name: value.detach().clone() for name, value in parameters.items() if not name.startswith("table.")}
    for name, value in dense.items():
        value.grad = gradients[name].clone()
    optimizer_class(list(dense.values()), **options).step()
    return dense


def check_finite_differences(parameters, batch, gradients, step=1e-6):
    """Central differences of some entries of every parameter agree with autograd."""
    worst = 0.0
    with torch.no_grad():
        for name, value in parameters.items():
            flat, expected = value.view(-1), gradients[name].reshape(-1)
            for index in range(0, flat.numel(), max(1, flat.numel() // 5)):
                kept = flat[index].item()
                flat[index] = kept + step
                above = evaluate(parameters, batch)[2].item()
                flat[index] = kept - step
                below = evaluate(parameters, batch)[2].item()
                flat[index] = kept
                worst = max(worst, abs((above - below) / (2 * step) - expected[index].item()))
    assert worst < 1e-8, f"finite differences are {worst} from autograd"


def check_away_from_kinks(parameters, batch):
    """No ReLU input is so near 0 that f32 could take its other side; both branches of Huber are taken."""
    before_relu = []
    logits = forward(parameters, batch, before_relu)
    nearest = min(value.abs().min().item() for value in before_relu)
    assert nearest > 1e-4, f"a ReLU input is {nearest} from 0: choose another seed"
    error = (logits["duration"] - torch.log1p(torch.tensor(batch["seconds"], dtype=torch.float64))).abs()
    inside = error[torch.tensor(batch["space"]["duration"]) == 1]
    assert (inside < DELTA).any() and (inside > DELTA).any(), f"one branch of Huber is not taken: {inside}"


def tensors(values):
    return {name: {"shape": list(value.shape), "data": value.detach().reshape(-1).tolist()} for name, value in values.items()}


def lists(values):
    return {name: value.detach().reshape(-1).tolist() for name, value in values.items()}


def write(name, content):
    # One line for each entry of the second level: compact, and still readable in a diff.
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value.items())
            parts.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path = HERE / name
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    assert path.stat().st_size <= 200_000, f"{name} has {path.stat().st_size} bytes"
    print(f"{name}: {path.stat().st_size} bytes")


def main():
    torch.set_num_threads(1)
    parameters = initial_parameters()
    batch = with_spaces(BATCH)
    assert all(len(column) == 12 for column in BATCH.values())

    logits, losses, total = evaluate(parameters, batch)
    gradients = gradients_of(total, parameters)
    task_gradients = {task: gradients_of(losses[task], parameters) for task in TASK_WEIGHTS}
    assert gradients.keys() == parameters.keys()
    for name in parameters:
        of_tasks = sum(TASK_WEIGHTS[t] * g[name] for t, g in task_gradients.items() if name in g)
        torch.testing.assert_close(of_tasks, gradients[name], rtol=1e-12, atol=1e-14)
    check_away_from_kinks(parameters, batch)
    check_finite_differences(parameters, batch, gradients)

    extended = with_spaces({key: BATCH[key] + OUTSIDE[key] for key in BATCH})
    extended_logits, extended_losses, extended_total = evaluate(parameters, extended)
    extended_gradients = gradients_of(extended_total, parameters)
    check_away_from_kinks(parameters, extended)
    for task in TASK_WEIGHTS:
        torch.testing.assert_close(extended_losses[task], losses[task], rtol=1e-13, atol=0)
    for name in parameters:
        torch.testing.assert_close(extended_gradients[name], gradients[name], rtol=1e-12, atol=1e-14)

    write("gradients.json", {
        "network": {
            "tables": {name: list(shape) for name, shape in TABLES.items()},
            "inputs": ["user", "item", "recent", "tags", "numbers"],
            "experts": EXPERTS, "expert_layers": [HIDDEN, MIXTURE], "tower_layers": [TOWER], "huber_delta": DELTA,
        },
        "batch": batch,
        "task_weights": TASK_WEIGHTS,
        "parameters": tensors(parameters),
        "logits": lists(logits),
        "losses": {task: loss.item() for task, loss in losses.items()},
        "total_loss": total.item(),
        "gradients": tensors(gradients),
        "task_gradients": {task: tensors(found) for task, found in task_gradients.items()},
        "adam_step": lists(one_step(torch.optim.Adam, parameters, gradients, lr=0.01, betas=(0.9, 0.999), eps=1e-8)),
        "adagrad_step": lists(one_step(torch.optim.Adagrad, parameters, gradients, lr=0.05, eps=1e-10)),
    })
    write("gradients_extended.json", {
        "batch": extended,
        "logits": lists(extended_logits),
        "losses": {task: loss.item() for task, loss in extended_losses.items()},
        "total_loss": extended_total.item(),
        "gradients": tensors(extended_gradients),
    })


if __name__ == "__main__":
    main()
