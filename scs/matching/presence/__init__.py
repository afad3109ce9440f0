"""Whether what was looked for is there: how well a template explains a place, and what rivals it has."""
