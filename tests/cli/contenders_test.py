#!/usr/bin/env python3
"""Models of every task as contenders of a worker: what the reference libraries answer, and rankings, similarities and
choices made of it."""
import math
import pathlib
import sys
import unittest

import tiny_model
from worker_case import WorkerTestCase

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
TEXTS = ["Anna works in Paris.", "the Berlin of Anna", "in the Paris"]


class ContendersTest(WorkerTestCase):
    wattle = WATTLE

    def answers(self, task, rows, **options):
        answers = self.worker({"verb": "open", "kind": "model", "model": str(self.dir / "model"), "task": task, **options},
                              {"verb": "measure", "rows": rows, "window_seconds": 0.02, "warm_up_seconds": 0})
        self.assertNotIn("error", answers[-1])
        self.assertGreater(answers[-1]["window"]["joules"], 0)
        self.assertEqual(len(answers[-1]["answers"]), len(rows))
        return answers[-1]["answers"]

    def write_embedder(self):
        about = tiny_model.cases("classify")[0] | {"case": "bert/no_types", "config": {}}
        folder = tiny_model.write_folder(self.dir / "model", about)
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')

    def test_classify(self):
        about = tiny_model.cases("classify")[0]
        tiny_model.write_folder(self.dir / "model", about)
        rows = [row for row in about["rows"] if "text_pair" not in row]
        for row, answer in zip(rows, self.answers("classify", [{"text": row["text"]} for row in rows])):
            self.assertEqual(answer["label"], max(row["labels"], key=lambda entry: entry["score"])["label"])
            for entry in row["labels"]:
                self.assertAlmostEqual(answer["scores"][entry["label"]], entry["score"], places=4)

    def test_labels_have_the_names_of_the_data(self):
        about = tiny_model.cases("classify")[0]
        tiny_model.write_folder(self.dir / "model", about)
        answer = self.answers("classify", [{"text": TEXTS[0]}], answers=["yes", "no", "perhaps"], labels=["1", "0", "?"])[0]
        self.assertEqual(answer["label"], "1")
        self.assertEqual(set(answer["scores"]), {"1", "0", "?"})

    def test_answer_and_fill(self):
        about = tiny_model.cases("answer")[0]
        tiny_model.write_folder(self.dir / "model", about)
        row = next(row for row in about["rows"] if not row["options"])
        answer = self.answers("answer", [{"question": row["question"], "context": row["context"]}])[0]
        self.assertEqual(answer["text"], row["answers"][0]["answer"])
        about = tiny_model.cases("fill")[0]
        self.folder.cleanup()
        self.setUp()
        tiny_model.write_folder(self.dir / "model", about)
        answer = self.answers("fill", [{"text": about["rows"][0]["text"]}], top=3)[0]
        self.assertEqual([fill["id"] for fill in answer["masks"][0]],
                         [fill["token"] for fill in about["rows"][0]["masks"][0]][:3])

    def test_embeddings_compare_rank_and_choose(self):
        self.write_embedder()
        vectors = [answer["embedding"] for answer in self.answers("embed", [{"text": text} for text in TEXTS])]

        def cosine(a, b):
            return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))

        wanted = [cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])]
        pair, ranking, choice = self.answers("embed", [{"text": TEXTS[0], "text_pair": TEXTS[1]},
                                                       {"query": TEXTS[0], "documents": TEXTS[1:]},
                                                       {"question": TEXTS[0], "choices": TEXTS[1:]}])
        self.assertAlmostEqual(pair["score"], wanted[0], places=5)
        for score, each in zip(ranking["scores"], wanted):
            self.assertAlmostEqual(score, each, places=5)
        self.assertEqual(choice["label"], TEXTS[1 + wanted.index(max(wanted))])

    def test_cross_encoders_rank(self):
        about = next(case for case in tiny_model.cases("classify") if case["config"].get("problem_type") == "regression")
        about["config"] = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "problem_type": None}
        tiny_model.write_folder(self.dir / "model", about, {"classifier.weight": [1, 24], "classifier.bias": [1]})
        first, second, ranking = self.answers("rank", [{"text": TEXTS[0], "text_pair": TEXTS[1]},
                                                       {"text": TEXTS[0], "text_pair": TEXTS[2]},
                                                       {"query": TEXTS[0], "documents": TEXTS[1:]}])
        self.assertEqual(ranking["scores"], [first["score"], second["score"]])

    def test_what_does_not_fit_is_one_sentence(self):
        self.write_embedder()
        opened = {"verb": "open", "model": str(self.dir / "model"), "task": "embed"}
        why = self.worker(opened | {"colour": 1})[-1]["error"]
        self.assertIn("`colour`", why)
        self.assertIn("`open` first", self.worker({"verb": "measure", "rows": [{"text": "a"}], "window_seconds": 1})[-1]["error"])
        self.assertIn("no rows", self.worker(opened, {"verb": "measure", "rows": [], "window_seconds": 1})[-1]["error"])
        self.assertIn("threshold", self.worker(opened, {"verb": "choose_threshold", "rows": []})[-1]["error"])
        self.assertIn("`answers`", self.worker(opened | {"answers": ["a"], "labels": ["a", "b"]})[-1]["error"])


if __name__ == "__main__":
    unittest.main()
