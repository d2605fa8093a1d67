"""Other recipes than the suite's own under the same rule: what has norms, averages or statistics over
the whole batch, each cut in a few ways that hold every number of ranks, and resumed half way; and
other networks."""
import evidence
from lab import EPOCHS, PLAIN, STEPS, Failure, same_files, words

WHOLE = "adamw, batch norm over the whole batch"  # which cannot be in chunks

# The rate does not depend on how many steps are planned, so that half a run is the run's first half.
VARIANTS = {
    "lars, clipped, scaled": (
        "train.optimizer={lars: {trust: 0.02}}", "train.clip_norm=0.5",
        "train.schedule={constant: {rate: 0.5, reference_batch: 32, warmup_steps: 4}}"),
    "lamb, clipped": (
        "train.optimizer={lamb: {adapt_bias: true, adapt_norm: true}}", "train.clip_norm=0.5",
        "train.schedule={constant: 0.01}"),
    "rmsprop, averaged": (
        "train.optimizer={rmsprop: {momentum: 0.5}}", "train.schedule={constant: 0.002}",
        "train.ema=0.9"),
    WHOLE: (
        "train.optimizer={adamw: {weight_decay: 0.1}}", "train.schedule={constant: 0.005}",
        "model.batchnorm.sync=true"),
}

CUTS = [
    PLAIN._replace(ranks=2, threads=2, bucket="4KiB"),
    PLAIN._replace(ranks=3, chunk=2, nodes="1,2", progress="thread"),
    PLAIN._replace(ranks=5, bucket="4KiB", nodes="2,3"),
    PLAIN._replace(ranks=8, nodes="4,4", progress="thread"),
]

# One half of a run each.
NETWORKS = ("resnet18", "googlenet")
HALVES = [
    PLAIN._replace(ranks=3, chunk=2, bucket="4KiB", nodes="1,2", progress="thread",
                   recompute="cheap"),
    PLAIN._replace(ranks=8, threads=2, nodes="4,4", recompute="all"),
]


def run_networks(lab):
    """Trains every network as a whole and in two halves, which are cut in two ways."""
    for name in NETWORKS:
        options = (f"model={name}.yaml", "train.schedule={constant: 0.02}")
        whole = lab.train(name, PLAIN, *options)
        evidence.check_moved(lab.checkpoint(name, STEPS // EPOCHS), whole)
        one, two = (cut._replace(isa=lab.isas[index % len(lab.isas)]) for index, cut in enumerate(HALVES, 1))
        lab.train("halves", one, *options, f"train.epochs={EPOCHS // 2}")
        if not same_files(whole, lab.train("halves", two, *options, "--resume")):
            raise Failure(f"{name}: {words(one)}, then {words(two)} gave other bytes")
        lab.remove("halves")
        print(f"{name}: two halves, cut in two ways, gave the same bytes", flush=True)


def run_variants(lab):
    """Trains every variant in every cut, each with an instruction set in turn, and once in two
    halves on other ranks."""
    for number, (name, options) in enumerate(VARIANTS.items()):
        whole = lab.train(f"variant-{number}", PLAIN, *options)
        evidence.check_moved(lab.checkpoint(f"variant-{number}", STEPS // EPOCHS), whole)
        for index, cut in enumerate(CUTS):
            cut = cut._replace(isa=lab.isas[(index + number) % len(lab.isas)],
                               chunk=0 if name == WHOLE else cut.chunk)
            run = f"variant-{number}-{index}"
            if not same_files(whole, lab.train(run, cut, *options)):
                raise Failure(f"{name}: {words(cut)} gave other bytes")
            evidence.check_ranks(lab.events(run, "ranks"), cut, EPOCHS, whole)
            lab.remove(run)
        lab.train("halves", PLAIN._replace(ranks=6), *options, f"train.epochs={EPOCHS // 2}")
        if not same_files(whole, lab.train("halves", PLAIN._replace(ranks=7), *options, "--resume")):
            raise Failure(f"{name}: stopped half way and resumed, it ended in other bytes")
        lab.remove("halves")
        print(f"{name}: {len(CUTS)} cuts and a resumed run gave the same bytes", flush=True)
    run_networks(lab)
