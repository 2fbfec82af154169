#!/usr/bin/env python3
"""The plans, recipes and figures of "Power Hungry Processing" are what their scripts write."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"
sys.argv.pop(1)


def differences(folder, committed):
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    there = {path.name: path.read_bytes() for path in committed.iterdir()}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


class GeneratedFilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def make(self, script, *arguments):
        subprocess.run([sys.executable, ROOT / "tools" / script, *arguments], check=True, stdout=subprocess.DEVNULL)

    def test_plans(self):
        self.make("make_paper_plans.py", self.dir)
        self.assertEqual(differences(self.dir, ROOT / "examples" / "plans" / "power-hungry"), [])

    def test_recipes(self):
        if not (SHARED / "data").exists():
            self.skipTest("the shared data sets are not here")
        self.make("make_recipes.py", SHARED / "data", self.dir)
        self.assertEqual(differences(self.dir, ROOT / "data" / "recipes"), [])

    def test_figures(self):
        if not (SHARED / "paper").exists():
            self.skipTest("the paper's raw results are not here")
        self.make("make_power_hungry.py", SHARED / "paper", self.dir / "power_hungry.csv")
        self.assertEqual((self.dir / "power_hungry.csv").read_bytes(), (ROOT / "data" / "power_hungry.csv").read_bytes())


if __name__ == "__main__":
    unittest.main()
