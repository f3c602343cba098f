"""Files of rows: locations, formats and encodings."""
