#!/usr/bin/env python3
"""`wattle meter` with programs and meters that go wrong: what is said, the exit status, the figure that remains."""
import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

WATTLE = str(pathlib.Path(sys.argv.pop(1)).resolve())


class MeterTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def wattle(self, *arguments):
        return subprocess.run([WATTLE, "meter", "--idle", "0", *arguments], cwd=self.dir, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, check=False)

    def on_tree(self, kind, *arguments):
        """The meter on a simulated machine whose counters move."""
        script = pathlib.Path(__file__).resolve().parents[2] / "bench" / "simulated_tree.py"
        tree = self.dir / kind
        with subprocess.Popen([sys.executable, str(script), kind, str(tree), "60"], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            try:
                return self.wattle("--root", str(tree), *arguments)
            finally:
                writer.terminate()

    def rounds(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def assert_refused(self, done, status, *holds):
        lines = [line for line in done.stderr.splitlines() if "modelled" not in line]
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(lines), 1, done.stderr)
        for text in holds:
            self.assertIn(text, lines[0])

    def test_programs_that_end_badly(self):
        self.assert_refused(self.wattle("--", "no-such-program"), 2, "no-such-program", "cannot be started",
                            "No such file or directory")
        for command, status, said in (("kill -9 $$", 137, "killed by signal 9"), ("exit 7", 7, "exit status 7")):
            done = self.wattle("--runs", "5", "--", "sh", "-c", command)
            self.assertEqual(done.returncode, status)  # the command's own, as a shell has it
            self.assertIn(said, done.stderr)
            self.assertIn("energy ", done.stdout)  # the report is there all the same
            self.assertIn(", 1 run", done.stdout)
        done = self.wattle("--ignore-failure", "--json", "-", "--", "sh", "-c", "kill -9 $$")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("killed by signal 9", done.stderr)
        self.assertGreater(json.loads(done.stdout)["commands"][0]["energy"]["joules"], 0)

    def test_daemons_are_said(self):
        done = self.wattle("--", "sh", "-c", "(setsid sleep 1 &)")
        self.assertEqual(done.returncode, 0)
        self.assertIn("left a process running in the background (", done.stderr)
        self.assertIn("until the command's end", done.stderr)

    def commands(self, *arguments, **more):
        done = subprocess.run([WATTLE, "--quiet", "meter", "--idle", "0", "--source", "model", "--json", "-", *arguments],
                              cwd=self.dir, capture_output=True, text=True, timeout=120, check=False, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_what_is_one_command_and_what_are_several(self):
        nothing = {"stdin": subprocess.DEVNULL}
        one = self.commands("--", "sh", "-c", "test \"$2\" = --; exit $?", "x", "a", "--", "b", **nothing)
        self.assertEqual([entry["command"] for entry in one["commands"]], ['sh -c test "$2" = --; exit $? x a -- b'])
        two = self.commands("--runs", "3", "--", "sleep", "0.01", "--vs", "sleep", "0.2", **nothing)
        self.assertEqual([entry["command"] for entry in two["commands"]], ["sleep 0.01", "sleep 0.2"])
        self.assertEqual([run["round"] for run in two["commands"][1]["runs"]], [0, 1, 2])
        self.assertEqual(two["comparisons"][0]["command"], "sleep 0.2")
        self.assertGreater(two["comparisons"][0]["low"], 2)
        lines = self.commands("--command", "sleep 0.01", "--command", "true; sleep 0.01", "--runs", "2", **nothing)
        self.assertEqual(len(lines["commands"]), 2)
        self.assertIsNone(lines["comparisons"][0]["low"])  # two rounds tell nothing

    def test_standard_input_goes_to_every_run(self):
        counts = "test \"$(wc -l)\" = 3"
        self.commands("--runs", "3", "--command", counts, "--command", "cat | " + counts, input="a\nb\nc\n")
        path = self.dir / "three.txt"
        path.write_text("a\nb\nc\n")
        with path.open() as file:
            self.commands("--runs", "3", "--", "sh", "-c", counts, stdin=file)

    def test_signals_are_passed_on_and_end_with_a_report(self):
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            with subprocess.Popen([WATTLE, "meter", "--idle", "0", "--source", "model", "--runs", "5", "--", "sh", "-c", "sleep 60"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as meter:
                time.sleep(1.5)
                meter.send_signal(getattr(signal, name))
                out, err = meter.communicate(timeout=60)
            self.assertEqual(meter.returncode, 128 + getattr(signal, name), err)
            self.assertIn("energy ", out)
            self.assertIn(", 1 run", out)
            self.assertIn("was passed on and ended the measurement", err)

    def test_emissions_are_appended_to_their_like_alone(self):
        for rows in (2, 3, 4):
            done = self.wattle("--emissions", "emissions.csv", "--", "true")
            self.assertEqual(done.returncode, 0, done.stderr)
            with (self.dir / "emissions.csv").open() as file:
                self.assertEqual(len(list(csv.reader(file))), rows)
        other = self.dir / "other.csv"
        other.write_text("a,b\n1,2\n")
        self.assert_refused(self.wattle("--emissions", str(other), "--", "true"), 2, "other.csv", "other columns")
        self.assertEqual(other.read_text(), "a,b\n1,2\n")

    def test_net_energy_and_carbon_have_intervals(self):
        flags = ["--source", "model", "--zone", "FRA", "--pue", "1.5"]
        done = self.wattle(*flags, "--json", "-", "--", "sleep", "0.2")
        self.assertEqual(done.returncode, 0, done.stderr)
        (entry,) = json.loads(done.stdout)["commands"]
        energy, net, consequences = entry["energy"], entry["net"], entry["consequences"]
        self.assertAlmostEqual(net["joules"], energy["joules"] - energy["idle_joules"])
        self.assertLess(net["low"], net["joules"])
        self.assertGreater(net["high"], net["joules"])
        for end in ("low", "high"):
            ratio = consequences[f"grams_co2e_{end}"] / consequences["grams_co2e"]
            self.assertAlmostEqual(ratio, energy[end] / energy["joules"], 9)
        text = self.wattle(*flags, "--", "sleep", "0.2").stdout
        self.assertRegex(text, r"net of idle \(-?[0-9.e+-]+ to [0-9.e+-]+\)")
        self.assertRegex(text, r"g CO2e \([0-9.e+-]+ to [0-9.e+-]+\) = ")

    def test_what_runs_already(self):
        script = "import time\nend = time.time() + 30\nwhile time.time() < end: pass"
        with subprocess.Popen([sys.executable, "-c", script]) as busy:
            done = self.wattle("--source", "model", "--json", "-", "--pid", str(busy.pid), "--for", "1.5")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertGreater(found["busy_seconds"], 0.1)
            self.assertEqual(found["energy"]["grade"], "modelled")
            self.assertLess(found["energy"]["joules"], found["machine"]["joules"])
            busy.kill()
        gone = self.wattle("--source", "model", "--pid", str(2**30 - 1), "--for", "1")
        self.assert_refused(gone, 2, "there is no such process")
        self.assert_refused(self.wattle("--source", "model", "--cgroup", "no/such", "--for", "1"), 2, "no such control group")

    def test_a_control_group_that_runs_already(self):
        """On a machine of one processor that is busy three quarters of the time, a third of it for the group."""
        tree = self.dir / "plain"
        group = tree / "sys/fs/cgroup/box"
        group.mkdir(parents=True)
        (tree / "proc").mkdir()
        over = threading.Event()

        def renew():
            begin = time.monotonic()
            while not over.wait(0.02):
                seconds = time.monotonic() - begin
                for path, text in ((tree / "proc/stat", f"cpu  {int(75 * seconds)} 0 0 {int(25 * seconds)} 0 0 0 0 0 0\n"),
                                   (group / "cpu.stat", f"usage_usec {int(250000 * seconds)}\n")):
                    path.with_suffix(".ours").write_text(text)
                    path.with_suffix(".ours").rename(path)

        writer = threading.Thread(target=renew)
        writer.start()
        try:
            done = self.on_tree("plain", "--json", "-", "--cgroup", "box", "--for", "3")
        finally:
            over.set()
            writer.join()
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertIn("control group /sys/fs/cgroup/box", found["subject"])
        self.assertAlmostEqual(found["busy_seconds"], 0.75, delta=0.15)
        self.assertAlmostEqual(found["share"], 1 / 3, delta=0.05)
        self.assertAlmostEqual(found["energy"]["joules"], found["share"] * found["machine"]["joules"], 6)

    def test_a_machine_at_rest_whose_load_is_the_command(self):
        for kind in ("acpi-rest", "battery-rest"):
            busy = self.dir / kind / "busy"
            done = self.on_tree(kind, "--prepare", "true", "--json", "-", "--", "sh", "-c", f"touch {busy}; sleep 3.4; rm {busy}")
            self.assertEqual(done.returncode, 0, done.stderr)
            energy = json.loads(done.stdout)["commands"][0]["energy"]
            self.assertNotIn("invalid", energy, kind)
            truth = 120 * energy["seconds"]
            self.assertLessEqual(energy["low"], truth, kind)
            self.assertGreaterEqual(energy["high"], truth * 0.99, kind)
            self.assertLess(energy["high"] - energy["low"], 0.25 * truth, kind)

    def test_a_meter_that_breaks_in_the_window(self):
        meter = self.dir / "meter.sh"
        for breaks, said in (("sleep 1000", "did not end within 2 s"), ("exit 3", "exit status 3"),
                             ("echo what", "no number")):
            meter.write_text("echo 25 W\n")
            command = ["--json", "-", "--source", f"exec:sh {meter}", "--", "sh", "-c",
                       f"sleep 0.8; echo '{breaks}' > {meter}.new; mv {meter}.new {meter}; sleep 0.8; sleep 2"]
            done = self.wattle(*command)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("invalid window: exec:", done.stderr)
            self.assertIn(said, done.stderr)
            energy = json.loads(done.stdout)["commands"][0]["energy"]
            self.assertIn(said, energy["invalid"])
            self.assertGreater(energy["joules"], 0)
            self.assertEqual(subprocess.run(["pgrep", "-f", str(meter)], check=False, capture_output=True).stdout, b"")
            meter.write_text("echo 25 W\n")
            done = self.wattle("--require", "measured", *command)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("--require measured", done.stderr)

    def test_invalid_windows_are_no_figures(self):
        zone = self.dir / "still/sys/class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        (self.dir / "still/proc").mkdir()
        for name, text in (("name", "package-0"), ("energy_uj", "12345"), ("max_energy_range_uj", "262143328850")):
            (zone / name).write_text(text + "\n")
        still = ["--root", str(self.dir / "still")]
        done = self.wattle(*still, "--runs", "1", "--emissions", "emissions.csv", "sleep 1.2", "sleep 1.3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("INVALID  package-0 stood still"), 2, done.stdout)
        self.assertIn("no verdict, because a window is invalid", done.stdout)
        self.assertEqual(len((self.dir / "emissions.csv").read_text().splitlines()), 1)
        self.assertIn("invalid windows have no row", done.stderr)
        done = subprocess.run([WATTLE, "doctor", "--seconds", "0.2", *still], capture_output=True, text=True, timeout=120,
                              check=True)
        self.assertIn("trust rapl-powercap: package-0 stood still", done.stdout)
        self.assertNotIn("measure the joules of", done.stdout)

    def test_flags_that_cannot_be(self):
        for flags in (["--runs", "0"], ["--runs", "few"], ["--idle", "nan"], ["--price", "-1"], ["--wue", "inf"], ["--pue", "0.9"],
                      ["--pue", "12"], ["--lifetime", "0"], ["--embodied", "5", "1"], ["--until-ci", "0"], ["--zone", "XXX"],
                      ["--hourly", "none.csv"], ["--json", "none/a.json"], ["--csv", "none/a.csv"], ["--require", "luck"],
                      ["--profile", "none"], ["--server", "tdp=5"], ["--source", "none"], ["--root", "none"]):
            started = self.dir / "started"
            self.assert_refused(self.wattle(*flags, "--", "touch", str(started)), 2, flags[1] if "/" in flags[1] else flags[0])
            self.assertFalse(started.exists(), flags)

    def test_require_measured_without_a_meter(self):
        tree = self.dir / "bare"
        (tree / "proc").mkdir(parents=True)
        (tree / "sys").mkdir()
        done = self.wattle("--root", str(tree), "--require", "measured", "--", "true")
        self.assert_refused_measured(done)
        done = self.wattle("--source", "file:" + str(self.dir / "none"), "--", "true")
        self.assert_refused(done, 2, "file:", "could not be read")

    def test_figures_can_be_computed_again_from_the_samples(self):
        for kind, counted in (("plain", {"package-0", "dram"}), ("wrap", {"package-0"}), ("psys", {"package-0"}),
                              ("perf", {"package-0", "package-1", "dram-0", "dram-1"}), ("perf-mirrored", {"package-0"})):
            done = self.on_tree(kind, "--samples", "samples.csv", "--json", "-", "--", "sleep", "4")
            self.assertEqual(done.returncode, 0, done.stderr)
            (run,) = json.loads(done.stdout)["commands"][0]["runs"]
            with open(self.dir / "samples.csv", encoding="utf-8") as file:
                samples = [row for row in csv.DictReader(file) if run["begin"] - 0.5 <= float(row["time"]) <= run["end"] + 0.5]
            zones = {row["zone"] for row in samples if row["counted"] == "yes"}
            self.assertTrue(all(any(zone.startswith(name) for name in counted) for zone in zones), zones)
            self.assertEqual(len(zones), len(counted))
            joules, unseen = 0, 0
            for zone in zones:
                points = [(float(row["time"]), int(row["raw"]), float(row["joules_per_count"])) for row in samples if row["zone"] == zone]
                total = [0.0]
                for (_, before, unit), (_, after, _) in zip(points, points[1:]):
                    total.append(total[-1] + unit * (after - before + (262143328851 if after < before else 0)))
                times = [time for time, _, _ in points]
                joules += at(run["end"], times, total) - at(run["begin"], times, total)
                moved = [time for time, before, now in zip(times[1:], total, total[1:]) if now > before]
                unseen = max(unseen, gap(run["begin"], moved), gap(run["end"], moved))
            # A straight line is right where the counter moves often; a writer that lost its processor leaves a gap.
            self.assertAlmostEqual(joules / run["joules"], 1, delta=max(0.005, unseen / (run["end"] - run["begin"])))

    def test_shares_of_processes_by_cycles_and_by_time(self):
        by_time, by_cycles = self.rounds(self.on_tree("perf-cycles", "--watch", "--rounds", "2", "--json"))
        self.assertEqual(by_time["shares_by"], "processor time")
        self.assertEqual(by_cycles["shares_by"], "cycles")
        for watched in (by_time, by_cycles):
            shares = watched["processes"]
            self.assertEqual([share["name"] for share in shares[-2:]], ["idle", "rest"])
            total = 0.0
            for share in shares:
                total += share["joules"]
            self.assertEqual(total, watched["joules"])
            self.assertIn("own_cpu_seconds", watched)
        first = {share["name"]: share["joules"] for share in by_time["processes"]}
        second = {share["name"]: share["joules"] for share in by_cycles["processes"]}
        self.assertAlmostEqual(first["fast"] / first["slow"], 1, 0)
        self.assertAlmostEqual(second["fast"] / second["slow"], 3, 0)

        tree = self.dir / "perf-cycles"
        (tree / "proc/sys/kernel").mkdir(parents=True)
        (tree / "proc/sys/kernel/perf_event_paranoid").write_text("2\n")
        done = self.on_tree("perf-cycles", "--source", "model", "--watch", "--rounds", "2", "--json")
        self.assertIn("shares are by processor time, not by cycles: the kernel shows this user no cycles", done.stderr)
        self.assertEqual([watched["shares_by"] for watched in self.rounds(done)], ["processor time"] * 2)

    def test_short_commands_are_repeated_and_it_is_said_beforehand(self):
        meter = self.dir / "power"
        writer = ("import itertools, os, time\nfor i in itertools.count():\n"
                  f"    open('{meter}.new', 'w').write(f'{{50 + 20 * (i * 0.618 % 1):.3f}} W')\n"
                  f"    os.rename('{meter}.new', '{meter}')\n    time.sleep(0.05)\n")
        with subprocess.Popen([sys.executable, "-c", writer]) as process:
            try:
                while not meter.exists():
                    time.sleep(0.01)
                done = self.wattle("--source", f"file:{meter}", "--json", "-", "--", "sleep", "0.2")
                prepared = self.wattle("--source", f"file:{meter}", "--prepare", "true", "--json", "-", "--", "sleep", "0.2")
            finally:
                process.kill()
        (run,) = json.loads(done.stdout)["commands"][0]["runs"]
        self.assertGreater(run["repetitions"], 1)
        self.assertIn("less than 20 steps of the counter", done.stderr)
        self.assertIn(f"{run['repetitions']} runs in each window", done.stderr)
        (run,) = json.loads(prepared.stdout)["commands"][0]["runs"]
        self.assertEqual(run["repetitions"], 1)
        self.assertIn("without --prepare it would be repeated", prepared.stderr)

    def test_the_doctor_says_what_it_cannot_know(self):
        done = subprocess.run([WATTLE, "doctor", "--json"], capture_output=True, text=True, timeout=120, check=True)
        report = json.loads(done.stdout)
        for name in ("int8_gops", "bf16_gflops", "fp32_gflops", "read_gbs"):
            self.assertGreater(report["peaks"][name], 0)
        self.assertTrue(report["can"])
        for name in ("governor", "turbo", "smt", "throttle_events", "stolen_seconds", "load"):
            self.assertIn(name, report["state"])
        if report["grade"] == "modelled":
            self.assertIn("measure a joule", " ".join(report["cannot"]))
        tree = self.dir / "bare"
        (tree / "proc").mkdir(parents=True)
        (tree / "sys").mkdir()
        done = subprocess.run([WATTLE, "doctor", "--seconds", "0.1", "--root", str(tree)], capture_output=True, text=True,
                              timeout=120, check=True)
        self.assertIn("this machine cannot\n  measure a joule", done.stdout)
        self.assertNotIn("peaks", done.stdout)

    def assert_refused_measured(self, done):
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
        self.assertIn("no energy counter", done.stderr)


def gap(moment, times):
    """From the last of the times before a moment to the first after it."""
    return min((time for time in times if time >= moment), default=moment) - max((time for time in times if time < moment), default=moment)


def at(moment, times, values):
    """Linear interpolation."""
    for i in range(1, len(times)):
        if times[i] >= moment:
            share = (moment - times[i - 1]) / max(times[i] - times[i - 1], 1e-12)
            return values[i - 1] + min(1, max(0, share)) * (values[i] - values[i - 1])
    return values[-1]


if __name__ == "__main__":
    unittest.main()
