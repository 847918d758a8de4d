"""The lesson's measurements: what self-attention is, what it costs, and what it is measured against."""
