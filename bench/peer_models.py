"""The files that the peers read, made of a Hugging Face folder (or a GGUF file as it is) by the peers' usual converters:
torch.onnx and ONNX Runtime's optimiser and dynamic quantisation, nncf, CTranslate2's converter, llama.cpp's convert_hf_to_gguf.py,
optimum-intel, onnxruntime_genai's builder, and transformers for a folder of a GGUF file.
Each is made once, under another name first, so that a stopped run leaves nothing half-written.
"""
import json
import pathlib
import subprocess
import sys

import numpy as np

OPSET = 17
# llama.cpp's converter knows a byte-level vocabulary by a hash of what it makes of a sentence; one without a language has none.
# It stops at GPT-2's masks, which published files hold and nothing reads.
CONVERT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import conversion.base
import conversion.gpt2
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
kept = conversion.gpt2.GPT2Model.filter_tensors
conversion.gpt2.GPT2Model.filter_tensors = staticmethod(
    lambda item: None if item[0].endswith((".attn.bias", ".attn.masked_bias")) else kept(item))
import convert_hf_to_gguf
convert_hf_to_gguf.main()
"""


def made_once(path, make):
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


class Files:
    """What is made of `source` lies in `folder`; `tree` is llama.cpp's source."""

    def __init__(self, source, folder, tree=None):
        self.source, self.folder, self.tree = pathlib.Path(source), pathlib.Path(folder), tree

    def config(self):
        return json.loads((self.source / "config.json").read_text(encoding="utf-8"))

    def text_folder(self):
        """The source, or a folder in half precision of the weights that a GGUF file's blocks mean: its error is a sixteenth of
        that of 8 bits."""
        if self.source.is_dir():
            return str(self.source)
        import torch
        import transformers

        def make(path):
            place = {"pretrained_model_name_or_path": self.source.parent, "gguf_file": self.source.name}
            transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float16).save_pretrained(path)
            transformers.AutoTokenizer.from_pretrained(**place).save_pretrained(path)
        return made_once(self.folder / "folder-of-gguf", make)

    def vocabulary(self):
        config = json.loads((pathlib.Path(self.text_folder()) / "config.json").read_text(encoding="utf-8"))
        return config["vocab_size"]

    def openvino_text(self, kind):
        """int8: a scale and zero point a row; int4: for every 64 weights, embeddings and output int8."""
        from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
        folder = self.text_folder()

        def make(path):
            config = OVWeightQuantizationConfig(bits=8) if kind == "int8" else OVWeightQuantizationConfig(bits=4, group_size=64)
            OVModelForCausalLM.from_pretrained(folder, export=True, compile=False, quantization_config=config).save_pretrained(path)
        return made_once(self.folder / f"openvino-text-{kind}", make)

    def onnx_text(self, kind):
        """Weights in blocks of 32, products in 8-bit integers."""
        import onnxruntime_genai
        builder = pathlib.Path(onnxruntime_genai.__file__).parent / "models" / "builder.py"
        folder = self.text_folder()

        def make(path):
            command = [sys.executable, builder, "-i", folder, "-o", path, "-p", kind, "-e", "cpu", "--extra_options",
                       "int4_block_size=32", "int4_accuracy_level=4"]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode != 0:
                raise RuntimeError((run.stderr.strip().splitlines() or ["the model builder failed"])[-1])
        return made_once(self.folder / f"onnx-text-{kind}", make)

    def onnx_encoder(self):
        """Inputs input_ids and attention_mask [batch, tokens], output hidden [batch, tokens, width]."""
        import torch
        import transformers

        class Hidden(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, input_ids, attention_mask):
                return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

        def make(path):
            model = transformers.AutoModel.from_pretrained(self.source, dtype=torch.float32, attn_implementation="eager")
            fed = tuple(torch.from_numpy(padded([[5, 6, 7, 8], [5, 6]])[name]) for name in ("input_ids", "attention_mask"))
            axes = {0: "batch", 1: "tokens"}
            with torch.no_grad():
                torch.onnx.export(Hidden(model.eval()), fed, str(path), input_names=["input_ids", "attention_mask"],
                                  output_names=["hidden"], dynamic_axes={"input_ids": axes, "attention_mask": axes, "hidden": axes},
                                  opset_version=OPSET, dynamo=False)
        return made_once(self.folder / "model.onnx", make)

    def onnx_fused(self):
        from onnxruntime.transformers import optimizer
        source, config = self.onnx_encoder(), self.config()
        if config["model_type"] == "deberta-v2":  # no fusions of its attention; looking for them takes more than 22 GB
            return source
        heads, width = config.get("num_attention_heads", config.get("n_heads")), config.get("hidden_size", config.get("dim"))

        def make(path):
            model = optimizer.optimize_model(source, model_type="bert", num_heads=heads, hidden_size=width, opt_level=0)
            model.save_model_to_file(str(path))
        return made_once(self.folder / "fused.onnx", make)

    def onnx_int8(self):
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic
        source = self.onnx_fused()
        # The fused operators are of ONNX Runtime's own domain, whose outputs its shape inference does not type.
        return made_once(self.folder / "fused-int8.onnx",
                         lambda path: quantize_dynamic(source, str(path), weight_type=QuantType.QInt8,
                                                       extra_options={"DefaultTensorType": TensorProto.FLOAT}))

    def openvino_int8(self, calibration):
        import nncf
        import openvino
        source = self.onnx_encoder()

        def make(path):
            rows = [padded([ids]) for ids in calibration]
            try:
                model = nncf.quantize(openvino.Core().read_model(source), nncf.Dataset(rows),
                                      model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows))
            except nncf.errors.InternalError as reason:  # DeBERTa's graph: weights alone, activations while it runs
                print(f"{source}: nncf quantises the weights alone: {reason}", file=sys.stderr)
                model = nncf.compress_weights(openvino.Core().read_model(source))
            path.mkdir(exist_ok=True)
            openvino.save_model(model, path / "model.xml", compress_to_fp16=False)
        return made_once(self.folder / "openvino-int8", make) + "/model.xml"

    def ctranslate2(self, kind):
        from ctranslate2.converters import TransformersConverter
        return made_once(self.folder / f"ctranslate2-{kind}",
                         lambda path: TransformersConverter(str(self.source)).convert(str(path), quantization=kind, force=True))

    def gguf(self, kind):
        """As it is where the source is a file; else by llama.cpp's converter, kind f32, bf16 or q8_0."""
        if self.source.is_file():
            return str(self.source)

        def make(path):
            command = [sys.executable, "-c", CONVERT, str(self.tree), str(self.source), "--outfile", str(path), "--outtype", kind]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode != 0:
                raise RuntimeError((run.stderr.strip().splitlines() or ["convert_hf_to_gguf.py failed"])[-1])
        return made_once(self.folder / f"{kind}.gguf", make)
