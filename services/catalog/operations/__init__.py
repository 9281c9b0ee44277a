"""What can be done with the catalog: each function one transaction, or one answer from several reads."""
