"""`boxstrap localize`: stub while predictor is absent"""

EXAMPLES = ""


def command() -> None:
    """x"""
