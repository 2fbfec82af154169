"""Folders of the tiny models of tests/golden with their tokenizers, for tests of the program; plain Python."""
import json
import pathlib
import struct

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
MASK = (1 << 64) - 1


def draw(tensor):
    """The values that families/make/drawing.py says, as little-endian float32."""
    state = 0xCBF29CE484222325
    for byte in tensor["name"].encode():
        state = (state ^ byte) * 0x100000001B3 & MASK
    count = 1
    for size in tensor["shape"]:
        count *= size
    values = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        z ^= z >> 31
        values.append(tensor["offset"] + tensor["scale"] * ((z >> 40) * 2.0**-23 - 1.0))
    return struct.pack(f"<{count}f", *values)


def cases(task):
    """Models, tokenizers, and what the reference library answers: tests/golden/tasks/TASK.json."""
    return json.loads((GOLDEN / "tasks" / f"{task}.json").read_text())


def write_folder(path, about, shapes=None):
    """The folder of a case of tests/golden/tasks; `shapes` names tensors that have another shape."""
    stored = json.loads((GOLDEN / "families" / f"{about['case']}.json").read_text())
    path.mkdir()
    (path / "config.json").write_text(json.dumps(stored["config"] | about["config"]))
    if stored.get("generation_config"):
        (path / "generation_config.json").write_text(json.dumps(stored["generation_config"]))
    (path / "tokenizer.json").write_text(json.dumps(about["tokenizer"]))
    (path / "tokenizer_config.json").write_text(json.dumps(about["tokenizer_config"]))
    header, data = {}, b""
    for tensor in stored["tensors"]:
        if "same_as" in tensor or tensor.get("buffer"):
            continue
        tensor = tensor | {"shape": (shapes or {}).get(tensor["name"], tensor["shape"])}
        bytes_ = draw(tensor)
        header[tensor["name"]] = {"dtype": "F32", "shape": tensor["shape"],
                                  "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path
