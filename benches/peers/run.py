#!/usr/bin/env python3
"""Measures pocketrank beside ONNX Runtime and LiteRT on MMoE-ref, interleaved on one core, and prints medians and ratios.

    python run.py [--rounds 5] [--cpu 1] [--ns 1,50,200,500] [--min-time 0.15] [--avx2] [--out results.json]

Writes the workload, every runtime's model and pocketrank's binaries first, where they are not there yet. Every measurement is a
fresh process; each round runs all of them in another order.
"""
import argparse, collections, json, os, random, statistics, subprocess, sys
import avx2
import mmoe_ref
import workload as wl

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = {name: [sys.executable, os.path.join(HERE, f"{name}_peer.py")] for name in ("onnxruntime", "litert")}


def prepare(ns):
    """The commands that answer for each runtime; those that are not installed are left out."""
    if not os.path.exists(os.path.join(wl.data_dir(), "manifest.json")):
        print("writing the workload to", wl.data_dir(), file=sys.stderr)
        wl.write(wl.data_dir())
    cargo = ["cargo", "build", "--release", "--quiet", "--features", "train", "--bin", "pocketrank", "--example", "peer"]
    subprocess.run(cargo, cwd=ROOT, check=True)
    target = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release")
    mmoe_ref.convert(wl.data_dir(), [os.path.join(target, "pocketrank")])
    commands = {"pocketrank": [os.path.join(target, "examples", "peer")]}
    for name, command in PEERS.items():
        built = subprocess.run([*command, "build", "--ns", ns], capture_output=True, text=True)
        if built.returncode == 0:
            commands[name] = command
        else:
            print(f"{name} is left out: {(built.stderr.strip() or '?').splitlines()[-1]}", file=sys.stderr)
    return commands


def pinned(cpu):
    # Where the system has no such call, nothing is pinned.
    return (lambda: os.sched_setaffinity(0, {cpu})) if hasattr(os, "sched_setaffinity") else None


def measure(commands, a, env=None):
    jobs = []
    for name, command in commands.items():
        listed = subprocess.run([*command, "list"], capture_output=True, text=True, check=True, env=env)
        jobs += [(name, command, *config) for config in json.loads(listed.stdout)]
    order, results = random.Random(0), []
    for number in range(a.rounds):
        order.shuffle(jobs)
        for name, command, layout, precision in jobs:
            arguments = ["bench", layout, precision, "--threads", "1", "--ns", a.ns, "--min-time", str(a.min_time)]
            done = subprocess.run([*command, *arguments], capture_output=True, text=True, preexec_fn=pinned(a.cpu), env=env)
            line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
            if done.returncode != 0 or line is None:
                print(f"{name} {layout} {precision} failed: {done.stderr[-300:]}", file=sys.stderr)
                continue
            results.append(json.loads(line.removeprefix("RESULT ")) | {"round": number})
        with open(a.out, "w") as out:
            json.dump(results, out)
        load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
        print(f"round {number + 1} of {a.rounds} done; load {load}", file=sys.stderr)
    return results


def table(results):
    rows = collections.defaultdict(list)
    for result in results:
        for row in result["rows"]:
            rows[result["peer"], result["layout"], result["prec"], row["n"]].append(row)
    ns = sorted({key[3] for key in rows})
    configs = sorted({key[:3] for key in rows}, key=lambda c: statistics.median(r["p50_us"] for r in rows[(*c, ns[-1])]))
    middle = lambda config, n, what: statistics.median(row[what] for row in rows[(*config, n)])
    least = lambda config, n: min(row["min_us"] for row in rows[(*config, n)])
    print("\nµs a request: median over rounds of each process's median (least of all runs)\n")
    print("| runtime | " + " | ".join(f"N = {n}" for n in ns) + " | load ms | first µs | MiB | max error click, duration, completion | Spearman |")
    print("|---" * (len(ns) + 6) + "|")
    for config in configs:
        cold = [row for n in ns for row in rows[(*config, n)] if row["cold"]]
        quality = rows[(*config, ns[-1])][-1]["quality"]
        of_cold = lambda what, digits: f"{statistics.median(row[what] for row in cold):.{digits}f}"
        cells = [f"{middle(config, n, 'p50_us'):.0f} ({least(config, n):.0f})" for n in ns]
        cells += [of_cold("load_ms", 1), of_cold("first_us", 0), of_cold("rss_peak_mb", 0)]
        cells += [", ".join(f"{x:.4f}" for x in quality["max_abs"][:3])]
        cells += [", ".join(f"{rows[(*config, n)][-1]['quality']['spearman_score']:.5f}" for n in ns if n >= 50) or "-"]
        print(f"| {' '.join(config)} | " + " | ".join(cells) + " |")
    others = [config for config in configs if config[0] != "pocketrank"]
    for layout, what in (("hoisted", "rows"), ("kept", "rows, item sums kept"), ("raw", "raw ids")):
        ours = ("pocketrank", layout, "int8")
        if ours not in configs or not others:
            continue
        print(f"\npocketrank ({what}) / best of the others (hoisted, any precision):")
        for n in ns:
            best = min(others, key=lambda config: middle(config, n, "p50_us"))
            quick = min(others, key=lambda config: least(config, n))
            print(f"  N = {n}: {middle(ours, n, 'p50_us') / middle(best, n, 'p50_us'):.2f} by medians (best: {' '.join(best[::2])}), "
                  f"{least(ours, n) / least(quick, n):.2f} by least times (best: {' '.join(quick[::2])})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=1 if (os.cpu_count() or 1) > 1 else 0)
    parser.add_argument("--ns", default=",".join(map(str, wl.CANDIDATES)))
    parser.add_argument("--min-time", type=float, default=0.15)
    parser.add_argument("--avx2", action="store_true", help="hide AVX-512 and VNNI from all runtimes (Linux on x86-64)")
    parser.add_argument("--out", help="default: results.json beside the workload, with --avx2 results-avx2.json")
    parser.add_argument("--show", help="print the tables of an earlier results.json, measure nothing")
    a = parser.parse_args()
    a.out = a.out or os.path.join(wl.data_dir(), "results-avx2.json" if a.avx2 else "results.json")
    if a.show:
        with open(a.show) as results:
            return table(json.load(results))
    commands, env = prepare(a.ns), None
    if a.avx2:
        commands, env = avx2.prepare(commands)
    table(measure(commands, a, env))


if __name__ == "__main__":
    main()
