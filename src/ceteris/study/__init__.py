"""What to ask, how to explore, and the queue that trains it; nothing here can reach a test set."""

from ceteris.study.arms import arm
from ceteris.study.files import (
    parse_study,
    read_study,
    shipped_studies,
    shipped_study,
    study_from_tree,
    study_text,
    study_toml,
    toml_tree,
)
from ceteris.study.model_experiment import ModelResult, model_experiment
from ceteris.study.strategies import SearchResult, Strategy, search_of, strategy_named, strategy_of
from ceteris.study.study import Exploration, Factor, Final, Level, ModelSpec, Study, factors_of
from ceteris.study.trials import ExperimentContext, Extension, exploration_trials, final_trials, without_residual

__all__ = [
    "ExperimentContext",
    "Exploration",
    "Extension",
    "Factor",
    "Final",
    "Level",
    "ModelResult",
    "ModelSpec",
    "SearchResult",
    "Strategy",
    "Study",
    "arm",
    "exploration_trials",
    "factors_of",
    "final_trials",
    "model_experiment",
    "parse_study",
    "read_study",
    "search_of",
    "shipped_studies",
    "shipped_study",
    "strategy_named",
    "strategy_of",
    "study_from_tree",
    "study_text",
    "study_toml",
    "toml_tree",
    "without_residual",
]
