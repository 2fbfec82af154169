#!/usr/bin/env python3
"""The first answer: time from the start of the process to its first output and to its end, and the most memory it held.

    ninja -C build wattle
    bench/first_answer.py MODEL.gguf... [--runs 21] [--text TEXT]
    bench/first_answer.py --max-tokens 1 DECODER.gguf...              the first token
    bench/first_answer.py --max-tokens 1 --wattle OLD/wattle --wattle build/wattle DECODER.gguf...

Runs `wattle -q run --meter model MODEL TEXT` in turn for every program and model. Prints medians a model: milliseconds by the
clock until the first byte of its output (a decoder's first token, another model's answer) and until its end, milliseconds of
the processor (user and system), and the peak of resident memory in MB (10^6 bytes) as the kernel counted it: heap, stacks, and
all pages of program, libraries and model file that were mapped, shared or not. The last column is that peak less the model
file's size, which makes sense only of a model that reads its whole file, as trained heads do.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import time


def run(command: list) -> tuple[float, float, float, float]:
    """Milliseconds to the first output, to the end, of processor time; peak MB."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.read(1)
    first = 1e3 * (time.perf_counter() - begin)
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = 1e3 * (time.perf_counter() - begin)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with status {process.returncode}")
    return first, wall, 1e3 * (usage.ru_utime + usage.ru_stime), usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--wattle", type=pathlib.Path, action="append", help="the program; may be given again (default: build/wattle)")
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--text", default="Free entry in a weekly competition to win tickets")
    parser.add_argument("--max-tokens", type=int, help="that a decoder writes")
    arguments = parser.parse_args()
    more = [] if arguments.max_tokens is None else ["--max-tokens", str(arguments.max_tokens)]
    programs = arguments.wattle or [pathlib.Path("build/wattle")]
    found = {(program, model): [] for model in arguments.models for program in programs}
    for _ in range(arguments.runs):
        for (program, model), runs in found.items():
            runs.append(run([program, "-q", "run", "--meter", "model", *more, model, arguments.text]))
    print("| model | file, MB | first output, ms | end, ms | processor, ms | peak, MB | less the file, MB |\n|---|---|---|---|---|---|---|")
    for (program, model), runs in found.items():
        first, wall, processor, peak = (statistics.median(column) for column in zip(*runs))
        size = model.stat().st_size / 1e6
        name = model.name if len(programs) == 1 else f"{model.name} by {program}"
        print(f"| {name} | {size:.1f} | {first:.1f} | {wall:.1f} | {processor:.1f} | {peak:.1f} | {peak - size:.1f} |")


if __name__ == "__main__":
    main()
