"""The quality of any model on public data sets that people labelled, with the field's metrics."""
