"""Training: TRL's DPO and ORPO trainers with PEFT adapters, or the packed engine.

job.py                                 what to train, and what comes back
trl.py, orpo.py, reference_store.py    TRL, the reference
packed/                                many adapters at once on one frozen base
shared.py                              what both engines do alike
curve.py, curve_writer.py              train.jsonl: its readings, and who writes it
"""
