"""One small file per export shape; each turns a parsed record into canonical rows."""
