#!/usr/bin/env python3
"""The same bits, however the work is cut: trains one recipe in many ways and compares the files.

    same_bits.py --program build/release/convoy --all       every combination (about an hour), but
                                                            nothing made again for backward
    same_bits.py --program build/release/convoy --pairs     every pair of settings at least once
    same_bits.py --program build/release/convoy --counts    every number of ranks that has a leaf each
    same_bits.py --program build/release/convoy --kills 6   killed and resumed on other ranks
    same_bits.py --program build/release/convoy --golden    against the digest in golden.json
    same_bits.py --program build/release/convoy --notices   a changed bit and a ring are noticed
    same_bits.py --program build/release/convoy --variants  other optimizers and options

--report FILE writes the table of docs/same-bits.md; --record writes golden.json anew.
"""
import argparse
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import evidence
import variants
from lab import (EPOCHS, FACTORS, HERE, LEAVES, PLAIN, STEPS, Failure, Lab, file_digest, same_files,
                 words)

GOLDEN = os.path.join(HERE, "golden.json")
KILL_EPOCHS = 40
COUNTED_NODES = ("16", "1,2,13", "4,4,8")
RANK_CHOICES = (1, 2, 3, 4, 5)


def all_cuts(isas, **fewer):
    factors = FACTORS._replace(isa=isas[::-1], **fewer)
    return [PLAIN._make(values) for values in itertools.product(*factors)]


def pairs_of(cut):
    return set(itertools.combinations(enumerate(cut), 2))


def pairwise(cuts):
    """A few of the cuts that hold every pair of settings, greedily."""
    missing = set().union(*(pairs_of(cut) for cut in cuts))
    chosen = []
    while missing:
        best = max(cuts, key=lambda cut: len(pairs_of(cut) & missing))
        chosen.append(best)
        missing -= pairs_of(best)
    return chosen


def reference_cut(shuffle):
    return PLAIN._replace(shuffle=shuffle)


def make_references(lab):
    """One plain run a shuffle; checks that they can serve to compare with."""
    references = {}
    for shuffle in FACTORS.shuffle:
        run = f"reference-{shuffle}"
        references[shuffle] = lab.train(run, reference_cut(shuffle))
        evidence.check_moved(lab.checkpoint(run, STEPS // EPOCHS), references[shuffle])
    if same_files(references["global"], references["shard"]):
        raise Failure("both shuffles gave the same file: the shuffle does nothing")
    other = lab.train("other-seed", PLAIN, "train.seed=8")
    evidence.check_tensors_differ(references["global"], other, "another seed")
    return references


def validation_figures(lab, run):
    """What validation found, without the times it took."""
    return [{key: value for key, value in event.items() if not key.startswith("seconds")}
            for event in lab.events(run, "validation")]


def same_runs(lab, one, other):
    """Whether two runs have the same checkpoints, all of them, byte for byte, and the same figures of
    validation."""
    names = lab.checkpoints(one)
    return (names == lab.checkpoints(other) and
            all(same_files(lab.path(one, "checkpoints", name), lab.path(other, "checkpoints", name))
                for name in names) and
            validation_figures(lab, one) == validation_figures(lab, other) != [])


def run_cuts(lab, cuts):
    """Trains every cut and compares; returns the cuts that gave other bytes."""
    references = make_references(lab)
    different = []
    for number, cut in enumerate(cuts, 1):
        started = time.monotonic()
        run = f"cut-{number}"
        checkpoint = lab.train(run, cut)
        same = same_runs(lab, run, f"reference-{cut.shuffle}")
        evidence.check_ranks(lab.events(run, "ranks"), cut, EPOCHS, checkpoint)
        print(f"{number} of {len(cuts)}: {words(cut)}: {'same' if same else 'DIFFERENT'} "
              f"({time.monotonic() - started:.1f} s)", flush=True)
        if not same:
            different.append(cut)
        lab.remove(run)
    print(f"{len(cuts) - len(different)} of {len(cuts)} gave the same bytes")
    return different, references


def run_counts(lab):
    """One epoch on every number of ranks up to one a leaf, on all kinds of nodes."""
    epoch = "train.epochs=1"
    lab.train("ranks-1", PLAIN, epoch)
    for ranks in range(2, LEAVES + 1):
        cut = PLAIN._replace(ranks=ranks, isa=lab.isas[ranks % len(lab.isas)],
                             nodes=COUNTED_NODES[ranks // 3 % len(COUNTED_NODES)],
                             bucket=FACTORS.bucket[ranks // 2 % 2])
        checkpoint = lab.train(f"ranks-{ranks}", cut, epoch)
        if not same_runs(lab, f"ranks-{ranks}", "ranks-1"):
            raise Failure(f"{words(cut)} gave other bytes")
        evidence.check_ranks(lab.events(f"ranks-{ranks}", "ranks"), cut, 1, checkpoint)
        lab.remove(f"ranks-{ranks}")
        print(f"{words(cut)}: same", flush=True)


def run_kills(lab, kills, dice):
    """Kills a run at random steps, resumes it each time on other ranks, and compares the end."""
    longer = f"train.epochs={KILL_EPOCHS}"
    often = "checkpoint.every_steps=5"
    last = KILL_EPOCHS * STEPS // EPOCHS
    fast = PLAIN._replace(isa=lab.isas[-1])
    undisturbed = lab.train("undisturbed", fast, longer, often)
    hits, step = 0, 0
    for number in range(kills):
        ranks = dice.choice(RANK_CHOICES)
        cut = PLAIN._replace(ranks=ranks, threads=dice.choice((1, 2)),
                             isa=dice.choice(lab.isas),
                             recompute=dice.choice(FACTORS.recompute))
        # Leave room for the kills that are still to come.
        step = min(last - 2, step + dice.randint(1, max(2, 2 * last // (kills + 2))))
        alive = lab.kill_at("killed", cut, step, longer, often, "--resume")
        hits += alive
        print(f"kill {number + 1} of {kills}: {words(cut)}: "
              f"{'killed after step ' + str(step) if alive else 'was done already'}", flush=True)
    if hits * 2 < kills:
        raise Failure(f"only {hits} of {kills} kills hit a running job")
    cut = fast._replace(ranks=dice.choice(RANK_CHOICES))
    end = lab.train("killed", cut, longer, often, "--resume")
    if not same_files(end, undisturbed):
        raise Failure("the killed and resumed run ended in other bytes than the undisturbed one")
    steps = [event["step"] for event in lab.events("killed", "step")]
    if steps != sorted(set(steps)):
        raise Failure("metrics.jsonl of the resumed run has a step twice or out of order")
    print(f"{kills} kills ({hits} hit), resumed on {cut.ranks} ranks: same bytes as undisturbed")


def run_notices(lab):
    """What must not go unnoticed: a flipped bit in a copy, a ring in place of the tree."""
    plain = lab.train("plain", PLAIN)
    copy = lab.path("copy.safetensors")
    shutil.copy(plain, copy)
    if not same_files(plain, copy):
        raise Failure("cmp finds a copy different")
    with open(copy, "r+b") as file:
        file.seek(-7, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-7, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    if same_files(plain, copy):
        raise Failure("one flipped bit goes unnoticed")
    done = subprocess.run([lab.program, "inspect", copy], cwd=lab.folder, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        raise Failure(f"inspect finds nothing wrong with a flipped bit:\n{done.stdout}")
    three = PLAIN._replace(ranks=3)
    ring = lab.train("ring", three, "exchange.algorithm=ring")
    evidence.check_tensors_differ(plain, ring, "a ring on three ranks")
    print("noticed: a flipped bit in a copy, a ring in place of the tree")


def run_golden(lab, record):
    """The digest of the plain run, kept in the repository."""
    found = {shuffle: file_digest(lab.train(f"golden-{shuffle}", reference_cut(shuffle)))
             for shuffle in FACTORS.shuffle}
    if record:
        with open(GOLDEN, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=4)
            file.write("\n")
    with open(GOLDEN, encoding="utf-8") as file:
        wanted = json.load(file)
    for shuffle, digest in found.items():
        if digest != wanted[shuffle]:
            raise Failure(f"shuffle {shuffle}: sha256 of the checkpoint is {digest}, "
                          f"the golden one is {wanted[shuffle]}")
        print(f"shuffle {shuffle}: sha256 {digest}, as kept in golden.json")


def write_report(path, cuts, different, references, seconds):
    isas = list(dict.fromkeys(cut.isa for cut in cuts))
    columns = list(itertools.product(FACTORS.shuffle, isas))
    rows = list(itertools.product(FACTORS.ranks, FACTORS.threads))
    lines = ["| ranks × threads | " + " | ".join(f"{s}, {i}" for s, i in columns) + " |",
             "| --- |" + " --- |" * len(columns)]
    for ranks, threads in rows:
        cells = []
        for shuffle, isa in columns:
            here = [cut for cut in cuts if cut[:4] == (ranks, threads, shuffle, isa)]
            cells.append(f"{len(set(here) - set(different))} of {len(here)}")
        lines.append(f"| {ranks} × {threads} | " + " | ".join(cells) + " |")
    lines += ["", f"{len(cuts) - len(different)} of {len(cuts)} runs gave the same file, "
              f"in {math.ceil(seconds / 60)} minutes.", ""]
    for shuffle, reference in references.items():
        lines.append(f"- sha256, shuffle {shuffle}: `{file_digest(reference)}`")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.environ.get("CONVOY", "build/release/convoy"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--notices", action="store_true")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--report")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CONVOY_TEST_SEED", "1")))
    parser.add_argument("--keep", help="work in this new folder and leave it there")
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix="convoy-same-bits-")
    os.makedirs(folder, exist_ok=True)
    try:
        lab = Lab(options.program, folder)
        print(f"same_bits: seed {options.seed}, instruction sets {' '.join(lab.isas)}")
        evidence.check_kernels(lab)
        different = []
        if options.all or options.pairs:
            cuts = (all_cuts(lab.isas, recompute=("off",)) if options.all else
                    pairwise(all_cuts(lab.isas)))
            started = time.monotonic()
            different, references = run_cuts(lab, cuts)
            if options.report:
                write_report(options.report, cuts, different, references,
                             time.monotonic() - started)
        if options.counts:
            run_counts(lab)
        if options.kills:
            run_kills(lab, options.kills, random.Random(options.seed))
        if options.golden or options.record:
            run_golden(lab, options.record)
        if options.variants:
            variants.run_variants(lab)
        if options.notices:
            run_notices(lab)
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
