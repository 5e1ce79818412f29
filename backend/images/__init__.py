"""Images of tasks: where they may come from, how they are fetched, and the disk cache that keeps them."""
