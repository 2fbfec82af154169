#!/usr/bin/env python3
"""Writes data/carbon.yaml from the tables of a power directory: make_carbon.py POWER_DIR > data/carbon.yaml"""
import csv
import sys


def rows(name):
    return csv.DictReader(open(f"{sys.argv[1]}/{name}", encoding="utf-8"))


print("# Carbon intensity of electricity, grams of CO2 equivalent a kWh. Made by tools/make_carbon.py.")
print("# year 0: the collection does not state the year.")
print("""sources:
  owid: {title: "Our World in Data / Ember, from codecarbon b05965e", licence: MIT}
  ccf: {title: "cloud-carbon-footprint/ccf-coefficients b0032d9", licence: Apache-2.0}
zones:""")
for row in rows("carbon_country.csv"):
    grams = float(row["g_co2e_per_kwh"])
    print(f'  - {{zone: {row["iso3"]}, name: "{row["country"]}", year: {row["year"]}, grams_per_kwh: {grams:g}, source: owid}}')
for cloud, place in (("aws", "Country"), ("azure", "Location"), ("gcp", "Location")):
    for row in rows(f"grid_{cloud}.csv"):
        grams = 1e6 * float(row["CO2e (metric ton/kWh)"])
        zone = cloud + ":" + row["Region"].strip().lower().replace(" ", "-")
        print(f'  - {{zone: "{zone}", name: "{row[place].strip()}", year: 0, grams_per_kwh: {grams:g}, '
              f'source: ccf, origin: "{row["Source"].strip()}"}}')
