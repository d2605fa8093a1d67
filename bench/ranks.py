"""Two ranks of one node: the exchange alone, and steps of as many pictures a rank as one takes."""
from typing import NamedTuple

from peers import CONVOY, NETWORKS, ONE, RANKS, Convoy, environment, run, say, take_steps


class Gradients(NamedTuple):
    name: str
    bytes: int


GRADIENTS = (Gradients("100 MB", 100_000_000),)
WEAK = {"resnet50": 0.98, "alexnet": 0.95}  # the goal: of twice the pictures a second of one rank


def name_of_weak(network):
    return f"{network.name}, {network.batch} pictures a rank"


def weak_networks():
    return [network._replace(name=name_of_weak(network)) for network in NETWORKS
            if network.name in WEAK]


class EachRank(Convoy):
    """A step of the network's batch on every rank."""

    def step(self, network, setting, steps):
        return super().step(network._replace(batch=network.batch * setting.ranks), setting, steps)


def take_weak_steps(options, network):
    return take_steps(options, [EachRank(options, CONVOY, (ONE, RANKS))], network)


def measure_exchange(options, gradients):
    """What `bench exchange` reports on two ranks, of every round."""
    command = ["mpirun", "-n", "2", "--bind-to", "none", options.program, "bench", "exchange",
               "--json", "--threads", "1", "--bytes", str(gradients.bytes)]
    command += ["--cpu-time"] * options.cpu_time
    rounds = [run(command, environment(options)) for _ in range(options.rounds)]
    for reports in filter(None, rounds):
        say(f"{gradients.name}: {reports[0]['ours']['seconds'][1]:.4f} s, "
            f"{100 * reports[0]['share']:.0f} % of what memory allows")
    return [reports[0] for reports in rounds if reports]
