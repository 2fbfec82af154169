#!/usr/bin/env python3
"""Golden values of tables: what scikit-learn makes of numbers, categories and missing values (SimpleImputer by the
median with StandardScaler, OneHotEncoder, MissingIndicator), and what LogisticRegression and Ridge answer from them.
Writes table.json beside it."""
import json
import pathlib

import numpy
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler

COLUMNS = ["age", "colour", "size", "constant", "city"]
ROWS = [
    [31, "red", 1.5, 4, "Ulm"], [None, "blue", -2.25, 4, None], [58, "red", None, 4, "Bern"], [19, "green", 0, 4, "Ulm"],
    [44, "blue", 7.125, 4, "Bern"], [None, "red", 3, 4, "Graz"], [27.5, "green", 1e3, 4, None], [63, "blue", -4, 4, "Ulm"],
    [35, "red", 2, 4, "Graz"], [50, "green", None, 4, "Bern"], [22, "blue", 5.5, 4, "Ulm"], [71, "red", -1, 4, "Graz"],
]
LABELS = [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1]
NUMBERS = [3.5, 1.0, 7.25, 0.5, 9.0, 2.0, 4.75, 6.5, 3.0, 8.0, 1.25, 10.0]
UNSEEN = [[None, None, None, 4, None], [40, "green", 2.5, 5, "Bern"]]


def column_features(train: list, rows: list) -> numpy.ndarray:
    """One column's features: a number or its categories, then 1 where a value is missing if training missed some."""
    missing = [[1.0 if value is None else 0.0] for value in rows]
    parts = []
    if all(value is None or isinstance(value, (int, float)) for value in train):
        def as_array(values):
            return numpy.array([[numpy.nan if value is None else float(value)] for value in values])
        imputer = SimpleImputer(strategy="median").fit(as_array(train))
        scaler = StandardScaler().fit(imputer.transform(as_array(train)))
        parts.append(scaler.transform(imputer.transform(as_array(rows))))
    else:
        categories = sorted({value for value in train if value is not None})
        encoder = OneHotEncoder(categories=[categories], handle_unknown="ignore", sparse_output=False)
        encoder.fit([[value] for value in categories])
        parts.append(encoder.transform([[value if value is not None else "(missing)"] for value in rows]))
    if None in train:
        parts.append(numpy.array(missing))
    return numpy.hstack(parts)


def features(rows: list) -> numpy.ndarray:
    return numpy.hstack([column_features([row[i] for row in ROWS], [row[i] for row in rows])
                         for i in range(len(COLUMNS))])


def main() -> None:
    train, every = features(ROWS), features(ROWS + UNSEEN)
    # LIBLINEAR's constant is a feature whose weight is regularised too: here it is a column of ones.
    with_one = [numpy.hstack([x, numpy.ones((len(x), 1))]) for x in (train, every)]
    logistic = LogisticRegression(C=4, fit_intercept=False, tol=1e-10, max_iter=10000).fit(with_one[0], LABELS)
    ridge = Ridge(alpha=1 / 4).fit(train, NUMBERS)
    out = {"made_by": f"scikit-learn {sklearn.__version__}", "columns": COLUMNS, "rows": ROWS, "unseen": UNSEEN,
           "labels": LABELS, "numbers": NUMBERS, "cost": 4, "features": every.tolist(),
           "probabilities": logistic.predict_proba(with_one[1]).tolist(), "answers": ridge.predict(every).tolist()}
    pathlib.Path(__file__).with_name("table.json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
