#!/usr/bin/env python3
"""Writes a Hugging Face folder of a published configuration with random weights, for measuring speed beside the peers.

Usage: bench/shape_folder.py NAME FOLDER [--type F32|BF16]       (bench/shape_folder.py --list tells the names)

The folder has config.json (the keys of the published one that decide the computation), generation_config.json, a tokenizer
without a language (small_tokenizers.py) and model.safetensors: every weight from a generator seeded by its name, so the same
bytes each time; tensor names and shapes are those of transformers' own class, made without memory. Speed and memory depend on
the shape and not on what was learnt. Needs numpy, torch, transformers, safetensors.
"""
import argparse
import json
import pathlib
import sys
import zlib

import numpy as np

from small_tokenizers import write_tokenizer

BART = {"model_type": "bart", "architectures": ["BartForConditionalGeneration"], "vocab_size": 50264, "d_model": 1024,
        "encoder_layers": 12, "decoder_layers": 12, "encoder_attention_heads": 16, "decoder_attention_heads": 16,
        "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096, "max_position_embeddings": 1024, "activation_function": "gelu",
        "scale_embedding": False, "normalize_before": False, "add_final_layer_norm": False, "bos_token_id": 0, "pad_token_id": 1,
        "eos_token_id": 2, "decoder_start_token_id": 2, "forced_bos_token_id": 0, "forced_eos_token_id": 2}
BERT = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522, "layer_norm_eps": 1e-12, "pad_token_id": 0}
ELECTRA = BERT | {"model_type": "electra", "architectures": ["ElectraModel"]}

# The config.json of the named repository of the Hugging Face hub (2026).
SHAPES = {
    # google/flan-t5-base
    "flan-t5-base": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 32128, "d_model": 768,
                     "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12, "n_positions": 512,
                     "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
                     "feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-6, "tie_word_embeddings": False,
                     "is_encoder_decoder": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    "bart-large-cnn": BART,  # facebook/bart-large-cnn
    "distilbart-cnn-12-6": BART | {"decoder_layers": 6},  # sshleifer/distilbart-cnn-12-6
    # google/pegasus-xsum
    "pegasus-xsum": {"model_type": "pegasus", "architectures": ["PegasusForConditionalGeneration"], "vocab_size": 96103,
                     "d_model": 1024, "encoder_layers": 16, "decoder_layers": 16, "encoder_attention_heads": 16,
                     "decoder_attention_heads": 16, "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096,
                     "max_position_embeddings": 512, "activation_function": "relu", "scale_embedding": True,
                     "static_position_embeddings": True, "normalize_before": True, "normalize_embedding": False,
                     "add_final_layer_norm": True,
                     "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "forced_eos_token_id": 1},
    # facebook/opt-1.3b
    "opt-1.3b": {"model_type": "opt", "architectures": ["OPTForCausalLM"], "vocab_size": 50272, "hidden_size": 2048,
                 "word_embed_proj_dim": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "ffn_dim": 8192,
                 "max_position_embeddings": 2048, "activation_function": "relu", "do_layer_norm_before": True,
                 "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1},
    # bigscience/bloomz-560m
    "bloomz-560m": {"model_type": "bloom", "architectures": ["BloomForCausalLM"], "vocab_size": 250880, "hidden_size": 1024,
                    "n_layer": 24, "n_head": 16, "layer_norm_epsilon": 1e-5, "apply_residual_connection_post_layernorm": False,
                    "seq_length": 2048, "unk_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3},
    # meta-llama/Llama-3.2-1B, without the factors by which its rotations slow down for long texts
    "llama-3.2-1b": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "hidden_size": 2048,
                     "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
                     "intermediate_size": 8192, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
                     "hidden_act": "silu", "tie_word_embeddings": True, "bos_token_id": 128000, "eos_token_id": 128001},
    # Qwen/Qwen3-0.6B
    "qwen3-0.6b": {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936, "hidden_size": 1024,
                   "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
                   "intermediate_size": 3072, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
                   "hidden_act": "silu", "attention_bias": False, "use_sliding_window": False, "tie_word_embeddings": True,
                   "bos_token_id": 151643, "eos_token_id": 151645},
    # microsoft/phi-2, with room for the token after a prompt of 2,048, which is all that the published one takes
    "phi-2": {"model_type": "phi", "architectures": ["PhiForCausalLM"], "vocab_size": 51200, "hidden_size": 2560,
              "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 10240, "max_position_embeddings": 4096,
              "layer_norm_eps": 1e-5, "rope_theta": 10000.0, "partial_rotary_factor": 0.4, "qk_layernorm": False,
              "hidden_act": "gelu_new", "tie_word_embeddings": False, "bos_token_id": 50256, "eos_token_id": 50256},
    # openai-community/gpt2
    "gpt2": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 50257, "n_embd": 768, "n_layer": 12,
             "n_head": 12, "n_positions": 1024, "n_ctx": 1024, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
             "bos_token_id": 50256, "eos_token_id": 50256},
    # distilbert/distilbert-base-uncased
    "distilbert-base": {"model_type": "distilbert", "architectures": ["DistilBertModel"], "vocab_size": 30522, "dim": 768,
                        "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "max_position_embeddings": 512, "activation": "gelu",
                        "sinusoidal_pos_embds": False, "pad_token_id": 0},
    # FacebookAI/roberta-base
    "roberta-base": BERT | {"model_type": "roberta", "architectures": ["RobertaModel"], "vocab_size": 50265, "type_vocab_size": 1,
                            "max_position_embeddings": 514, "layer_norm_eps": 1e-5, "bos_token_id": 0, "pad_token_id": 1,
                            "eos_token_id": 2},
    # microsoft/deberta-v3-base
    "deberta-v3-base": BERT | {"model_type": "deberta-v2", "architectures": ["DebertaV2Model"], "vocab_size": 128100,
                               "type_vocab_size": 0, "layer_norm_eps": 1e-7, "relative_attention": True, "position_buckets": 256,
                               "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": "p2c|c2p",
                               "max_relative_positions": -1, "position_biased_input": False, "pooler_hidden_size": 768},
    # google/electra-small-discriminator, google/electra-base-discriminator
    "electra-small": ELECTRA | {"embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "electra-base": ELECTRA | {"embedding_size": 768},
    # google-bert/bert-base-uncased
    "bert-base-uncased": BERT | {"model_type": "bert", "architectures": ["BertModel"]},
}


def drawn(name, shape):
    """Matrices as BERT initialises them, gains of norms near 1, biases near 0."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal(shape, np.float32) * np.float32(0.02)
    is_gain = len(shape) == 1 and name.endswith("weight")
    return values + np.float32(1) if is_gain else values


def tensors_of(config):
    """Name -> shape of what transformers saves for this configuration: parameters once (not what is tied to another), and
    persistent buffers."""
    import torch
    import transformers

    settings = dict(config)
    known = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        model = getattr(transformers, config["architectures"][0])(known)
    model.tie_weights()
    parameters = dict(model.named_parameters())
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in model.state_dict()}
    return {name: tuple(tensor.shape) for name, tensor in (parameters | buffers).items() if tensor.is_floating_point()}


def write_shape(name, folder, kind):
    import torch
    from safetensors.torch import save_file

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = SHAPES[name]
    torch_kind = {"F32": torch.float32, "BF16": torch.bfloat16}[kind]
    config = config | {"torch_dtype": {"F32": "float32", "BF16": "bfloat16"}[kind]}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    starts = {key: value for key, value in config.items() if key.endswith("token_id")}
    (folder / "generation_config.json").write_text(json.dumps(starts, indent=1), encoding="utf-8")
    write_tokenizer(folder)
    tensors = {key: torch.from_numpy(drawn(key, shape)).to(torch_kind) for key, shape in tensors_of(config).items()}
    scratch = folder / "making-model.safetensors"
    save_file(tensors, scratch, metadata={"format": "pt"})
    scratch.rename(folder / "model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=sorted(SHAPES), metavar="NAME")
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    parser.add_argument("--type", choices=["F32", "BF16"], default="F32", help="of the weights (default: F32)")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(SHAPES))
        return 0
    if not arguments.folder:
        parser.error("give NAME and FOLDER, or --list")
    write_shape(arguments.name, arguments.folder, arguments.type)
    return 0


if __name__ == "__main__":
    sys.exit(main())
