"""Charts of an Analysis as Vega-Lite specifications: the same one is interactive on a page, and SVG or PNG on paper.

frame -> senses, measures, attention -> gallery      each draws a part; the gallery has them all by name
render                                               SVG and PNG without a browser; the script that draws on a page
"""
