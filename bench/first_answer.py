#!/usr/bin/env python3
"""The first answer of small models: time from the start of the process to its end, and the most memory it held.

    ninja -C build wattle
    bench/first_answer.py MODEL.gguf... [--runs 21] [--text TEXT]

Runs `wattle -q run --meter model MODEL TEXT` in turn for every model. Prints medians a model: milliseconds by the clock,
of the processor (user and system), and the peak of resident memory in MB (10^6 bytes) as the kernel counted it: heap,
stacks, and all pages of program, libraries and model file that were mapped, shared or not. The last column is that
peak less the model file's size, which makes sense only of a model that reads its whole file, as trained heads do.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import time


def run(command: list) -> tuple[float, float, float]:
    """Milliseconds by the clock, milliseconds of processor time, peak MB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = 1e3 * (time.perf_counter() - begin)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with status {process.returncode}")
    return wall, 1e3 * (usage.ru_utime + usage.ru_stime), usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--wattle", type=pathlib.Path, default=pathlib.Path("build/wattle"))
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--text", default="Free entry in a weekly competition to win tickets")
    arguments = parser.parse_args()
    found = {model: [] for model in arguments.models}
    for _ in range(arguments.runs):
        for model, runs in found.items():
            runs.append(run([arguments.wattle, "-q", "run", "--meter", "model", model, arguments.text]))
    print("| model | file, MB | wall, ms | processor, ms | peak, MB | less the file, MB |\n|---|---|---|---|---|---|")
    for model, runs in found.items():
        wall, processor, peak = (statistics.median(column) for column in zip(*runs))
        size = model.stat().st_size / 1e6
        print(f"| {model.name} | {size:.1f} | {wall:.1f} | {processor:.1f} | {peak:.1f} | {peak - size:.1f} |")


if __name__ == "__main__":
    main()
