"""What every runtime is measured by, in a process of its own. A peer calls main(name, precisions, build, open_model):

    build(n, precision, path)      writes its model for n candidates
    open_model(path, requests)     -> run(q), which ranks request q and returns outputs [n, 4]

    python PEER.py list | build | bench hoisted PRECISION [--threads 1] [--ns 1,50] [--min-time 0.25]
"""
import argparse, gc, json, os, time
import numpy as np
import workload as wl


def place(name, precision, n, ending):
    folder = os.path.join(wl.data_dir(), "models", name)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"hoisted_{precision}_n{n}.{ending}")


def offsets():
    """First row of each table in the one table of all, by side."""
    at, rows = 0, {}
    for side, tables in wl.IDS.items():
        rows[side] = np.cumsum([at, *tables])[:-1].astype(np.int32)
        at += sum(tables)
    return rows


def feeds(requests):
    """Requests as the graphs take them: ids are rows of the one table before the clock starts."""
    at = offsets()
    for q in range(len(requests["user"])):
        r = wl.one(requests, q)
        yield {
            "user": r["user"] + at["user"],
            "hist": r["hist"] + at["item"][0],
            "cand": np.concatenate([r["item"] + at["item"], r["ctx"] + at["ctx"]], 1),
            "dense": r["dense"],
        }


def split(weights):
    """The one table, and first layers of each side: (table, {name: (user weight, candidate weight, bias)})."""
    table = np.concatenate([weights[f"emb.{side}.{i}"] for side, ids in wl.IDS.items() for i in range(len(ids))])
    halves = lambda w, b: (weights[w][: wl.USER_INPUTS], weights[w][wl.USER_INPUTS :], weights[b])
    first = {f"expert.{e}": halves(f"expert.{e}.w1", f"expert.{e}.b1") for e in range(wl.EXPERTS)}
    first |= {f"gate.{t}": halves(f"gate.{t}.w", f"gate.{t}.b") for t in range(len(wl.TASKS))}
    return table, first


def mebibytes(key):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(key + ":")), 0.0)


def spearman(a, b):
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable") for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def measure(name, precision, n, cold, open_model, ending, min_time):
    requests = list(feeds(wl.load(f"inputs_n{n}.bin")))
    expected = wl.load(f"expected_n{n}.bin")["out"]
    path = place(name, precision, n, ending)
    with open(path, "rb") as model:  # into the page cache
        model.read()
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass
    resident = mebibytes("VmRSS")
    clock = time.perf_counter_ns
    times = [clock()]
    run = open_model(path, requests)
    times.append(clock())
    run(0)
    times.append(clock())
    for q in range(len(requests)):
        run(q)
    row = {"n": n, "threads": 1, "cold": cold, "load_ms": (times[1] - times[0]) / 1e6, "first_us": (times[2] - times[1]) / 1e3,
           "rss_peak_mb": mebibytes("VmHWM") - resident, "rss_after_mb": mebibytes("VmRSS") - resident}
    found = np.stack([np.array(run(q), np.float64).reshape(n, 4) for q in range(len(requests))])
    row["quality"] = {"max_abs": np.abs(found - expected).max((0, 1)).tolist()}
    if n >= 50:
        row["quality"]["spearman_score"] = float(np.mean([spearman(f[:, 3], e[:, 3]) for f, e in zip(found, expected)]))
    warm = clock() + int(0.15e9 * min_time)
    while clock() < warm:
        for q in range(len(requests)):
            run(q)
    gc.disable()
    taken, begin = [], clock()
    while clock() - begin < min_time * 1e9 or len(taken) < 40:
        q = len(taken) % len(requests)
        start = clock()
        run(q)
        taken.append(clock() - start)
    gc.enable()
    taken = np.sort(taken) / 1e3
    return row | {"p50_us": float(np.percentile(taken, 50)), "p99_us": float(np.percentile(taken, 99)),
                  "min_us": float(taken[0]), "iters": len(taken)}


def main(name, precisions, build, open_model, ending):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["list", "build", "bench"])
    parser.add_argument("layout", nargs="?")
    parser.add_argument("precision", nargs="?")
    parser.add_argument("--threads", type=int, choices=[1], default=1)
    parser.add_argument("--ns", default=",".join(map(str, wl.CANDIDATES)))
    parser.add_argument("--min-time", type=float, default=0.25)
    a = parser.parse_args()
    if a.what == "list":
        print(json.dumps([["hoisted", precision] for precision in precisions]))
    elif a.what == "build":
        for n in map(int, a.ns.split(",")):
            for precision in precisions:
                path = place(name, precision, n, ending)
                if not os.path.exists(path):
                    build(n, precision, path)
    else:
        # What is measured of a fresh process belongs to 200 candidates.
        ns = sorted(map(int, a.ns.split(",")), key=lambda n: n != 200)
        rows = [measure(name, a.precision, n, i == 0, open_model, ending, a.min_time) for i, n in enumerate(ns)]
        print("RESULT " + json.dumps({"peer": name, "layout": a.layout, "prec": a.precision, "rows": rows}))
