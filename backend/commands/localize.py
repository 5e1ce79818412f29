"""`boxstrap localize`: stub while predictor is absent"""

import typer

EXAMPLES = ""


def command() -> None:
    """x"""
