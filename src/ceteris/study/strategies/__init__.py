"""How the best recipe of a model is searched: one generator per strategy behind one protocol."""

from ceteris.execution.queue import Records, Request
from ceteris.study.strategies.choose import strategy_of
from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.protocol import Search, SearchResult, Strategy

__all__ = ["Records", "Request", "Search", "SearchResult", "Strategy", "greedy", "strategy_of"]
