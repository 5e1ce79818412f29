"""What the service keeps on disk: model versions, training runs and projects."""
