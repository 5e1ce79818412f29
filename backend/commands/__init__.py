"""The commands of `boxstrap`, one file each. They import what is heavy when they run, never before."""
