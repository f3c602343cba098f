"""The packed engine: trains many LoRA adapters on one frozen base, each with its own recipe, rows and seed.

engine.py is the loop over steps; adapter.py has one adapter's matrices, optimizer and schedule; blocks.py lays the rows
of a forward pass out without padding; layers.py, attention.py and head.py are what the base computes with; losses.py
has the losses; support.py says what the engine cannot do.
"""
