"""Decoders with rotary positions and mostly gated layers: Llama, Mistral, Qwen, Gemma, Phi, StableLM, StarCoder2."""
import transformers as t

from .case import Case, ragged
from .gpt_like import GENERAL, LABELS, SHORT, labelled, prompts, tied

TIED = tied(r"embed_tokens\.weight$", r"^model\.norm\.weight$")


def llama():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=500.0,
                    bos_token_id=1, eos_token_id=2)
        return t.LlamaConfig(**base | keys)

    def scaled(name, seed, **scaling):
        keys = scaling.pop("keys", {})
        return Case(f"rope_{name}", t.LlamaForCausalLM, config(rope_scaling=scaling, **keys),
                    ragged(61, (5, 70), seed=seed))

    inverse = [{"name": f"model.layers.{i}.self_attn.rotary_emb.inv_freq", "shape": [4], "buffer": True, "dtype": "F32",
                "fill": "rope", "value": 10000.0} for i in range(3)]
    return [
        # As Llama 1 was published: rotary frequencies stored, none of the newer keys.
        Case("base", t.LlamaForCausalLM, config(num_hidden_layers=3, num_key_value_heads=4, rope_theta=10000.0,
                                                rms_norm_eps=1e-3),
             ragged(61, GENERAL), extra=inverse, generations=prompts(61),
             drop_keys=["head_dim", "rope_theta", "attention_bias", "mlp_bias", "num_key_value_heads", "rope_scaling",
                        "attention_dropout", "pretraining_tp"]),
        Case("grouped_tied", t.LlamaForCausalLM, config(tie_word_embeddings=True, hidden_act="gelu_pytorch_tanh"),
             ragged(61, (5, 1, 70), seed=8), generations=prompts(61, seed=4)[:3], rules=TIED),
        Case("biases", t.LlamaForCausalLM, config(attention_bias=True, mlp_bias=True, hidden_size=30,
                                                  num_attention_heads=3, num_key_value_heads=1, hidden_act="relu"),
             ragged(61, SHORT, seed=9)),
        # The heads are wider than hidden_size / heads.
        Case("head_dim", t.LlamaForCausalLM, config(head_dim=14, num_attention_heads=3, num_key_value_heads=3,
                                                    hidden_size=30), ragged(61, SHORT, seed=10)),
        scaled("linear", 11, rope_type="linear", factor=2.5),
        Case("rope_linear_old_key", t.LlamaForCausalLM, config(rope_scaling={"rope_type": "linear", "factor": 4.0}),
             ragged(61, (33,), seed=12), set_keys={"rope_scaling": {"type": "linear", "factor": 4.0}}),
        scaled("llama3", 13, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
               original_max_position_embeddings=48, keys={"head_dim": 16}),
        scaled("yarn", 14, rope_type="yarn", factor=4.0, original_max_position_embeddings=24,
               keys={"head_dim": 16, "max_position_embeddings": 96}),
        scaled("yarn_all_keys", 15, rope_type="yarn", factor=6.0, beta_fast=12.0, beta_slow=0.5, attention_factor=0.8,
               original_max_position_embeddings=32, keys={"head_dim": 16}),
        scaled("yarn_mscale", 16, rope_type="yarn", factor=6.0, mscale=0.7, mscale_all_dim=1.3,
               original_max_position_embeddings=32, keys={"head_dim": 16}),
        Case("sequence_classification", t.LlamaForSequenceClassification, config(pad_token_id=0, **LABELS),
             labelled(ragged(61, SHORT, seed=17, low=1), 0)),
    ]


def mistral():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=300.0,
                    sliding_window=11, head_dim=None, bos_token_id=1, eos_token_id=2)
        return t.MistralConfig(**base | keys)

    return [
        Case("base", t.MistralForCausalLM, config(num_hidden_layers=3), ragged(61, GENERAL), generations=prompts(61)),
        Case("no_window_head_dim", t.MistralForCausalLM, config(sliding_window=None, head_dim=12, hidden_act="gelu",
                                                                num_key_value_heads=1, tie_word_embeddings=True),
             ragged(61, SHORT, seed=8)),
    ]


def qwen2():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=800.0,
                    bos_token_id=1, eos_token_id=2)
        return t.Qwen2Config(**base | keys)

    return [
        Case("base", t.Qwen2ForCausalLM, config(tie_word_embeddings=True), ragged(61, GENERAL), generations=prompts(61),
             rules=TIED,
             drop_keys=["layer_types", "rope_scaling"]),
        # Only layers from max_window_layers on have the window.
        Case("window", t.Qwen2ForCausalLM, config(use_sliding_window=True, sliding_window=9, max_window_layers=1,
                                                  num_key_value_heads=4), ragged(61, (5, 40), seed=8),
             drop_keys=["layer_types"]),
        Case("layer_types", t.Qwen2ForCausalLM,
             config(use_sliding_window=True, sliding_window=7, max_window_layers=3, num_key_value_heads=1,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
                    ragged(61, (30,), seed=9)),
        Case("yarn", t.Qwen2ForCausalLM, config(num_hidden_layers=2, rope_scaling={
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 24}, hidden_size=48),
             ragged(61, (5, 60), seed=10)),
    ]


def qwen3():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=800.0, head_dim=12,
                    bos_token_id=1, eos_token_id=2)
        return t.Qwen3Config(**base | keys)

    return [
        Case("base", t.Qwen3ForCausalLM, config(tie_word_embeddings=True), ragged(61, GENERAL), generations=prompts(61),
             rules=TIED),
        Case("bias_window", t.Qwen3ForCausalLM, config(attention_bias=True, use_sliding_window=True, sliding_window=9,
                                                       max_window_layers=2, num_key_value_heads=1, head_dim=10,
                                                       hidden_act="gelu"), ragged(61, (5, 40), seed=8),
             drop_keys=["layer_types"]),
    ]


FAMILIES = {"llama": llama, "mistral": mistral, "qwen2": qwen2, "qwen3": qwen3}
