#!/usr/bin/env python3
"""Writes tests/golden/tokenizers/ggml_pre.json: what llama.cpp makes of hard texts for every name of tokenizer.ggml.pre, and of
its other kinds of tokenizer, with one small vocabulary each. One sum of hashes a text.

Needs llama-cpp-python, gguf, tokenizers, sentencepiece.
  make_ggml_pre.py DATA NAMES     NAMES: a file with the names, separated by white space
"""
import ctypes
import json
import pathlib
import sys
import tempfile

import gguf
import llama_cpp
from tokenizers import pre_tokenizers

from make_pipelines import TEXTS, byte_level, corpus, train_sentencepiece, small_charsmap, charsmap_of
from make_tokenizers import OUT, fnv1a

NORMAL, CONTROL = 1, 3


def write_gguf(path, keys):
    writer = gguf.GGUFWriter(path, "llama")
    for name in ("block_count", "context_length", "embedding_length", "feed_forward_length"):
        getattr(writer, f"add_{name}")(8)
    writer.add_head_count(1)
    for key, value in keys.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, bytes):
            writer.add_array(key, value)
        else:
            writer.add_array(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def ids_of(path, texts):
    """None where llama.cpp does not know the name."""
    try:
        model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    except ValueError:
        return None
    return [model.tokenize(text.encode(), add_bos=False, special=False) for text in texts]


def main():
    texts = corpus(pathlib.Path(sys.argv[1]))
    names = pathlib.Path(sys.argv[2]).read_text().split()
    tokenizer = byte_level(texts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), size=700)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens,
                "tokenizer.ggml.token_type": [CONTROL] * 4 + [NORMAL] * (len(tokens) - 4),
                "tokenizer.ggml.merges": [" ".join(merge) for merge in model["merges"]],
                "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.add_bos_token": False}
    asked = [text for text in TEXTS if "\0" not in text]
    out = {"metadata": metadata, "texts": asked, "names": {}}
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary) / "vocabulary.gguf"
        for name in names:
            if name in ("gemma4", "granite-embed-multi-311m", "sarvam-moe"):
                continue  # they cut plain text, for which this vocabulary of bytes is none
            write_gguf(path, {**metadata, "tokenizer.ggml.pre": name})
            ids = ids_of(path, asked)
            if ids is None:
                print("llama.cpp does not know", name)
            else:
                out["names"][name] = [f"{fnv1a(row):016x}" for row in ids]
        # SentencePiece's unigrams as T5 has them.
        folder = pathlib.Path(temporary)
        blob = train_sentencepiece(folder, texts, "t5", model_type="unigram", normalization_rule_tsv=str(small_charsmap(folder)), pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
        proto = charsmap_of(blob)
        t5 = {"tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": [p.piece for p in proto.pieces], "tokenizer.ggml.scores": [float(p.score) for p in proto.pieces],
              "tokenizer.ggml.token_type": [p.type for p in proto.pieces], "tokenizer.ggml.add_space_prefix": True, "tokenizer.ggml.remove_extra_whitespaces": True,
              "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.unknown_token_id": 2, "tokenizer.ggml.padding_token_id": 0, "tokenizer.ggml.add_eos_token": False}
        write_gguf(path, {**t5, "tokenizer.ggml.precompiled_charsmap": bytes(proto.normalizer_spec.precompiled_charsmap)})
        out["t5"] = {"metadata": {**t5, "tokenizer.ggml.precompiled_charsmap": list(proto.normalizer_spec.precompiled_charsmap)}, "ids": ids_of(path, asked)}
    path = OUT / "ggml_pre.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
