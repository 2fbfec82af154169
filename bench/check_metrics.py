#!/usr/bin/env python3
"""Holds what `wattle meter` exports against the readers of others: check_metrics.py WATTLE [--venv PYTHON]

The OpenMetrics page by prometheus_client's strict parser, emissions.csv by pandas against the fields of CodeCarbon's EmissionsData,
CSV and JSON against each other. Without --venv the packages are installed from PyPI into a virtual environment that is thrown away."""
import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv

PACKAGES = ["prometheus-client==0.26.0", "pandas==3.1.1", "codecarbon==3.3.2"]
CHECKS = """
import dataclasses, io, json, sys
import pandas
from codecarbon.output_methods.emissions_data import EmissionsData
from prometheus_client.openmetrics.parser import text_string_to_metric_families
folder = sys.argv[1]

pages = [open(f"{folder}/page{i}", encoding="utf-8").read() for i in (1, 2)]
families = [{family.name: family for family in text_string_to_metric_families(page)} for page in pages]
first, second = families
assert set(first) == {"wattle_energy_joules", "wattle_energy_low_joules", "wattle_energy_high_joules", "wattle_power_watts"}, set(first)
def value(families, name):
    (sample,) = families[name].samples
    assert set(sample.labels) == {"source", "scope", "grade"}, sample.labels
    return sample.value
for name, family in first.items():
    assert family.unit == name.rsplit("_", 1)[1], (name, family.unit)
assert first["wattle_energy_joules"].type == "counter" and first["wattle_power_watts"].type == "gauge"
assert 0 < value(first, "wattle_energy_joules") < value(second, "wattle_energy_joules")
assert value(second, "wattle_energy_low_joules") <= value(second, "wattle_energy_joules") <= value(second, "wattle_energy_high_joules")
print(f"OpenMetrics: {len(first)} families, units and types as declared; the counter grew from "
      f"{value(first, 'wattle_energy_joules'):.1f} to {value(second, 'wattle_energy_joules'):.1f} J")

table = pandas.read_csv(f"{folder}/emissions.csv")
fields = [field.name for field in dataclasses.fields(EmissionsData)]
missing = [name for name in fields if name not in table.columns]
unknown = [name for name in table.columns if name not in fields]
assert len(table) == 3, table
assert (table.energy_consumed > 0).all() and (table.emissions > 0).all()
assert ((table.emissions / table.energy_consumed - table.emissions.iloc[0] / table.energy_consumed.iloc[0]).abs() < 1e-6).all()
pandas.to_datetime(table.timestamp, format="%Y-%m-%dT%H:%M:%S")
print(f"emissions.csv: {len(table.columns)} columns, {len(fields)} fields of CodeCarbon's EmissionsData; missing {missing}, unknown {unknown}")

rows = pandas.read_csv(f"{folder}/runs.csv")
runs = json.load(open(f"{folder}/runs.json"))["commands"][0]["runs"]
assert list(rows.joules.round(6)) == [round(run["joules"], 6) for run in runs]
assert abs(table.energy_consumed.sum() * 3.6e6 - rows.joules.sum()) < 1e-3
print("CSV, JSON and emissions.csv: the same joules")
if missing or unknown:
    sys.exit("emissions.csv: its columns are not CodeCarbon's")
"""


def page(port):
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
                return answer.read().decode("utf-8")
        except OSError:
            time.sleep(0.1)
    sys.exit("the metrics port did not open")


def export(wattle, folder):
    port = 19000 + os.getpid() % 1000
    server = subprocess.Popen([wattle, "-q", "meter", "--idle", "0", "--prometheus", str(port)])
    try:
        page(port)
        for i in (1, 2):
            time.sleep(0.5)
            with open(f"{folder}/page{i}", "w", encoding="utf-8") as file:
                file.write(page(port))
    finally:
        server.terminate()
        server.wait()
    subprocess.run([wattle, "-q", "meter", "--idle", "0", "--runs", "3", "--zone", "FRA", "--emissions", f"{folder}/emissions.csv", "--csv",
                    f"{folder}/runs.csv", "--json", f"{folder}/runs.json", "--", "sh", "-c", "echo 'a, \"quoted\" word'"],
                   check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wattle")
    parser.add_argument("--venv", help="a Python that has the packages already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = arguments.venv
        if not python:
            venv.create(f"{folder}/venv", with_pip=True)
            python = f"{folder}/venv/bin/python"
            subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        export(arguments.wattle, folder)
        sys.exit(subprocess.run([python, "-c", CHECKS, folder], check=False).returncode)


if __name__ == "__main__":
    main()
