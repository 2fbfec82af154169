#!/usr/bin/env python3
"""Errors of Wattle's encoders beside those of ggml's own, format by format, as a Markdown table.

The error of a format is its relative RMSE: sqrt(sum (w - w')^2 / sum w^2) over the matrices of the models given. Rows
are joined and cut into 256 weights, so that every format sees every weight whatever the model's width.

Needs Python with numpy and gguf, and a shared library that exports ggml_quantize_chunk: libggml-base.so of a
llama.cpp build, or the extension module of the package xllamacpp.

Usage: bench/quant_error.py --ggml LIBRARY [--wattle build/wattle] [--match REGEX] [--formats Q4_K,...] MODEL...
       bench/quant_error.py --ggml LIBRARY --normal     ggml's errors that tests/quant/encode_test.cc holds ours to
"""
import argparse
import ctypes
import pathlib
import re
import subprocess
import tempfile
import time

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize

FORMATS = ["F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "Q3_K", "Q2_K"]
ROW = 256


class Ggml:
    def __init__(self, library: str):
        self.library = ctypes.CDLL(library)
        self.chunk = self.library.ggml_quantize_chunk
        self.chunk.restype = ctypes.c_size_t
        self.chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                               ctypes.c_int64, ctypes.c_void_p]

    def round_trip(self, weights: np.ndarray, name: str) -> np.ndarray:
        kind = GGMLQuantizationType[name]
        block, size = GGML_QUANT_SIZES[kind]
        data = np.zeros(weights.size // block * size, np.uint8)
        self.chunk(int(kind), weights.ctypes.data, data.ctypes.data, 0, weights.size // ROW, ROW, None)
        return self.decode(data, name, weights.size)

    def decode(self, data: np.ndarray, name: str, count: int) -> np.ndarray:
        if name in ("F16", "BF16"):
            return dequantize(data.reshape(1, -1), GGMLQuantizationType[name]).reshape(-1)
        decode = getattr(self.library, "dequantize_row_" + re.sub("_k$", "_K", name.lower()))
        decode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        weights = np.zeros(count, np.float32)
        data = np.ascontiguousarray(data)
        decode(data.ctypes.data, weights.ctypes.data, count)
        return weights


def squared_error(weights: np.ndarray, decoded: np.ndarray) -> float:
    return float(np.sum(np.square(weights.astype(np.float64) - decoded)))


def joined_rows(wattle: str, model: str, match: str, folder: pathlib.Path) -> pathlib.Path:
    """A GGUF file in F32 of the model's matrices, each as rows of 256."""
    whole, rows = folder / "whole.gguf", folder / "rows.gguf"
    subprocess.run([wattle, "convert", model, str(whole), "--to", "F32", "--json", "-q"], check=True, stdout=subprocess.DEVNULL)
    writer = GGUFWriter(rows, "bert")
    for tensor in GGUFReader(whole).tensors:
        if len(tensor.shape) == 2 and tensor.n_elements % ROW == 0 and re.search(match, tensor.name):
            writer.add_tensor("rows." + tensor.name, np.array(tensor.data, np.float32).reshape(-1, ROW))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole.unlink()
    return rows


def compare(ggml: Ggml, wattle: str, rows: pathlib.Path, name: str) -> str:
    """One line of the table."""
    encoded = rows.with_name("encoded.gguf")
    start = time.perf_counter()
    subprocess.run([wattle, "convert", str(rows), str(encoded), "--to", name, "--json", "-q"], check=True,
                   stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    ours = theirs = power = theirs_seconds = 0.0
    count = 0
    coded = {tensor.name: tensor for tensor in GGUFReader(encoded).tensors}
    for tensor in GGUFReader(rows).tensors:
        assert coded[tensor.name].tensor_type.name == name, tensor.name
        weights = np.array(tensor.data, np.float32).reshape(-1)
        data = np.array(coded[tensor.name].data).view(np.uint8).reshape(-1)
        ours += squared_error(weights, ggml.decode(data, name, weights.size))
        start = time.perf_counter()
        decoded = ggml.round_trip(weights, name)
        theirs_seconds += time.perf_counter() - start
        theirs += squared_error(weights, decoded)
        power += float(np.sum(np.square(weights, dtype=np.float64)))
        count += weights.size
    ours, theirs = (ours / power) ** 0.5, (theirs / power) ** 0.5
    return (f"| {name} | {100 * ours:.4f} % | {100 * theirs:.4f} % | {ours / theirs:.3f} | "
            f"{count / 1e6 / seconds:.1f} | {count / 1e6 / theirs_seconds:.1f} |")


def normal_weights() -> np.ndarray:
    """The weights of normal_weights(65536, 0.04f) in tests/quant/encode_test.cc."""
    generator = np.random.MT19937()
    generator._legacy_seeding(3)
    raw = generator.random_raw(2 * 65536).astype(np.float64)
    u, v = (raw[0::2] + 1) / 4294967297.0, raw[1::2] / 4294967296.0
    return (np.float64(np.float32(0.04)) * np.sqrt(-2 * np.log(u)) * np.cos(6.283185307179586 * v)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--ggml", required=True)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--match", default="", help="only tensors whose GGUF name holds this regular expression")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--normal", action="store_true")
    arguments = parser.parse_args()
    ggml = Ggml(arguments.ggml)
    if arguments.normal:
        weights = normal_weights()
        for name in arguments.formats.split(","):
            error = squared_error(weights, ggml.round_trip(weights, name)) / np.sum(np.square(weights, dtype=np.float64))
            print(f"{name} {error**0.5:.5f}")
    for model in arguments.models:
        print(f"\n{pathlib.Path(model).name}\n\n| format | Wattle | ggml | ratio | Wattle, M weights/s | ggml (1 thread) |\n"
              "|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            rows = joined_rows(arguments.wattle, model, arguments.match, pathlib.Path(folder))
            for name in arguments.formats.split(","):
                print(compare(ggml, arguments.wattle, rows, name), flush=True)


if __name__ == "__main__":
    main()
