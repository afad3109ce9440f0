"""Size limits below which work is done on the event loop, and not on a thread.

Handing work to a thread and back takes about a tenth of a millisecond. What is certain to take no longer than that is
done at once; all other work goes to a thread.
"""

from __future__ import annotations

SHORT_RUN_S = 0.001  # of a network, for a request that is alone

SMALL_FILES = 4  # that are decoded
SMALL_FILE_BYTES = 2**14  # of them, together
SMALL_PIXELS = 2**15  # of each once it is decoded, and of what its decoder takes: a small file may be a large picture
SMALL_JSON_BYTES = 2**14  # text that is parsed
SMALL_TENSOR_BYTES = 2**18  # numbers that are checked and converted
SMALL_LIST = 2**13  # numbers of a list, likewise
