#!/usr/bin/env python3
"""Checks that every #include of src/ is one that CMakeLists.txt allows: a module includes itself and what its USES names.

The program's own module, cli, may include all others. What a module defines lies in its own namespace:
`wattle::inline MODULE`, or `wattle::MODULE` where its names need the prefix to be understood (jinja). No function of a
header is called as a module is: Clang takes the two names, each in an inline namespace, for one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULE = re.compile(r"wattle_module\((\w+)(?:\s+USES((?:\s+[a-z_]+)+))?")
NAMESPACE = re.compile(r"^namespace wattle(?:::(?:inline )?(\w+))? \{", re.MULTILINE)
FUNCTION = re.compile(r"^(?:[\w:<>,*&]+ )+(\w+)\(", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"/]+)/')


def allowed() -> dict[str, set[str]]:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    uses = {name: set((names or "").split()) for name, names in MODULE.findall(text)}
    uses["cli"] = set(uses)
    return uses


def main() -> int:
    uses = allowed()
    wrong = []
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        module = path.relative_to(ROOT / "src").parts[0]
        if module not in uses:
            wrong.append(f"{path.relative_to(ROOT)}: src/{module} is not a module; add it to CMakeLists.txt")
            continue
        text = path.read_text(encoding="utf-8")
        for name in NAMESPACE.findall(text):
            if module != "cli" and name != module:
                wrong.append(f"{path.relative_to(ROOT)}: namespace {name or 'wattle'}; what {module} defines is wattle::inline {module}")
        for name in FUNCTION.findall(text) if path.suffix == ".h" else []:
            if name in uses:
                wrong.append(f"{path.relative_to(ROOT)}: the function {name}() is called as a module; give it another name")
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or match.group(1) == module:
                continue
            if match.group(1) not in uses[module]:
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {module} does not name {match.group(1)} in its USES")
    print("\n".join(wrong) if wrong else f"modules: every include is one that {len(uses)} modules declare")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
