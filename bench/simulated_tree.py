#!/usr/bin/env python3
"""Keeps a simulated machine's counters moving in a directory: simulated_tree.py KIND DIR SECONDS

Writes DIR/sys/class/powercap, or for the kinds that begin with "perf" the power events of perf with their counts in
DIR/dev/perf_event, and renews the counters every 2 ms. A package draws 100 W (the second 60 W) and its memory, where there is
any, 10 W (12 W), so that the truth of a window is a product. The kinds of HWMON_KINDS have sensors of hwmon, "xe" beside the zones of
"plain". "perf-cycles" also has two processes that take as much time of the
processor, one of them at three times the cycles. Prints one line when the tree stands.

The kinds that end in "-rest" are power meters of a machine that rests at 50 W and draws 120 W as long as DIR/busy exists: a load that
begins and ends with a command. An ACPI meter shows means of 1 s, a battery its power once a second."""
import os
import sys
import time

WRAP = 262143328850
# entry: (name, watts, microjoules at the start)
KINDS = {
    "plain": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:0:0": ("core", 80, 4e9), "intel-rapl:0:1": ("dram", 10, 1e9)},
    "two-sockets": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:1": ("package-1", 60, 7e9)},
    "mirrored": {"intel-rapl:0": ("package-0-die-0", 100, 5e9), "intel-rapl:1": ("package-0-die-1", 100, 5e9)},
    "mirrored-apart": {"intel-rapl:0": ("package-0-die-0", 100, 5e9), "intel-rapl:1": ("package-0-die-1", 100, 7e9)},
    "psys": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl:1": ("psys", 150, 9e9)},
    "wrap": {"intel-rapl:0": ("package-0", 100, WRAP - 3e8)},
    "mmio": {"intel-rapl:0": ("package-0", 100, 5e9), "intel-rapl-mmio:0": ("package-0", 100, 5.1e9)},
}
# Power events: name, code, watts by processor of the mask. A count is 2^-32 J.
PERF_KINDS = {
    "perf": [("cores", 1, (80, 50)), ("pkg", 2, (100, 60)), ("ram", 3, (10, 12)), ("psys", 5, (230, 230))],
    "perf-mirrored": [("pkg", 2, (100, 100))],
    "perf-cycles": [("pkg", 2, (100, 60))],
}
# Files of /sys/class/hwmon: text, ("power", watts) in microwatts or ("energy", watts) counted in microjoules. Labels and places are those
# of the drivers: tests/meter/hwmon_test.cc names them.
HWMON_KINDS = {
    "grace": {f"hwmon{n}/{file}": value for n, info, watts in (
        (1, "Module Power Socket 0", 400), (2, "Grace Power Socket 0", 150), (3, "CPU Power Socket 0", 90), (4, "SysIO Power Socket 0", 20))
        for file, value in {"name": "power_meter", "device/power1_average": ("power", watts), "device/power1_average_interval": "50",
                            "device/power1_is_battery": "0", "device/power1_oem_info": info}.items()},
    "apple": {"hwmon0/name": "macsmc_hwmon", "hwmon0/power1_label": "Total System Power", "hwmon0/power1_input": ("power", 14),
              "hwmon0/power2_label": "AC Input Power", "hwmon0/power2_input": ("power", 31),
              "hwmon0/power3_label": "3.8 V Rail Power", "hwmon0/power3_input": ("power", 9)},
    "xe": {"hwmon4/name": "xe", "hwmon4/device/uevent": "PCI_SLOT_NAME=0000:04:00.0", "hwmon4/energy1_label": "card",
           "hwmon4/energy1_input": ("energy", 60), "hwmon4/energy2_label": "pkg", "hwmon4/energy2_input": ("energy", 45)},
}
KINDS["xe"] = KINDS["plain"]
REST_KINDS = ("acpi-rest", "battery-rest")
REST_WATTS, BUSY_WATTS, REST_REFRESH = 50, 120, 1.0
PERF_CPUS = (0, 8)
TRUTH_WATTS = {"perf": 182, "perf-mirrored": 100, "perf-cycles": 160, "grace": 400, "apple": 14, "xe": 170, **{"plain": 110, "two-sockets": 160, "mirrored": 100, "mirrored-apart": 100, "psys": 100, "wrap": 100, "mmio": 100}}


def write(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


def zone_path(root, entry):
    """Zones lie as in a real tree: sub-zones inside their package, both under the control type and flat."""
    return os.path.join(root, "sys/class/powercap", entry)


def write_perf_events(root, events):
    pmu = os.path.join(root, "sys/bus/event_source/devices/power")
    os.makedirs(pmu + "/events", exist_ok=True)
    write(pmu + "/type", "20\n")
    write(pmu + "/cpumask", ",".join(map(str, PERF_CPUS)) + "\n")
    for name, code, _ in events:
        write(f"{pmu}/events/energy-{name}", f"event=0x{code:02x}\n")
        write(f"{pmu}/events/energy-{name}.scale", "2.3283064365386962890625e-10\n")
        write(f"{pmu}/events/energy-{name}.unit", "Joules\n")
        os.makedirs(f"{root}/dev/perf_event/20/{code}", exist_ok=True)
    renew_perf_events(root, events, 0)


def renew_perf_events(root, events, now):
    for _, code, watts in events:
        for cpu, power in zip(PERF_CPUS, watts):
            # Mirrored events are one file, as they are one counter.
            if cpu > 0 and len(set(watts)) == 1 and code == 2:
                link = f"{root}/dev/perf_event/20/{code}/cpu{cpu}"
                if not os.path.lexists(link):
                    os.symlink(f"cpu{PERF_CPUS[0]}", link)
                continue
            write(f"{root}/dev/perf_event/20/{code}/cpu{cpu}", f"{int((5e3 + power * now) * 2**32)}\n")


def renew_processes(root, now):
    """Two processes on a machine of two processors, each busy half of the time; the kernel has another tenth."""
    ticks = int(50 * now)
    os.makedirs(root + "/dev/perf_event/0/0", exist_ok=True)
    write(root + "/proc/stat", f"cpu {2 * ticks} 0 {ticks // 5} {9 * ticks // 5} 0 0 0 0 0 0\n")
    for pid, name, rate in ((101, "slow", 1e9), (102, "fast", 3e9)):
        os.makedirs(f"{root}/proc/{pid}", exist_ok=True)
        write(f"{root}/proc/{pid}/stat", f"{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 1 0 0 0\n")
        write(f"{root}/dev/perf_event/0/0/thread{pid}", f"{int(rate * now / 2)}\n")


def write_zones(root, zones, now):
    for entry, (name, watts, start) in zones.items():
        path = zone_path(root, entry)
        if now == 0:
            os.makedirs(path, exist_ok=True)
            write(path + "/name", name + "\n")
            write(path + "/max_energy_range_uj", f"{WRAP}\n")
    # All counts change as nearly at once as files can: two that are one register must not be caught apart.
    counts = {zone_path(root, entry) + "/energy_uj": int(start + 1e6 * watts * now) % (WRAP + 1)
              for entry, (_, watts, start) in zones.items()}
    for path, count in counts.items():
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{count}\n")
    for path in counts:
        os.rename(path + ".new", path)


def write_hwmon(root, files, now):
    for leaf, value in files.items():
        path = os.path.join(root, "sys/class/hwmon", leaf)
        if now == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path, f"{value}\n" if isinstance(value, str) else "0\n")
        if isinstance(value, tuple):
            what, watts = value
            write(path, f"{int(1e6 * watts * (now + 1000 if what == 'energy' else 1))}\n")


class PowerMeter:
    """A power reading that is renewed once a second by the joules or the watts of a machine that may be busy."""

    def __init__(self, kind, root):
        self.root, self.averaged = root, kind == "acpi-rest"
        self.joules, self.last, self.renewed = 0.0, 0.0, 0.0
        if self.averaged:
            folder = root + "/sys/class/hwmon/hwmon0"
            files = {"name": "power_meter\n", "power1_average_interval": f"{int(1000 * REST_REFRESH)}\n"}
            self.path = folder + "/power1_average"
        else:
            folder = root + "/sys/class/power_supply/BAT0"
            files = {"type": "Battery\n", "status": "Discharging\n"}
            self.path = folder + "/power_now"
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            write(f"{folder}/{name}", text)
        write(self.path, f"{1000000 * REST_WATTS}\n")

    def renew(self, now):
        watts = BUSY_WATTS if os.path.exists(self.root + "/busy") else REST_WATTS
        self.joules += watts * (now - self.last)
        self.last = now
        if now - self.renewed < REST_REFRESH:
            return
        shown = self.joules / (now - self.renewed) if self.averaged else watts
        self.joules, self.renewed = 0.0, now
        write(self.path, f"{int(1e6 * shown)}\n")


def main():
    kind, root, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    os.makedirs(os.path.join(root, "proc"), exist_ok=True)
    write(os.path.join(root, "proc/cpuinfo"),
          "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) Platinum 8280\n"
          "stepping\t: 7\nphysical id\t: 0\nflags\t\t: fpu\n")
    events, zones = PERF_KINDS.get(kind, []), KINDS.get(kind, {})
    sensors = HWMON_KINDS.get(kind, {})
    write_zones(root, zones, 0)
    write_hwmon(root, sensors, 0)
    power_meter = PowerMeter(kind, root) if kind in REST_KINDS else None
    if events:
        write_perf_events(root, events)
    if kind == "perf-cycles":
        renew_processes(root, 0)
    print("ready", flush=True)
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        write_zones(root, zones, now)
        write_hwmon(root, sensors, now)
        renew_perf_events(root, events, now)
        if kind == "perf-cycles":
            renew_processes(root, now)
        if power_meter:
            power_meter.renew(now)
        time.sleep(0.002)


if __name__ == "__main__":
    main()
