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
import typing

import fat_tree
import picture
import replay

RESULTS = os.path.join(replay.HERE, "results.json")
PAGE = os.path.join(replay.ROOT, "docs", "scaling.md")
PICTURE = os.path.join(replay.ROOT, "docs", "scaling.svg")

NETWORKS = {"resnet50": "ResNet-50, 32 pictures a rank", "vgg16": "VGG-16, 32 pictures a rank",
            "alexnet": "AlexNet, 64 pictures a rank"}
RANKS = (2, 4, 16, 64, 256, 1024)
UNEVEN = (3, 12, 24)  # not powers of two: worker/exchange/partials.c
BUCKET = {"resnet50": 16, "vgg16": 32, "alexnet": 16}  # MiB
DEFAULT_BUCKET = 4  # MiB, of the program
# Leaves a rank: of three ranks none has more than 1.03 times the mean of pictures.
LEAST, LESS = 8, (1, 2, 4)
BESIDE = (16, 64)  # ranks: a ring's messages are many, and SimGrid's own algorithms move real bytes

# SimGrid's own algorithms: a ring, and what Open MPI would choose.
ALLREDUCES = {"lr": "ring", "ompi": "Open MPI's choice"}


class Case(typing.NamedTuple):
    network: str
    ranks: int
    gbits: int = 10
    exchange: str = "tree"
    progress: str = "thread"
    speed: int = 1  # times as fast as measured
    bucket: int = 0  # MiB; 0: BUCKET
    acknowledged: bool = True  # SimGrid charges the way back (fat_tree.BOTH_WAYS)
    least: int = 0  # leaves a rank; 0: LEAST

    def words(self):
        more = f" {self.bucket} MiB" if self.bucket else ""
        more += "" if self.acknowledged else " unacknowledged"
        more += f" {self.least} leaves" if self.least else ""
        return (f"{self.network} {self.ranks} ranks {self.gbits} Gbit/s {self.exchange} "
                f"{self.progress} x{self.speed}{more}")

    def leaves(self):
        """Of the batch, a power of two. It makes no difference where ranks are one too: each then
        has one subtree."""
        return 1 << ((self.least or LEAST) * self.ranks - 1).bit_length()

    def largest_share(self):
        """The pictures of the rank that has most, the mean being 1."""
        return -(-self.leaves() // self.ranks) * self.ranks / self.leaves()


def cases():
    for network in NETWORKS:
        for ranks in RANKS:
            for speed in (1, 10):
                yield Case(network, ranks, speed=speed)
            yield Case(network, ranks, progress="inline")
        for speed in (1, 10):
            for ranks in UNEVEN:
                yield Case(network, ranks, speed=speed)
            yield Case(network, 64, speed=speed, bucket=DEFAULT_BUCKET)
            for least in LESS:
                yield Case(network, 3, speed=speed, least=least)
            for ranks in BESIDE:
                for exchange in ("ring", *ALLREDUCES):
                    yield Case(network, ranks, exchange=exchange, speed=speed)
        for gbits in (100, 200):
            yield Case(network, 1024, gbits, speed=10)
        yield Case(network, 1024, speed=10, acknowledged=False)
    yield Case("alexnet", 1024, speed=10, bucket=DEFAULT_BUCKET)


# ---- what a step takes ----

def parts_of(network):
    path = os.path.join(replay.HERE, "profiles", f"{network}.txt")
    with open(path, encoding="ascii") as file:
        return [(float(seconds), int(floats)) for seconds, floats in map(str.split, file)]


def alone(network, speed):
    """Seconds of a step of one rank."""
    return sum(seconds for seconds, _ in parts_of(network)) / speed


def bound(case):
    """No such step can take less (docs/scaling.md)."""
    share = case.largest_share() / case.speed
    *computed, (update, _) = parts_of(case.network)
    longest = (sum(seconds for seconds, _ in computed) * share
               + update / case.speed / case.ranks)
    left, now = sum(floats for _, floats in computed), 0.0
    for seconds, floats in computed:
        now += seconds * share
        if floats:
            wire = 2 * (case.ranks - 1) / case.ranks * 4 * left
            longest = max(longest, now + wire / (case.gbits / 8 * 1e9 * fat_tree.PAYLOAD))
            left -= floats
    return longest


# ---- runs ----

def run(program, folder, case):
    allreduce = case.exchange if case.exchange in ALLREDUCES else None
    arguments = [os.path.join(replay.HERE, "profiles", f"{case.network}.txt"),
                 "allreduce" if allreduce else case.exchange, case.progress,
                 (case.bucket or BUCKET[case.network]) << 20, case.leaves(), 1, case.speed]
    where = fat_tree.write(folder, case.ranks, case.gbits, acknowledged=case.acknowledged)
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
    missing = [case for case in cases() if case.words() not in results
               and all(word in case.words().split() for word in only)]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="convoy-scaling-") as folder:
        program = replay.build(folder, "simulated")
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            runs = {pool.submit(run, program, folder, case): case for case in missing}
            for done in concurrent.futures.as_completed(runs):
                words = runs[done].words()
                results[words] = done.result()
                print(f"{words}: {done.result():.4f} s", file=sys.stderr)
                save(results)


# ---- the page ----

def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + " --- |" * len(head),
                      *(f"| {' | '.join(row)} |" for row in rows)])


def percent(part, whole):
    return f"{100 * part / whole:.1f} %"


def told(results, case):
    """The step of a case and its two shares, or what stands for a run that there is not."""
    step = results.get(case.words())
    return ["–"] * 3 if step is None else [
        f"{step:.3f}", percent(alone(case.network, case.speed), step), percent(bound(case), step)]


def ranks_table(results):
    for network, name in sorted(NETWORKS.items()):
        for speed in (10, 1):
            for ranks in sorted(RANKS + UNEVEN):
                case = Case(network, ranks, speed=speed)
                inline = told(results, case._replace(progress="inline"))[1]
                if case.words() in results:
                    yield [name, f"{speed}×", f"{ranks:,}", *told(results, case), inline]


def leaves_table(results):
    for network, name in NETWORKS.items():
        for speed in (1, 10):
            cells = []
            for least in (*LESS, 0):
                _, efficiency, share = told(results, Case(network, 3, speed=speed, least=least))
                cells.append(f"{efficiency}, {share}")
            yield [name, f"{speed}×", *cells]


def buckets_table(results):
    for case in cases():
        if case.bucket and case.words() in results:
            for bucket in (case.bucket, 0):
                yield [NETWORKS[case.network], f"{case.speed}×", f"{case.ranks:,}",
                       f"{bucket or BUCKET[case.network]} MiB",
                       *told(results, case._replace(bucket=bucket))]


def rates_table(results):
    for network, name in NETWORKS.items():
        for gbits in (10, 100, 200):
            case = Case(network, 1024, gbits, speed=10)
            if case.words() in results:
                yield [name, str(gbits), f"{results[case.words()]:.4f}", *told(results, case)[1:]]


def acknowledged_table(results):
    for network, name in NETWORKS.items():
        case = Case(network, 1024, speed=10)
        charged, free = told(results, case), told(results, case._replace(acknowledged=False))
        yield [name, charged[0], charged[2], free[0], free[2]]


def ways_table(results):
    names = {"tree": "Convoy", "ring": "a ring, by Convoy's own files",
             **{key: f"SimGrid's {name} (`{key}`)" for key, name in ALLREDUCES.items()}}
    for network in NETWORKS:
        for ranks in BESIDE:
            for exchange, name in names.items():
                found = [told(results, Case(network, ranks, exchange=exchange, speed=speed))
                         for speed in (1, 10)]
                cells = [f"{step} s, {share}" if step != "–" else step for step, _, share in found]
                if cells != ["–", "–"]:
                    yield [NETWORKS[network], str(ranks), name, *cells]


def tables(results):
    step = ["step, s", "efficiency", "of the bound"]
    leaves = [f"{Case('', 3, least=least).leaves()} leaves" for least in (*LESS, 0)]
    return {
        "ranks": table(["network", "computing", "ranks", *step, "efficiency, inline"],
                       ranks_table(results)),
        "leaves": table(["network", "computing", *leaves], leaves_table(results)),
        "buckets": table(["network", "computing", "ranks", "buckets", *step],
                         buckets_table(results)),
        "rates": table(["network", "Gbit/s", *step], rates_table(results)),
        "acknowledged": table(["network", "step, s", "of the bound", "step without, s",
                               "of the bound"], acknowledged_table(results)),
        "ways": table(["network", "ranks", "exchange", "as measured: step, of the bound",
                       "ten times faster"], ways_table(results)),
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


def efficiencies(results, network, speed, all_ranks, exchange="tree"):
    for ranks in all_ranks:
        step = results.get(Case(network, ranks, exchange=exchange, speed=speed).words())
        if step is not None:
            yield ranks, alone(network, speed) / step


def marks(results, network, speed):
    """For the picture: {what: [(ranks, efficiency)]}."""
    return {
        "bound": [(ranks, alone(network, speed) / bound(Case(network, ranks, speed=speed)))
                  for ranks in RANKS],
        "tree": list(efficiencies(results, network, speed, RANKS)),
        "uneven": list(efficiencies(results, network, speed, UNEVEN)),
        **{exchange: list(efficiencies(results, network, speed, BESIDE, exchange))
           for exchange in ("ring", *ALLREDUCES)}}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="words that a run must have, with commas")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="runs")
    options = parser.parse_args()
    results = load()
    run_missing(results, options.only.split(",") if options.only else [], options.at_once)
    renew_page(results)
    panels = [(name, {speed: marks(results, network, speed) for speed in (1, 10)})
              for network, name in NETWORKS.items()]
    with open(PICTURE, "w", encoding="utf-8") as file:
        file.write(picture.draw(panels, RANKS))


if __name__ == "__main__":
    main()
