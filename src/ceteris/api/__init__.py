"""What a notebook or a script calls; the command line is built on the same functions."""

from ceteris.api.asking import Evaluation, evaluate_model, predict_pictures
from ceteris.api.bundle import ModelCard, TrainedModel, read_model, write_model
from ceteris.api.calling import run
from ceteris.api.durations import budget_of, seconds_of
from ceteris.api.result import Result, open_result
from ceteris.api.running import run_study
from ceteris.api.summaries import model_summaries, study_summaries

__all__ = [
    "Evaluation",
    "ModelCard",
    "Result",
    "TrainedModel",
    "budget_of",
    "evaluate_model",
    "model_summaries",
    "open_result",
    "predict_pictures",
    "read_model",
    "run",
    "run_study",
    "seconds_of",
    "study_summaries",
    "write_model",
]
