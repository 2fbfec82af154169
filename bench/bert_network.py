"""A BERT encoder as NumPy weights, and the files that the peers read: ONNX and CTranslate2's directory.

The ONNX graph is the published network written node by node (opset 17, exact GELU by Erf, products with their weights
transposed), in the patterns that PyTorch's exporter leaves and that the peers' optimisers look for. Output: the hidden
states [batch, tokens, width]. Needs numpy; onnx or ctranslate2 for what it writes.
"""
import json
import pathlib
import struct

import numpy as np

# google-bert/bert-base-uncased's config.json; weights random, of the size BERT initialises them with.
SHAPES = {"bert-base-uncased": {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                                "intermediate_size": 3072, "max_position_embeddings": 512, "layer_norm_eps": 1e-12}}


def read_safetensors(path):
    """F32 tensors by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors


class Bert:
    """config as in config.json; weight(name): one tensor by its name in the Hugging Face folder."""

    def __init__(self, model):
        if model.startswith("shape:"):
            self.config, self._random = SHAPES[model.removeprefix("shape:")], np.random.default_rng(1)
            self._tensors = {}
        else:
            folder = pathlib.Path(model)
            self.config, self._random = json.loads((folder / "config.json").read_text(encoding="utf-8")), None
            self._tensors = read_safetensors(folder / "model.safetensors")
        self.layers, self.heads = self.config["num_hidden_layers"], self.config["num_attention_heads"]
        self.width, self.inner = self.config["hidden_size"], self.config["intermediate_size"]

    def _shape(self, name):
        if name.endswith("embeddings.weight"):
            key = {"word": "vocab_size", "position": "max_position_embeddings"}.get(name.split(".")[1].split("_")[0])
            return (self.config[key] if key else 2, self.width)
        rows = self.inner if "intermediate" in name else self.width
        if "LayerNorm" in name or name.endswith("bias"):
            return (rows,)
        return (rows, self.inner if ".output.dense" in name and "attention" not in name else self.width)

    def weight(self, name):
        if self._random is None:
            return self._tensors[name]
        if name not in self._tensors:
            if "LayerNorm" in name:
                made = np.full(self._shape(name), float(name.endswith("weight")), np.float32)
            else:
                made = self._random.normal(0, 0.02, self._shape(name)).astype(np.float32)
            self._tensors[name] = made
        return self._tensors[name]


def write_onnx(bert, path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, count = [], [], [0]

    def constant(array):
        count[0] += 1
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"constant_{count[0]}"))
        return constants[-1].name

    def node(operation, *inputs, **attributes):
        count[0] += 1
        out = f"{operation}_{count[0]}"
        nodes.append(helper.make_node(operation, list(inputs), [out], name=out, **attributes))
        return out

    def number(value):
        return constant(np.array(value, np.float32))

    def integers(*values):
        return constant(np.array(values, np.int64))

    def linear(x, name):
        product = node("MatMul", x, constant(bert.weight(name + ".weight").T))
        return node("Add", product, constant(bert.weight(name + ".bias")))

    def norm(x, name):
        return node("LayerNormalization", x, constant(bert.weight(name + ".weight")), constant(bert.weight(name + ".bias")),
                    axis=-1, epsilon=bert.config["layer_norm_eps"])

    def heads(x, order):
        shape = integers(0, 0, bert.heads, bert.width // bert.heads)
        return node("Transpose", node("Reshape", x, shape), perm=order)

    words = node("Gather", constant(bert.weight("embeddings.word_embeddings.weight")), "input_ids")
    tokens = node("Slice", node("Shape", "input_ids"), integers(1), integers(2), integers(0))
    # Segment 0 throughout, so its embedding is part of the positions'.
    table = bert.weight("embeddings.position_embeddings.weight") + bert.weight("embeddings.token_type_embeddings.weight")[0]
    places = node("Slice", constant(table), integers(0), tokens, integers(0))
    x = norm(node("Add", words, places), "embeddings.LayerNorm")
    seen = node("Unsqueeze", node("Unsqueeze", "attention_mask", integers(1)), integers(2))
    seen = node("Cast", seen, to=TensorProto.FLOAT)
    mask = node("Mul", node("Sub", number(1), seen), number(np.finfo(np.float32).min))
    for i in range(bert.layers):
        layer = f"encoder.layer.{i}"
        query = heads(linear(x, layer + ".attention.self.query"), [0, 2, 1, 3])
        key = heads(linear(x, layer + ".attention.self.key"), [0, 2, 3, 1])
        value = heads(linear(x, layer + ".attention.self.value"), [0, 2, 1, 3])
        scores = node("Div", node("MatMul", query, key), number((bert.width / bert.heads) ** 0.5))
        shares = node("Softmax", node("Add", scores, mask), axis=-1)
        mixed = node("Transpose", node("MatMul", shares, value), perm=[0, 2, 1, 3])
        mixed = node("Reshape", mixed, integers(0, 0, bert.width))
        x = norm(node("Add", linear(mixed, layer + ".attention.output.dense"), x), layer + ".attention.output.LayerNorm")
        inner = linear(x, layer + ".intermediate.dense")
        erf = node("Add", node("Erf", node("Div", inner, number(2 ** 0.5))), number(1))
        inner = node("Mul", node("Mul", inner, erf), number(0.5))
        x = norm(node("Add", linear(inner, layer + ".output.dense"), x), layer + ".output.LayerNorm")
    nodes.append(helper.make_node("Identity", [x], ["hidden"]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
              for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "tokens", bert.width])
    graph = helper.make_graph(nodes, "bert", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_ctranslate2(bert, folder):
    from ctranslate2.converters import utils
    from ctranslate2.specs import common_spec, transformer_spec

    encoder = transformer_spec.TransformerEncoderSpec(
        bert.layers, bert.heads, pre_norm=False, activation=common_spec.Activation.GELU, layernorm_embedding=True,
        num_source_embeddings=2, embeddings_merge=common_spec.EmbeddingsMerge.ADD)
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    encoder.scale_embeddings = False

    def linear(out, name):
        out.weight, out.bias = bert.weight(name + ".weight"), bert.weight(name + ".bias")
        return out

    def norm(out, name):
        out.gamma, out.beta = bert.weight(name + ".weight"), bert.weight(name + ".bias")

    encoder.embeddings[0].weight = bert.weight("embeddings.word_embeddings.weight")
    encoder.embeddings[1].weight = bert.weight("embeddings.token_type_embeddings.weight")
    encoder.position_encodings.encodings = bert.weight("embeddings.position_embeddings.weight")
    norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for i, out in enumerate(encoder.layer):
        layer = f"encoder.layer.{i}"
        split = [linear(common_spec.LinearSpec(), f"{layer}.attention.self.{part}") for part in ("query", "key", "value")]
        utils.fuse_linear(out.self_attention.linear[0], split)
        linear(out.self_attention.linear[1], layer + ".attention.output.dense")
        norm(out.self_attention.layer_norm, layer + ".attention.output.LayerNorm")
        linear(out.ffn.linear_0, layer + ".intermediate.dense")
        linear(out.ffn.linear_1, layer + ".output.dense")
        norm(out.ffn.layer_norm, layer + ".output.LayerNorm")
    spec.register_vocabulary([f"token_{i}" for i in range(bert.config["vocab_size"])])
    spec.config.unk_token, spec.config.layer_norm_epsilon = "token_0", bert.config["layer_norm_eps"]
    spec.validate()
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
