"""What Convoy is to reach, line by line, judged by what bench/compare measured in one run.

A figure is the median over the rounds of a ratio taken within a round. Where many layers share a
goal the lowest and highest of them are shown, and how many reach it; else those of the rounds.
"""
import math
from statistics import median

from layers import OTHER_KINDS
from peers import CHEAP, CONVOY, DIRECT, INSTALLED, NETWORKS, ONE, RANKS, THREADS, TUNED
from ranks import GRADIENTS, WEAK, weak_networks

WINOGRAD = {"resnet50": 1.5, "alexnet": 1.5, "vgg16": 2.6, "googlenet": 1.6}
NO_WINOGRAD = {"resnet50": 1.25, "alexnet": 1.35, "vgg16": 1.3, "googlenet": 1.3}
BESIDE_ONEDNN = ("resnet50", "vgg16", "googlenet")
UNKNOWN = "not measured"
MAPS, WEIGHTS = ("forward", "backward-data"), ("backward-weights",)


class Found:
    """What was measured, by the network's name; nothing where it was not."""

    def __init__(self):
        self.steps = {}         # rounds of peers.take_steps
        self.convolutions = {}  # rows of layers.measure_convolutions
        self.memory = {}        # rows of layers.measure_memory_bound
        self.exchange = {}      # rounds of ranks.measure_exchange, by the name of the gradients

    def products(self, fits, directions):
        """Of the networks with goals."""
        return [row for network in NETWORKS for row in self.convolutions.get(network.name, ())
                if row["direction"] in directions and fits(row["shape"])]

    def ratios(self, network, ours, theirs, key="rate"):
        """Ours by theirs, (who, setting) each, of every round that has both."""
        return [rounds[ours][key] / rounds[theirs][key] for rounds in self.steps.get(network, ())
                if rounds.get(ours) and rounds.get(theirs)]

    def figures(self, network, who, key):
        return [rounds[who][key] for rounds in self.steps.get(network, ()) if rounds.get(who)]


def show(values, unit=""):
    """The median, and in brackets lowest and highest."""
    scale, digits = (100, 0) if unit == " %" else (1, 2)
    low, middle, high = (f"{scale * value:.{digits}f}"
                         for value in (min(values), median(values), max(values)))
    return f"{middle}{unit}" + (f" ({low}–{high})" if len(values) > 1 else "")


def row(name, goal, values, beside, unit="×", most=False, many=False):
    """One line: what is measured, the goal, values (of rounds; of layers where `many`), and the
    ceiling or peer beside which they were measured."""
    wanted = f"{'≤' if most else '≥'} {100 * goal if unit == ' %' else goal:g}{unit}"
    if not values:
        return (name, wanted, "–", "–", UNKNOWN)
    judged = values if many else [median(values)]
    reached = sum(value <= goal if most else value >= goal for value in judged)
    verdict = "yes" if reached == len(judged) else f"{reached} of {len(judged)}" if many else "no"
    return (name, wanted, show(values, unit), beside, verdict)


# ---- layers ----

def best(product):
    """Seconds of the kernel that a layer gets by default."""
    return product["winograd"] or product["direct"]


def over(above, below):
    """The median ratio of two lists of rounds."""
    return median(a / b for a, b in zip(above, below))


def share_of(product, times):
    """Of the ceiling, by seconds of each round; Winograd's may be above it."""
    return median(product["operations"] / seconds / ceiling
                  for seconds, ceiling in zip(times, product["ceiling"]))


def share_row(name, goal, products):
    """Of the ceiling, by the direct kernels."""
    shares = [share_of(product, product["direct"]) for product in products]
    ceilings = [value for product in products for value in product["ceiling"]]
    return row(name, goal, shares, f"ceiling {1e-9 * median(ceilings):.0f} GFLOP/s" if products
               else "", " %", many=True)


def plain(shape, kernel, stride):
    return (shape["kernel"] == [kernel, kernel] and shape["stride"] == [stride, stride]
            and shape["groups"] == 1)


def dnnl_ratios(products):
    """oneDNN's time by ours."""
    return [over(product["onednn"], best(product)) for product in products if product["onednn"]]


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def layer_rows(found):
    def threes(shape):
        return plain(shape, 3, 1) and shape["input"][0] >= 64

    def ones(shape):
        return plain(shape, 1, 1) and shape["input"][0] >= 256 and shape["input"][1] <= 28

    def ones_of_56(shape):
        return plain(shape, 1, 1) and shape["input"][1] == 56

    yield share_row("3x3, C ≥ 64: forward and backward-data", 0.93, found.products(threes, MAPS))
    yield share_row("3x3, C ≥ 64: backward-weights", 0.92, found.products(threes, WEIGHTS))
    yield share_row("1x1, C ≥ 256, up to 28x28", 0.88, found.products(ones, MAPS + WEIGHTS))
    yield share_row("1x1 at 56x56", 0.7, found.products(ones_of_56, MAPS + WEIGHTS))
    for kernel, stride in ((7, 2), (11, 4)):
        yield share_row(f"first layer {kernel}x{kernel}/{stride}", 0.65, found.products(
            lambda shape, k=kernel, s=stride: plain(shape, k, s) and shape["input"][0] == 3,
            MAPS + WEIGHTS))
    for kind in (*OTHER_KINDS, "update"):
        rows = [one for rows in found.memory.values() for one in rows if one[0].startswith(kind)]
        yield row(f"{kind}, of memory speed", 0.8, [share for _, share, _ in rows],
                  f"copy {median(speed for _, _, speed in rows):.0f} GB/s" if rows else "", " %",
                  many=True)
    ratios = [ratio for name in BESIDE_ONEDNN
              for ratio in dnnl_ratios(found.convolutions.get(name, ()))]
    yield row("layers of three networks beside oneDNN, geometric mean", 1.15,
              [geometric_mean(ratios)] if ratios else [], f"{len(ratios)} layers and directions")
    for direction in MAPS + WEIGHTS:
        products = [product for product in found.products(threes, (direction,))
                    if product["winograd"] and min(product["shape"]["input"][1:]) >= 14]
        yield row(f"Winograd over direct, C ≥ 64, from 14x14: {direction}", 1.7,
                  [over(product["direct"], product["winograd"]) for product in products],
                  "our direct kernels", many=True)


# ---- steps ----

def step_row(found, network, goal, ours, peer, setting):
    ratios = found.ratios(network, (ours, setting.name), (peer, setting.name))
    figures = [found.figures(network, (who, setting.name), "rate") for who in (ours, peer)]
    beside = "{:.1f} and {:.1f} pictures/s".format(*map(median, figures)) if ratios else ""
    return row(f"{network}, {setting.name}: {ours} by {peer}", goal, ratios, beside)


def step_rows(found):
    for ours, goals in ((CONVOY, WINOGRAD), (DIRECT, NO_WINOGRAD)):
        for network, goal in goals.items():
            for setting in (THREADS, RANKS):
                yield step_row(found, network, goal, ours, TUNED, setting)
    for network in WINOGRAD:
        yield step_row(found, network, 5, CONVOY, INSTALLED, THREADS)
    for who, peer in ((CONVOY, INSTALLED), (CONVOY, TUNED), (CHEAP, TUNED)):
        yield memory_row(found, who, peer)
    starts = found.figures("resnet50", (CONVOY, THREADS.name), "start")
    yield row("start to first step, ResNet-50", 2, starts, "clock", " s", most=True)


def memory_row(found, who, peer):
    ours, theirs = ((name, THREADS.name) for name in (who, peer))
    ratios = found.ratios("resnet50", ours, theirs, "memory")
    figures = [found.figures("resnet50", name, "memory") for name in (ours, theirs)]
    return row(f"peak memory of a ResNet-50 step: {who} by {peer}", 0.7, ratios,
               "{:.0f} and {:.0f} MiB".format(*map(median, figures)) if ratios else "", most=True)


def scaling_row(found, network, setting, goal, what):
    """What the ceiling itself lacks of doubling is no fault of the step: the ratio of rates is held
    against the ratio of ceilings, 1.9 where that is 2."""
    two, one = (CONVOY, setting.name), (CONVOY, ONE.name)
    rates, ceilings = (found.ratios(network, two, one, key) for key in ("rate", "ceiling"))
    beside = f"{median(rates):.2f}× of the ceiling's {median(ceilings):.2f}×" if rates else ""
    return row(f"{network}: {what}, by the ceiling's", goal,
               [rate / ceiling for rate, ceiling in zip(rates, ceilings)], beside, " %")


def scaling_rows(found):
    for network in WINOGRAD:
        for setting in (THREADS, RANKS):
            yield scaling_row(found, network, setting, 0.95, f"{setting.name} over one")
    for network, goal in zip(weak_networks(), WEAK.values()):
        yield scaling_row(found, network.name, RANKS, goal, "2 ranks over one")


def exchange_rows(found):
    for gradients in GRADIENTS:
        rounds = found.exchange.get(gradients.name, ())
        ours = f"ours {median(one['ours']['seconds'][1] for one in rounds):.4f} s" if rounds else ""
        name = f"{gradients.name} over 2 ranks, update included"
        yield row(f"{name}: MPI_Allreduce's time by ours", 25,
                  [one["MPI_Allreduce"]["over_ours"] for one in rounds], ours)
        yield row(f"{name}: of what memory allows", 0.7, [one["share"] for one in rounds], ours, " %")


def rows(found):
    """Every goal: what, to reach, measured, beside what, and whether it is reached."""
    return [*layer_rows(found), *step_rows(found), *scaling_rows(found), *exchange_rows(found)]
