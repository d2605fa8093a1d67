#!/usr/bin/env python3
"""Do simulated hosts and real ones agree? The same steps on both, for 2, 3 and 4 hosts.

    python3 bench/scaling/agree.py [--mbits N] [--part N] [--steps N]

The real hosts are namespaces of this machine whose links are shaped to the rate
(tests/cluster/hosts.py: it takes root), and Open MPI runs between them over TCP; their computing is
sleeping, since they share the machine's cores. With --part all have so many times fewer weights: at
a rate that is lower by as much, the cores have less to move and a step takes as long. Prints a
table of docs/scaling.md.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

import fat_tree
import replay
import scaling

sys.path.insert(0, os.path.join(replay.ROOT, "tests", "cluster"))
import hosts  # noqa: E402

LATENCY = "25us"  # of a link: an assumption, small beside the wire time of a bucket
BARE = [(0, 0), (1e-6, 25000000), (0, 0)]
BUCKET = 4 << 20
LEAVES = 4
RUNS = (("100 MB, nothing computed", "bare", "tree", "thread"),
        ("ResNet-50, 32 pictures", "resnet50", "tree", "inline"),
        ("ResNet-50, 32 pictures", "resnet50", "tree", "thread"),
        ("AlexNet, 64 pictures", "alexnet", "tree", "thread"),
        ("AlexNet, 64 pictures, by a ring", "alexnet", "ring", "thread"))


def real(cluster, program, count, arguments):
    names = ",".join(f"{host.name}:1" for host in cluster.host[:count])
    command = ["mpirun", "--mca", "mpi_yield_when_idle", "1", "-H", names, program,
               *map(str, arguments)]
    done = subprocess.run(command, env=cluster.environment(), text=True, stdout=subprocess.PIPE,
                          check=True)
    return replay.seconds_of(done.stdout)


def profile_of(folder, name, part):
    """The network's profile, with a part of its weights."""
    parts = BARE if name == "bare" else scaling.parts_of(name)
    path = os.path.join(folder, f"{name}.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(f"{seconds:.6f} {floats // part}\n" for seconds, floats in parts))
    return path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mbits", type=int, default=500, help="a second, of a link")
    parser.add_argument("--part", type=int, default=1, help="of the weights, one in so many")
    parser.add_argument("--steps", type=int, default=5, help="real ones; their median counts")
    options = parser.parse_args()
    hosts.enter()
    print("| step | progress | hosts | simulated, s | real, s | middle half | real / simulated |")
    print("|" + " --- |" * 7)
    with tempfile.TemporaryDirectory(prefix="convoy-agree-") as folder, \
            hosts.Cluster(4, f"{options.mbits}mbit") as cluster:
        simulated, program = replay.build(folder, "simulated"), replay.build(folder, "real")
        for what, name, exchange, progress in RUNS:
            for count in (2, 3, 4):
                arguments = [profile_of(folder, name, options.part), exchange, progress,
                             BUCKET // options.part, LEAVES]
                network = fat_tree.write(folder, count, options.mbits / 1000, latency=LATENCY,
                                         shape=fat_tree.SWITCH)
                expected = replay.simulate(simulated, network, [*arguments, 1, 1])[0]
                found = real(cluster, program, count, [*arguments, options.steps + 1, 1])[1:]
                low, middle, high = statistics.quantiles(found, n=4)
                print(f"| {what} | {progress} | {count} | {expected:.3f} | {middle:.3f} "
                      f"| {low:.3f} to {high:.3f} | {middle / expected:.3f} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except hosts.Impossible as why:
        sys.exit(f"agree.py: {why}")
