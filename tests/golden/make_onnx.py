#!/usr/bin/env python3
"""Writes onnx/: exports of tiny models and the tensors that a reader is to find in them.

Needs torch, transformers, onnx, onnxruntime and safetensors (checked with torch 2.15, transformers 4.57, onnx 1.23,
onnxruntime 1.32). NAME.safetensors holds PyTorch's own tensors, or, for quantised files, what the package onnx
computes from their integers.
"""
import pathlib
import sys

import numpy as np
import onnx
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).resolve().parent / "onnx"


def export(model, inputs, names, path):
    model.eval()
    torch.onnx.export(model, inputs, str(path), opset_version=14, dynamo=False, input_names=names,
                      dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names})
    slim(path)


def slim(path):
    """Without places in Python's sources and shapes of values, and with short names of values: small files."""
    model = onnx.load(path)
    kept = {tensor.name for tensor in (*model.graph.input, *model.graph.output, *model.graph.initializer)}
    short = {}
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for values in (node.input, node.output):
            values[:] = [name if not name or name in kept else short.setdefault(name, f"v_{len(short)}")
                         for name in values]
    path.write_bytes(model.SerializeToString())


def tensors_of(module, prefix=""):
    return {prefix + name: value.numpy() for name, value in module.state_dict().items()}


def redraw(model):
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


def bert():
    config = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
                                     vocab_size=19, max_position_embeddings=10, num_labels=3, return_dict=False,
                                     attn_implementation="eager")
    model = redraw(transformers.BertForSequenceClassification(config))
    ids = torch.randint(1, 19, (2, 5))
    export(model, (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"], FOLDER / "bert.onnx")
    save_file(tensors_of(model), FOLDER / "bert.safetensors")
    return tensors_of(model)


def int8(names):
    """Per column, and with Gemm made MatMul over turned weights; a linear layer is called after its module."""
    quantize_dynamic(FOLDER / "bert.onnx", FOLDER / "bert_int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    slim(FOLDER / "bert_int8.onnx")
    graph = onnx.load(FOLDER / "bert_int8.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {name: value for name, value in names.items() if name in stored}
    for name, value in stored.items():
        if not name.endswith("_quantized"):
            continue
        base = name[:-len("_quantized")]
        scale, zero = stored[base + "_scale"], stored[base + "_zero_point"]
        number = ((value.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale).astype(np.float32)
        readers = [node.name for node in graph.node if name in node.input and node.op_type == "MatMulInteger"]
        if base.startswith("onnx::"):
            base = readers[0].rsplit("/", 1)[0][1:].replace("/", ".") + ".weight"
        base = base.removesuffix("_Transposed")
        weights[base] = np.ascontiguousarray(number.T if readers else number)
    assert weights.keys() == names.keys(), weights.keys() ^ names.keys()
    save_file(weights, FOLDER / "bert_int8.safetensors")


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.m = model

    def forward(self, ids, states):
        hidden = self.m.decoder(input_ids=ids, encoder_hidden_states=states, use_cache=False)[0]
        return self.m.lm_head(hidden)


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.enc = model.encoder

    def forward(self, ids):
        return self.enc(input_ids=ids)[0]


def t5():
    config = transformers.T5Config(d_model=8, d_kv=3, d_ff=12, num_layers=1, num_decoder_layers=1, num_heads=2,
                                   vocab_size=19, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
                                   relative_attention_num_buckets=8, relative_attention_max_distance=20)
    model = redraw(transformers.T5ForConditionalGeneration(config))
    ids = torch.randint(1, 19, (2, 5))
    export(Encoder(model), (ids,), ["ids"], FOLDER / "encoder.onnx")
    export(Decoder(model), (ids, torch.randn(2, 4, 8)), ["ids", "states"], FOLDER / "decoder.onnx")
    weights = tensors_of(model)
    del weights["decoder.embed_tokens.weight"]  # shared.weight: an exporter writes one of the two
    save_file(weights, FOLDER / "t5.safetensors")


def forms():
    """Each way to store values and to read a weight, by hand."""
    random = np.random.default_rng(1)
    weights, tensors, nodes = {}, [], []

    def add(name, values, kind, raw=False, stored=None):
        tensors.append(helper.make_tensor(stored or name, kind, values.shape,
                                          values.tobytes() if raw else values.flatten().tolist(), raw=raw))
        weights[name] = values

    matrix = lambda *shape: random.standard_normal(shape).astype(np.float32)
    add("typed.float", matrix(2, 3), TensorProto.FLOAT)
    add("typed.double", matrix(2, 3).astype(np.float64), TensorProto.DOUBLE)
    add("typed.half", matrix(3).astype(np.float16), TensorProto.FLOAT16)
    add("raw.half", matrix(3, 1).astype(np.float16), TensorProto.FLOAT16, raw=True)
    add("typed.int64", np.array([[-5, 1 << 40]]), TensorProto.INT64)
    add("typed.int32", np.array([-7, 8], np.int32), TensorProto.INT32)
    add("typed.int16", np.array([-7, 8], np.int16), TensorProto.INT16)

    def turned(path, op="MatMul", **attributes):
        """A weight that only its node names, stored as [in, out]."""
        name = path[1:].replace("/", ".") + ".weight"
        weights[name] = matrix(4, 3)
        stored = f"onnx::{op}_{len(tensors)}"
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(weights[name].T), stored))
        nodes.append(helper.make_node(op, ["x", stored], [f"{path}/{op}_output_0"], f"{path}/{op}", **attributes))

    turned("/block/first")
    turned("/block/second", "Gemm")
    # Stored as PyTorch has them: read by Gemm with transB, and through Transpose, here by the name of the bias.
    for name in ("block.third", "block.fourth", "block.fifth"):
        weights[name + ".weight"], weights[name + ".bias"] = matrix(4, 3), matrix(4)
    tensors.append(numpy_helper.from_array(weights["block.third.weight"], "31"))
    tensors.append(numpy_helper.from_array(weights["block.third.bias"], "block.third.bias"))
    nodes.append(helper.make_node("Gemm", ["x", "31", "block.third.bias"], ["g"], "Gemm_1", transB=1))
    tensors.append(numpy_helper.from_array(weights["block.fourth.weight"], "41"))
    tensors.append(numpy_helper.from_array(weights["block.fourth.bias"], "block.fourth.bias"))
    nodes += [helper.make_node("Transpose", ["41"], ["42"], "Transpose_2", perm=[1, 0]),
              helper.make_node("MatMul", ["x", "42"], ["43"], "MatMul_2"),
              helper.make_node("Add", ["block.fourth.bias", "43"], ["44"], "Add_2")]
    # A Constant node inside a branch.
    constant = numpy_helper.from_array(np.ascontiguousarray(weights["block.fifth.weight"].T))
    tensors.append(numpy_helper.from_array(weights["block.fifth.bias"], "block.fifth.bias"))
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["51"], "Constant_3", value=constant),
         helper.make_node("MatMul", ["x", "51"], ["52"], "MatMul_3"),
         helper.make_node("Add", ["52", "block.fifth.bias"], ["53"], "Add_3")],
        "then", [], [helper.make_tensor_value_info("53", TensorProto.FLOAT, None)])
    nodes.append(helper.make_node("If", ["condition"], ["branch"], "If_3", then_branch=branch, else_branch=branch))

    # Integers with a scale and a zero point for each row.
    stored = random.integers(0, 256, (4, 3)).astype(np.uint8)
    scale, zero = np.array([.5, .25, 2, 1], np.float32), np.array([0, 128, 3, 255], np.uint8)
    weights["quantised.weight"] = (stored.astype(np.float32) - zero[:, None]) * scale[:, None]
    for name, value in (("weight_quantized", stored), ("weight_scale", scale), ("weight_zero_point", zero)):
        tensors.append(numpy_helper.from_array(value, "quantised." + name))
    nodes += [helper.make_node("DequantizeLinear", ["quantised.weight_quantized", "quantised.weight_scale",
                                                    "quantised.weight_zero_point"], ["61"], "Dequantise", axis=0),
              helper.make_node("Transpose", ["61"], ["62"], "Transpose_4", perm=[1, 0]),
              helper.make_node("MatMul", ["x", "62"], ["63"], "MatMul_4")]
    graph = helper.make_graph(nodes, "forms", [], [], tensors)
    model = helper.make_model(graph, ir_version=9)
    (FOLDER / "forms.onnx").write_bytes(model.SerializeToString())
    onnx.save(model, FOLDER / "external.onnx", save_as_external_data=True, location="external.data", size_threshold=40)
    save_file(weights, FOLDER / "forms.safetensors")


def main() -> None:
    torch.manual_seed(3)
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    names = bert()
    int8(names)
    t5()
    forms()
    for path in FOLDER.iterdir():
        path.chmod(0o644)
    print(sum(path.stat().st_size for path in FOLDER.iterdir()), "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
