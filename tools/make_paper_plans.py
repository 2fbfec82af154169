#!/usr/bin/env python3
"""Writes examples/plans/power-hungry/*.yaml: the text tasks of "Power Hungry Processing" as plans.

usage: make_paper_plans.py [OUTPUT]

The tables below are the paper's models and settings; docs/power-hungry.md says what a plan differs in, and why.
"""
import json
import pathlib
import sys

PRECISIONS = ["F32", "BF16", "W8A8", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q4_0", "Q3_K", "Q2_K"]
QUICK_PRECISIONS = ["F32", "Q8_0", "Q4_K"]

TWO, THREE = "negative,positive", "negative,neutral,positive"
STARS = "1 star,2 stars,3 stars,4 stars,5 stars"
CONLL = "O,B-LOC,I-LOC,B-MISC,I-MISC,B-ORG,I-ORG,B-PER,I-PER"
UPPER = {"negative": "NEGATIVE", "positive": "POSITIVE"}
SHORT = {"negative": "NEG", "positive": "POS"}


def rung(model, shape, hub=None, published=None, **more):
    return {"name": model, "model": f"shape:{shape}", "published": {"model": hub or model, **(published or {})}, **more}


CLASSIFIERS = [
    rung("sbcBI/sentiment_analysis_model", f"distilbert-base-uncased+sequence={THREE}",
         comment="its configuration is not known; it is as fast as a DistilBERT"),
    rung("lvwerra/distilbert-imdb", f"distilbert-imdb+sequence={TWO}", published={"words": UPPER}),
    rung("distilbert-base-uncased-finetuned-sst-2-english",
         f"distilbert-base-uncased-finetuned-sst-2-english+sequence={TWO}",
         "distilbert/distilbert-base-uncased-finetuned-sst-2-english", {"words": UPPER}),
    rung("cardiffnlp/twitter-xlm-roberta-base-sentiment", f"twitter-xlm-roberta-base-sentiment+sequence={THREE}"),
    rung("nlptown/bert-base-multilingual-uncased-sentiment",
         f"bert-base-multilingual-uncased-sentiment+sequence={STARS}",
         published={"words": {"negative": "1 star", "positive": "5 stars"}}),
    rung("cardiffnlp/twitter-roberta-base-sentiment-latest",
         f"twitter-roberta-base-sentiment-latest+sequence={THREE}"),
    rung("finiteautomata/bertweet-base-sentiment-analysis", f"bertweet-base-sentiment-analysis+sequence={THREE}",
         published={"words": SHORT}),
    rung("siebert/sentiment-roberta-large-english", f"sentiment-roberta-large-english+sequence={TWO}",
         published={"words": UPPER}),
]
EXTRACTORS = [
    rung("distilbert-base-cased-distilled-squad", "distilbert-base-cased-distilled-squad+span",
         "distilbert/distilbert-base-cased-distilled-squad"),
    rung("distilbert-base-uncased-distilled-squad", "distilbert-base-uncased-distilled-squad+span",
         "distilbert/distilbert-base-uncased-distilled-squad"),
    rung("deepset/tinyroberta-squad2", "tinyroberta-squad2+span"),
    rung("deepset/electra-base-squad2", "electra-base-squad2+span"),
    rung("deepset/roberta-base-squad2", "roberta-base-squad2+span"),
    rung("deepset/bert-large-uncased-whole-word-masking-squad2",
         "bert-large-uncased-whole-word-masking-squad2+span"),
    rung("bert-large-uncased-whole-word-masking-finetuned-squad",
         "bert-large-uncased-whole-word-masking-finetuned-squad+span",
         "google-bert/bert-large-uncased-whole-word-masking-finetuned-squad"),
    rung("timpal0l/mdeberta-v3-base-squad2", "mdeberta-v3-base-squad2+span"),
]
TAGGERS = [
    rung("elastic/distilbert-base-cased-finetuned-conll03-english",
         f"distilbert-base-cased-finetuned-conll03-english+token={CONLL}"),
    rung("dmargutierrez/distilbert-base-multilingual-cased-mapa_coarse-ner",
         f"distilbert-base-multilingual-cased-mapa_coarse-ner+token={CONLL}"),
    rung("dslim/bert-base-NER", f"bert-base-ner+token={CONLL}"),
    rung("Babelscape/wikineural-multilingual-ner", f"wikineural-multilingual-ner+token={CONLL}"),
    rung("QCRI/bert-base-multilingual-cased-pos-english", "bert-base-multilingual-cased-pos-english+token=45"),
    rung("dslim/bert-large-NER", f"bert-large-ner+token={CONLL}"),
    rung("Jean-Baptiste/roberta-large-ner-english", "roberta-large-ner-english+token=O,I-LOC,I-MISC,I-ORG,I-PER"),
    rung("xlm-roberta-large-finetuned-conll03-english", f"xlm-roberta-large-finetuned-conll03-english+token={CONLL}",
         "FacebookAI/xlm-roberta-large-finetuned-conll03-english"),
]
FILLERS = [
    rung("distilbert-base-uncased", "distilbert-base-uncased+masked", "distilbert/distilbert-base-uncased"),
    rung("bert-base-cased", "bert-base-cased+masked", "google-bert/bert-base-cased"),
    rung("roberta-base", "roberta-base+masked", "FacebookAI/roberta-base"),
    rung("albert-base-v2", "albert-base-v2+masked", "albert/albert-base-v2"),
    rung("bert-base-uncased", "bert-base-uncased+masked", "google-bert/bert-base-uncased"),
    rung("bert-base-multilingual-cased", "bert-base-multilingual-cased+masked",
         "google-bert/bert-base-multilingual-cased"),
    rung("xlm-roberta-base", "xlm-roberta-base+masked", "FacebookAI/xlm-roberta-base"),
    rung("microsoft/deberta-base", "deberta-base+masked"),
]
WRITERS = [
    rung("distilgpt2", "distilgpt2", "distilbert/distilgpt2"),
    rung("EleutherAI/gpt-neo-125m", "gpt-neo-125m"),
    rung("gpt2", "gpt2", "openai-community/gpt2"),
    rung("bigscience/bloom-560m", "bloom-560m"),
    rung("facebook/opt-1.3b", "opt-1.3b"),
    rung("gpt2-medium", "gpt2-medium", "openai-community/gpt2-medium"),
    rung("facebook/opt-6.7b", "opt-6.7b"),
    rung("gpt2-xl", "gpt2-xl", "openai-community/gpt2-xl"),
]
SUMMARISERS = [
    rung("ainize/bart-base-cnn", "bart-base-cnn"),
    rung("sshleifer/distilbart-xsum-12-6", "distilbart-cnn-6-6", "sshleifer/distilbart-cnn-6-6",
         comment="what the paper measured under this name, by its logs"),
    rung("sshleifer/distilbart-cnn-12-6", "distilbart-cnn-12-6"),
    rung("facebook/bart-large-cnn", "bart-large-cnn"),
    rung("pszemraj/led-large-book-summary", "led-large-book-summary"),
    rung("google/pegasus-xsum", "pegasus-xsum"),
    rung("google/pegasus-multi_news", "pegasus-multi_news"),
    rung("google/pegasus-large", "pegasus-large"),
]
FLAN = [f"google/flan-t5-{size}" for size in ("base", "large", "xl", "xxl")]
BLOOMZ = [f"bigscience/bloomz-{size}" for size in ("560m", "1b7", "3b", "7b1")]
SUMMARISE = "summarize the following text: {text}"


def limited(rungs, tokens):
    return [{**one, "max_tokens": tokens} for one in rungs]


def zero_shot(prompt, flan, bloomz):
    """The eight models of the paper's table 3; `flan` and `bloomz` are the tokens a shape writes, which never ends by
    itself, and the limit of published weights."""
    return [{**rung(model, model.split("/")[1], published={"max_tokens": limit}), "prompt": prompt,
             "max_tokens": tokens}
            for models, (tokens, limit) in ((FLAN, flan), (BLOOMZ, bloomz)) for model in models]


PLANS = {
    "text-classification": {
        "about": ["Is a sentence of a film review negative or positive? Models that were trained for it.",
                  "Other data: --data recipe:imdb, recipe:rotten_tomatoes."],
        "paper": "text-classification", "task": "classify", "data": "recipe:sst2",
        "more": {"label": "label", "labels": ["negative", "positive"]},
        "metric": ["accuracy", "macro_f1"], "rungs": CLASSIFIERS, "quick": (6, 40),
    },
    "text-classification-strict": {
        "about": ["As text-classification.yaml, with the inputs that the paper's timings show: 50 words at most."],
        "paper": "text-classification", "task": "classify", "data": "recipe:sst2@strict",
        "more": {"label": "label", "labels": ["negative", "positive"]},
        "metric": ["accuracy", "macro_f1"], "rungs": CLASSIFIERS, "quick": (6, 40),
    },
    "text-classification-zero-shot": {
        "about": ["The same question in words, one token of answer for every model.",
                  "Other data: --data recipe:imdb@prompt, recipe:rotten_tomatoes@prompt."],
        "paper": "text-classification", "task": "generate", "data": "recipe:sst2@prompt", "metric": ["exact_match"],
        "rungs": zero_shot(None, (1, 4), (1, 4)), "quick": (1, 12), "quick_also": [4],
    },
    "text-classification-zero-shot-strict": {
        "about": ["As text-classification-zero-shot.yaml, with the paper's cut to 50 words and its limits: 20 tokens",
                  "for Flan-T5, 1 for BLOOMz. A shape writes as many as the paper's answers had."],
        "paper": "text-classification", "task": "generate", "data": "recipe:sst2@strict-prompt",
        "metric": ["exact_match"], "rungs": zero_shot(None, (2, 20), (1, 1)), "quick": (1, 12), "quick_also": [4],
    },
    "question-answering": {
        "about": ["Where in a paragraph is the answer? The paper takes whole inputs, so strict and corrected are one.",
                  "Other data: --data recipe:squad_v2, recipe:sciq."],
        "paper": "question-answering", "task": "answer", "data": "recipe:squad", "metric": ["answer_f1", "exact_match"],
        "rungs": EXTRACTORS, "quick": (5, 12),
    },
    "question-answering-zero-shot": {
        "about": ["The same question in words, answers of equal length for every model.",
                  "Other data: --data recipe:squad_v2@prompt, recipe:sciq@prompt."],
        "paper": "question-answering", "task": "generate", "data": "recipe:squad@prompt",
        "metric": ["answer_f1", "exact_match"], "rungs": zero_shot(None, (4, 20), (4, 20)), "quick": (1, 6),
    },
    "question-answering-zero-shot-strict": {
        "about": ["As question-answering-zero-shot.yaml, with the paper's limits: Flan-T5 20 tokens, BLOOMz 65."],
        "paper": "question-answering", "task": "generate", "data": "recipe:squad@prompt",
        "metric": ["answer_f1", "exact_match"], "rungs": zero_shot(None, (4, 20), (4, 65)), "quick": (1, 6),
    },
    "token-classification": {
        "about": ["Which words are names of what? Strict and corrected are one.", "Other data: --data recipe:wnut17."],
        "paper": "token-classification", "task": "tag", "data": "recipe:wikigold", "metric": ["span_f1"],
        "rungs": TAGGERS, "quick": (4, 30),
    },
    "masked-words": {
        "about": ["Which word is hidden? Strict and corrected are one.", "Other data: --data recipe:cloze."],
        "paper": "masked-words", "task": "fill", "data": "recipe:wikitext2-masked", "metric": ["top_1", "top_5"],
        "rungs": FILLERS, "quick": (7, 30),
    },
    "text-generation": {
        "about": ["Ten tokens after the first 20 words of a line. Strict and corrected are one.",
                  "Nothing is right or wrong here; text-generation-perplexity.yaml says how good the models are."],
        "paper": "text-generation", "task": "generate", "data": "recipe:wikitext2", "metric": None,
        "rungs": limited(WRITERS, 10), "quick": (3, 8),
    },
    "text-generation-perplexity": {
        "about": ["How well the models of text-generation.yaml know the lines that they go on from."],
        "paper": None, "task": "perplexity", "data": "recipe:wikitext2@lines",
        "metric": ["perplexity", "bits_per_byte"],
        "rungs": WRITERS, "quick": (3, 8),
    },
    "summarisation": {
        "about": ["Whole documents, summaries of 20 tokens for every model, and no beams for shapes.",
                  "Other data: --data recipe:samsum, recipe:dialogsum."],
        "paper": "summarisation", "task": "summarise", "data": "recipe:xsum",
        "metric": ["rouge_l", "rouge_1", "rouge_2"],
        "rungs": limited(SUMMARISERS, 20) + zero_shot(SUMMARISE, (20, 20), (20, 20)), "quick": (2, 3),
    },
    "summarisation-strict": {
        "about": ["Documents cut to 50 words, and the paper's limits: 15 tokens, Flan-T5 20, BLOOMz 65, of which it",
                  "made 30 to 40 by the timings. Published weights search as their own settings say; shapes greedily."],
        "paper": "summarisation", "task": "summarise", "data": "recipe:xsum@strict",
        "metric": ["rouge_l", "rouge_1", "rouge_2"],
        "rungs": limited(SUMMARISERS, 15) + zero_shot(SUMMARISE, (20, 20), (35, 65)), "quick": (2, 3),
    },
}


def flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and (not value or set(value) & set(":,{}[]#\"'&*!|>%@` ") or value[0] == "-"):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def rung_lines(one, first):
    lines = [f"  # {one['comment']}"] if "comment" in one else []
    precisions = f"&precisions {flow(PRECISIONS)}" if first else "*precisions"
    lines += [f"  - name: {flow(one['name'])}", "    kind: model", f"    model: {flow(one['model'])}",
              f"    published: {flow(one['published'])}"]
    for key in ("prompt", "max_tokens"):
        if one.get(key) is not None:
            lines.append(f"    {key}: {flow(one[key])}")
    return lines + [f"    precisions: {precisions}"]


def plan_text(name, plan):
    lines = ["# Made by tools/make_paper_plans.py; docs/power-hungry.md is about these plans."]
    lines += [f"# {line}" for line in plan["about"]]
    lines += [f"name: {name}"]
    if plan["paper"]:
        lines.append(f"paper: {plan['paper']}")
    lines += [f"task: {plan['task']}", f"data: {flow(plan['data'])}"]
    lines += [f"{key}: {flow(value)}" for key, value in plan.get("more", {}).items()]
    if plan["metric"]:
        lines.append(f"metric: {flow(plan['metric'])}")
    count, rows = plan["quick"]
    quick = [one["name"] for one in plan["rungs"][:count]]
    quick += [plan["rungs"][i]["name"] for i in plan.get("quick_also", [])]
    lines += ["rounds: 5", "window_seconds: 1", "warm_up_seconds: 1", "seed: 1", "",
              "quick:  # what --quick measures", f"  rungs: {flow(quick)}", f"  precisions: {flow(QUICK_PRECISIONS)}",
              f"  rows: {rows}", "", "rungs:"]
    for i, one in enumerate(plan["rungs"]):
        lines += rung_lines(one, i == 0)
    return "\n".join(lines) + "\n"


def main():
    default = pathlib.Path(__file__).resolve().parent.parent / "examples" / "plans" / "power-hungry"
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    output.mkdir(parents=True, exist_ok=True)
    for name, plan in PLANS.items():
        (output / f"{name}.yaml").write_text(plan_text(name, plan))
    print(f"{output}: {len(PLANS)} plans")


if __name__ == "__main__":
    main()
