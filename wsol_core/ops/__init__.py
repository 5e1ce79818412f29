"""Pure functions on arrays that every room shares: boxes, maps, masks, graph cuts. No files and no torch modules."""
