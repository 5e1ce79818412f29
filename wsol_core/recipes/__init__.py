"""Published recipes, a TOML file each, and the run that trains and measures by one and compares."""
