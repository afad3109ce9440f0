"""Template matching in a scene."""
