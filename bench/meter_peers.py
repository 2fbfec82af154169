#!/usr/bin/env python3
"""The same simulated machines for wattle, CodeCarbon and Zeus: meter_peers.py WATTLE [PYTHON_WITH_PEERS]

Prints a table of joules over a window of five seconds: truth, ours, theirs. The peers are pointed at the tree by their own
settings where they have one, else by their module's constant."""
import json
import os
import subprocess
import sys
import tempfile

from simulated_tree import KINDS, TRUTH_WATTS

SECONDS = 5
CODECARBON = """
import logging, sys, time, glob, os
from codecarbon.core import cpu
root = sys.argv[1]
gadget = cpu.IntelRAPL(rapl_dir=root + "/sys/class/powercap")
gadget.start()
time.sleep({seconds})
details = gadget.get_cpu_details(__import__("codecarbon.core.units", fromlist=["Time"]).Time.from_seconds({seconds}))
print("JOULES", sum(v for k, v in details.items() if "Energy" in k) * 3.6e6)
"""
ZEUS = """
import sys, time
from pathlib import Path
import zeus.device.cpu.rapl as rapl
root = sys.argv[1]
zones = sorted(p for p in Path(root + "/sys/class/powercap").iterdir() if p.name.startswith("intel-rapl:") and p.name.count(":") == 1)
files = []
for i, zone in enumerate(zones):
    files.append(rapl.RAPLFile(str(zone)))
before = [f.read() for f in files]
time.sleep({seconds})
after = [f.read() for f in files]
print("JOULES", sum(b - a for a, b in zip(before, after)) / 1000)
"""


def peer(python, program, tree):
    done = subprocess.run([python, "-c", program.format(seconds=SECONDS), tree], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("JOULES"):
            return f"{float(line.split()[1]):.0f} J"
    return (done.stderr.strip().splitlines() or ["no figure"])[-1][:60]


def ours(wattle, tree):
    done = subprocess.run([wattle, "meter", "--root", tree, "--idle", "0", "--json", "-", "--", "sleep", str(SECONDS)],
                          capture_output=True, text=True, check=True)
    energy = json.loads(done.stdout)["commands"][0]["energy"]
    return f'{energy["joules"]:.0f} J ({energy["low"]:.0f} to {energy["high"]:.0f})'


def with_tree(kind, measure):
    with tempfile.TemporaryDirectory() as tree:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "simulated_tree.py")
        writer = subprocess.Popen([sys.executable, script, kind, tree, str(SECONDS + 20)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        try:
            return measure(tree)
        finally:
            writer.terminate()
            writer.wait()


def main():
    wattle = sys.argv[1]
    python = sys.argv[2] if len(sys.argv) > 2 else None
    print("| machine | truth | wattle | CodeCarbon | Zeus |\n|---|---|---|---|---|")
    for kind in KINDS:
        row = [kind, f"{TRUTH_WATTS[kind] * SECONDS} J", with_tree(kind, lambda tree: ours(wattle, tree))]
        for program in (CODECARBON, ZEUS):
            row.append(with_tree(kind, lambda tree, p=program: peer(python, p, tree)) if python else "not run")
        print("| " + " | ".join(row) + " |", flush=True)


main()
