"""From files to batches: folders, images, caches, random views, samplers and the loader."""
