"""ALBERT, ELECTRA, MPNet, DeBERTa of both versions and ModernBERT."""
import transformers as t

from .bert_like import SHORT, heads, positions_buffer
from .case import Case, ragged


def albert():
    def config(**keys):
        base = dict(vocab_size=79, embedding_size=20, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
                    intermediate_size=44, max_position_embeddings=72, type_vocab_size=2, hidden_act="gelu_new",
                    layer_norm_eps=1e-2)
        return t.AlbertConfig(**base | keys)

    def sequences(seed):
        return ragged(79, SHORT, seed=seed, type_ids=2)

    return [
        Case("base", t.AlbertModel, config(), ragged(79, type_ids=2), rename=[(r"^", "albert.")],
             extra=[positions_buffer("albert.embeddings.position_ids", 72)],
             drop_keys=["position_embedding_type", "classifier_dropout_prob"]),
        # Layer i is of group i / (layers / groups), and runs every layer of that group.
        Case("groups", t.AlbertModel, config(num_hidden_layers=5, num_hidden_groups=2, inner_group_num=2,
                                             hidden_act="relu", num_attention_heads=2), ragged(79, (8, 33), seed=8),
             rules=[(r"attention\.dense\.weight$", {"gain": 0.25}),
                    (r"(value|ffn|ffn_output|attention\.dense)\.bias$", {"scale": 0.25}),
                    (r"query\.bias$", {"scale": 2.0}), (r"query\.weight$", {"gain": 4.0})]),
        Case("three_groups", t.AlbertModel, config(num_hidden_layers=6, num_hidden_groups=3, embedding_size=36,
                                                   hidden_act="gelu"), ragged(79, (8, 33), seed=9)),
        *heads("Albert", config, sequences),
    ]


def electra():
    def config(**keys):
        base = dict(vocab_size=79, embedding_size=20, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                    intermediate_size=44, max_position_embeddings=72, type_vocab_size=2, hidden_act="gelu",
                    layer_norm_eps=1e-2)
        return t.ElectraConfig(**base | keys)

    def sequences(seed):
        return ragged(79, SHORT, seed=seed, type_ids=2)

    return [
        # As the discriminators were published: with the head that tells replaced tokens.
        Case("base", t.ElectraModel, config(num_hidden_layers=3), ragged(79, type_ids=2),
             saved_by=t.ElectraForPreTraining,
             ignored=r"^discriminator_predictions",
             extra=[positions_buffer("electra.embeddings.position_ids", 72)]),
        Case("same_width", t.ElectraModel, config(embedding_size=32, hidden_act="relu", num_attention_heads=2),
             ragged(79, (8, 33), seed=8)),
        Case("discriminator", t.ElectraForPreTraining, config(), sequences(9)),
        *heads("Electra", config, sequences),
    ]


def mpnet():
    def config(**keys):
        # The library's buckets are 32 and its distance is 128, whatever the configuration says.
        base = dict(vocab_size=79, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=44,
                    max_position_embeddings=76, hidden_act="gelu", layer_norm_eps=1e-2, pad_token_id=1)
        return t.MPNetConfig(**base | keys)

    def sequences(seed):
        out = ragged(79, SHORT, seed=seed, low=4)
        for place in (7, 8, 15):
            out[2]["ids"][place] = 1
        return out

    far = ragged(79, (5, 1, 70), low=2)
    far[2]["ids"][20] = 1
    return [
        Case("base", t.MPNetModel, config(num_hidden_layers=3), far, rename=[(r"^", "mpnet.")],
             extra=[positions_buffer("mpnet.embeddings.position_ids", 76)]),
        # Past 128 tokens all distances share the last bucket.
        Case("far", t.MPNetModel, config(max_position_embeddings=160, hidden_act="relu", num_hidden_layers=1,
                                         num_attention_heads=2), ragged(79, (150,), seed=8)),
        *heads("MPNet", config, sequences),
    ]


def deberta():
    def config(**keys):
        base = dict(vocab_size=79, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=44,
                    max_position_embeddings=72, type_vocab_size=0, hidden_act="gelu", layer_norm_eps=1e-2,
                    relative_attention=True, max_relative_positions=-1, pos_att_type="c2p|p2c",
                    position_biased_input=False, pooler_hidden_act="gelu")
        return t.DebertaConfig(**base | keys)

    def sequences(seed):
        return ragged(79, SHORT, seed=seed)

    short = dict(max_relative_positions=12)
    return [
        Case("base", t.DebertaModel, config(num_hidden_layers=3), ragged(79), rename=[(r"^", "deberta.")],
             extra=[positions_buffer("deberta.embeddings.position_ids", 72)], drop_keys=["legacy"]),
        # Distances beyond max_relative_positions share an embedding.
        Case("near", t.DebertaModel, config(**short, pos_att_type="c2p", type_vocab_size=2, hidden_act="relu"),
             ragged(79, (8, 40), seed=8, type_ids=2)),
        Case("biased_input", t.DebertaModel, config(**short, pos_att_type="p2c", position_biased_input=True,
                                                    num_attention_heads=2), ragged(79, (8, 40), seed=9)),
        Case("absolute", t.DebertaModel, config(relative_attention=False, position_biased_input=True, pos_att_type=None,
                                                embedding_size=20, num_hidden_layers=1), ragged(79, (8, 40), seed=10)),
        Case("talking_heads", t.DebertaModel, config(**short, talking_head=True, num_hidden_layers=1),
             ragged(79, (8, 21), seed=12)),
        *heads("Deberta", config, sequences),
        # legacy=False names the head lm_predictions, as deberta-base was published; the library's tying would overwrite
        # that head's dense layer by the table.
        Case("masked_lm_published", t.DebertaForMaskedLM, config(legacy=False, tie_word_embeddings=False),
             sequences(16)),
    ]


def deberta_v2():
    def config(**keys):
        base = dict(vocab_size=79, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=44,
                    max_position_embeddings=72, type_vocab_size=0, hidden_act="gelu", layer_norm_eps=1e-2,
                    relative_attention=True, max_relative_positions=-1, position_buckets=8, norm_rel_ebd="layer_norm",
                    share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False, pooler_hidden_act="tanh")
        return t.DebertaV2Config(**base | keys)

    def sequences(seed):
        return ragged(79, SHORT, seed=seed)

    return [
        Case("v3", t.DebertaV2Model, config(num_hidden_layers=3), ragged(79), rename=[(r"^", "deberta.")],
             extra=[positions_buffer("deberta.embeddings.position_ids", 72)], drop_keys=["legacy"]),
        # As deberta-v2-xlarge: a convolution beside the first layer.
        Case("v2_convolution", t.DebertaV2Model, config(conv_kernel_size=3, conv_act="gelu", position_buckets=16,
                                                        num_attention_heads=2), ragged(79, (9, 1, 50), seed=8)),
        Case("grouped_convolution", t.DebertaV2Model, config(conv_kernel_size=5, conv_groups=4, hidden_act="relu",
                                                             type_vocab_size=2),
             ragged(79, (9, 30), seed=9, type_ids=2)),
        # Projections of its own for positions, no buckets, no norm of the positions' embeddings.
        Case("own_projections", t.DebertaV2Model, config(share_att_key=False, position_buckets=-1, norm_rel_ebd="none",
                                                         max_relative_positions=10), ragged(79, (9, 40), seed=10)),
        Case("p2c", t.DebertaV2Model, config(pos_att_type="p2c", share_att_key=False, num_hidden_layers=1,
                                             position_biased_input=True, embedding_size=20),
             ragged(79, (9, 40), seed=11)),
        Case("c2p", t.DebertaV2Model, config(pos_att_type="c2p", num_hidden_layers=1), ragged(79, (9, 40), seed=12)),
        Case("absolute", t.DebertaV2Model, config(relative_attention=False, pos_att_type=None,
                                                  position_biased_input=True,
                                                  num_hidden_layers=1), ragged(79, (9, 40), seed=13)),
        *heads("DebertaV2", config, sequences),
        Case("masked_lm_published", t.DebertaV2ForMaskedLM, config(legacy=False, tie_word_embeddings=False),
             sequences(16)),
    ]


def modernbert():
    def config(**keys):
        base = dict(vocab_size=79, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=44,
                    max_position_embeddings=96, norm_eps=1e-2, pad_token_id=3, eos_token_id=4, bos_token_id=5,
                    cls_token_id=5, sep_token_id=4, global_rope_theta=700.0, local_rope_theta=40.0, local_attention=12,
                    global_attn_every_n_layers=3, reference_compile=False)
        return t.ModernBertConfig(**base | keys)

    def sequences(seed):
        return ragged(79, SHORT, seed=seed)

    few = dict(num_hidden_layers=2, global_attn_every_n_layers=2)
    return [
        Case("base", t.ModernBertModel, config(), ragged(79), rename=[(r"^", "model.")]),
        Case("biases", t.ModernBertModel, config(attention_bias=True, mlp_bias=True, norm_bias=True,
                                                 hidden_activation="silu", num_attention_heads=2, local_attention=7),
             ragged(79, (9, 40), seed=8)),
        *heads("ModernBert", lambda **keys: config(**few | keys), sequences),
        Case("mean_classification", t.ModernBertForSequenceClassification,
             config(**few, classifier_pooling="mean", classifier_bias=True, classifier_activation="relu",
                    norm_bias=True,
                    num_labels=3), sequences(17)),
        Case("masked_lm_plain", t.ModernBertForMaskedLM, config(**few, decoder_bias=False, tie_word_embeddings=False),
             sequences(18)),
    ]


FAMILIES = {"albert": albert, "electra": electra, "mpnet": mpnet, "deberta": deberta, "deberta_v2": deberta_v2,
            "modernbert": modernbert}
