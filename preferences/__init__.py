"""What is learnt: pairs and rewards in four append-only stores, what people say of them, and files to train on."""
