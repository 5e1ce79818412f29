"""How good a model is: box and pixel metrics, comparisons, reports and sheets."""
