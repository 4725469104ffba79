"""What real oslo.messaging and ours make of the same odd messages; see ../../README.md."""
