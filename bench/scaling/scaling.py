#!/usr/bin/env python3
"""Scaling by simulation: the exchange's own source files on up to 1,024 hosts that SimGrid plays.

    python3 bench/scaling/scaling.py [--only WORD,...] [--at-once N]

runs what results.json does not hold yet (the largest take minutes of a core each), keeps it there,
and renews the tables of docs/scaling.md and the picture beside it. With --only just the runs that
have all these words ("vgg16,1024,x10"). It takes Debian's libsimgrid-dev; docs/scaling.md says what
is simulated, and how far to trust it.
"""
import argparse
import concurrent.futures
import json
import os
import re
import sys
import tempfile

import fat_tree
import picture
import replay

RESULTS = os.path.join(replay.HERE, "results.json")
PAGE = os.path.join(replay.ROOT, "docs", "scaling.md")
PICTURE = os.path.join(replay.ROOT, "docs", "scaling.svg")

NETWORKS = {"resnet50": "ResNet-50, 32 pictures a rank", "vgg16": "VGG-16, 32 pictures a rank",
            "alexnet": "AlexNet, 64 pictures a rank"}
RANKS = (2, 4, 16, 64, 256, 1024)
BUCKET = {"resnet50": 16 << 20, "vgg16": 32 << 20, "alexnet": 16 << 20}  # bytes
FEW = 16  # ranks: SimGrid's own algorithms move real bytes, and a ring many messages

# SimGrid's own algorithms: a ring, and what Open MPI would choose.
ALLREDUCES = {"lr": "ring", "ompi": "Open MPI's choice"}


def cases():
    """(network, ranks, Gbit/s, exchange, progress, how many times as fast as measured)."""
    for ranks in RANKS:
        for network in NETWORKS:
            for speed in (1, 10):
                yield network, ranks, 10, "tree", "thread", speed
            yield network, ranks, 10, "tree", "inline", 1
    for network in NETWORKS:
        for gbits in (100, 200):
            yield network, 1024, gbits, "tree", "thread", 10
        for speed in (1, 10):
            yield network, FEW, 10, "ring", "thread", speed
            for allreduce in ALLREDUCES:
                yield network, FEW, 10, allreduce, "thread", speed


def words(case):
    network, ranks, gbits, exchange, progress, speed = case
    return f"{network} {ranks} ranks {gbits} Gbit/s {exchange} {progress} x{speed}"


# ---- what a step takes ----

def parts_of(network):
    path = os.path.join(replay.HERE, "profiles", f"{network}.txt")
    with open(path, encoding="ascii") as file:
        return [(float(seconds), int(floats)) for seconds, floats in map(str.split, file)]


def alone(network, speed):
    """Seconds of a step of one rank."""
    return sum(seconds for seconds, _ in parts_of(network)) / speed


def bound(network, ranks, gbits, speed):
    """No step of `ranks` ranks can take less (docs/scaling.md)."""
    parts = [(seconds / speed, floats) for seconds, floats in parts_of(network)]
    *computed, (update, _) = parts
    longest = sum(seconds for seconds, _ in computed) + update / ranks
    left, now = sum(floats for _, floats in computed), 0.0
    for seconds, floats in computed:
        now += seconds
        if floats:
            wire = 2 * (ranks - 1) / ranks * 4 * left / (gbits / 8 * 1e9 * fat_tree.PAYLOAD)
            longest = max(longest, now + wire)
            left -= floats
    return longest


# ---- runs ----

def run(program, folder, case):
    network, ranks, gbits, exchange, progress, speed = case
    allreduce = exchange if exchange in ALLREDUCES else None
    arguments = [os.path.join(replay.HERE, "profiles", f"{network}.txt"),
                 "allreduce" if allreduce else exchange, progress, BUCKET[network], 1, speed]
    where = fat_tree.write(folder, ranks, gbits)
    return replay.simulate(program, where, arguments, allreduce)[0]


def load():
    if not os.path.exists(RESULTS):
        return {}
    with open(RESULTS, encoding="ascii") as file:
        return json.load(file)


def save(results):
    with open(RESULTS, "w", encoding="ascii") as file:
        json.dump(results, file, indent=1, sort_keys=True)
        file.write("\n")


def run_missing(results, only, at_once):
    missing = [case for case in cases() if words(case) not in results
               and all(word in words(case).split() for word in only)]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="convoy-scaling-") as folder:
        program = replay.build(folder, "simulated")
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            runs = {pool.submit(run, program, folder, case): case for case in missing}
            for done in concurrent.futures.as_completed(runs):
                results[words(runs[done])] = done.result()
                print(f"{words(runs[done])}: {done.result():.4f} s", file=sys.stderr)
                save(results)


# ---- the page ----

def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + " --- |" * len(head),
                      *(f"| {' | '.join(row)} |" for row in rows)])


def percent(part, whole):
    return f"{100 * part / whole:.1f} %"


def ranks_table(results):
    for case in cases():
        network, ranks, gbits, exchange, progress, speed = case
        step = results.get(words(case))
        if step is None or exchange != "tree" or progress != "thread" or gbits != 10:
            continue
        inline = results.get(words((network, ranks, gbits, exchange, "inline", speed)))
        yield [NETWORKS[network], f"{speed}×", f"{ranks:,}", f"{step:.3f}",
               percent(alone(network, speed), step),
               percent(bound(network, ranks, gbits, speed), step),
               percent(alone(network, speed), inline) if inline else "–"]


def rates_table(results):
    for network, name in NETWORKS.items():
        for gbits in (10, 100, 200):
            step = results.get(words((network, 1024, gbits, "tree", "thread", 10)))
            if step is not None:
                yield [name, str(gbits), f"{step:.4f}", percent(alone(network, 10), step),
                       percent(bound(network, 1024, gbits, 10), step)]


def ways_table(results):
    names = {"tree": "Convoy", "ring": "a ring, by Convoy's own files",
             **{key: f"SimGrid's {name} (`{key}`)" for key, name in ALLREDUCES.items()}}
    for network in NETWORKS:
        for exchange, name in names.items():
            steps = [results.get(words((network, FEW, 10, exchange, "thread", speed)))
                     for speed in (1, 10)]
            if all(steps):
                yield [NETWORKS[network], name,
                       *(f"{step:.3f} s, {percent(bound(network, FEW, 10, speed), step)}"
                         for step, speed in zip(steps, (1, 10)))]


def tables(results):
    return {
        "ranks": table(["network", "computing", "ranks", "step, s", "efficiency", "of the bound",
                        "efficiency, inline"],
                       sorted(ranks_table(results), key=lambda row: (row[0], row[1]))),
        "rates": table(["network", "Gbit/s", "step, s", "efficiency", "of the bound"],
                       rates_table(results)),
        "ways": table(
            ["network", "exchange", "as measured: step, of the bound", "ten times faster"],
            ways_table(results)),
    }


def renew_page(results):
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    for name, text in tables(results).items():
        place = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        page = re.sub(place, lambda match, text=text: match[1] + text + "\n" + match[2], page,
                      flags=re.S)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page)


def curves(results, network):
    """For the picture: (speed, [(ranks, efficiency)], [(ranks, the bound's)])."""
    for speed in (1, 10):
        found = [(ranks, results.get(words((network, ranks, 10, "tree", "thread", speed))))
                 for ranks in RANKS]
        yield (speed, [(ranks, alone(network, speed) / step) for ranks, step in found if step],
               [(ranks, alone(network, speed) / bound(network, ranks, 10, speed))
                for ranks in RANKS])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="words that a run must have, with commas")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="runs")
    options = parser.parse_args()
    results = load()
    run_missing(results, options.only.split(",") if options.only else [], options.at_once)
    renew_page(results)
    panels = [(name, list(curves(results, network))) for network, name in NETWORKS.items()]
    with open(PICTURE, "w", encoding="utf-8") as file:
        file.write(picture.draw(panels, RANKS))


if __name__ == "__main__":
    main()
