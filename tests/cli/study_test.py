#!/usr/bin/env python3
"""Studies from end to end on tiny data: study, report, advise, compare, resuming after every kind of end."""
import csv
import json
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
PLAN = """name: tiny
data: {data}
text: message
label: kind
rounds: 3
window_seconds: 0.02
warm_up_seconds: 0.02
disturbance: 1
threads: 1
quality: 0.8
rungs:
  - kind: majority
  - kind: keywords
  - kind: linear
"""


def write_data(path, rows=240):
    rng = random.Random(1)
    words = {"good": "lovely great thanks fine happy".split(), "bad": "late lost broken rude never".split()}
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["message", "kind"])
        for i in range(rows):
            kind = "bad" if rng.random() < 0.6 else "good"
            text = rng.choices(words[kind], k=3) + rng.choices("the flight was a plane to seat".split(), k=rng.randint(3, 9))
            out.writerow([f"{' '.join(text)}, \"row\" {i}", kind])


class StudyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        write_data(self.dir / "data.csv")
        self.plan = self.write_plan(PLAN)
        self.out = self.dir / "out"

    def tearDown(self):
        self.folder.cleanup()

    def write_plan(self, text, name="plan.yaml"):
        path = self.dir / name
        path.write_text(text.replace("{data}", str(self.dir / "data.csv")), encoding="utf-8")
        return path

    def run_wattle(self, *arguments, status=0):
        done = subprocess.run([WATTLE, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=self.dir)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status == 2:
            self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
        return done

    def study(self, status=0, plan=None):
        return self.run_wattle("study", plan or self.plan, "--out", self.out, status=status)

    def windows(self):
        with sqlite3.connect(self.out / "study.db") as database:
            return database.execute("SELECT cell, round FROM windows WHERE kind = 'queries' AND accepted AND cell <> 'empty'").fetchall()

    def assert_each_window_once(self, rounds=3):
        windows = self.windows()
        self.assertEqual(len(windows), len(set(windows)))
        self.assertEqual(len(windows), 3 * rounds)

    def test_study_report_advise(self):
        done = self.study()
        self.assertIn("linear", done.stdout)
        self.assertIn("report.html", done.stdout)
        self.assert_each_window_once()
        cells = json.loads(self.run_wattle("report", self.out, "--json").stdout)
        self.assertEqual([cell["rung"] for cell in cells], ["majority", "keywords", "linear"])
        quality = [cell["quality"]["value"] for cell in cells]
        self.assertLess(quality[0], 0.75)
        self.assertGreater(quality[2], 0.95)
        for cell in cells:
            self.assertEqual(cell["n"], cells[0]["n"])
            self.assertGreater(cell["wh_per_1000"]["low"], 0)
            self.assertLessEqual(cell["wh_per_1000"]["low"], cell["wh_per_1000"]["value"])
            self.assertGreaterEqual(cell["latency_ms"]["p95"], cell["latency_ms"]["p50"])
            self.assertGreater(cell["load_wh"], 0)
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)
        self.assertEqual(len(list(csv.DictReader(self.run_wattle("report", self.out, "--csv").stdout.splitlines()))), 3)
        self.run_wattle("report", self.out, "--html", self.dir / "page.html")
        self.assertIn("<!DOCTYPE html>", (self.dir / "page.html").read_text(encoding="utf-8"))
        advice = json.loads(self.run_wattle("advise", self.out, "--quality", "0.8", "--json").stdout)
        self.assertIn(advice["choice"]["rung"], ("keywords", "linear"))
        self.assertIn("No cell reaches", self.run_wattle("advise", self.out, "--quality", "1", "--p95", "0.000001ms").stdout)
        self.run_wattle("advise", self.out, "--metric", "macro_f1", "--drop", "0.05")
        self.run_wattle("advise", self.out, "--quality", "0.8", "--memory", "2", status=2)

    def test_verify_finds_a_changed_sample(self):
        self.study()
        with sqlite3.connect(self.out / "study.db") as database:
            database.execute("UPDATE windows SET energy = json_set(energy, '$.joules', (json_extract(energy, '$.joules') + json_extract(energy, '$.high')) / 2) WHERE kind = 'queries'")
        done = subprocess.run([WATTLE, "report", self.out, "--verify"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("wh_per_1000", done.stderr)
        self.assertIn("linear, queries window 1: joules is kept as", done.stderr)

    def test_verify_finds_changed_and_missing_raw_samples(self):
        self.study()
        for change, words in (("readings = replace(readings, '\"busy_seconds\":', '\"busy_seconds\":1')", "SHA-256 differs"),
                              ("readings = ''", "has no raw samples")):
            with sqlite3.connect(self.out / "study.db") as database:
                kept = database.execute("SELECT id, readings FROM windows WHERE kind = 'queries' LIMIT 1").fetchone()
                database.execute(f"UPDATE windows SET {change} WHERE id = ?", (kept[0],))
            done = subprocess.run([WATTLE, "report", self.out, "--verify"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)
            self.assertIn("1 windows do not follow from their raw samples and 0 published figures", done.stderr)
            with sqlite3.connect(self.out / "study.db") as database:
                database.execute("UPDATE windows SET readings = ? WHERE id = ?", (kept[1], kept[0]))
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)

    def end_half_way(self, end):
        process = subprocess.Popen([WATTLE, "study", self.plan, "--out", self.out], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(6000):
            time.sleep(0.005)
            if (self.out / "study.db").exists():
                try:
                    if len(self.windows()) >= 2:
                        break
                except sqlite3.Error:
                    pass
        process.send_signal(end)
        status = process.wait(timeout=60)
        self.assertLess(len(self.windows()), 9, "the study was over before it could be ended")
        return status

    def test_resumes_after_kill(self):
        self.end_half_way(signal.SIGKILL)
        before = self.windows()
        self.study()
        self.assertEqual(self.windows()[:len(before)], before)
        self.assert_each_window_once()
        self.run_wattle("report", self.out, "--verify")

    def test_resumes_after_interrupt(self):
        self.assertEqual(self.end_half_way(signal.SIGINT), 130)
        self.run_wattle("report", self.out)
        self.study()
        self.assert_each_window_once()
        self.study()  # nothing left to do
        self.assert_each_window_once()

    def test_a_changed_plan_needs_a_new_start(self):
        self.study()
        changed = self.write_plan(PLAN.replace("rounds: 3", "rounds: 2"), "changed.yaml")
        self.assertIn("another plan", self.study(status=2, plan=changed).stderr)
        self.run_wattle("study", changed, "--out", self.out, "--restart")
        self.assert_each_window_once(rounds=2)

    def test_a_cell_that_fails_is_recorded_and_the_study_goes_on(self):
        (self.dir / "cut.gguf").write_bytes(b"GGUF\3\0\0\0")
        plan = self.write_plan(PLAN + f"  - {{kind: zero-shot, model: {self.dir}/cut.gguf, prompt: 'Kind? {{text}}'}}\n"
                                      f"  - {{kind: head, model: {self.dir}/none, precisions: [F32, Q8_0]}}\n")
        done = self.study(plan=plan)
        self.assertIn("failed:", done.stdout)
        self.assert_each_window_once()
        cells = json.loads(self.run_wattle("report", self.out, "--json").stdout)
        self.assertEqual([cell["wh_per_1000"] is None for cell in cells], [False] * 3 + [True] * 3)

    def test_bad_input(self):
        self.assertIn("plan.yaml:5: ", self.study(status=2, plan=self.write_plan(PLAN.replace("rounds: 3", "rounds: x"))).stderr)
        self.assertIn("sort", self.study(status=2, plan=self.write_plan(PLAN.replace("label: kind", "label: sort"))).stderr)
        self.run_wattle("study", self.dir / "none.yaml", status=2)
        self.run_wattle("report", self.dir, status=2)
        (self.dir / "study.db").write_text("no database")
        self.run_wattle("report", self.dir, status=2)
        self.run_wattle("study", self.write_plan(PLAN), "--out", "/proc/none", status=2)

    def test_programs_answer_a_task_of_numbers(self):
        rows = [("a cat sits", "a cat is sitting", 4.8), ("a cat sits", "stocks fell", 0.2), ("it rains", "it rains now", 5),
                ("he plays guitar", "he plays an instrument", 3.9), ("the sky is blue", "dinner", 0.1), ("dogs bark", "dogs bark loudly", 3.5)]
        (self.dir / "pairs.jsonl").write_text("".join(json.dumps(dict(zip(("text", "pair", "score"), row))) + "\n" for row in rows))
        (self.dir / "words.py").write_text("""import json, sys
print('{"ready": true}', flush=True)
for line in sys.stdin:
    question = json.loads(line)
    a, b = (set(question[key].split()) for key in ("text", "text_pair"))
    print(json.dumps({"score": 5 * len(a & b) / len(a | b)}), flush=True)
""")
        head = PLAN[:PLAN.index("data:")] + PLAN[PLAN.index("rounds:"):PLAN.index("quality:")]
        plan = self.write_plan(head + f"""data: {self.dir}/pairs.jsonl
task: similarity
metric: [rmse, spearman]
quality: 2
rungs:
  - {{kind: command, name: words, command: [{sys.executable}, {self.dir}/words.py]}}
  - {{kind: command, name: nothing, command: [sh, -c, 'echo "{{\\"ready\\": true}}"; while read -r line; do echo "{{\\"score\\": 0}}"; done']}}
  - {{kind: command, name: broken, command: [sh, -c, 'exit 3']}}
""")
        done = self.study(plan=plan)
        self.assertIn("rmse: smaller is better", done.stdout)
        self.assertIn("broken failed:", done.stdout)
        self.assertIn("The measuring itself:", done.stdout)
        words, nothing, broken = json.loads(self.run_wattle("report", self.out, "--json").stdout)
        self.assertIsNone(broken["quality"])
        self.assertEqual((words["quality"]["metric"], words["quality"]["greater_is_better"], words["quality"]["range"]), ("rmse", False, "0 and more"))
        self.assertAlmostEqual(nothing["quality"]["value"], (sum(row[2] ** 2 for row in rows) / 6) ** 0.5)
        self.assertGreater(words["metrics"]["spearman"]["value"], 0.7)
        self.assertEqual(nothing["metrics"]["spearman"]["value"], 0)
        self.assertGreater(words["asking_wh_per_1000"]["value"], 0)
        self.assertLess(words["asking_wh_per_1000"]["value"], words["wh_per_1000"]["value"])
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)
        self.assertIn("take words", self.run_wattle("advise", self.out).stdout)
        self.assertIn("spearman of at least", self.run_wattle("advise", self.out, "--metric", "spearman", "--quality", "0.5").stdout)
        line = next(csv.DictReader(self.run_wattle("report", self.out, "--csv").stdout.splitlines()))
        self.assertAlmostEqual(float(line["spearman"]), words["metrics"]["spearman"]["value"], 6)
        page = self.dir / "page.html"
        self.run_wattle("report", self.out, "--html", page)
        self.assertIn("smaller is better", page.read_text(encoding="utf-8"))

    def write_hidden_rule(self):
        """Rows whose label is a checksum's parity, which no words tell but for 4 rows in 10; a program that knows it."""
        rng = random.Random(7)
        (self.dir / "folder").mkdir()
        for part, count in (("train", 900), ("eval", 300)):
            with open(self.dir / "folder" / f"{part}.csv", "w", newline="", encoding="utf-8") as file:
                out = csv.writer(file)
                out.writerow(["message", "kind"])
                for _ in range(count):
                    word = rng.choice(["lovely", "broken"]) if rng.random() < 0.4 else "plain"
                    while True:
                        text = " ".join([word] + ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(6)])
                        kind = ("good", "bad")[zlib.crc32(text.encode()) % 2]
                        if word == "plain" or (word == "lovely") == (kind == "good"):
                            break
                    out.writerow([text, kind])
        (self.dir / "rule.py").write_text("""import json, sys, zlib
print('{"ready": true}', flush=True)
for line in sys.stdin:
    checksum = zlib.crc32(json.loads(line)["text"].encode())
    sum(i * i for i in range(20000))
    print(json.dumps({"label": ("good", "bad")[(checksum % 2) ^ (checksum % 40 == 0)]}), flush=True)
""")

    def test_a_cascade_hands_on_although_its_first_stage_knows_its_training_rows_by_heart(self):
        self.write_hidden_rule()
        head = PLAN[:PLAN.index("rungs:")].replace("{data}", str(self.dir / "folder"))
        by_heart = head.replace(str(self.dir / "folder"), f"{{train: {self.dir}/folder/train.csv, eval: {self.dir}/folder/train.csv}}")
        self.study(plan=self.write_plan(by_heart + "rungs: [{kind: linear}]\n", "by_heart.yaml"))
        self.assertGreater(json.loads(self.run_wattle("report", self.out, "--json").stdout)[0]["quality"]["value"], 0.99)
        self.out = self.dir / "cascade"
        plan = self.write_plan(head + f"""rungs:
  - {{kind: linear}}
  - {{kind: command, name: rule, command: [{sys.executable}, {self.dir}/rule.py]}}
  - {{kind: cascade, stages: [linear, rule], target: 0.99}}
""")
        self.study(plan=plan)
        linear, rule, cascade = json.loads(self.run_wattle("report", self.out, "--json").stdout)
        self.assertLess(linear["quality"]["value"], 0.85)
        self.assertGreater(cascade["quality"]["value"], rule["quality"]["value"] - 0.02)
        self.assertLess(cascade["wh_per_1000"]["value"], rule["wh_per_1000"]["value"])

        def windows():
            with sqlite3.connect(self.out / "study.db") as database:
                note = database.execute("SELECT note FROM cells WHERE kind = 'cascade'").fetchone()[0]
                return note, database.execute("SELECT windows.kind, round, json_extract(energy, '$.joules') FROM windows JOIN cells ON cell = key "
                                              "WHERE cells.kind = 'cascade' AND windows.kind NOT IN ('load', 'queries') ORDER BY windows.kind, round").fetchall()
        note, prepared = windows()
        share = float(note.split("of 180 training rows held out ")[1].split(" %")[0])
        self.assertTrue(30 < share < 90, note)
        # Both trainings of the linear stage; opening the cascade and choosing its threshold.
        self.assertEqual([line[:2] for line in prepared], [("threshold", 0), ("threshold", 1), ("train", 0), ("train", 1)])
        self.assertAlmostEqual(cascade["preparation_wh"]["value"] * 3600 / sum(line[2] for line in prepared), 1, 6)
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)
        # What was chosen stays: nothing is asked again, even where everything is measured again.
        files = {path: path.stat().st_mtime_ns for path in (self.out / "prepared").iterdir()}
        self.study(plan=plan)
        self.assertEqual(windows(), (note, prepared))
        self.run_wattle("study", plan, "--out", self.out, "--restart")
        self.assertEqual(windows(), (note, prepared))
        self.assertEqual({path: path.stat().st_mtime_ns for path in (self.out / "prepared").iterdir()}, files)

    def table_study(self, task):
        """Adults by age and trade, on majority, linear, forest and a program that reads `cells`."""
        rng = random.Random(3)
        with open(self.dir / "table.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            told = "pay" if "score" in task else "income"
            out.writerow(["age", "trade", told])
            for _ in range(400):
                age, trade = rng.randint(18, 70), rng.choice(["baker", "", "pilot"])
                pay = 10 * age + (500 if trade == "pilot" else 0) + rng.gauss(0, 20)
                out.writerow([age, trade, f"{pay:.1f}" if told == "pay" else "high" if pay > 600 else "low"])
        (self.dir / "cells.py").write_text("""import json, sys
print('{"ready": true}', flush=True)
for line in sys.stdin:
    cells = json.loads(line)["cells"]
    pay = 10 * cells[0] + (500 if cells[1] == "pilot" else 0)
    print(json.dumps({"score": pay} if sys.argv[1] == "score" else {"label": "high" if pay > 600 else "low"}), flush=True)
""")
        kind = "score" if "score" in task else "label"
        head = PLAN[:PLAN.index("data:")] + PLAN[PLAN.index("rounds:"):PLAN.index("quality:")]
        return self.write_plan(head + f"""data: {self.dir}/table.csv
task: table
{task}
rungs:
  - kind: majority
  - kind: linear
  - kind: forest
  - {{kind: command, name: rule, command: [{sys.executable}, {self.dir}/cells.py, {kind}]}}
""")

    def test_a_table_of_classes(self):
        plan = self.table_study("fields: {label: income}\nmetric: [accuracy, macro_f1]\nquality: 0.8")
        self.study(plan=plan)
        cells = {cell["rung"]: cell for cell in json.loads(self.run_wattle("report", self.out, "--json").stdout)}
        self.assertEqual({cell["n"] for cell in cells.values()}, {cells["rule"]["n"]})
        self.assertLess(cells["majority"]["quality"]["value"], 0.75)
        for kind in ("linear", "forest", "rule"):
            self.assertGreater(cells[kind]["quality"]["value"], 0.85)
            self.assertGreater(cells[kind]["metrics"]["macro_f1"]["value"], 0.85)
        with sqlite3.connect(self.out / "study.db") as database:
            self.assertEqual(database.execute("SELECT count(*) FROM windows WHERE kind = 'train'").fetchone()[0], 3)
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)
        before = self.windows()
        self.study(plan=plan)
        self.assertEqual(self.windows(), before)

    def test_a_table_of_numbers(self):
        plan = self.table_study("fields: {score: pay}\nmetric: [rmse, r2]")
        done = self.study(plan=plan)
        self.assertIn("rmse: smaller is better", done.stdout)
        cells = {cell["rung"]: cell for cell in json.loads(self.run_wattle("report", self.out, "--json").stdout)}
        self.assertGreater(cells["majority"]["quality"]["value"], 200)
        self.assertLess(cells["rule"]["quality"]["value"], 30)
        for kind in ("linear", "forest"):
            self.assertLess(cells[kind]["quality"]["value"], 60)
            self.assertGreater(cells[kind]["metrics"]["r2"]["value"], 0.9)
        self.assertIn("follow from their", self.run_wattle("report", self.out, "--verify").stdout)

    def test_a_cascade_chooses_its_threshold_on_training_rows(self):
        plan = self.write_plan(PLAN.replace("rungs:\n", "rungs:\n  - {kind: cascade, stages: [keywords, linear]}\n"))
        self.study(plan=plan)
        cells = json.loads(self.run_wattle("report", self.out, "--json").stdout)
        self.assertEqual(cells[0]["rung"], "cascade")
        self.assertGreater(cells[0]["quality"]["value"], 0.9)
        with sqlite3.connect(self.out / "study.db") as database:
            note = database.execute("SELECT note FROM cells WHERE rung = 'cascade'").fetchone()[0]
        self.assertIn("hands on where the margin is below", note)

    def test_compare_writes_a_plan(self):
        self.run_wattle("compare", "--data", self.dir / "data.csv", "--text", "message", "--label", "kind", "--plan-only",
                        "--out", self.out)
        plan = (self.out / "plan.yaml").read_text(encoding="utf-8")
        for kind in ("majority", "keywords", "linear", "forest"):
            self.assertIn(f"kind: {kind}", plan)


if __name__ == "__main__":
    unittest.main()
