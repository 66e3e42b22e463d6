"""Other products: of numbers in groups that share an exponent, and by additions."""
