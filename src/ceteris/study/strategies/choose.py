"""Which strategy a study asks for; the rarer ones are imported only then."""

from typing import assert_never

from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.leave_one_out import leave_one_out
from ceteris.study.strategies.one_at_a_time import one_at_a_time
from ceteris.study.strategies.protocol import Search
from ceteris.study.study import Factorial, Greedy, Halving, Joint, LeaveOneOut, ModelSpec, OneAtATime, Race
from ceteris.study.trials import ExperimentContext


def strategy_of(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Return the search for the best recipe of one model, as the study's strategy makes it."""
    match setting.study.strategy:
        case Greedy():
            return greedy(setting, model)
        case OneAtATime():
            return one_at_a_time(setting, model)
        case LeaveOneOut():
            return leave_one_out(setting, model)
        case Factorial():
            from ceteris.study.strategies.factorial import factorial

            return factorial(setting, model)
        case Joint():
            from ceteris.study.strategies.joint import joint

            return joint(setting, model)
        case Race():
            from ceteris.study.strategies.race import race

            return race(setting, model)
        case Halving():
            from ceteris.study.strategies.halving import halving

            return halving(setting, model)
        case _:
            assert_never(setting.study.strategy)
