"""Template matching: scores of a template at every place of a scene, and the matches found by them.

``finding`` is the whole of it, ``scores`` the maps alone; ``scoring``, ``posing`` and ``kernels`` are what they stand
on.
"""
