"""BERT, DistilBERT, RoBERTa and their relatives of the same names, ALBERT, ELECTRA and MPNet."""
import transformers as t

from .case import Case, ragged

SHORT = (6, 1, 21)
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


def positions_buffer(name, length):
    return {"name": name, "shape": [1, length], "buffer": True, "dtype": "I64", "fill": "arange"}


def heads(prefix, config, sequences, masked=True, **more):
    """A case for each head class of an encoder; `config` makes a configuration with changes."""
    answer = {"problem_type": "single_label_classification", "id2label": {0: "no", 1: "perhaps", 2: "yes"}}
    many = {"problem_type": "multi_label_classification", "id2label": {i: f"topic {i}" for i in range(4)}}
    for keys in (answer, many):
        keys["label2id"] = {label: i for i, label in keys["id2label"].items()}
    tags = {"id2label": LABELS, "label2id": {label: i for i, label in LABELS.items()}}

    def head(name, suffix, seed, **keys):
        return Case(name, getattr(t, f"{prefix}For{suffix}"), config(**keys), sequences(seed), **more)

    cases = [
        head("sequence_classification", "SequenceClassification", 11, **answer),
        head("multi_label", "SequenceClassification", 12, **many),
        head("token_classification", "TokenClassification", 13, **tags),
        head("question_answering", "QuestionAnswering", 14),
    ]
    return cases + [head("masked_lm", "MaskedLM", 15)] if masked else cases


def bert():
    def config(**keys):
        base = dict(vocab_size=83, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=44,
                    max_position_embeddings=72, type_vocab_size=2, hidden_act="relu", layer_norm_eps=1e-2)
        return t.BertConfig(**base | keys)

    def sequences(seed):
        return ragged(83, SHORT, seed=seed, type_ids=2)

    wide = config(vocab_size=97, hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=52,
                  max_position_embeddings=80, type_vocab_size=3, hidden_act="gelu", layer_norm_eps=1e-3)
    return [
        # As bert-base-uncased was published: norms as gamma and beta, the pre-training heads, a buffer of positions.
        Case("base", t.BertModel, wide, ragged(97, type_ids=3), saved_by=t.BertForPreTraining, ignored=r"^cls\.",
             rename=[(r"LayerNorm\.weight$", "LayerNorm.gamma"), (r"LayerNorm\.bias$", "LayerNorm.beta")],
             rules=[(r"gamma$", {"scale": 0.5, "offset": 1.0})],
             extra=[positions_buffer("bert.embeddings.position_ids", 80)],
             drop_keys=["position_embedding_type", "use_cache", "classifier_dropout"]),
        # As sentence encoders are published: no prefix, and without type_ids all are 0.
        Case("no_types", t.BertModel, config(hidden_act="gelu_new", num_attention_heads=1, layer_norm_eps=1e-12),
             ragged(83, (9, 66), seed=8)),
        *heads("Bert", config, sequences),
    ]


def distilbert():
    def config(**keys):
        base = dict(vocab_size=89, dim=28, n_layers=2, n_heads=2, hidden_dim=40, max_position_embeddings=72,
                    activation="relu")
        return t.DistilBertConfig(**base | keys)

    def sequences(seed):
        return ragged(89, SHORT, seed=seed)

    return [
        Case("base", t.DistilBertModel, config(n_layers=3, n_heads=4, activation="gelu"), ragged(89),
             rename=[(r"^", "distilbert.")], extra=[positions_buffer("distilbert.embeddings.position_ids", 72)]),
        Case("sinusoidal", t.DistilBertModel, config(n_heads=1, sinusoidal_pos_embds=True),
             ragged(89, (7, 33), seed=8)),
        *heads("DistilBert", config, sequences),
    ]


def roberta_like(prefix, config_class):
    def config(**keys):
        base = dict(vocab_size=101, hidden_size=30, num_hidden_layers=2, num_attention_heads=3, intermediate_size=46,
                    max_position_embeddings=75, type_vocab_size=1, hidden_act="gelu", layer_norm_eps=1e-3,
                    pad_token_id=1, bos_token_id=0, eos_token_id=2)
        return config_class(**base | keys)

    def sequences(seed):
        # The padding id inside a sequence keeps its own position, pad_token_id.
        out = ragged(101, SHORT, seed=seed, low=4)
        for place in (7, 8, 15):
            out[2]["ids"][place] = 1
        return out

    model = getattr(t, f"{prefix}Model")
    base = ragged(101, low=2)
    for place in (3, 20, 21, 36):
        base[2]["ids"][place] = 1
    cases = [
        Case("base", model, config(num_hidden_layers=3), base, rename=[(r"^", "roberta.")],
             extra=[positions_buffer("roberta.embeddings.position_ids", 75)]),
        Case("pad_3", model, config(pad_token_id=3, hidden_act="relu", type_vocab_size=2, num_attention_heads=2),
             ragged(101, (8, 45), seed=9, type_ids=2)),
    ]
    return cases, config, sequences


def roberta():
    cases, config, sequences = roberta_like("Roberta", t.RobertaConfig)
    bertweet = config(hidden_act="gelu", max_position_embeddings=80, vocab_size=67)
    bertweet.tokenizer_class = "BertweetTokenizer"
    return [*cases, *heads("Roberta", config, sequences),
            Case("bertweet_masked_lm", t.RobertaForMaskedLM, bertweet, ragged(67, (5, 30), seed=21))]


def xlm_roberta():
    cases, config, sequences = roberta_like("XLMRoberta", t.XLMRobertaConfig)
    return [cases[0], *heads("XLMRoberta", config, sequences)]


def camembert():
    cases, config, sequences = roberta_like("Camembert", t.CamembertConfig)
    return [cases[0], *heads("Camembert", config, sequences)]


FAMILIES = {"bert": bert, "distilbert": distilbert, "roberta": roberta, "xlm_roberta": xlm_roberta,
            "camembert": camembert}
