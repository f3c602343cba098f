"""Watches a full-length run, and ends one that has collapsed.

rules         what a curve or a spot check must not show; pure
spot_check    a few holdout prompts, answered and scored while the run trains
trackers      trackio, wandb, mlflow and TensorBoard, whose errors end nothing. Imports transformers
callback      at each checkpoint: makes the spot check, then marks the checkpoint complete. Imports transformers
"""
