#!/usr/bin/env python3
"""Wattle beside llama.cpp on the same decoder files: perplexity over the same windows, and greedy continuations.

Usage: bench/check_decoders.py [--wattle build/wattle] [--data ../shared/data/wikitext2/eval.jsonl.gz] [--windows 8]
                               [--prompts 20] [--threads 2] MODEL.gguf...

Perplexity: the first windows of 512 tokens of the data's articles in a row, every position but a window's first,
within 0.5 %.
Continuations: 64 tokens after the first 40 words of each article; the first 16 tokens (their text) the same for at least
18 of 20. Runs in the environment of the peers that bench/peers --prepare makes. Exits with 1 when a bar is missed.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from ggml_peer import GgmlModel

WINDOW, WORDS, TOKENS, SAME_TOKENS = 512, 40, 64, 16


def run(wattle, model, threads, rows, *flags):
    with tempfile.TemporaryDirectory() as scratch:
        source, out = pathlib.Path(scratch) / "rows.jsonl", pathlib.Path(scratch) / "out.jsonl"
        source.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(rows)))
        subprocess.run([wattle, "run", model, "--threads", str(threads), "--quiet", "--input", source, "--output", out,
                        *flags], check=True)
        return [json.loads(line) for line in out.read_text().splitlines()]


def perplexity(peer, text, windows):
    """Total of -ln p and the positions scored, as `wattle run --task perplexity` defines them."""
    ids = peer.tokenize(text)[: windows * WINDOW]
    total = count = 0
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = ids[begin:begin + WINDOW]
        if peer.bos is not None:
            window[0] = peer.bos
        peer.clear()
        logits = peer.run(window, all_logits=True)[:-1].astype(np.float64)
        most = logits.max(1)
        chosen = logits[np.arange(WINDOW - 1), window[1:]]
        total -= (chosen - most - np.log(np.exp(logits - most[:, None]).sum(1))).sum()
        count += WINDOW - 1
    return total, count


def check_perplexity(arguments, model, peer, articles):
    text = "\n".join(articles)
    nats, count = perplexity(peer, text, arguments.windows)
    theirs = np.exp(nats / count)
    row, = run(arguments.wattle, model, arguments.threads, [text], "--task", "perplexity", "--context", str(WINDOW),
               "--max-tokens", str(arguments.windows * WINDOW))
    ours = row["perplexity"]
    if row["tokens"] != count:
        raise SystemExit(f"{model.name}: wattle scored {row['tokens']} positions, llama.cpp {count}")
    print(f"{model.name}: perplexity over {count} positions: ours {ours:.4f}, llama.cpp {theirs:.4f} "
          f"({100 * (ours / theirs - 1):+.3f} %)", flush=True)
    return abs(ours / theirs - 1) <= 0.005


def check_continuations(arguments, model, peer, articles):
    """The same again for llama.cpp without flash attention: how far apart two orders of the same sums may be."""
    prompts = [" ".join(article.split()[:WORDS]) for article in articles[: arguments.prompts]]
    rows = run(arguments.wattle, model, arguments.threads, prompts, "--task", "generate", "--no-chat", "--max-tokens",
               str(TOKENS))
    other = GgmlModel(model, context=WINDOW + TOKENS, threads=arguments.threads, flash_attention=False)
    same = whole = themselves = 0
    for prompt, row in zip(prompts, rows):
        start = peer.tokenize(prompt, add_special=True)
        peer.clear()
        other.clear()
        ids = peer.greedy(start, TOKENS)
        same += row["text"].strip().startswith(peer.detokenize(ids[:SAME_TOKENS]).strip())
        whole += row["text"].strip() == peer.detokenize(ids).strip()
        themselves += other.greedy(start, SAME_TOKENS) == ids[:SAME_TOKENS]
    print(f"{model.name}: {same} of {len(prompts)} continuations begin with the same {SAME_TOKENS} tokens, "
          f"{whole} are the same to the end; llama.cpp with and without flash attention: {themselves}", flush=True)
    return same >= 0.9 * len(prompts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--data", default="../shared/data/wikitext2/eval.jsonl.gz")
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("model", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    with gzip.open(arguments.data, "rt", encoding="utf-8") as lines:
        articles = [json.loads(line)["text"] for line in lines]
    passed = True
    for model in arguments.model:
        peer = GgmlModel(model, context=WINDOW + TOKENS, threads=arguments.threads)
        passed &= check_perplexity(arguments, model, peer, articles)
        passed &= check_continuations(arguments, model, peer, articles)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
