"""What a probe is given: files of rows and prompts, read under the same laws wherever they come from."""
