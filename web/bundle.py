#!/usr/bin/env python3
"""Joins Debian's libjs-vega modules into one script: bundle.py DIRECTORY OUTPUT.

The modules are UMD and find each other by require(); a registry of some lines serves it. Only what a static chart needs
is taken: no projections, no force layout, no word clouds.
"""
import pathlib
import sys

# In the order of their dependencies.
MODULES = ["util", "time", "format", "loader", "dataflow", "statistics", "scale", "canvas", "scenegraph", "expression",
           "event-selector", "selection", "functions", "runtime", "transforms", "view-transforms", "encode", "view",
           "parser", "label"]

HEAD = """const vega = (() => {
  const modules = {};
  const require = (name) => modules[name === "vega-selections" ? "vega-selection" : name];
  const add = (name, body) => { const module = {exports: {}}; modules[name] = module.exports; body(module, module.exports); };
"""
TAIL = """  const {transforms, View} = {...modules["vega-dataflow"], ...modules["vega-view"]};
  for (const name of ["vega-transforms", "vega-view-transforms", "vega-encode", "vega-label"]) Object.assign(transforms, modules[name]);
  return {View, parse: modules["vega-parser"].parse, scheme: modules["vega-scale"].scheme};
})();
"""


def main() -> int:
    directory, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    parts = [HEAD]
    for name in MODULES:
        source = (directory / f"vega-{name}.min.js").read_text(encoding="utf-8")
        source = "\n".join(line for line in source.splitlines() if not line.startswith("//# sourceMappingURL"))
        # The page holds the script inline, where this sequence would end it.
        source = source.replace("</script", "<\\/script")
        parts.append(f"add('vega-{name}', (module, exports) => {{ const define = undefined;\n{source}\n}});\n")
    parts.append(TAIL)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
