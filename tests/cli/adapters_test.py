#!/usr/bin/env python3
"""The adapters of examples/adapters as contenders of a worker. One whose package is not installed is skipped by name."""
import importlib.util
import json
import pathlib
import sys
import unittest

from worker_case import WorkerTestCase

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
ADAPTERS = pathlib.Path(__file__).resolve().parents[2] / "examples/adapters"

WORDS = "[UNK] [CLS] [SEP] [PAD] [MASK] the a was is not good bad fine awful food film plane late lovely lost".split()

# What llama_server.py needs of a server, for a machine without llama.cpp: it answers by the text's length.
SERVER = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def send(self, body):
        data = json.dumps(body).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(data))); self.end_headers(); self.wfile.write(data)
    def do_GET(self): self.send({"status": "ok"})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        self.send({"choices": [{"message": {"content": " Bad." if "bad" in asked.split("Text:")[1] else "good"}}]})
    def log_message(self, *rest): print(*rest)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def need(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


class AdaptersTest(WorkerTestCase):
    wattle = WATTLE

    def answers(self, adapter, rows, *arguments, task="classify"):
        """What an adapter answers in a measured window, which must have cost something."""
        command = [sys.executable, str(ADAPTERS / adapter), *map(str, arguments)]
        opened, *rest = self.worker(
            {"verb": "open", "kind": "command", "task": task, "command": command, "seconds_to_start": 240},
            {"verb": "measure", "rows": rows, "window_seconds": 0.3, "warm_up_seconds": 0.1})
        self.assertNotIn("error", opened)
        self.assertNotIn("error", rest[0])
        window = rest[0]["window"]
        self.assertGreater(window["joules"], 0)
        self.assertGreater(window["peak_memory_bytes"], 1e6)
        self.assertGreaterEqual(window["queries"], len(rows))
        return opened["description"], rest[0]["answers"]

    def write_rows(self):
        path = self.dir / "train.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for i in range(40):
                text, label = (f"lovely good food {i}", "good") if i % 2 else (f"awful late plane {i}", "bad")
                file.write(json.dumps({"text": text, "label": label}) + "\n")
        return path

    def write_tiny_bert(self, kind="BertForSequenceClassification"):
        import torch
        import transformers
        torch.manual_seed(1)
        (self.dir / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
        tokenizer = transformers.BertTokenizerFast(str(self.dir / "vocab.txt"))
        config = transformers.BertConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                         intermediate_size=32, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
        model = getattr(transformers, kind)(config).eval()
        folder = self.dir / "model"
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
        return folder, tokenizer, model

    def test_echo(self):
        rows = [{"text": "Zoë said \"hello\"", "id": 0}, {"text": "", "id": "x"}]
        about, answers = self.answers("echo.py", rows, task="generate")
        self.assertEqual(about["name"], "echo")
        self.assertEqual([answer["text"] for answer in answers], [row["text"] for row in rows])

    def test_a_program_that_fails_is_named_with_its_last_words(self):
        opened = self.worker({"verb": "open", "kind": "command", "command": [sys.executable, str(ADAPTERS / "scikit_learn.py")]})
        self.assertIn("scikit_learn.py", opened[0]["error"])
        self.assertIn("its last words", opened[0]["error"])

    def test_llama_server(self):
        server = self.dir / "server.py"
        server.write_text(SERVER, encoding="utf-8")
        rows = [{"text": "a bad film"}, {"text": "lovely food"}]
        _, answers = self.answers("llama_server.py", rows, "model.gguf", "--server", f"{sys.executable} {server}",
                                  "--labels", "good,bad")
        self.assertEqual([answer["label"] for answer in answers], ["bad", "good"])

    @need("sklearn")
    def test_scikit_learn(self):
        rows = [{"text": "the food was lovely"}, {"text": "late and awful"}]
        saved = self.dir / "model.joblib"
        about, answers = self.answers("scikit_learn.py", rows, self.write_rows(), "--save", saved)
        self.assertEqual(about["labels"], ["bad", "good"])
        self.assertEqual([answer["label"] for answer in answers], ["good", "bad"])
        self.assertAlmostEqual(sum(answers[0]["scores"].values()), 1, places=5)
        self.assertEqual(self.answers("scikit_learn.py", rows, saved)[1], answers)

    @need("torch", "transformers")
    def test_hugging_face(self):
        import torch
        folder, tokenizer, model = self.write_tiny_bert()
        rows = [{"text": "the food was good"}, {"text": "the film", "text_pair": "is awful"}]
        _, answers = self.answers("hugging_face.py", rows, folder)
        for row, answer in zip(rows, answers):
            with torch.no_grad():
                logits = model(**tokenizer(row["text"], row.get("text_pair"), return_tensors="pt")).logits
            wanted = torch.softmax(logits, dim=-1)[0].tolist()
            for label, score in zip(("bad", "good"), wanted):
                self.assertAlmostEqual(answer["scores"][label], score, places=4)

    @need("torch", "transformers")
    def test_hugging_face_tags_and_fills(self):
        folder, _, _ = self.write_tiny_bert("BertForTokenClassification")
        _, answers = self.answers("hugging_face.py", [{"text": "the food was good"}], folder, "--task", "tag", task="tag")
        for span in answers[0]["spans"]:
            self.assertEqual(span["text"], "the food was good"[span["begin"]:span["end"]])
        folder, _, _ = self.write_tiny_bert("BertForMaskedLM")
        _, answers = self.answers("hugging_face.py", [{"text": "the [MASK] was good"}], folder, "--task", "fill", task="fill")
        self.assertEqual(len(answers[0]["masks"]), 1)

    @need("torch", "transformers", "onnx", "onnxruntime", "tokenizers")
    def test_onnx_runtime(self):
        import torch
        folder, tokenizer, model = self.write_tiny_bert()
        tokens = tokenizer("the food was good", return_tensors="pt")
        names = ["input_ids", "attention_mask", "token_type_ids"]
        axes = {name: {0: "rows", 1: "tokens"} for name in names}
        model.config._attn_implementation = "eager"
        torch.onnx.export(model, tuple(tokens[name] for name in ("input_ids", "attention_mask", "token_type_ids")),
                          str(folder / "model.onnx"), input_names=names, output_names=["logits"], dynamic_axes=axes, dynamo=False)
        _, answers = self.answers("onnx_runtime.py", [{"text": "the food was good"}, {"text": "awful film"}], folder)
        with torch.no_grad():
            wanted = torch.softmax(model(**tokens).logits, dim=-1)[0].tolist()
        self.assertAlmostEqual(answers[0]["scores"]["good"], wanted[1], places=4)

    @need("spacy")
    def test_spacy(self):
        import spacy
        pipeline = spacy.blank("en")
        ruler = pipeline.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "PER", "pattern": "Anna"}])
        pipeline.to_disk(self.dir / "pipeline")
        _, answers = self.answers("spacy_pipeline.py", [{"text": "Zoë met Anna"}], self.dir / "pipeline", task="tag")
        self.assertEqual([(span["label"], span["text"], span["begin"]) for span in answers[0]["spans"]], [("PER", "Anna", 9)])


if __name__ == "__main__":
    unittest.main()
