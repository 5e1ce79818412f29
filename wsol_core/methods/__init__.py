"""One file a method, all behind the interface of base.py; build.py builds them by name."""
