"""Report what pre-annotation brought to a project: figures, plots and the page that shows them."""
