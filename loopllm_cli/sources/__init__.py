"""Sources: from exported log files to canonical rows."""
