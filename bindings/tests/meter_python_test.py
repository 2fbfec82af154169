"""The Python package on meters that are files: `PYTHONPATH=bindings/python WATTLE_METER_LIBRARY=... python3 THIS`."""
import pathlib
import tempfile
import threading
import time
import unittest

import wattle


class PythonTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.power = pathlib.Path(self.folder.name) / "power"
        self.power.write_text("40 W\n")
        self.source = f"file:{self.power}"

    def tearDown(self):
        self.folder.cleanup()

    def test_a_block(self):
        with wattle.meter(source=self.source) as m:
            with self.assertRaisesRegex(wattle.Error, "known once"):
                m.joules
            time.sleep(1.2)
        self.assertGreater(m.seconds, 1.1)
        self.assertAlmostEqual(m.joules / m.seconds, 40, 6)
        self.assertAlmostEqual(m.watts, 40, 6)
        self.assertLess(m.low, m.joules)
        self.assertGreater(m.high, m.joules)
        self.assertEqual((m.grade, m.source, m.scope, m.invalid), ("measured", self.source, "wall", ""))
        self.assertIsNone(m.net_joules)
        self.assertIn(" J (", str(m))
        with self.assertRaises(AttributeError):
            m.calories

    def test_one_meter_for_many_windows(self):
        with wattle.Meter(source=self.source, settle=False) as meter:
            self.assertEqual((meter.grade, meter.scope), ("measured", "wall"))
            self.assertEqual(meter.notice, "")
            idle = meter.measure_idle(1.1)
            self.assertAlmostEqual(idle.joules / idle.seconds, 40, 6)
            with meter.window() as outer:
                with meter.window() as inner:
                    time.sleep(0.3)
                time.sleep(0.3)
            self.assertGreater(outer.joules, inner.joules)
            self.assertAlmostEqual(outer.net_joules, 0, 6)
            threads = [threading.Thread(target=self.one_window, args=(meter,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        with self.assertRaisesRegex(wattle.Error, "closed"):
            meter.window().__enter__()

    def one_window(self, meter):
        with meter.window() as window:
            time.sleep(0.2)
        self.assertAlmostEqual(window.watts, 40, 6)

    def test_a_function(self):
        heard = []

        @wattle.metered(source=self.source, settle=False, report=lambda name, energy: heard.append((name, energy.joules)))
        def work(seconds, fails=False):
            """Sleeps."""
            time.sleep(seconds)
            if fails:
                raise ValueError("no")
            return 7

        self.assertEqual(work(0.2), 7)
        with self.assertRaises(ValueError):
            work(0.1, fails=True)
        self.assertEqual(work.__doc__, "Sleeps.")
        self.assertEqual(len(heard), 2)
        self.assertTrue(heard[0][0].endswith("work"))
        self.assertGreater(heard[0][1], heard[1][1])

    def test_what_goes_wrong(self):
        with self.assertRaisesRegex(wattle.Error, "sauce"):
            wattle.Meter(sauce="rapl")
        with self.assertRaisesRegex(wattle.Error, "no/such"):
            wattle.meter(source="file:/no/such")
        with self.assertRaises(ZeroDivisionError):
            with wattle.meter(source=self.source, settle=False) as m:
                1 / 0
        self.assertGreaterEqual(m.joules, 0)
        with wattle.Meter(source=self.source, settle=False) as meter, meter.window() as window:
            self.power.unlink()
        self.assertIn("could not be read", window.invalid)
        self.assertIn("INVALID", str(window))

    def test_a_model_is_refused_where_a_measurement_is_asked_for(self):
        bare = pathlib.Path(self.folder.name) / "bare"
        (bare / "proc").mkdir(parents=True)
        (bare / "sys").mkdir()
        with self.assertRaisesRegex(wattle.Error, "no energy counter"):
            wattle.Meter(root=bare, require_measured=True, gpu=False)


if __name__ == "__main__":
    unittest.main()
