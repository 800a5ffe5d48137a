"""StudioHand: rendered hands with exact 3D annotations."""
