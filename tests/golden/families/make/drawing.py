"""Weights drawn by a rule that C++ (tests/families/golden_case.cc) and Python share, so that none is stored.

The seed of a tensor is FNV-1a (64 bits) of its name as the file has it, in UTF-8. Element i in row-major order takes
z = seed + (i + 1) * 0x9E3779B97F4A7C15 mod 2^64 through splitmix64's finaliser (Steele, Lea and Flood 2014);
u = (z >> 40) * 2^-23 - 1 lies in [-1, 1) and is exact in float32; the value is offset + scale * u in double precision,
rounded once to float32. Scales are powers of two: no product is rounded.
"""
import math
import re

import numpy as np

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def seed(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def draw(name, shape, scale, offset):
    with np.errstate(over="ignore"):
        steps = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
        z = np.uint64(seed(name)) + steps * np.uint64(GOLDEN_GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0
    return (offset + scale * u).astype(np.float32).reshape(shape)


def linear_scale(inputs, gain=1.0):
    """The power of two nearest to the scale that keeps the variance of a vector of `inputs` features, times gain."""
    return 2.0 ** round(math.log2(gain * math.sqrt(3.0 / inputs)))


NORM = r"(norm|norms\.\d+|layernorm|LayerNorm|layer_norm|ln_\w+|ln\w*|norm\d|layernorm_embedding)\.(weight|gamma)$"
QUERY_KEY = (
    r"(\bquery|\bkey|query_proj|key_proj|q_lin|k_lin|q_proj|k_proj|\.q|\.k|in_proj|qkv_proj|c_attn|query_key_value|Wqkv"
    r"|pos_proj|pos_q_proj|pos_key_proj|pos_query_proj)\.weight$"
)
TABLE = r"(embed|wte|wpe|shared|relative_attention_bias)[\w.]*\.weight$"

# (pattern, gain or None, offset): the first that is found in the name decides. A gain multiplies linear_scale.
DEFAULTS = [
    (NORM, {"scale": 0.5, "offset": 1.0}),
    (r"embedding_hidden_mapping_in\.weight$|embeddings_project\.weight$", {"gain": 1.0}),
    (r"embed_proj\.weight$|project_(in|out)\.weight$", {"gain": 1.0}),
    (TABLE, {"scale": 1.0}),
    (QUERY_KEY, {"gain": 2.0}),
    (r"(lm_head|embed_out|qa_outputs|classifier[\w.]*|score|decoder)\.weight$", {"gain": 2.0}),
]


def rule_for(name, shape, rules, inputs_first=False):
    """(scale, offset) of a tensor: by the case's own rules, else DEFAULTS, else by the number of dimensions."""
    for pattern, rule in [*rules, *DEFAULTS]:
        if re.search(pattern, name):
            break
    else:
        rule = {"scale": 0.5} if len(shape) < 2 else {"gain": 1.0}
    if "gain" in rule:
        inputs = shape[0] if inputs_first else math.prod(shape[1:])
        return linear_scale(inputs, rule["gain"]), rule.get("offset", 0.0)
    return rule["scale"], rule.get("offset", 0.0)
