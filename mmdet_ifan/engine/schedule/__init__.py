"""Schedule the launches of the alignments."""
