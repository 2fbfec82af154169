#!/usr/bin/env python3
"""The flags of `wattle run` for heads and texts, each typed once, and what it changes; `train --task tag`; notes."""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tiny_model

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())


class RunFlagsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def wattle(self, *arguments, status=0):
        done = subprocess.run([WATTLE, *arguments], cwd=self.dir, capture_output=True, text=True, timeout=300,
                              env=dict(os.environ, XDG_CACHE_HOME=str(self.dir / "cache")))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def ask(self, *arguments):
        """The one JSON object that a question on the command line is answered with."""
        return json.loads(self.wattle("run", "model", "--meter", "model", *arguments).stdout)

    def rows(self, rows, *arguments):
        (self.dir / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = self.wattle("run", "model", "--meter", "model", "--input", "rows.jsonl", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_spans(self, spans, wanted, text):
        self.assertEqual([span["text"] for span in spans], [want[text] for want in wanted])
        self.assertEqual([span["begin_code_point"] for span in spans], [want["start"] for want in wanted])
        for span, want in zip(spans, wanted):
            self.assertAlmostEqual(span["score"], want["score"], delta=1e-4)

    def test_answer(self):
        about = tiny_model.cases("answer")[0]
        tiny_model.write_folder(self.dir / "model", about)
        flags = {"top_k": "--top", "max_answer_len": "--longest-answer", "max_seq_len": "--window",
                 "doc_stride": "--overlap"}
        given = set()
        for row in about["rows"]:
            arguments = ["--task", "answer", row["question"], "--pair", row["context"]]
            for name, value in row["options"].items():
                arguments += ["--no-answer"] if name == "handle_impossible_answer" else [flags[name], str(value)]
                given.add(name)
            self.check_spans(self.ask(*arguments)["spans"], row["answers"], "answer")
        self.assertEqual(given, set(flags) | {"handle_impossible_answer"})
        pair = [about["rows"][0]["question"], "--pair", about["rows"][0]["context"], "--top", "400"]
        empty = [any(span["text"] == "" for span in self.ask(*pair, *flag)["spans"]) for flag in ([], ["--no-answer"])]
        self.assertEqual(empty, [False, True])

    def test_top_of_fill(self):
        about = tiny_model.cases("fill")[0]
        tiny_model.write_folder(self.dir / "model", about)
        row = about["rows"][0]
        for top in (2, 7):
            fills = self.ask("--task", "fill", row["text"], "--top", str(top))["masks"]
            for found, wanted in zip(fills, row["masks"]):
                self.assertEqual([fill["id"] for fill in found], [want["token"] for want in wanted[:top]])

    def test_join_and_overlap_of_tag(self):
        about = tiny_model.cases("tag")[0]
        tiny_model.write_folder(self.dir / "model", about)
        seen = set()
        for row in about["rows"]:
            flags = ["--join", row["join"]]
            if "overlap" in row:
                flags += ["--overlap", str(row["overlap"])]
            if tuple(flags) in seen:
                continue
            seen.add(tuple(flags))
            rows = [each for each in about["rows"] if each["join"] == row["join"] and each.get("overlap") == row.get("overlap")]
            answers = self.rows([{"text": each["text"]} for each in rows], "--task", "tag", *flags)
            for answer, each in zip(answers, rows):
                self.check_spans(answer["spans"], each["spans"], "text")
        self.assertGreater(len(seen), 5)

    def test_raw_scores(self):
        about = next(case for case in tiny_model.cases("classify") if case["config"].get("problem_type") == "regression")
        about["config"] = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "problem_type": None}
        tiny_model.write_folder(self.dir / "model", about, {"classifier.weight": [1, 24], "classifier.bias": [1]})
        pair = ["--task", "rank", "Where is Anna?", "--pair", "Anna lives in Paris."]
        logit, score = self.ask(*pair, "--raw-scores")["score"], self.ask(*pair)["score"]
        self.assertAlmostEqual(score, 1 / (1 + math.exp(-logit)), delta=1e-5)
        self.assertGreater(abs(logit - score), 0.01)
        self.assertNotEqual(logit, self.ask("--task", "rank", "Where is Anna?", "--pair", "the", "--raw-scores")["score"])

    def test_from_and_to(self):
        for number, about in enumerate(tiny_model.cases("text_to_text")):
            if about["task"] != "translate" or about["case"] == "llama/base":
                continue
            tiny_model.write_folder(self.dir / "model", about)
            flags = ["--task", "translate", "--to", about["to"], "--cache", "F32", "--context", "64"]
            for key, flag in (("from", "--from"), ("max_tokens", "--max-tokens"), ("no_repeat_ngram", "--no-repeat-ngram")):
                if key in about:
                    flags += [flag, str(about[key])]
            answers = self.rows([{"text": row["text"]} for row in about["rows"]], *flags)
            self.assertEqual([answer["text"] for answer in answers], [row["out"] for row in about["rows"]], about["case"])
            (self.dir / "model").rename(self.dir / f"done{number}")

    def test_prompts(self):
        about = tiny_model.cases("classify")[0] | {"case": "bert/no_types", "config": {}}
        folder = tiny_model.write_folder(self.dir / "model", about)
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
        (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "who is ", "document": "in the "}}')
        embed = lambda *more: self.ask("--task", "embed", *more)["embedding"]
        plain = embed("in the anna")
        self.assertEqual(plain, embed("anna", "--prompt", "in the "))
        self.assertEqual(plain, embed("anna", "--prompt-name", "document"))
        self.assertNotEqual(plain, embed("anna", "--prompt-name", "query"))
        self.assertNotEqual(plain, embed("anna"))

    def test_beams_of_a_bench(self):
        about = next(case for case in tiny_model.cases("text_to_text") if case["case"] == "bart/base")
        tiny_model.write_folder(self.dir / "model", about)
        bench = ["bench", "model", "--prompt", "8", "--generate", "6", "--rounds", "1", "--json"]
        self.assertNotIn("beams", json.loads(self.wattle(*bench).stdout))
        result = json.loads(self.wattle(*bench, "--beams", "3").stdout)
        self.assertGreater(result["beams"]["tokens_per_s"], 0)
        self.assertGreater(result["generate"]["tokens_per_s"], 0)

    def test_sequences_of_a_bench(self):
        for number, name in enumerate(("bart/base", "llama/base")):
            about = next(case for case in tiny_model.cases("text_to_text") if case["case"] == name)
            tiny_model.write_folder(self.dir / f"model{number}", about)
            bench = ["bench", f"model{number}", "--prompt", "8", "--generate", "6", "--rounds", "1", "--json"]
            result = json.loads(self.wattle(*bench, "--sequences", "1,3").stdout)
            for count in (1, 3):
                self.assertGreater(result[f"sequences_{count}"]["tokens_per_s"], 0)
            self.assertNotIn("sequences_3", json.loads(self.wattle(*bench).stdout))

    def test_train_tags(self):
        tiny_model.write_folder(self.dir / "encoder", tiny_model.cases("tag")[0])
        rows = []
        for i in range(60):
            words = ["who", "is"] + (["anna", "lives"] if i % 3 else ["the"]) + ["in"] + (["paris"] if i % 2 else ["the"])
            tags = {"anna": "B-PER", "lives": "I-PER", "paris": "B-LOC"}
            rows.append({"tokens": words[i % 2:], "tags": [tags.get(word, "O") for word in words[i % 2:]]})
        (self.dir / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = self.wattle("train", "--task", "tag", "--on", "encoder", "--input", "train.jsonl", "--eval", "train.jsonl",
                           "--output", "model", "--json")
        summary = json.loads(done.stdout)
        self.assertEqual((summary["features"], summary["labels"]), ("tokens", ["B-LOC", "B-PER", "I-PER", "O", "I-LOC"]))
        self.assertGreater(summary["accuracy"], 0.98)
        self.assertGreater(summary["span_f1"], 0.95)
        spans = self.ask("--task", "tag", "who is anna lives in paris")["spans"]
        self.assertEqual([(span["label"], span["text"]) for span in spans], [("PER", "anna lives"), ("LOC", "paris")])
        refused = self.wattle("train", "--task", "tag", "--input", "train.jsonl", "--output", "x", status=2)
        self.assertIn("name one with --on", refused.stderr)
        (self.dir / "bad.jsonl").write_text('{"text": "a", "label": "b"}\n')
        refused = self.wattle("train", "--task", "tag", "--on", "encoder", "--input", "bad.jsonl", "--output", "x", status=2)
        self.assertIn("none of the fields tags", refused.stderr)
        self.assertFalse((self.dir / "x").exists())

    def test_notes(self):
        about = next(case for case in tiny_model.cases("text_to_text") if case["case"] == "llama/base")
        tiny_model.write_folder(self.dir / "folder", about)
        self.wattle("convert", "folder", "whole.gguf", "--to", "F32")
        data = (self.dir / "whole.gguf").read_bytes()
        for key in (b"tokenizer.wattle.pipeline", b"tokenizer.huggingface.json", b"tokenizer.ggml.pre"):
            data = data.replace(key, key[:-1] + b"_")  # as a writer leaves it that does not know the key
        (self.dir / "model").write_bytes(data)
        note = "does not say how its tokenizer cuts a text into words"
        self.assertIn(note, self.wattle("inspect", "model").stdout)
        self.assertTrue(any(note in each for each in json.loads(self.wattle("inspect", "model", "--json").stdout)["notes"]))
        run = ["run", "model", "is", "--no-chat", "--max-tokens", "2", "--context", "64", "--meter", "model"]
        self.assertIn(note, self.wattle(*run).stderr)
        self.assertNotIn(note, self.wattle("--quiet", *run).stderr)
        self.assertNotIn(note, self.wattle("inspect", "whole.gguf").stdout)


if __name__ == "__main__":
    unittest.main()
