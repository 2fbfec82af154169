"""One case: a configuration and a head, run by the reference library with drawn weights, and written down."""
import dataclasses
import json
import pathlib
import re
import tempfile
import warnings

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

from .drawing import draw, rule_for

OUT = pathlib.Path(__file__).resolve().parents[1]
DTYPES = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8, "BOOL": torch.bool}
# An output of the reference library -> the kind of the case's output.
KINDS = {
    "last_hidden_state": "hidden",
    "pooler_output": "pooled",
    "logits": "logits",
    "start_logits": "start_logits",
    "end_logits": "end_logits",
    "encoder_last_hidden_state": "encoder_hidden",
}
INERT = 1e-2  # an output that moves by less, relative to its largest value, does not show a tensor


@dataclasses.dataclass
class Generation:
    ids: list
    max_new_tokens: int = 16
    eos: list = dataclasses.field(default_factory=list)
    pad: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: object = False
    no_repeat_ngram_size: int = 0
    min_length: int = 0
    forced_bos: int = None
    forced_eos: int = None
    bad_words: list = None
    decoder_start: int = None
    end_at: list = None  # eos are the tokens that the same generation without eos has at these places


@dataclasses.dataclass
class Case:
    name: str
    model: type
    config: transformers.PretrainedConfig
    sequences: list
    rules: list = dataclasses.field(default_factory=list)  # (pattern of the tensor's name, scale or gain, offset)
    rename: list = dataclasses.field(default_factory=list)  # (pattern, replacement): saved name -> the hub's name
    extra: list = dataclasses.field(default_factory=list)  # buffers, copies and unread tensors that hub files have
    drop_keys: list = dataclasses.field(default_factory=list)  # keys that published configurations leave out
    set_keys: dict = dataclasses.field(default_factory=dict)  # keys that published configurations have
    inputs_first: str = r"$^"  # tensors stored as [inputs, outputs]
    generations: list = dataclasses.field(default_factory=list)
    generation_config: dict = None
    saved_by: type = None  # the class that wrote the file, where it has more than `model` reads
    absent: str = r"$^"  # tensors of the saved file that published files do not have
    ignored: str = r"$^"  # tensors of that file that `model` does not read
    single: bool = False  # run in float32, where the library has no float64
    kinds: tuple = ()  # the outputs to keep; all of KINDS when empty


def ragged(vocabulary, lengths=(5, 1, 37, 70), low=0, seed=7, **more):
    """Sequences of uniform ids; more: a field -> the number of its values (type_ids=2)."""
    random = np.random.default_rng(seed)
    sequences = []
    for length in lengths:
        sequence = {"ids": random.integers(low, vocabulary, size=length).tolist()}
        for key, count in more.items():
            sequence[key] = random.integers(0, count, size=length).tolist()
        sequences.append(sequence)
    return sequences


def hub_name(case, name):
    for pattern, replacement in case.rename:
        name = re.sub(pattern, replacement, name)
    return name


def describe_tensors(case, folder):
    """The tensors of the folder that the reference library saved, in the order of their names, with their drawing."""
    tensors = []
    with safe_open(folder / "model.safetensors", "pt") as file:
        for saved in sorted(file.keys()):
            shape = list(file.get_slice(saved).get_shape())
            name = hub_name(case, saved)
            if re.search(case.absent, saved):
                continue
            if file.get_slice(saved).get_dtype() != "F32":
                raise SystemExit(f"{case.name}: {saved} is a buffer; say in `extra` how it is filled")
            scale, offset = rule_for(name, shape, case.rules, bool(re.search(case.inputs_first, name)))
            tensors.append({"name": name, "shape": shape, "scale": scale, "offset": offset})
            if re.search(case.ignored, name):
                tensors[-1]["ignored"] = True
    present = {tensor["name"]: tensor for tensor in tensors}
    for more in case.extra:
        more = dict(more)
        if "same_as" in more:
            more["shape"] = present[more["same_as"]]["shape"]
        tensors.append(more)
    return tensors


def fill(tensor):
    shape = tensor["shape"]
    if not tensor.get("buffer"):
        return torch.from_numpy(draw(tensor.get("same_as", tensor["name"]), shape, tensor["scale"], tensor["offset"]))
    fills = {
        "arange": lambda: torch.arange(shape[-1]).expand(shape),
        "tril": lambda: torch.ones(shape).tril(),
        "value": lambda: torch.full(shape, float(tensor["value"])),
        "rope": lambda: 1.0 / tensor["value"] ** (torch.arange(0, 2 * shape[0], 2).float() / (2 * shape[0])),
    }
    return fills[tensor["fill"]]().to(DTYPES[tensor["dtype"]]).contiguous()


def tensor_values(tensors):
    scales = {tensor["name"]: tensor for tensor in tensors}
    return {t["name"]: fill({**scales[t["same_as"]], **t} if "same_as" in t else t) for t in tensors}


def load(case, folder, tensors, values=None):
    """The reference library's model of the folder with drawn weights, in float64."""
    save_file(values or tensor_values(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    model, info = case.model.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    ignored = {t["name"] for t in tensors if t.get("buffer") or t.get("ignored") or "same_as" in t}
    unexpected = set(info["unexpected_keys"]) - ignored
    unexpected = {key for key in unexpected if not any(key.endswith(name) or name.endswith(key) for name in ignored)}
    missing = [key for key in info["missing_keys"] if not re.search(case.absent, key)]
    if missing or unexpected or info["mismatched_keys"]:
        raise SystemExit(f"{case.name}: the file does not fit the model: {info}")
    return (model if case.single else model.double()).eval()


def arguments(sequence):
    names = {"ids": "input_ids", "type_ids": "token_type_ids", "decoder_ids": "decoder_input_ids",
             "global": "global_attention_mask"}
    return {names[key]: torch.tensor([value]) for key, value in sequence.items()}


def forward(case, model, sequence):
    with torch.no_grad():
        # T5's cache has as many layers as the encoder, which fails for a deeper decoder.
        result = model(**arguments(sequence), **({"use_cache": False} if "decoder_ids" in sequence else {}))
    outputs = {}
    for field, kind in KINDS.items():
        value = getattr(result, field, None)
        if value is not None and (not case.kinds or kind in case.kinds):
            outputs[kind] = value[0].double().numpy()
    return outputs


def check_outputs(case, outputs):
    for sequence in outputs:
        for kind, value in sequence.items():
            if not np.isfinite(value).all():
                raise SystemExit(f"{case.name}: {kind} is not finite")
    for kind in outputs[0]:
        joined = np.concatenate([np.atleast_2d(sequence[kind]).reshape(-1) for sequence in outputs])
        deviation, largest = joined.std(), abs(joined).max()
        rows = [np.atleast_2d(sequence[kind]) for sequence in outputs if np.atleast_2d(sequence[kind]).shape[0] > 1]
        across = min((row.std(0).mean() for row in rows), default=deviation)
        if deviation < 0.05 or across < 0.05 or largest > 400:
            print(f"  ! {case.name}: {kind}: {deviation:.3g}, across tokens {across:.3g}, largest {largest:.3g}")


def movement(outputs, others):
    """The largest relative difference of any kind of output."""
    most = 0.0
    for kind in outputs[0]:
        largest = max(abs(sequence[kind]).max() for sequence in outputs)
        most = max(most, max(abs(a[kind] - b[kind]).max() for a, b in zip(outputs, others)) / largest)
    return most


def parameter_of(model, value):
    """The parameter that holds these values, or None where the library joins, splits or transposes what it reads."""
    for parameter in model.parameters():
        if parameter.shape == value.shape and torch.equal(parameter.detach().double(), value.double()):
            return parameter
    return None


def mark_inert(case, folder, tensors, outputs):
    """Marks the tensors that do not move the output by arithmetic (a key's bias cancels in softmax, for example)."""
    values = tensor_values(tensors)
    model = load(case, folder, tensors, values)
    for tensor in tensors:
        if tensor.get("buffer") or tensor.get("ignored") or "same_as" in tensor:
            continue
        name = tensor["name"]
        redrawn = torch.from_numpy(draw(name + "'", tensor["shape"], tensor["scale"], tensor["offset"]))
        parameter = parameter_of(model, values[name])
        if parameter is None:
            same = {t["name"]: redrawn for t in tensors if t is tensor or t.get("same_as") == name}
            moved = load(case, folder, tensors, {**values, **same})
            others = [forward(case, moved, sequence) for sequence in case.sequences]
        else:
            parameter.data.copy_(redrawn)
            others = [forward(case, model, sequence) for sequence in case.sequences]
            parameter.data.copy_(values[name])
        amount = movement(outputs, others)
        if amount < 1e-5:  # some libraries take softmax in float32
            tensor["inert"] = True
        elif amount < INERT:
            print(f"  ! {case.name}: {name} moves the output by only {amount:.2g}")


def generate(model, generation, eos):
    kwargs = {
        "do_sample": False, "max_new_tokens": generation.max_new_tokens, "num_beams": generation.num_beams,
        "pad_token_id": generation.pad, "eos_token_id": eos or None, "use_cache": False,
        "no_repeat_ngram_size": generation.no_repeat_ngram_size, "min_length": generation.min_length,
        "forced_bos_token_id": generation.forced_bos, "forced_eos_token_id": generation.forced_eos,
        "bad_words_ids": generation.bad_words, "max_length": None,
    }
    if generation.num_beams > 1:
        kwargs |= {"length_penalty": generation.length_penalty, "early_stopping": generation.early_stopping}
    if generation.decoder_start is not None:
        kwargs["decoder_start_token_id"] = generation.decoder_start
    ids = torch.tensor([generation.ids])
    default = model.generation_config
    model.generation_config = transformers.GenerationConfig()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = model.generate(ids, attention_mask=torch.ones_like(ids), **kwargs)[0].tolist()
    finally:
        model.generation_config = default
    return result[1:] if model.config.is_encoder_decoder else result[len(generation.ids):]


def choose_eos(model, generation):
    """End tokens that stop this generation neither at once nor never, where there are such; and what it gives then."""
    if not generation.end_at:
        return generation.eos, generate(model, generation, generation.eos)
    free = generate(model, generation, [])
    for first in range(generation.end_at[0], len(free)):
        places = [place - generation.end_at[0] + first for place in generation.end_at]
        eos = sorted({free[min(place, len(free) - 1)] for place in places})
        expect = generate(model, generation, eos)
        if expect[-1] in eos and 3 < len(expect) < generation.max_new_tokens:
            break
    return eos, expect


def shaken_values(tensors):
    """The drawn weights, each off by a relative 1e-5."""
    random = torch.Generator().manual_seed(1)
    noisy = {
        name: value * (1 + 1e-5 * torch.randn(value.shape, generator=random)) if value.is_floating_point() else value
        for name, value in tensor_values(tensors).items()
    }
    for tensor in tensors:
        if "same_as" in tensor:
            noisy[tensor["name"]] = noisy[tensor["same_as"]].clone()
    return noisy


def generations(case, folder, tensors, model):
    """The ids of every generation.

    A prompt is turned until a change of the weights by 1e-5 does not change what it gives, and it repeats no token
    through.
    """
    shaken = load(case, folder, tensors, shaken_values(tensors))
    out = []
    for generation in case.generations:
        found = []
        for turn in range(min(6, len(generation.ids))):
            turned = dataclasses.replace(generation, ids=generation.ids[turn:] + generation.ids[:turn])
            eos, expect = choose_eos(model, turned)
            if generate(shaken, turned, eos) == expect:
                found.append((min(len(set(expect)), 4), -turn, turned, eos, expect))
                if len(set(expect)) >= 4:
                    break
        if not found:
            raise SystemExit(f"{case.name}: near ties decide every generation of this prompt")
        variety, _, turned, eos, expect = max(found, key=lambda one: one[:2])
        if variety < min(3, len(expect)):
            print(f"  ! {case.name}: a generation repeats itself: {expect}")
        entry = {key: value for key, value in dataclasses.asdict(turned).items() if key != "end_at"}
        out.append({**entry, "do_sample": False, "eos": eos, "expect": expect})
    return out


def lines(key, items, last=False):
    body = ",\n".join("  " + json.dumps(item) for item in items)
    return f' "{key}": [\n{body}\n ]' + ("\n" if last else ",\n")


def write(case, family):
    """Makes FAMILY/CASE.json and FAMILY/CASE.f32; returns their size in bytes."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        (case.saved_by or case.model)(case.config).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        for key in case.drop_keys:
            config.pop(key, None)
        config.update(case.set_keys)
        config["architectures"] = [case.model.__name__]
        (folder / "config.json").write_text(json.dumps(config))
        if case.generation_config is not None:
            (folder / "generation_config.json").write_text(json.dumps(case.generation_config))
        generation_file = folder / "generation_config.json"
        generation_config = json.loads(generation_file.read_text()) if generation_file.exists() else None
        tensors = describe_tensors(case, folder)
        model = load(case, folder, tensors)
        outputs = [forward(case, model, sequence) for sequence in case.sequences]
        check_outputs(case, outputs)
        generated = generations(case, folder, tensors, model)
        mark_inert(case, folder, tensors, outputs)

    numbers, entries = [], []
    offset = 0
    for i, sequence in enumerate(outputs):
        for kind, value in sequence.items():
            entries.append({"kind": kind, "sequence": i, "shape": list(value.shape), "offset": offset})
            offset += value.size
            numbers.append(value.astype("<f4").reshape(-1))
    OUT.joinpath(family).mkdir(parents=True, exist_ok=True)
    data = OUT / family / f"{case.name}.f32"
    np.concatenate(numbers).tofile(data)
    text = f'{{\n "reference": {json.dumps(reference(case))},\n "config": {json.dumps(config)},\n'
    if generation_config is not None:
        text += f' "generation_config": {json.dumps(generation_config)},\n'
    text += lines("tensors", tensors) + lines("sequences", case.sequences)
    if generated:
        text += lines("generations", generated)
    text += lines("outputs", entries, last=True) + "}\n"
    (OUT / family / f"{case.name}.json").write_text(text)
    return data.stat().st_size + len(text)


def reference(case):
    versions = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    return f"{versions}, {'float32' if case.single else 'float64'}"
