"""A bench for the same-bits suite: one tiny data set, and runs of the recipe cut in many ways."""
import collections
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))

import pictures  # noqa: E402
import safetensors  # noqa: E402

PICTURES = 138
BATCH = 64
LEAVES = 16
EPOCHS = 4
SHARDS = 16
STEPS = 3 * EPOCHS
TIMEOUT = 120

# How a run is cut. Only `shuffle` may change the bits. `isa`: those that the program runs on this
# machine (Lab.isas). `nodes`: ranks of each pretended node, as far as there are ranks; the last one
# has the rest.
Cut = collections.namedtuple("Cut", "ranks threads shuffle isa chunk bucket nodes progress recompute")
FACTORS = Cut(ranks=(1, 2, 3, 4, 5, 8), threads=(1, 2), shuffle=("global", "shard"),
              isa=(), chunk=(0, 2), bucket=("4MiB", "4KiB"),
              nodes=("8", "1,2,8"), progress=("inline", "thread"),
              recompute=("off", "cheap", "all"))
PLAIN = Cut(1, 1, "global", "portable", 0, "4MiB", "8", "inline", "off")


def words(cut):
    return (f"{cut.ranks} ranks, {cut.threads} threads, shuffle {cut.shuffle}, {cut.isa}, "
            f"chunks of {cut.chunk or 'all'} leaves, buckets of {cut.bucket}, nodes of {cut.nodes}, "
            f"progress {cut.progress}, recompute {cut.recompute}")


def file_digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def same_files(one, other):
    """By cmp(1), as a user would."""
    return subprocess.run(["cmp", "-s", one, other], check=False).returncode == 0


class Failure(Exception):
    """Something that does not hold, in one line."""


class Lab:
    def __init__(self, program, folder):
        self.program = os.path.abspath(program)
        self.folder = folder
        self.isas = json.loads(self.convoy("doctor", "--json"))["instruction_sets"]
        for name in ("recipe.yaml", "model.yaml", "resnet18.yaml", "googlenet.yaml"):
            shutil.copy(os.path.join(HERE, name), folder)
        pictures.draw(os.path.join(folder, "pictures"), PICTURES, 6, 14, 12, 1)
        self.convoy("import", "pictures", "pictures", "data/train", "--shards", str(SHARDS))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def environment(self, cut):
        return dict(os.environ, CONVOY_ISA=cut.isa, CONVOY_TEST_NODES=cut.nodes, OMPI_ALLOW_RUN_AS_ROOT="1",
                    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                    OMPI_MCA_hwloc_base_binding_policy="none", OMPI_MCA_mpi_yield_when_idle="1",
                    OMP_WAIT_POLICY="passive",
                    OMPI_MCA_btl_vader_single_copy_mechanism="none")

    def convoy(self, *arguments):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, text=True,
                              capture_output=True, timeout=TIMEOUT, check=False)
        if done.returncode:
            raise Failure(f"convoy {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def command(self, run, cut, *more):
        launcher = ["mpirun", "-n", str(cut.ranks)] if cut.ranks > 1 else []
        return launcher + [
            self.program, "train", "recipe.yaml", "--run", run, "--oversubscribe",
            f"train.threads={cut.threads}", f"train.chunk={cut.chunk}",
            f"exchange.bucket={cut.bucket}", f"exchange.progress={cut.progress}",
            f"train.recompute={cut.recompute}", f"data.shuffle={cut.shuffle}", *more]

    def train(self, run, cut, *more):
        """Trains to the end; returns the path of the last checkpoint."""
        done = subprocess.run(self.command(run, cut, *more), cwd=self.folder, text=True,
                              env=self.environment(cut), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT,
                              check=False)
        if done.returncode:
            raise Failure(f"{words(cut)} {' '.join(more)}: exit {done.returncode}:\n{done.stdout}")
        return self.checkpoint(run)

    def checkpoints(self, run):
        """Names of all checkpoints of a run, in order of their steps."""
        return sorted(name for name in os.listdir(self.path(run, "checkpoints"))
                      if name.startswith("step-") and name.endswith(".safetensors"))

    def checkpoint(self, run, step=None):
        """The checkpoint of a step, or the last one."""
        names = self.checkpoints(run)
        if step is not None:
            names = [name for name in names if int(name[5:14]) == step]
        if not names:
            raise Failure(f"{run}: no checkpoint of step {step}")
        return self.path(run, "checkpoints", names[-1])

    def events(self, run, kind):
        """The lines of metrics.jsonl of one kind."""
        path = self.path(run, "metrics.jsonl")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        return [line for line in lines if line.get("event") == kind]

    def remove(self, run):
        shutil.rmtree(self.path(run), ignore_errors=True)

    def kill_at(self, run, cut, step, *more):
        """Starts a run and kills all its processes at once when `step` has been logged; returns
        whether it was still running then."""
        job = subprocess.Popen(self.command(run, cut, *more), cwd=self.folder,
                               env=self.environment(cut), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
        limit = time.monotonic() + TIMEOUT
        path = self.path(run, "metrics.jsonl")
        while job.poll() is None and last_step(path) < step:
            if time.monotonic() > limit:
                break
            time.sleep(0.002)
        alive = job.poll() is None
        if alive:
            for process in family(job.pid):
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        output = job.communicate()[0]
        if time.monotonic() > limit:
            raise Failure(f"{words(cut)}: no step {step} within {TIMEOUT} s:\n{output}")
        if not alive and job.returncode:
            raise Failure(f"{words(cut)}: exit {job.returncode}:\n{output}")
        return alive


def last_step(path):
    """The step of the last whole line of metrics.jsonl, or -1."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return -1
    for line in reversed(lines):
        try:
            return int(json.loads(line).get("step", -1))
        except ValueError:
            continue
    return -1


def family(pid):
    """A process and all that descend from it, from /proc."""
    children = collections.defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    children[int(file.read().rsplit(")", 1)[1].split()[1])].append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, queue = [], [pid]
    while queue:
        process = queue.pop()
        found.append(process)
        queue.extend(children[process])
    return found


def float_tensors(path):
    """The values of all float32 tensors of a checkpoint, by name."""
    checkpoint = safetensors.Checkpoint(path)
    return {name: checkpoint.numbers(name) for name, tensor in checkpoint.tensors.items()
            if tensor[0] == "F32"}
