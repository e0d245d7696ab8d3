"""What a notebook or a script calls; the command line is built on the same functions."""

from ceteris.api.asking import Evaluation, evaluate_model, predict_pictures
from ceteris.api.bundle import ModelCard, TrainedModel, read_model, write_model
from ceteris.api.calling import run
from ceteris.api.durations import budget_of, seconds_of
from ceteris.api.planning import PlanEstimate, plan_study
from ceteris.api.planning_budget import FittedPlan, fit_to_budget
from ceteris.api.result import Result, open_result
from ceteris.api.running import Options, read_options, run_study, worker_count
from ceteris.api.summaries import model_summaries, study_summaries

__all__ = [
    "Evaluation",
    "FittedPlan",
    "ModelCard",
    "Options",
    "PlanEstimate",
    "Result",
    "TrainedModel",
    "budget_of",
    "evaluate_model",
    "fit_to_budget",
    "model_summaries",
    "open_result",
    "plan_study",
    "predict_pictures",
    "read_model",
    "read_options",
    "run",
    "run_study",
    "seconds_of",
    "study_summaries",
    "worker_count",
    "write_model",
]
