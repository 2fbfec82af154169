"""Encoder-decoders: T5 and its relatives, BART, mBART, Pegasus, LED, M2M-100, Marian."""
import numpy as np
import transformers as t

from .case import Case, Generation, ragged

GENERAL = (5, 1, 37, 70)
SHORT = (6, 1, 21)
# Blocks outweigh the token itself, else a tied head repeats it; what is the same for every token weighs less.
STRONG_BLOCKS = [
    (r"decoder.*self_attn\.out_proj\.weight$", {"gain": 2.0}),
    (r"decoder.*fc2\.weight$", {"gain": 3.0}),
    (r"decoder\.layers.*(fc\d|v_proj|out_proj|final_layer_norm)\.bias$", {"scale": 0.125}),
    (r"decoder\.embed_positions", {"scale": 2.0}),
    (r"decoder\.layers.*q_proj\.bias$", {"scale": 1.0}),
]
LABELS = {"id2label": {0: "no", 1: "yes", 2: "else"}, "label2id": {"no": 0, "yes": 1, "else": 2}}


def pairs(vocabulary, start, encoder=GENERAL, decoder=(4, 9, 66, 17), seed=7, low=0, end=None):
    """Encoder ids with decoder ids of other lengths, which begin with `start`."""
    random = np.random.default_rng(seed + 100)
    sequences = ragged(vocabulary, encoder, seed=seed, low=low)
    for sequence, length in zip(sequences, decoder):
        sequence["decoder_ids"] = [start, *random.integers(low, vocabulary, size=length - 1).tolist()]
        if end is not None:
            sequence["ids"][-1] = end
    return sequences


def prompts(vocabulary, start, pad, seed=3, bad_words=((5,), (7, 9)), **forced):
    """Greedy and beams of every early stopping, with end tokens; the last as bart-large-cnn was published."""
    ids = [sequence["ids"] for sequence in ragged(vocabulary, (7, 23, 12), seed=seed, low=3)]
    common = dict(decoder_start=start, pad=pad)
    return [
        Generation(ids[0], **common),
        Generation(ids[1], end_at=[6], **common, **forced),
        Generation(ids[0], num_beams=4, end_at=[4, 9], **common),
        Generation(ids[1], num_beams=4, end_at=[3, 8], early_stopping=True, length_penalty=0.6, **common),
        Generation(ids[2], num_beams=4, end_at=[5], early_stopping="never", length_penalty=-0.5, **common),
        Generation(ids[1], num_beams=4, end_at=[8], early_stopping=True, length_penalty=2.0, no_repeat_ngram_size=3,
                   min_length=8, max_new_tokens=20, **common, **forced),
        Generation(ids[2], num_beams=2, end_at=[9], bad_words=[list(words) for words in bad_words], **common),
    ]


def t5_like(config_class, model_class, encoder_class, tied):
    def config(**keys):
        base = dict(vocab_size=71, d_model=32, d_kv=10, d_ff=44, num_layers=2, num_decoder_layers=2, num_heads=3,
                    relative_attention_num_buckets=16, relative_attention_max_distance=40, layer_norm_epsilon=1e-2,
                    feed_forward_proj="relu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
        return config_class(**base | keys)

    # Scores are not divided by the root of the head's width; a tied head multiplies by the inverse root of the model's.
    # Decoders that look at the encoder too much, or at the token too much under a tied head, repeat one token.
    plain = [(r"(SelfAttention|EncDecAttention)\.[qk]\.weight$", {"gain": 0.8})]
    rules = [*plain,
             (r"decoder.*EncDecAttention\.o\.weight$", {"gain": 0.25}),
             (r"decoder.*SelfAttention\.o\.weight$", {"gain": 2.0}),
             (r"decoder.*wi\w*\.weight$", {"gain": 2.0}),
             (r"decoder.*wo\.weight$", {"gain": 8.0 if tied else 4.0})]
    if tied:
        rules += [(r"decoder\.final_layer_norm\.weight$", {"scale": 2.0, "offset": 4.0})]
    return config, dict(rules=rules), dict(rules=plain), model_class, encoder_class


def t5():
    config, common, plain, model, encoder = t5_like(t.T5Config, t.T5ForConditionalGeneration, t.T5EncoderModel,
                                                    tied=True)
    copies = [{"name": name, "same_as": "shared.weight"} for name in
              ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")]
    unread = {"name": "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", "shape": [16, 3],
              "scale": 1.0, "offset": 0.0, "ignored": True}
    return [
        # As t5-small was published: the table three times, and a table of distances that nothing reads.
        Case("base", model, config(num_layers=3), pairs(71, 0), extra=[*copies, unread], generations=prompts(71, 0, 0),
             drop_keys=["dense_act_fn", "is_gated_act", "tie_word_embeddings", "classifier_dropout"], **common),
        Case("gated_silu_tied", model, config(feed_forward_proj="gated-silu", num_decoder_layers=3, d_kv=8,
                                              num_heads=4),
             pairs(71, 0, SHORT, (9, 5, 1), seed=8), **plain),
        Case("encoder", encoder, config(relative_attention_num_buckets=32, relative_attention_max_distance=128),
             ragged(71, (5, 1, 70), seed=9), **plain),
    ]


def flan_t5():
    config, common, plain, model, encoder = t5_like(t.T5Config, t.T5ForConditionalGeneration, t.T5EncoderModel,
                                                    tied=False)
    keys = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    copies = [{"name": name, "same_as": "shared.weight"} for name in
              ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")]
    return [
        Case("base", model, config(num_decoder_layers=3, **keys), pairs(71, 0), extra=copies,
             generations=prompts(71, 0, 0), **common),
        Case("relu_untied", model, config(tie_word_embeddings=False, d_kv=8, num_heads=2),
             pairs(71, 0, SHORT, (9, 5, 1), seed=8), **plain),
    ]


def mt5():
    config, common, plain, model, encoder = t5_like(t.MT5Config, t.MT5ForConditionalGeneration, t.MT5EncoderModel,
                                                    tied=False)
    keys = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    return [
        Case("base", model, config(**keys), pairs(71, 0), generations=prompts(71, 0, 0, seed=5), **common),
        Case("encoder", encoder, config(**keys), ragged(71, (5, 1, 70), seed=9), **plain),
    ]


def bart():
    def config(**keys):
        base = dict(vocab_size=73, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                    decoder_attention_heads=2, encoder_ffn_dim=44, decoder_ffn_dim=52, max_position_embeddings=72,
                    activation_function="gelu", scale_embedding=False, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                    decoder_start_token_id=2, forced_eos_token_id=2, forced_bos_token_id=None)
        return t.BartConfig(**base | keys)

    copies = [{"name": name, "same_as": "model.shared.weight"} for name in
              ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")]
    beams = {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True, "no_repeat_ngram_size": 3, "min_length": 8,
             "max_length": 20, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "bos_token_id": 0, "eos_token_id": 2,
             "pad_token_id": 1, "decoder_start_token_id": 2}

    def classified(seed):
        # The head reads the last end token's state; an earlier one counts for nothing.
        sequences = ragged(73, SHORT, seed=seed, low=3)
        for sequence in sequences:
            sequence["ids"][-1] = 2
        sequences[2]["ids"][9] = 2
        return sequences

    return [
        Case("base", t.BartForConditionalGeneration, config(encoder_layers=3), pairs(73, 2), extra=copies,
             generations=prompts(73, 2, 1, forced_bos=0, forced_eos=2), generation_config=beams, rules=STRONG_BLOCKS),
        # As bart-base was published: no "model.", no bias of the logits.
        Case("scaled_embedding", t.BartForConditionalGeneration,
             config(scale_embedding=True, activation_function="relu", decoder_layers=1, encoder_attention_heads=2),
             pairs(73, 2, SHORT, (9, 5, 1), seed=8), rename=[(r"^model\.", "")], absent="final_logits_bias",
             rules=[(r"shared\.weight$", {"scale": 0.5}), *STRONG_BLOCKS]),
        Case("sequence_classification", t.BartForSequenceClassification, config(**LABELS), classified(9),
             kinds=("logits",)),
        Case("question_answering", t.BartForQuestionAnswering, config(), classified(10),
             kinds=("start_logits", "end_logits")),
    ]


def bart_like(config_class, **more):
    def config(**keys):
        base = dict(vocab_size=73, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                    decoder_attention_heads=2, encoder_ffn_dim=44, decoder_ffn_dim=52, max_position_embeddings=72,
                    activation_function="gelu", scale_embedding=True, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                    decoder_start_token_id=2, forced_eos_token_id=2)
        return config_class(**base | more | keys)

    return config


def last_norm(scale=0.25):
    """A small table and a large last norm, where norms come before the blocks."""
    return [(r"shared\.weight$", {"scale": scale}),
            (r"decoder\.layer_norm\.weight$", {"scale": 0.5 / scale, "offset": 1.0 / scale}), *STRONG_BLOCKS]


def mbart():
    config = bart_like(t.MBartConfig, decoder_start_token_id=5)
    return [
        # In use the decoder's first token is the target language's.
        Case("base", t.MBartForConditionalGeneration, config(encoder_layers=3), pairs(73, 5),
             generations=prompts(73, 5, 1, forced_bos=7, forced_eos=2), rules=last_norm()),
        Case("relu", t.MBartForConditionalGeneration, config(scale_embedding=False, activation_function="relu",
                                                             decoder_layers=1), pairs(73, 5, SHORT, (9, 5, 1), seed=8),
             rules=last_norm()),
    ]


def pegasus():
    config = bart_like(t.PegasusConfig, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=1,
                       bos_token_id=None)
    absent = dict(absent=r"embed_positions\.weight$")
    return [
        # Positions are sinusoids, in the published files or computed.
        Case("base", t.PegasusForConditionalGeneration, config(decoder_layers=3, activation_function="relu"),
             pairs(73, 0),
             generations=prompts(73, 0, 0, forced_eos=1), rules=last_norm(0.125), **absent),
        Case("stored_positions", t.PegasusForConditionalGeneration, config(scale_embedding=False),
             pairs(73, 0, SHORT, (9, 5, 1), seed=8), rules=last_norm()),
        Case("odd_width", t.PegasusForConditionalGeneration, config(d_model=27, encoder_attention_heads=3,
                                                                    decoder_attention_heads=9),
             pairs(73, 0, SHORT, (9, 5, 1), seed=9), rules=last_norm(), **absent),
    ]


def marian():
    config = bart_like(t.MarianConfig, pad_token_id=72, eos_token_id=0, decoder_start_token_id=72,
                       forced_eos_token_id=0,
                       bos_token_id=None, activation_function="swish")
    absent = dict(absent=r"embed_positions\.weight$")
    return [
        # The padding token begins the decoder's ids and may not be written.
        Case("base", t.MarianMTModel, config(), pairs(73, 72), rules=STRONG_BLOCKS,
             generations=prompts(73, 72, 72, bad_words=[[72]], forced_eos=0), **absent),
        Case("two_tables", t.MarianMTModel, config(share_encoder_decoder_embeddings=False, decoder_vocab_size=59,
                                                   scale_embedding=False, activation_function="relu",
                                                   tie_word_embeddings=False, decoder_start_token_id=58,
                                                   pad_token_id=58),
             pairs(59, 58, SHORT, (9, 5, 1), seed=8), rules=STRONG_BLOCKS),
    ]


def m2m_100():
    config = bart_like(t.M2M100Config, decoder_start_token_id=2)

    def padded(sequences):
        # Padding has the zero position, and what follows does not count it.
        sequences[2]["ids"][4] = sequences[2]["ids"][5] = 1
        sequences[2]["decoder_ids"][-1] = 1
        return sequences

    return [
        Case("base", t.M2M100ForConditionalGeneration, config(activation_function="relu", encoder_layers=3),
             padded(pairs(73, 2, low=2)), rules=last_norm(0.125),
             generations=prompts(73, 2, 1, forced_bos=9, forced_eos=None)),
        Case("gelu", t.M2M100ForConditionalGeneration, config(scale_embedding=False, d_model=36),
             pairs(73, 2, SHORT, (9, 5, 2), seed=8), rules=last_norm()),
    ]


def led():
    def config(**keys):
        base = dict(vocab_size=73, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                    decoder_attention_heads=2, encoder_ffn_dim=44, decoder_ffn_dim=52,
                    max_encoder_position_embeddings=96,
                    max_decoder_position_embeddings=72, activation_function="gelu", pad_token_id=1, bos_token_id=0,
                    eos_token_id=2, decoder_start_token_id=2, attention_window=[4, 12])
        return t.LEDConfig(**base | keys)

    def watching(sequences, places=(0,)):
        for sequence in sequences:
            sequence["global"] = [1 if i in places else 0 for i in range(len(sequence["ids"]))]
        return sequences

    return [
        # The first token sees all and is seen by all, as summaries are made.
        Case("base", t.LEDForConditionalGeneration, config(), watching(pairs(73, 2)), rules=STRONG_BLOCKS, single=True),
        Case("two_global", t.LEDForConditionalGeneration, config(attention_window=6, activation_function="relu"),
             watching(pairs(73, 2, (30,), (9,), seed=8), (0, 17)), rules=STRONG_BLOCKS, single=True),
        # Without global attention the generation shows the window alone.
        Case("window", t.LEDForConditionalGeneration, config(attention_window=10),
             pairs(73, 2, (5, 40), (9, 12), seed=9),
             generations=prompts(73, 2, 1)[1:4], rules=STRONG_BLOCKS, single=True),
    ]


FAMILIES = {"t5": t5, "flan_t5": flan_t5, "mt5": mt5, "bart": bart, "mbart": mbart, "pegasus": pegasus,
            "marian": marian, "m2m_100": m2m_100, "led": led}
