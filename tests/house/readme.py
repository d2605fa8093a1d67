#!/usr/bin/env python3
"""Types every line of README.md's section "Your own pictures", in a scratch folder with pictures of
cats and dogs that are stripes. CONVOY names the program."""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import bench  # noqa: E402
import pictures  # noqa: E402

README = os.path.join(HERE, "..", "..", "README.md")
SECTION = re.compile(r"^## Your own pictures\n(.*?)^## ", flags=re.S | re.M)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", flags=re.S | re.M)


def draw(folder):
    for number, name in enumerate(("cat", "dog")):
        os.makedirs(os.path.join(folder, name))
        random = pictures.Random(number)
        for i in range(1, 121):
            rows = list(pictures.rows_of(random, number, 40, 36))
            for ending in ("jpg", "png"):
                # What a picture is, its first bytes say; the name is only a name.
                if (i + number) % 2 == (ending == "jpg"):
                    with open(os.path.join(folder, name, f"{i}.{ending}"), "wb") as file:
                        file.write(pictures.png(40, 36, rows))


def main():
    with open(README, encoding="utf-8") as file:
        section = SECTION.search(file.read()).group(1)
    typed = 0
    with tempfile.TemporaryDirectory(prefix="convoy-readme-") as folder:
        draw(os.path.join(folder, "pictures"))
        os.makedirs(os.path.join(folder, "bin"))
        os.symlink(bench.PROGRAM, os.path.join(folder, "bin", "convoy"))
        settings = bench.environment()
        settings["PATH"] = os.path.join(folder, "bin") + ":" + settings["PATH"]
        for language, text in BLOCK.findall(section):
            if language == "yaml":
                with open(os.path.join(folder, "mine.yaml"), "w", encoding="utf-8") as file:
                    file.write(text)
                continue
            for line in text.splitlines():
                print(f"$ {line}", flush=True)
                done = subprocess.run(line, shell=True, cwd=folder, env=settings, check=False,
                                      stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
                typed += 1
                if done.returncode:
                    print(f"exit {done.returncode}")
                    return 1
    print(f"{typed} lines typed")
    return 0 if typed >= 6 else 1


if __name__ == "__main__":
    sys.exit(main())
