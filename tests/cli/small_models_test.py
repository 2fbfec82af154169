#!/usr/bin/env python3
"""The smallest models on the oldest machine of 64 bits: the same program under QEMU with a processor that has SSE2 and
nothing later answers with the same bytes as here, and as scikit-learn and model2vec do."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
SMALL = GOLDEN / "small_models"
EXPECTED = json.loads((SMALL / "expected.json").read_text(encoding="utf-8"))
OLDEST = ["qemu-x86_64", "-cpu", "Opteron_G1"]
# Where the program's own start would begin it again, the emulator would not follow.
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "passive"}
# model, texts, answers, what of an answer is compared
CASES = [(SMALL / "linear.gguf", "texts", "linear", "scores"), (SMALL / "forest.gguf", "texts", "forest", "scores"),
         (GOLDEN / "static" / "m2v_float32", "static_texts", "static", "embedding"),
         (SMALL / "on_static.gguf", "static_texts", "on_static", "scores")]


def answers(emulator, model, texts, field):
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    base = ["--base", str(GOLDEN / "static" / "m2v_float32")] if model.name == "on_static.gguf" else []
    done = subprocess.run([*emulator, WATTLE, "-q", "run", "--meter", "model", str(model), *base, "--input", "-"],
                          input=rows, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    if done.returncode != 0:
        raise AssertionError(f"{model}: {done.stderr}")
    found = [json.loads(line)[field] for line in done.stdout.splitlines() if line.startswith("{")]
    return [list(row.values()) if isinstance(row, dict) else row for row in found[:len(texts)]]


class SmallModelsTest(unittest.TestCase):
    def test_answers_of_the_reference(self):
        for model, texts, expected, field in CASES:
            found = answers([], model, EXPECTED[texts], field)
            self.assertEqual(len(found), len(EXPECTED[expected]))
            for row, wanted in zip(found, EXPECTED[expected]):
                for value, want in zip(row, wanted, strict=True):
                    self.assertAlmostEqual(value, want, delta=1e-5, msg=model.name)

    @unittest.skipUnless(shutil.which(OLDEST[0]) and os.uname().machine == "x86_64", "no qemu-x86_64")
    def test_the_oldest_processor_gives_the_same_bytes(self):
        doctor = subprocess.run([*OLDEST, WATTLE, "doctor", "--json", "--seconds", "0.1"], capture_output=True,
                                text=True, timeout=120, env=ENVIRONMENT, check=True)
        self.assertEqual(json.loads(doctor.stdout)["instruction_sets"], ["portable"])
        for model, texts, _, field in CASES:
            self.assertEqual(answers(OLDEST, model, EXPECTED[texts], field),
                             answers([], model, EXPECTED[texts], field), model.name)


if __name__ == "__main__":
    unittest.main()
