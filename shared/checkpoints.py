"""A checkpoint of `shared.training.fit`: what is needed to go on as if nothing had happened.

A file is written as a whole or not at all, and read only as numbers and plain containers
(``weights_only``), so a foreign file cannot run code. Everything is compared before anything is
changed: a checkpoint that does not belong to this run leaves model and optimizer as they were.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from shared import processes
from shared.meters import Record

FORMAT = "a checkpoint of shared.training.fit, 2"


class Checkpoint:
    """The file ``path`` of a run, or nothing if ``path`` is None.

    rates   the learning rates of the optimizer's groups before any schedule moved them
    """
    def __init__(self, path: str | os.PathLike | None, net: nn.Module, optimizer: torch.optim.Optimizer,
                 rates: list[float], train, device: torch.device):
        self.path = None if path is None else Path(path)
        self.net, self.optimizer, self.rates, self.train, self.device = net, optimizer, rates, train, device

    def save(self, epoch: int, record: Record) -> None:
        """Write the state after ``epoch`` epochs; the other processes wait for the first one."""
        if self.path is None:
            return
        if processes.rank() == 0:
            state = {"format": FORMAT, "epoch": epoch, "net": self.net.state_dict(), "record": record.as_dict(),
                     "optimizer": self.optimizer.state_dict(), "rates": self.rates,
                     "optimizer_type": type(self.optimizer).__name__, "rng": torch.get_rng_state(),
                     "batches": self.train.state_dict() if hasattr(self.train, "state_dict") else None}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(self.path.name + ".part")
            torch.save(state, temporary)
            os.replace(temporary, self.path)  # a crash while saving leaves the old checkpoint whole
        processes.wait()

    def resume(self, record: Record) -> tuple[int, Record]:
        """Bring back the state of the file: the number of epochs done and the record. 0 and the given
        record if there is no file. Raises ValueError, and changes nothing, if it belongs elsewhere."""
        if self.path is None or not processes.agreed(self.path.exists(), self.device):
            return 0, record
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # empty, cut off, another kind of file: torch has many words for it
            raise self._refuse(f"it cannot be read as a checkpoint ({type(error).__name__})") from error
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise self._refuse("it was written by another program or another version of this one")
        if reason := self._difference(state):
            raise self._refuse(reason)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate  # the file has the rate to which a schedule had moved it
        torch.set_rng_state(state["rng"])
        if state["batches"] is not None:
            self.train.load_state_dict(state["batches"])
        return state["epoch"], Record(**state["record"])

    def _refuse(self, reason: str) -> ValueError:
        return ValueError(f"the checkpoint {self.path.name} does not belong to this run: {reason}. Give another "
                          "file name to start afresh, or the model, optimizer and data that it was made with")

    def _difference(self, state: dict) -> str:
        """What keeps the saved state from fitting this run; empty if nothing does."""
        ours, saved = self.net.state_dict(), state["net"]
        if ours.keys() != saved.keys():
            return f"the model has other parameters ({min(ours.keys() ^ saved.keys())!r} is in one of the two only)"
        for name in ours:
            if ours[name].shape != saved[name].shape or ours[name].dtype != saved[name].dtype:
                return (f"{name!r} is {tuple(saved[name].shape)} {saved[name].dtype} in the file, "
                        f"{tuple(ours[name].shape)} {ours[name].dtype} in the model")
        if type(self.optimizer).__name__ != state["optimizer_type"]:
            return f"it was made with {state['optimizer_type']}, not {type(self.optimizer).__name__}"
        if self.rates != state["rates"]:
            return f"its learning rate is {state['rates']}, not {self.rates}"
        mine, theirs = self.optimizer.state_dict()["param_groups"], state["optimizer"]["param_groups"]
        for a, b in zip(mine, theirs, strict=True):  # as many as there are rates
            for name in a.keys() & b.keys() - {"lr", "initial_lr"}:
                if a[name] != b[name]:
                    return f"its optimizer has {name}={b[name]}, not {a[name]}"
        if (state["batches"] is not None) != hasattr(self.train, "load_state_dict"):
            return "the training data is of another kind"
        if state["record"].keys() != {field.name for field in fields(Record)}:
            return "its record has other entries"
        return ""
