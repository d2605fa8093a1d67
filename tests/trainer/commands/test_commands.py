#!/usr/bin/env python3
"""What each command prints and how it exits, as a user types it."""
import glob
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import bench  # noqa: E402

COMMANDS = ("import", "train", "evaluate", "predict", "inspect", "bench", "doctor", "help",
            "version")
CONFIGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "configs")
PICTURE = "pictures/class_3/00003.png"


def mpirun(ranks):
    return ["mpirun", "-n", str(ranks)]


class Help(bench.Bench):
    def test_overview_lists_every_command(self):
        text = self.works("help").stdout
        for command in COMMANDS:
            self.assertIn(f"convoy {command}", text)
        self.assertEqual(self.works("--help").stdout, text)

    def test_every_command_has_help_from_its_table(self):
        for command in COMMANDS:
            done = self.works(command, "--help")
            self.assertTrue(done.stdout.startswith(f"usage: convoy {command}"), done.stdout)
            self.assertEqual(done.stdout, self.works("help", command).stdout)
            self.assertEqual(done.stderr, "")
        self.assertIn("--oversubscribe", self.works("train", "--help").stdout)
        self.assertIn("--shards", self.works("import", "--help").stdout)
        self.assertIn("format pictures", self.works("import", "--help").stdout)

    def test_keys_of_recipes_and_layers(self):
        text = self.works("help", "recipe").stdout
        for key in ("last_batch", "warmup_steps", "momentum", "on_bad_record"):
            self.assertIn(key, text)
        self.assertIn("conv", self.works("help", "model").stdout)
        self.assertIn("| `epochs`", self.works("help", "recipe", "--markdown").stdout)

    def test_no_command_is_wrong_use(self):
        done = self.convoy()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("convoy train", done.stderr)

    def test_wrong_use(self):
        self.refuses(2, ["trian", "train"], "trian")
        self.refuses(2, ["--jsn", "--json"], "doctor", "--jsn")
        self.refuses(2, ["--threads", "value"], "train", "recipe.yaml", "--threads")
        self.refuses(2, ["twice"], "train", "recipe.yaml", "--run", "a", "--run", "b")
        self.refuses(2, ["too many", "FOLDER"], "doctor", ".", ".")
        self.refuses(2, ["threads", "9999"], "train", "recipe.yaml", "--threads=9999")

    def test_version_is_that_of_the_build(self):
        self.assertRegex(self.works("version").stdout, r"^convoy \d+\.\d+\.\d+ \([0-9a-f]{16}\)\n$")
        self.assertEqual(self.works("--version").stdout, self.works("version").stdout)


class Doctor(bench.Bench):
    def test_tells_what_the_machine_offers(self):
        machine = json.loads(self.works("doctor", ".", "--json").stdout)
        for key in ("mpi", "openblas", "instruction_sets", "huge_pages", "shared_memory", "memory"):
            self.assertTrue(machine[key], key)
        # Shared memory is put on huge pages since Linux 6.1, where root does not deny it.
        self.assertIsInstance(machine["shared_huge_pages"], bool)
        setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
        version = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
        if version >= (6, 1) and os.path.exists(setting):
            with open(setting, encoding="utf-8") as file:
                self.assertEqual(machine["shared_huge_pages"], "[deny]" not in file.read())
        self.assert_sets_of_the_system(machine["instruction_sets"])
        self.assertIn("file_system", machine["data"])
        self.assertGreaterEqual(machine["rank"][0]["cores"], 1)

    def assert_sets_of_the_system(self, sets):
        """As the system lists what the processor has."""
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = {flag for line in file if line.startswith("flags") for flag in line.split(":")[1].split()}
        self.assertIn("portable", sets)
        self.assertEqual("avx2" in sets, {"avx2", "fma"} <= flags)
        self.assertEqual("avx512" in sets, {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= flags)

    def test_shows_every_rank_once(self):
        done = self.run_command([*mpirun(3), bench.PROGRAM, "doctor", "--json"])
        machine = json.loads(done.stdout)
        self.assertEqual([rank["rank"] for rank in machine["rank"]], [0, 1, 2])
        self.assertEqual(machine["rank"][0]["ranks_on_host"], 3)

    def test_names_a_folder_that_is_not_there(self):
        self.refuses(1, ["nowhere"], "doctor", "nowhere")


class Trained(bench.Bench):
    """Commands that take a checkpoint."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prepare(cls.template, "train", "recipe.yaml", "--run", "run", "train.epochs=20",
                    "checkpoint.keep=1", "data.validation=data/train")

    def evaluate(self, *launcher):
        done = self.run_command([*launcher, bench.PROGRAM, "evaluate", "run", "data/train", "--json",
                                 "--oversubscribe"])
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_evaluate_gives_the_same_figures_for_any_number_of_ranks(self):
        one = self.evaluate()
        self.assertEqual(one["pictures"], 60)
        counts = one["confusion"]
        self.assertEqual(sum(map(sum, counts)), 60)
        right = sum(counts[c][c] for c in range(6))
        self.assertAlmostEqual(one["accuracy"], right / 60)
        self.assertGreater(one["accuracy"], 1 / 6, "it learned nothing")
        for ranks in (2, 3, 4):
            self.assertEqual(self.evaluate(*mpirun(ranks)), one)

    def test_evaluate_agrees_with_the_last_validation(self):
        with open(self.path("run/metrics.jsonl"), encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        last = [event for event in events if event["event"] == "validation"][-1]
        found = self.evaluate()
        self.assertAlmostEqual(found["loss"], last["loss"], places=7)
        self.assertAlmostEqual(found["accuracy"], last["accuracy"], places=7)

    def test_evaluate_prints_a_table(self):
        text = self.works("evaluate", "run", "data/train").stdout
        self.assertIn("60 pictures", text)
        self.assertEqual(len([line for line in text.splitlines() if line.endswith(" %")]), 6)

    def test_evaluate_on_more_ranks_than_leaves(self):
        self.refuses(2, ["5", "4"], "evaluate", "run", "data/train", "--oversubscribe",
                     launcher=mpirun(5))

    def test_predict_agrees_with_the_class(self):
        right = 0
        for number in range(6):
            done = self.works("predict", "run", f"pictures/class_{number}/0000{number}.png", "--json")
            found = json.loads(done.stdout)["classes"]
            self.assertEqual(len(found), 5)
            chances = [one["probability"] for one in found]
            self.assertEqual(chances, sorted(chances, reverse=True))
            self.assertLessEqual(sum(chances), 1.000001)
            self.assertEqual(found[0]["class"], f"class_{found[0]['number']}")
            right += found[0]["number"] == number
        self.assertGreater(right, 1)

    def test_predict_takes_many_pictures(self):
        text = self.works("predict", "run/checkpoints/best.safetensors", PICTURE,
                          "pictures/class_1/00001.png", "--top", "2").stdout
        self.assertEqual(len(text.splitlines()), 6)
        self.assertTrue(text.startswith(PICTURE))

    def test_predict_probabilities_sum_to_one(self):
        done = self.works("predict", "run", PICTURE, "--json", "--top", "6")
        found = json.loads(done.stdout)["classes"]
        self.assertAlmostEqual(sum(one["probability"] for one in found), 1, places=6)

    def test_inspect_a_checkpoint(self):
        found = json.loads(self.works("inspect", "run", "--json", "--verify").stdout)
        self.assertEqual((found["is"], found["step"], found["epoch"], found["seed"]),
                         ("checkpoint", 40, 20, 1))
        self.assertEqual([one for one in found["classes"]], [f"class_{c}" for c in range(6)])
        self.assertTrue(found["verified"])
        self.assertIn("batch: 32", found["recipe"])
        self.assertIn("conv", self.works("inspect", "run").stdout)

    def test_inspect_refuses_what_says_nothing_of_a_checkpoint(self):
        checkpoint = "run/checkpoints/best.safetensors"
        self.refuses(2, ["run is a run", "engine.winograd=off"], "inspect", "run", "engine.winograd=off")
        self.refuses(2, ["best.safetensors is a checkpoint", "data/train"], "inspect", checkpoint, "data/train")
        self.refuses(2, ["--ranks is for recipes"], "inspect", "run", "--ranks", "1")
        self.refuses(2, ["--nodes is for recipes"], "inspect", checkpoint, "--nodes", "2")


class Inspect(bench.Bench):
    def test_a_model(self):
        found = json.loads(self.works("inspect", "model.yaml", "--json").stdout)
        self.assertEqual(found["is"], "model")
        network = found["network"]
        self.assertEqual([layer["kind"] for layer in network["layers"]], ["conv", "relu", "linear"])
        self.assertEqual([layer["output"] for layer in network["layers"]],
                         [[8, 5, 5], [8, 5, 5], [6, 1, 1]])
        parameters = [8 * 3 * 9 + 8, 0, 6 * 200 + 6]
        self.assertEqual([layer["parameters"] for layer in network["layers"]], parameters)
        self.assertEqual(network["parameters"], sum(parameters))
        self.assertEqual(network["multiply_adds"], 25 * 8 * 27 + 6 * 200)
        self.assertTrue(network["layers"][0]["kernel"])
        self.assertIn("multiply-adds", self.works("inspect", "model.yaml").stdout)

    def test_kernels_of_each_direction(self):
        """The pictures have no gradient; a linear layer's copies are not the same in all directions."""
        text = self.works("inspect", "model.yaml").stdout
        conv, relu, linear = json.loads(self.works("inspect", "model.yaml", "--json").stdout)["network"]["layers"]
        self.assertEqual(set(conv["kernels"]), {"forward", "backward-weights"})
        self.assertNotIn("kernels", relu)
        self.assertEqual(set(linear["kernels"]), {"forward", "backward-data", "backward-weights"})
        for layer in (conv, linear):
            self.assertEqual(layer["kernel"], layer["kernels"]["forward"])
        self.assertRegex(linear["kernels"]["forward"], r"^direct 5x5 \w+ \d+x16, input copied$")
        self.assertRegex(linear["kernels"]["backward-data"], r"^direct 5x5 \w+ \d+x16$")
        self.assertRegex(linear["kernels"]["backward-weights"], r"^direct 5x5 \w+ \d+x16, input and gradient copied$")
        self.assertRegex(text, r"(?m)^conv1 .* direct 3x3 \w+ \d+x16, input copied; takes gradient from linear1$")
        self.assertRegex(text, r"(?m)^linear1 .* direct 5x5 \w+ \d+x16, input copied; backward-data \d+x16; "
                               r"backward-weights \d+x16, input and gradient copied$")

    def test_refuses_what_says_nothing_of_it(self):
        self.refuses(2, ["data/train is a data set", "extra"], "inspect", "data/train", "extra")
        self.refuses(2, ["--ranks is for recipes", "a data set"], "inspect", "data/train", "--ranks", "2")
        self.refuses(2, ["--ranks is for recipes", "a model"], "inspect", "model.yaml", "--ranks", "2")
        self.refuses(2, ["--nodes is for recipes", "a model"], "inspect", "model.yaml", "--nodes", "2")
        self.refuses(2, ["--verify is for data sets", "a model"], "inspect", "model.yaml", "--verify")
        self.refuses(2, ["--verify is for data sets", "a recipe"], "inspect", "recipe.yaml", "--verify")

    def test_kernels_are_those_of_training(self):
        self.write("wide.yaml", "input: {channels: 32, height: 8, width: 8}\nlayers:\n"
                   "  - conv: {out: 32, kernel: 3, pad: 1}\n  - linear: {out: 6}\n")
        self.replace("recipe.yaml", "model: model.yaml", "model: wide.yaml")
        for wanted, *what in (("winograd", "wide.yaml"), ("winograd", "recipe.yaml"),
                              ("direct", "wide.yaml", "engine.winograd=off"),
                              ("direct", "recipe.yaml", "engine.winograd=off")):
            found = json.loads(self.works("inspect", *what, "--json").stdout)
            self.assertEqual(found["network"]["layers"][0]["kernel"].split()[0], wanted, what)

    def test_keys_of_a_bare_model_are_checked(self):
        self.refuses(2, ["command line", "nonsense"], "inspect", "model.yaml", "nonsense=1")

    def test_every_example_is_planned(self):
        for path in glob.glob(os.path.join(CONFIGS, "**", "*.yaml"), recursive=True):
            found = json.loads(self.works("inspect", path, "--json").stdout)
            folder = os.path.basename(os.path.dirname(path))
            self.assertEqual(found["is"], "model" if folder == "models" else "recipe", path)
        for path in glob.glob(os.path.join(CONFIGS, "models", "*-small.yaml")):
            for size in (28, 32):
                picture = f"model.input={{channels: 1, height: {size}, width: {size}}}"
                self.works("inspect", path, picture)

    def test_a_recipe_and_the_memory_of_its_ranks(self):
        one = json.loads(self.works("inspect", "recipe.yaml", "--json").stdout)
        self.assertEqual((one["is"], one["batch"], one["leaves"]), ("recipe", 32, 4))
        four = json.loads(self.works("inspect", "recipe.yaml", "--json", "--ranks", "4").stdout)
        self.assertLess(four["network"]["memory"]["activations"],
                        one["network"]["memory"]["activations"])
        more = json.loads(self.works("inspect", "recipe.yaml", "--json", "train.batch=64").stdout)
        self.assertEqual(more["leaves"], 8)

    def test_a_data_set(self):
        found = json.loads(self.works("inspect", "data/train", "--json", "--verify").stdout)
        self.assertEqual((found["is"], found["pictures"], found["shards"]), ("data set", 60, 4))
        self.assertEqual(found["shape"], [3, 12, 14])
        self.assertEqual(sum(one["pictures"] for one in found["classes"]), 60)
        self.assertTrue(found["verified"])
        self.assertIn("60 pictures", self.works("inspect", "data/train").stdout)

    def test_what_is_not_there(self):
        self.refuses(2, ["nowhere"], "inspect", "nowhere")


if __name__ == "__main__":
    bench.main()
