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

    def test_the_quota_of_a_container(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            (tree / "proc/self").mkdir(parents=True)
            (tree / "sys/fs/cgroup").mkdir(parents=True)
            (tree / "proc/cpuinfo").write_text("".join(f"processor\t: {i}\nvendor_id\t: GenuineIntel\nmodel name\t: X\n\n" for i in range(128)))
            (tree / "proc/self/cgroup").write_text("0::/\n")
            (tree / "proc/self/mountinfo").write_text("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
            (tree / "sys/fs/cgroup/cpu.max").write_text("200000 100000\n")
            doctor = [WATTLE, "doctor", "--seconds", "0.1", "--root", str(tree)]
            text = subprocess.run(doctor, capture_output=True, text=True, timeout=120, check=True).stdout
            self.assertRegex(text, r"quota +2 processors' worth of time \(/sys/fs/cgroup/cpu.max\)")
            report = json.loads(subprocess.run([*doctor, "--json"], capture_output=True, text=True, timeout=120, check=True).stdout)
            found = json.dumps(report)
            self.assertIn('"threads_usable": 2', found)
            self.assertIn('"quota": 2', found)

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
