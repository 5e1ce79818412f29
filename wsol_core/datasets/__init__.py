"""Published data sets in their own layouts become folders that read_folder reads."""
