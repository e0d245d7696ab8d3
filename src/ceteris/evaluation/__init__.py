"""Numbers computed from predictions: accuracy, F1, ROC, calibration, confusion, mistakes. Plain arrays, no torch."""

from ceteris.evaluation.confusion import (
    Averages,
    ClassScores,
    accuracy,
    confusion_matrix,
    macro_f1,
    macro_f1_of_each,
    per_class_accuracy,
    precision_recall_f1,
)
from ceteris.evaluation.mistakes import most_confident_mistakes
from ceteris.evaluation.probabilities import Calibration, brier_score, calibration, log_loss, top_k_accuracy
from ceteris.evaluation.roc import RocCurve, RocCurves, roc_curve, roc_one_vs_rest

__all__ = [
    "Averages",
    "Calibration",
    "ClassScores",
    "RocCurve",
    "RocCurves",
    "accuracy",
    "brier_score",
    "calibration",
    "confusion_matrix",
    "log_loss",
    "macro_f1",
    "macro_f1_of_each",
    "most_confident_mistakes",
    "per_class_accuracy",
    "precision_recall_f1",
    "roc_curve",
    "roc_one_vs_rest",
    "top_k_accuracy",
]
