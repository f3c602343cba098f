"""Renders texts and turns as token ids, the same for training and generation."""
