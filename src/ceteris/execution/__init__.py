"""Training: the queue of trials, the pools of processes that train them, what they report, which trials are stacked."""
