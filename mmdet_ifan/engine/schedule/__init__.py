"""Schedule the launches of the alignments, and the teacher."""
