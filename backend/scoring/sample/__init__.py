"""From score days to arrays: the sample that every question is answered from."""
