#!/usr/bin/env python3
"""The smallest adapter: needs Python alone and answers every text with itself (task: generate).

  command: [python3, examples/adapters/echo.py]
"""
from protocol import serve


def answer(question):
    return {"id": question.get("id"), "text": question["text"], "tokens_in": len(question["text"].split())}


serve(answer, name="echo")
