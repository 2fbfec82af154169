#!/usr/bin/env python3
"""ONNX Runtime: a classifier exported to ONNX, with its tokenizer and labels beside it (task: classify).

  pip install onnxruntime tokenizers        (onnxruntime-gpu on a machine with an NVIDIA card)
  command: [python3, examples/adapters/onnx_runtime.py, FOLDER]

FOLDER holds model.onnx, tokenizer.json and config.json with `id2label`, as `optimum-cli export onnx` writes them.
"""
import argparse
import json
import os
import pathlib

import numpy
import onnxruntime
from protocol import serve
from tokenizers import Tokenizer

options = argparse.ArgumentParser()
options.add_argument("folder", type=pathlib.Path)
options.add_argument("--cuda", action="store_true")
options.add_argument("--longest", type=int, default=512, help="tokens of a text")
options = options.parse_args()

settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # the plan's threads
provider = "CUDAExecutionProvider" if options.cuda else "CPUExecutionProvider"
session = onnxruntime.InferenceSession(options.folder / "model.onnx", settings, providers=[provider])
if session.get_providers()[0] != provider:
    raise SystemExit(f"{provider} is not to be had: install onnxruntime-gpu and CUDA, or leave --cuda out")
tokenizer = Tokenizer.from_file(str(options.folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(options.longest)
config = json.loads((options.folder / "config.json").read_text(encoding="utf-8"))
labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
wanted = [entry.name for entry in session.get_inputs()]


def answer(question):
    tokens = tokenizer.encode(question["text"], question.get("text_pair"))
    inputs = {"input_ids": tokens.ids, "attention_mask": tokens.attention_mask, "token_type_ids": tokens.type_ids}
    logits = session.run(None, {name: numpy.array([inputs[name]], dtype=numpy.int64) for name in wanted})[0][0]
    scores = numpy.exp(logits - logits.max())
    scores /= scores.sum()
    return {"label": labels[scores.argmax()], "scores": {label: float(p) for label, p in zip(labels, scores)},
            "tokens_in": len(tokens.ids)}


serve(answer, name="onnxruntime", version=onnxruntime.__version__, provider=provider)
