#!/usr/bin/env python3
"""Writes data/processors.yaml from SPECpower results: make_processors.py POWER_DIR > data/processors.yaml

Watts a hardware thread of a whole server at the wall, idle and at full load: the median over the published results of a
family and the range that holds 95 % of them (widened for families with few results, see SPREAD)."""
import csv
import math
import re
import statistics
import sys

# name, title, cpuid "family:models[:steppings]" in decimal, pattern of the processor's name
FAMILIES = [
    ("zen1", "AMD EPYC 7001 (Naples)", ["23:0-31"], r"EPYC 7\d\d1\b|EPYC 7\d51|Threadripper (19|29)\d0X"),
    ("zen2", "AMD EPYC 7002 (Rome)", ["23:48-63", "23:96-127"], r"EPYC 7\d[0-9]2"),
    ("zen3", "AMD EPYC 7003 (Milan)", ["25:0-15", "25:32-95"], r"EPYC 7\d\d3"),
    ("zen4", "AMD EPYC 9004 (Genoa)", ["25:16-31"], r"EPYC 9[0-6]\d4"),
    ("zen4-desktop", "AMD EPYC 4004, Ryzen 7000 (Raphael)", ["25:96-127"], r"EPYC 4\d\d4|Ryzen \d 7\d00"),
    ("zen4c", "AMD EPYC 97x4, 8004 (Bergamo, Siena)", ["25:160-175"], r"EPYC (97\d4|8\d\d4)"),
    ("zen5", "AMD EPYC 9005 (Turin)", ["26:0-15"], r"EPYC (9[0-7]55|9[0-7][0-35-7]5)\b"),
    ("zen5-desktop", "AMD EPYC 4005, Ryzen 9000 (Grado)", ["26:64-79"], r"EPYC 4\d\d5|Ryzen \d 9\d00"),
    ("zen5c", "AMD EPYC 98x5, 9965 (Turin dense)", ["26:16-31"], r"EPYC (98\d5|9965|9645)"),
    ("haswell-broadwell", "Intel Xeon E5 v3, v4", ["6:63", "6:79", "6:86"], r"E5-26\d\d v[34]"),
    ("skylake", "Intel Xeon Scalable, 1st generation", ["6:85:0-4"], r"(Platinum|Gold|Silver|Bronze) [3-8]1\d\d"),
    ("cascade-lake", "Intel Xeon Scalable, 2nd and 3rd generation on the same core", ["6:85:5-15"],
     r"(Platinum|Gold|Silver|Bronze) [3-8]2\d\d|83[78]\dHL?|8380H"),
    ("ice-lake", "Intel Xeon Scalable, 3rd generation; Xeon D-2700", ["6:106", "6:108"],
     r"(Platinum|Gold|Silver) [4-8]3\d\d|D-27\d\d"),
    ("sapphire-rapids", "Intel Xeon Scalable, 4th generation", ["6:143"], r"(Platinum|Gold|Silver|Xeon|Xeon\(R\)) [4-8]4\d\d"),
    ("emerald-rapids", "Intel Xeon Scalable, 5th generation", ["6:207"], r"(Platinum|Gold|Silver|Xeon|Xeon\(R\)) [4-8]5\d\d"),
    ("granite-rapids", "Intel Xeon 6 with P-cores", ["6:173-174"], r"6[79]\d\dP"),
    ("sierra-forest", "Intel Xeon 6 with E-cores", ["6:175"], r"67\d\dE"),
    ("kaby-coffee-lake", "Intel Xeon E3 v5-v6, E-2100, E-2200", ["6:94", "6:142", "6:158"], r"E3-12\d\d v[56]|E-2[12]\d\d"),
    ("rocket-raptor-lake", "Intel Xeon E-2300, E-2400, 6300; Core 11-14", ["6:151-154", "6:167", "6:183", "6:186", "6:191"],
     r"E-2[34]\d\d|63\d\dP"),
    ("arrow-lake", "Intel Core Ultra 200", ["6:197-198", "6:181"], r"Ultra \d 2\d\d"),
    ("neoverse-n1", "Ampere Altra", ["0:3340"], r"Altra"),
]
SINCE = 2017
SPREAD = 1.35  # between makers of servers the same processor differs so much (ratio at 95 %), with few results unseen

ARITHMETIC = """\
# Energy of one operation on top of what an active thread draws anyway, in picojoules: value and the range that the
# sources leave open. int8 and bf16 are one multiply-add in a vector or dot-product instruction, fp32 one fused multiply-add.
#   Horowitz 2014, "Computing's energy problem", ISSCC, table 1: at 45 nm fp32 multiply 3.7 + add 0.9 pJ, int8 0.2 + 0.03,
#   an instruction's overhead 25-70 pJ (shared by 16 to 64 lanes here), DRAM 1.3-2.6 nJ for 64 bits.
#   Jouppi et al. 2021, "Ten lessons from three generations", ISCA, table 2: at 7 nm fp32 multiply 1.31 + add 0.38 pJ,
#   bf16 multiply 0.21 + add 0.11, int8 multiply 0.07 + add 0.007; DDR4 1300, HBM2 250-450 pJ for 64 bits.
#   The factor from the bare unit to the whole vector pipe (registers, bypass, clock) is 2 to 8: Molka et al. 2010,
#   "Characterizing the energy consumption of data transfers and arithmetic operations on x86-64", IGCC.
operations:
  int8_pj: {low: 0.15, value: 0.8, high: 3}
  bf16_pj: {low: 0.5, value: 2, high: 6}
  fp32_pj: {low: 1.5, value: 5, high: 14}
  # From the nearest cache (weights that stay there) to memory on DIMMs, at the processor and the DIMM together.
  byte_pj: {low: 5, value: 90, high: 220}
  year: 2021
  source: Horowitz 2014; Molka et al. 2010; Jouppi et al. 2021
"""


def quantile(values, share):
    values = sorted(values)
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def span(values):
    middle = statistics.median(values)
    return (min(quantile(values, 0.025), middle / SPREAD), middle, max(quantile(values, 0.975), middle * SPREAD))


def alone(full, idle, rows):
    """A thread that has its core to itself draws more than its part of a full server: up to 0.6 of the other thread's."""
    low, value, high = full
    if statistics.median(int(row["threads"]) / int(row["cores"]) for row in rows) < 1.5:
        return full
    return low, value, value + math.hypot(high - value, 0.6 * (value - idle[1]))


def text(numbers):
    return "{low: %.3f, value: %.3f, high: %.3f}" % numbers


def main():
    rows = [row for row in csv.DictReader(open(sys.argv[1] + "/specpower.csv", encoding="utf-8"))
            if int(row["published"][-4:]) >= SINCE]
    print("# Parameters of the modelled source, by processor family. Made by tools/make_processors.py; docs/meter.md explains.")
    print("# Watts a hardware thread, at the wall, from SPECpower_ssj2008 results: whole servers with memory, fans and supplies")
    print("# (figures published by SPEC, collected by cloud-carbon-footprint/ccf-coefficients, Apache-2.0).")
    print(ARITHMETIC + "families:")
    everything = []
    for name, title, cpuid, pattern in FAMILIES:
        of = [row for row in rows if re.search(pattern, row["cpu"])]
        everything += of
        idle = [float(row["watts_idle"]) / int(row["threads"]) for row in of]
        full = [float(row["watts_full"]) / int(row["threads"]) for row in of]
        years = sorted(int(row["published"][-4:]) for row in of)
        print(f"  - name: {name}\n    title: {title}\n    cpuid: [{', '.join(chr(34) + c + chr(34) for c in cpuid)}]")
        print(f"    pattern: '{pattern}'\n    idle_watts_per_thread: {text(span(idle))}")
        print(f"    full_watts_per_thread: {text(alone(span(full), span(idle), of))}\n    results: {len(of)}")
        print(f"    source: SPECpower_ssj2008, {years[0]}-{years[-1]}\n    year: {years[-1]}")
    idle = [float(row["watts_idle"]) / int(row["threads"]) for row in everything]
    full = [float(row["watts_full"]) / int(row["threads"]) for row in everything]
    print("  - name: unknown\n    title: any processor that is not listed\n    cpuid: []\n    pattern: ''")
    print(f"    idle_watts_per_thread: {text(span(idle))}\n    full_watts_per_thread: {text(alone(span(full), span(idle), everything))}")
    print(f"    results: {len(everything)}\n    source: SPECpower_ssj2008, {SINCE}-2026\n    year: 2026")


main()
