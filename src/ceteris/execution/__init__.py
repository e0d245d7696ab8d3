"""Training what is asked for: the queue, the processes that train, and what they are asked and tell."""
