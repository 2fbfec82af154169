#!/usr/bin/env python3
"""Writes data/power_hungry.csv: what the paper measured of each text model and data set.

usage: make_power_hungry.py PAPER [OUTPUT]

PAPER has emissions.csv and performance.csv, the tidied raw results of "Power Hungry Processing" (Luccioni, Jernite,
Strubell, FAccT 2024). A row of the output is the mean of its ten runs.
"""
import collections
import csv
import pathlib
import statistics
import sys

TASKS = {
    "text-classification": "text-classification",
    "question-answering": "question-answering",
    "token-classification": "token-classification",
    "masked-lm": "masked-words",
    "text-generation": "text-generation",
    "summarization": "summarisation",
}
NOTICE = """\
# Wh, seconds and grams of CO2e per 1,000 queries of the text models of "Power Hungry Processing: Watts Driving the Cost
# of AI Deployment?" (Luccioni, Jernite, Strubell, FAccT 2024, arXiv 2311.16863): means of the ten runs of each model
# and data set, query phase, all components; quality as the authors state it. From github sashavor/co2_inference at
# 9ae9895 (2023-11-09), MIT License, Copyright (c) 2023 Sasha Luccioni. Permission is hereby granted, free of charge, to
# any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the
# Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
# distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished
# to do so, subject to the following conditions: The above copyright notice and this permission notice shall be
# included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF
# ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR
# PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR
# OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
# SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. Made by tools/make_power_hungry.py.
"""


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def main():
    paper = pathlib.Path(sys.argv[1])
    default = pathlib.Path(__file__).resolve().parent.parent / "data" / "power_hungry.csv"
    output = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else default
    runs = collections.defaultdict(list)
    for row in read(paper / "emissions.csv"):
        if row["kind"] in ("task-specific", "zero-shot") and row["task"] in TASKS:
            runs[TASKS[row["task"]], row["kind"], row["model"], row["dataset"]].append(row)
    quality = {(TASKS.get(row["task"]), row["model"], row["dataset"]): (row["metric"], row["value"])
               for row in read(paper / "performance.csv")}
    lines = ["task,kind,model,dataset,runs,wh,seconds,grams,metric,quality"]
    order = list(TASKS.values())
    for key in sorted(runs, key=lambda key: (order.index(key[0]), key[1:])):
        mean = {name: statistics.mean(float(row[name]) for row in runs[key])
                for name in ("energy_kwh", "duration_s", "co2_g")}
        metric, value = quality.get((key[0], key[2], key[3]), ("", ""))
        lines.append(",".join(key) + f",{len(runs[key])},{1000 * mean['energy_kwh']:.4f},{mean['duration_s']:.3f},"
                     f"{mean['co2_g']:.4f},{metric},{value}")
    output.write_text(NOTICE + "\n".join(lines) + "\n")
    print(f"{output}: {len(lines) - 1} rows")


if __name__ == "__main__":
    main()
