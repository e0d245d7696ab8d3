"""The one study that all strategies are compared on: an MLP and six levels around its baseline."""

STRATEGIES = {
    "greedy": '"greedy"',
    "one-at-a-time": '"one-at-a-time"',
    "leave-one-out": '"leave-one-out"',
    "factorial": '{ kind = "factorial", cells = 22 }',
    "joint": '{ kind = "joint", trials = 12 }',
    "race": '{ kind = "race", along = "one-at-a-time" }',
    "halving": '{ kind = "halving", candidates = 18 }',
}

_TEXT = """
name = "{strategy}-{data}"
title = "{strategy} on {data}"
data = "{data}"
strategy = {declared}
equivalence_margin = 0.005

[exploration]
folds = 5
seeds = {seeds}
images = {images}

[final]
epochs = 3
test_curves = false

[models.mlp]
title = "MLP"
model = {{ kind = "mlp", hidden = [64, 64] }}
optimizer = {{ kind = "adam", lr = 0.001 }}
epochs = {epochs}
batch_size = 64

[[factors]]
name = "batch-norm"
field = "model.batch_norm"
levels = [false, true]

[[factors]]
name = "activation"
field = "model.activation"
levels = ["relu", "elu", "sigmoid"]

[[factors]]
name = "dropout"
field = "model.dropout"
levels = [0.0, 0.5]

[[factors]]
name = "rate"
field = "optimizer.lr"
levels = [0.001, 0.003, 0.0001]
"""


def study_text(strategy: str, *, data: str, images: int = 0, seeds: int = 1, epochs: int = 6) -> str:
    """Return the study file for one strategy."""
    return _TEXT.format(
        strategy=strategy, declared=STRATEGIES[strategy], data=data, images=images, seeds=seeds, epochs=epochs
    )
