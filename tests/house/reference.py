#!/usr/bin/env python3
"""docs/recipe.md and docs/model.md are what the program's option tables say. --write renews them.
CONVOY names the program."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
PROGRAM = os.environ.get("CONVOY", os.path.join(HERE, "..", "..", "build", "release", "convoy"))


def main():
    old = []
    for topic in ("recipe", "model"):
        path = os.path.join(DOCS, f"{topic}.md")
        wanted = subprocess.run([PROGRAM, "help", topic, "--markdown"], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
        if "--write" in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(wanted)
        with open(path, encoding="utf-8") as file:
            if file.read() != wanted:
                old.append(os.path.relpath(path))
    for path in old:
        print(f"{path} is not what the option tables say: tests/house/reference.py --write")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
