"""What is written beside figures: tables, the machine and the commit."""
import os
import re
import subprocess

from peers import ROOT


def table(heads, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in
                      (heads, ["---"] * len(heads), *rows)]) + "\n"


def first_line(*command):
    try:
        return subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", file.read(),
                                flags=re.M))
    return (f"{found.get('model name', 'unknown')}, family {found.get('cpu family', '?')} model "
            f"{found.get('model', '?')}, {len(os.sched_getaffinity(0))} cores; "
            f"{first_line('cc', '--version')}")


def commit():
    changes = " and changes" if first_line("git", "status", "--porcelain", "-uno") else ""
    return f"commit {first_line('git', 'rev-parse', '--short', 'HEAD')}{changes}"
