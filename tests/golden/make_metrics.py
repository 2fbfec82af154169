#!/usr/bin/env python3
"""Writes metrics/*.json: what the field's libraries give, which tests/metrics holds ours against.

Python 3.11 with numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 seqeval==1.2.2 transformers==4.57.6 (SQuAD's evaluation)
rouge-score==0.1.2 nltk==3.10.4 sacrebleu==2.6.0 pycocoevalcap==1.2 (with Java for its PTBTokenizer) pycocotools==2.0.11
ranx==0.3.21. Run with python3 -P: the folder torch beside this file is not PyTorch.
"""
import contextlib
import io
import itertools
import json
import pathlib
import random

import nltk.stem.porter
import numpy
import ranx
import sacrebleu
import scipy.stats
import seqeval.metrics
import seqeval.scheme
import sklearn.calibration
import sklearn.metrics
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider_scorer import CiderScorer
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rouge_score import rouge_scorer
from transformers.data.metrics import squad_metrics

FOLDER = pathlib.Path(__file__).with_name("metrics")


def write(name, content):
    (FOLDER / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


# Sentences with what tokenizers treat specially.
SENTENCES = """The quick brown fox jumps over the lazy dog.
A woman is riding a bicycle down a busy street, near parked cars.
It isn't 3,000 but 3.5 million -- roughly 12-14 times what they'd expected!
"Don't go," said Mr. O'Neill; he'd seen the U.S.-based firm's Q3 results (up 7%).
Prices rose 2.5% to $1,234.56 on 10-12 May; analysts said &quot;buy&quot; &amp; held.
Der Bundestag beschloß am Mittwoch, die Maßnahmen zu verlängern.
L'été dernier, nous sommes allés à Besançon, près de la frontière.
Η ΟΔΟΣ ΤΗΣ ΠΟΛΗΣ είναι κλειστή.
我们昨天在北京见到了2位老朋友，他们说：“很好！”
東京の天気は晴れ、気温は25度です。
Привет, мир! Как дела?
an easily understood explanation of generalizations, classifications and organizational relations
the dying skies were tied to news of flies, ponies and cries; happily, the geologists agreed
İstanbul'da hava çok güzel; ışık her yerde.
emoji 😀😀 and co­op, e-mail, C++ and C# a/b [test] {x} <y> 50/50
Two dogs play in the snow while a man's camera records them.
No.
the the the the a an
A well-known state-of-the-art model wasn't re-trained...
One line here.""".split("\n")


def changed(sentence, rng, source=SENTENCES):
    """As a model would have it: words lost, doubled, swapped, taken from elsewhere."""
    words = sentence.split(" ")
    for _ in range(rng.randrange(0, 5)):
        place = rng.randrange(len(words))
        what = rng.random()
        if what < 0.3 and len(words) > 1:
            del words[place]
        elif what < 0.5:
            words.insert(place, words[place])
        elif what < 0.7:
            other = rng.randrange(len(words))
            words[place], words[other] = words[other], words[place]
        else:
            words[place] = rng.choice(rng.choice(source).split(" "))
    return " ".join(words)


def make_labels(rng):
    names = ["down", "flat", "up", "wild"]
    truth = [int(v) for v in rng.integers(0, 3, 150)]
    logits = rng.normal(0, 1.5, (150, 4))
    logits[numpy.arange(150), truth] += 1.2
    p = numpy.exp(logits).astype(numpy.float32)
    p = (p / p.sum(axis=1, keepdims=True)).astype(numpy.float32)
    p[0] = [1, 0, 0, 0]
    truth[0] = 1  # a probability of 0 for what is right
    p[1] = [0.8, 0.2, 0, 0]  # a bin's edge
    answers = p.argmax(axis=1)
    right = (answers == truth).astype(int)
    confidence = p.max(axis=1).astype(numpy.float64)
    share, mean = sklearn.calibration.calibration_curve(right, confidence, n_bins=15)
    counts = numpy.bincount(numpy.searchsorted(numpy.linspace(0, 1, 16)[1:-1], confidence), minlength=15)
    counts = counts[counts > 0]
    everything = [0, 1, 2, 3]
    write("labels", {
        "names": names, "truth": truth, "probabilities": [[float(v) for v in row] for row in p],
        "accuracy": sklearn.metrics.accuracy_score(truth, answers),
        "macro_f1": sklearn.metrics.f1_score(truth, answers, average="macro"),
        "top_1": sklearn.metrics.top_k_accuracy_score(truth, p, k=1, labels=everything),
        "top_2": sklearn.metrics.top_k_accuracy_score(truth, p, k=2, labels=everything),
        "calibration_error": float((numpy.abs(share - mean) * counts).sum() / counts.sum()),
        "brier": sklearn.metrics.brier_score_loss(truth, p, labels=everything, scale_by_half=True),
        "log_loss": sklearn.metrics.log_loss(truth, p, labels=everything)})


def make_spans(rng):
    kinds, rows, truths, answers = ["PER", "ORG", "LOC"], [], [], []

    def tags(length):
        tags = []
        while len(tags) < length:
            if rng.random() < 0.6:
                tags.append("O")
            else:
                kind = rng.choice(kinds)
                tags += [f"B-{kind}"] + [f"I-{kind}"] * rng.randrange(3)
        return tags[:length]

    def spans(tags):
        found = seqeval.scheme.Entities([tags], seqeval.scheme.IOB2).entities[0]
        return [[entity.start, entity.end, entity.tag] for entity in found]

    for _ in range(60):
        length = rng.randrange(1, 15)
        truth = tags(length)
        answer = truth if rng.random() < 0.4 else tags(length)
        truths.append(truth), answers.append(answer)
        rows.append({"truth": spans(truth), "answer": spans(answer)})
    write("spans", {"rows": rows, "span_f1": seqeval.metrics.f1_score(
        truths, answers, mode="strict", scheme=seqeval.scheme.IOB2)})


class Example:
    def __init__(self, name, answers):
        self.qas_id, self.answers = name, [{"text": text} for text in answers]


def make_extraction(rng):
    rows = [
        ("The  Eiffel-Tower!", ["eiffeltower", "tower"]), ("in 1889", ["the 1889"]), ("", []), ("the", []),
        ("something", []), ("", ["x"]), ("the", ["a"]), ("The—end", ["end"]), ("a_the the_b", ["a_the the_b"]),
        ("ΟΔΟΣ", ["οδος"]), ("İZMİR", ["i̇zmi̇r"]), ("caf\u00e9 the\u0301", ["CAFÉ"]),
        ("x\u00a0 y\u3000z\x1cw", ["x y z w"]),
        ("50% of $3.5", ["50 of 35"]), ("straße", ["STRASSE"]), ("1²", ["a 1²"]), ("an an an apple", ["apple apple"])]
    for _ in range(60):
        sentence = rng.choice(SENTENCES)
        rows.append((changed(sentence, rng), [changed(sentence, rng) for _ in range(rng.randrange(1, 4))]))
    examples = [Example(str(i), references) for i, (_, references) in enumerate(rows)]
    answers = {str(i): answer for i, (answer, _) in enumerate(rows)}
    exact, f1 = squad_metrics.get_raw_scores(examples, answers)
    result = squad_metrics.squad_evaluate(examples, answers)
    write("extraction", {
        "rows": [{"answer": answer, "references": references, "exact_match": exact[str(i)], "answer_f1": f1[str(i)]}
                 for i, (answer, references) in enumerate(rows)],
        "exact_match": result["exact"] / 100, "answer_f1": result["f1"] / 100,
        "no_answer_accuracy": result["NoAns_exact"] / 100})


def rouge(answer, references, stemmed):
    kinds = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l", "rougeLsum": "rouge_lsum"}
    scores = rouge_scorer.RougeScorer(list(kinds), use_stemmer=stemmed).score_multi(references, answer)
    return {ours + ("_stemmed" if stemmed else ""): float(scores[theirs].fmeasure) for theirs, ours in kinds.items()}


def corpus(metric, rows):
    most = max(len(references) for _, references in rows)
    streams = [[references[i] if i < len(references) else None for _, references in rows] for i in range(most)]
    return metric.corpus_score([answer for answer, _ in rows], streams).score


def make_texts(rng):
    rows = [("", ["not empty"]), ("word", [""]), ("", [""]), ("  ", [". ,"]), (SENTENCES[8], [SENTENCES[8]]),
            ("ab- cd&lt;x<skipped>", ["ab- cd <x"])]
    for _ in range(110):
        sentence = "\n".join(rng.choice(SENTENCES) for _ in range(rng.choice([1, 1, 1, 2, 3])))
        rows.append((changed(sentence, rng), [changed(sentence, rng) for _ in range(rng.randrange(1, 4))]))
    # A corpus without any match of three words and more: BLEU is smoothed.
    few = [("a b x", ["a b y"]), ("k l m n o p", ["k l q n z p w"]), ("one", ["two"])]
    metrics = {"bleu": sacrebleu.BLEU(), "bleu_zh": sacrebleu.BLEU(tokenize="zh"),
               "bleu_char": sacrebleu.BLEU(tokenize="char"), "chrf": sacrebleu.CHRF(),
               "chrf++": sacrebleu.CHRF(word_order=2)}
    written = []
    for answer, references in rows:
        scores = rouge(answer, references, False) | rouge(answer, references, True)
        scores |= {name: metrics[name].sentence_score(answer, references).score for name in ("chrf", "chrf++")}
        written.append({"answer": answer, "references": references, "scores": scores})
    write("texts", {
        "rows": written, "corpus": {name: corpus(metric, rows) for name, metric in metrics.items()},
        "few": [{"answer": answer, "references": references} for answer, references in few],
        "corpus_of_few": {name: corpus(metric, few) for name, metric in metrics.items()},
        "words": [[sentence] + [metrics[name].tokenizer(sentence.rstrip()).split()
                                for name in ("bleu", "bleu_zh", "bleu_char")]
                  for sentence in SENTENCES + ["1.2.3,4..5 .6 7- -8 9-x", "a.,b", "..", "x\u2014y \u20000\u2800"]]})


# Words for each of the stemmer's rules, and their endings on stems of several measures.
STEMS = (
    "sky skies dying lying tying news innings outing cannings howe proceed exceed succeed flies dies ties "
    "ponies caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned "
    "falling hissing fizzed failing filing happy sky enjoy by say spied died cried relational conditional "
    "rational valency hesitancy digitizer conformably radically differently vilely analogously "
    "vietnamization predication operator feudalism decisiveness hopefulness callousness formality "
    "sensitivity sensibility geology psychology archaeology ology triplicate formative formalize "
    "electricity electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable "
    "defensible irritant replacement adjustment dependent adoption homologous communism activate "
    "angularity effective bowdlerize probate rate cease controll roll bilingual ion lion union succeeding "
    "yyyy yy syzygy aing oed ing eed ied ies sses s ss").split()
ENDINGS = (
    "s es ies sses ss ed eed ied ing y ational tional enci anci izer bli alli entli eli ousli ization "
    "ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical "
    "ful ness al ance ence er ic able ible ant ement ment ent sion tion ou ism ate iti ous ive ize e ll "
    "lles ally fully logy ably").split()


def make_stems():
    stemmer = nltk.stem.porter.PorterStemmer()
    words = STEMS + [stem + ending for stem in ("tr", "y", "oat", "tree", "hop", "gener", "ivor", "activ", "bb", "say")
                     for ending in ENDINGS]
    write("stems", {word: stemmer.stem(word) for word in sorted(set(words))})


def words_of_captions(captions):
    with contextlib.redirect_stderr(io.StringIO()):
        return PTBTokenizer().tokenize({i: [{"caption": text} for text in texts] for i, texts in enumerate(captions)})


CAPTIONS = """A man rides a wave on a surfboard.
A man's surfboard isn't in the water!
Two dogs, one brown and one white, play with a frisbee
The "stop" sign is next to a well-lit street at 10:30.
A woman (wearing a red t-shirt) cannot see the 3 cats...
Black & white photo of a 1,000 year old church; it's raining.
They're eating pizza -- and they'd like more: cheese?
a small dog plays with a red ball in the grass
A group of people standing around a table with food.
A cat is sitting on top of a laptop computer
a cat sits on the keyboard of a laptop
A bus drives down a city street near tall buildings.
Several giraffes stand in a field of tall grass.
An old train is parked at the station at night
A kitchen with a stove, a sink and a refrigerator.""".split("\n")


def make_captions(rng):
    answers = [changed(rng.choice(CAPTIONS), rng, CAPTIONS) for _ in range(40)]
    references = [[changed(rng.choice(CAPTIONS) if rng.random() < 0.5 else answer, rng, CAPTIONS)
                   for _ in range(rng.randrange(1, 6))] for answer in answers]
    answers[0], references[1] = "", ["."]
    ours = words_of_captions([[answer] for answer in answers])
    theirs = words_of_captions(references)
    bleu, cider = BleuScorer(n=4), CiderScorer(n=4, sigma=6.0)
    for i in range(len(answers)):
        bleu += (ours[i][0], theirs[i])
        cider += (ours[i][0], theirs[i])
    mean, scores = cider.compute_score()
    write("captions", {
        "words": [[caption, words.split()] for caption, words in zip(CAPTIONS, words_of_captions([CAPTIONS])[0])],
        "rows": [{"answer": answer, "references": texts, "cider_d": float(score)}
                 for answer, texts, score in zip(answers, references, scores)],
        "coco_bleu_4": bleu.compute_score(option="closest")[0][3], "cider_d": float(mean)})


def make_scores(rng):
    truth = [round(float(v), 1) for v in rng.uniform(0, 5, 80)]  # with ties
    answers = [round(v + float(rng.normal(0, 1)), 1) for v in truth]
    write("scores", {
        "truth": truth, "answers": answers,
        "spearman": float(scipy.stats.spearmanr(answers, truth).statistic),
        "pearson": float(scipy.stats.pearsonr(answers, truth).statistic),
        "rmse": sklearn.metrics.root_mean_squared_error(truth, answers),
        "mae": sklearn.metrics.mean_absolute_error(truth, answers), "r2": sklearn.metrics.r2_score(truth, answers)})


def by_ranx(relevance, scores):
    """All documents are listed, also those that say nothing to the query."""
    qrels = ranx.Qrels({"q": {f"d{i}": int(r) for i, r in enumerate(relevance)}})
    run = ranx.Run({"q": {f"d{i}": float(s) for i, s in enumerate(scores)}})
    found = ranx.evaluate(qrels, run, ["recall@10", "mrr"])
    return [float(found["recall@10"]), float(found["mrr"])]


def make_ranking(rng):
    rows = []
    for i in range(40):
        n = rng.integers(2, 30)
        relevance = [int(v) for v in rng.choice([0, 0, 0, 1, 2, 3], n)]
        scores = [float(v) for v in rng.permutation(n) / 8]
        rows.append((relevance, scores, *by_ranx(relevance, scores)))
    # Ties: the mean over every order of six or twelve documents.
    for relevance, scores in (([0, 1, 0, 2, 0], [1, 1, 1, 1, 1]), ([1, 0, 0, 1, 0, 0], [2, 1, 1, 1, 1, 3]),
                              ([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1])):
        orders = []
        for order in itertools.permutations(range(scores.count(1))):
            places = iter(order)
            orders.append(by_ranx(relevance, [s if s != 1 else 1 - next(places) / 100 for s in scores]))
        rows.append((relevance, [float(s) for s in scores], *numpy.mean(orders, axis=0)))
    written = [{"relevance": r, "scores": s, "recall_10": float(recall), "mean_reciprocal_rank": float(mrr),
                "ndcg_10": sklearn.metrics.ndcg_score([r], [s], k=10)} for r, s, recall, mrr in rows]
    write("ranking", {"rows": written} | {name: float(numpy.mean([row[name] for row in written]))
                                          for name in ("recall_10", "mean_reciprocal_rank", "ndcg_10")})


def make_detection(rng):
    images, truths, detections = [], [], []

    def box():
        return [round(float(v), 1) for v in (*rng.uniform(0, 200, 2), *rng.uniform(5, 120, 2))]

    for image in range(25):
        images.append({"id": image, "width": 320, "height": 320})
        for _ in range(rng.integers(0, 7)):
            label, b = int(rng.integers(1, 5)), box()
            truths.append({"id": len(truths) + 1, "image_id": image, "category_id": label, "bbox": b,
                           "area": b[2] * b[3], "iscrowd": int(rng.random() < 0.12)})
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                near = [round(v + float(rng.normal(0, 4)), 1) for v in b[:2]] + [
                    round(v * float(rng.lognormal(0, 0.1)), 1) for v in b[2:]]
                detections.append({"image_id": image, "category_id": label if rng.random() < 0.9 else 4, "bbox": near,
                                   "score": round(float(rng.uniform(0.3, 1)), 2)})
        for _ in range(rng.integers(0, 4)):
            detections.append({"image_id": image, "category_id": int(rng.integers(1, 7)), "bbox": box(),
                               "score": round(float(rng.uniform(0, 0.8)), 2)})
    for i in range(130):  # more than a hundred of one image and label
        detections.append({"image_id": 3, "category_id": 2, "bbox": box(), "score": round(0.5 - i / 1000, 3)})
    coco = COCO()
    coco.dataset = {"info": {}, "images": images, "annotations": truths,
                    "categories": [{"id": i, "name": str(i)} for i in range(1, 7)]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(d) for d in detections]), "bbox")
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    rows = [{"truths": [{"box": t["bbox"], "label": t["category_id"], "crowd": bool(t["iscrowd"])}
                        for t in truths if t["image_id"] == image],
             "detections": [{"box": d["bbox"], "label": d["category_id"], "score": d["score"]}
                            for d in detections if d["image_id"] == image]} for image in range(25)]
    write("detection", {"rows": rows, "at_50_to_95": evaluation.stats[0], "at_50": evaluation.stats[1],
                        "at_75": evaluation.stats[2]})


def main():
    FOLDER.mkdir(exist_ok=True)
    make_labels(numpy.random.default_rng(3))
    make_spans(random.Random(3))
    make_extraction(random.Random(4))
    make_texts(random.Random(5))
    make_stems()
    make_captions(random.Random(6))
    make_scores(numpy.random.default_rng(7))
    make_ranking(numpy.random.default_rng(8))
    make_detection(numpy.random.default_rng(9))


if __name__ == "__main__":
    main()
