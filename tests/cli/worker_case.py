"""What tests of contenders share: requests to a worker process, as the study's runner sends them."""
import json
import pathlib
import subprocess
import tempfile
import unittest


class WorkerTestCase(unittest.TestCase):
    wattle = None  # the program

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def worker(self, *requests):
        """The answers to requests that follow the configuration."""
        lines = "".join(json.dumps(request) + "\n"
                        for request in ({"verb": "configure", "meter": "model", "threads": 1}, *requests))
        done = subprocess.run([self.wattle, "worker"], input=lines, capture_output=True, text=True, timeout=300)
        return [json.loads(line) for line in done.stdout.splitlines()][1:]
