"""Data: where it comes from, how it is scaled, and in which order it is fed.

`sources.load` gives a checked `Dataset` of host arrays, `preprocessing` maps it
to float32 with statistics of the training split alone, `batches` says which
examples each step sees, as a pure function of the seed and the step, and
`augmentation` changes a batch at random, as a pure function of a key.
`sequences` draws batches of problems for recurrent networks.
"""
