"""Templates found in the pictures of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

import pyarrow as pa

from scs.errors import ScsError
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.map.pictures import Numbered, PictureTask
from service.map.task import ModelFile, Row, Step, failed
from service.settings import Settings
from service.tasks.match.answer import to_match_response
from service.tasks.match.find import find_matches
from service.tasks.match.found import Matches, in_network
from service.tasks.match.in_network import find_in_network
from service.tasks.match.search import search_for
from service.tasks.preload import warm_matching

_MATCH = pa.struct(
    [
        ("template", pa.int32()),
        ("name", pa.string()),
        *((name, pa.float64()) for name in ("score", "x", "y", "width", "height", "angle", "scale")),
        *((name, pa.float64()) for name in ("visible", "psr", "explained", "rival", "evidence")),
        ("present", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class MatchTask(PictureTask):
    """The search for templates, as ``scs match`` does it.

    Attributes:
        templates: what to look for.
        masks: which of their pixels count; none, one for all, or one for each.
        options: how.
        settings: limits.
        model: whose features are compared, if any are.
    """

    templates: tuple[NamedBytes, ...]
    masks: tuple[NamedBytes, ...]
    options: MatchOptions
    settings: Settings
    model: ModelFile | None = None

    steps: ClassVar[tuple[Step, ...]] = (warm_matching,)

    @classmethod
    def of(
        cls, settings: Settings, templates: Sequence[NamedBytes], masks: Sequence[NamedBytes], options: MatchOptions
    ) -> MatchTask:
        """Make the task of what is to be looked for.

        Raises:
            OptionError: no template, masks that are not one for all or one for each, or options that make no search.
            UnknownNameError, ModelError: no model of that name.
        """
        MatchUpload(templates[0] if templates else NamedBytes("", b""), list(templates), list(masks))
        search_for(options)
        model = ModelFile.find(settings, options.model, options.version)[0] if in_network(options) else None
        return cls(tuple(templates), tuple(masks), options, settings, model)

    @property
    def columns(self) -> list[pa.Field]:
        """Size in pixels, whether a template is there, and the matches, best first."""
        return [
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("present", pa.bool_()),
            pa.field("matches", pa.list_(_MATCH)),
        ]

    def describe(self) -> dict[str, Any]:
        """Return the digests of the templates, the options and the model."""
        return {
            "model": self.model.describe() if self.model else None,
            "templates": [sha256(each.content).hexdigest() for each in self.templates],
            "masks": [sha256(each.content).hexdigest() for each in self.masks],
            "options": self.options.model_dump(exclude={"model", "version"}),
        }

    def answer(self, pictures: Sequence[Numbered]) -> Iterator[Row]:
        """Yield a row for each picture."""
        for number, file in pictures:
            try:
                answer = to_match_response(self._find(file))
            except ScsError as error:
                yield failed(number, file.name, error)
                continue
            matches = [match.model_dump() for match in answer.matches]
            yield {
                "number": number,
                "name": file.name,
                "width": answer.width,
                "height": answer.height,
                "present": any(match["present"] for match in matches),
                "matches": matches,
            }

    def _find(self, file: NamedBytes) -> Matches:
        upload = MatchUpload(file, list(self.templates), list(self.masks))
        if self.model is None:
            return find_matches(upload, self.options, self.settings)
        return find_in_network(self.model.load(self.settings), upload, self.options, self.settings)
