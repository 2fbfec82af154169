#!/usr/bin/env python3
"""A plan of "Power Hungry Processing": shapes without figures of quality, weights of a hub on the loopback with them."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tiny_model
from hub_server import Hub

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
PLAN = """name: tiny
paper: text-classification
data: {data}
metric: [accuracy]
quality: 0.1
rounds: 3
window_seconds: 0.02
warm_up_seconds: 0.02
disturbance: 1
threads: 1
quick: {{rungs: [lvwerra/distilbert-imdb], precisions: [Q8_0], rows: 8}}
rungs:
  - name: lvwerra/distilbert-imdb
    kind: model
    model: "shape:bert-tiny+sequence=bad,good"
    published: {{model: acme/tiny, words: {{bad: "no", good: "yes"}}}}
    precisions: [F32, Q8_0]
"""

TOO_LARGE = """  - name: bigscience/bloomz-7b1
    kind: model
    model: "shape:flan-t5-xxl"
    precisions: [F32]
"""


class PaperStudyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        served = self.dir / "served"
        (served / "acme").mkdir(parents=True)
        tiny_model.write_folder(served / "acme" / "tiny", tiny_model.cases("classify")[0])
        self.hub = Hub(served)
        self.addCleanup(self.hub.stop)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        self.environment |= {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.dir / "hf"),
                             "XDG_CACHE_HOME": str(self.dir / "cache")}
        rows = [{"text": f"word {i} and more words", "label": "bad" if i % 2 else "good"} for i in range(24)]
        (self.dir / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (self.dir / "plan.yaml").write_text(PLAN.format(data=self.dir / "data.jsonl"))

    def wattle(self, *arguments, status=0):
        done = subprocess.run([WATTLE, *map(str, arguments)], env=self.environment, capture_output=True, text=True,
                              timeout=300, cwd=self.dir)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def cells(self, study):
        return json.loads(self.wattle("report", study, "--json").stdout)

    def test_shapes_have_no_quality_and_no_advice(self):
        done = self.wattle("study", "plan.yaml", "--out", "out")
        cells = self.cells("out")
        self.assertEqual([cell["precision"] for cell in cells[:2]], ["F32", "Q8_0"])
        for cell in cells[:2]:
            self.assertIsNone(cell["quality"])
            self.assertGreater(cell["wh_per_1000"]["value"], 0)
        self.assertNotIn("take lvwerra", done.stdout)
        shown = self.wattle("report", "out", "--paper").stdout
        self.assertIn("lvwerra/distilbert-imdb", shown)
        self.assertIn("eight A100 boards", shown)
        self.assertIn("Power Hungry Processing", (self.dir / "out" / "report.html").read_text())
        self.wattle("report", "out", "--verify")

    def test_a_model_too_large_is_the_error_of_its_cell(self):
        available = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
        if available > 40_000_000:
            self.skipTest("this machine has room for flan-t5-xxl")
        (self.dir / "plan.yaml").write_text(PLAN.format(data=self.dir / "data.jsonl") + TOO_LARGE)
        done = self.wattle("study", "plan.yaml", "--out", "out")
        self.assertIn("GB of memory left; choose a smaller precision", done.stderr)
        self.assertIn("bigscience/bloomz-7b1", done.stdout)

    def test_weights_of_the_hub_fill_the_quality(self):
        self.wattle("study", "plan.yaml", "--out", "out", "--weights", "hub")
        self.assertTrue(any("acme/tiny" in path for _, _, path, _ in self.hub.requests))
        for cell in self.cells("out")[:2]:
            self.assertEqual(cell["rung"], "lvwerra/distilbert-imdb")
            self.assertEqual(cell["n"], 24)
            self.assertIsNotNone(cell["quality"])
        self.hub.requests.clear()
        self.wattle("study", "plan.yaml", "--out", "out", "--weights", "hub")
        self.assertFalse(any(path.endswith(".safetensors") for _, _, path, _ in self.hub.requests))

    def test_quick_measures_what_the_plan_names(self):
        self.wattle("study", "plan.yaml", "--out", "out", "--quick")
        self.assertEqual([(cell["rung"], cell["precision"]) for cell in self.cells("out")],
                         [("lvwerra/distilbert-imdb", "Q8_0")])

    def test_a_recipe_without_its_rows_names_the_source(self):
        done = self.wattle("study", "plan.yaml", "--data", "recipe:sst2", "--out", "out", status=2)
        self.assertIn("stanfordnlp/sst2", done.stderr)
        self.assertIn("sst2/eval.jsonl", done.stderr)


if __name__ == "__main__":
    unittest.main()
