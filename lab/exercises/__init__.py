"""Exercises: short experiments, one question each, that the topic ``exercises`` runs."""
