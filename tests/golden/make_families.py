#!/usr/bin/env python3
"""Golden values of every family of text models: tiny random models run by the reference library in float64.

Makes tests/golden/families/FAMILY/CASE.json (configuration, tensors with their drawing, inputs, generations, outputs'
places) and CASE.f32 (the outputs, little-endian float32). Weights are drawn by the rule of families/make/drawing.py.

    make_families.py [FAMILY | FAMILY/CASE ...]        all families without a name

Needs torch, transformers 4.57.1, safetensors, numpy. tests/golden/families/README.md describes the files.
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from families.make import FAMILIES, case, drawing  # noqa: E402


def write_drawing_check():
    """Values for the unit test of the C++ side of the drawing rule."""
    checks = []
    for name, scale, offset in [("a", 1.0, 0.0), ("encoder.layer.0.output.LayerNorm.weight", 0.5, 1.0),
                                ("größe", 0.125, -0.3)]:
        values = drawing.draw(name, [5], scale, offset).tolist()
        checks.append({"name": name, "seed": str(drawing.seed(name)), "scale": scale, "offset": offset,
                       "values": values})
    body = ",\n".join(json.dumps(check, ensure_ascii=False) for check in checks)
    (case.OUT / "drawing.json").write_text(f"[\n{body}\n]\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    write_drawing_check()
    for chosen in sys.argv[1:] or FAMILIES:
        family, _, name = chosen.partition("/")
        if not name:
            shutil.rmtree(case.OUT / family, ignore_errors=True)
        for one in FAMILIES[family]():
            if name in ("", one.name):
                print(f"{family}/{one.name}: {case.write(one, family) / 1000:.1f} KB", flush=True)


main()
