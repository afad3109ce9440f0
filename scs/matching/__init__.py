"""Where does this picture look like that? Scores of a template at every place of a scene, and their peaks."""
