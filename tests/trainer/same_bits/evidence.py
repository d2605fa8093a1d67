"""What shows that a run did what it is said to have done, so that no comparison passes idly."""
import json
import math

from lab import BATCH, LEAVES, PICTURES, Failure, float_tensors

# What the suite's own network runs on, beside the direct kernels.
WINOGRAD = {"winograd 2x2, 5x5", "winograd 4x4, 3x3"}


def check_kernels(lab):
    """The network has layers that run by Winograd's filters."""
    layers = json.loads(lab.convoy("inspect", "model.yaml", "--json"))["network"]["layers"]
    kernels = {" ".join(layer["kernel"].split()[:3]) for layer in layers if layer.get("kernel")}
    if {kernel for kernel in kernels if kernel.startswith("winograd")} != WINOGRAD:
        raise Failure(f"model.yaml runs on {', '.join(sorted(kernels))}, not on "
                      f"{' and '.join(sorted(WINOGRAD))}")


def check_moved(early, late):
    """Every tensor of weights moved between two checkpoints of a run, and all are finite."""
    before, after = float_tensors(early), float_tensors(late)
    if not after or before.keys() != after.keys():
        raise Failure(f"{late}: no tensors, or other ones than {early}")
    for name, values in after.items():
        if not all(math.isfinite(value) for value in values):
            raise Failure(f"{late}: {name} is not finite")
        if values == before[name]:
            raise Failure(f"{late}: {name} did not move")


def check_tensors_differ(one, other, why):
    """At least half of the tensors of two checkpoints differ (metadata alone would not count)."""
    first, second = float_tensors(one), float_tensors(other)
    changed = sum(first[name] != second.get(name) for name in first)
    if changed * 2 < len(first):
        raise Failure(f"{why} changes only {changed} of {len(first)} tensors")


def leaf_start(pictures, leaf):
    """First position of a leaf: they hold pictures / LEAVES each, the first few one more."""
    return leaf * (pictures // LEAVES) + min(leaf, pictures % LEAVES)


def step_sizes():
    whole, rest = divmod(PICTURES, BATCH)
    return [BATCH] * whole + ([rest] if rest else [])


def records_of(rank, ranks):
    """Records that a rank reads in one epoch."""
    first, last = rank * LEAVES // ranks, (rank + 1) * LEAVES // ranks
    return sum(leaf_start(size, last) - leaf_start(size, first) for size in step_sizes())


def weight_bytes(path):
    """Bytes of the weights in a checkpoint, without the optimizer's vectors and their average."""
    return sum(4 * len(values) for name, values in float_tensors(path).items()
               if not name.startswith(("optimizer.", "ema.")))


def check_total_sent(nodes, ranks, steps, vector):
    """A sum over N = 2^k nodes makes their ranks send at least 2 (N - 1) vectors a full step in all
    (reduce-scatter, then gather), and with padding and small buckets not four times that. Ranks of
    one node share memory and send less than one vector: what they agree on."""
    least = 2 * (nodes - 1) * vector * steps
    most = 4 * least if nodes > 1 else vector * steps
    total = sum(rank["bytes_sent"] for rank in ranks)
    if not least <= total <= most:
        raise Failure(f"{len(ranks)} ranks on {nodes} nodes sent {total} bytes in all, not {least} "
                      f"to {most}")


def nodes_of(cut):
    """How many ranks each pretended node has."""
    nodes, left = [], cut.ranks
    for count in map(int, cut.nodes.split(",")):
        nodes.append(min(count, left))
        left -= nodes[-1]
    nodes[-1] += left
    return [count for count in nodes if count > 0]


def check_ranks(events, cut, epochs, checkpoint):
    """Each rank read its own leaves' records and sent the bytes that the algorithm says."""
    if not events:
        raise Failure("metrics.jsonl has no line about the ranks")
    ranks = events[-1]["ranks"]
    if len(ranks) != cut.ranks:
        raise Failure(f"metrics.jsonl tells of {len(ranks)} ranks, not of {cut.ranks}")
    for number, rank in enumerate(ranks):
        wanted = epochs * records_of(number, cut.ranks)
        if rank["records"] != wanted:
            raise Failure(f"rank {number} of {cut.ranks} read {rank['records']} records: its "
                          f"leaves have {wanted}")
        if rank["bytes_sent"] != rank["bytes_expected"]:
            raise Failure(f"rank {number} of {cut.ranks} sent {rank['bytes_sent']} bytes, the "
                          f"algorithm says {rank['bytes_expected']}")
        if (rank["bytes_sent"] > 0) != (cut.ranks > 1):
            raise Failure(f"rank {number} of {cut.ranks} sent {rank['bytes_sent']} bytes")
    nodes = nodes_of(cut)
    if len(nodes) in (1, 2, 4, 8) and len(set(nodes)) == 1:
        check_total_sent(len(nodes), ranks, epochs * (PICTURES // BATCH), weight_bytes(checkpoint))
