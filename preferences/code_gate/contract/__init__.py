"""What a program must do: the contract, kinds of parameters, properties, and when two outcomes agree."""
