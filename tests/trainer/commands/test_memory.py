#!/usr/bin/env python3
"""What `convoy inspect` says that a run takes of memory is what it takes."""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import bench  # noqa: E402

MODELS = os.path.join(HERE, "..", "..", "..", "configs", "models")
# Nearly all of it one tensor, which a checkpoint takes out of the packed vector.
LINEAR = """\
input: {channels: 3, height: 224, width: 224}
layers:
  - conv: {out: 64, kernel: 3, stride: 8, pad: 1}
  - relu:
  - linear: {out: 256}
  - relu:
  - linear: {out: 6}
"""
# Most of it scratch, which grows with the threads.
WINOGRAD = """\
input: {channels: 3, height: 28, width: 28}
layers:
  - conv: {out: 512, kernel: 1}
  - conv: {out: 512, kernel: 3, pad: 1}
  - relu:
  - avgpool: {global: true}
  - linear: {out: 6}
"""
OWN = {"one-linear": LINEAR, "one-winograd": WINOGRAD}
SIDES = {"alexnet": 227, "one-winograd": 28}
RECIPE = """\
model: {model}
data:
  train: data/train
  transforms:
    - resize: {{size: [{side}, {side}]}}
train:
  steps: 1
  batch: 16
  leaf: 8
  threads: 1
  schedule: {{constant: {{rate: 0.00001}}}}
"""


def peak(command, folder):
    """Bytes that a command held at most."""
    process = subprocess.Popen(command, cwd=folder, env=bench.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = process.stdout.read()
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    process.stdout.close()
    if process.returncode:
        raise AssertionError(f"{' '.join(command)}: exit {process.returncode}:\n{text}")
    return usage.ru_maxrss * 1024


def fields(pid, file):
    """Bytes by name, of a file of /proc; none where the process has ended."""
    try:
        with open(f"/proc/{pid}/{file}", encoding="ascii", errors="replace") as lines:
            words = [line.split() for line in lines]
    except OSError:
        return {}
    return {word[0]: int(word[1]) << 10 for word in words if len(word) == 3 and word[2] == "kB"}


def shared(pids):
    """What processes share by memory and by files, each page counted once. They are looked at one
    after the other, and what one lets go of meanwhile becomes a share of those that come after it,
    too: in both orders, and the less counts."""
    def look(order):
        found = [fields(pid, "smaps_rollup") for pid in order]
        return sum(one.get("Pss_Shmem:", 0) + one.get("Pss_File:", 0) for one in found)
    return min(look(pids), look(pids[::-1]))


def own_peak(seen):
    """The most that a process had to itself, by its own account: what it held at most but for what
    it shares, which stays."""
    return seen.get("VmHWM:", 0) - seen.get("RssShmem:", 0) - seen.get("RssFile:", 0)


def children(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(name))
        except OSError:
            pass
    return found


def node_peak(command, folder, ranks):
    """Bytes that all ranks of mpirun held at most, what they share counted once. That is looked at
    again and again while they run; what each has to itself, which may last for a moment, is the
    kernel's word."""
    with open(os.path.join(folder, "said"), "w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, cwd=folder, env=bench.environment(), stdout=said,
                                   stderr=subprocess.STDOUT)
        most, looks, seen = 0, 0, {}
        while process.poll() is None:
            if len(seen) < ranks:
                seen = {pid: {} for pid in children(process.pid)}
            for pid, before in seen.items():
                for name, size in fields(pid, "status").items():
                    before[name] = max(size, before.get(name, 0))
            most = max(most, shared(list(seen)))
            looks += len(seen) == ranks
            time.sleep(0.02)
        said.seek(0)
        if process.returncode or looks < 3:
            raise AssertionError(f"{' '.join(command)}: exit {process.returncode}, {looks} looks:\n{said.read()}")
    return most + sum(map(own_peak, seen.values()))


class Memory(bench.Bench):
    def inspect(self, recipe, *more):
        return json.loads(self.works("inspect", recipe, "--json", *more).stdout)["memory"]

    def write_recipe(self, model):
        path = f"{MODELS}/{model}.yaml"
        if model in OWN:
            path = f"{model}.yaml"
            self.write(path, OWN[model])
        self.write("recipe.yaml", RECIPE.format(model=path, side=SIDES.get(model, 224)))

    def compare(self, model, ranks, *more):
        """What inspect says and what the largest rank of a run takes, at most 5 % apart. A rank of a
        node also sees the gradients of the others."""
        what = f"{model}, {ranks} ranks {' '.join(more)}"
        self.write_recipe(model)
        memory = self.inspect("recipe.yaml", "--ranks", str(ranks), *more)
        said = (memory["rank"]["sum"] - memory["rank"]["gradients"] + memory["node"]["gradients"])
        launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        took = peak([*launcher, bench.PROGRAM, "train", "recipe.yaml", "--run", what,
                     "--oversubscribe", *more], self.folder)
        print(f"{what}: said {said >> 20} MiB, took {took >> 20} MiB")
        self.assertAlmostEqual(said / took, 1, delta=0.05, msg=what)
        return took

    def test_inspect_says_what_a_run_takes(self):
        self.compare("one-linear", 1, "data.validation=data/train")
        self.compare("one-linear", 2)
        self.compare("one-linear", 2, "train.local_steps=2")
        self.compare("alexnet", 1)
        self.compare("googlenet", 1)
        kept = self.compare("resnet18", 1)
        again = self.compare("resnet18", 1, "train.recompute=all")
        self.assertLess(again, 0.8 * kept)

    def test_scratch_grows_with_the_threads(self):
        """Which are a fair share of the cores where the recipe does not say."""
        for threads in (2, 0):
            self.compare("one-winograd", 1, f"train.threads={threads}", "train.batch=2", "train.leaf=2")
        cores = len(os.sched_getaffinity(0))
        for ranks, nodes, share in ((1, 1, cores), (2, 1, max(cores // 2, 1)), (2, 2, cores)):
            said, wanted, one = (
                self.inspect("recipe.yaml", "--ranks", str(ranks), "--nodes", str(nodes), f"train.threads={threads}")
                for threads in (0, share, 1))
            self.assertEqual((said["threads"], said["rank"]["scratch"]), (share, wanted["rank"]["scratch"]))
            if share > 1:
                self.assertGreater(said["rank"]["scratch"], 1.1 * one["rank"]["scratch"])
        self.assertIn(f"of {cores} thread", self.works("inspect", "recipe.yaml", "train.threads=0").stdout)

    def test_inspect_says_what_a_node_takes(self):
        """And that weights and momentum take of it what one rank alone would need."""
        self.write_recipe("resnet18")
        more = ("train.leaf=4", "train.steps=3")
        one, node = (self.inspect("recipe.yaml", "--ranks", str(ranks), *more)["node"] for ranks in (1, 4))
        took = node_peak(["mpirun", "-n", "4", bench.PROGRAM, "train", "recipe.yaml", "--run", "node",
                          "--oversubscribe", *more], self.folder, 4)
        print(f"four ranks of a node: said {node['sum'] >> 20} MiB, took {took >> 20} MiB")
        self.assertAlmostEqual(node["sum"] / took, 1, delta=0.05)
        alike = [memory["weights"] + memory["optimizer"] for memory in (one, node)]
        self.assertLess(alike[1], 1.1 * alike[0])

    def test_parts_add_up(self):
        self.write_recipe("resnet18")
        both = self.inspect("recipe.yaml")
        self.assertEqual(both["rank"], both["node"])
        parts = both["rank"]
        self.assertEqual(parts["sum"], sum(parts.values()) - parts["sum"])
        chunks = self.inspect("recipe.yaml", "train.chunk=1", "train.ema=0.9")["rank"]
        self.assertGreater(chunks["gradients"], 1.9 * parts["gradients"])
        self.assertGreater(chunks["optimizer"], 1.9 * parts["optimizer"])
        text = self.works("inspect", "recipe.yaml").stdout
        for word in parts:
            self.assertIn(word, text)

    def test_what_ranks_do_not_share(self):
        self.write_recipe("resnet18")
        def of(*more):
            return self.inspect("recipe.yaml", "--ranks", "2", *more)
        plain, native = of()["node"], of("exchange.algorithm=native")["node"]
        local, alone = of("train.local_steps=2")["node"], of("--nodes", "2")["node"]
        narrow = of("--nodes", "2", "exchange.wire=bf16")["node"]
        weights = plain["weights"]
        self.assertEqual((native["weights"], native["optimizer"]), (2 * weights, 2 * weights))
        self.assertEqual((local["weights"], local["optimizer"]), (3 * weights, 2 * weights))
        self.assertEqual(narrow["gradients"] - alone["gradients"], 3 * weights // 2)

    def test_ranks_share_a_node(self):
        """Weights lie once on a node, the optimizer's vectors once over all ranks."""
        self.write_recipe("resnet18")
        one = self.inspect("recipe.yaml", "train.leaf=1")["rank"]
        for ranks, nodes in ((2, 1), (8, 1), (8, 2), (8, 8)):
            memory = self.inspect("recipe.yaml", "train.leaf=1", "--ranks", str(ranks), "--nodes", str(nodes))
            rank, node = memory["rank"], memory["node"]
            here = ranks // nodes
            self.assertEqual(node["weights"], one["weights"])
            self.assertEqual(node["gradients"], here * one["gradients"])
            self.assertAlmostEqual(node["optimizer"] * nodes / one["optimizer"], 1, delta=0.001)
            self.assertEqual(node["activations"], here * rank["activations"])
            self.assertLess(rank["activations"], 1.4 * one["activations"] / ranks)


if __name__ == "__main__":
    bench.main()
