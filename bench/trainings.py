"""Trainings on Fashion-MNIST that are compared by the share of its test pictures they get right.

As many run at a time as there are cores, on one thread each: the bits do not depend on that. Needs
the release build and Debian's dataset-fashion-mnist.
"""
import concurrent.futures
import json
import os
import subprocess
import tempfile

from peers import MODELS, ROOT, say

FASHION = os.path.join("/usr", "share", "datasets", "fashion-mnist")
PICTURES = 60000  # to train with
TESTED = "percent of the 10,000 test pictures that are right"


def add_options(parser):
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)),
                        help="trainings at a time")
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "convoy"))


def prepare(options, folder, model, recipe):
    """The data set, model.yaml (of one input channel) and recipe.yaml, which names both."""
    subprocess.run([options.program, "import", "idx", FASHION, os.path.join(folder, "data")],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(MODELS, model + ".yaml"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(folder, "model.yaml"), "w", encoding="utf-8") as file:
        file.write(text.replace("channels: 3", "channels: 1"))
    with open(os.path.join(folder, "recipe.yaml"), "w", encoding="utf-8") as file:
        file.write(recipe)


def accuracy_of(options, folder, name, settings):
    """The share of the test pictures that the trained network has right, in percent."""
    for command in (("train", "recipe.yaml", "--run", name, "train.threads=1", *settings),
                    ("evaluate", name, "data/test", "--json", "--threads", "1")):
        done = subprocess.run([options.program, *command], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    accuracy = 100 * json.loads(done.stdout)["accuracy"]
    say(f"{name}: {accuracy:.2f} %")
    return accuracy


def accuracies(options, model, recipe, trainings):
    """Of a dictionary of settings by name, the accuracies by name."""
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        prepare(options, folder, model, recipe)
        return dict(zip(trainings, pool.map(
            lambda name: accuracy_of(options, folder, name, trainings[name]), trainings)))
