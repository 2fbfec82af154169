#!/usr/bin/env python3
"""Heads of scikit-learn's models, into small_models/ beside this script: linear.gguf (TF-IDF of 1-2 words, logistic
regression one against the rest), forest.gguf (the same features, a random forest for each label), on_static.gguf
(logistic regression on the embeddings of static/m2v_float32, as model2vec gives them), and expected.json with texts and
scikit-learn's probabilities. What a small machine without training runs, beside the reference.

Needs gguf, numpy and scikit-learn.
"""
import hashlib
import json
import pathlib

import gguf
import numpy as np
import sklearn
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

HERE = pathlib.Path(__file__).with_name("small_models")
LABELS = ["complaint", "praise", "question"]
PARTS = {
    "complaint": ["my bag is lost again", "late for three hours", "nobody answers the phone", "the worst seat ever",
                  "cancelled without a word", "rude staff at the gate"],
    "praise": ["thank you for the upgrade", "lovely crew on board", "best flight of my life", "great caf\u00e9 at the gate",
               "so easy to book", "the staff was very kind"],
    "question": ["when does boarding begin", "can I bring my bag", "is there a seat by the window", "where is the gate",
                 "what does the upgrade cost", "how late is the flight"],
}
UNSEEN = ["the flight is late and my bag is lost", "thank you lovely staff", "where can I book the upgrade",
          "GATE! gate? gate.", "words that nobody taught", "", "na\u00efve caf\u00e9 \u4e2d \u0420\u0423\u0421"]


def rows() -> tuple[list[str], np.ndarray]:
    texts, labels = [], []
    for k, label in enumerate(LABELS):
        parts = PARTS[label]
        for i, first in enumerate(parts):
            for second in parts[i + 1:]:
                texts.append(f"{first}, {second}")
                labels.append(k)
    return texts, np.array(labels)


def write(name: str, kind: str, keys: dict, tensors: dict) -> None:
    writer = gguf.GGUFWriter(HERE / name, "wattle-head")
    writer.add_string("wattle.head.kind", kind)
    writer.add_array("wattle.head.labels", LABELS)
    writer.add_string("wattle.training.made_by", f"scikit-learn {sklearn.__version__}")
    for key, value in keys.items():
        {str: writer.add_string, int: writer.add_uint32, list: writer.add_array}[type(value)](key, value)
    for tensor, values in tensors.items():
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def linear_tensors(model: OneVsRestClassifier) -> dict:
    weights = np.stack([estimator.coef_[0] for estimator in model.estimators_], axis=1)
    bias = np.array([estimator.intercept_[0] for estimator in model.estimators_])
    return {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)}


def just_above(threshold: float) -> np.float32:
    """The smallest float that is greater: x <= threshold and x < this say the same of floats."""
    near = np.float32(threshold)
    return near if near > threshold else np.nextafter(near, np.float32(np.inf))


def forest_tensors(forests: list[RandomForestRegressor]) -> dict:
    """The near child is that of an absent word, whose value is 0: the left one, as thresholds are positive."""
    split, value, far, roots = [], [], [], []

    def append(tree, node: int) -> None:
        place = len(split)
        split.append(-1), value.append(np.float32(tree.value[node].item())), far.append(-1)
        if tree.children_left[node] < 0:
            return
        assert tree.threshold[node] > 0
        split[place], value[place] = 2 * tree.feature[node] + 1, just_above(tree.threshold[node])
        append(tree, tree.children_left[node])
        far[place] = len(split)
        append(tree, tree.children_right[node])

    for forest in forests:
        roots.append([])
        for estimator in forest.estimators_:
            roots[-1].append(len(split))
            append(estimator.tree_, 0)
    return {"forest.split": np.array(split, np.int32), "forest.value": np.array(value, np.float32),
            "forest.far": np.array(far, np.int32), "forest.roots": np.array(roots, np.int32)}


def fingerprint(folder: pathlib.Path) -> str:
    """What a head knows a static model by: here the bytes of all its vectors, being fewer than 256."""
    data = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8:8 + length])["embeddings"]["data_offsets"]
    sample = hashlib.sha256(b"token_embd.weight" + data[8 + length + begin:8 + length + end]).hexdigest()
    return hashlib.sha256(b"static-embedding" + sample.encode()).hexdigest()


def main() -> None:
    HERE.mkdir(exist_ok=True)
    texts, labels = rows()
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    train = vectorizer.fit_transform(texts)
    unseen = vectorizer.transform(UNSEEN)
    keys = {"wattle.head.max_words": 2, "wattle.head.terms": vectorizer.get_feature_names_out().tolist()}
    idf = {"idf": vectorizer.idf_.astype(np.float32)}

    linear = OneVsRestClassifier(LogisticRegression(C=10)).fit(train, labels)
    write("linear.gguf", "linear", keys, idf | linear_tensors(linear))
    forests = [RandomForestRegressor(20, max_features="sqrt", random_state=k).fit(train, labels == k) for k in range(3)]
    write("forest.gguf", "forest", keys, idf | forest_tensors(forests))
    shares = np.stack([forest.predict(unseen) for forest in forests], axis=1)

    static = json.loads((HERE.parent / "static" / "expected.json").read_text(encoding="utf-8"))
    embeddings = np.array(static["published"]["m2v_float32"], np.float32)
    classes = np.arange(len(embeddings)) % 3
    on_static = OneVsRestClassifier(LogisticRegression(C=10)).fit(embeddings, classes)
    write("on_static.gguf", "linear",
          {"wattle.head.base.path": "../static/m2v_float32", "wattle.head.base.width": embeddings.shape[1],
           "wattle.head.base.fingerprint": fingerprint(HERE.parent / "static" / "m2v_float32")}, linear_tensors(on_static))

    expected = {
        "made_by": f"scikit-learn {sklearn.__version__}",
        "texts": UNSEEN,
        "linear": linear.predict_proba(unseen).tolist(),
        "forest": (shares / shares.sum(axis=1, keepdims=True)).tolist(),
        "static_texts": static["texts"],
        "static": static["published"]["m2v_float32"],
        "on_static": on_static.predict_proba(embeddings).tolist(),
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
