#!/usr/bin/env python3
"""Golden values of word n-gram TF-IDF: scikit-learn's TfidfVectorizer on a few texts. Writes ngrams.json beside it."""
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


def main() -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    train = vectorizer.fit_transform(TEXTS)
    rows = [[[int(c), float(v)] for c, v in sorted(zip(row.indices, row.data))]
            for matrix in (train, vectorizer.transform(UNSEEN)) for row in matrix]
    out = {"made_by": f"scikit-learn {sklearn.__version__}", "texts": TEXTS, "unseen": UNSEEN,
           "terms": list(vectorizer.get_feature_names_out()), "idf": [float(v) for v in vectorizer.idf_], "rows": rows}
    path = pathlib.Path(__file__).with_name("ngrams.json")
    path.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
