#!/usr/bin/env python3
"""`wattle run`: the phases of a row add up to the row's joules, and the rows to the window, to the last bit."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
TASKS = {
    "embed": (["encoder", "--task", "embed"], {"tokenize", "prefill", "post"}),
    "head on an encoder": (["on.gguf", "--base", "encoder"], {"tokenize", "prefill", "post"}),
    "head on words": (["words.gguf"], {"post"}),
    "classify": (["decoder", "--task", "classify", "--labels", "a,bcd"], {"tokenize", "prefill", "decode", "post"}),
    "generate": (["decoder", "--max-tokens", "5"], {"tokenize", "prefill", "decode", "post"}),
    "tokenize": (["encoder", "--task", "tokenize"], {"tokenize", "post"}),
}


class Ticking:
    """A meter in a file: joules that grow, or watts that do not move."""

    def __init__(self, path, unit):
        self.path, self.unit, self.stop = path, unit, threading.Event()
        self.begin = time.monotonic()
        self.write()
        self.thread = threading.Thread(target=self.run)

    def write(self):
        number = 1000 + 37.3 * (time.monotonic() - self.begin) if self.unit == "J" else 37.3
        new = self.path.with_suffix(".new")
        new.write_text(f"{number:.6f} {self.unit}\n")
        new.rename(self.path)

    def run(self):
        while not self.stop.wait(0.005):
            self.write()

    def __enter__(self):
        self.thread.start()
        return f"file:{self.path}"

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class EnergyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        rows = [{"text": "hello word" + f" word{i % 9}" * (1 + i % 4), "label": "ab"[i % 2]} for i in range(14)]
        (cls.dir / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        shutil.copytree(MODELS / "bert", cls.dir / "encoder")
        size = json.loads((cls.dir / "encoder/config.json").read_text())["vocab_size"]
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "word"]
        vocabulary += [f"word{i}" for i in range(size - len(vocabulary))]
        (cls.dir / "encoder/vocab.txt").write_text("\n".join(vocabulary) + "\n")
        (cls.dir / "encoder/1_Pooling").mkdir()
        (cls.dir / "encoder/1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
        # A decoder with byte-level BPE, a token for every printable ASCII character.
        shutil.copytree(MODELS / "llama", cls.dir / "decoder")
        tokens = ["<|end|>", "\u0120"] + [chr(code) for code in range(ord("!"), ord("!") + 93)] + ["no"]
        (cls.dir / "decoder/tokenizer.json").write_text(json.dumps({
            "added_tokens": [{"id": 0, "content": "<|end|>", "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": ["n o"]}}))
        cls.wattle("train", "--input", "rows.jsonl", "--output", "words.gguf")
        cls.wattle("train", "--on", "encoder", "--input", "rows.jsonl", "--output", "on.gguf")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def wattle(cls, *arguments):
        environment = dict(os.environ, XDG_CACHE_HOME=str(cls.dir / "cache"))
        done = subprocess.run([WATTLE, "-q", *arguments], cwd=cls.dir, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def check(self, meter):
        for task, (arguments, phases) in TASKS.items():
            for batch in (1, 7):
                with self.subTest(task, batch=batch, meter=meter):
                    summary = json.loads(self.wattle("run", *arguments, "--input", "rows.jsonl", "--output", "out.jsonl",
                                                     "--batch", str(batch), "--meter", meter, "--json"))
                    rows = [json.loads(line) for line in (self.dir / "out.jsonl").read_text().splitlines()]
                    self.assertEqual(len(rows), 14)
                    for row in rows:
                        self.assertEqual(list(row["energy_phases"]), ["tokenize", "prefill", "decode", "post"])
                        self.assertEqual(added(row["energy_phases"].values()), row["energy_joules"])
                        drawing = {phase for phase, joules in row["energy_phases"].items() if joules > 0}
                        # A counter that a loaded machine did not move within a window shows no joule in any phase.
                        if meter == "model" or row["energy_joules"] > 0:
                            self.assertEqual(drawing, phases)
                        else:
                            self.assertEqual(drawing, set())
                        self.assertEqual(row["grade"], "modelled" if meter == "model" else "attributed")
                    if summary["energy"]["windows"] == 1:
                        self.assertEqual(added(row["energy_joules"] for row in rows), summary["energy"]["joules"])
                    else:  # a loaded machine: sums of windows round
                        self.assertAlmostEqual(added(row["energy_joules"] for row in rows), summary["energy"]["joules"], 9)

    def test_modelled(self):
        self.check("model")

    def test_counter(self):
        with Ticking(self.dir / "joules", "J") as meter:
            self.check(meter)

    def test_power(self):
        with Ticking(self.dir / "watts", "W") as meter:
            self.check(meter)

    def test_a_single_text(self):
        answer = json.loads(self.wattle("run", "encoder", "--task", "embed", "--meter", "model", "hello word"))
        self.assertEqual(added(answer["energy_phases"].values()), answer["energy"]["joules"])


def added(values):
    """Left to right: sum() of newer Pythons compensates."""
    total = 0.0
    for value in values:
        total += value
    return total


if __name__ == "__main__":
    unittest.main()
