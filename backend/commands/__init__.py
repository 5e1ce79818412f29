"""The commands of `boxstrap`, one file each. They load torch when they run, never when they are imported."""
