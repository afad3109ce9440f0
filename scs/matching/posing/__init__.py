"""Templates that are turned and scaled: poses, and the search for them, coarse to fine."""
