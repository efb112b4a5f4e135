"""What everyone may see of a model whose values are withheld."""
