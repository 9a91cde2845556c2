"""Losses over the rows of a request and their gradients by JAX's automatic differentiation, float64, for the tests of
src/train/loss/list.rs. Each loss is written here from its paper's formula, over one request, as plainly as can be.

    python -m venv venv && venv/bin/pip install jax
    venv/bin/python tests/jax/lists.py

writes lists.json beside itself: per case logits z, levels, utilities u, labels y, a teacher's logits t, and by loss its value and
its gradient by z (of "jrc" also by the levels).
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def pairwise(z, u):
    """RankNet (Burges et al. 2005), pairs weighed by their difference of utility."""
    w = jnp.maximum(u[:, None] - u[None, :], 0)
    return (w * jnp.logaddexp(0, -(z[:, None] - z[None, :]))).sum() / w.sum()


def listnet(z, u):
    """Cao et al. 2007, top one."""
    return -(jax.nn.softmax(u) * jax.nn.log_softmax(z)).sum()


def softmax(z, u):
    return -(u / u.sum() * jax.nn.log_softmax(z)).sum()


def lambdarank(z, u, places):
    """Burges 2010: pairs weighed by |delta NDCG|, of which the ideal DCG cancels out."""
    place = jnp.argsort(jnp.argsort(-z))
    discount = jnp.where(place < places, 1 / jnp.log2(place + 2.0), 0.0)
    w = jnp.maximum(u[:, None] - u[None, :], 0) * jnp.abs(discount[:, None] - discount[None, :])
    w = jax.lax.stop_gradient(w)
    return (w * jnp.logaddexp(0, -(z[:, None] - z[None, :]))).sum() / w.sum()


def rcr(z, y):
    """Bai et al. 2023: the list loss on sigmoids."""
    p = jax.nn.sigmoid(z)
    return -(y / y.sum() * jnp.log(p / p.sum())).sum()


def jrc(z, level, y):
    """Sheng et al. 2023: each row's logit of its own class in the softmax of that class's logits over the request."""
    one, zero = level + z / 2, level - z / 2
    share = y * jax.nn.log_softmax(one) + (1 - y) * jax.nn.log_softmax(zero)
    return -share.mean()


def taught(z, t, temperature):
    """RankNet with soft targets, at a temperature."""
    n = len(z)
    i, j = np.tril_indices(n, -1)
    target = jax.nn.sigmoid((t[i] - t[j]) / temperature)
    margin = (z[i] - z[j]) / temperature
    loss = -target * jax.nn.log_sigmoid(margin) - (1 - target) * jax.nn.log_sigmoid(-margin)
    return temperature**2 * loss.mean()


def main():
    random = np.random.default_rng(5)
    cases = []
    for n in (2, 5, 12, 40):
        z, level, t = (jnp.asarray(random.normal(0, s, n)) for s in (2.0, 1.0, 1.5))
        u = np.round(random.gamma(0.5, 2.0, n), 3)
        y = (random.random(n) < 0.4).astype(float)
        y[0], y[1] = 1.0, 0.0
        losses = {
            "pairwise": jax.value_and_grad(pairwise)(z, u),
            "listnet": jax.value_and_grad(listnet)(z, u),
            "softmax": jax.value_and_grad(softmax)(z, u),
            "lambdarank": jax.value_and_grad(lambdarank)(z, u, 10**9),
            "lambdarank at 4": jax.value_and_grad(lambdarank)(z, u, 4),
            "rcr": jax.value_and_grad(rcr)(z, y),
            "taught": jax.value_and_grad(taught)(z, t, 2.5),
        }
        value, (by_z, by_level) = jax.value_and_grad(jrc, (0, 1))(z, level, y)
        case = {"z": z, "level": level, "u": u, "y": y, "t": t}
        case = {name: np.asarray(x).tolist() for name, x in case.items()}
        case["losses"] = {name: {"value": float(v), "by_z": g.tolist()} for name, (v, g) in losses.items()}
        case["losses"]["jrc"] = {"value": float(value), "by_z": by_z.tolist(), "by_level": by_level.tolist()}
        cases.append(case)
    Path(__file__).with_name("lists.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
