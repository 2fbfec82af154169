#!/usr/bin/env python3
"""Writes torch/zip.pth and torch/legacy.pth: one state_dict in PyTorch's two file forms (needs torch), and
torch/nested.pth and torch/two.pth: one and two dictionaries of tensors inside another.

The values are those that tests/file/pickle_test.cc expects.
"""
import collections
import pathlib

import torch

FOLDER = pathlib.Path(__file__).resolve().parent / "torch"


def main() -> None:
    matrix = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = collections.OrderedDict()
    state["matrix"] = matrix
    state["transposed"] = matrix.t()
    state["part"] = matrix[1:, 1:3]
    state["half"] = torch.tensor([0.5, -2.0]).half()
    state["brain"] = torch.tensor([0.25, 3.0]).bfloat16()
    state["count"] = torch.tensor(7)
    state["parameter"] = torch.nn.Parameter(torch.ones(2, 2))
    state["tied"] = state["matrix"]
    torch.save(state, FOLDER / "zip.pth")
    torch.save({"state_dict": state, "epoch": 3, "rate": 0.1}, FOLDER / "legacy.pth",
               _use_new_zipfile_serialization=False)
    small = {"a.weight": torch.ones(2), "a.bias": torch.zeros(1)}
    torch.save({"netG_state_dict": small, "epoch": 3, "rate": 0.1, "name": "gan", "sizes": [1, 2], "optimizer":
                {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}}, FOLDER / "nested.pth")
    torch.save({"netG": small, "netD": small}, FOLDER / "two.pth")


if __name__ == "__main__":
    main()
