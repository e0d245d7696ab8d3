"""What to ask, how to explore, and the queue that trains it; nothing here can reach a test set."""

from ceteris.study.design import arm, describe_changes, difference
from ceteris.study.device_table import (
    DeviceTable,
    Place,
    Speed,
    cache_file,
    keep_table,
    known_tables,
    place_of,
    table_for,
)
from ceteris.study.execute import Queue
from ceteris.study.files import parse_study, read_study, shipped_studies, study_from_tree, study_text
from ceteris.study.here import HerePool
from ceteris.study.mission import Outcome, final_recipes, mission
from ceteris.study.plan import PlannedStage, images_fitted, planned_stages
from ceteris.study.populations import NEVER, Stacking, as_population, stacked_block, stacked_folds
from ceteris.study.progress import Progress, Silent, Work
from ceteris.study.speeds import measure_table, stacking_on
from ceteris.study.strategies import Request, Route, greedy, strategy_of
from ceteris.study.study import Exploration, Factor, Final, Level, Reading, Study, StudyModel, factors_of
from ceteris.study.trials import Extension, Setting, exploration_trials, final_trials, without_residual
from ceteris.study.workers import WorkerPool
from ceteris.worker import Event, Task, Workplace

__all__ = [
    "NEVER",
    "DeviceTable",
    "Event",
    "Exploration",
    "Extension",
    "Factor",
    "Final",
    "HerePool",
    "Level",
    "Outcome",
    "Place",
    "PlannedStage",
    "Progress",
    "Queue",
    "Reading",
    "Request",
    "Route",
    "Setting",
    "Silent",
    "Speed",
    "Stacking",
    "Study",
    "StudyModel",
    "Task",
    "Work",
    "WorkerPool",
    "Workplace",
    "arm",
    "as_population",
    "cache_file",
    "describe_changes",
    "difference",
    "exploration_trials",
    "factors_of",
    "final_recipes",
    "final_trials",
    "greedy",
    "images_fitted",
    "keep_table",
    "known_tables",
    "measure_table",
    "mission",
    "parse_study",
    "place_of",
    "planned_stages",
    "read_study",
    "shipped_studies",
    "stacked_block",
    "stacked_folds",
    "stacking_on",
    "strategy_of",
    "study_from_tree",
    "study_text",
    "table_for",
    "without_residual",
]
