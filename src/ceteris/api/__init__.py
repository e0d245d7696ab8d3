"""What a notebook or a script calls; the command line is built on the same functions."""

from ceteris.api.answers import Evaluation, evaluate_model, picture_files, predict_pictures
from ceteris.api.bundle import Bundle, Missing, bundle_result
from ceteris.api.model import ModelCard, TrainedModel, model_summaries, read_model, study_summaries, write_model
from ceteris.api.result import Result, open_result
from ceteris.api.runs import budget_of, run, run_study, seconds_of
from ceteris.api.several import run_each
from ceteris.api.visualise import embed_images, feature_visualization, test_model

__all__ = [
    "Bundle",
    "Evaluation",
    "Missing",
    "ModelCard",
    "Result",
    "TrainedModel",
    "budget_of",
    "bundle_result",
    "embed_images",
    "evaluate_model",
    "feature_visualization",
    "model_summaries",
    "open_result",
    "picture_files",
    "predict_pictures",
    "read_model",
    "run",
    "run_each",
    "run_study",
    "seconds_of",
    "study_summaries",
    "test_model",
    "write_model",
]
