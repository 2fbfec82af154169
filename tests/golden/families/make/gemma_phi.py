"""Gemma of all three generations, Phi, StableLM and StarCoder2."""
import transformers as t

from .case import Case, Generation, ragged
from .gpt_like import GENERAL, SHORT, prompts, tied

# Gemma's norms multiply by 1 + weight, and its tokens by the root of the width.
GEMMA = [(r"^model\.norm\.weight$", {"scale": 2.0, "offset": 3.0}), (r"norm\.weight$", {"scale": 0.5, "offset": 0.25}),
         (r"embed_tokens\.weight$", {"scale": 0.125})]


def gemma():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
                    head_dim=12, intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=500.0,
                    pad_token_id=0, eos_token_id=1, bos_token_id=2)
        return t.GemmaConfig(**base | keys)

    return [
        Case("base", t.GemmaForCausalLM, config(num_hidden_layers=3), ragged(61, GENERAL), rules=GEMMA,
             generations=prompts(61)),
        Case("many_keys", t.GemmaForCausalLM, config(num_key_value_heads=4, head_dim=8, hidden_act="gelu",
                                                     attention_bias=True), ragged(61, SHORT, seed=8), rules=GEMMA),
    ]


def gemma2():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=12, intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=500.0,
                    pad_token_id=0, eos_token_id=1, bos_token_id=2, query_pre_attn_scalar=9, sliding_window=11,
                    attn_logit_softcapping=4.0, final_logit_softcapping=5.0)
        return t.Gemma2Config(**base | keys)

    return [
        # As published: without layer_types, every other layer has the window, the first of them.
        Case("base", t.Gemma2ForCausalLM, config(), ragged(61, GENERAL), rules=GEMMA, generations=prompts(61),
             drop_keys=["layer_types"]),
        Case("no_caps", t.Gemma2ForCausalLM, config(attn_logit_softcapping=None, final_logit_softcapping=None,
                                                    query_pre_attn_scalar=16, hidden_activation="gelu",
                                                    layer_types=["full_attention", "full_attention",
                                                                 "sliding_attention"], sliding_window=6,
                                                    attention_bias=True),
             ragged(61, SHORT, seed=8), rules=GEMMA),
    ]


def gemma3_text():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=12, intermediate_size=44, max_position_embeddings=96, rms_norm_eps=1e-2, rope_theta=900.0,
                    rope_local_base_freq=30.0, pad_token_id=0, eos_token_id=1, bos_token_id=2, query_pre_attn_scalar=9,
                    sliding_window=11, sliding_window_pattern=3)
        return t.Gemma3TextConfig(**base | keys)

    return [
        # As published: sliding_window_pattern 3 makes each third layer see everything.
        Case("base", t.Gemma3ForCausalLM, config(), ragged(61, GENERAL), rules=GEMMA, generations=prompts(61),
             drop_keys=["layer_types", "_sliding_window_pattern"], set_keys={"sliding_window_pattern": 3}),
        Case("scaled_layer_types", t.Gemma3ForCausalLM,
             config(layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
                    rope_scaling={"rope_type": "linear", "factor": 8.0}, num_key_value_heads=1,
                    query_pre_attn_scalar=16,
                    hidden_activation="gelu", sliding_window=6, final_logit_softcapping=5.0, attention_bias=True),
             ragged(61, (6, 40), seed=8), rules=GEMMA),
    ]


def phi():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=44,
                    max_position_embeddings=96, layer_norm_eps=1e-2, rope_theta=500.0, partial_rotary_factor=0.5,
                    bos_token_id=1, eos_token_id=2)
        return t.PhiConfig(**base | keys)

    return [
        Case("base", t.PhiForCausalLM, config(), ragged(61, GENERAL), generations=prompts(61),
             drop_keys=["num_key_value_heads"]),
        Case("normed_heads", t.PhiForCausalLM, config(qk_layernorm=True, num_attention_heads=4, num_key_value_heads=2,
                                                      partial_rotary_factor=0.75, hidden_act="relu",
                                                      num_hidden_layers=2), ragged(61, SHORT, seed=8)),
    ]


def phi3():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, original_max_position_embeddings=96,
                    rms_norm_eps=1e-2, rope_theta=500.0, bos_token_id=1, eos_token_id=2, pad_token_id=0)
        return t.Phi3Config(**base | keys)

    long = {"type": "longrope", "short_factor": [1.0, 1.25, 1.5, 2.0], "long_factor": [1.5, 3.0, 6.0, 12.0]}
    # Texts that become long while they are written: what was read before is read again with the long factors.
    ids = ragged(61, (33,), seed=11, low=3)[0]["ids"]
    across = [Generation(ids), Generation(ids, num_beams=3)]
    return [
        Case("base", t.Phi3ForCausalLM, config(sliding_window=13), ragged(61, GENERAL), generations=prompts(61)),
        # The short factors up to original_max_position_embeddings, the long ones for the whole of a longer sequence.
        Case("longrope", t.Phi3ForCausalLM, config(rope_scaling=long, original_max_position_embeddings=40,
                                                   num_hidden_layers=2, tie_word_embeddings=True),
             ragged(61, (9, 40, 41, 70), seed=8), rules=tied(r"embed_tokens\.weight$", r"^model\.norm\.weight$"),
             generations=prompts(61, seed=4)[:2] + across),
        Case("partial_rotary", t.Phi3ForCausalLM, config(partial_rotary_factor=0.75, hidden_act="gelu",
                                                         num_key_value_heads=1, num_hidden_layers=2),
             ragged(61, SHORT, seed=9)),
    ]


def stablelm():
    # The library's start fails for norms without a bias; every weight is drawn anyway.
    t.StableLmPreTrainedModel._init_weights = lambda self, module: None

    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
                    intermediate_size=44, max_position_embeddings=96, layer_norm_eps=1e-2, rope_theta=500.0,
                    partial_rotary_factor=0.25, bos_token_id=0, eos_token_id=0)
        return t.StableLmConfig(**base | keys)

    return [
        Case("base", t.StableLmForCausalLM, config(partial_rotary_factor=0.5, use_qkv_bias=True), ragged(61, GENERAL),
             generations=prompts(61)),
        # As stablelm-2-12b: parallel residual, a norm of its own for every head.
        Case("parallel_normed_heads", t.StableLmForCausalLM,
             config(use_parallel_residual=True, qk_layernorm=True, num_key_value_heads=2, num_hidden_layers=2),
             ragged(61, SHORT, seed=8)),
        Case("tied", t.StableLmForCausalLM, config(tie_word_embeddings=True, hidden_act="gelu", num_key_value_heads=1,
                                                   num_hidden_layers=2, partial_rotary_factor=1.0),
             ragged(61, SHORT, seed=9)),
    ]


def starcoder2():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                    intermediate_size=44, max_position_embeddings=96, norm_epsilon=1e-2, rope_theta=500.0,
                    sliding_window=11, bos_token_id=0, eos_token_id=0)
        return t.Starcoder2Config(**base | keys)

    return [
        Case("base", t.Starcoder2ForCausalLM, config(), ragged(61, GENERAL), generations=prompts(61),
             rules=tied(r"embed_tokens\.weight$", r"^model\.norm\.weight$")),
        Case("no_bias_untied", t.Starcoder2ForCausalLM, config(use_bias=False, sliding_window=None, num_hidden_layers=2,
                                                               num_key_value_heads=1, hidden_act="gelu",
                                                               tie_word_embeddings=False), ragged(61, SHORT, seed=8)),
    ]


FAMILIES = {"gemma": gemma, "gemma2": gemma2, "gemma3_text": gemma3_text, "phi": phi, "phi3": phi3,
            "stablelm": stablelm, "starcoder2": starcoder2}
