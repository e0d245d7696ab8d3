"""What to ask, how to explore, and the queue that trains it; nothing here can reach a test set."""

from ceteris.study.design import arm, describe_changes, difference
from ceteris.study.execute import Queue
from ceteris.study.files import parse_study, read_study, shipped_studies, study_from_tree, study_text
from ceteris.study.greedy import Request, Route, greedy
from ceteris.study.here import HerePool
from ceteris.study.mission import Outcome, final_recipes, mission
from ceteris.study.plan import PlannedStage, images_fitted, planned_stages
from ceteris.study.progress import Progress, Silent, Work
from ceteris.study.study import Exploration, Factor, Final, Level, Reading, Study, StudyModel, factors_of
from ceteris.study.trials import Setting, exploration_trials, final_trials, without_residual
from ceteris.study.workers import WorkerPool, Workplace

__all__ = [
    "Exploration",
    "Factor",
    "Final",
    "HerePool",
    "Level",
    "Outcome",
    "PlannedStage",
    "Progress",
    "Queue",
    "Reading",
    "Request",
    "Route",
    "Setting",
    "Silent",
    "Study",
    "StudyModel",
    "Work",
    "WorkerPool",
    "Workplace",
    "arm",
    "describe_changes",
    "difference",
    "exploration_trials",
    "factors_of",
    "final_recipes",
    "final_trials",
    "greedy",
    "images_fitted",
    "mission",
    "parse_study",
    "planned_stages",
    "read_study",
    "shipped_studies",
    "study_from_tree",
    "study_text",
    "without_residual",
]
