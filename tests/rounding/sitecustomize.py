"""Gradients that are off in their last digit: what another processor does to a training, on this one.

`make test-rounding` puts this folder on Python's path, so that every kernel that runs a chapter reads this file first.
Each backward pass that begins at a single number then begins with 1 + ROUNDING in place of 1 (two units of the last
place of a 32-bit number, or what the environment variable says). That leaves every method as it is, but a long training
is chaotic, and ends elsewhere, as it does on a processor that adds in another order. A claim that then fails hung on
chance; a digit that then differs should not have been printed.
"""

import os
import sys

if any("ipykernel" in argument for argument in sys.orig_argv):
    import torch

    backward = torch.Tensor.backward

    def rounded(self, gradient=None, *arguments, **options):
        if gradient is None and self.numel() == 1 and self.dtype == torch.float32:
            gradient = torch.full_like(self, 1 + float(os.environ.get("ROUNDING", "2.4e-7")))
        return backward(self, gradient, *arguments, **options)

    torch.Tensor.backward = rounded
