"""How the best recipe of a model is searched: one generator per strategy behind one protocol."""

from ceteris.study.strategies.choose import strategy_of
from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.protocol import Records, Request, Route, Search, Strategy

__all__ = ["Records", "Request", "Route", "Search", "Strategy", "greedy", "strategy_of"]
