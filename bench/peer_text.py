"""What every peer that writes texts is asked by peer_worker.py: its figures, token ids, and how far its logits are from the truth.

A peer has read(ids, generate) -> {"prompt": tokens/s, "generate": tokens/s} and, where it gives logits, logits(ids) ->
[ids, vocabulary].
"""
import numpy as np

from peer_kl import divergence, ids_of

COMPARED = 256  # tokens whose logits are


def prompt_of(count, vocabulary):
    return [int(i) for i in np.random.default_rng(0).integers(min(1000, vocabulary // 2), min(20000, vocabulary), count)]


class TextPeer:
    def prepare(self, order, vocabulary):
        self.order, self.count = order, order["generate"]
        self.prompts = [prompt_of(count, vocabulary) for count in order["prompts"]]

    def measure(self):
        figures = self.read(self.prompts[0], self.count)
        for prompt in self.prompts[1:]:
            figures[f"prompt_{len(prompt)}"] = self.read(prompt, 1)["prompt"]
        return figures

    def ids(self):
        """Those that logits are compared on, where no text is."""
        return {"ids": self.prompts[0][:COMPARED]}

    def kl(self):
        return {"kl": divergence(self.order["truth"], np.asarray(self.logits(ids_of(self.order["ids"])), np.float32))}

    @staticmethod
    def faster(choices, try_one):
        """The choice by which a prompt is read fastest; the first reading of each is not counted."""
        speeds = []
        for choice in choices:
            try_one(choice)
            speeds.append((try_one(choice), choice))
        return max(speeds)[1]
