"""Label Studio as others see it: its API, labeling configs, tasks, results and pictures."""
