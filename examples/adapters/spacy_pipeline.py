#!/usr/bin/env python3
"""spaCy: entities (task: tag) or categories (task: classify) of a pipeline.

  pip install spacy && python3 -m spacy download en_core_web_sm
  command: [python3, examples/adapters/spacy_pipeline.py, en_core_web_sm]

The pipeline is a package's name or a folder. spaCy gives entities no scores; they count as sure.
"""
import argparse

import spacy
from protocol import serve

options = argparse.ArgumentParser()
options.add_argument("pipeline")
options.add_argument("--task", choices=["tag", "classify"], default="tag")
options = options.parse_args()
wanted = {"tag": ["tok2vec", "transformer", "ner", "entity_ruler"], "classify": ["tok2vec", "transformer", "textcat"]}
pipeline = spacy.load(options.pipeline)
# What the task does not need would only cost energy.
pipeline.select_pipes(enable=[name for name in pipeline.pipe_names if name in wanted[options.task]])


def answer(question):
    document = pipeline(question["text"])
    if options.task == "classify":
        return {"label": max(document.cats, key=document.cats.get), "scores": document.cats}
    return {"spans": [{"label": entity.label_, "begin_code_point": entity.start_char, "end_code_point": entity.end_char}
                      for entity in document.ents]}


serve(answer, name="spaCy", version=spacy.__version__, pipes=pipeline.pipe_names)
