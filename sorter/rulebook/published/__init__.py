"""What was published: rule sets that never change, and who put which in force when."""
