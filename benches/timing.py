"""Programs that are timed in turns, and the table of what came out."""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from statistics import median


# How programs are asked for their versions, where it is not by --version.
ASKED = {"openssl": ["openssl", "version"], "freebcp": ["tsql", "-C"]}
# What they said.
VERSIONS = {}


def tool(name, where):
    """The path of a program; one that is missing is named."""
    found = shutil.which(name)
    if not found:
        print(f"MISSING {name} ({where}): what is compared with it is left out", file=sys.stderr)
        return None
    said = subprocess.run(ASKED.get(name, [name, "--version"]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    number = re.search(r"\d+(\.\d+)+", said)
    VERSIONS[name] = number[0] if number else "of an unknown version"
    return found


class Failed(Exception):
    """A program that did not end well."""


class Program:
    """A command; `{new}` in it is a folder of its own that goes again."""

    def __init__(self, command, env=None, before=None, seen=None):
        self.command, self.env, self.before, self.seen = command, env or {}, before, seen

    def run(self, folder):
        """Seconds, and the most resident memory in MiB."""
        new = folder / "new"
        new.mkdir()
        fill = lambda args: [str(arg).replace("{new}", str(new)) for arg in args]  # noqa: E731
        if self.before:
            subprocess.run(fill(self.before), check=True)
        os.sync()
        out, errors = (folder / "out").open("w+"), (folder / "errors").open("w+")
        started = time.monotonic()
        child = subprocess.Popen(fill(self.command), stdout=out, stderr=errors, env={**os.environ, **self.env})
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
        if child.returncode != 0:
            errors.seek(0)
            raise Failed(self, f"{fill(self.command)} ended with {child.returncode}: {text[-1000:]}{errors.read()[-1000:]}")
        if self.seen:
            self.seen(text)
        shutil.rmtree(new)
        return seconds, usage.ru_maxrss / 1024


class Bench:
    def __init__(self, folder, rounds):
        self.folder, self.rounds, self.lines = folder, rounds, []

    def rounds_of(self, programs):
        """Each program in turn; the first round only fills the caches."""
        times = [[] for _ in programs]
        for nth in range(self.rounds + 1):
            for program, kept in zip(programs, times):
                done = program.run(self.folder)
                if nth:
                    kept.append(done)
        return [(median(t for t, _ in kept), max(m for _, m in kept)) for kept in times]

    def add(self, work, against, goal, is_met, ratio, seconds, other, memory):
        line = [work, against, ratio, goal, "yes" if is_met else "**no**", seconds, other, memory]
        self.lines.append(line)
        print(" | ".join(line), file=sys.stderr, flush=True)

    def beside(self, work, ours, others):
        """All of them in turns; nothing, and the reason said, where one of the others fails."""
        try:
            return self.rounds_of([ours, *others])
        except Failed as failed:
            program, why = failed.args
            if program is ours:
                raise
            shutil.rmtree(self.folder / "new", ignore_errors=True)
            print(f"FAILED, so this line is left out: {work}: {why}", file=sys.stderr)
            return None

    def rate(self, work, against, goal, ours, others):
        """Our rate as a part of theirs; the time of theirs is the sum of them."""
        done = self.beside(work, ours, others)
        if not done:
            return
        (own, memory), *rest = done
        other = sum(seconds for seconds, _ in rest)
        self.add(work, against, f"≥ {goal}", other / own >= goal, f"{other / own:.2f}",
                 f"{own:.2f} s", f"{other:.2f} s", f"{memory:.0f} MiB")

    def time(self, work, against, goal, ours, others):
        """Our time as a part of theirs, and our memory as a part of the most of theirs."""
        done = self.beside(work, ours, others)
        if not done:
            return
        (own, memory), *rest = done
        other = sum(seconds for seconds, _ in rest)
        most = max(used for _, used in rest)
        self.add(work, against, f"≤ {goal}", own / other <= goal, f"{own / other:.2f}",
                 f"{own:.2f} s", f"{other:.2f} s", f"{memory:.0f} of {most:.0f} MiB")

    def seconds(self, work, ours, most):
        [(own, memory)] = self.rounds_of([ours])
        self.add(work, "—", f"< {most} s", own < most, "—", f"{own:.3f} s", "—", f"{memory:.0f} MiB")

    def figure(self, work, value, most):
        self.add(work, "—", f"≤ {most}", value <= most, f"{value:.2f}", "—", "—", "—")

    def table(self):
        head = ["work", "against", "ratio", "goal", "met", "ours", "theirs", "memory"]
        rows = [head, ["---"] * len(head), *self.lines]
        model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
        under = f"{date.today()}, {os.cpu_count()} cores ({model}), Linux {platform.release()}, medians of {self.rounds}"
        under = ", ".join([under, *(f"{name} {version}" for name, version in sorted(VERSIONS.items()))])
        return "\n".join("| " + " | ".join(row) + " |" for row in rows) + f"\n\n{under}"
