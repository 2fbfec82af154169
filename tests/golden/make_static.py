#!/usr/bin/env python3
"""Golden values of static embeddings, into static/ beside this script: a tiny random BERT (teacher/), what model2vec
makes of it in the forms in which models are published (folders m2v_*), and expected.json with the embeddings that
model2vec gives for a few texts, and those of a distillation of the teacher's own tokens by model2vec's functions.

Needs model2vec[distill] (0.10), torch and transformers.
"""
import json
import os
import pathlib
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import model2vec
import numpy as np
import tokenizers
import torch
import transformers
from model2vec import StaticModel
from model2vec.distill import distill
from model2vec.distill.inference import apply_pca, compute_weights, create_embeddings

HERE = pathlib.Path(__file__).with_name("static")
WORDS = ("the of and a to in is was good bad film very not great movie acting plot story fine awful this it but with boring "
         "wonderful ##s ##ed ##ing ##ly ##er ##y un re . , ! ? ' - 1 2 3 b c d e f g h i l m n o p r s t u w y").split()
VOCABULARY = list(dict.fromkeys(["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS +
              ["##" + letter for letter in "abcdefghilmnoprstuvwy"]))
TEXTS = ["the film was very good", "The plot, the acting: WONDERFUL!", "boring story", "", "   ", "zzz qqq",
         "it is not great but fine", "a movie with [CLS] tokens and [unused0]", "unboringly good films 1 2 3",
         "good good good good good good good good good good bad", "na\u00efve caf\u00e9 \u4e2d film"]
WIDTH = 16


def make_teacher(folder: pathlib.Path) -> None:
    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2,
                                     num_attention_heads=4, intermediate_size=48, max_position_embeddings=32,
                                     initializer_range=0.4)
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
                    "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}, indent=1) + "\n")


def save(model: StaticModel, name: str) -> None:
    model.config["tokenizer_name"] = "teacher"
    model.save_pretrained(HERE / name)
    (HERE / name / "README.md").unlink()


def make_published(teacher: pathlib.Path) -> None:
    """The forms in which model2vec saves models."""
    common = {"pca_dims": WIDTH, "device": "cpu"}
    save(distill(str(teacher), quantize_to="float32", **common), "m2v_float32")
    save(distill(str(teacher), quantize_to="float16", vocabulary_quantization=20, **common), "m2v_shared")
    save(distill(str(teacher), quantize_to="int8", **common), "m2v_int8")
    plain = distill(str(teacher), quantize_to="float32", **common)
    plain.normalize = False
    plain.max_length = 6
    save(plain, "m2v_plain")


def distilled(teacher: pathlib.Path) -> list:
    """Rows of a distillation: those of tokens that a text has, weights by their order among these."""
    model = transformers.AutoModel.from_pretrained(teacher)
    keep = [i for i, token in enumerate(VOCABULARY) if not token.startswith("[")]
    cls, sep = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    vectors = create_embeddings(model, [[cls, i, sep] for i in keep], "cpu", 0)
    rows = apply_pca(vectors, WIDTH) * compute_weights(len(keep), 1e-4)[:, None]
    return [[i, [float(value) for value in row]] for i, row in zip(keep, rows)]


def main() -> None:
    shutil.rmtree(HERE, ignore_errors=True)
    teacher = HERE / "teacher"
    teacher.mkdir(parents=True)
    make_teacher(teacher)
    make_published(teacher)
    expected = {"made_by": f"model2vec {model2vec.__version__}, transformers {transformers.__version__}, "
                           f"torch {torch.__version__}, tokenizers {tokenizers.__version__}, numpy {np.__version__}",
                "texts": TEXTS, "width": WIDTH, "distilled": distilled(teacher), "published": {}}
    for folder in sorted(HERE.glob("m2v_*")):
        model = StaticModel.from_pretrained(folder)
        model._set_max_length_in_tokenizer(model.max_length)
        # Without the cut by characters that encode() begins with.
        rows = [model._encode_batch([text], model.normalize)[0] for text in TEXTS]
        expected["published"][folder.name] = [[float(value) for value in row] for row in rows]
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
