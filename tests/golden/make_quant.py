#!/usr/bin/env python3
"""Writes tests/golden/quant/TYPE.bin: blocks of every quantised type with the values the reference decodes them to.

Reference: package gguf (gguf.quants.dequantize). Layout of a file: u32 bytes of blocks, the blocks, f32 values.
Blocks: random bytes with moderate scales, then random bytes as they come (scales may be infinite or NaN), then all
bytes 0x00 and all 0xFF, then each special half (zero, subnormal, largest, infinite, NaN) as every scale.

Usage: python3 tests/golden/make_quant.py
"""
import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Offsets of the halves in a block.
HALVES = {
    "F16": [0], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0],
}
SPECIAL_HALVES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF, 0x7C00, 0x7E00]


def blocks_of(name: str, rng: np.random.Generator) -> np.ndarray:
    weights, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    moderate, wild = {1: (64, 64), 32: (16, 4), 256: (6, 2)}[weights]
    blocks = rng.integers(0, 256, (moderate + wild, size), dtype=np.uint8)
    for offset in HALVES[name]:
        halves = rng.normal(0, 0.05, moderate).astype("<f2")
        blocks[:moderate, offset : offset + 2] = halves.view(np.uint8).reshape(moderate, 2)
    rows = [blocks, np.zeros((1, size), np.uint8), np.full((1, size), 255, np.uint8)]
    for special in SPECIAL_HALVES:
        row = rng.integers(0, 256, (1, size), dtype=np.uint8)
        for offset in HALVES[name]:
            row[0, offset : offset + 2] = [special & 255, special >> 8]
        rows.append(row)
    return np.concatenate(rows)


def main() -> None:
    folder = pathlib.Path(__file__).parent / "quant"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(7)
    for name in HALVES:
        blocks = blocks_of(name, rng)
        with np.errstate(all="ignore"):
            values = dequantize(blocks, GGMLQuantizationType[name]).astype("<f4")
        data = np.uint32(blocks.size).tobytes() + blocks.tobytes() + values.tobytes()
        (folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
