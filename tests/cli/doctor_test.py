#!/usr/bin/env python3
"""`wattle doctor` and `wattle meter` on simulated machines: which figure is counted, and why each other one is not."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())
TREES = pathlib.Path(__file__).resolve().parents[2] / "bench" / "simulated_tree.py"


class DoctorTest(unittest.TestCase):
    def on_tree(self, kind, verb, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder) / kind
            with subprocess.Popen([sys.executable, str(TREES), kind, str(tree), "60"], stdout=subprocess.PIPE) as writer:
                writer.stdout.readline()
                try:
                    return subprocess.run([WATTLE, verb, "--root", str(tree), *arguments], capture_output=True, text=True,
                                          timeout=120, check=True).stdout
                finally:
                    writer.terminate()

    def zones(self, kind):
        report = json.loads(self.on_tree(kind, "doctor", "--json", "--seconds", "0.3"))
        zones = {zone["name"]: zone for source in report["sources"] for zone in source["zones"]}
        return report, zones

    def test_nested_meters_of_grace(self):
        report, zones = self.zones("grace")
        self.assertEqual((report["used"], report["scope"]), ("acpi-power-meter", "module"))
        counted = [name for name, zone in zones.items() if zone["counted"]]
        self.assertEqual(counted, ["Module Power Socket 0"])
        self.assertEqual(zones["CPU Power Socket 0"]["left_out"], "inside Module Power Socket 0, which is counted")
        text = self.on_tree("grace", "doctor", "--seconds", "0.3")
        self.assertIn("[left out: inside Module Power Socket 0, which is counted]", text)

    def test_a_board_of_xe_beside_rapl(self):
        report, zones = self.zones("xe")
        self.assertEqual((report["used"], report["scope"]), ("rapl-powercap+gpu-hwmon", "package+dram+gpu"))
        self.assertEqual(zones["gpu 0000:04:00.0 package"]["left_out"], "a part of its card, which is counted")

    def test_apples_total(self):
        report, zones = self.zones("apple")
        self.assertEqual((report["used"], report["scope"]), ("apple-smc", "system"))
        self.assertIn("charging", zones["AC Input Power"]["left_out"])
        self.assertIn("losses of the power supply", " ".join(report["cannot"]))

    def test_mirrored_dies_that_stand_apart(self):
        _, zones = self.zones("mirrored-apart")
        self.assertTrue(zones["package-0-die-0"]["counted"])
        self.assertIn("mirrors package-0-die-0", zones["package-0-die-1"]["left_out"])


if __name__ == "__main__":
    unittest.main()
