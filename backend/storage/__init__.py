"""Where everything is kept: the tables, the store of records and the ledger of runs."""
