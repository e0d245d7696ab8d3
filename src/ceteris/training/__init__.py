"""From a recipe to a trained model and its record; ``build`` is the only place that turns a recipe into objects."""
