"""Pictures: decoded, resized, coloured, and drawn on contact sheets."""
