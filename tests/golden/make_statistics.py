#!/usr/bin/env python3
"""Writes statistics.json: figures of scipy and scikit-learn that tests/study/statistics_test.cc holds ours against."""
import json
import pathlib

import numpy
import scipy.stats
import sklearn.metrics

rng = numpy.random.default_rng(3)
values = [round(float(v), 6) for v in rng.lognormal(0, 0.5, 37)]
truth = [int(v) for v in rng.integers(0, 4, 200)]
answers = [t if rng.random() < 0.7 else int(rng.integers(0, 5)) for t in truth]

golden = {
    "values": values,
    "median": float(numpy.median(values)),
    "quantiles": [[q, float(numpy.quantile(values, q))] for q in (0.0, 0.025, 0.5, 0.9, 0.95, 1.0)],
    "mad": float(scipy.stats.median_abs_deviation(values)),
    "wilson": [[k, n, *map(float, scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson"))]
               for k, n in ((0, 10), (1, 7), (903, 1000), (50, 50), (717, 1000))],
    "truth": truth, "answers": answers,
    "accuracy": float(sklearn.metrics.accuracy_score(truth, answers)),
    "macro_f1": float(sklearn.metrics.f1_score(truth, answers, average="macro")),
    "bootstrap_median": [float(v) for v in scipy.stats.bootstrap(
        (values,), numpy.median, method="percentile", n_resamples=20000, random_state=1).confidence_interval],
}
path = pathlib.Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(golden) + "\n", encoding="utf-8")
