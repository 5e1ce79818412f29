"""HTTP in, HTTP out. What is done is the services' business."""
