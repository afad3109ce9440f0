"""Find upright templates from coarse to fine: a shrunk scene says where to look, the scene itself what is there.

Nothing is proven: that no match above ``SURE`` is lost is measured, by bench/coarse.py. Whatever is in doubt is left to
the whole map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scs.matching.arrays import Array, as_picture, check_template
from scs.matching.coarse.candidates import SURE, Candidate, Candidates
from scs.matching.coarse.plan import Plan, Size, plan_for, shrunk
from scs.matching.found import Match
from scs.matching.options import Search
from scs.matching.peaks import Peak
from scs.matching.posing.goal import PosedMatch
from scs.matching.presence.explained import Explained, Noise
from scs.matching.presence.looking import Looking, match_at
from scs.matching.presence.verdict import Verdict, judge
from scs.matching.scores import ScoreMap, score_maps

_DOUBTFUL = 1.0  # evidence on either side of 0 at which the whole map is asked
_LEAST_PIXELS = 2**19  # of a scene: the whole map of a smaller one is quickly made,
_LEAST_PLACES = 2**16  # as is that of a template which is nearly as large
_MOST_CHANNELS = 4
_MOST_OVERLAP = 0.5  # of matches: if they may overlap more, several lie within one pixel of the shrunk scene
_MOST_MATCHES = 24
_SMALL_ERROR = 1e-3  # of scores in the shrunk scene
_MANY = 2**18  # numbers of a shrunk scene: fewer are compared sooner than threads are woken


def serves(scene: Array, mask: Array | None, search: Search) -> bool:
    """Whether a search from coarse to fine can answer at all."""
    return (
        np.ndim(scene) > 1
        and (np.ndim(scene) == 2 or scene.shape[2] <= _MOST_CHANNELS)
        and mask is None
        and search.device is None
        and (search.method == "ccoeff_normed" or (search.method == "scs_centred" and search.q == 0))
        and search.polarity == "same"
        and search.border == "whole"
        and search.overlap <= _MOST_OVERLAP
        and search.top <= _MOST_MATCHES
    )


class CoarseSearch:
    """A search for templates from coarse to fine; what they have in common is made once.

    Args:
        scene: see ``score_map``.
        search: how, as far as :func:`serves` says.
    """

    def __init__(self, scene: Array, search: Search) -> None:
        self._search = search
        self._scene = np.ascontiguousarray(as_picture("scene", scene))
        self._shrunk: dict[int, tuple[Array, Size]] = {}
        self._noise: dict[Size, Noise] = {}

    def find(self, templates: Sequence[Array]) -> Iterator[tuple[list[Match], float] | None]:
        """Find each template: its matches and the share of the scene that is flat, or None where that is in doubt."""
        pictures = [as_picture("template", template) for template in templates]
        plans = [self._plan(pixels) for pixels in pictures]
        factors = {plan.factor for plan in plans if plan}
        alike = {
            factor: [pixels for pixels, plan in zip(pictures, plans, strict=True) if plan and plan.factor == factor]
            for factor in factors
        }
        maps = {factor: self._maps(alike[factor], factor) for factor in factors}
        for pixels, plan in zip(pictures, plans, strict=True):
            yield self._found(pixels, plan, next(maps[plan.factor])) if plan else None

    def _plan(self, template: Array) -> Plan | None:
        check_template(template, self._scene)
        (rows, columns), (height, width) = self._scene.shape[:2], template.shape[:2]
        if rows * columns < _LEAST_PIXELS or (rows - height + 1) * (columns - width + 1) < _LEAST_PLACES:
            return None
        if template.dtype != self._scene.dtype:
            return None
        return plan_for((rows, columns), template)

    def _maps(self, templates: Sequence[Array], factor: int) -> Iterator[ScoreMap]:
        self._shrunk[factor] = shrunk(self._scene, factor)
        small = [shrunk(pixels, factor)[0] for pixels in templates]
        threads = 1 if self._shrunk[factor][0].size < _MANY else None
        return score_maps(self._shrunk[factor][0], small, threads=threads, error=_SMALL_ERROR)

    def _found(self, template: Array, plan: Plan, scored: ScoreMap) -> tuple[list[Match], float] | None:
        candidates = Candidates(self._scene, template, plan, self._shrunk[plan.factor][1], scored.scores)
        if not candidates.promising:
            return None
        found = candidates.matches(self._search)
        if not found:
            return None
        told = self._judged(candidates, found, self._look(template))
        surely = [self._search.unsharpened(one.peak.score) >= SURE for one in found]
        if not (surely[0] and told[0].present) or any(
            abs(verdict.evidence) < _DOUBTFUL for verdict, sure in zip(told, surely, strict=True) if sure
        ):
            return None
        height, width = candidates.size
        poses = [
            PosedMatch(one.peak.column + width / 2, one.peak.row + height / 2, 0.0, 1.0, one.peak.score)
            for one in found
        ]
        matches = [match_at(pose, candidates.size, verdict) for pose, verdict in zip(poses, told, strict=True)]
        return matches, scored.flat

    def _look(self, template: Array) -> Looking:
        size = template.shape[0], template.shape[1]
        look = Looking(self._scene, template, None, noise=self._noise.get(size))
        self._noise[size] = look.noise
        return look

    def _judged(self, candidates: Candidates, found: list[Candidate], look: Looking) -> list[Verdict]:
        """Judge matches among the places of the shrunk map, whose scores are exact where they matter."""
        p, width = self._search.exponent, candidates.scores.shape[1]
        scores = candidates.corrected()
        if p != 1:
            scores = np.copysign(np.abs(scores) ** np.float32(p), scores)

        def explained(peaks: Sequence[Peak]) -> list[Explained]:
            places = candidates.places([round(peak.row) * width + round(peak.column) for peak in peaks])
            return look([Peak(*place, peak.score) for place, peak in zip(places, peaks, strict=True)])

        peaks = [Peak(one.small // width, one.small % width, one.peak.score) for one in found]
        return judge(scores, peaks, candidates.window, explained, p=p, maxima=candidates.maxima)
