#!/usr/bin/env python3
"""transformers on the processor or an NVIDIA card: classify, tag, answer, fill, generate, summarise, translate.

  pip install torch transformers
  command: [python3, examples/adapters/hugging_face.py, MODEL, --task, classify, --device, cuda]

MODEL is a folder, or a name that is on this machine already. With --device cuda the meter counts the card (NVML).
"""
import argparse
import os

import torch
import transformers
from protocol import serve

PIPELINES = {"classify": "text-classification", "tag": "token-classification", "answer": "question-answering",
             "fill": "fill-mask", "generate": "text-generation", "summarise": "summarization", "translate": "translation"}

options = argparse.ArgumentParser()
options.add_argument("model")
options.add_argument("--task", choices=PIPELINES, default="classify")
options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
options.add_argument("--type", default="float32", help="of the weights: float32, bfloat16, float16")
options.add_argument("--max-tokens", type=int, default=128)
options = options.parse_args()
if options.device == "cuda" and not torch.cuda.is_available():
    raise SystemExit("no CUDA device is to be had: install its driver, or give --device cpu")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # the plan's threads
extra = {"aggregation_strategy": "simple"} if options.task == "tag" else {}
pipe = transformers.pipeline(PIPELINES[options.task], model=options.model, device=options.device,
                             dtype=getattr(torch, options.type), **extra)


def span(entry):
    label = {"label": entry["entity_group"]} if "entity_group" in entry else {}
    return {"begin_code_point": int(entry["start"]), "end_code_point": int(entry["end"]),
            "score": min(1.0, float(entry["score"])), **label}


def answer(question):
    text, task = question.get("text"), options.task
    if task == "classify":
        asked = {"text": text, "text_pair": question["text_pair"]} if "text_pair" in question else text
        found = pipe(asked, top_k=None, truncation=True)
        return {"label": max(found, key=lambda each: each["score"])["label"],
                "scores": {each["label"]: each["score"] for each in found}}
    if task == "tag":
        return {"spans": [span(entry) for entry in pipe(text)]}
    if task == "answer":
        found = pipe(question=question.get("question", text), context=question.get("context", question.get("text_pair")))
        return {"text": found["answer"], "spans": [span(found)]}
    if task == "fill":
        found = pipe(text)
        return {"masks": [[{"token": each["token_str"], "id": each["token"], "score": each["score"], "text": each["sequence"]}
                           for each in mask] for mask in (found if isinstance(found[0], list) else [found])]}
    more = {"return_full_text": False} if task == "generate" else {}
    found = pipe(text, max_new_tokens=options.max_tokens, do_sample=False, **more)[0]
    return {"text": next(iter(found.values()))}


serve(answer, name="transformers", version=transformers.__version__, device=options.device, type=options.type)
