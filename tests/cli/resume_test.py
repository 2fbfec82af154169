#!/usr/bin/env python3
"""A long `wattle run` that ends before its time: what is kept, and that the same command goes on from there."""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
# What a second run of the same rows measures anew.
MEASURED = ("energy_joules", "energy_low", "energy_high", "energy_phases", "seconds")


def make_encoder(folder):
    shutil.copytree(MODELS / "bert", folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "word"]
    (folder / "vocab.txt").write_text("\n".join(words + [f"word{i}" for i in range(size - len(words))]) + "\n")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')


class ResumeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        make_encoder(cls.dir / "encoder")
        cls.environment = dict(os.environ, XDG_CACHE_HOME=str(cls.dir / "cache"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        for path in self.dir.glob("out*"):
            path.unlink()

    def command(self, *more, output="out.jsonl"):
        return [WATTLE, "run", "encoder", "--task", "embed", "--meter", "model", "--input", "rows.jsonl", "--output", output, *more]

    def run_wattle(self, *arguments, status=0, holds="", output="out.jsonl", **options):
        done = subprocess.run(self.command(*arguments, output=output), cwd=self.dir, env=self.environment, capture_output=True, text=True,
                              timeout=300, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(holds, done.stderr)
        if status:
            self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
        return done

    def write_rows(self, rows):
        (self.dir / "rows.jsonl").write_text(
            "".join(json.dumps({"id": i, "text": f"hello word{i % 40} word{i % 7}"}) + "\n" for i in range(rows)))

    def record(self):
        try:
            return json.loads((self.dir / "out.jsonl.partial.json").read_text())
        except FileNotFoundError:
            return {"state": None}

    def until_kept(self, process, more_than=-1):
        """Waits until the run has kept more rows than that: how many it has then, None when it was over before."""
        while process.poll() is None:
            state = self.record()["state"]
            if state is not None and state["rows"] > more_than:
                return state["rows"]
            time.sleep(0.01)
        return None

    def started(self):
        """A run that has kept some rows and still has most before it, and how many rows it was given."""
        rows = 4000
        while True:
            self.write_rows(rows)
            process = subprocess.Popen(self.command(), cwd=self.dir, env=self.environment, stderr=subprocess.PIPE, text=True)
            kept = self.until_kept(process)
            if kept is not None and kept < rows / 2:
                return process, rows
            process.wait()
            self.assertEqual(process.returncode, 0, process.communicate()[1])
            (self.dir / "out.jsonl").unlink()
            rows *= 4

    def interrupted(self):
        """Such a run after Ctrl-C: the number of its rows, and what it said."""
        process, rows = self.started()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 130, said)
        self.assertFalse((self.dir / "out.jsonl").exists())
        return rows, said

    def answers(self, path="out.jsonl"):
        return [json.loads(line) for line in (self.dir / path).read_text().splitlines()]

    def assert_whole(self, rows):
        """All rows in order, each once, with the bytes that a run without a break gives."""
        answers = self.answers()
        self.assertEqual([answer["id"] for answer in answers], list(range(rows)))
        self.assertEqual(list(self.dir.glob("*.partial*")), [])
        self.run_wattle("--batch", "32", output="out.whole")
        for resumed, direct in zip(answers, self.answers("out.whole")):
            for key in MEASURED:
                self.assertIn(key, resumed)
                resumed.pop(key), direct.pop(key)
            self.assertEqual(resumed, direct)

    def test_after_interrupt_and_kill(self):
        rows, said = self.interrupted()
        kept = self.record()["state"]["rows"]
        self.assertIn(f"interrupted after {kept} of {rows} rows; they are kept in out.jsonl.partial", said)
        self.assertEqual([answer["id"] for answer in self.answers("out.jsonl.partial")], list(range(kept)))
        # The second run goes on and is killed as soon as it can be: a crash may leave half a line.
        process = subprocess.Popen(self.command("--quiet"), cwd=self.dir, env=self.environment)
        self.until_kept(process, more_than=kept // 2)
        process.kill()
        process.wait()
        self.assertFalse((self.dir / "out.jsonl").exists())
        kept = self.record()["state"]["rows"]
        with open(self.dir / "out.jsonl.partial", "a", encoding="utf-8") as file:
            file.write('{"id": 1, "embed')
        done = self.run_wattle("--json", holds=f"{kept} of {rows} rows were finished by an earlier run")
        summary = json.loads(done.stdout)
        self.assertEqual(summary["rows"], rows)
        answers = self.answers()
        self.assertAlmostEqual(sum(answer["energy_joules"] for answer in answers) / summary["energy"]["joules"], 1, places=6)
        self.assertEqual(summary["tokens_in"], 5 * rows)
        self.assert_whole(rows)

    def test_other_work_is_refused(self):
        self.interrupted()
        before = (self.dir / "out.jsonl.partial").read_bytes()
        self.run_wattle("--activations", "w8a8", status=2, holds="out.jsonl.partial: holds rows of another run (another set of options)")
        self.run_wattle("--isa", "portable", status=2, holds="(another program)")
        text = (self.dir / "rows.jsonl").read_text()
        (self.dir / "rows.jsonl").write_text(text.replace("word3", "word4", 1))
        self.run_wattle(status=2, holds="(another input)")
        (self.dir / "rows.jsonl").write_text(text)
        config = self.dir / "encoder/config.json"
        facts = config.stat()
        os.utime(config, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
        self.run_wattle(status=2, holds="(another model); remove out.jsonl.partial.json and it")
        os.utime(config, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        self.assertEqual((self.dir / "out.jsonl.partial").read_bytes(), before)
        record = (self.dir / "out.jsonl.partial.json").read_text()
        for damaged in ("", "{}", "[]", record[:len(record) // 2], record.replace('"seconds"', '"weeks"'),
                        record.replace('"bytes": ', '"bytes": 9')):
            (self.dir / "out.jsonl.partial.json").write_text(damaged)
            self.run_wattle(status=2, holds="out.jsonl.partial")
        (self.dir / "out.jsonl.partial.json").unlink()
        self.run_wattle(status=2, holds="out.jsonl.partial: is there, and not from a run that can go on")
        self.assertEqual((self.dir / "out.jsonl.partial").read_bytes(), before)

    def test_one_process_at_a_time(self):
        process, _ = self.started()
        self.run_wattle(status=2, holds="another run is writing it")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)

    def test_rows_before_an_error_are_kept(self):
        """A full disk in the middle: what was kept goes on when there is room."""
        rows, _ = self.interrupted()
        size = (self.dir / "out.jsonl.partial").stat().st_size + 2000

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        done = self.run_wattle("--quiet", status=2, holds="writing failed", preexec_fn=limit)
        self.assertIn("they are kept in out.jsonl.partial", done.stderr)
        self.run_wattle("--quiet")
        self.assert_whole(rows)

    def test_nothing_is_left_of_a_run_without_finished_rows(self):
        self.write_rows(10)
        with open(self.dir / "rows.jsonl", "a", encoding="utf-8") as file:
            file.write('{"id": 10}\n')
        self.run_wattle(status=2, holds="rows.jsonl: row 10")
        self.assertEqual(list(self.dir.glob("out*")), [])


if __name__ == "__main__":
    unittest.main()
