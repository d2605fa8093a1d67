#!/usr/bin/env python3
"""Follows CONTRIBUTING.md's guide for adding a layer on a scratch copy of the tree: writes the files
it shows, makes the changes it shows, types the commands it shows, and trains with the new layer.

In the guide, a block "```c PATH" is a new file; a block "```diff PATH" is a change to one: its lines
without "+" must stand in the file once, and the lines without "-" replace them.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import bench  # noqa: E402
import pictures  # noqa: E402

SECTION = re.compile(r"^## How to add a layer\n(.*?)(?=^## |\Z)", flags=re.S | re.M)
BLOCK = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", flags=re.S | re.M)
NOT_COPIED = shutil.ignore_patterns(".git", "build", "runs", "data", "__pycache__")


def change(tree, path, diff):
    """Applies one diff block; blanks within a line need not be as many as in the file."""
    lines = [(line[:1], line[1:].split()) for line in diff.splitlines()]
    old = [words for sign, words in lines if sign != "+"]
    with open(os.path.join(tree, path), encoding="utf-8") as file:
        found = file.read().split("\n")
    places = [i for i in range(len(found))
              if [line.split() for line in found[i:i + len(old)]] == old]
    if len(places) != 1:
        raise RuntimeError(f"{path} holds {len(places)} times what the guide changes:\n{diff}")
    new = [line[1:] for line in diff.splitlines() if line[:1] != "-"]
    found[places[0]:places[0] + len(old)] = new
    with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
        file.write("\n".join(found))


def run(command, folder):
    print(f"$ {command}", flush=True)
    done = subprocess.run(command, shell=True, cwd=folder, env=bench.environment(), check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
        raise RuntimeError(f"exit {done.returncode}: {command}")
    return done.stdout


def follow(tree):
    """Returns the kind's name and how many blocks were followed."""
    with open(os.path.join(ROOT, "CONTRIBUTING.md"), encoding="utf-8") as file:
        section = SECTION.search(file.read()).group(1)
    blocks = BLOCK.findall(section)
    for language, path, text in blocks:
        if language == "c":
            print(f"write {path}")
            if os.path.exists(os.path.join(tree, path)):
                raise RuntimeError(f"{path} is there already: the guide needs another example")
            with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
                file.write(text)
        elif language == "diff":
            print(f"change {path}")
            change(tree, path, text)
        else:
            for line in text.splitlines():
                if line.startswith("clang-format") and not shutil.which("clang-format"):
                    print(f"left out, clang-format is not installed: {line}")
                else:
                    run(line, tree)
    return len(blocks)


def use(tree):
    """A network with the new layer is inspected and trained."""
    program = os.path.join(tree, "build/debug/convoy")
    place = os.path.join(tree, "use")
    os.makedirs(place)
    pictures.draw(os.path.join(place, "pictures"), 60, 6, 14, 12, 1)
    for name, text in (("recipe.yaml", bench.RECIPE),
                       ("model.yaml", bench.MODEL.replace("relu:", "softsign:"))):
        with open(os.path.join(place, name), "w", encoding="utf-8") as file:
            file.write(text)
    if "softsign" not in run(f"{program} inspect recipe.yaml", place):
        raise RuntimeError("inspect does not show the new layer")
    run(f"{program} import pictures pictures data/train --shards 4", place)
    run(f"{program} train recipe.yaml --run out", place)


def main():
    with tempfile.TemporaryDirectory(prefix="convoy-guide-") as folder:
        tree = os.path.join(folder, "convoy")
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
        try:
            followed = follow(tree)
            use(tree)
            for check in ("format", "banned", "include_direction"):
                run(f"{sys.executable} tests/house/check.py {check} --root . || [ $? = 77 ]", tree)
        except RuntimeError as failure:
            print(f"FAILED: {failure}")
            return 1
    print(f"{followed} blocks of the guide followed")
    return 0 if followed >= 4 else 1


if __name__ == "__main__":
    sys.exit(main())
