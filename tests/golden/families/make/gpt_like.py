"""Decoders with biased layers and learnt, rotary or distance-biased positions: GPTs, OPT, BLOOM, CodeGen, BigCode."""
import transformers as t

from .case import Case, Generation, ragged

SHORT = (6, 1, 21)
GENERAL = (5, 1, 37, 70)
LABELS = {"id2label": {0: "no", 1: "yes", 2: "else"}, "label2id": {"no": 0, "yes": 1, "else": 2}}


def tied(table, last_norm, scale=0.25):
    """A small table and a large last norm: else a head that is the table repeats the token before."""
    return [(table, {"scale": scale}), (last_norm, {"scale": 2.0, "offset": 4.0})]


def prompts(vocabulary, end_at=(6,), seed=3):
    """Greedy with and without end tokens, and beams, from prompts of different lengths."""
    ids = [sequence["ids"] for sequence in ragged(vocabulary, (7, 23, 4), seed=seed, low=3)]
    return [
        Generation(ids[0]),
        Generation(ids[1], end_at=list(end_at)),
        Generation(ids[2], num_beams=4, end_at=[4, 9], length_penalty=0.5),
        Generation(ids[1], num_beams=3, early_stopping=True, no_repeat_ngram_size=2, length_penalty=2.0, end_at=[7]),
    ]


def mask_buffer(name, length, dtype="F32"):
    """The causal mask that older files store with each layer."""
    return {"name": name, "shape": [1, 1, length, length], "buffer": True, "dtype": dtype, "fill": "tril"}


def minus(name, value):
    return {"name": name, "shape": [], "buffer": True, "dtype": "F32", "fill": "value", "value": value}


def labelled(sequences, pad):
    """Sequences for a head on the last token: one ends in padding, which that head skips."""
    sequences[2]["ids"][-3:] = [pad] * 3
    return sequences


def gpt2():
    def config(**keys):
        base = dict(vocab_size=71, n_positions=72, n_embd=32, n_layer=2, n_head=2, n_inner=44, bos_token_id=70,
                    eos_token_id=70, layer_norm_epsilon=1e-2)
        return t.GPT2Config(**base | keys)

    first = r"(c_attn|c_proj|c_fc)\.weight$"
    common = dict(inputs_first=first)
    return [
        # As gpt2 was published: no prefix, the masks stored, a head that is the table of tokens.
        Case("base", t.GPT2LMHeadModel, config(n_layer=3, n_inner=None, n_head=4), ragged(71, GENERAL), **common,
             rename=[(r"^transformer\.", "")], extra=[mask_buffer(f"h.{i}.attn.bias", 72) for i in range(3)],
             drop_keys=["n_inner", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn",
                        "use_cache"], generations=prompts(71), rules=tied(r"wte\.weight$", r"ln_f\.weight$")),
        Case("by_layer", t.GPT2LMHeadModel, config(scale_attn_by_inverse_layer_idx=True, activation_function="relu",
                                                   reorder_and_upcast_attn=True, tie_word_embeddings=False),
             ragged(71, SHORT, seed=8), single=True, **common),
        Case("unscaled", t.GPT2LMHeadModel, config(scale_attn_weights=False, activation_function="silu", n_layer=1),
             ragged(71, SHORT, seed=9), rules=[(r"c_attn\.weight", {"gain": 1.0})], **common),
        Case("sequence_classification", t.GPT2ForSequenceClassification, config(pad_token_id=69, **LABELS),
             labelled(ragged(69, SHORT, seed=10), 69), **common),
        Case("token_classification", t.GPT2ForTokenClassification, config(**LABELS), ragged(71, SHORT, seed=12),
             **common),
    ]


def gpt_neo():
    def config(**keys):
        base = dict(vocab_size=67, max_position_embeddings=96, hidden_size=32, num_layers=4, num_heads=4,
                    attention_types=[[["global", "local"], 2]], window_size=9, intermediate_size=None,
                    bos_token_id=66, eos_token_id=66, layer_norm_epsilon=1e-2)
        return t.GPTNeoConfig(**base | keys)

    # Scores are not divided by the root of the head's width.
    rules = [(r"(q_proj|k_proj)\.weight$", {"gain": 1.0})]
    layers = range(4)
    return [
        Case("base", t.GPTNeoForCausalLM, config(), ragged(67, GENERAL), generations=prompts(67),
             rules=rules + tied(r"wte\.weight$", r"ln_f\.weight$"),
             extra=[mask_buffer(f"transformer.h.{i}.attn.attention.bias", 96) for i in layers]
             + [minus(f"transformer.h.{i}.attn.attention.masked_bias", -1e9) for i in layers]),
        Case("mostly_global", t.GPTNeoForCausalLM,
             config(num_layers=3, attention_types=[[["global"], 2], [["local"], 1]], window_size=5,
                    intermediate_size=44,
                    activation_function="relu", num_heads=2, tie_word_embeddings=False), ragged(67, SHORT, seed=8),
             rules=rules, generations=prompts(67, seed=5)[:3]),
    ]


def gpt_neox():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=50,
                    rotary_pct=0.5, rotary_emb_base=300, max_position_embeddings=96, layer_norm_eps=1e-2,
                    bos_token_id=0, eos_token_id=0, hidden_act="gelu")
        return t.GPTNeoXConfig(**base | keys)

    layers = range(3)
    buffers = [mask_buffer(f"gpt_neox.layers.{i}.attention.bias", 96, "BOOL") for i in layers]
    buffers += [minus(f"gpt_neox.layers.{i}.attention.masked_bias", -1e9) for i in layers]
    buffers += [{"name": f"gpt_neox.layers.{i}.attention.rotary_emb.inv_freq", "shape": [3], "buffer": True,
                 "dtype": "F32", "fill": "rope", "value": 300} for i in layers]
    return [
        Case("base", t.GPTNeoXForCausalLM, config(), ragged(61, GENERAL), extra=buffers, generations=prompts(61),
             drop_keys=["attention_bias", "rope_scaling", "attention_dropout", "hidden_dropout", "rope_theta",
                        "partial_rotary_factor"]),
        Case("sequential", t.GPTNeoXForCausalLM, config(use_parallel_residual=False, rotary_pct=1.0, hidden_act="relu",
                                                        num_hidden_layers=2, tie_word_embeddings=True),
             ragged(61, SHORT, seed=8)),
        Case("no_bias_linear_scaling", t.GPTNeoXForCausalLM,
             config(attention_bias=False, rotary_pct=0.25, num_attention_heads=2, hidden_size=32, num_hidden_layers=2,
                    hidden_act="gelu_fast", rope_scaling={"rope_type": "linear", "factor": 4.0}),
             ragged(61, SHORT, seed=9)),
    ]


def gptj():
    def config(**keys):
        base = dict(vocab_size=61, n_positions=96, n_embd=36, n_layer=3, n_head=3, rotary_dim=6, n_inner=None,
                    bos_token_id=60, eos_token_id=60, layer_norm_epsilon=1e-2, tie_word_embeddings=False)
        return t.GPTJConfig(**base | keys)

    layers = range(3)
    return [
        Case("base", t.GPTJForCausalLM, config(), ragged(61, GENERAL), generations=prompts(61),
             extra=[mask_buffer(f"transformer.h.{i}.attn.bias", 96, "BOOL") for i in layers]
             + [minus(f"transformer.h.{i}.attn.masked_bias", -1e9) for i in layers]),
        Case("whole_rotary", t.GPTJForCausalLM, config(rotary_dim=12, n_inner=44, activation_function="gelu",
                                                       n_layer=2),
             ragged(61, SHORT, seed=8)),
    ]


def codegen():
    def config(**keys):
        base = dict(vocab_size=61, n_positions=96, n_ctx=96, n_embd=48, n_layer=2, n_head=4, rotary_dim=6, n_inner=None,
                    bos_token_id=1, eos_token_id=60, layer_norm_epsilon=1e-2, tie_word_embeddings=False)
        return t.CodeGenConfig(**base | keys)

    return [
        Case("base", t.CodeGenForCausalLM, config(), ragged(61, GENERAL), generations=prompts(61),
             extra=[mask_buffer(f"transformer.h.{i}.attn.causal_mask", 96, "BOOL") for i in range(2)]),
        Case("eight_heads", t.CodeGenForCausalLM, config(n_head=8, rotary_dim=4, n_inner=52,
                                                         activation_function="gelu"),
             ragged(61, SHORT, seed=8)),
    ]


def gpt_bigcode():
    def config(**keys):
        base = dict(vocab_size=61, n_positions=72, n_embd=36, n_layer=2, n_head=3, n_inner=44, bos_token_id=60,
                    eos_token_id=60, layer_norm_epsilon=1e-2, activation_function="gelu_pytorch_tanh")
        return t.GPTBigCodeConfig(**base | keys)

    return [
        Case("base", t.GPTBigCodeForCausalLM, config(n_layer=3), ragged(61, GENERAL), generations=prompts(61),
             rules=tied(r"wte\.weight$", r"ln_f\.weight$")),
        Case("many_keys", t.GPTBigCodeForCausalLM, config(multi_query=False, activation_function="gelu", n_inner=None,
                                                          tie_word_embeddings=False), ragged(61, SHORT, seed=8)),
        Case("unscaled", t.GPTBigCodeForCausalLM, config(scale_attn_weights=False, n_layer=1),
             ragged(61, SHORT, seed=9),
             rules=[(r"c_attn\.weight", {"gain": 1.0})]),
    ]


def opt():
    # The library's start fails for norms without weights; every weight is drawn anyway.
    t.OPTPreTrainedModel._init_weights = lambda self, module: None

    def config(**keys):
        base = dict(vocab_size=73, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, ffn_dim=44,
                    max_position_embeddings=72, word_embed_proj_dim=32, pad_token_id=1, bos_token_id=2, eos_token_id=2)
        return t.OPTConfig(**base | keys)

    return [
        Case("base", t.OPTForCausalLM, config(num_hidden_layers=3, num_attention_heads=4), ragged(73, GENERAL),
             generations=prompts(73),
             extra=[{"name": "lm_head.weight", "same_as": "model.decoder.embed_tokens.weight"}],
             rules=tied(r"embed_tokens\.weight$", r"decoder\.final_layer_norm\.weight$")),
        # opt-350m: norms after the blocks, none at the end, tokens narrower than the layers; published without
        # "model.".
        Case("post_norm", t.OPTForCausalLM, config(do_layer_norm_before=False, word_embed_proj_dim=20),
             ragged(73, (5, 1, 37), seed=8), rename=[(r"^model\.", "")], generations=prompts(73, seed=4)[:2]),
        Case("narrow_gelu", t.OPTForCausalLM, config(word_embed_proj_dim=24, activation_function="gelu",
                                                     tie_word_embeddings=False), ragged(73, SHORT, seed=9)),
        Case("no_bias", t.OPTForCausalLM, config(enable_bias=False, num_hidden_layers=1), ragged(73, SHORT, seed=10)),
        Case("plain_norms", t.OPTForCausalLM, config(layer_norm_elementwise_affine=False, num_hidden_layers=1),
             ragged(73, SHORT, seed=11)),
        Case("no_final_norm", t.OPTForCausalLM, config(_remove_final_layer_norm=True, num_hidden_layers=1),
             ragged(73, SHORT, seed=12)),
        Case("sequence_classification", t.OPTForSequenceClassification, config(**LABELS),
             labelled(ragged(73, SHORT, seed=13, low=3), 1)),
    ]


def bloom():
    def config(**keys):
        base = dict(vocab_size=61, hidden_size=32, n_layer=2, n_head=4, layer_norm_epsilon=1e-2, pad_token_id=3,
                    bos_token_id=1, eos_token_id=2)
        return t.BloomConfig(**base | keys)

    return [
        # As bloom-560m was published: no prefix; n_embed and num_attention_heads are older names of the keys.
        Case("base", t.BloomForCausalLM, config(n_layer=3), ragged(61, GENERAL), rename=[(r"^transformer\.", "")],
             generations=prompts(61), rules=[
                 (r"word_embeddings_layernorm\.weight$", {"scale": 0.125, "offset": 0.25}),
                 (r"ln_f\.weight$", {"scale": 1.0, "offset": 2.0})]),
        # A number of heads that is no power of two has slopes of its own.
        Case("six_heads", t.BloomForCausalLM, config(n_head=6, hidden_size=36), ragged(61, SHORT, seed=8)),
        Case("residual_after_norm", t.BloomForCausalLM, config(apply_residual_connection_post_layernorm=True, n_head=3,
                                                               hidden_size=27, tie_word_embeddings=False),
             ragged(61, SHORT, seed=9), generations=prompts(61, seed=5)),
        Case("sequence_classification", t.BloomForSequenceClassification, config(**LABELS),
             labelled(ragged(61, SHORT, seed=10, low=4), 3)),
        Case("token_classification", t.BloomForTokenClassification, config(n_layer=1, **LABELS),
             ragged(61, SHORT, seed=11)),
    ]


FAMILIES = {"gpt2": gpt2, "gpt_neo": gpt_neo, "gpt_neox": gpt_neox, "gptj": gptj, "codegen": codegen,
            "gpt_bigcode": gpt_bigcode, "opt": opt, "bloom": bloom}
