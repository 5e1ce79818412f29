"""Boxstrap as people and programs use it: the command line. What learns and localizes is wsol_core's."""
