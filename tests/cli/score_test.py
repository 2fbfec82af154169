#!/usr/bin/env python3
"""`wattle score`: answers of any program against labelled rows, by the registry of metrics."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())


class ScoreTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, rows):
        (self.dir / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def score(self, *arguments, status=0):
        done = subprocess.run([WATTLE, "score", *arguments], cwd=self.dir, capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, XDG_CACHE_HOME=str(self.dir / "cache")))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_labels(self):
        self.write("eval.jsonl", [{"text": f"row {i}", "label": "yes" if i % 2 else "no"} for i in range(10)])
        self.write("answers.jsonl", [{"label": "yes", "energy_joules": 1.5, "seconds": {}} for _ in range(10)])
        text = self.score("answers.jsonl", "--data", "eval.jsonl")
        # Wilson's interval of 5 of 10; macro F1 of one label always: (2/3 + 0) / 2.
        self.assertIn("accuracy: 50.0 % (23.7 % to 76.3 %)", text)
        self.assertIn("macro F1: 33.3 %", text)
        self.assertIn("10 rows", text)
        about = json.loads(self.score("answers.jsonl", "--data", "eval.jsonl", "--metric", "accuracy", "--json"))
        self.assertEqual(about["rows"], 10)
        self.assertEqual([metric["metric"] for metric in about["metrics"]], ["accuracy"])
        self.assertEqual(about["metrics"][0]["value"], 0.5)

    def test_answers_find_their_rows_by_id(self):
        rows = [{"id": f"r{i}", "text": f"row {i}", "label": "no" if i < 3 else "yes"} for i in range(6)]
        self.write("eval.jsonl", rows)
        self.write("answers.jsonl", [{"id": row["id"], "label": row["label"]} for row in reversed(rows)])
        self.assertIn("accuracy: 100.0 %", self.score("answers.jsonl", "--data", "eval.jsonl"))
        self.write("twice.jsonl", [{"id": "r0", "label": "no"}, {"id": "r0", "label": "no"}])
        self.assertIn("twice", self.score("twice.jsonl", "--data", "eval.jsonl", status=2))
        self.write("few.jsonl", [{"id": "r0", "label": "no"}])
        self.assertIn('no answer to the row with the id "r1"', self.score("few.jsonl", "--data", "eval.jsonl", status=2))
        self.write("more.jsonl", [{"id": row["id"], "label": row["label"]} for row in rows] + [{"id": 9, "label": "no"}])
        self.assertIn("none of the 6 rows", self.score("more.jsonl", "--data", "eval.jsonl", status=2))

    def test_texts(self):
        self.write("eval.jsonl", [{"dialogue": "A: hi", "summary": "A says hi"}, {"dialogue": "B: no", "summary": "B denies"}])
        self.write("answers.jsonl", [{"text": "A says hi"}, {"text": "someone agrees"}])
        about = json.loads(self.score("answers.jsonl", "--data", "eval.jsonl", "--task", "summarise", "--json"))
        self.assertEqual({metric["metric"]: metric["value"] for metric in about["metrics"]},
                         {"rouge_l": 0.5, "rouge_1": 0.5, "rouge_2": 0.5})
        sentence = self.score("answers.jsonl", "--data", "eval.jsonl", "--task", "summarise", "--metric", "accuracy",
                              "--quiet", status=2)
        self.assertEqual(sentence.count("\n"), 1, sentence)

    def test_bad_input_is_one_sentence(self):
        self.write("eval.jsonl", [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}])
        self.write("answers.jsonl", [{"label": "x"}, {"label": "z"}])
        for arguments in (["nothing.jsonl", "--data", "eval.jsonl"], ["answers.jsonl", "--data", "nothing"],
                          ["answers.jsonl", "--data", "eval.jsonl", "--task", "guess"],
                          ["answers.jsonl", "--data", "eval.jsonl", "--field", "text"],
                          ["answers.jsonl", "--data", "eval.jsonl", "--metric", "beauty"], ["answers.jsonl"]):
            sentence = self.score(*arguments, status=2)
            self.assertEqual(sentence.count("\n"), 1, sentence)
            self.assertTrue(sentence.startswith("wattle: "), sentence)


if __name__ == "__main__":
    unittest.main()
