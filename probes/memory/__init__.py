"""The peak memory of a probe, estimated from the model's configuration before anything is loaded.

workload   what a probe asks of the memory: rows, lengths, answers, quantisation
tracker    follows the storages of a computation on tensors that have shapes and no data
training   one forward and backward pass of training, and one pass of answering, under the tracker
estimate   the parts of the peak, and their sum
fit        whether that fits on this machine, and what to change
"""
