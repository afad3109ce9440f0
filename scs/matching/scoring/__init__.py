"""The computation of score maps: blocks of a scene (overlap-save), their spectra, the norms of their patches."""
