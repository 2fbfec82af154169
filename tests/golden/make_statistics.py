#!/usr/bin/env python3
"""Writes statistics.json: figures of numpy, scipy and statsmodels that tests/statistics/statistics_test.cc holds ours against."""
import json
import pathlib

import numpy
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

rng = numpy.random.default_rng(3)
values = [round(float(v), 6) for v in rng.lognormal(0, 0.5, 37)]
a = [round(float(v), 6) for v in rng.lognormal(0.3, 0.1, 9)]
b = [round(float(v) * float(rng.lognormal(0, 0.05)), 6) for v in a]
c = [round(float(v), 6) for v in rng.lognormal(0.1, 0.2, 6)]
DEGREES = (0.7, 1, 2, 3.4, 9, 10.5, 60, 1e4)


def interval_of_mean(sample):
    return [float(numpy.mean(sample)), *map(float, scipy.stats.t.interval(
        0.95, len(sample) - 1, numpy.mean(sample), scipy.stats.sem(sample)))]


def ratio(test):
    """Value, bounds and p of a t test on logarithms."""
    bounds = test.confidence_interval(0.95)
    return [float(numpy.exp((bounds.low + bounds.high) / 2)), float(numpy.exp(bounds.low)),
            float(numpy.exp(bounds.high)), float(test.pvalue)]


p_values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.03]
golden = {
    "values": values, "a": a, "b": b, "c": c,
    "mean": float(numpy.mean(values)), "variance": float(numpy.var(values, ddof=1)),
    "median": float(numpy.median(values)),
    "quantiles": [[q, float(numpy.quantile(values, q))] for q in (0.0, 0.025, 0.5, 0.9, 0.95, 1.0)],
    "mad": float(scipy.stats.median_abs_deviation(values)),
    "normal": [[p, float(scipy.stats.norm.ppf(p))] for p in (1e-300, 1e-12, 0.001, 0.025, 0.3, 0.5, 0.975, 0.999999)],
    "normal_cdf": [[z, float(scipy.stats.norm.cdf(z))] for z in (-30.0, -6.0, -1.0, 0.0, 0.5, 3.0)],
    "student_t": [[p, d, float(scipy.stats.t.ppf(p, d))] for d in DEGREES for p in (1e-9, 0.025, 0.4, 0.5, 0.9, 0.975, 0.9999)],
    "student_t_cdf": [[t, d, float(scipy.stats.t.cdf(t, d))] for d in DEGREES for t in (-40.0, -2.0, 0.0, 0.1, 1.5, 12.0)],
    "beta_cdf": [[x, p, q, float(scipy.stats.beta.cdf(x, p, q))]
                 for x, p, q in ((0.1, 0.5, 0.5), (0.9, 902.5, 98.5), (0.5, 3, 8), (0.999, 0.5, 7), (1e-6, 1, 1000))],
    "at_least": [[bar, k, n, float(scipy.stats.beta.sf(bar, k + 0.5, n - k + 0.5))]
                 for bar, k, n in ((0.9, 903, 1000), (0.9, 850, 1000), (0.5, 0, 4), (0.99, 50, 50))],
    "student_interval": interval_of_mean(values),
    "student_interval_of_logs": [float(v) for v in numpy.exp(interval_of_mean(numpy.log(c)))],
    "wilson": [[k, n, *map(float, scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson"))]
               for k, n in ((0, 10), (1, 7), (903, 1000), (50, 50), (717, 1000))],
    "bootstrap_median": [float(v) for v in scipy.stats.bootstrap(
        (values,), numpy.median, method="percentile", n_resamples=20000, random_state=1).confidence_interval],
    "ratio": ratio(scipy.stats.ttest_ind(numpy.log(a), numpy.log(c), equal_var=False)),
    "paired_ratio": ratio(scipy.stats.ttest_rel(numpy.log(a), numpy.log(b))),
    "paired_t": float(scipy.stats.ttest_rel(a, b).pvalue),
    "mcnemar": [[x, y, float(mcnemar([[0, x], [y, 0]], exact=True).pvalue)]
                for x, y in ((1, 9), (5, 5), (0, 6), (40, 60), (12, 10))],
    "p": p_values, "holm": [float(v) for v in multipletests(p_values, method="holm")[1]],
}
path = pathlib.Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(golden) + "\n", encoding="utf-8")
