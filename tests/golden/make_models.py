#!/usr/bin/env python3
"""Tiny random models with the hidden states or logits that the reference implementations give for them.

Makes tests/golden/models/: Hugging Face folders of BERT, MPNet, Llama and Qwen2 by transformers 4.38.2 (torch 1.13), and
a GGUF of Gemma 3, which that release lacks, by the forward pass below, written from the published description (Gemma
Team 2025) in float64. Each has inputs.json (ragged token ids) and expected.f32 (float32, [tokens, width or vocabulary],
sequences one after the other).

Needs torch, transformers, safetensors, gguf, numpy.
"""
import json
import pathlib

import gguf
import numpy as np
import torch
import transformers

OUT = pathlib.Path(__file__).resolve().parent / "models"
LENGTHS = [5, 1, 70, 33, 131]  # over one, two and three key blocks of 64


def inputs(vocabulary, seed):
    random = np.random.default_rng(seed)
    return [random.integers(3, vocabulary, size=length).tolist() for length in LENGTHS]


def save(name, sequences, outputs):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inputs.json").write_text(json.dumps(sequences) + "\n")
    np.concatenate(outputs).astype("<f4").tofile(folder / "expected.f32")


def randomise(model, seed):
    """Weights large enough that every part matters: the library's own start has zero biases and unit norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                parameter.copy_(noise * 0.2 + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0))
            else:
                parameter.copy_(noise * (1.0 if "embed" in name or "relative" in name else parameter.shape[-1] ** -0.5))


def transformer(name, model, vocabulary, pick):
    randomise(model, seed=len(name))
    model.eval()
    model.save_pretrained(OUT / name, safe_serialization=True)
    (OUT / name / "generation_config.json").unlink(missing_ok=True)
    sequences = inputs(vocabulary, seed=7)
    with torch.no_grad():
        save(name, sequences, [pick(model(input_ids=torch.tensor([ids])))[0].numpy() for ids in sequences])


def gemma3(name):
    layers, width, heads, kv_heads, head_dim, inner, vocabulary, window = 7, 32, 4, 2, 8, 32, 64, 12
    epsilon, local_base, global_base = 1e-6, 10000.0, 1000000.0
    random = np.random.default_rng(3)
    weights = {}

    def matrix(key, rows, columns, scale=None):
        weights[key] = (random.standard_normal((rows, columns)) * (scale or columns**-0.5)).astype("f4")

    def norm(key, size):
        weights[key] = (1 + 0.2 * random.standard_normal(size)).astype("f4")

    matrix("token_embd.weight", vocabulary, width, 0.3)
    norm("output_norm.weight", width)
    for i in range(layers):
        matrix(f"blk.{i}.attn_q.weight", heads * head_dim, width)
        matrix(f"blk.{i}.attn_k.weight", kv_heads * head_dim, width)
        matrix(f"blk.{i}.attn_v.weight", kv_heads * head_dim, width)
        matrix(f"blk.{i}.attn_output.weight", width, heads * head_dim)
        matrix(f"blk.{i}.ffn_gate.weight", inner, width)
        matrix(f"blk.{i}.ffn_up.weight", inner, width)
        matrix(f"blk.{i}.ffn_down.weight", width, inner)
        for key in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            norm(f"blk.{i}.{key}.weight", width)
        norm(f"blk.{i}.attn_q_norm.weight", head_dim)
        norm(f"blk.{i}.attn_k_norm.weight", head_dim)

    writer = gguf.GGUFWriter(OUT / name / "model.gguf", "gemma3")
    writer.add_block_count(layers)
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(epsilon)
    writer.add_rope_freq_base(global_base)
    writer.add_sliding_window(window)
    for key, value in weights.items():
        writer.add_tensor(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    w = {key: value.astype("f8") for key, value in weights.items()}

    def rms(x, key):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * w[key]

    def rotate(x, base):
        half = x.shape[-1] // 2
        angle = np.arange(x.shape[0])[:, None] * base ** (-np.arange(half) / half)
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cosine - b * sine, b * cosine + a * sine], -1)

    def gelu_tanh(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    def forward(ids):
        n = len(ids)
        x = w["token_embd.weight"][ids] * np.sqrt(width)
        distance = np.arange(n)[:, None] - np.arange(n)[None]
        for i in range(layers):
            p = f"blk.{i}."
            local = i % 6 != 5
            base = local_base if local else global_base
            y = rms(x, p + "attn_norm.weight")
            q = (y @ w[p + "attn_q.weight"].T).reshape(n, heads, head_dim)
            k = (y @ w[p + "attn_k.weight"].T).reshape(n, kv_heads, head_dim)
            v = (y @ w[p + "attn_v.weight"].T).reshape(n, kv_heads, head_dim)
            q = rotate(rms(q, p + "attn_q_norm.weight"), base)
            k = rotate(rms(k, p + "attn_k_norm.weight"), base)
            seen = (distance >= 0) & ((distance < window) if local else True)
            context = np.empty((n, heads, head_dim))
            for h in range(heads):
                scores = q[:, h] @ k[:, h * kv_heads // heads].T * head_dim**-0.5
                scores = np.where(seen, scores, -np.inf)
                scores = np.exp(scores - scores.max(-1, keepdims=True))
                context[:, h] = scores / scores.sum(-1, keepdims=True) @ v[:, h * kv_heads // heads]
            x = x + rms(context.reshape(n, -1) @ w[p + "attn_output.weight"].T, p + "post_attention_norm.weight")
            y = rms(x, p + "ffn_norm.weight")
            y = gelu_tanh(y @ w[p + "ffn_gate.weight"].T) * (y @ w[p + "ffn_up.weight"].T)
            x = x + rms(y @ w[p + "ffn_down.weight"].T, p + "post_ffw_norm.weight")
        return rms(x, "output_norm.weight") @ w["token_embd.weight"].T

    sequences = inputs(vocabulary, seed=7)
    save(name, sequences, [forward(ids) for ids in sequences])


def main():
    transformer(
        "bert",
        transformers.BertModel(
            transformers.BertConfig(
                vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                max_position_embeddings=160),
            add_pooling_layer=False),
        96, lambda output: output.last_hidden_state)
    transformer(
        "mpnet",
        transformers.MPNetModel(
            transformers.MPNetConfig(
                vocab_size=96, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=64,
                max_position_embeddings=162),
            add_pooling_layer=False),
        96, lambda output: output.last_hidden_state)
    transformer(
        "llama",
        transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                intermediate_size=64, max_position_embeddings=256, tie_word_embeddings=False)),
        96, lambda output: output.logits)
    transformer(
        "qwen2",
        transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(
                vocab_size=96, hidden_size=48, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
                intermediate_size=64, max_position_embeddings=256, rope_theta=1000000.0, tie_word_embeddings=True,
                use_sliding_window=False)),
        96, lambda output: output.logits)
    (OUT / "gemma3").mkdir(parents=True, exist_ok=True)
    gemma3("gemma3")


if __name__ == "__main__":
    main()
