#!/usr/bin/env python3
"""The rules of the house that a program can check. Usage: check.py CHECK [--root FOLDER] ...

Prints one line an offence, "file:line: what is wrong", and exits with 0 (none), 1 (some) or 77
(cannot be checked here: a tool is missing). test_check.py plants an offence against each.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77

# Who may include whom: a folder may include itself and what stands to the right of it.
MAY_INCLUDE = {
    "trainer": {"worker", "shard", "schedulers", "io", "base"},
    "shard": {"io", "base"},
    "worker": {"base"},
    "schedulers": {"base"},
    "io": {"base"},
    "base": set(),
}

# Unsafe, or with a state that no seed governs.
BANNED = ("strcpy strcat sprintf vsprintf gets atoi atol atoll atof strtok rand srand random srandom "
          "drand48").split()
# libm gives other bits on other machines: base/math.h has these.
LIBM = "exp exp2 exp10 expm1 log log2 log10 log1p pow cos sin tan sincos tanh cosh sinh".split()
LIBM += [name + suffix for name in LIBM for suffix in "fl"]
BITS_BOUND = ("base", "schedulers", "shard", "worker")
# Only trainer/ prints or exits; io/ owns the log.
PRINTING = "printf puts putchar perror exit abort".split()
SILENT = ("base", "schedulers", "shard", "worker")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX)\b")

LINES_LIMIT = 600
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|home|root|build|Users)/\w")
NOT_SOURCE = {".git", ".cache", "build", "runs", "data", "__pycache__"}


def files(root, *endings):
    """Paths below root, relative to it, that end as asked."""
    for folder, names, leaves in os.walk(root):
        if folder == root:
            names[:] = [name for name in names if name not in NOT_SOURCE]
        names[:] = sorted(name for name in names if name != "__pycache__")
        for leaf in sorted(leaves):
            if leaf.endswith(endings):
                yield os.path.relpath(os.path.join(folder, leaf), root)


def text_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def code_of(text):
    """C text with comments and the insides of literals blanked, line by line as before."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def check_include_direction(options):
    for path in files(options.root, ".c", ".h", ".inc"):
        folder = path.split(os.sep)[0]
        if folder not in MAY_INCLUDE:
            continue
        for number, line in enumerate(text_of(options.root, path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            target = match.group(1).split("/")[0]
            if match.group(1).startswith("."):
                yield f"{path}:{number}: includes by a relative path: {match.group(1)}"
            elif target in MAY_INCLUDE and target != folder and target not in MAY_INCLUDE[folder]:
                yield f"{path}:{number}: {folder} may not include {target}: {match.group(1)}"


def check_banned(options):
    for path in files(options.root, ".c", ".h", ".inc"):
        folder = path.split(os.sep)[0]
        text = text_of(options.root, path)
        names = {name: "is banned" for name in BANNED}
        if folder in BITS_BOUND:
            names.update({name: "is libm: use base/math.h" for name in LIBM})
        if folder in SILENT:
            names.update({name: "prints or exits: only trainer/ does" for name in PRINTING})
        call = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
        for number, line in enumerate(code_of(text).split("\n"), 1):
            for match in call.finditer(line):
                yield f"{path}:{number}: {match.group(1)} {names[match.group(1)]}"
        for number, line in enumerate(text.split("\n"), 1):
            if LEFT_OVER.search(line):
                yield f"{path}:{number}: left-over: {line.strip()}"


def check_file_length(options):
    for path in files(options.root, ".c", ".h", ".inc", ".py", ".sh", ".cmake", "CMakeLists.txt"):
        lines = text_of(options.root, path).count("\n")
        if lines > LINES_LIMIT:
            yield f"{path}:{LINES_LIMIT + 1}: {lines} lines, the limit is {LINES_LIMIT}"


def check_machine_paths(options):
    for path in files(options.root, ".c", ".h", ".inc", ".py", ".sh", ".cmake", ".txt", ".json",
                      ".yaml", ".md", "run"):
        if os.path.basename(path) in ("check.py", "test_check.py"):
            continue
        for number, line in enumerate(text_of(options.root, path).split("\n"), 1):
            if MACHINE_PATH.search(line):
                yield f"{path}:{number}: a path of one machine: {line.strip()}"
    if options.program and shutil.which("objcopy"):
        with tempfile.TemporaryDirectory() as folder:
            stripped = os.path.join(folder, "program")
            subprocess.run(["objcopy", "--strip-debug", options.program, stripped], check=True)
            with open(stripped, "rb") as file:
                if os.path.realpath(options.root).encode() + b"/" in file.read():
                    yield f"{options.program}:0: holds the path it was built in: {options.root}"


def check_format(options):
    formatter = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = formatter and subprocess.run([formatter, "--version"], check=True, text=True,
                                           stdout=subprocess.PIPE).stdout
    if not version or " 14." not in version:
        print("skipped: clang-format 14 is not installed (other versions format differently)")
        sys.exit(SKIPPED)
    # The .inc files are bodies of macros, laid out by hand.
    paths = list(files(options.root, ".c", ".h"))
    found = subprocess.run([formatter, "--dry-run", "--ferror-limit=1"] + paths, check=True,
                           cwd=options.root, text=True, stderr=subprocess.PIPE).stderr
    for match in re.finditer(r"^(\S+?:\d+):\d+: ", found, flags=re.M):
        yield f"{match.group(1)}: not as clang-format -i leaves it"


def check_headers_alone(options):
    if not shutil.which(options.compiler):
        print(f"skipped: {options.compiler} is not installed")
        sys.exit(SKIPPED)
    flags = ["-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror",
             "-fsyntax-only", "-I.", "-Itests", "-x", "c", "-"]
    mpi = subprocess.run(["mpicc", "--showme:compile"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout.split()
    for path in files(options.root, ".h"):
        # Twice: a header that lacks its guard is noticed too.
        source = f'#include "{path}"\n#include "{path}"\n'
        done = subprocess.run([options.compiler] + mpi + flags, input=source, cwd=options.root,
                              text=True, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            yield f"{path}:1: does not compile alone:\n{done.stderr}"


def check_shell(options):
    if not shutil.which("shellcheck"):
        print("skipped: shellcheck is not installed")
        sys.exit(SKIPPED)
    scripts = [path for path in files(options.root, "")
               if re.match(r"#!.*\b(ba)?sh\b", first_line(options.root, path))
               or path.endswith(".sh")]
    done = subprocess.run(["shellcheck", "-x", "-f", "gcc"] + scripts, cwd=options.root, text=True,
                          stdout=subprocess.PIPE, check=False)
    yield from done.stdout.splitlines()


def first_line(root, path):
    with open(os.path.join(root, path), "rb") as file:
        return file.readline(80).decode("utf-8", "replace")


CHECKS = {name[len("check_"):]: function for name, function in list(globals().items())
          if name.startswith("check_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=sorted(CHECKS))
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), "..", ".."))
    parser.add_argument("--program", help="the built program, for machine_paths")
    parser.add_argument("--compiler", default="gcc", help="for headers_alone")
    options = parser.parse_args()
    options.root = os.path.normpath(options.root)
    offences = list(CHECKS[options.check](options))
    for offence in offences:
        print(offence)
    print(f"{options.check}: {len(offences)} offences")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
