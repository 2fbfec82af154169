#!/usr/bin/env python3
"""GGUF files beside llama.cpp, in both directions: Hugging Face folders of any size, such as tiny random ones.

Usage: bench/check_gguf.py [--wattle build/wattle] [--environment build/peers] MODEL...

MODEL is a folder, or a case of tests/golden/families (a JSON file, whose weights are drawn). A folder without a tokenizer gets one
without a language in a copy, since llama.cpp wants one (small_tokenizers.py). Of each model:
  ours    `wattle convert` to F32 is loaded by llama.cpp: log-probabilities of given ids by both within 1e-3, 64 greedy ids equal
          (fewer where the context is shorter); of encoders the hidden states, relative to the largest, within 1e-3
  theirs  the file of llama.cpp's convert_hf_to_gguf.py is loaded by Wattle: the same numbers as from the folder, within 1e-4,
          and the same ids
--loss shows in place of these how near a file at Q8_0 comes to F32 by either program.
An architecture that llama.cpp's converter does not have is named and counts as passed. Exits with 1 when a bar is missed.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from peers_install import Environment
from small_tokenizers import write_tokenizer

HERE = pathlib.Path(__file__).resolve().parent
FAMILIES = HERE.parent / "tests" / "golden" / "families"
GREEDY, LENGTHS = 64, (1, 7, 33)
LOG_PROBABILITY, HIDDEN, SAME = 1e-3, 1e-3, 1e-4
TRANSLATORS = {"t5", "mt5", "umt5", "bart", "mbart", "pegasus", "led", "m2m_100", "marian"}
ENCODERS = {"bert", "distilbert", "roberta", "xlm-roberta", "camembert", "albert", "electra", "deberta", "deberta-v2", "mpnet",
            "modernbert"}

# What its library computes whatever a file says.
COMPUTED = {"gpt_neox": lambda config: config.update(hidden_act="gelu_new"),
            "phi3": lambda config: config.update(sliding_window=None)}  # its windows are switched off, with a warning
# What configurations llama.cpp, or its converter alone, has no room for: by model_type, whether this one is of them, and why.
DEEPER = (lambda config: config.get("num_decoder_layers", 0) > config["num_layers"], "no decoder deeper than its encoder")
LACKING = {"t5": DEEPER, "mt5": DEEPER,
           "gemma3_text": (lambda config: config.get("attention_bias", False), "no biases of attention")}
CONVERTER_LACKING = {
    "gemma3_text": (lambda config: config.get("sliding_window_pattern", 6) != 6 or config.get("rope_local_base_freq", 10000) != 10000,
                    "no period of windows but 6, no local base of rotations but 10,000"),
    "gpt_bigcode": (lambda config: config.get("n_inner") not in (None, 4 * config["n_embd"]), "no inner width but 4 times the width"),
    "stablelm": (lambda config: config.get("rope_theta", 10000) != 10000, "no base of rotations but 10,000"),
    "phi": (lambda config: config["intermediate_size"] != 4 * config["hidden_size"], "no inner width but 4 times the width"),
}


class Missed(Exception):
    """Why a check is not passed."""


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Missed(f"{pathlib.Path(words[0]).name} {words[1]}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def write_case(path, folder):
    """The folder of a golden case: its configuration, and its weights by the drawing rule of its generator."""
    sys.path.insert(0, str(FAMILIES))
    from make.case import tensor_values
    from safetensors.torch import save_file

    case = json.loads(path.read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(case["config"]), encoding="utf-8")
    if case.get("generation_config"):
        (folder / "generation_config.json").write_text(json.dumps(case["generation_config"]), encoding="utf-8")
    save_file(tensor_values(case["tensors"]), folder / "model.safetensors", metadata={"format": "pt"})


# What llama.cpp and its converter ask for, or take for granted, in place of what a configuration leaves out or may say.
TAKEN = {"gpt2": lambda config: config.setdefault("n_ctx", config["n_positions"]),
         "gpt_neox": lambda config: config.update(rotary_emb_base=10000),
         "bloom": lambda config: config.setdefault("seq_length", 2048),
         "t5": lambda config: config.update(relative_attention_max_distance=128),
         "mt5": lambda config: config.update(relative_attention_max_distance=128),
         "modernbert": lambda config: config.setdefault("layer_norm_eps", config.get("norm_eps", 1e-5)),
         "mistral": lambda config: config.update(sliding_window=None),
         "starcoder2": lambda config: config.update(sliding_window=None),
         "gemma": lambda config: config.update(rope_theta=10000.0),
         "gemma2": lambda config: config.update(rope_theta=10000.0, query_pre_attn_scalar=config["head_dim"]),
         "gemma3_text": lambda config: config.update(query_pre_attn_scalar=config["head_dim"])}


class Model:
    """A folder with a tokenizer, what is asked of it, and the answers of both programs."""

    def __init__(self, arguments, source, folder, tree):
        self.wattle, self.threads, self.tree, self.folder = arguments.wattle, arguments.threads, tree, folder
        if source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=os.symlink)
        else:
            write_case(source, folder)
        write_tokenizer(folder)
        path = folder / "config.json"
        config = self.whole_config = json.loads(path.read_text(encoding="utf-8"))
        self.config = config.get("text_config", config)
        kind = self.config["model_type"]
        path.unlink()  # perhaps a link to the source
        self.change(TAKEN, config)
        self.is_translator, self.is_encoder = kind in TRANSLATORS, kind in ENCODERS
        self.context = min(int(self.config.get(key)) for key in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length",
                                                                 "vocab_size", "model_max_length")
                           if isinstance(self.config.get(key), int)) if not self.is_translator else 512
        self.context = min(max(self.context, 64), 512) if kind not in ENCODERS else min(self.context, 64)
        self.rows = self.questions()

    def change(self, changes, config):
        changes.get(self.config["model_type"], lambda _: None)(self.config)
        (self.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def questions(self):
        random, size, rows = np.random.default_rng(3), self.config["vocab_size"], []
        for i, length in enumerate(LENGTHS):
            # Ids from 4 on: no padding, whose place in some encoders' positions llama.cpp does not know.
            row = {"id": i, "ids": random.integers(min(4, size - 1), size, min(length, self.context - 4)).tolist()}
            if self.is_translator:
                start = self.config.get("decoder_start_token_id", 0)
                row["decoder_ids"] = [start, *random.integers(min(4, size - 1), size, 5 + i).tolist()]
            rows.append(row)
        return rows

    @property
    def greedy_count(self):
        used = 1 if self.is_translator else len(self.rows[1]["ids"])
        return min(GREEDY, self.context - used)

    def ours(self, model, task, *flags):
        with tempfile.TemporaryDirectory() as scratch:
            source, out = pathlib.Path(scratch) / "rows.jsonl", pathlib.Path(scratch) / "out.jsonl"
            rows = self.rows if task != "generate" else [{key: self.rows[1][key] for key in ("id", "ids")}]
            source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            run(self.wattle, "run", model, "--task", task, "--input", source, "--output", out, "--quiet", "--cache", "F32",
                "--threads", self.threads, *flags)
            return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    def our_numbers(self, model):
        """[rows, width] of each question: logits, or an encoder's hidden states."""
        task = "hidden" if self.is_encoder else "logits"
        return [np.asarray(row[task], np.float64) for row in self.ours(model, task)]

    def our_greedy(self, model):
        row, = self.ours(model, "generate", "--ignore-eos", "--max-tokens", str(self.greedy_count))
        return row["ids"]

    def their_numbers(self, path):
        from ggml_peer import GgmlModel
        peer = GgmlModel(path, context=self.context, threads=self.threads, exact=True, hidden=self.is_encoder)
        out, greedy = [], None
        for row in self.rows:
            if self.is_encoder:
                out.append(peer.hidden_states(row["ids"]))
                continue
            peer.clear()
            if self.is_translator:
                peer.encode(row["ids"])
            out.append(peer.run(row["decoder_ids"] if self.is_translator else row["ids"], all_logits=True))
        if not self.is_encoder:
            prompt = self.rows[1]["ids"]
            peer.clear()
            if self.is_translator:
                peer.encode(prompt)
                prompt = [peer.lib.llama_model_decoder_start_token(peer.model)]
            greedy = peer.greedy(prompt, self.greedy_count, ignore_end=True)
        return [self.left_out * np.asarray(values, np.float64) for values in out], greedy

    @property
    def left_out(self):
        """T5's scale of an output that is tied to the embedding, which llama.cpp does not apply."""
        is_tied = self.config["model_type"] in ("t5", "mt5") and self.config.get("tie_word_embeddings", True)
        return self.config["d_model"] ** -0.5 if is_tied else 1.0


def log_probabilities(logits):
    most = logits.max(-1, keepdims=True)
    return logits - most - np.log(np.exp(logits - most).sum(-1, keepdims=True))


def difference(model, ours, theirs):
    """Largest difference: of log-probabilities, or of hidden states relative to their largest."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            raise Missed(f"shapes {a.shape} and {b.shape}")
        worst = max(worst, np.abs(a - b).max() / np.abs(b).max() if model.is_encoder
                    else np.abs(log_probabilities(a) - log_probabilities(b)).max())
    return float(worst)


def same_ids(ours, theirs):
    first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
    if first is not None or len(ours) != len(theirs):
        raise Missed(f"greedy ids differ from place {first if first is not None else min(len(ours), len(theirs))} on")


def check_ours(model, scratch):
    path = scratch / "ours.gguf"
    model.change(COMPUTED, model.whole_config)
    run(model.wattle, "convert", model.folder, path, "--to", "F32")
    try:
        theirs, greedy = model.their_numbers(path)
    except SystemExit as reason:
        raise Missed(str(reason)) from reason
    worst, bar = difference(model, model.our_numbers(path), theirs), HIDDEN if model.is_encoder else LOG_PROBABILITY
    if worst > bar:
        raise Missed(f"{worst:.2g}, over {bar:g}")
    if greedy is not None:
        same_ids(model.our_greedy(path), greedy)
    return worst, len(greedy or [])


def cosine(a, b):
    """Of all numbers of all questions together."""
    a, b = (np.concatenate([values.ravel() for values in side]) for side in (a, b))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def show_loss(arguments, source):
    """What a file at Q8_0 loses by each program's products: cosines to the numbers of F32."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "folder").mkdir()
        model = Model(arguments, source, scratch / "folder", None)
        model.change(COMPUTED, model.whole_config)
        for precision in ("F32", "Q8_0"):
            run(model.wattle, "convert", model.folder, scratch / f"{precision}.gguf", "--to", precision)
        exactly, ours = (model.our_numbers(scratch / f"{precision}.gguf") for precision in ("F32", "Q8_0"))
        theirs, _ = model.their_numbers(scratch / "Q8_0.gguf")
        print(f"{source}: Q8_0 to F32: Wattle {cosine(ours, exactly):.5f}, llama.cpp {cosine(theirs, exactly):.5f}; "
              f"one to the other {cosine(ours, theirs):.5f}", flush=True)
    return True


def check_theirs(model, path):
    worst = 0.0
    for a, b in zip(model.our_numbers(path), model.our_numbers(model.folder), strict=True):
        worst = max(worst, float(np.abs(a - b).max() / np.abs(b).max()))
    if worst > SAME:
        raise Missed(f"{worst:.2g}, over {SAME:g}")
    greedy = [] if model.is_encoder else model.our_greedy(model.folder)
    if greedy:
        same_ids(model.our_greedy(path), greedy)
    return worst, len(greedy)


def lacking(table, config):
    """Why the configuration is one of the table's, or None."""
    applies, reason = table.get(config["model_type"], (lambda _: False, None))
    return reason if applies(config) else None


def checked(label, check, *arguments):
    try:
        worst, greedy = check(*arguments)
    except Missed as reason:
        return False, f"{label} MISSED ({reason})"
    return True, f"{label} {worst:.1e}" + (f", {greedy} ids equal" if greedy else "")


def check(arguments, source, tree):
    from peer_models import Files
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "folder").mkdir()
        model = Model(arguments, source, scratch / "folder", tree)
        if reason := lacking(LACKING, model.config):
            print(f"{source}: not in llama.cpp ({reason})", flush=True)
            return True
        results = []
        if reason := lacking(CONVERTER_LACKING, model.config):
            results.append((True, f"theirs: not in its converter ({reason})"))
        else:
            try:
                path = Files(model.folder, scratch, tree).gguf("f32")
                results.append(checked("theirs", check_theirs, model, path))
            except RuntimeError as reason:
                if "not supported" in str(reason):
                    print(f"{source}: not in llama.cpp ({reason})", flush=True)
                    return True
                results.append((False, f"theirs MISSED (convert_hf_to_gguf.py: {reason})"))
        results.append(checked("ours", check_ours, model, scratch))
        print(f"{source}: {'; '.join(text for _, text in results)}", flush=True)
        return all(passed for passed, _ in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wattle", default="build/wattle")
    parser.add_argument("--environment", default="build/peers", help="of the peers (bench/peers --prepare makes it)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loss", action="store_true", help="show instead how much is lost at Q8_0 by both programs")
    parser.add_argument("model", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    environment = Environment(arguments.environment)
    if environment.exact.exists():
        os.environ["LLAMA_CPP_LIB_PATH"] = str(environment.exact)
    else:
        print("llama.cpp takes GELU from its table of half-precision values here: 2e-3 of a difference may be its own", file=sys.stderr)
    if importlib.util.find_spec("llama_cpp") is None:
        if not environment.python.exists():
            raise SystemExit(f"{environment.folder} has no environment of the peers; make it with bench/peers --prepare")
        os.execve(environment.python, [str(environment.python), *sys.argv], os.environ)
    checks = show_loss if arguments.loss else lambda arguments, source: check(arguments, source, environment.tree)
    return 0 if all([checks(arguments, source) for source in arguments.model]) else 1


if __name__ == "__main__":
    sys.exit(main())
