"""One peer with one model, in a process of its own, on orders from bench/peers.

Started with one argument of JSON: engine, model, precision, threads, files (directory for what it makes of the model), and
for encoders rows (lists of token ids), calibration (others), batch and passes, for decoders prompt and generate. Says
{"ready": version} when loaded; then for every line "measure" its figures, for "embed" the normalised means of the first
rows' hidden states.
"""
import contextlib
import json
import logging
import pathlib
import statistics
import sys
import time

import numpy as np

from bert_network import Bert, write_ctranslate2, write_onnx

EMBEDDED = 32  # rows whose embeddings are compared


def made_once(path, make):
    """The path, made under another name first, so that a stopped run leaves nothing half-written."""
    path = pathlib.Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name("making-" + path.name)
        make(scratch)
        scratch.rename(path)
    return str(path)


def padded(batch):
    longest = max(len(ids) for ids in batch)
    ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), np.int64)
    for i, row in enumerate(batch):
        ids[i, :len(row)], mask[i, :len(row)] = row, 1
    return {"input_ids": ids, "attention_mask": mask}


def batches_of(rows, size):
    return [rows[i:i + size] for i in range(0, len(rows), size)]


class EncoderPeer:
    """hidden(fed) -> [batch, tokens, width] of what fed(batch of ids) prepared outside the clock."""

    def __init__(self, order):
        self.rows, self.batch, self.calibration = order["rows"], order["batch"], order["calibration"]
        self.passes = order["passes"]
        self.network = pathlib.Path(order["files"]) / order["model"].replace(":", "-").rstrip("/").rsplit("/", 1)[-1]

    fed = staticmethod(padded)

    def onnx(self, order):
        return made_once(self.network / "model.onnx", lambda path: write_onnx(Bert(order["model"]), path))

    def measure(self):
        batches = [self.fed(batch) for batch in batches_of(self.rows, self.batch)]
        seconds = []
        for _ in range(self.passes):
            started = time.perf_counter()
            for batch in batches:
                self.hidden(batch)
            seconds.append(time.perf_counter() - started)
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

    def __init__(self, order):
        super().__init__(order)
        import onnxruntime
        path = self.fused(order)
        if order["precision"] == "int8":
            path = self.quantised(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = order["threads"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.version = onnxruntime.__version__

    def fused(self, order):
        from onnxruntime.transformers import optimizer
        source, network = self.onnx(order), Bert(order["model"])

        def make(path):
            model = optimizer.optimize_model(source, model_type="bert", num_heads=network.heads, hidden_size=network.width,
                                             opt_level=0)
            model.save_model_to_file(str(path))
        return made_once(self.network / "fused.onnx", make)

    def quantised(self, source):
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic
        # The fused operators are of ONNX Runtime's own domain, whose outputs its shape inference does not type.
        return made_once(self.network / "fused-int8.onnx",
                         lambda path: quantize_dynamic(source, str(path), weight_type=QuantType.QInt8,
                                                       extra_options={"DefaultTensorType": TensorProto.FLOAT}))

    def hidden(self, fed):
        return self.session.run(None, fed)[0]


class OpenVino(EncoderPeer):
    """fp32 and bf16 by the hint of precision; int8 by nncf's quantisation after training."""

    def __init__(self, order):
        super().__init__(order)
        import openvino
        path = self.onnx(order)
        if order["precision"] == "int8":
            path = self.quantised(path)
        hints = {"INFERENCE_NUM_THREADS": order["threads"], "PERFORMANCE_HINT": "LATENCY",
                 "INFERENCE_PRECISION_HINT": "bf16" if order["precision"] == "bf16" else "f32"}
        self.model = openvino.Core().compile_model(path, "CPU", hints)
        self.request = self.model.create_infer_request()
        self.version = openvino.__version__.split("-")[0]

    def quantised(self, source):
        import nncf
        import openvino

        def make(path):
            rows = [padded([ids]) for ids in self.calibration]
            model = nncf.quantize(openvino.Core().read_model(source), nncf.Dataset(rows),
                                  model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows))
            path.mkdir(exist_ok=True)
            openvino.save_model(model, path / "model.xml", compress_to_fp16=False)
        return made_once(self.network / "openvino-int8", make) + "/model.xml"

    def hidden(self, fed):
        return self.request.infer(fed)["hidden"]


class CTranslate2(EncoderPeer):
    def __init__(self, order):
        super().__init__(order)
        import ctranslate2
        folder = made_once(self.network / "ctranslate2", lambda path: write_ctranslate2(Bert(order["model"]), path))
        kind = {"fp32": "float32", "bf16": "bfloat16"}.get(order["precision"], order["precision"])
        self.encoder = ctranslate2.Encoder(folder, device="cpu", compute_type=kind, inter_threads=1,
                                           intra_threads=order["threads"])
        self.version = ctranslate2.__version__

    @staticmethod
    def fed(batch):
        return batch

    def hidden(self, fed):
        return self.encoder.forward_batch(fed).last_hidden_state


class LlamaCppPeer:
    def __init__(self, order):
        from importlib.metadata import version

        from llama_cpp import LlamaCpp
        self.prompt_tokens, self.generate = order["prompt"], order["generate"]
        self.peer = LlamaCpp(order["model"], context=self.prompt_tokens + self.generate, threads=order["threads"])
        self.prompt = [int(i) for i in np.random.default_rng(0).integers(1000, 20000, self.prompt_tokens)]
        self.version = version("xllamacpp")

    def measure(self):
        self.peer.clear()
        started = time.perf_counter()
        token = int(self.peer.run(self.prompt)[0].argmax())
        between = time.perf_counter()
        for _ in range(self.generate):
            token = int(self.peer.run([token])[0].argmax())
        ended = time.perf_counter()
        return {"prompt": self.prompt_tokens / (between - started), "generate": self.generate / (ended - between)}


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ctranslate2": CTranslate2, "llama.cpp": LlamaCppPeer}


def main():
    logging.disable(logging.WARNING)
    order = json.loads(sys.stdin.readline())
    answers = sys.stdout

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    with contextlib.redirect_stdout(sys.stderr):
        try:
            peer = ENGINES[order["engine"]](order)
            peer.measure()  # some of them compile for every length that they meet
        except Exception as error:  # whatever a peer's library throws is its reason for not taking part
            return say({"refused": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"})
        say({"ready": peer.version})
        for line in sys.stdin:
            say(getattr(peer, line.strip())())


if __name__ == "__main__":
    main()
