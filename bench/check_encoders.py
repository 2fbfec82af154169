#!/usr/bin/env python3
"""Embeddings of Wattle beside those of transformers, on the same texts: the largest difference of a normalised component.

Usage: bench/check_encoders.py [--wattle build/wattle] [--texts FILE.jsonl] [--count 200] FOLDER...

FOLDER is a Hugging Face folder of a sentence encoder with mean pooling (all-minilm-l6-v2, all-mpnet-base-v2). Needs torch
and transformers. Exits with 1 when a difference is over 1e-4.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

LIMIT = 1e-4


def reference(folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    limit = json.loads((pathlib.Path(folder) / "sentence_bert_config.json").read_text()).get("max_seq_length", 512)
    rows = []
    with torch.no_grad():
        for text in texts:
            inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
            mean = model(**inputs).last_hidden_state[0].mean(0)
            rows.append((mean / mean.norm()).numpy())
    return np.stack(rows)


def ours(wattle, folder, texts):
    with tempfile.TemporaryDirectory() as scratch:
        rows, out = pathlib.Path(scratch) / "rows.jsonl", pathlib.Path(scratch) / "out.jsonl"
        rows.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
        subprocess.run([wattle, "run", folder, "--task", "embed", "--input", rows, "--output", out, "--quiet"], check=True)
        vectors = np.array([json.loads(line)["embedding"] for line in out.read_text().splitlines()])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--texts", default="../shared/data/sst2/eval.jsonl")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("folder", nargs="+")
    arguments = parser.parse_args()
    texts = [json.loads(line)["text"] for line in open(arguments.texts, encoding="utf-8")][: arguments.count]
    failed = False
    for folder in arguments.folder:
        difference = np.abs(ours(arguments.wattle, folder, texts) - reference(folder, texts)).max()
        failed |= bool(difference > LIMIT)
        print(f"{pathlib.Path(folder).name}: {len(texts)} texts, largest difference {difference:.2e}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
