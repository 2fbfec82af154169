"""What every adapter shares: questions as JSON lines in, answers as JSON lines out. Copy it beside your own program."""
import json
import os
import sys


def serve(answer, **description):
    """Says that the program is ready, then answers line by line until the questions end.

    `answer(question)` gets the question as a dict and returns the answer as a dict. What libraries print goes to
    standard error, because only answers may go to standard output.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def write(line):
        answers.write(json.dumps(line, ensure_ascii=False) + "\n")
        answers.flush()

    write({"ready": True, **description})
    for line in sys.stdin.buffer:
        write(answer(json.loads(line)))


def texts_and_labels(path, text="text", label="label"):
    """The rows of a file of JSON lines, for programs that train first."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return [row[text] for row in rows], [str(row[label]) for row in rows]
