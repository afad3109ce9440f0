"""Find templates in a scene."""
