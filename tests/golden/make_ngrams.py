#!/usr/bin/env python3
"""Golden values of n-gram TF-IDF: scikit-learn's TfidfVectorizer on a few texts, of words (1 to 2) and of characters
within what spaces part (char_wb, 2 to 5). Writes ngrams.json and character_ngrams.json beside it."""
import json
import pathlib

import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer

TEXTS = [
    "The flight was late, late, LATE and nobody told us why.",
    "Thanks @united for the upgrade! Best flight ever :)",
    "a b c 1 22 333 under_score x_1 don't e-mail",
    "Größe ÜBER naïve café ½ ٣٤ 中文字 नमस्ते привет МИР",
    "",
    "   ... !!! ",
    "flight flight flight the the upgrade café",
    "O'Hare to JFK: 3hrs late. The worst; the very worst",
]
UNSEEN = ["the flight was the worst flight", "nothing known here", "МИР привет привет", "café upgrade thanks"]

CHARACTER_TEXTS = [
    "The flight\twas LATE",
    "航班又晚点了，服务很差",
    "服务很好，航班 准点",
    "😀😀 👍🏽 ok",
    "a  é",
    "if (x != y) { x += 1; }",
    " \u3000x\u00a0y ",
    "",
]
CHARACTER_UNSEEN = ["航班很好 👍🏽", "x", "flight: late?", "日本"]


def golden(texts: list[str], unseen: list[str], **options) -> dict:
    vectorizer = TfidfVectorizer(sublinear_tf=True, **options)
    train = vectorizer.fit_transform(texts)
    rows = [[[int(c), float(v)] for c, v in sorted(zip(row.indices, row.data))]
            for matrix in (train, vectorizer.transform(unseen)) for row in matrix]
    return {"made_by": f"scikit-learn {sklearn.__version__}", "texts": texts, "unseen": unseen,
            "terms": list(vectorizer.get_feature_names_out()), "idf": [float(v) for v in vectorizer.idf_], "rows": rows}


def main() -> None:
    for name, out in (("ngrams", golden(TEXTS, UNSEEN, ngram_range=(1, 2))),
                      ("character_ngrams", golden(CHARACTER_TEXTS, CHARACTER_UNSEEN, analyzer="char_wb",
                                                  ngram_range=(2, 5)))):
        path = pathlib.Path(__file__).with_name(name + ".json")
        path.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
