"""Template matching: scores of a template at every place of a scene, and the matches found by them.

``finding`` is the whole of it, ``scores`` the maps alone. ``coarse`` and ``posing`` say where a template is, upright
or in any pose, ``presence`` whether it is there at all; ``deformable`` finds what bends.
"""
