"""What a notebook or a script calls; the command line is built on the same functions."""

from ceteris.api.asking import Evaluation, evaluate_model, predict_pictures
from ceteris.api.bundle import ModelCard, TrainedModel, read_model, write_model
from ceteris.api.calling import run
from ceteris.api.planning import PlanEstimate, plan_study
from ceteris.api.result import Result, open_result
from ceteris.api.running import Options, read_options, run_study, worker_count
from ceteris.api.summaries import model_summaries, study_summaries

__all__ = [
    "Evaluation",
    "ModelCard",
    "Options",
    "PlanEstimate",
    "Result",
    "TrainedModel",
    "evaluate_model",
    "model_summaries",
    "open_result",
    "plan_study",
    "predict_pictures",
    "read_model",
    "read_options",
    "run",
    "run_study",
    "study_summaries",
    "worker_count",
    "write_model",
]
