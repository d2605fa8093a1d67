"""Who takes steps in turn: Convoy and PyTorch, each in processes of its own.

step(network, setting, steps) takes so many steps after some that do not count, and returns a
dictionary: rate (pictures a second, by the median), memory (MiB of all ranks at the peak), and of
Convoy also share (of the ceiling), ceiling (GFLOP/s) and start (seconds to the first step). It is
None, said why, where the step fails.
"""
import glob
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
from typing import NamedTuple

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
MODELS = os.path.join(ROOT, "configs", "models")
TIMEOUT = 1800
QUICK_SECONDS = 4  # of steps that count, by one peer in a round
JEMALLOC = {"MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1,metadata_thp:auto,thp:always"}


class Network(NamedTuple):
    name: str
    model: str  # a file of configs/models, which PyTorch has as `name` (pytorch_networks.py)
    batch: int
    published: str = None  # the same network as its paper has it
    times: int = 1         # steps that count for one: more where they take milliseconds

    def path(self, model=None):
        return os.path.join(MODELS, (model or self.model) + ".yaml")


NETWORKS = (  # those with goals
    Network("resnet50", "resnet50", 16),
    Network("alexnet", "alexnet-torchvision", 64, "alexnet"),
    Network("vgg16", "vgg16", 8),
    Network("googlenet", "googlenet-torchvision", 32, "googlenet"),
)
OTHERS = (
    Network("zfnet", "zfnet", 32),
    Network("resnet18", "resnet18", 32),
    Network("inception_v3", "inception-v3", 8),
    Network("resnet20", "resnet20", 128, times=5),
    Network("lenet5", "lenet5", 128, times=30),
)


class Setting(NamedTuple):
    name: str
    ranks: int
    threads: int


ONE, THREADS, RANKS = SETTINGS = (
    Setting("1 thread", 1, 1), Setting("2 threads", 1, 2), Setting("2 ranks", 2, 1))
CONVOY, DIRECT, BLAS = "Convoy", "Convoy, Winograd off", "Convoy on OpenBLAS"
CHEAP = "Convoy, recompute cheap"
INSTALLED, TUNED = "PyTorch as installed", "PyTorch tuned"
# What holds oneDNN and PyTorch to the instruction set of CONVOY_ISA, or the least they have.
SAME_SET = {isa: {"ONEDNN_MAX_CPU_ISA": onednn, "ATEN_CPU_CAPABILITY": pytorch}
            for isa, onednn, pytorch in (("portable", "SSE41", "default"), ("avx2", "AVX2", "avx2"),
                                         ("avx512", "AVX512_CORE", "avx512"))}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def environment(options, **more):
    settings = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                    OMPI_MCA_btl_vader_single_copy_mechanism="none",
                    **SAME_SET.get(os.environ.get("CONVOY_ISA"), {}), **more)
    # What is set by hand for another processor than this one would slow OpenBLAS down.
    settings.pop("OPENBLAS_CORETYPE", None)
    settings.pop("OPENBLAS_L2_SIZE", None)
    if options.cpu_time:
        settings["OMP_WAIT_POLICY"] = "passive"  # who waits must not count as working
    return settings


def run(command, settings, *ranks, text=None):
    """The JSON that a command prints, in a list: run once, or once a rank with more settings each,
    all at the same time. None, said why, where one fails."""
    started = [subprocess.Popen(command, env={**settings, **rank}, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for rank in ranks or ({},)]
    try:
        printed = [process.communicate(text, timeout=TIMEOUT) for process in started]
        failed = [errors for process, (_, errors) in zip(started, printed) if process.returncode]
    except subprocess.TimeoutExpired:
        failed = [f"not done after {TIMEOUT} s"]
        for process in started:
            process.terminate()
    if failed:
        say(f"failed: {' '.join(command)}\n{failed[0][-2000:]}")
        return None
    return [json.loads(output) for output, _ in printed]


class Convoy:
    def __init__(self, options, name, settings, *keys):
        self.options, self.name, self.settings, self.keys = options, name, settings, keys

    def step(self, network, setting, steps):
        command = ["mpirun", "-n", str(setting.ranks), "--bind-to", "none"]
        command = [*(command if setting.ranks > 1 else ()), self.options.program, "bench", "step",
                   network.path(), *self.keys, "--json", "--batch", str(network.batch), "--steps",
                   str(steps), "--threads", str(setting.threads)]
        reports = run(command + ["--cpu-time"] * self.options.cpu_time, environment(self.options))
        return reports and {"rate": reports[0]["pictures_per_second"],
                            "share": reports[0]["share"][1],
                            "ceiling": reports[0]["ceiling_gflops"],
                            "memory": reports[0]["peak_memory_all_ranks_mib"],
                            "start": reports[0]["start_to_first_step_seconds"]}


class PyTorch:
    def __init__(self, options, name, settings, flags=(), **more):
        self.options, self.name, self.settings = options, name, settings
        self.flags, self.environment = flags, environment(options, **more)

    def step(self, network, setting, steps):
        command = [sys.executable, os.path.join(BENCH, "pytorch_step.py"), network.name,
                   *self.flags, "--batch", str(network.batch // setting.ranks), "--threads",
                   str(setting.threads), "--steps", str(steps)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        ranks = [{"RANK": str(rank), "WORLD_SIZE": str(setting.ranks), "MASTER_ADDR": "127.0.0.1",
                  "MASTER_PORT": port} for rank in range(setting.ranks)]
        reports = run(command + ["--cpu-time"] * self.options.cpu_time, self.environment,
                      *(ranks if setting.ranks > 1 else ()))
        if not reports:
            return None
        together = sum if self.options.cpu_time else max
        seconds = map(together, zip(*(report["seconds"] for report in reports)))
        return {"rate": network.batch / statistics.median(seconds),
                "memory": sum(report["peak_memory_mib"] for report in reports)}


def peers(options):
    """Convoy first; then all that are installed, or those whose name holds options.beside."""
    others = [peer for peer in others_installed(options) if options.beside in peer.name
              and (options.beside or not options.quick or peer.name != BLAS)]
    settings = [setting for setting in SETTINGS if not options.beside
                or any(setting in peer.settings for peer in others)]
    return [Convoy(options, CONVOY, settings), *others]


def others_installed(options):
    found = [Convoy(options, DIRECT, (THREADS, RANKS), "engine.winograd=off"),
             Convoy(options, CHEAP, (THREADS,), "train.recompute=cheap"),
             Convoy(options, BLAS, (THREADS,), "engine.kernels=blas")]
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchvision") is None:
        say("left out: PyTorch (python3-torch python3-torchvision are not installed)")
        return found
    found.append(PyTorch(options, INSTALLED, (THREADS,)))
    jemalloc = glob.glob("/usr/lib*/libjemalloc.so.2") + glob.glob("/usr/lib/*/libjemalloc.so.2")
    if jemalloc:
        found.append(PyTorch(options, TUNED, (THREADS, RANKS), ("--channels-last",),
                             LD_PRELOAD=jemalloc[0], **JEMALLOC))
    else:
        say("left out: PyTorch tuned (libjemalloc2 is not installed)")
    return found


def steps_of(options, network, rate):
    """Of a round. With --quick a peer whose last rate says that they take long takes fewer."""
    steps = options.steps * network.times
    if options.quick and rate:
        steps = min(steps, max(1, int(QUICK_SECONDS * rate / network.batch)))
    return steps


def take_steps(options, present, network):
    """Each of those present in each of its settings, in turn: a dictionary a round, (who, setting):
    what step() returned."""
    rounds, rates = [], {}
    for number in range(options.rounds):
        rounds.append({})
        for setting in SETTINGS:
            for peer in present:
                if setting in peer.settings:
                    steps = steps_of(options, network, rates.get(peer.name))
                    result = peer.step(network, setting, steps)
                    rates[peer.name] = result and result["rate"]
                    rounds[-1][peer.name, setting.name] = result
                    say(f"round {number + 1}, {network.name}, {setting.name}, {peer.name}: "
                        + (f"{result['rate']:.2f} pictures/s" if result else "failed"))
    return rounds
