#!/usr/bin/env python3
"""Writes generation/*.json: what transformers 4.38 chooses, for tests/decode.

The "model" is a formula of the last two tokens (logits() below), so that the tests hold its exact logits without weights.
texts.json: prompts, options and the ids that GenerationMixin.generate gives, greedy and by beam search.
processors.json: scores before and after the list of logits processors that generate() makes of its options.
filters.json: the probabilities that are left by the warpers of top-k, top-p and typical sampling.
"""
import json
import pathlib
import random

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.generation import logits_process
from transformers.modeling_outputs import CausalLMOutput

FOLDER = pathlib.Path(__file__).with_name("generation")
VOCABULARY, PRIME = 64, 67
LIKELY = (0, 1)  # the end tokens, which shall come up


def logits(before: int, last: int) -> list[float]:
    """Distinct within a row and exact in single precision."""
    factor = 1 + (31 * before + 17 * last) % (PRIME - 1)
    scale = 64 + (13 * before + 7 * last) % 29
    row = []
    for token in range(VOCABULARY):
        rank = ((token + 1) * factor + before * before + 3 * last) % PRIME
        row.append(rank * rank * scale / 32768 + (1.5 if token in LIKELY else 0))
    return row


class Formula(PreTrainedModel):
    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self):
        super().__init__(PretrainedConfig(vocab_size=VOCABULARY))
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def can_generate(self):
        return True

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}

    def forward(self, input_ids, **_):
        rows = [[logits(ids[-2] if len(ids) > 1 else 0, ids[-1])] for ids in input_ids.tolist()]
        return CausalLMOutput(logits=torch.tensor(rows))

    def _get_logits_processor(self, generation_config, input_ids_seq_length, encoder_input_ids, *args, **kwargs):
        """The ids of an encoder, which this model has not, are given by hand."""
        return super()._get_logits_processor(generation_config, input_ids_seq_length, torch.tensor([self.encoder_ids]),
                                             *args, **kwargs)


def tokens(rng, low, high):
    return [rng.randrange(2, VOCABULARY) for _ in range(rng.randrange(low, high))]


def random_options(rng, beams):
    """Options under transformers' names; each processor appears in a part of the cases."""
    options = {"max_new_tokens": rng.randrange(1, 25), "eos_token_id": rng.choice([[0], [0, 1], [1], [0]])}
    if rng.random() < 0.1:
        options["eos_token_id"] = None
    if rng.random() < 0.3:
        options["no_repeat_ngram_size"] = rng.choice([1, 2, 3])
    if rng.random() < 0.3:
        options["repetition_penalty"] = rng.choice([0.7, 1.2, 1.5])
    if rng.random() < 0.3:
        options["bad_words_ids"] = [tokens(rng, 1, 3) for _ in range(12)] + [[0]]
    if rng.random() < 0.3:
        words = {tuple(tokens(rng, 1, 3)): rng.choice([-4.0, -0.5, 1.25, 3.0]) for _ in range(20)}
        options["sequence_bias"] = words
    if rng.random() < 0.3 and options["eos_token_id"]:
        options["min_new_tokens"] = rng.randrange(1, options["max_new_tokens"] + 1)
    elif rng.random() < 0.3 and options["eos_token_id"]:
        options["min_length"] = rng.randrange(1, 12)
    if rng.random() < 0.25:
        options["forced_bos_token_id"] = rng.randrange(2, VOCABULARY)
    if rng.random() < 0.25 and options["eos_token_id"]:
        options["forced_eos_token_id"] = rng.choice([options["eos_token_id"][0], options["eos_token_id"]])
    if rng.random() < 0.25:
        forced = (9, 33, options.get("forced_bos_token_id"))  # a token both forced and suppressed leaves none
        options["suppress_tokens"] = [token for token in tokens(rng, 1, 8) if token not in forced] + [40]
    if rng.random() < 0.25:
        options["begin_suppress_tokens"] = tokens(rng, 4, 20)
    if rng.random() < 0.2:
        options["encoder_no_repeat_ngram_size"] = rng.choice([1, 2])
    if beams > 1:
        options["num_beams"] = beams
        options["length_penalty"] = rng.choice([-1.0, 0.0, 0.6, 1.0, 1.0, 2.0])
        options["early_stopping"] = rng.choice([False, True, "never"])
        options["num_return_sequences"] = rng.choice([1, 1, beams])
    return options


def for_json(options):
    """sequence_bias has tuples as keys."""
    options = dict(options)
    if "sequence_bias" in options:
        options["sequence_bias"] = [[list(k), v] for k, v in options["sequence_bias"].items()]
    return options


def generated(model, prompt, options, encoder_ids):
    model.encoder_ids = encoder_ids
    ends = options["eos_token_id"] or []
    with torch.no_grad():
        out = model.generate(torch.tensor([prompt]), generation_config=GenerationConfig(**options, pad_token_id=-1),
                             do_sample=False)
    answers = []
    for row in out.tolist():
        row = row[len(prompt):]
        stops = [i for i, token in enumerate(row) if token in ends or token == -1]
        answers.append(row[:stops[0]] if stops else row)
    return answers


def texts():
    model = Formula()
    cases = []
    for number in range(240):
        rng = random.Random(number)
        beams = rng.choice([1, 1, 2, 3, 4, 6])
        prompt = tokens(rng, 1, rng.choice([2, 6]))
        options = random_options(rng, beams)
        if number % 8 == 7 and beams == 1:
            options["forced_decoder_ids"] = [[len(prompt) + 1, 9], [len(prompt) + 2, 33]]
        encoder_ids = tokens(rng, 8, 40)
        cases.append({"prompt": prompt, "options": for_json(options), "encoder_ids": encoder_ids,
                      "ids": generated(model, prompt, options, encoder_ids)})
    return cases


def numbers(values):
    """JSON has no infinity: null is minus infinity."""
    return [None if v == float("-inf") else v for v in values]


def processors():
    model = Formula()
    cases = []
    for number in range(60):
        rng = random.Random(1000 + number)
        ids = [rng.randrange(0, 24) for _ in range(rng.randrange(1, 30))]
        prompt_length = rng.randrange(1, len(ids) + 1)
        options = random_options(rng, 1)
        # Half of the time the scores are those of the greatest length's last token.
        options["max_length"] = rng.choice([len(ids) + 1, len(ids) + 9])
        options.pop("max_new_tokens")
        if "min_new_tokens" in options:
            options["min_new_tokens"] = rng.randrange(1, 12)
        encoder_ids = [rng.randrange(0, 24) for _ in range(30)]
        scores = torch.tensor([[rng.gauss(0, 3) for _ in range(VOCABULARY)]])
        model.encoder_ids = encoder_ids
        processors = model._get_logits_processor(GenerationConfig(**options), prompt_length, None, None,
                                                 logits_process.LogitsProcessorList())
        before = scores.tolist()[0]
        after = processors(torch.tensor([ids]), scores.clone()).tolist()[0]
        cases.append({"ids": ids, "prompt_length": prompt_length, "options": for_json(options),
                      "encoder_ids": encoder_ids, "before": before, "after": numbers(after)})
    return cases


def filters():
    cases = []
    for number in range(24):
        rng = random.Random(2000 + number)
        scores = [rng.gauss(0, 2) for _ in range(40)]
        temperature = rng.choice([0.5, 1.0, 1.7])
        top_k, top_p, typical = rng.choice([(0, 1.0, 0.2), (0, 1.0, 0.6), (0, 1.0, 0.95), (12, 1.0, 0.5), (0, 0.8, 0.7),
                                            (10, 0.9, 1.0), (25, 0.95, 0.9)])
        steps = [logits_process.TemperatureLogitsWarper(temperature)]
        if top_k:
            steps.append(logits_process.TopKLogitsWarper(top_k))
        if top_p < 1:
            steps.append(logits_process.TopPLogitsWarper(top_p))
        if typical < 1:
            steps.append(logits_process.TypicalLogitsWarper(typical))
        out = torch.tensor([scores])
        for step in steps:
            out = step(None, out)
        cases.append({"scores": scores, "temperature": temperature, "top_k": top_k, "top_p": top_p, "typical": typical,
                      "shares": out.softmax(-1).tolist()[0]})
    return cases


def write(name, value):
    FOLDER.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in value)
    (FOLDER / name).write_text(f"[{lines}]\n", encoding="utf-8")


torch.set_num_threads(1)
write("texts.json", texts())
write("processors.json", processors())
write("filters.json", filters())
