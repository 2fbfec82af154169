"""One peer with one model, in a process of its own, on orders from bench/peers.

Reads a line of JSON: engine, precision, kind ("encoder", "decoder" or "translator"), model (a Hugging Face folder or a GGUF
file), files (directory for what is made of it), tree (llama.cpp's source), threads; for encoders rows (lists of token ids),
calibration (others), batch and passes; for the others prompts (lengths), generate (tokens) and beams; for decoders text, ids and
truth, the files of the token ids that are compared and of their logits in single precision. Says {"ready": version, "isa": what
its kernels use} when loaded and warm; then for every line "measure" its figures, for "embed" the normalised means of the first
rows' hidden states, for "ids" the token ids of the text, for "kl" its logits' divergence from the truth. Decoders also get
sequences (how many texts write together, each list entry a measurement) and sequence_prompt (tokens of each text before).

Figures: encoders rows_per_s. Decoders and translators tokens/s: prompt (the first; a translator: its encoder), prompt_N (further
ones), generate (greedy, after the first), beams (steps of a beam search of that width a second), sequences_N (tokens of all N).
CTranslate2 does encoder, prompt and steps in one call: what a step takes is the difference between the call with all steps and
the call with one.
"""
import json
import logging
import os
import re
import statistics
import sys
import tempfile
import time

# DeBERTa's scripted functions would be branches in an exported graph, which OpenVINO refuses; traced they are not.
os.environ["PYTORCH_JIT"] = "0"

import numpy as np  # noqa: E402

from peer_genai import OnnxGenAi, OpenVinoGenAi  # noqa: E402
from peer_models import Files, padded  # noqa: E402
from peer_text import COMPARED, TextPeer  # noqa: E402

EMBEDDED = 32  # rows whose embeddings are compared


def batches_of(rows, size):
    return [rows[i:i + size] for i in range(0, len(rows), size)]


def seconds_of(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class EncoderPeer:
    """hidden(fed) -> [batch, tokens, width] of what fed(batch of ids) prepared outside the clock."""

    def __init__(self, order, files):
        self.rows, self.batch, self.passes = order["rows"], order["batch"], order["passes"]

    fed = staticmethod(padded)

    def measure(self):
        batches = [self.fed(batch) for batch in batches_of(self.rows, self.batch)]
        seconds = [seconds_of(lambda: [self.hidden(batch) for batch in batches]) for _ in range(self.passes)]
        return {"rows_per_s": len(self.rows) / statistics.median(seconds)}

    def embed(self):
        out = []
        for batch in batches_of(self.rows[:EMBEDDED], self.batch):
            hidden = np.asarray(self.hidden(self.fed(batch)), np.float32)
            for i, ids in enumerate(batch):
                mean = hidden[i, :len(ids)].mean(0)
                out.append((mean / np.linalg.norm(mean)).tolist())
        return {"embeddings": out}


class OnnxRuntime(EncoderPeer):
    """fp32: the network with its layers fused by onnxruntime.transformers; int8: that with dynamic quantisation."""

    isa = "chosen at run time by cpuid; says not which"

    def __init__(self, order, files):
        super().__init__(order, files)
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = order["threads"]
        path = files.onnx_int8() if order["precision"] == "int8" else files.onnx_fused()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.version = onnxruntime.__version__

    def hidden(self, fed):
        return self.session.run(None, fed)[0]


class OpenVino(EncoderPeer):
    """fp32 and bf16 by the hint of precision; int8 by nncf's quantisation after training."""

    def __init__(self, order, files):
        super().__init__(order, files)
        import openvino
        path = files.openvino_int8(order["calibration"]) if order["precision"] == "int8" else files.onnx_encoder()
        hints = {"INFERENCE_NUM_THREADS": order["threads"], "PERFORMANCE_HINT": "LATENCY",
                 "INFERENCE_PRECISION_HINT": "bf16" if order["precision"] == "bf16" else "f32"}
        self.compiled = openvino.Core().compile_model(path, "CPU", hints)
        self.request = self.compiled.create_infer_request()
        self.version = openvino.__version__.split("-")[0]

    @property
    def isa(self):
        """The kernels of the products, which are chosen when something has run."""
        told = [operation.get_rt_info() for operation in self.compiled.get_runtime_model().get_ops()]
        kinds = {info["primitiveType"].astype(str) for info in told if "FullyConnected" in info["layerType"].astype(str)}
        return ", ".join(sorted(kinds))

    def hidden(self, fed):
        return self.request.infer(fed)["hidden"]


COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}


class CTranslate2:
    def __init__(self, order, files, kind):
        compute = COMPUTE_TYPES[order["precision"]]
        folder = files.ctranslate2(compute)
        with tempfile.TemporaryFile() as log:
            kept = os.dup(2)
            os.dup2(log.fileno(), 2)  # its log, of which the start tells the instruction set
            try:
                import ctranslate2
                ctranslate2.set_log_level(logging.INFO)
                self.model = getattr(ctranslate2, kind)(folder, device="cpu", compute_type=compute, inter_threads=1,
                                                        intra_threads=order["threads"])
            finally:
                os.dup2(kept, 2)
                os.close(kept)
            ctranslate2.set_log_level(logging.ERROR)
            log.seek(0)
            said = dict(re.findall(r" - (Selected ISA|Selected compute type|GEMM_S8 backend|SGEMM backend): (.+)", log.read().decode(errors="replace")))
        self.version = ctranslate2.__version__
        gemm = said.get("GEMM_S8 backend" if order["precision"] == "int8" else "SGEMM backend", "unknown").partition(" ")[0]
        self.isa = f"own kernels {said.get('Selected ISA', 'unknown')}, products by {gemm}, which chooses at run time"


class CTranslate2Encoder(EncoderPeer, CTranslate2):
    def __init__(self, order, files):
        EncoderPeer.__init__(self, order, files)
        CTranslate2.__init__(self, order, files, "Encoder")

    @staticmethod
    def fed(batch):
        return batch

    def hidden(self, fed):
        return self.model.forward_batch(fed).last_hidden_state


class CTranslate2Text(TextPeer, CTranslate2):
    """call(beams, tokens): reads the prompt or source and writes that many tokens."""

    def __init__(self, order, files, kind):
        CTranslate2.__init__(self, order, files, kind)
        folder = files.ctranslate2(COMPUTE_TYPES[order["precision"]])
        with open(folder + "/vocabulary.json" if kind == "Generator" else folder + "/shared_vocabulary.json", encoding="utf-8") as file:
            self.words = json.load(file)
        self.prepare(order, len(self.words))
        self.tokens = [self.words[i] for i in self.prompts[0]]
        self.beams = order["beams"]
        self.sequences, self.sequence_prompt = order.get("sequences", []), order.get("sequence_prompt", 0)

    def measure(self):
        one, whole = (seconds_of(lambda: self.call(1, tokens)) for tokens in (1, self.count))
        step = (whole - one) / (self.count - 1)
        figures = {"prompt": len(self.tokens) / (one - step if self.one_is_a_step else one), "generate": 1 / step}
        if self.beams > 1:
            one, whole = (seconds_of(lambda: self.call(self.beams, tokens)) for tokens in (1, self.count))
            figures["beams"] = (self.count - 1) / (whole - one)
        for together in self.sequences:
            one, whole = (seconds_of(lambda: self.call_together(together, tokens)) for tokens in (1, self.count))
            figures[f"sequences_{together}"] = together * (self.count - 1) / (whole - one)
        return figures


class CTranslate2Decoder(CTranslate2Text):
    one_is_a_step = False  # the first token comes of the prompt's own pass

    def __init__(self, order, files):
        super().__init__(order, files, "Generator")

    def call(self, beams, tokens):
        self.model.generate_batch([self.tokens], beam_size=beams, max_length=tokens, min_length=tokens,
                                  include_prompt_in_result=False)

    def logits(self, ids):
        return np.asarray(self.model.forward_batch([[self.words[i] for i in ids]]))[0]

    def call_together(self, together, tokens):
        prompts = [self.tokens[i:i + self.sequence_prompt] for i in range(together)]
        self.model.generate_batch(prompts, beam_size=1, max_length=tokens, min_length=tokens, include_prompt_in_result=False)


class CTranslate2Translator(CTranslate2Text):
    one_is_a_step = True

    def __init__(self, order, files):
        super().__init__(order, files, "Translator")

    def call(self, beams, tokens):
        self.model.translate_batch([self.tokens], beam_size=beams, max_decoding_length=tokens, min_decoding_length=tokens,
                                   max_input_length=0)


class Ggml(TextPeer):
    """llama.cpp or ik_llama.cpp, with flash attention or without, whichever is faster here."""

    def __init__(self, order, files):
        from ggml_peer import GgmlModel
        path = files.gguf({"int8": "q8_0", "fp32": "f32", "bf16": "bf16"}.get(order["precision"], order["precision"]))
        longest = max(max(order["prompts"]) + order["generate"] + 1, COMPARED)
        self.peer = GgmlModel(path, context=longest, threads=order["threads"], engine=order["engine"],
                              repack=order["kind"] == "decoder")  # ik_llama.cpp packs T5's tables too, and then cannot read them
        self.prepare(order, self.peer.size)
        self.version = "as built"  # DIR/native.json says which
        self.flash = self.faster((False, True), self.speed_with)
        self.peer.new_context(self.flash)
        self.sequences, self.sequence_prompt = order.get("sequences", []), order.get("sequence_prompt", 0)
        self.isa = " ".join([*self.peer.lib.system_info(), "flash attention" if self.flash else "without flash attention"])

    def speed_with(self, flash):
        self.peer.new_context(flash)
        return self.read(self.prompts[0], 1)["prompt"]

    def measure(self):
        figures = super().measure()
        for together in self.sequences:
            figures[f"sequences_{together}"] = self.measure_together(together)
        if self.sequences:
            self.peer.new_context(self.flash)
        return figures

    def measure_together(self, together):
        # ik_llama.cpp's flash attention ends the process where a block of keys is all another text's.
        self.peer.new_context(self.flash and not self.peer.lib.is_ik, together, self.sequence_prompt + self.count + 1)
        tokens = self.peer.read_together([self.prompts[0][i:i + self.sequence_prompt] for i in range(together)])
        started = time.perf_counter()
        for _ in range(self.count):
            tokens = self.peer.continue_together(tokens)
        return together * self.count / (time.perf_counter() - started)

    def read(self, ids, generate):
        peer = self.peer
        peer.clear()
        started = time.perf_counter()
        if peer.has_encoder:
            peer.encode(ids)
            token = peer.lib.llama_model_decoder_start_token(peer.model)
        else:
            token = int(peer.run(ids)[0].argmax())
        between = time.perf_counter()
        for _ in range(generate):
            token = int(peer.run([token])[0].argmax())
        ended = time.perf_counter()
        return {"prompt": len(ids) / (between - started), "generate": generate / (ended - between)}

    def ids(self):
        if not self.order.get("text"):
            return super().ids()
        with open(self.order["text"], encoding="utf-8") as file:
            return {"ids": self.peer.tokenize(file.read(), add_special=True)[:COMPARED]}

    def logits(self, ids):
        self.peer.clear()
        return self.peer.run(ids, all_logits=True)


ENGINES = {("onnxruntime", "encoder"): OnnxRuntime, ("openvino", "encoder"): OpenVino, ("ctranslate2", "encoder"): CTranslate2Encoder,
           ("ctranslate2", "decoder"): CTranslate2Decoder, ("ctranslate2", "translator"): CTranslate2Translator,
           ("llama.cpp", "decoder"): Ggml, ("llama.cpp", "translator"): Ggml, ("ik_llama.cpp", "decoder"): Ggml,
           ("ik_llama.cpp", "translator"): Ggml, ("openvino-genai", "decoder"): OpenVinoGenAi,
           ("onnxruntime-genai", "decoder"): OnnxGenAi}


def refusal_of(error):
    said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return {"refused": f"{type(error).__name__}: {said[:300]}"}


def main():
    logging.disable(logging.WARNING)
    order = json.loads(sys.stdin.readline())
    # Answers go out by a descriptor of their own: libraries print to the process's output, in C too.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        files = Files(order["model"], order["files"], order.get("tree"))
        peer = ENGINES[order["engine"], order["kind"]](order, files)
        peer.measure()  # some of them compile for every length that they meet
    except (Exception, SystemExit) as error:  # whatever a peer's library throws is its reason for not taking part
        return say(refusal_of(error))
    say({"ready": peer.version, "isa": peer.isa})
    for line in sys.stdin:
        try:
            say(getattr(peer, line.strip())())
        except (Exception, SystemExit) as error:
            say(refusal_of(error))


if __name__ == "__main__":
    main()
