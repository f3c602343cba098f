"""Training: TRL's DPO and ORPO trainers with PEFT adapters."""
