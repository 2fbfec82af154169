#!/usr/bin/env python3
"""Goldens of the Jinja engine: snippets and whole chat templates, rendered by jinja2 as transformers sets it up.

    pip install jinja2==3.1.6
    python3 tests/golden/make_chat.py

reads tests/golden/jinja/snippets.txt and templates/*.jinja and writes snippets.json and templates.json beside them. The
templates are written here, in the style of the families they are named after.

In snippets.txt a line is a snippet, \u23ce stands for a new line, and "# " begins a heading. Those after "!" are rendered in
the sandbox that lets lists and dictionaries be changed, as this engine does and transformers' does not.
"""
import copy
import datetime
import json
import pathlib
import traceback

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

OUT = pathlib.Path(__file__).resolve().parent / "jinja"
NOW = datetime.datetime(2024, 7, 9, 8, 5, 3)


class Generation(jinja2.ext.Extension):
    """transformers' {% generation %}, which marks what the assistant wrote and changes no text."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    @staticmethod
    def _body(caller):
        return caller()


def environment(sandbox=jinja2.sandbox.ImmutableSandboxedEnvironment):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def line_of(error):
    """The template's line that an error comes from."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return frames[-1].lineno if frames else 0


def rendered(source, variables, made):
    try:
        return {"text": made.from_string(source).render(**copy.deepcopy(variables))}
    except Exception as error:  # whatever Python raises is an error of the template
        result = {"line": line_of(error)}
        if type(error) is jinja2.exceptions.TemplateError:
            result["message"] = str(error)
        return result


VARIABLES = {
    "text": "Hello, W\u00f6rld! \U0001f600",
    "lines": "one\ntwo\n\n  three  \n",
    "padded": "  \t padded \u00a0 \n",
    "empty": "",
    "words": ["pear", "Apple", "fig", "apple", "Fig"],
    "numbers": [3, 1, 4, 1, 5, 9, 2, 6],
    "mixed": [1, 2.5, "three", None, True, [4, 5], {"six": 6}],
    "nothing": None,
    "yes": True,
    "no": False,
    "seven": 7,
    "half": 0.5,
    "person": {"name": "Ada", "age": 36, "tags": ["x", "y"], "home": {"city": "London", "zip": None}, "items": "own"},
    "people": [{"name": "Ada", "age": 36, "role": "user"}, {"name": "bob", "age": 25, "role": "assistant"},
               {"name": "Cy", "age": 36, "role": "user"}, {"name": "Di", "role": "tool"}],
    "nested": [[1, [2, 3]], [], [[4]]],
    "quotes": "it's \"quoted\" \\ back\tslash\x01\x7f \u2028",
    "html": "<a href='x'>&\"</a>",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "Hello!"}],
}


def snippets():
    plain, mutable = environment(), environment(jinja2.sandbox.SandboxedEnvironment)
    results = []
    for row in (OUT / "snippets.txt").read_text(encoding="utf-8").split("\n"):
        if not row or row.startswith("# "):
            continue
        source = row.removeprefix("!").replace("\u23ce", "\n")
        results.append({"template": source, **rendered(source, VARIABLES, mutable if row[0] == "!" else plain)})
    return results


# ------------------------------------------------------------------ chat templates

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a \"city\" <now> & then",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Name, e.g. Z\u00fcrich"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "What time it is", "parameters": {
        "type": "object", "properties": {}}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "call12345", "type": "function", "function": {"name": "get_weather",
                                                         "arguments": {"city": "Z\u00fcrich", "unit": "celsius"}}}]}
RESULT = {"role": "tool", "tool_call_id": "call12345", "name": "get_weather", "content": "{\"t\": 21.5}"}


def turns(*contents, system=None):
    messages = [{"role": "system", "content": system}] if system is not None else []
    return messages + [{"role": "user" if i % 2 == 0 else "assistant", "content": content}
                       for i, content in enumerate(contents)]


CONVERSATIONS = {
    "one": {"messages": turns("Hello!")},
    "system": {"messages": turns("What is 2 + 2?", system="Answer in one word.")},
    "turns": {"messages": turns("Name a colour.", "Blue.", "  Another, please.\n", system="Be \"brief\", it's late.")},
    "unicode": {"messages": turns("\u4f60\u597d \U0001f600 caf\u00e9\u00a0", " n\u00e9e\u2028 ", "\u00df\n\n\u0130?")},
    "marks": {"messages": turns("<|im_end|>\n<s>[INST] {{ x }} {% y %} </s>", "<think>a</think>\n\nb", "")},
    "thinking": {"messages": turns("why?", "<think>\nbecause\n</think>\n\nSo.", "and?"),
                 "enable_thinking": False},
    "no prompt": {"messages": turns("a", "b", system="s"), "add_generation_prompt": False},
    "two users": {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
    "starts with assistant": {"messages": [{"role": "assistant", "content": "a"}]},
    "unknown role": {"messages": [{"role": "user", "content": "a"}, {"role": "root", "content": "b"}]},
    "tools": {"messages": turns("Weather in Z\u00fcrich?", system="Use tools."), "tools": TOOLS},
    "tool calls": {"messages": turns("Weather?") + [CALL, RESULT, {"role": "assistant", "content": "21.5 degrees."},
                                                    {"role": "user", "content": "Thanks"}], "tools": TOOLS},
    "documents": {"messages": turns("What do they say?"),
                  "documents": [{"title": "First", "text": "Cats purr."}, {"title": "Second", "text": "Dogs bark."}]},
}


def families():
    made = environment()
    results = {}
    for path in sorted((OUT / "templates").glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        results[path.stem] = {}
        for name, given in CONVERSATIONS.items():
            variables = {"tools": None, "documents": None, "add_generation_prompt": True, "bos_token": "<s>",
                         "eos_token": "</s>", **given}
            results[path.stem][name] = rendered(source, variables, made)
    return results


def write(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    found = snippets()
    write("snippets.json", {"variables": VARIABLES, "now": NOW.isoformat(), "snippets": found})
    chats = families()
    write("templates.json", {"conversations": CONVERSATIONS, "results": chats})
    cases = [case for results in chats.values() for case in results.values()]
    print(f"{len(found)} snippets ({sum('line' in case for case in found)} errors), {len(chats)} templates, "
          f"{len(cases)} renderings ({sum('line' in case for case in cases)} errors)")
