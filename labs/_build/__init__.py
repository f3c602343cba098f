"""How the material of a bundled study is made, and how its recipes are measured."""
