#!/usr/bin/env python3
"""Every verb on bad input: one sentence that names what is wrong, exit status 2, and nothing half-written."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
FILES = {
    "ok.jsonl": b'{"text":"hello there","label":"a"}\n{"text":"good bye now","label":"b"}\n' * 6,
    "empty.jsonl": b"",
    "noise.jsonl": bytes(range(256)),
    "cut.jsonl": b'{"text":"hello"\n',
    "nan.jsonl": b'{"text":NaN,"label":"a"}\n',
    "number.jsonl": b'{"text":5,"label":"a"}\n',
    "list.jsonl": b"[1, 2]\n",
    "null.jsonl": b'{"text":"a b","label":null}\n',
    "words.jsonl": b'{"words":"hello"}\n',
    "new.jsonl": b'{"text":"hello","label":"never"}\n',
    "blank.jsonl": b'{"text":"","label":"a"}\n{"text":"","label":"b"}\n',
    "one.jsonl": b'{"text":"hello there","label":"a"}\n' * 3,
    "open.csv": b'text,label\n"open,a\n',
    "wide.csv": b"text,label\nhello,a,b\n",
    "empty.gguf": b"",
    "cut.gguf": b"GGUF\3\0\0\0",
    "noise.gguf": bytes(range(256)),
    "noise.yaml": b"\xff\xfe: [",
    "empty.yaml": b"",
    "list.yaml": b"- 1\n",
}

# Arguments, and what the sentence must hold.
CASES = [
    *[(f"{verb} {file}{rest}", file) for file in ("none.gguf", "empty.gguf", "cut.gguf", "noise.gguf", "folder", "ok.jsonl")
      for verb, rest in (("run", " hello"), ("inspect", ""), ("convert", " out --to Q8_0"), ("bench", ""),
                         ("train --input ok.jsonl --output out --on", ""))],
    *[(f"{verb} {file}", file) for file in ("none.jsonl", "empty.jsonl", "folder", "noise.jsonl", "cut.jsonl", "nan.jsonl",
                                            "number.jsonl", "list.jsonl", "words.jsonl", "open.csv", "wide.csv")
      for verb in ("run head.gguf --output out --input", "run MODEL --task tokenize --output out --input",
                   "run MODEL --task embed --output out --input", "train --output out --input", "compare --out out --data")],
    ("train --output out --input null.jsonl", "null.jsonl: row 0"),
    ("train --output out --input one.jsonl", "one.jsonl: all rows have one label"),
    ("train --output out --input blank.jsonl", "blank.jsonl: no row has both a text and a label"),
    ("train --output out --input ok.jsonl --eval new.jsonl", "'never'"),
    ("train --output folder --input ok.jsonl", "folder: is a directory"),
    ("train --output none/out --input ok.jsonl", "none/out: cannot be written"),
    ("train --output out --input ok.jsonl --kind oracle", "oracle"),
    ("train --output out --input ok.jsonl --cost 0", "cost"),
    ("run MODEL --task sing hello", "sing: unknown task"),
    ("run MODEL --task generate hello", "is an encoder"),
    ("run MODEL --task classify hello", "needs a trained one to classify"),
    ("run head.gguf --task embed hello", "is a trained head"),
    ("run head.gguf --base MODEL hello", "leave --base out"),
    ("run MODEL --base MODEL hello", "leave --base out"),
    ("run MODEL --precision Q9 hello", "Q9"),
    ("run MODEL --activations q1 hello", "q1"),
    ("run MODEL", "--input"),
    ("run MODEL --input ok.jsonl --output none/out", "none/out"),
    ("run MODEL --input ok.jsonl --output folder", "folder"),
    ("run DECODER --task embed hello", "is a decoder"),
    ("run DECODER --task classify hello", "--labels"),
    ("run DECODER --task classify --labels a hello", "--labels"),
    ("run DECODER --task classify --labels a,c --examples ok.jsonl hello", "'b'"),
    ("run DECODER --temperature -1 hello", "--temperature"),
    ("run DECODER --beams 0 hello", "--beams"),
    ("run DECODER --beams 2 --temperature 1 hello", "beam search draws nothing"),
    ("run DECODER --beams 2 --stop x hello", "beam search ends"),
    ("run DECODER --early-stopping soon hello", "--early-stopping"),
    ("run DECODER --logit-bias 5 hello", "--logit-bias 5: write TOKEN=BIAS"),
    ("run DECODER --logit-bias 999999999=1 hello", "beyond the vocabulary"),
    ("run DECODER --repetition-penalty 0 hello", "--repetition-penalty"),
    ("run DECODER --mirostat 5 hello", "mirostat draws"),
    ("run DECODER --mirostat 5 --temperature 1 --top-k 40 hello", "mirostat itself chooses"),
    ("run DECODER --min-tokens 9 --max-tokens 4 hello", "at least 9 tokens and at most 4"),
    ("run DECODER --seed -2 hello", "--seed"),
    ("run DECODER --top-p 2 hello", "--top-p"),
    ("run DECODER --max-tokens 0 hello", "--max-tokens"),
    ("convert MODEL out --to Q9", "Q9"),
    ("convert MODEL out", "--to"),
    ("convert MODEL none/out --to Q8_0", "none/out"),
    ("convert MODEL folder --to Q8_0", "folder: is a directory"),
    ("convert MODEL out --to Q8_0 --calibrate none.txt", "none.txt"),
    ("convert head.gguf out --to Q8_0", "trained head"),
    ("inspect MODEL --tensor none", "none"),
    ("bench MODEL --input empty.jsonl", "empty.jsonl"),
    ("bench MODEL --precision Q9", "Q9"),
    ("bench MODEL --input ok.jsonl --batch 0", "--batch"),
    ("bench shape:bert-tiny@Q8_0 --input ok.jsonl --tokenizer none", "none"),
    ("bench kernels --html none/out.html", "none/out.html"),
    ("bench kernels --format Q9", "Q9"),
    ("bench head.gguf", "head.gguf"),
    *[(f"study {plan} --out out", plan) for plan in ("none.yaml", "empty.yaml", "noise.yaml", "list.yaml", "folder")],
    *[(f"{verb} {place}", place) for place in ("none", "folder", "noise.gguf") for verb in ("report", "advise --quality 0.9")],
    ("compare --data ok.jsonl --out out --text words", "--text"),
    ("compare --data ok.jsonl --out out --metric bleu", "bleu"),
    ("pull nothing", "nothing"),
    ("pull a/b/c", "a/b/c"),
    ("run none/model hello", "wattle pull none/model"),
    ("meter -- none-such-command", "none-such-command"),
    ("meter", "nothing to measure"),
    ("meter --zone NOWHERE -- true", "NOWHERE"),
    ("meter --json none/out -- true", "none/out"),
    ("meter --hourly none.csv -- true", "none.csv"),
    ("doctor --root none", "none"),
    ("completion fishy", "fishy"),
    ("sing", "sing: is no verb"),
    ("--threads 0 doctor", "--threads"),
    ("--threads 9999 doctor", "--threads"),
    ("--isa abacus run MODEL hello", "abacus"),
]


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        for name, content in FILES.items():
            (cls.dir / name).write_bytes(content)
        (cls.dir / "folder").mkdir()
        # An encoder with the vocabulary and pooling that sentence encoders come with.
        shutil.copytree(MODELS / "bert", cls.dir / "encoder")
        size = json.loads((cls.dir / "encoder/config.json").read_text())["vocab_size"]
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "word"]
        vocabulary += [f"word{i}" for i in range(size - len(vocabulary))]
        (cls.dir / "encoder/vocab.txt").write_text("\n".join(vocabulary) + "\n")
        (cls.dir / "encoder/1_Pooling").mkdir()
        (cls.dir / "encoder/1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
        cls.environment = dict(os.environ, XDG_CACHE_HOME=str(cls.dir / "cache"))
        cls.wattle("train", "--input", "ok.jsonl", "--output", "head.gguf")
        cls.files = cls.listing()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def wattle(cls, *arguments, **options):
        return subprocess.run([WATTLE, *arguments], cwd=cls.dir, env=cls.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120, **options)

    @classmethod
    def listing(cls):
        return sorted(str(path) for path in cls.dir.rglob("*") if "cache" not in path.parts)

    def tearDown(self):
        for name in set(self.listing()) - set(self.files):
            if os.path.isfile(name):
                os.unlink(name)

    def assert_refused(self, done, holds, status=2):
        said = done.stderr.decode("utf-8", "replace").strip()
        self.assertEqual(done.returncode, status, said)
        self.assertEqual(said.count("\n"), 0, said)
        self.assertTrue(said.startswith("wattle: "), said)
        self.assertIn(holds, said)
        self.assertLess(len(said), 700, said)

    def test_one_sentence_and_nothing_written(self):
        for line, holds in CASES:
            with self.subTest(line):
                words = [{"MODEL": "encoder", "DECODER": str(MODELS / "llama")}.get(word, word)
                         for word in line.split()]
                self.assert_refused(self.wattle("--quiet", *words), holds)
                self.assertEqual([f for f in self.listing() if f not in self.files and pathlib.Path(f).is_file()], [])

    def test_invalid_utf8_and_empty_and_long_texts_are_answered(self):
        rows = self.dir / "odd.jsonl"
        rows.write_bytes(b'{"id":1,"text":"hi \xff there"}\n{"id":2,"text":""}\n{"id":3,"text":"' + b"word " * 3000 + b'"}\n')
        done = self.wattle("run", "encoder", "--task", "embed", "--input", "odd.jsonl", "--output", "odd.out")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = done.stderr.decode()
        self.assertIn("1 row was not valid UTF-8", said)
        self.assertRegex(said, r"1 row was longer than the \d+ tokens .* id 3, has \d{4}")
        answers = [json.loads(line) for line in (self.dir / "odd.out").read_text().splitlines()]
        self.assertEqual([answer["id"] for answer in answers], [1, 2, 3])
        self.assertEqual([answer.get("truncated", False) for answer in answers], [False, False, True])

    def test_precision_leaves_nothing_behind(self):
        done = self.wattle("run", "encoder", "--precision", "Q8_0", "--task", "embed", "hello")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list((self.dir / "cache").rglob("*.gguf")), [])

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full here")
    def test_a_full_disk(self):
        done = self.wattle("--quiet", "run", "head.gguf", "--input", "ok.jsonl", preexec_fn=limit_file_size)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.wattle("--quiet", "run", "head.gguf", "--input", "ok.jsonl", "--output", "full.out",
                           preexec_fn=limit_file_size)
        self.assert_refused(done, "full.out")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([WATTLE, "-q", "run", "head.gguf", "--input", "ok.jsonl"], cwd=self.dir, stdout=full,
                                  stderr=subprocess.PIPE, timeout=120)
        self.assert_refused(done, "standard output")

    def test_interrupts(self):
        # What `run` keeps is resume_test.py's.
        rows = self.dir / "many.jsonl"
        rows.write_bytes(FILES["ok.jsonl"] * 20000)
        for arguments in (["train", "--on", "encoder", "--input", "many.jsonl", "--output", "stop.out"],
                          ["train", "--kind", "forest", "--trees", "10000", "--input", "many.jsonl", "--output", "stop.out"]):
            with self.subTest(arguments):
                process = subprocess.Popen([WATTLE, "-q", *arguments], cwd=self.dir, stderr=subprocess.PIPE)
                time.sleep(2)
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=60)[1].decode()
                self.assertEqual(process.returncode, 130, said)
                self.assertEqual(said.strip().count("\n"), 0, said)
                self.assertEqual(list(self.dir.glob("stop.out*")), [])

    def test_help_fits_80_columns(self):
        for verb in "run train convert inspect bench meter study report advise compare pull doctor completion".split():
            page = self.wattle(verb, "--help")
            self.assertEqual(page.returncode, 0)
            for line in page.stdout.decode().splitlines():
                self.assertLessEqual(len(line), 80, f"{verb}: {line}")


def limit_file_size():
    """Writing beyond 1,000 bytes of a file fails as on a full disk."""
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


if __name__ == "__main__":
    unittest.main()
