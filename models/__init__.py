"""Networks, their training, evaluation and export, the cards that describe them, and the trained models themselves.

The trained models lie in ``models/repository/``. Reading cards and listing models needs no torch.
"""

import os

# ONNX Runtime reports to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
