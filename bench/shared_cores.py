#!/usr/bin/env python3
"""Speed on cores that others use too: smollm2's generation and 150 embeddings, alone on the machine, beside one busy loop, and
under quotas of half a core and of one and a half.

    bench/shared_cores.py [--before build-before/wattle] [--peers build/peers] [--rounds 5]

Every contender has its turn in every round, so that what else the machine does meets all alike; told are medians and ratios of the
same rounds. "one thread" is the same program with `--threads 1`, "before" another build, llama.cpp the native build that
bench/peers makes. Quotas need the right to make a control group (version 1 or 2); without it they are left out, and said so.
Pins nothing. A figure is of one run of 200 tokens or 150 rows, so that finding out what the machine gives is part of it. Where
others use the machine, `nice -n -15 bench/shared_cores.py` lets them yield to all contenders and the busy loop alike.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
GENERATE, PROMPT, ROWS = 200, 16, 150
LLAMA_GENERATE = 64  # its worker writes them six times, and beside a busy loop slowly
GROUP = "wattle-shared-cores"


class BusyLoop:
    """One core's worth of somebody else's work."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        return []

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Alone:
    def __enter__(self):
        return []

    def __exit__(self, *_):
        pass


class Quota:
    """A control group that gives its processes so many cores' worth of time; words that start a command in it."""

    def __init__(self, cores):
        self.cores = cores

    def __enter__(self):
        second = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
        top = pathlib.Path("/sys/fs/cgroup") if second.exists() else pathlib.Path("/sys/fs/cgroup/cpu")
        self.folder = top / GROUP
        self.folder.mkdir(exist_ok=True)
        if second.exists():
            (self.folder / "cpu.max").write_text(f"{int(self.cores * 100000)} 100000")
            (self.folder / "cpu.weight").write_text("10000")  # what runs outside the group yields to it
        else:
            (self.folder / "cpu.cfs_period_us").write_text("100000")
            (self.folder / "cpu.cfs_quota_us").write_text(str(int(self.cores * 100000)))
            (self.folder / "cpu.shares").write_text("262144")
        return ["sh", "-c", f'echo $$ >"{self.folder}/cgroup.procs" && exec "$@"', "sh"]

    def __exit__(self, *_):
        if self.folder.exists():
            self.folder.rmdir()


class Contender:
    """A build of Wattle with flags; gives tokens/s and the embeddings' rows/s."""

    def __init__(self, program, arguments, *flags):
        self.program, self.arguments, self.flags = program, arguments, flags

    def bench(self, prefix, *words):
        run = subprocess.run([*prefix, self.program, "bench", *map(str, words), "--json", *self.flags], capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"{self.program}: {run.stderr.strip()}")
        return json.loads(run.stdout)

    def generation(self, prefix):
        result = self.bench(prefix, self.arguments.decoder, "--prompt", PROMPT, "--generate", GENERATE, "--rounds", 1)
        return result["generate"]["tokens_per_s"], result.get("team")

    def embeddings(self, prefix):
        result = self.bench(prefix, self.arguments.encoder, "--input", self.arguments.rows, "--batch", 1, "--rounds", 1)
        return result["rows"]["rows_per_s"], result.get("team")


class Llama:
    """llama.cpp in a process of its own for each figure, with as many threads as cores."""

    def __init__(self, arguments):
        self.arguments = arguments

    def generation(self, prefix):
        order = {"engine": "llama.cpp", "precision": "", "kind": "decoder", "model": self.arguments.decoder, "threads": os.cpu_count(),
                 "prompt": PROMPT, "generate": LLAMA_GENERATE, "beams": 1, "files": "/tmp"}
        python = pathlib.Path(self.arguments.peers) / "venv" / "bin" / "python"
        run = subprocess.run([*prefix, python, HERE / "peer_worker.py"], input=json.dumps(order) + "\nmeasure\n", capture_output=True,
                             text=True)
        answers = [json.loads(line) for line in run.stdout.splitlines()]
        if len(answers) < 2:
            raise SystemExit(f"llama.cpp: {answers or run.stderr.strip()}")
        return answers[-1]["generate"], None


def cases_of(arguments):
    """(situation, task, {name: contender}) in the order of their turns."""
    ours, one = Contender(arguments.wattle, arguments), Contender(arguments.wattle, arguments, "--threads", "1")
    two = Contender(arguments.wattle, arguments, "--threads", "2")
    before = {"before": Contender(arguments.before, arguments)} if arguments.before else {}
    llama = {"llama.cpp": Llama(arguments)} if arguments.peers else {}
    alone, busy = ("alone", Alone()), ("busy loop", BusyLoop())
    for task in ("generation", "embeddings"):
        peer = llama if task == "generation" else {}
        yield *alone, task, {"ours": ours, "one thread": one, **before, **peer}
        yield *busy, task, {"ours": ours, **before, **peer}
        yield "quota 0.5", Quota(0.5), task, {"ours": ours, "one thread": one, "two threads": two}
        yield "quota 1.5", Quota(1.5), task, {"ours": ours, "one thread": one, "two threads": two}


def table_of(figures):
    """Median of every contender, and beside it the median of its ratio, round by round, to one thread alone."""
    lines = ["| situation | task | contender | a second | to one thread alone | fewer threads, of the time |", "|---|---|---|---|---|---|"]
    for (situation, task), contenders in figures.items():
        base = figures.get(("alone", task), {}).get("one thread")
        for name, rounds in contenders.items():
            values = [value for value, _ in rounds]
            ratio = statistics.median(v / b for v, (b, _) in zip(values, base)) if base else float("nan")
            shrunk = [100 * team["part_of_time_shrunk"] for _, team in rounds if team]
            lines.append(f"| {situation} | {task} | {name} | {statistics.median(values):.1f} | {ratio:.2f} | "
                         f"{f'{statistics.median(shrunk):.0f} %' if shrunk else ''} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    models = pathlib.Path.home() / ".cache" / "wattle" / "models"
    parser.add_argument("--wattle", default="build/wattle", help="the program (default: %(default)s)")
    parser.add_argument("--before", help="another build to compare with")
    parser.add_argument("--peers", help="bench/peers' directory of llama.cpp")
    parser.add_argument("--decoder", default=str(models / "smollm2-135m-instruct.Q4_1.gguf"))
    parser.add_argument("--encoder", default=str(models / "all-minilm-l6-v2"))
    parser.add_argument("--sentences", default="../shared/data/sst2/eval.jsonl", help="rows with a text (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), help="situations or tasks, separated by commas")
    parser.add_argument("--out", default="out/shared_cores.json", help="every figure (default: %(default)s)")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    arguments.rows = str(out.with_name("shared_cores-rows.jsonl"))
    with open(arguments.sentences, encoding="utf-8") as file:
        pathlib.Path(arguments.rows).write_text("".join(file.readlines()[:ROWS]), encoding="utf-8")
    figures, left_out = {}, set()
    for number in range(arguments.rounds):
        for situation, scene, task, contenders in cases_of(arguments):
            if situation in left_out or (arguments.only and situation not in arguments.only and task not in arguments.only):
                continue
            try:
                with scene as prefix:
                    for name, contender in contenders.items():
                        figure = getattr(contender, task)(prefix)
                        figures.setdefault((situation, task), {}).setdefault(name, []).append(figure)
            except OSError as error:
                left_out.add(situation)
                print(f"{situation}: left out: {error}", file=sys.stderr)
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    named = [{"situation": s, "task": t, "contender": n, "rounds": r} for (s, t), c in figures.items() for n, r in c.items()]
    out.write_text(json.dumps(named, indent=1), encoding="utf-8")
    print(table_of(figures))


if __name__ == "__main__":
    main()
