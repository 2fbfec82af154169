#!/usr/bin/env python3
"""Speed of Wattle beside its peers on the same files, interleaved in one run; the medians and their ratio.

Usage: bench/check_speed.py [--wattle build/wattle] [--rounds 5] [--threads 2] [--sentences FILE.jsonl] [--encoder FOLDER]
                            [MODEL.gguf...]

Encoder: the first 200 sentences one at a time, F32, against ONNX Runtime fp32 on the same network exported by PyTorch, both
from token ids. Decoders: a prompt of 512 and 64 generated tokens against llama.cpp. Needs numpy,
torch, transformers, onnxruntime and xllamacpp (bench/llama_cpp.py).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np

PROMPT, GENERATE, SENTENCES = 512, 64, 200


def bench(arguments, model, *flags):
    command = [arguments.wattle, "bench", model, "--threads", str(arguments.threads), "--rounds", "1", "--json", *flags]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def show(name, ours, theirs, unit):
    print(f"{name:<44} {statistics.median(ours):9.1f} {statistics.median(theirs):9.1f} {unit:<9} ratio "
          f"{statistics.median(a / b for a, b in zip(ours, theirs)):.2f}", flush=True)


def check_encoder(arguments):
    import onnxruntime
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.encoder)
    network = transformers.AutoModel.from_pretrained(arguments.encoder).eval()
    texts = [json.loads(line)["text"] for line in open(arguments.sentences, encoding="utf-8")][:SENTENCES]
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = [tokenizer(text, return_tensors="np", truncation=True, max_length=256) for text in texts]
    with tempfile.TemporaryDirectory() as scratch:
        path, rows = str(pathlib.Path(scratch) / "encoder.onnx"), str(pathlib.Path(scratch) / "rows.jsonl")
        example = tuple(torch.tensor(ids[0][name]) for name in names)
        torch.onnx.export(network, example, path, input_names=names, output_names=["hidden"], opset_version=14,
                          dynamic_axes={name: {1: "tokens"} for name in names + ["hidden"]})
        pathlib.Path(rows).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            started = time.perf_counter()
            for row in ids:
                session.run(None, {name: row[name].astype(np.int64) for name in names})
            theirs.append(len(ids) / (time.perf_counter() - started))
            ours.append(bench(arguments, arguments.encoder, "--input", rows)["rows"]["rows_per_s"])
    show(f"{pathlib.Path(arguments.encoder).name} F32, one at a time", ours, theirs, "rows/s")


def check_decoder(arguments, path):
    from llama_cpp import LlamaCpp

    peer = LlamaCpp(path, context=PROMPT + GENERATE, threads=arguments.threads)
    prompt = [int(i) for i in np.random.default_rng(0).integers(1000, 20000, PROMPT)]
    figures = {"prompt": ([], []), "generate": ([], [])}
    for _ in range(arguments.rounds):
        peer.clear()
        started = time.perf_counter()
        token = int(peer.run(prompt)[0].argmax())
        between = time.perf_counter()
        for _ in range(GENERATE):
            token = int(peer.run([token])[0].argmax())
        ended = time.perf_counter()
        figures["prompt"][1].append(PROMPT / (between - started))
        figures["generate"][1].append(GENERATE / (ended - between))
        ours = bench(arguments, path, "--prompt", str(PROMPT), "--generate", str(GENERATE))
        for phase in figures:
            figures[phase][0].append(ours[phase]["tokens_per_s"])
        memory = ours["peak_memory_bytes"] / pathlib.Path(path).stat().st_size
    for phase, (ours, theirs) in figures.items():
        show(f"{pathlib.Path(path).name}, {phase}", ours, theirs, "tokens/s")
    print(f"{pathlib.Path(path).name}: peak memory {memory:.2f} x the file", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sentences", default="../shared/data/sst2/eval.jsonl")
    parser.add_argument("--encoder")
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    print(f"{'':<44} {'Wattle':>9} {'peer':>9}")
    if arguments.encoder:
        check_encoder(arguments)
    for model in arguments.models:
        check_decoder(arguments, model)


if __name__ == "__main__":
    main()
