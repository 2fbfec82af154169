#!/usr/bin/env python3
"""Static embeddings of Wattle beside model2vec's of the same teacher: accuracy of a head on both, and time beside the teacher.

Usage: bench/static_embeddings.py [--wattle build/wattle] [--width 256] [--rows 400] TEACHER DATA...

TEACHER is the Hugging Face folder of a sentence encoder, DATA folders with train.jsonl and eval.jsonl. Both
distillations are given to `wattle train` (a linear head, its cost by cross-validation; and the head of nearest rows) and
to scikit-learn's logistic regression on what each library embeds by itself. Times are of the rows of the last DATA, one at
a time, all models in one run. Needs model2vec[distill], torch, transformers and scikit-learn.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from model2vec.distill import distill
from sklearn.linear_model import LogisticRegressionCV


def read_rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Wattle:
    def __init__(self, program, scratch):
        self.program, self.scratch = program, scratch

    def __call__(self, *arguments):
        return subprocess.run([self.program, "--quiet", *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def head(self, model, data, kind):
        summary = json.loads(self("train", "--kind", kind, "--on", model, "--input", data / "train.jsonl", "--eval",
                                  data / "eval.jsonl", "--output", self.scratch / "head.gguf", "--json"))
        return summary["accuracy"]

    def rows(self, model, texts, *more):
        """What `wattle run` writes for each text, run one at a time."""
        source, target = self.scratch / "texts.jsonl", self.scratch / "rows.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        target.unlink(missing_ok=True)
        self("run", model, "--task", "embed", "--input", source, "--output", target, *more)
        return read_rows(target)


def scikit(train, labels, evaluation, wanted):
    head = LogisticRegressionCV(Cs=[1, 4, 16, 64, 256], cv=3, max_iter=1000).fit(train, labels)
    return float((head.predict(evaluation) == wanted).mean())


def accuracies(wattle, ours, theirs, model2vec, data):
    train, evaluation = read_rows(data / "train.jsonl"), read_rows(data / "eval.jsonl")
    texts, asked = [[row["text"] for row in rows] for rows in (train, evaluation)]
    labels, wanted = [np.array([row["label"] for row in rows]) for rows in (train, evaluation)]

    def embed(rows):
        return np.array([row["embedding"] for row in wattle.rows(ours, rows, "--batch", "64")])

    return [wattle.head(ours, data, "linear"), wattle.head(theirs, data, "linear"), wattle.head(ours, data, "nearest"),
            scikit(embed(texts), labels, embed(asked), wanted),
            scikit(model2vec.encode(texts), labels, model2vec.encode(asked), wanted)]


def seconds(wattle, model, texts, *more):
    """Median of a row: the median of three runs, each without its first rows."""
    def once():
        return np.median([sum(row["seconds"].values()) for row in wattle.rows(model, texts, *more)[len(texts) // 10:]])

    return float(np.median([once() for _ in range(3)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("teacher", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        wattle = Wattle(options.wattle, scratch)
        ours, theirs, small = scratch / "ours.gguf", scratch / "model2vec", scratch / "ours.Q8_0.gguf"
        print(wattle("distil", options.teacher, ours, "--width", options.width), end="")
        wattle("convert", ours, small, "--to", "Q8_0")
        model2vec = distill(str(options.teacher), pca_dims=options.width, quantize_to="float32", device="cpu")
        model2vec.save_pretrained(theirs)
        print("| data | ours, linear | model2vec, linear | ours, nearest | ours, scikit-learn | model2vec, scikit-learn |")
        print("|---|---|---|---|---|---|")
        for data in options.data:
            values = accuracies(wattle, ours, theirs, model2vec, data)
            print("| " + " | ".join([data.name] + [f"{100 * value:.1f}" for value in values]) + " |", flush=True)
        texts = [row["text"] for row in read_rows(options.data[-1] / "eval.jsonl")[:options.rows]]
        static = seconds(wattle, ours, texts)
        print(f"\n| model | microseconds a row of {options.data[-1].name} | times the static F32 |\n|---|---|---|")
        for name, model, more in (("static F32", ours, ()), ("static Q8_0", small, ()), ("teacher F32", options.teacher, ()),
                                  ("teacher Q8_0", options.teacher, ("--precision", "Q8_0"))):
            value = static if name == "static F32" else seconds(wattle, model, texts, *more)
            print(f"| {name} | {1e6 * value:.1f} | {value / static:.1f} |", flush=True)


if __name__ == "__main__":
    main()
