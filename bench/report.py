"""What is written beside figures: tables, the day, the commit and the machine; and where to."""
import datetime
import os
import re
import subprocess

from peers import ROOT, run


def table(heads, rows):
    return "\n".join(["| " + " | ".join(row) + " |" for row in
                      (heads, ["---"] * len(heads), *rows)]) + "\n"


def first_line(*command):
    try:
        return subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def instruction_set(options):
    """That of Convoy's kernels, and of the peers' if it was chosen by hand (peers.SAME_SET)."""
    report = run([options.program, "doctor", "--json"], dict(os.environ))
    name = report[0]["rank"][0]["kernels"] if report else "unknown"
    return f"{name} by CONVOY_ISA, the peers too" if os.environ.get("CONVOY_ISA") else name


def machine(options):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", file.read(),
                                flags=re.M))
    return (f"{found.get('model name', 'unknown')}, family {found.get('cpu family', '?')} model "
            f"{found.get('model', '?')}, {len(os.sched_getaffinity(0))} cores; "
            f"{instruction_set(options)}; "
            f"{first_line('cc', '--version')}")


def commit():
    changes = " and changes" if first_line("git", "status", "--porcelain", "-uno") else ""
    return f"commit {first_line('git', 'rev-parse', '--short', 'HEAD')}{changes}"


def measured(options):
    return f"{datetime.date.today().isoformat()}, {commit()}; {machine(options)}"


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
