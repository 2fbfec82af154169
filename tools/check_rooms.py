#!/usr/bin/env python3
"""Checks that every #include goes in the direction that data flows: a room includes itself and rooms to its left."""
import pathlib
import re
import sys

ROOMS = ["base", "quant", "file", "text", "tensor", "kernels", "decode", "layers", "models", "train", "tasks",
         "pull", "study", "report", "cli"]
# The meter stands beside the study: it sees base alone, and only study, report and cli see it.
ALLOWED = {room: set(ROOMS[: i + 1]) for i, room in enumerate(ROOMS)}
ALLOWED["meter"] = {"base", "meter"}
for room in ("study", "report", "cli"):
    ALLOWED[room].add("meter")

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)/')


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    wrong = []
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        room = path.relative_to(root).parts[0]
        if room not in ALLOWED:
            wrong.append(f"{path.relative_to(root)}: src/{room} is not a room; add it to tools/check_rooms.py")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if match and match.group(1) not in ALLOWED[room]:
                wrong.append(f"src/{path.relative_to(root)}:{number}: {room} must not include {match.group(1)}")
    print("\n".join(wrong) if wrong else f"rooms: every include goes one way through {len(ALLOWED)} rooms")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
