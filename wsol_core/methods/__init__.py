"""One file a method, all behind the interface of base.py; registry.py knows them by name."""
