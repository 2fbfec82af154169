"""openvino-genai and onnxruntime-genai with a decoder, for peer_worker.py: prompt and greedy generation in tokens/s, and logits.

Both quantise the weights themselves: int8 and int4, by optimum-intel with nncf and by onnxruntime_genai.models.builder.
"""
import json
import time

import numpy as np

from peer_text import TextPeer


class OpenVinoGenAi(TextPeer):
    """With its attention over pages or scaled dot products as one operation, whichever reads the prompt faster."""

    def __init__(self, order, files):
        import openvino
        self.folder = files.openvino_text(order["precision"])
        self.version = openvino.__version__.split("-")[0]
        self.hints = {"INFERENCE_NUM_THREADS": order["threads"], "PERFORMANCE_HINT": "LATENCY"}
        self.prepare(order, files.vocabulary())
        self.backend = None
        self.open(self.faster(("PA", "SDPA"), self.speed_with))

    @property
    def isa(self):
        return f"chosen at run time; attention {'over pages' if self.backend == 'PA' else 'as one operation'}"

    def speed_with(self, backend):
        self.open(backend)
        return self.read(self.prompts[0])["prompt"]

    def open(self, backend):
        import openvino_genai
        if backend == self.backend:
            return
        self.backend = backend
        hints = dict(self.hints, ATTENTION_BACKEND=backend)
        if backend == "PA":
            scheduler = openvino_genai.SchedulerConfig()
            scheduler.enable_prefix_caching = False  # or a prompt's second reading is none
            scheduler.max_num_batched_tokens = max(256, *map(len, self.prompts))
            hints["scheduler_config"] = scheduler
        self.pipeline = openvino_genai.LLMPipeline(self.folder, "CPU", **hints)

    def read(self, ids, generate=1):
        import openvino
        import openvino_genai
        settings = openvino_genai.GenerationConfig()
        settings.max_new_tokens, settings.ignore_eos, settings.do_sample = generate + 1, True, False
        result = self.pipeline.generate(openvino.Tensor(np.array([ids], np.int64)), settings)
        if len(result.tokens[0]) != generate + 1:
            raise RuntimeError(f"wrote {len(result.tokens[0])} tokens in place of {generate + 1}")
        told = result.perf_metrics
        return {"prompt": 1e3 * len(ids) / told.get_ttft().mean, "generate": 1e3 / told.get_tpot().mean}

    def logits(self, ids):
        """Of the exported network itself, as the pipeline compiles it."""
        import openvino
        compiled = openvino.Core().compile_model(self.folder + "/openvino_model.xml", "CPU", self.hints)
        count = len(ids)
        fed = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, count), np.int64),
               "position_ids": np.arange(count, dtype=np.int64)[None], "beam_idx": np.zeros(1, np.int32)}
        names = {name for port in compiled.inputs for name in port.names}
        return np.asarray(compiled.create_infer_request().infer({key: value for key, value in fed.items() if key in names})["logits"])[0]


class OnnxGenAi(TextPeer):
    """Weights in blocks of 32, products in 8-bit integers (accuracy level 4)."""

    isa = "chosen at run time by cpuid; says not which"

    def __init__(self, order, files):
        import onnxruntime_genai
        config = onnxruntime_genai.Config(files.onnx_text(order["precision"]))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": order["threads"]}}}}))
        self.model = onnxruntime_genai.Model(config)
        self.version = onnxruntime_genai.__version__
        self.prepare(order, files.vocabulary())

    def generator(self, length):
        import onnxruntime_genai
        settings = onnxruntime_genai.GeneratorParams(self.model)
        settings.set_search_options(max_length=length, min_length=length, do_sample=False)
        return onnxruntime_genai.Generator(self.model, settings)

    def read(self, ids, generate=1):
        generator = self.generator(len(ids) + generate + 1)
        started = time.perf_counter()
        generator.append_tokens(np.array(ids, np.int32))
        generator.generate_next_token()
        between = time.perf_counter()
        for _ in range(generate):
            generator.generate_next_token()
        return {"prompt": len(ids) / (between - started), "generate": generate / (time.perf_counter() - between)}

    def logits(self, ids):
        generator = self.generator(len(ids) + 1)
        generator.append_tokens(np.array(ids, np.int32))
        return np.asarray(generator.get_output("logits"))[0]
