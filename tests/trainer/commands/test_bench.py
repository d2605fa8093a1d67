#!/usr/bin/env python3
"""`convoy bench` as a user types it: what it prints and how it exits, never how fast anything is."""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import subprocess
import sys
from unittest import mock

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
FOLDER = os.path.join(ROOT, "bench")
sys.path[:0] = [os.path.join(ROOT, "tests", "support"), FOLDER]
import bench  # noqa: E402
import goals  # noqa: E402
import layers  # noqa: E402
import peers  # noqa: E402
import shapes  # noqa: E402

MODEL = """\
input: {channels: 3, height: 12, width: 10}
layers:
  - conv: {out: 24, kernel: 3, pad: 1}
  - batchnorm:
  - relu:
  - residual:
      body:
        - conv: {out: 24, kernel: 1}
  - avgpool: {global: true}
  - linear: {out: 5}
"""
# Multiply-adds of forward a picture, by hand; the first layer's input has no gradient.
CONV1, CONV2, LINEAR = 120 * 24 * 3 * 9, 120 * 24 * 24, 24 * 5
A_STEP = 2 * CONV1 + 3 * CONV2 + 3 * LINEAR


class Ceiling(bench.Bench):
    def test_measures_one_core_and_all(self):
        report = json.loads(self.works("bench", "ceiling", "--rounds", "1", "--json").stdout)
        for who in ("core", "all"):
            for what in ("gflops", "read_gbytes", "copy_gbytes"):
                self.assertGreater(report[who][what], 0, f"{who} {what}")
        self.assertEqual(report["ranks"], 1)

    def test_every_instruction_set_has_one(self):
        sets = json.loads(self.works("doctor", "--json").stdout)["instruction_sets"]
        for name in sets:
            done = self.run_command(["env", f"CONVOY_ISA={name}", bench.PROGRAM, "bench", "ceiling",
                                     "--rounds", "1", "--threads", "1", "--json"])
            self.assertEqual(json.loads(done.stdout)["kernels"], name)

    def test_text(self):
        text = self.works("bench", "ceiling", "--rounds", "1").stdout
        self.assertIn("GFLOP/s", text)
        self.assertIn("one core", text)

    def test_takes_no_argument(self):
        self.refuses(2, ["no argument", "model.yaml"], "bench", "ceiling", "model.yaml")


class Exchange(bench.Bench):
    def check(self, done, ranks):
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["ranks"], report["bytes"]), (ranks, 300000))
        for way in ("ours", "MPI_Allreduce", "MPI_Iallreduce"):
            seconds = report[way]["seconds"]
            self.assertEqual(seconds, sorted(seconds))
            self.assertAlmostEqual(
                report[way]["over_ours"] * report["ours"]["seconds"][1] / seconds[1], 1, 3)
        if report["nodes"] == 1:
            self.assertAlmostEqual(
                report["share"] * report["ours"]["seconds"][1] / report["memory_seconds"], 1, 3)
        else:  # links are the limit, not memory
            self.assertNotIn("share", report)
        return report

    def measure(self, *launcher, **more):
        return self.run_command([*launcher, bench.PROGRAM, "bench", "exchange", "--bytes", "300000",
                                 "--rounds", "3", "--threads", "1", "--json", "--oversubscribe"],
                                **more)

    def test_alone(self):
        self.check(self.measure(), 1)

    def test_on_ranks_of_one_node_and_of_two(self):
        report = self.check(self.measure("mpirun", "-n", "2"), 2)
        self.assertEqual(report["nodes"], 1)
        report = self.check(self.measure("mpirun", "-n", "2", "-x", "CONVOY_TEST_NODES=1,1"), 2)
        self.assertEqual(report["nodes"], 2)

    def test_text(self):
        text = self.works("bench", "exchange", "--bytes", "10000", "--rounds", "1").stdout
        for words in ("ours", "MPI_Allreduce", "update of the weights included", "memory allows"):
            self.assertIn(words, text)

    def test_wrong_use(self):
        self.refuses(2, ["floats"], "bench", "exchange", "--bytes", "20 GiB")
        self.refuses(2, ["no argument", "model.yaml"], "bench", "exchange", "model.yaml")


class Layers(bench.Bench):
    def setUp(self):
        super().setUp()
        self.write("net.yaml", MODEL)

    def layers(self, *more):
        return json.loads(self.works("bench", "layers", "net.yaml", "--batch", "6", "--rounds", "2",
                                     "--json", *more).stdout)

    def test_every_layer_and_direction_once(self):
        report = self.layers("--threads", "1")
        parts = [(row["name"], row["part"]) for row in report["layers"]]
        self.assertEqual(len(parts), len(set(parts)))
        for part in ("forward", "backward-weights", "backward"):
            self.assertIn(("linear1", part), parts)
        self.assertIn(("conv1", "backward-weights"), parts)
        self.assertNotIn(("conv1", "backward"), parts, "pictures have no gradient")
        self.assertIn(("relu1", "backward"), parts)
        self.assertIn(("update", ""), parts)
        self.assertAlmostEqual(sum(row["share_of_step"] for row in report["layers"]), 1, 1)
        kinds = [(row["kind"], row["part"]) for row in report["kinds"]]
        self.assertEqual(kinds.count(("conv", "forward")), 1)
        self.assertEqual(len(kinds), len(set(kinds)))

    def test_rates_are_work_by_time(self):
        for row in self.layers("--threads", "1")["layers"]:
            if (row["name"], row["part"]) == ("conv1", "forward"):
                self.assertAlmostEqual(row["gflops"] * row["seconds"] / (2e-9 * CONV1 * 6), 1, 3)
                self.assertIn("direct", row["kernel"])
            if (row["name"], row["part"]) == ("relu1", "forward"):
                self.assertAlmostEqual(
                    row["gbytes"] * row["seconds"] / (2e-9 * 4 * 120 * 24 * 6), 1, 3)

    def test_the_recipe_can_be_set(self):
        kernels = [row["kernel"] for row in self.layers("engine.kernels=blas", "--cpu-time",
                                                        "--threads", "1")["layers"]]
        self.assertTrue(any("blas" in kernel for kernel in kernels), kernels)

    def test_text_names_layers_and_sums(self):
        text = self.works("bench", "layers", "net.yaml", "--batch", "4", "--rounds", "1").stdout
        self.assertIn("batchnorm1", text)
        self.assertIn("sums by kind", text)


class Step(bench.Bench):
    def setUp(self):
        super().setUp()
        self.write("net.yaml", MODEL)

    def check(self, report, ranks, leaf):
        self.assertEqual((report["ranks"], report["batch"], report["leaf"]), (ranks, 8, leaf))
        self.assertEqual(report["multiply_adds_a_picture"], A_STEP)
        seconds = report["step_seconds"]
        self.assertEqual(seconds, sorted(seconds))
        self.assertAlmostEqual(report["pictures_per_second"] * seconds[1] / 8, 1, 3)
        for key in ("ceiling_gflops", "start_to_first_step_seconds", "first_step_seconds",
                    "peak_memory_mib"):
            self.assertGreater(report[key], 0, key)

    def test_alone(self):
        report = json.loads(self.works("bench", "step", "net.yaml", "--batch", "8", "--steps", "3",
                                       "--json").stdout)
        self.check(report, 1, 8)

    def test_on_ranks(self):
        done = self.run_command(["mpirun", "-n", "2", bench.PROGRAM, "bench", "step", "net.yaml",
                                 "--batch", "8", "--steps", "2", "--threads", "1", "--json",
                                 "--oversubscribe"])
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.check(report, 2, 4)
        self.assertGreaterEqual(report["peak_memory_all_ranks_mib"], report["peak_memory_mib"])

    def test_text(self):
        text = self.works("bench", "step", "net.yaml", "--batch", "4", "--leaf", "2", "--steps",
                          "1").stdout
        for words in ("leaves of 2", "of the ceiling", "start to first step", "peak memory"):
            self.assertIn(words, text)

    def test_wrong_use(self):
        self.refuses(2, ["step'", "ceiling"], "bench", "stepp", "net.yaml")
        self.refuses(2, ["MODEL"], "bench", "step")
        self.refuses(2, ["power of two"], "bench", "step", "net.yaml", "--batch", "7", "--leaf",
                     "2")
        self.refuses(2, ["nowhere.yaml"], "bench", "layers", "nowhere.yaml")
        self.refuses(2, ["egine"], "bench", "step", "net.yaml", "egine.kernels=blas")


def load_compare():
    """bench/compare as a module."""
    loader = importlib.machinery.SourceFileLoader("compare", os.path.join(FOLDER, "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


class Stub:
    """A peer that takes no step."""
    def __init__(self, name, settings, rate):
        self.name, self.settings, self.rate = name, settings, rate

    def step(self, network, setting, steps):
        rate = self.rate * setting.ranks * setting.threads * network.batch
        return {"rate": rate, "share": 0.5, "ceiling": 100 * setting.ranks * setting.threads,
                "memory": 1000, "start": 1.5}


# Stands for convoy and for bench_products.
PROGRAM = """\
#!/usr/bin/env python3
import json, os, sys
convolution = {"input": [64, 28, 28], "output": 64, "kernel": [3, 3], "stride": [1, 1],
               "pad": [1, 1], "dilation": [1, 1], "groups": 1}
if "--lines" in sys.argv:
    line = list(map(int, sys.stdin.read().split()))
    assert len(line) == 15 and 0 not in line[:8] + line[10:14], line
    print(json.dumps([{"direction": direction, "operations": 9e9, "ceiling": [1e11, 1e11],
                       "direct": [0.1, 0.1], "winograd": [0.05, 0.05], "onednn": [0.1, 0.1]}
                      for direction in ("forward", "backward-data", "backward-weights")]))
elif os.environ.get("OMPI_COMM_WORLD_RANK", "0") != "0":
    pass  # rank 0 speaks
elif "doctor" in sys.argv:
    print(json.dumps({"rank": [{"kernels": "avx2"}]}))
elif "exchange" in sys.argv:
    print(json.dumps({"ours": {"seconds": [0.009, 0.01, 0.011]}, "share": 0.75,
                      "MPI_Allreduce": {"over_ours": 20.0}}))
elif "step" in sys.argv:
    pictures = int(sys.argv[sys.argv.index("--batch") + 1])
    print(json.dumps({"pictures_per_second": 0.9 * pictures, "share": [0.4, 0.5, 0.6],
                      "ceiling_gflops": 10 * pictures, "peak_memory_all_ranks_mib": 100,
                      "start_to_first_step_seconds": 1}))
elif sys.argv[1] == "inspect":
    print(json.dumps({"network": {"layers": [{"kind": "conv", "input_gradient": True,
                                              "convolution": convolution}] * 2}}))
else:
    rows = [{"name": "", "kind": kind, "part": "forward", "share_of_memory": 0.75}
            for kind in ("conv", "batchnorm", "maxpool", "avgpool", "lrn")]
    print(json.dumps({"memory_gbytes": 40, "kinds": rows,
                      "layers": [{"name": "update", "share_of_memory": 0.85}]}))
"""


class Compare(bench.Bench):
    """bench/compare without running the peers: its list, how it judges, and what it takes from the
    programs."""

    def test_lists_what_there_is(self):
        done = self.run_command([sys.executable, os.path.join(FOLDER, "compare"), "--list",
                                 "--only", "resnet50"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split("\n"),
                         ["steps resnet50", "weak resnet50, 16 pictures a rank",
                          "convolutions resnet50", "memory resnet50", ""])

    def test_nothing_chosen_is_wrong_use(self):
        done = self.run_command([sys.executable, os.path.join(FOLDER, "compare"), "--only",
                                 "resnet51"])
        self.assertEqual(done.returncode, 2)

    def test_inspect_tells_shapes_of_convolutions(self):
        self.write("net.yaml", MODEL)
        report = json.loads(self.works("inspect", "net.yaml", "--json").stdout)
        layers = report["network"]["layers"]
        self.assertEqual(layers[0]["convolution"],
                         {"input": [3, 12, 10], "output": 24, "kernel": [3, 3], "stride": [1, 1],
                          "pad": [1, 1], "dilation": [1, 1], "groups": 1})
        self.assertEqual((layers[0]["input_gradient"], layers[-1]["input_gradient"]), (False, True))
        self.assertNotIn("convolution", layers[1])

    def test_products_come_round_by_round(self):
        done = subprocess.run([os.path.join(os.path.dirname(bench.PROGRAM), "bench",
                                            "bench_products"), "--lines", "--rounds", "2"],
                              input="32 8 8 32 3 3 1 1 1 1 1 1 1 2 0\n"
                              "3 8 8 16 3 3 2 2 1 1 1 1 1 4 1\n"
                              "32 9 9 32 3 3 2 1 1 2 1 3 32 1 1\n",
                              text=True, stdout=subprocess.PIPE, check=True)
        products = json.loads(done.stdout)
        self.assertEqual([product["direction"] for product in products],
                         ["forward", "backward-data", "backward-weights", "forward",
                          "backward-weights", "forward", "backward-weights"])  # first: pictures
        # The last one makes 5 rows, of a stride of 2, and 7 columns, of taps that are 3 apart.
        for product, multiply_adds in zip(products, [32 * 32 * 9 * 64 * 2] * 3
                                          + [3 * 16 * 9 * 16 * 4] * 2 + [32 * 9 * 5 * 7] * 2):
            self.assertEqual(product["operations"], 2 * multiply_adds)
            self.assertEqual((len(product["ceiling"]), len(product["direct"])), (2, 2))
        self.assertEqual([len(product["winograd"]) for product in products],
                         [2, 2, 2, 0, 0, 0, 0])

    def test_a_line_of_too_few_numbers_is_named(self):
        for program in ("bench_products", "bench_winograd_error"):
            done = subprocess.run([os.path.join(os.path.dirname(bench.PROGRAM), "bench", program),
                                   "--lines"], input="32 8 8 32 3 3 1 1 1 1 2 0\n", text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr,
                             f"{program}: standard input:1: 12 numbers in place of 15\n")

    def test_lines_and_names_tell_all_of_a_shape(self):
        layer = shapes.conv(64, (32, 100), 128, 3, stride=(2, 1), pad=(1, 2), dilation=2, groups=4)
        self.assertEqual(layers.line_of(layer, 8), "64 32 100 128 3 3 2 1 1 2 2 2 4 8 0")
        self.assertEqual(layers.name_of(layer["convolution"]),
                         "3x3/2x1 64-128 32x100 dilated 2 in 4")
        self.assertEqual(layers.name_of(shapes.depthwise(32, 14, 3, 2)["convolution"]),
                         "3x3/2 32-32 14x14 depthwise")
        names = [layers.name_of(layer["convolution"], layer["kind"] == "conv_transpose")
                 for layer in shapes.ODD_SHAPES.layers]
        self.assertEqual(len(names), len(set(names)))

    def test_a_transposed_convolution_has_forward_and_backward_of_its_plan_exchanged(self):
        self.addCleanup(setattr, layers, "measure_line", layers.measure_line)
        layers.measure_line = lambda options, line: [{"direction": direction, "plan": direction}
                                                     for direction in goals.MAPS + goals.WEIGHTS]
        rows = layers.measure_layer(None, shapes.conv_transpose(256, 14, 128, 4, 2, 1), 8)
        self.assertEqual({row["direction"]: row["plan"] for row in rows},
                         {"forward": "backward-data", "backward-data": "forward",
                          "backward-weights": "backward-weights"})
        self.assertEqual(rows[0]["name"], "4x4/2 transposed 256-128 to 28x28")

    def test_peers_are_held_to_the_chosen_instruction_set(self):
        options = argparse.Namespace(cpu_time=False)
        with mock.patch.dict(os.environ):
            os.environ.pop("CONVOY_ISA", None)
            self.assertNotIn("ATEN_CPU_CAPABILITY", peers.environment(options))
            os.environ["CONVOY_ISA"] = "avx2"
            settings = peers.environment(options)
        self.assertEqual((settings["ONEDNN_MAX_CPU_ISA"], settings["ATEN_CPU_CAPABILITY"]),
                         ("AVX2", "avx2"))

    def test_quick_takes_fewer_steps_of_what_was_slow(self):
        network = peers.Network("any", "any", 16)
        for quick, rate, steps in ((True, None, 3), (True, 100.0, 3), (True, 8.0, 2),
                                   (True, 1.0, 1), (False, 1.0, 3)):
            options = argparse.Namespace(quick=quick, steps=3)
            self.assertEqual(peers.steps_of(options, network, rate), steps, (quick, rate))
        self.assertEqual(peers.steps_of(options, network._replace(times=30), None), 90)

    def test_one_peer_is_chosen_by_beside(self):
        def names(**more):
            options = argparse.Namespace(
                **{"quick": False, "cpu_time": False, "beside": "", **more})
            return [(peer.name, len(peer.settings)) for peer in peers.peers(options)]
        with mock.patch("importlib.util.find_spec", lambda name: None), \
                contextlib.redirect_stderr(io.StringIO()):
            ours = [(peers.CONVOY, 3), (peers.DIRECT, 2), (peers.CHEAP, 1)]
            self.assertEqual(names(), [*ours, (peers.BLAS, 1)])
            self.assertEqual(names(quick=True), ours)
            self.assertEqual(names(quick=True, beside="OpenBLAS"),
                             [(peers.CONVOY, 1), (peers.BLAS, 1)])

    def compare(self, *arguments):
        """What bench/compare writes into RESULTS.md where everything is a stub."""
        compare = load_compare()
        for name in ("convoy", os.path.join("bench", "bench_products")):
            self.write(name, PROGRAM)
            os.chmod(self.path(name), 0o755)
        threads, ranks = compare.SETTINGS[1:]
        compare.peers = lambda options: [
            Stub(goals.CONVOY, compare.SETTINGS, 3), Stub(goals.DIRECT, (threads, ranks), 2),
            Stub(goals.CHEAP, (threads,), 2),
            Stub(goals.INSTALLED, (threads,), 0.5), Stub(goals.TUNED, (threads, ranks), 1)]
        compare.RESULTS = self.path("RESULTS.md")
        self.write("RESULTS.md", f"before\n\n{compare.MARK}\n### older\n")
        self.addCleanup(setattr, sys, "argv", sys.argv)
        sys.argv = ["compare", *arguments, "--program", self.path("convoy")]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(compare.main(), 0)
        text = self.read("RESULTS.md").decode()
        self.assertTrue(text.startswith(f"before\n\n{compare.MARK}\n### 2"))
        self.assertTrue(text.endswith("\n### older\n"))
        return text

    def test_everything_is_measured(self):
        text = self.compare()
        self.assertIn(" cores; avx2; ", text)
        for network in peers.NETWORKS + peers.OTHERS:
            self.assertIn(f"| {network.name} | 2 ranks | PyTorch tuned |", text)
        # The stub knows one layer and one time.
        for network in ("resnet50", "alexnet-published", "inception_v3"):
            self.assertIn(f"| {network} | 3x3 64-64 28x28 | 50.0, 180 % (2.00×) |", text)
        rows = [line for line in text.split("\n") if line.startswith("| odd shapes | ")]
        self.assertEqual(len(rows), len(shapes.ODD_SHAPES.layers))
        for row in rows:
            self.assertEqual(row.count("50.0, 180 % (2.00×)"), 3, row)

    def test_quick_leaves_out_what_has_no_goal(self):
        text = self.compare("--quick")
        for name in ("lenet5", "inception_v3", "odd shapes"):
            self.assertNotIn(name, text)

    def test_quick_may_be_asked_for_one(self):
        text = self.compare("--quick", "--only", "steps lenet5")
        self.assertIn("| lenet5 | 1 thread | Convoy |", text)
        self.assertNotIn("| goal |", text)

    def test_every_goal_is_judged(self):
        table = self.compare("--quick").split("| goal |")[1].split("\n\n")[0].split("\n")[2:]
        judged = dict(line[2:-2].split(" | ", 1) for line in table)
        self.assertEqual(len(judged), len(goals.rows(goals.Found())))
        self.assertEqual([goal for goal, rest in judged.items() if rest.endswith(goals.UNKNOWN)],
                         ["1x1, C ≥ 256, up to 28x28", "1x1 at 56x56", "first layer 7x7/2",
                          "first layer 11x11/4"])
        self.assertEqual(judged["vgg16, 2 ranks: Convoy by PyTorch tuned"],
                         "≥ 2.6× | 3.00× (3.00–3.00) | 48.0 and 16.0 pictures/s | yes")
        self.assertEqual(judged["update, of memory speed"],
                         "≥ 80 % | 85 % (85–85) | copy 40 GB/s | yes")
        self.assertEqual(judged["vgg16: 2 ranks over one, by the ceiling's"],
                         "≥ 95 % | 100 % (100–100) | 2.00× of the ceiling's 2.00× | yes")
        self.assertEqual(judged["alexnet, 64 pictures a rank: 2 ranks over one, by the ceiling's"],
                         "≥ 95 % | 100 % (100–100) | 2.00× of the ceiling's 2.00× | yes")
        exchange = "100 MB over 2 ranks, update included: "
        self.assertEqual(judged[exchange + "MPI_Allreduce's time by ours"],
                         "≥ 25× | 20.00× (20.00–20.00) | ours 0.0100 s | no")
        self.assertEqual(judged[exchange + "of what memory allows"],
                         "≥ 70 % | 75 % (75–75) | ours 0.0100 s | yes")

    def test_goals_are_judged_by_the_median_of_ratios_within_a_round(self):
        found = goals.Found()
        for ours, theirs in ((16, 10), (3, 2), (10, 10), (16, 0)):  # the last one's peer failed
            found.steps.setdefault("resnet50", []).append({
                (goals.CONVOY, "2 threads"): {"rate": ours, "memory": 70, "start": 2.5},
                (goals.CHEAP, "2 threads"): {"rate": ours, "memory": 71},
                (goals.TUNED, "2 threads"): theirs and {"rate": theirs, "memory": 100}})
        rows = {row[0]: row[1:] for row in goals.rows(found)}
        self.assertEqual(rows["resnet50, 2 threads: Convoy by PyTorch tuned"],
                         ("≥ 1.5×", "1.50× (1.00–1.60)", "13.0 and 10.0 pictures/s", "yes"))
        memory = "peak memory of a ResNet-50 step: {} by PyTorch tuned".format
        self.assertEqual(rows[memory("Convoy")][-1], "yes")
        self.assertEqual(rows[memory("Convoy, recompute cheap")],
                         ("≤ 0.7×", "0.71× (0.71–0.71)", "71 and 100 MiB", "no"))
        self.assertEqual(rows["start to first step, ResNet-50"][-1], "no")
        self.assertEqual(rows["resnet50, 2 ranks: Convoy by PyTorch tuned"][-1], goals.UNKNOWN)

    def test_goals_of_many_layers_are_judged_layer_by_layer(self):
        def product(direct, winograd, onednn):
            return {"direction": "forward", "operations": 9e9, "ceiling": [100e9, 100e9],
                    "direct": direct, "winograd": winograd, "onednn": onednn,
                    "shape": {"input": [64, 56, 56], "output": 64, "kernel": [3, 3],
                              "stride": [1, 1], "groups": 1}}
        found = goals.Found()
        found.convolutions = {"vgg16": [product([0.09, 0.09], [0.03, 0.03], [0.12, 0.12]),
                                        product([0.18, 0.18], [], [0.18, 0.18])]}
        rows = {row[0]: row[1:] for row in goals.rows(found)}
        self.assertEqual(rows["3x3, C ≥ 64: forward and backward-data"],
                         ("≥ 93 %", "75 % (50–100)", "ceiling 100 GFLOP/s", "1 of 2"))
        self.assertEqual(rows["layers of three networks beside oneDNN, geometric mean"],
                         ("≥ 1.15×", "2.00×", "2 layers and directions", "yes"))
        self.assertEqual(rows["Winograd over direct, C ≥ 64, from 14x14: forward"],
                         ("≥ 1.7×", "3.00×", "our direct kernels", "yes"))


if __name__ == "__main__":
    bench.main()
