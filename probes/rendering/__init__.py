"""Texts and turns as token ids, the same for training and for asking."""
