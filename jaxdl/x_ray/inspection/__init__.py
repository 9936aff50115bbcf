"""What a diagnosis needs to know of a loss beside its rows' statistics.

Some of it is read in the graph (`connection`, `first_layer`, `normalization`,
`broadcasting`, on the `facts` that flow through it), some is measured
(`representation`).
"""
