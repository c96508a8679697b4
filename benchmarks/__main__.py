"""Run the programs of one kind or several, then write the results page.

    python -m benchmarks             what measures speed, in less than 15 minutes
    python -m benchmarks accuracy    what trains to the end with several seeds, longer
    python -m benchmarks gpu         what needs a CUDA GPU
"""

import importlib
import sys

from benchmarks import report

PROGRAMS = {"speed": ("feeding", "scale", "characters"),
            "accuracy": ("fashion_mnist", "lenet_ablation", "quality", "birds", "modern_cnns", "batch_norm",
                         "resnet", "inside_cnns", "two_cores", "recurrent", "parallel_models", "gates",
                         "gate_variants", "translation", "translation_seconds", "sentiment"),
            "gpu": ("devices", "gpu_training", "cifar10")}

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["speed"]
    if unknown := set(wanted) - set(PROGRAMS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}")
    for kind in wanted:
        for name in PROGRAMS[kind]:
            importlib.import_module(f"benchmarks.{name}").main()
    report.main()
