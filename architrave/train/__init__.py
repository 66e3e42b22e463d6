"""Training: the same steps, written once, on every backend.

    from architrave import load
    from architrave.train import AdamW, Dataset, Loop, Objective, Recipe, Schedule, Trainer, run

    data = Dataset((images,), labels)
    train, held_out = data.split(0.2)
    network = load("net.arch")
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.01)
    schedule = Schedule(1e-3, steps=20 * train.steps(32), shape="cosine", warmup=50)
    trainer = Trainer(network, recipe, schedule, train.target_type(network), backend="numpy")
    outcome = run(trainer, train, Loop(epochs=20, batch=32, validation=held_out))

Who has a loop of their own trains the emitted module with `torch.optim`, or the emitted functions with `optax`: see
docs/training.md.
"""

from architrave.train.calibration import calibrate
from architrave.train.checkpoint import Folder, Progress
from architrave.train.clipping import Clipping
from architrave.train.compare import compare_steps
from architrave.train.data import Batches, Dataset, Stream, open_data
from architrave.train.evaluation import Evaluation
from architrave.train.groups import Group
from architrave.train.loop import Learner, Loop, Outcome, Refresh, run
from architrave.train.objective import Objective
from architrave.train.optimizers import (
    LAMB,
    LARS,
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    NovoGrad,
    Optimizer,
    RMSProp,
    optimizer,
)
from architrave.train.schedules import Schedule
from architrave.train.step import Recipe, step_graph
from architrave.train.trainer import Trainer

__all__ = [
    "LAMB",
    "LARS",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Batches",
    "Clipping",
    "Dataset",
    "Evaluation",
    "Folder",
    "Group",
    "Learner",
    "Loop",
    "NovoGrad",
    "Objective",
    "Optimizer",
    "Outcome",
    "Progress",
    "RMSProp",
    "Recipe",
    "Refresh",
    "Schedule",
    "Stream",
    "Trainer",
    "calibrate",
    "compare_steps",
    "open_data",
    "optimizer",
    "run",
    "step_graph",
]
