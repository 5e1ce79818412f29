"""What the service does for its callers, whoever they are: no HTTP here, and no learning."""
