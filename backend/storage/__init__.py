"""Storage: the tables, the store of records, the ledger of job runs, and all SQL."""
