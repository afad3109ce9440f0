"""What docs/settings.md says is so: its table has every setting of the code, with its default."""

import re
from pathlib import Path

from service.settings import Settings

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()


def test_the_table_is_that_of_the_code():
    rows = re.findall(r"^\| `(SCS_\w+)` \| (?:`(.*?)`|(.*?)) \|", PAGE, re.MULTILINE)
    assert [name for name, *_ in rows] == [f"SCS_{field.upper()}" for field in Settings.model_fields]
    for name, default, words in rows:
        field = Settings.model_fields[name.removeprefix("SCS_").lower()]
        assert default == str(field.default) or (words and (field.default_factory or field.default in (None, ()))), name
