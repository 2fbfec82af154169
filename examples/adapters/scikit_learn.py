#!/usr/bin/env python3
"""scikit-learn: TF-IDF and logistic regression, trained on a file of JSON lines when it starts (task: classify).

  pip install scikit-learn
  command: [python3, examples/adapters/scikit_learn.py, train.jsonl]

Training is part of the load window. With --save FILE the model is kept (by joblib), and given in place of the rows
it is loaded. Load no such file that you do not trust: it can run code.
"""
import argparse

import joblib
import sklearn
from protocol import serve, texts_and_labels
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

options = argparse.ArgumentParser()
options.add_argument("file", help="rows to train on (.jsonl), or a saved model (.joblib)")
options.add_argument("--text", default="text")
options.add_argument("--label", default="label")
options.add_argument("--save", help="where to keep the trained model")
options = options.parse_args()

if options.file.endswith(".joblib"):
    model = joblib.load(options.file)
else:
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    model.fit(*texts_and_labels(options.file, options.text, options.label))
    if options.save:
        joblib.dump(model, options.save)
labels = list(model.classes_)


def answer(question):
    scores = model.predict_proba([question["text"]])[0]
    return {"label": labels[scores.argmax()], "scores": {label: float(p) for label, p in zip(labels, scores)}}


serve(answer, name="scikit-learn", version=sklearn.__version__, labels=labels)
