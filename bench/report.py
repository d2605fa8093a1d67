"""What is written beside figures: tables, the day, the commit and the machine; and where to."""
import datetime
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


def measured():
    return f"{datetime.date.today().isoformat()}, {commit()}; {machine()}"


def write(document, command, part, text):
    """In place of what stands between the part's marks in the document, or at its end."""
    begin, end = f"<!-- {command}: {part} -->\n", f"<!-- end of {part} -->\n"
    with open(document, encoding="utf-8") as file:
        whole = file.read()
    if begin not in whole:
        whole += f"\n## Measured: {part}\n\n{begin}{end}"
    before, rest = whole.split(begin)
    with open(document, "w", encoding="utf-8") as file:
        file.write(before + begin + text + end + rest.split(end)[1])
