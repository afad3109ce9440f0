"""What scores are made of: blocks of a scene, their spectra, the norms of their patches."""
