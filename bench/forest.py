#!/usr/bin/env python3
"""One row of a forest on n-grams beside the same trees compiled by treelite, in one run.

    pip install gguf numpy treelite tl2cgen; ninja -C build wattle bench_forest
    bench/forest.py --data DIR [--heads sms_spam,sentence_sentiment,banking77]

DIR holds a folder a data set with train.jsonl and eval.jsonl (text, label). Trains 200 trees a label with
`wattle train --kind forest`, hands their nodes to treelite, has tl2cgen and the C compiler make a library of them (not
for more than 1,000 trees: its C would be some hundred megabytes), and runs bench_forest on both.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import gguf
import tl2cgen
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

MOST_TREES = 1000


def compile_forest(head: pathlib.Path, library: pathlib.Path) -> bool:
    """Writes treelite's library of a forest of one output; False for more trees than it can compile."""
    reader = gguf.GGUFReader(head)
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    roots = tensors["forest.roots"].reshape(-1)
    if len(roots) > MOST_TREES:
        return False
    split, value, far = (tensors["forest." + name].tolist() for name in ("split", "value", "far"))
    terms = len(reader.fields["wattle.head.terms"].data)
    builder = ModelBuilder(
        threshold_type="float32", leaf_output_type="float32",
        metadata=Metadata(num_feature=terms, task_type="kRegressor", average_tree_output=False, num_target=1,
                          num_class=[1], leaf_vector_shape=(1, 1)),
        tree_annotation=TreeAnnotation(num_tree=len(roots), target_id=[0] * len(roots), class_id=[0] * len(roots)),
        postprocessor=PostProcessorFunc(name="identity"), base_scores=[0.0])
    for root in roots.tolist():
        builder.start_tree()
        stack = [root]
        while stack:
            node = stack.pop()
            builder.start_node(node - root)
            if split[node] < 0:
                builder.leaf(value[node])
            else:
                near_left = split[node] % 2 == 1
                near, other = node + 1 - root, far[node] - root
                builder.numerical_test(feature_id=split[node] // 2, threshold=value[node], default_left=near_left,
                                       opname="<", left_child_key=near if near_left else other,
                                       right_child_key=other if near_left else near)
                stack += [far[node], node + 1]
            builder.end_node()
        builder.end_tree()
    tl2cgen.export_lib(builder.commit(), toolchain="gcc", libpath=library, params={"parallel_comp": 8},
                       options=["-O2", "-march=native"])
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--heads", default="sms_spam,sentence_sentiment,banking77")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.heads.split(","):
            rows = arguments.data / name
            head, library = pathlib.Path(folder) / f"{name}.gguf", pathlib.Path(folder) / f"{name}.so"
            subprocess.run([arguments.build / "wattle", "--quiet", "train", "--kind", "forest", "--input",
                            rows / "train.jsonl", "--output", head], check=True, stdout=subprocess.DEVNULL)
            command = [arguments.build / "bench_forest", head, rows / "eval.jsonl"]
            if compile_forest(head, library):
                command.append(library)
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(json.dumps({"data": name, **result}))


if __name__ == "__main__":
    main()
