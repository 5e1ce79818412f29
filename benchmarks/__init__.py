"""Speed and memory of Boxstrap, as ratios to the bare backbone in the same run. See README.md beside this file."""
