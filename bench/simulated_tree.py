#!/usr/bin/env python3
"""Keeps a simulated machine's counters moving in a directory: simulated_tree.py KIND DIR SECONDS

Writes DIR/sys/class/powercap (and below it what KIND needs) and renews the counters every 2 ms. The package draws 100 W and
the memory, where there is any, 10 W, so that the truth of a window is a product. Prints one line when the tree stands."""
import os
import sys
import time

WRAP = 262143328850
# entry: (name, watts, microjoules at the start)
KINDS = {
    "plain": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:0:0": ("core", 80, 4e9), "intel-rapl:0:1": ("dram", 10, 1e9)},
    "two-sockets": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:1": ("package-1", 60, 7e9)},
    "mirrored": {"intel-rapl:0": ("package-0-die-0", 100, 5e9), "intel-rapl:1": ("package-0-die-1", 100, 5e9)},
    "psys": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:1": ("psys", 150, 9e9)},
    "wrap": {"intel-rapl:0": ("package-0", 100, WRAP - 3e8)},
    "mmio": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl-mmio:0": ("package-0", 100, 5.1e9)},
}
TRUTH_WATTS = {"plain": 110, "two-sockets": 160, "mirrored": 100, "psys": 100, "wrap": 100, "mmio": 100}


def write(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


def zone_path(root, entry):
    """Zones lie as in a real tree: sub-zones inside their package, both under the control type and flat."""
    return os.path.join(root, "sys/class/powercap", entry)


def main():
    kind, root, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    os.makedirs(os.path.join(root, "proc"), exist_ok=True)
    write(os.path.join(root, "proc/cpuinfo"),
          "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) Platinum 8280\n"
          "stepping\t: 7\nphysical id\t: 0\nflags\t\t: fpu\n")
    for entry, (name, _, start) in KINDS[kind].items():
        path = zone_path(root, entry)
        os.makedirs(path, exist_ok=True)
        write(path + "/name", name + "\n")
        write(path + "/max_energy_range_uj", f"{WRAP}\n")
        write(path + "/energy_uj", f"{int(start)}\n")
    print("ready", flush=True)
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        for entry, (_, watts, start) in KINDS[kind].items():
            write(zone_path(root, entry) + "/energy_uj", f"{int(start + 1e6 * watts * now) % (WRAP + 1)}\n")
        time.sleep(0.002)


if __name__ == "__main__":
    main()
