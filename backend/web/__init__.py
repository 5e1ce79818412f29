"""HTTP in, HTTP out. backend/services does the work."""
