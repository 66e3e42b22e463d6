"""What networks compute on examples: inner values batch after batch, histograms, running statistics, scores.

Quantization, sparsity, pruning and merging all choose by it, so that it knows none of them.

    recorder = Recorder(graph, {"scores": value}, "numpy")
    for found in recorder.stream(weights, batches):
        found["scores"]
"""

from architrave.record.histogram import Histogram
from architrave.record.recorder import Recorder, silent
from architrave.record.running import reestimate

__all__ = ["Histogram", "Recorder", "reestimate", "silent"]
