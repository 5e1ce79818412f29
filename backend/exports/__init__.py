"""What is in a Label Studio project, or in a file of predictions, as data sets for other programs."""
