"""One stand-in for each upstream, with its true format and clock."""
